"""Do safety-aligned language models hold safety regions? A pipeline, and the library behind it (`safety_regions.api`).

What the library offers can be had from here; it is loaded when it is first asked for, since a command that plans needs
no torch.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safety_regions.api import Mask, Region, Run, ablate, identify, iou, load_region, load_run, refine

__all__ = ["Mask", "Region", "Run", "ablate", "identify", "iou", "load_region", "load_run", "refine"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("safety_regions.api"), name)
    if name == "__version__":
        return metadata.version("safety-regions")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
