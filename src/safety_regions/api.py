"""The library for programs of one's own: a region of a model, compared, refined and taken out.

    import safety_regions as sr

    region = sr.identify(model, tokenizer, pairs, method="snip")
    mask = sr.refine(region.at(0.05), [utility.at(0.05)])
    with sr.ablate(model, mask):
        ...

A model is a causal one of transformers, of an architecture that `models.architecture` knows; nothing is downloaded, and
no file is written but by `Region.save`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from safety_regions.config.architectures import refuse_unclaimed
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.config.run import Thresholds
from safety_regions.errors import UserError, did_you_mean
from safety_regions.evaluation.ablate import ablated
from safety_regions.files import load_json
from safety_regions.methods.interface import method as method_named
from safety_regions.models.architecture import layout_of, projections
from safety_regions.models.load import LoadedModel, eos_ids
from safety_regions.models.tokens import encode_pair
from safety_regions.regions.format import (
    Header,
    HeldRegion,
    hold_region,
    open_region,
    read_levels,
    write_region,
)
from safety_regions.regions.masks import Masks, masks_at, size_of, union, unpack, without
from safety_regions.regions.owned_weights import check_owner, expand
from safety_regions.regions.select import Cut

MADE_HERE = "0" * 64
"""In the place of a recipe's digest, in a file of a region that no recipe describes."""
GRID = tuple(Thresholds().grid)


@dataclass(frozen=True, eq=False)
class Mask:
    """Some of a model's elements: those of a region at a fraction, before or after refinement."""

    header: Header
    """Names, shapes and granularity of the matrices."""
    packed: Masks
    """Name of a matrix -> its packed mask."""

    @property
    def names(self) -> list[str]:
        """Of the matrices, in the order of the model: `0.q`, `0.down`, ..."""
        return list(self.header.shapes)

    def __getitem__(self, name: str) -> Bool[np.ndarray, "rows columns"]:
        """The mask of one matrix. Raises `UserError` for a name that there is not."""
        return unpack(self.packed(_known(name, self.header)), self.header.shapes[name])

    def __repr__(self) -> str:
        return f"<Mask: {len(self)} elements ({self.header.granularity}) of {len(self.names)} matrices>"

    def __len__(self) -> int:
        """Number of elements inside."""
        return sum(size_of(self.packed(name)) for name in self.header.shapes)


@dataclass(frozen=True, eq=False)
class Region:
    """Nested masks of one model, method and set: the elements of the highest scores, at every fraction of a grid."""

    held: HeldRegion

    def __repr__(self) -> str:
        fractions = ", ".join(map(str, self.grid))
        return f"<Region: {self.header.granularity}, {len(self.names)} matrices, fractions {fractions}>"

    @property
    def header(self) -> Header:
        """Names, shapes, grid and granularity."""
        return self.held.header

    @property
    def grid(self) -> tuple[float, ...]:
        """Fractions at which the region can be looked at, in (0, 1], ascending."""
        return self.header.grid

    @property
    def names(self) -> list[str]:
        """Of the matrices, in the order of the model: `0.q`, `0.down`, ..."""
        return list(self.header.shapes)

    def at(self, fraction: float) -> Mask:
        """The elements inside a fraction of the grid. Raises `UserError` for another."""
        return Mask(self.header, masks_at(self.held, fraction))

    def mask(self, name: str, fraction: float) -> Bool[np.ndarray, "rows columns"]:
        """The mask of one matrix at a fraction of the grid: for weights (output rows, input channels), for neurons and
        layers (1, number). Raises `UserError` for a name or a fraction that there is not.
        """
        return self.at(fraction)[name]

    def save(self, path: Path | str) -> None:
        """Write the region as a region file (docs/region-format.md), which `load_region` and the pipeline read."""
        header = self.header
        write_region(
            path,
            ((name, read_levels(self.held, name)) for name in self.names),
            recipe_digest=header.recipe_digest or MADE_HERE,
            cut=Cut(header.grid, header.scope),
            granularity=header.granularity,
            region_shape=header.region_shape,
        )


def identify(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]],
    method: str,
    *,
    fractions: Sequence[float] = GRID,
    scope: str = "matrix",
    options: Mapping[str, Any] | None = None,
    plain_template: str | None = None,
    batch_tokens: int = 2048,
) -> Region:
    """The region of a method (docs/methods.md) from prompts with their responses.

    `pairs`: (prompt, response); responses are the model's own answers, or any that it should give. `fractions`: of all
    elements of a `scope` (row, matrix, layer, model) that are inside, ascending, in (0, 1]. `options`: those of the
    method in config/demo.yaml; what is left out has its default. `plain_template`: text with `{prompt}` in it, for a
    model without a chat template. The model's weights are only read, and it is as it was afterwards.

    Raises `UserError` for a method that there is not, or that looks at more than pairs (other prompts, an adapter), and
    for a model whose architecture is not known, or for which the method is not right.
    """
    if method not in CATALOGUE:
        raise UserError(f"no method {method!r}", expected=", ".join(_of_pairs()), hint=did_you_mean(method, CATALOGUE))
    if method not in _of_pairs():
        raise UserError(
            f"the method {method} looks at more than pairs",
            expected=f"one of: {', '.join(_of_pairs())}",
            hint="run the pipeline for it: docs/methods.md",
        )
    chosen, named, cut = options_of(method, dict(options or {})), method_named(method), Cut(tuple(fractions), scope)
    ends = eos_ids(model, tokenizer)
    loaded = LoadedModel(model, tokenizer, plain_template, ends)
    samples = [
        encode_pair(tokenizer, prompt, response, eos_ids=ends, plain_template=plain_template, id=str(number))
        for number, (prompt, response) in enumerate(pairs)
    ]
    refuse_unclaimed(model.config.to_dict(), [method], model.config.name_or_path)
    with _frozen(model):
        statistics = named.measure(loaded, samples, chosen, batch_tokens=batch_tokens)
        levels = named.levels(loaded, statistics, chosen, cut)
        return Region(hold_region(levels, cut=cut, granularity=CATALOGUE[method].granularity))


