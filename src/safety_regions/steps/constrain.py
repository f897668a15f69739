"""A model and conditions in, four tables of each out: what it refuses in the course of a fine-tuning on benign pairs.

A condition freezes a region or a control of its size, or nothing. With nothing frozen, weights are put back at the end
and the model is asked again: `rewound`. Conditions with the same training share it.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from safety_regions.config.constrain import Constrain
from safety_regions.constraining.finetune import Checkpoint, Course, Lora, Tuning, fine_tuned
from safety_regions.constraining.moved import moved
from safety_regions.constraining.places import Places, n_weights, places_of, sha256_of_bits
from safety_regions.constraining.rewind import rewound
from safety_regions.constraining.table import Tables
from safety_regions.errors import UserError
from safety_regions.evaluation.magnitudes import of_neurons, of_weights
from safety_regions.files import canonical_json
from safety_regions.models.architecture import Projection, layout_of, projections
from safety_regions.models.behaviour import Evaluation, Questions, evaluate
from safety_regions.models.judge import Judge
from safety_regions.models.load import LoadedModel
from safety_regions.models.response_loss import ResponseLoss
from safety_regions.models.tokens import Sample
from safety_regions.models.training import Schedule
from safety_regions.planning.recipes.constrain import ALL_BUT, NOTHING, REWOUND, ConstrainRecipe, Mask
from safety_regions.regions.first_elements import first_elements, nest_of
from safety_regions.regions.format import Region, open_region, pack
from safety_regions.regions.masks import Masks, in_at_least, masks_at, union, unpack, without
from safety_regions.regions.owned_weights import check_fit, expand
from safety_regions.regions.random_regions import Magnitudes, count_of, random_as_large, random_like
from safety_regions.steps.entry import Entry
from safety_regions.steps.jobs import grouped
from safety_regions.steps.judged import judged_facts
from safety_regions.steps.questions import own_pairs, prompts_of
from safety_regions.table_files import write_csv

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "pandas")
MOST_TOKENS = 512
"""Of a pair that is trained on: longer ones are cut, and those whose prompt alone is as long are left out."""
ALIGNED = "aligned"
"""The model before training, as a condition of the tables."""


def by_training(entries: Sequence[Entry[ConstrainRecipe]]) -> list[list[Entry[ConstrainRecipe]]]:
    """Entries grouped by what is trained for them, in the order of the first of each group."""
    return grouped(entries, lambda entry: entry.recipe.training)


def constrain(
    entries: Sequence[Entry[ConstrainRecipe]], device: str, known: dict[str, Evaluation] | None = None
) -> None:
    """Write constrain.csv, outcomes.csv, moved.csv, course.csv and the folder's receipt of entries with one training
    (`by_training`).

    Their facts say how many weights were frozen, and the sha256 of their bits before and after training. The model is
    trained and asked in float32. `known` is what the aligned model was found to do; a job's entries share it.

    Inputs by role: `model`, `region/<set>`, `harmless/<name>`, `benign/<set>`, `held_out/<set>`, `harmful/<set>`,
    `over_refusal/<set>`, and `judge` where one tells outcomes. Raises `UserError` for inputs that are missing, damaged,
    or not the recipe's, and for benign pairs without a response.
    """
    first = entries[0]
    loaded = first.model(device, "float32")
    trained, n_left_out = _samples(first, loaded, "benign")
    held_out, _ = _samples(first, loaded, "held_out")
    with ExitStack() as stack:
        asking = [_Asking.of(entry, loaded, held_out, stack, entry.judge(device)) for entry in entries]
        # Several share a training only where nothing is frozen.
        frozen = asking[0].frozen
        before = sha256_of_bits(frozen)
        for asked in asking:
            asked.before({} if known is None else known)

        def at(checkpoint: Checkpoint) -> None:
            for asked in asking:
                asked.at(checkpoint)

        with fine_tuned(loaded, trained, held_out, _tuning(first.recipe), frozen, at) as course:
            after = sha256_of_bits(frozen)
            if before != after:
                raise RuntimeError(f"{first.path}: frozen weights have moved")
            for asked in asking:
                asked.after(course)
    facts = {
        "n_trained_on": len(trained),
        "n_too_long_left_out": n_left_out,
        "n_steps": len(course.losses),
        "frozen": {"n_weights": n_weights(frozen), "sha256_before": before, "sha256_after": after},
    }
    for entry, asked in zip(entries, asking, strict=True):
        for name, table in asked.tables.frames().items():
            write_csv(table, entry.path / f"{name}.csv")
        entry.done(facts | judged_facts(entry, asked.tables.frames()["outcomes"]), versions=VERSIONS)


def share_of(places: Places, matrices: list[Projection]) -> float:
    """Of the scored weights, in [0, 1]."""
    return n_weights(places) / sum(math.prod(p.shape) for p in matrices)


def _tuning(recipe: ConstrainRecipe) -> Tuning:
    options = Constrain.model_validate(recipe.options)
    schedule = Schedule(
        recipe.learning_rate,
        options.steps[-1],
        options.batch_size,
        recipe.seed,
        options.weight_decay,
        mixed=options.precision == "mixed",
    )
    lora = Lora(options.rank, options.alpha) if options.tuning == "lora" else None
    return Tuning(schedule, tuple(options.steps), tuple(options.losses), options.every, lora)


@dataclass(frozen=True)
class _Asking:
    """Asks the model for one artifact, and notes what it does."""

    entry: Entry[ConstrainRecipe]
    loaded: LoadedModel
    held_out: list[Sample]
    matrices: list[Projection]
    chosen: dict[str, Masks]
    """What is frozen or put back, by the mask's name."""
    tables: Tables
    judge: Judge | None

    @classmethod
    def of(
        cls,
        entry: Entry[ConstrainRecipe],
        loaded: LoadedModel,
        held_out: list[Sample],
        stack: ExitStack,
        judge: Judge | None,
    ) -> "_Asking":
        """Before training, since some masks follow from the weights; regions stay open as long as `stack`."""
        recipe = entry.recipe
        found = _Found(entry, loaded, stack)
        chosen = {mask.name: found.weights(mask) for mask in recipe.masks}
        return cls(entry, loaded, held_out, found.matrices, chosen, Tables(recipe.learning_rate, recipe.seed), judge)

    @property
    def condition(self) -> str:
        return self.entry.recipe.condition

    @cached_property
    def frozen(self) -> Places:
        """What keeps its bits in training."""
        masks = self.chosen.get(self.condition)
        return {} if masks is None else places_of(self.matrices, masks)

    @cached_property
    def questions(self) -> Questions:
        """Harmful and harmless prompts; the ordinary responses are the held-out ones."""
        recipe = self.entry.recipe
        harmful = prompts_of(self.entry, "harmful", recipe.harmful)
        harmless = prompts_of(self.entry, "over_refusal", recipe.over_refusal)
        return Questions(harmful, harmless, self.held_out)

    def before(self, known: dict[str, Evaluation]) -> None:
        """The aligned model, where nothing is frozen: the same whatever the learning rate, and the seed."""
        if self.condition != NOTHING:
            return
        recipe = self.entry.recipe
        asked = [recipe.harmful, recipe.over_refusal, recipe.held_out, recipe.judge]
        key = canonical_json([recipe.model, asked, recipe.options["max_new_tokens"]])
        if key not in known:
            known[key] = self._evaluation(damaged=False)
        self.tables.add(ALIGNED, "step 0", 0, 0.0, self.questions, known[key])

    def at(self, checkpoint: Checkpoint) -> None:
        """On the way; where weights are put back, nothing is asked before that."""
        if self.condition == REWOUND:
            return
        share, found = share_of(self.frozen, self.matrices), self._evaluation(responses=checkpoint.benign)
        self.tables.add(self.condition, checkpoint.name, checkpoint.step, share, self.questions, found)

    def after(self, course: Course) -> None:
        """How it was trained, and how far weights have moved; then what is put back."""
        self.tables.add_course(self.condition, course)
        if self.condition == REWOUND:
            self._rewound(course)
        else:
            self.tables.add_moved(self.condition, moved(self.matrices, course.aligned, self.frozen))

    def _rewound(self, course: Course) -> None:
        """With the weights of each mask put back; and how far these had moved."""
        steps = len(course.losses)
        for name, masks in self.chosen.items():
            places = places_of(self.matrices, masks)
            self.tables.add_moved(f"{REWOUND}_{name}", moved(self.matrices, course.aligned, places))
            with rewound(course.aligned, places):
                found = self._evaluation()
            share = share_of(places, self.matrices)
            self.tables.add(f"{REWOUND}_{name}", f"step {steps}", steps, share, self.questions, found)

    def _evaluation(self, *, damaged: bool = True, responses: ResponseLoss | None = None) -> Evaluation:
        most = self.entry.recipe.options["max_new_tokens"]
        return evaluate(self.loaded, self.questions, most, damaged=damaged, responses=responses, judge=self.judge)


