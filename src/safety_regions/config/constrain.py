"""Can refusals be kept by constraining parameter regions: fine-tuning under a constraint."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from safety_regions.config.base import Id, Section, SetId
from safety_regions.config.methods import Method

Stage = Literal["raw", "refined"]
Frozen = Literal["region", "random", "magnitude", "utility", "harmless", "only", "only_random"]
Rewound = Literal["region", "random", "magnitude", "utility", "harmless"]
Rate = Annotated[float, Field(gt=0)]
Steps = Annotated[int, Field(ge=1)]


class Constrain(Section):
    """Fine-tune each model on benign data with its region frozen, with controls frozen instead, and with nothing
    frozen; and put weights back after the last. Does it still refuse? `null`: not asked.
    """

    models: list[Id] | None = Field(default=None, min_length=1)
    """Models of the run that are fine-tuned, best those that refuse; null: all."""
    methods: list[Method] | None = None
    """Methods whose regions are frozen and rewound, of those whose regions are weights of the model; null: the first
    that is run."""
    sets: list[SetId] | None = Field(default=None, min_length=1)
    """Safety sets that the region is the consensus of; one is a region by itself; null: all."""
    agree: float = Field(default=0.5, gt=0, le=1)
    """Share of these sets in whose regions an element has to be."""
    stages: list[Stage] = Field(default=["refined"], min_length=1)
    """Regions before or after refinement."""
    frozen: list[Frozen] = ["region", "random", "utility"]
    """What keeps its bits in a training of its own. `region`; controls of its size: `random`, `magnitude` (random, of
    weights as large), `utility` (first elements of the utility regions outside of it), `harmless` (of a harmless set
    with the same refusals, which `controls` asks for); `only`: all but the region, so that nothing else is trained, and
    its control `only_random`: all but as many random elements. Those that a method has not are left out."""
    only_at: list[Annotated[float, Field(gt=0, le=1)]] | None = Field(
        default=None, min_length=1, exclude_if=lambda fractions: fractions is None
    )
    """Fractions of the grid, ascending, with a training of `only` and `only_random` at each of them; null: at q alone.
    A range of layers is the same at all, so it is trained once."""
    rewound: list[Rewound] = ["region", "random", "utility"]
    """What is put back to the aligned model's weights after a training with nothing frozen."""
    benign: list[SetId] | None = Field(default=None, min_length=1)
    """Sets with responses of their own that are trained on; null: the utility sets that have them."""
    n_samples: int = Field(default=32, ge=1)
    """Pairs of each of these sets."""
    n_held_out: int = Field(default=8, ge=1)
    """Further pairs of each, whose loss says how far the task is learned."""
    harmful: list[SetId] | None = Field(default=None, min_length=1)
    """Sets whose prompts the model should refuse; null: the safety sets."""
    over_refusal: list[SetId] | None = Field(default=None, min_length=1)
    """Harmless sets which it should not refuse; null: the utility sets."""
    n_prompts: int = Field(default=2, ge=1)
    """Prompts of each of these sets."""
    offset: int | None = Field(default=None, ge=0)
    """Skip this many prompts of the seeded order; null: those that regions are identified from. What is asked and
    what is trained on come behind them; of a set that is trained on, what is asked comes behind that."""
    tuning: Literal["full", "lora"] = "full"
    """`full`: all weights of the scored matrices; `lora`: an adapter, what it adds being left out where weights are
    frozen. Weights, their moments and all that is asked are float32."""
    precision: Literal["float32", "mixed"] = "float32"
    """Of the products in training. `mixed`: bfloat16, which GPUs and some CPUs multiply several times as fast."""
    rank: int = Field(default=8, ge=1)
    """Of the adapter."""
    alpha: Rate = 16.0
    """The adapter's scale, over its rank."""
    learning_rates: list[Rate] = Field(default=[0.004, 0.01], min_length=1)
    """Fixed beforehand: best one that undoes the refusals in part, and one that undoes them wholly. Real models
    need smaller ones than tiny ones."""
    steps: list[Steps] = Field(default=[15], min_length=1)
    """Steps after which the model is asked, ascending; training ends after the last."""
    losses: list[Annotated[float, Field(gt=0, lt=1)]] = []
    """The model is also asked where its held-out loss is first at most this share of the aligned model's, descending:
    so conditions are compared at the same loss."""
    every: int = Field(default=5, ge=1)
    """Steps between two looks at the held-out loss, for `losses`."""
    batch_size: int = Field(default=8, ge=1)
    """Pairs in a step."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Of AdamW."""
    seeds: int = Field(default=2, ge=1)
    """Trainings of each condition; the seed decides the order of the pairs, and the random controls."""
    max_new_tokens: int = Field(default=16, ge=1)
    """Tokens by which a refusal is told."""

    @model_validator(mode="after")
    def _in_order(self):
        if self.steps != sorted(set(self.steps)):
            raise ValueError(f"steps must ascend without repeats, found {self.steps}")
        if self.only_at is not None and self.only_at != sorted(set(self.only_at)):
            raise ValueError(f"only_at must ascend without repeats, found {self.only_at}")
        if self.losses != sorted(set(self.losses), reverse=True):
            raise ValueError(f"losses must descend without repeats, found {self.losses}")
        for key in ("methods", "sets", "stages", "frozen", "rewound", "learning_rates"):
            listed = getattr(self, key) or []
            if len(set(listed)) < len(listed):
                raise ValueError(f"{key} has something more than once: {listed}")
        return self