def load_region(path: Path | str) -> Region:
    """A region file, as the pipeline writes it, in memory. Raises `UserError` if it is not a sound one."""
    with open_region(path) as region:
        return Region(HeldRegion(region.header, {name: region.planes(name) for name in region.names}))


def iou(a: Mask, b: Mask) -> float:
    """Elements in both over elements in either, in [0, 1]; NaN where both are empty.

    Raises `UserError` for masks of different models or granularities.
    """
    _require_alike([a, b])
    both = sum(size_of(a.packed(name) & b.packed(name)) for name in a.names)
    either = len(a) + len(b) - both
    return both / either if either else float("nan")


def refine(safety: Mask, utility: Sequence[Mask]) -> Mask:
    """What of a safety region no utility region holds: S \\ (U1 | U2 | ...), Wei et al. 2024, arXiv 2402.05162, eq. 4.

    Raises `UserError` for masks of different models or granularities, and without a utility region.
    """
    if not utility:
        raise UserError("no utility region", expected="at least one to refine with")
    _require_alike([safety, *utility])
    return Mask(safety.header, without(safety.packed, union([mask.packed for mask in utility])))


@contextmanager
def ablate(model: Any, mask: Mask, replace: str = "zero") -> Iterator[int]:
    """While open, the model is without the mask's elements: their weights are zero, or with `replace="mean"` the mean
    of their matrix. Gives the number of weights; afterwards every weight has the bits that it had.

    Raises `UserError` for a mask of another model, or of adapter weights.
    """
    layout = layout_of(model)
    check_owner(mask.header, layout)
    with ablated(projections(model), lambda name: expand(name, mask.packed, mask.header, layout), replace) as number:
        yield number


@dataclass(frozen=True, eq=False)
class Run:
    """A report that the pipeline wrote, as tables."""

    folder: Path

    @property
    def names(self) -> list[str]:
        """Of the tables: `iou`, `verdicts`, `ceiling`, ..."""
        return sorted(path.stem for path in self.folder.glob("*.csv"))

    def __getitem__(self, name: str) -> pd.DataFrame:
        """A table by its name (docs/report.md). Raises `UserError` for one that the report has not."""
        if name not in self.names:
            raise UserError(f"no table {name!r}", where=str(self.folder), hint=did_you_mean(name, self.names))
        return pd.read_csv(self.folder / f"{name}.csv", keep_default_na=False, na_values=[""])

    @property
    def metrics(self) -> dict:
        """The headline numbers, by model, method and name."""
        return load_json((self.folder / "metrics.json").read_text())


def load_run(folder: Path | str) -> Run:
    """A report's folder: `results/report/NAME.DIGEST`, or `figures/NAME` where it is published.

    Raises `UserError` if it is none.
    """
    folder = Path(folder)
    if not (folder / "verdicts.csv").is_file():
        raise UserError(
            "no report", where=str(folder), expected="a folder with verdicts.csv", hint="snakemake makes it"
        )
    return Run(folder)


def _of_pairs() -> list[str]:
    """Methods that look at pairs alone."""
    return [name for name, info in CATALOGUE.items() if not info.prompts and not info.needs_adapter]


def _known(name: str, header: Header) -> str:
    if name not in header.shapes:
        raise UserError(f"no matrix {name!r}", expected="one of the region's", hint=did_you_mean(name, header.shapes))
    return name


def _require_alike(masks: Sequence[Mask]) -> None:
    of = [(mask.header.granularity, mask.header.shapes) for mask in masks]
    if any(one != of[0] for one in of):
        raise UserError(
            "masks of different matrices",
            expected="masks of one model, of methods with the same kind of elements",
            hint="regions of different models cannot be compared",
        )


@contextmanager
def _frozen(model: Any) -> Iterator[None]:
    """While open, the model is in evaluation mode and no weight asks for a gradient."""
    training, asking = model.training, [p for p in model.parameters() if p.requires_grad]
    model.requires_grad_(False).eval()
    try:
        yield
    finally:
        model.train(training)
        for parameter in asking:
            parameter.requires_grad_(True)