class _Found:
    """Which weights a mask means, in a model with the regions of a recipe."""

    def __init__(self, entry: Entry[ConstrainRecipe], loaded: LoadedModel, stack: ExitStack):
        recipe = self.recipe = entry.recipe
        self.matrices, self.layout = projections(loaded.model), layout_of(loaded.model)

        def opened(role: str, sets: list) -> list[Region]:
            return [stack.enter_context(open_region(entry.region(f"{role}/{name}"))) for name, _ in sets or []]

        self.safety, self.utility = opened("region", recipe.safety or []), opened("region", recipe.utility or [])
        self.harmless = opened("harmless", recipe.harmless or [])
        if self.safety:
            self.header = check_fit([*self.safety, *self.utility, *self.harmless], self.layout)

    def weights(self, mask: Mask) -> Masks:
        """Those that its elements own, or all others. A mask for each matrix of the model."""
        masks = self._elements(mask)
        words = {p.name: expand(p.name, masks, self.header, self.layout) for p in self.matrices}
        if mask.what in ALL_BUT:
            words = {p.name: pack(~unpack(words[p.name], p.shape)) for p in self.matrices}
        return words.__getitem__

    def _elements(self, mask: Mask) -> Masks:
        recipe, key = self.recipe, f"{self.recipe.seed}/{mask.name}"
        assert recipe.q is not None and recipe.p is not None and recipe.agree is not None
        enough = max(1, math.ceil(recipe.agree * len(self.safety) - 1e-9))
        raw = in_at_least([masks_at(region, recipe.q) for region in self.safety], enough)
        removed = union([masks_at(region, recipe.p) for region in self.utility])
        region, forbidden = (raw, None) if mask.stage == "raw" else (without(raw, removed), removed)
        makers: dict[str, Callable[[], Masks]] = {
            "region": lambda: region,
            "only": lambda: region,
            "random": lambda: random_like(region, self.header, forbidden, key),
            "only_random": lambda: random_like(region, self.header, forbidden, key),
            "magnitude": lambda: random_as_large(region, self.header, forbidden, self._magnitudes, key),
            "utility": lambda: self._first(self.utility, raw, region, key),
            "harmless": lambda: self._first(self.harmless, removed, region, key),
        }
        return makers[mask.what]()

    def _first(self, regions: list[Region], forbidden: Masks, as_many: Masks, key: str) -> Masks:
        """As many of the first elements of other regions, outside of the forbidden ones."""
        n = sum(count_of(as_many(own)) for own in self.header.shapes)
        found = first_elements(nest_of(regions, forbidden), self.header, n, key)
        return found or (lambda own: np.zeros_like(as_many(own)))

    @cached_property
    def _magnitudes(self) -> Magnitudes:
        if self.header.granularity == "neuron":
            return of_neurons(self.matrices, self.layout)
        return of_weights(self.matrices)


def _samples(entry: Entry[ConstrainRecipe], loaded: LoadedModel, role: str) -> tuple[list[Sample], int]:
    """The pairs of a role as tokens, and how many were too long."""
    pairs = own_pairs(entry, role, getattr(entry.recipe, role), loaded, "constrain.benign")
    kept = [Sample(s.id, s.input_ids[:MOST_TOKENS], s.n_prompt) for s in pairs if s.n_prompt < MOST_TOKENS]
    if not kept:
        raise UserError(
            f"no pair with a prompt of less than {MOST_TOKENS} tokens",
            where=f"{entry.path}, {role}",
            hint="name other sets in constrain.benign",
        )
    return kept, len(pairs) - len(kept)
