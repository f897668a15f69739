"""How far regions of the same set differ: with other prompts of it, and with other responses."""

from typing import Annotated

from pydantic import Field, model_validator

from safety_regions.config.base import Id, Section
from safety_regions.config.methods import Method


class Replicates(Section):
    """Regions of the same sets again, from other prompts: the noise ceiling of every IoU. `null`: no ceiling."""

    splits: int = Field(default=1, ge=0)
    """Ways to split the prompts of every safety set into two disjoint halves, with a region from each half. Repeats of
    a prompt are all in one half."""
    sizes: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None, min_length=1, exclude_if=lambda sizes: sizes is None
    )
    """Numbers of prompts, ascending and below `datasets.n_samples`: a region from the first so many prompts of every
    safety set, which says how the IoU of sets grows with the number of prompts. null: none."""
    methods: list[Method] | None = None
    """Methods whose regions are identified again; null: all that are run."""
    seeds: int = Field(default=1, ge=0)
    """Further draws of n_samples prompts of every safety set, with the seeds that follow; a set of few prompts repeats
    some."""

    @model_validator(mode="after")
    def _sizes_ascend(self):
        if self.sizes is not None and self.sizes != sorted(set(self.sizes)):
            raise ValueError(f"sizes must ascend without repeats, found {self.sizes}")
        return self


class Controls(Section):
    """Regions from the same prompts with other responses, and from other prompts with the same: which of the two do
    regions follow? `null`: none.
    """

    safety: list[Id] | None = Field(default=None, min_length=2)
    """Safety sets; null: the first two."""
    harmless: Id | None = None
    """A harmless set of `datasets.utility`; null: the first one."""
    methods: list[Method] | None = None
    """Methods whose regions are identified with other responses; null: all that are run."""
    templates: list[Annotated[str, Field(min_length=1)]] = Field(
        default=["I'm sorry, but I can't help with that.", "No. That request is against my rules."],
        min_length=2,
    )
    """Fixed responses, each given to every prompt of these sets."""
