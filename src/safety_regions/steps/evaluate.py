"""One model and method in, one table out: what the model does without the regions, and without random ones."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from safety_regions import receipts
from safety_regions.ablate import ablated, random_like, without_entries
from safety_regions.code import code_digests
from safety_regions.config.evaluate import Evaluate
from safety_regions.errors import UserError
from safety_regions.evaluation import Questions, evaluate, removes_more
from safety_regions.expand import Masks, check_fits, expand, layout_of, masks_at, union, without
from safety_regions.jobs import Entry
from safety_regions.models.adapter import LoraAdapter, adapted, load_adapter
from safety_regions.models.architecture import projections
from safety_regions.models.load import LoadedModel, load_once
from safety_regions.models.tokens import Sample, encode_pair
from safety_regions.progress import progress
from safety_regions.regions import Header, Region, open_region
from safety_regions.steps.across import write_csv
from safety_regions.steps.overlap import checked_region, given
from safety_regions.store import canonical_json, read_jsonl

MODULES = tuple(f"safety_regions.{name}" for name in ("ablate", "evaluation", "expand", "refusals", "responses"))
VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "pandas")

VERDICT = "removes_more_than_random"
COLUMNS = [
    "set", "condition", "seed", "share", "share_of_weights", "refusal_rate", "over_refusal_rate", "perplexity",
    "n_harmful", "n_harmless", VERDICT,
]  # fmt: skip

Remove = Callable[[Masks | None], AbstractContextManager[int | None]]
"""Takes a region out of the model while the block is open, or nothing; gives how many of the model's weights that changes."""


@dataclass(frozen=True)
class _Subject:
    """A model, the questions to it, and how regions are taken out of it."""

    loaded: LoadedModel
    questions: Questions
    options: Evaluate
    remove: Remove
    header: Header
    n_weights: int
    """Weights in the model's scored matrices."""

    def share(self, masks: Masks) -> float:
        """The share of the method's elements that are in the masks."""
        shapes = self.header.shapes
        n = sum(int(np.bitwise_count(masks(own)).sum(dtype=np.int64)) for own in shapes)
        return n / sum(rows * columns for rows, columns in shapes.values())

    def without(self, masks: Masks | None) -> dict:
        """What the model does without the elements in the masks, and the share of its weights that this changes."""
        with self.remove(masks) as changed:
            found = evaluate(self.loaded, self.questions, self.options.max_new_tokens)
        return {"share_of_weights": np.nan if changed is None else changed / self.n_weights, **asdict(found)}


def evaluate_regions(entry: Entry, device: str, known: dict[str, dict] | None = None) -> None:
    """Write evaluate.csv and the folder's receipt, whose facts say which regions hold more refusals than random ones.

    Inputs by role: `model`, `region/<set>`, `harmful/<set>`, `over_refusal/<set>`, `texts/<set>`, and for a method on adapters
    `adapter`, which may be the model itself. `known` is what intact models were found to do; a job's entries share it, so
    the same model is asked the same but once. Raises `UserError` for inputs that are missing, damaged, or not the recipe's.
    """
    recipe, inputs = entry.recipe, entry.inputs
    loaded = load_once(given(inputs, "model", "--job"), device, recipe["model"])
    with ExitStack() as stack:
        regions = {}
        for name, digest in [*recipe["safety"], *recipe["utility"]]:
            path = checked_region(given(inputs, f"region/{name}", "--job"), digest)
            regions[name] = stack.enter_context(open_region(path))
        subject = _subject(recipe, inputs, loaded, list(regions.values()))
        removed = union([masks_at(regions[name], recipe["p"]) for name, _ in recipe["utility"]])
        safety = {name: masks_at(regions[name], recipe["q"]) for name, _ in recipe["safety"]}
        table, verdicts = evaluation_table(
            subject, safety, removed, _intact(recipe, subject, {} if known is None else known)
        )
    write_csv(table, entry.path / "evaluate.csv")
    facts = {"removes_more_than_random": verdicts}
    receipts.write(entry.path, recipe, facts, versions=VERSIONS, code=code_digests(*MODULES))


def _intact(recipe: dict, subject: _Subject, known: dict[str, dict]) -> dict:
    """What the model does with nothing taken out; an adapter that is not merged is part of it."""
    asked = {key: recipe[key] for key in ("model", "harmful", "over_refusal", "texts")}
    key = canonical_json([asked, recipe.get("adapter", recipe["model"]), subject.options.max_new_tokens])
    if key not in known:
        known[key] = {"share": 0.0, **subject.without(None), "share_of_weights": 0.0}
    return known[key]


