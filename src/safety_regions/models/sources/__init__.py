"""Where models come from, one module for each kind of source.

Each offers `make(source, recipe, inputs, folder)`, which fills the prepared folder and returns the facts of its
receipt, and `PACKAGES`, those that decide the folder's bytes.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from safety_regions.config.models import WheelFile


@runtime_checkable
class Wanted(Protocol):
    """What of a model's recipe its maker reads beside the source."""

    @property
    def dtype(self) -> str:
        """In which the model is run."""

    @property
    def base(self) -> str | None:
        """Digest of the recipe of the model that an aligned one is trained from."""


@dataclass(frozen=True)
class Inputs:
    """Where on this machine the things that a model's recipe names by digest are."""

    base: Path | None = None
    """Prepared folder of the base model, for an aligned one."""
    data: dict[str, Path] = field(default_factory=dict)
    """Fetched rows (JSON lines) by dataset, for an aligned model."""
    local: str | None = None
    """Folder of a local model."""
    mirror: tuple[WheelFile, ...] = ()
    """Wheels that carry the same bytes as a GGUF file on the Hub."""
    device: str = "auto"
    """Where an adapter is trained."""
    methods: tuple[str, ...] = ()
    """For which a model that is fetched must be right."""
