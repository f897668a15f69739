"""What is imported of the package has its types checked at every call, and shapes and dtypes where a module names any.

Shapes are remembered from one argument to the next, which costs more than all else that a small function does. So only
modules that name shapes pay for it: a plan of the default run is made in a sixth of the time.
"""

from functools import cache
from pathlib import Path

from beartype import BeartypeConf
from beartype.claw import beartype_package
from jaxtyping import install_import_hook

SOURCE = Path(__file__).resolve().parents[2] / "src"


@cache
def check_imports() -> None:
    """From now on; what is imported already stays as it is. A second call changes nothing."""
    files = {file: file.relative_to(SOURCE).with_suffix("") for file in (SOURCE / "safety_regions").rglob("*.py")}
    shaped = [".".join(name.parts) for file, name in files.items() if "jaxtyping" in file.read_text("utf-8")]
    # Local variables are mypy's affair.
    beartype_package("safety_regions", conf=BeartypeConf(claw_is_pep526=False))
    install_import_hook(shaped, "beartype.beartype")
