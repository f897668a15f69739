"""The options of each identification method, and which methods a run uses."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from safety_regions.config.base import SILENT, Section, SetId

Share = Annotated[float, Field(gt=0, le=1)]


class Snip(Section):
    """SNIP (arXiv 2402.05162): mean over samples of |weight x gradient of the response loss|."""


class Wanda(Section):
    """Wanda (arXiv 2306.11695, for safety 2402.05162): |weight| x norm of its input channel over response tokens."""


class SafeNeuron(Section):
    """SafeNeuron (ICLR 2025, openreview yR47RmND1m): how much a layer's output changes when a neuron is taken out, per
    prompt.
    """

    tokens: Literal["content", "prompt"] = "content"
    """Tokens at which the change counts: those of the user's own text, or all that the model reads before it answers,
    the chat template's among them. The model reads the same in both cases."""
    ffn: Literal["exact", "up"] = "exact"
    """`exact`: norm of the neuron's contribution to the output; `up`: sum of |up|, as the method's published code has
    it."""
    qk: Literal["row", "rotated"] = "row"
    """What a query or key neuron is: a row of W_q or W_k, which rotary embedding spreads over two channels of the dot
    product, or one of these channels, as the method's paper has it. Regions are taken out row by row."""
    scale_delta: bool = True
    """Divide what a query or key neuron takes from the attention scores by sqrt(d), like the scores; the published code
    does not."""
    shared_heads: Literal["max", "joint"] = "joint"
    """A key or value neuron that several query heads share: the importance of taking it from all at once, as taking out
    a region does, or the largest that it has for one of them."""
    select: Literal["mean", "agreement"] = "mean"
    """`mean`: the top fraction of the importance averaged over prompts; `agreement`: what is in the top fraction of
    many prompts."""
    agreement: Share = 1.0
    """Share of the prompts for `agreement`; 1 is the intersection of the method's paper, whose size the fraction no
    longer fixes."""


class SafeLayer(Section):
    """SafeLayer (ICLR 2025, arXiv 2408.17003): one range of layers, found by angles between prompts and by scaling
    layers.

    The fractions q and p have no say in it: a region is the whole range at each of them.
    """

    normal: SetId | None = None
    """Harmless set whose last-token states each set's are compared with, by prompts behind those identified on; null:
    the first utility set. It has no region of its own, and takes no part in refinement."""
    over_rejection: list[SetId] | None = Field(default=None, min_length=1)
    """Harmless sets, best ones that look harmful, whose refusals are counted while layers are scaled; null: the utility
    sets."""
    n_over_rejection: int = Field(default=12, ge=1)
    """Prompts of each of these sets."""
    n_permutations: int = Field(default=999, ge=199)
    """Random labellings of the compared prompts: a set has a range if its angles differ by more than those of 95% of
    them."""
    seed: int = Field(default=0, ge=0)
    """Seed of these labellings, and of the draws of prompts that tell how sure a range is."""
    max_new_tokens: int = Field(default=8, ge=1)
    """Tokens by which a refusal is told."""
    alpha_step: float = Field(default=0.1, gt=0, lt=1)
    """The scale of the layers moves away from 1 in such steps ..."""
    alpha_steps: int = Field(default=4, ge=1)
    """... at most this many, until the refusals differ enough between ranges."""
    least_spread: Share = 0.025
    """Enough: standard deviation, over the ranges tried, of the share of prompts refused; below it the range is the one
    read off the angles."""
    scale_o_proj: bool = True
    """Scale the attention's output matrix too; the method's published code leaves it out."""


class Adapter(Section):
    """The LoRA safety adapter for a model without one of its own (kind `aligned` has it): one per model, made here."""

    harmful: list[SetId] | None = Field(default=None, min_length=1)
    """Datasets whose prompts are answered with a refusal in training; null: the first two safety sets."""
    harmless: list[SetId] | None = Field(default=None, min_length=1)
    """Datasets whose prompts are answered with their own `response` column in training; null: the utility sets that
    have one."""
    n_samples: int = Field(default=64, ge=2)
    """Training prompts taken from each dataset, as far as it has them."""
    offset: int | None = Field(default=None, ge=0)
    """Training prompts start after this many of the seeded order; null: behind those identified on."""
    n_held_out: int = Field(default=8, ge=1)
    """Prompts per dataset kept out of training, taken before `offset`, for the refusal rates of the receipt."""
    rank: int = Field(default=8, ge=1)
    """Rank r of the factors A and B."""
    alpha: float = Field(default=16.0, gt=0)
    """The adapter adds alpha / r x B A to a weight."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Its peak: it rises over the first tenth of the steps and falls to 0."""
    steps: int = Field(default=30, ge=1)
    """Training steps."""
    batch_size: int = Field(default=8, ge=1)
    """Prompts per step."""
    seed: int = Field(default=0, ge=0)
    """Seed of the adapter's first weights and of the order of the prompts."""


class Nlsr(Section):
    """NLSR (AAAI 2025, arXiv 2412.12497): the largest weights of a LoRA safety adapter, projected on the response
    tokens' main directions.
    """

    kept_ranks: Share = 0.8
    """Share of the ranks that the projection keeps: int(rank x share), as in the method's published code."""
    adapter: Adapter = Adapter()


class Ssah(Section):
    """SSAH's variance score (arXiv 2410.10862, after FLAP, 2312.11983): how much a neuron's part of the output varies
    over the tokens of prompts.
    """

    tokens: Literal["content", "prompt"] = "content"
    """Tokens that are looked at: those of the user's own text, or all that the model reads before it answers."""


class Direction(Section):
    """Refusal direction (arXiv 2406.11717): neurons that write along the difference of the mean last-token states of a
    set's prompts and of harmless ones.
    """

    harmless: SetId | None = None
    """Set of the harmless prompts, taken behind those identified on; null: the first utility set. It has no region of
    its own, and takes no part in refinement."""


class Methods(Section):
    """Identification methods: each key present is run, its mapping holds the method's options.

    Leave a method out with `null`.
    """

    snip: Snip | None = Snip()
    wanda: Wanda | None = Wanda()
    safeneuron: SafeNeuron | None = SafeNeuron()
    safelayer: SafeLayer | None = SafeLayer()
    nlsr: Nlsr | None = Nlsr()
    ssah: Ssah | None = None
    direction: Direction | None = SILENT


if TYPE_CHECKING:
    Method = str
else:
    # A type checker cannot read names that are known only when this runs.
    Method = Literal[tuple(Methods.model_fields)]


def adapter_options(options: Section) -> Adapter:
    """How an adapter is trained for a method that needs one: the option `adapter` that every such method has."""
    return options.adapter  # type: ignore[attr-defined]


def options_of(method: str, options: dict) -> Section:
    """The typed options of a method from plain JSON values; what is left out has its default."""
    return getattr(Methods.model_validate({method: options}), method)
