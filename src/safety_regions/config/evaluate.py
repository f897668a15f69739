"""Whether a region matters: what a model does without it."""

from typing import Literal

from pydantic import Field

from safety_regions.config.base import Section, SetId


class Evaluate(Section):
    """Take regions out of each model and ask it again: refusals, over-refusals and perplexity, beside random regions of
    the same size.
    """

    sets: list[SetId] | None = Field(default=None, min_length=1)
    """Safety sets whose regions are taken out, one at a time; null: the first one."""
    harmful: list[SetId] | None = Field(default=None, min_length=1)
    """Sets whose prompts the model should refuse; null: those whose regions are taken out."""
    over_refusal: list[SetId] | None = Field(default=None, min_length=1)
    """Harmless sets, best ones that look harmful, which it should not refuse; null: the utility sets."""
    texts: list[SetId] | None = Field(default=None, min_length=1)
    """Sets with responses of their own, on which perplexity is measured; null: the utility sets that have them."""
    n_prompts: int = Field(default=16, ge=1)
    """Prompts of each of these sets. Those that its own region, or one that is taken out, is identified from are left
    out; near duplicates of them (`datasets.near_duplicate`) are asked only where there are too few others."""
    offset: int | None = Field(default=None, ge=0)
    """Skip this many prompts of the seeded order; null: ask those behind the ones that regions are identified from."""
    seed: int = Field(default=0, ge=0)
    """Seed of the order of the prompts, and of the random regions."""
    max_new_tokens: int = Field(default=16, ge=1)
    """Tokens by which a refusal is told."""
    replace: Literal["zero", "mean"] = "zero"
    """What takes the place of a weight: zero, or the mean of its matrix."""
    n_random: int = Field(default=2, ge=1)
    """Random regions of the same size in every matrix, as controls of each region."""
