"""Whether a region matters: what a model does without it, beside what it does without other parts of it."""

from typing import Annotated, Literal

from pydantic import Field

from safety_regions.config.base import Id, Section, SetId
from safety_regions.config.methods import Method

Control = Literal["random", "magnitude", "perplexity", "utility", "harmless"]


class Evaluate(Section):
    """Take regions out of each model and ask it again: refusals, over-refusals and perplexity, beside controls that are
    taken out instead.
    """

    models: list[Id] | None = Field(default=None, min_length=1)
    """Models of the run that are asked, best those that refuse; null: all."""
    methods: list[Method] | None = Field(default=None, min_length=1)
    """Methods whose regions are taken out; null: all that are run."""
    sets: list[SetId] | None = Field(default=None, min_length=1)
    """Safety sets whose regions are taken out, one at a time; null: the first one. A claim about regions has to hold
    for each of them, so three say more."""
    doses: list[Annotated[float, Field(gt=0, le=1)]] = []
    """Fractions of the grid at which regions are taken out beside q."""
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
    """Seed of the order of the prompts, and of the random controls."""
    max_new_tokens: int = Field(default=16, ge=1)
    """Tokens by which a refusal is told."""
    replace: Literal["zero", "mean"] = "zero"
    """What takes the place of a weight: zero, or the mean of its matrix."""
    controls: list[Control] = ["random", "magnitude", "perplexity", "utility", "harmless"]
    """What is taken out instead of a refined region. `random`: as many elements of every matrix; `magnitude`: random
    ones as large as the region's; `perplexity`: so many random ones that the perplexity grows as much; `utility`: the
    first elements of the utility regions; `harmless`: the region of harmless prompts with the safety set's
    responses."""
    n_random: int = Field(default=2, ge=1)
    """Draws of the control `random` at q. No p-value is below 1 / (draws + 1): a claim at 95% confidence needs 19."""
    n_matched: int = Field(default=1, ge=1)
    """Draws of the controls `magnitude` and `perplexity`, and of `random` at other doses."""
    harmless: SetId | None = None
    """Harmless set of the control `harmless`, best one that is no utility set, of whose region refinement takes most
    away; null: the last utility set."""
