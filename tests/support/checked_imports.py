"""What is imported of the package has its types checked at every call, and shapes and dtypes where a module names any.

Shapes are remembered from one argument to the next, which costs more than all else that a small function does. So only
modules that may name shapes pay for it: a plan of the default run is made in a sixth of the time.
"""

import re
from functools import cache
from pathlib import Path

from beartype import BeartypeConf
from beartype.claw import beartype_package
from jaxtyping import install_import_hook

SOURCE = Path(__file__).resolve().parents[2] / "src"


@cache
def check_imports() -> None:
    """From now on; what is imported already stays as it is. A second call changes nothing."""
    # Local variables are mypy's affair.
    beartype_package("safety_regions", conf=BeartypeConf(claw_is_pep526=False))
    install_import_hook(sorted(_shaped()), "beartype.beartype")


def _shaped() -> set[str]:
    """Modules that name shapes, or import from one that does: it may have given a shape a name."""
    text = {
        ".".join(file.relative_to(SOURCE).with_suffix("").parts): file.read_text(encoding="utf-8")
        for file in (SOURCE / "safety_regions").rglob("*.py")
    }
    name_shapes = {name for name, source in text.items() if "jaxtyping" in source}
    return name_shapes | {
        name for name, source in text.items() if name_shapes.intersection(re.findall(r"from (\S+) import", source))
    }