def evaluation_table(
    subject: _Subject, safety: dict[str, Masks], removed: Masks, intact: dict
) -> tuple[pd.DataFrame, dict]:
    """One row per set, condition and random region; and for each set and stage, whether the region removes more refusals than
    any of its random regions. `share` is that of the method's elements taken out, `share_of_weights` that of the model's weights.
    """
    rows: list[dict] = []
    verdicts: dict[str, dict[str, bool]] = {}
    with progress(2 * len(safety), "evaluating", "regions") as bar:
        for name, raw in safety.items():
            rows.append({"set": name, "condition": "intact", **intact})
            verdicts[name] = {}
            for stage, masks, forbidden in (("raw", raw, None), ("refined", without(raw, removed), removed)):
                region, *controls = _without_region(subject, intact, masks, forbidden, f"{name}/{stage}")
                verdict = removes_more(intact["refusal_rate"], region["refusal_rate"], [row["refusal_rate"] for row in controls])  # fmt: skip
                rows.append({"set": name, "condition": stage, **region, VERDICT: verdict})
                rows += [{"set": name, "condition": f"random_{stage}", **row} for row in controls]
                verdicts[name][stage] = verdict
                bar.update(1)
    return pd.DataFrame(rows, columns=COLUMNS), verdicts


def _without_region(subject: _Subject, intact: dict, masks: Masks, forbidden: Masks | None, key: str) -> list[dict]:
    """What the model does without a region, then without each of its random ones; all the same if the region is empty."""
    header, first = subject.header, subject.options.seed
    share, seeds = subject.share(masks), range(first, first + subject.options.n_random)
    if share == 0:
        return [intact, *({**intact, "seed": seed} for seed in seeds)]
    rows = [{"share": share, **subject.without(masks)}]
    for seed in seeds:
        control = random_like(masks, header.shapes, header.granularity, forbidden, f"{seed}/{key}")
        rows.append({"share": share, "seed": seed, **subject.without(control)})
    return rows


def _subject(recipe: dict, inputs: dict[str, Path], loaded: LoadedModel, regions: list[Region]) -> _Subject:
    options = Evaluate.model_validate(recipe["options"])
    header, matrices = regions[0].header, projections(loaded.model)
    remove = _from_adapter(recipe, inputs, loaded, regions, options) if header.granularity == "adapter" else _from_weights(loaded, regions, options)  # fmt: skip
    n_weights = sum(rows * columns for rows, columns in (p.shape for p in matrices))
    return _Subject(loaded, _questions(recipe, inputs, loaded), options, remove, header, n_weights)


def _from_weights(loaded: LoadedModel, regions: list[Region], options: Evaluate) -> Remove:
    layout, matrices = layout_of(loaded.model), projections(loaded.model)
    for region in regions:
        check_fits(region, layout)
    granularity = regions[0].header.granularity

    def remove(masks: Masks | None) -> AbstractContextManager[int | None]:
        if masks is None:
            return ablated([], lambda name: np.empty(0, np.uint64), options.replace)
        return ablated(matrices, lambda name: expand(name, masks, granularity, layout), options.replace)

    return remove


def _from_adapter(
    recipe: dict, inputs: dict[str, Path], loaded: LoadedModel, regions: list[Region], options: Evaluate
) -> Remove:
    receipts.check(given(inputs, "adapter", "--job"), recipe["adapter"])
    adapter = load_adapter(inputs["adapter"], loaded.model)
    for region in regions:
        if region.header.shapes != _factor_shapes(adapter):
            raise UserError("its matrices are not those of the adapter", where=str(region.path), expected=f"the factors of {inputs['adapter']}")  # fmt: skip
    merged = recipe["adapter"] == recipe["model"]

    def remove(masks: Masks | None) -> AbstractContextManager[int | None]:
        if masks is None:
            return nullcontext() if merged else adapted(loaded, adapter)
        return adapted(loaded, without_entries(adapter, masks, options.replace, merged=merged))

    return remove


def _factor_shapes(adapter: LoraAdapter) -> dict[str, tuple[int, int]]:
    return {f"{name}_{factor}": tuple(x.shape) for name, pair in adapter.factors.items() for factor, x in zip("ab", pair, strict=True)}  # type: ignore[misc] # fmt: skip


def _questions(recipe: dict, inputs: dict[str, Path], loaded: LoadedModel) -> Questions:
    texts = [_text(row, loaded, path) for path, rows in _prompts(recipe, inputs, "texts") for row in rows]
    asked = {role: [row["prompt"] for _, rows in _prompts(recipe, inputs, role) for row in rows] for role in ("harmful", "over_refusal")}  # fmt: skip
    return Questions(asked["harmful"], asked["over_refusal"], texts)


def _prompts(recipe: dict, inputs: dict[str, Path], role: str) -> Iterator[tuple[Path, list[dict]]]:
    for name, digest in recipe[role]:
        path = given(inputs, f"{role}/{name}", "--job")
        receipts.check(path, digest)
        yield path, read_jsonl(path)


def _text(row: dict, loaded: LoadedModel, path: Path) -> Sample:
    if not row["response"]:
        raise UserError("no response of the set's own", where=f"{path}, row {row['id']}", expected="a `response` column in the dataset registry, for evaluate.utility", hint="name other sets in evaluate.utility")  # fmt: skip
    return encode_pair(loaded.tokenizer, row["prompt"], row["response"], eos_ids=loaded.eos_ids, plain_template=loaded.plain_template, id=row["id"])  # fmt: skip
