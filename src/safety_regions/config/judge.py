"""By what outcomes are told where models are asked: patterns, or a classifier."""

from safety_regions.config.base import Id, Section


class Judge(Section):
    """A classifier that tells what became of prompts in `evaluate` and `constrain`, in place of patterns
    (docs/refusals.md); null: patterns do.
    """

    model: Id
    """Entry of the model registry with a source of kind `classifier`."""
