"""The step that fine-tunes under a constraint: which weights it freezes, and what its tables say."""

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from constrain_case import LORA, OPTIONS, Constrained
from random_masks import packed, random_masks

from safety_regions.constraining import table
from safety_regions.errors import UserError
from safety_regions.models import behaviour
from safety_regions.models.architecture import layout_of, projections
from safety_regions.models.load import load_model, load_once
from safety_regions.models.outcomes import Outcome
from safety_regions.planning.recipes.constrain import NOTHING, REWOUND, Mask
from safety_regions.planning.recipes.data import OfSet
from safety_regions.regions.format import Header, open_region, read_levels
from safety_regions.regions.masks import in_at_least, unpack
from safety_regions.regions.owned_weights import expand
from safety_regions.steps import constrain as step
from safety_regions.steps.constrain import _Found
from safety_regions.steps.entry import Entry

CONDITIONS = ["refined", "raw", "random_refined", "magnitude_refined", "utility_refined", "harmless_refined"]


def by_bytes(text, prompt):
    """Random models say random things: the sum of the bytes stands for what they mean."""
    return list(Outcome)[sum(text.encode()) % len(Outcome)]


@pytest.fixture(scope="module", params=["weight", "neuron", "layer"])
def case(request, tmp_path_factory):
    load_once.cache_clear()
    return Constrained(tmp_path_factory.mktemp("constrain") / "case", request.param)


@pytest.fixture(scope="module", params=["weight", "neuron"])
def elements(request, tmp_path_factory):
    """Of methods that have controls beside random ones."""
    load_once.cache_clear()
    return Constrained(tmp_path_factory.mktemp("constrain") / "elements", request.param)


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(behaviour, "outcome_of", by_bytes)


def masks_of(case, condition):
    """The weights that a condition means, by matrix; and the loaded model."""
    recipe = case.recipe(condition)
    entry = Entry("out", recipe, case.given(recipe))
    loaded = load_model(case.inputs["model"], "cpu", "float32")
    with ExitStack() as stack:
        words = _Found(entry, loaded, stack).weights(Mask.parse(condition))
        return {p.name: unpack(words(p.name), p.shape) for p in projections(loaded.model)}, loaded


def owned(case, masks):
    """What elements own of each matrix."""
    loaded = load_model(case.inputs["model"], "cpu", "float32")
    header = Header("", (0.1,), "matrix", {n: m.shape for n, m in masks.items()}, {}, case.case.granularity)
    layout = layout_of(loaded.model)
    return {p.name: unpack(expand(p.name, packed(masks), header, layout), p.shape) for p in projections(loaded.model)}


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in b)


def test_a_region_is_what_enough_sets_agree_on_with_what_is_useful_taken_out(case):
    masks, utility = case.case.masks, case.case.utility
    assert same(masks_of(case, "raw")[0], owned(case, masks))
    left = {name: masks[name] & ~utility[name] for name in masks}
    assert same(masks_of(case, "refined")[0], owned(case, left))
    case.of_method["agree"] = 0.51
    try:
        both = {name: masks[name] & utility[name] for name in masks}
        assert same(masks_of(case, "raw")[0], owned(case, both))
    finally:
        case.of_method["agree"] = 0.5


def test_all_but_the_region_is_frozen_where_only_it_may_move(case):
    region, only = (masks_of(case, condition)[0] for condition in ("refined", "only_refined"))
    assert same({name: ~mask for name, mask in region.items()}, only)


def test_the_control_of_a_region_that_alone_may_move_is_as_large(case):
    """As many random elements of every matrix, none of which is useful."""
    region, only = (masks_of(case, condition)[0] for condition in ("refined", "only_random_refined"))
    moving = {name: ~mask for name, mask in only.items()}
    assert [mask.sum() for mask in moving.values()] != [] and not same(moving, region)
    utility = owned(case, case.case.utility)
    assert not any((mask & utility[name]).any() for name, mask in moving.items())
    if case.case.granularity == "layer":
        assert sum(mask.sum() for mask in moving.values()) == sum(mask.sum() for mask in region.values())
    else:
        assert {name: mask.sum() for name, mask in moving.items()} == {name: m.sum() for name, m in region.items()}


@pytest.mark.parametrize("condition", CONDITIONS[2:])
def test_controls_are_as_large_as_the_region(elements, condition):
    region, control = (masks_of(elements, of)[0] for of in ("refined", condition))
    utility, raw = owned(elements, elements.case.utility), owned(elements, elements.case.masks)
    forbidden = raw if condition == "utility_refined" else utility
    assert not any((mask & forbidden[name]).any() for name, mask in control.items())
    sizes = {name: (region[name].sum(), mask.sum()) for name, mask in control.items()}
    if condition.startswith(("random", "magnitude")):
        assert all(a == b for a, b in sizes.values())
        assert sum(a for a, _ in sizes.values()) > 0
    elif elements.case.granularity == "weight":
        # The utility region, and that of harmless prompts, are the same one here.
        n_left = sum((utility[name] & ~forbidden[name]).sum() for name in utility)
        assert sum(b for _, b in sizes.values()) == min(n_left, sum(a for a, _ in sizes.values()))


def test_first_elements_of_utility_regions_are_those_outside_of_the_region(elements):
    of_method = elements.of_method
    elements.of_method = of_method | {"utility": elements.other_utility}
    try:
        region, raw, control = (masks_of(elements, of)[0] for of in ("refined", "raw", "utility_refined"))
        with open_region(elements.inputs["region/h"]) as opened:
            utility = owned(elements, {name: read_levels(opened, name) > 0 for name in opened.header.shapes})
    finally:
        elements.of_method = of_method
    assert not any((mask & (raw[name] | ~utility[name])).any() for name, mask in control.items())
    n, n_region = (sum(mask.sum() for mask in of.values()) for of in (control, region))
    n_left = sum((utility[name] & ~raw[name]).sum() for name in utility)
    assert n > 0
    if elements.case.granularity == "weight":
        assert n == min(n_left, n_region)


def test_other_seeds_draw_other_controls_and_the_region_is_the_same(tmp_path):
    case = Constrained(tmp_path / "case")
    first = {condition: masks_of(case, condition)[0] for condition in ("refined", "random_refined")}
    case.nothing = type(case.nothing)(**(vars(case.nothing) | {"seed": 2}))
    second = {condition: masks_of(case, condition)[0] for condition in ("refined", "random_refined")}
    assert same(first["refined"], second["refined"]) and not same(first["random_refined"], second["random_refined"])


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_elements_of_at_least_so_many_parts(n):
    parts = [random_masks({"m": (7, 33)}, 0.5, seed) for seed in range(5)]
    counts = sum(part["m"].astype(int) for part in parts)
    assert np.array_equal(unpack(in_at_least([packed(part) for part in parts], n)("m"), (7, 33)), counts >= n)


@pytest.mark.parametrize("options", [{}, LORA], ids=["full", "lora"])
def test_tables_of_a_frozen_region(case, options, stand_in):
    found = case.run(case.recipe("refined", **options), f"refined-{len(options)}")
    frozen = masks_of(case, "refined")[0]
    n_frozen, n = sum(m.sum() for m in frozen.values()), sum(m.size for m in frozen.values())
    facts = found["facts"]["frozen"]
    assert facts["n_weights"] == n_frozen and facts["sha256_before"] == facts["sha256_after"]
    rates, outcomes, moved, course = (found[name] for name in ("constrain", "outcomes", "moved", "course"))
    assert list(rates.columns) == table.COLUMNS and list(outcomes.columns) == table.OUTCOME_COLUMNS
    assert list(rates["checkpoint"]) == ["step 2", "step 4"] and set(rates["condition"]) == {"refined"}
    assert rates["share_of_weights"].iloc[0] == pytest.approx(n_frozen / n, rel=1e-5)
    assert np.exp(rates["benign_loss"]).tolist() == pytest.approx(rates["perplexity"].tolist(), rel=1e-4)
    assert len(outcomes) == 2 * (5 + 4) and set(outcomes["asked"]) == {"harmful", "harmless"}
    for name, rows in outcomes[outcomes["asked"] == "harmful"].groupby("checkpoint"):
        (rate,) = rates["refusal_rate"][rates["checkpoint"] == name]
        assert rate == pytest.approx((rows["outcome"] == "refuses").mean())
    assert list(moved.columns) == table.MOVED_COLUMNS
    assert (moved["change_inside"] == 0).all() and moved["change"].sum() > 0
    assert moved["n_inside"].sum() == n_frozen
    assert list(course["step"]) == [0, 1, 2, 3, 4]
    assert course["benign_loss"].notna().tolist() == [True, False, True, False, True]


def test_the_aligned_model_is_asked_where_nothing_is_frozen(case, stand_in):
    found = case.run(case.recipe(NOTHING), "nothing")
    rates = found["constrain"]
    assert list(rates["condition"]) == ["aligned", "nothing", "nothing"]
    assert list(rates["step"]) == [0, 2, 4] and (rates["share_of_weights"] == 0).all()
    assert rates["benign_loss"].iloc[0] == found["course"]["benign_loss"].iloc[0]
    assert found["facts"]["frozen"]["n_weights"] == 0


def test_rewinding_everything_gives_the_aligned_model_back(case, stand_in):
    names = ["refined", "random_refined", "only_refined"]
    found = case.run(case.recipe(REWOUND, names), "rewound")
    rates, moved = found["constrain"], found["moved"]
    assert list(rates["condition"]) == [f"rewound_{name}" for name in names]
    assert set(rates["checkpoint"]) == {"step 4"}
    of = dict(list(moved.groupby("condition")[["change", "change_inside"]].sum().iterrows()))
    region, rest = of["rewound_refined"], of["rewound_only_refined"]
    assert region["change_inside"] + rest["change_inside"] == pytest.approx(region["change"], rel=1e-4)
    assert 0 < region["change_inside"] < region["change"]


def test_what_is_put_back_shares_the_training_with_nothing_frozen_and_has_the_bytes_of_its_own(
    elements, stand_in, monkeypatch
):
    recipes = [elements.recipe(NOTHING), elements.recipe("refined"), elements.recipe(REWOUND, ["refined", "raw"])]
    alone, shared = ([elements.entry(recipe, f"{how}-{recipe.condition}") for recipe in recipes] for how in "as")
    groups = step.by_training(shared)
    assert [[entry.recipe.condition for entry in group] for group in groups] == [[NOTHING, REWOUND], ["refined"]]
    trained = []
    fine_tuned = step.fine_tuned
    monkeypatch.setattr(step, "fine_tuned", lambda *words: trained.append(words) or fine_tuned(*words))
    for group in [*groups, *([entry] for entry in alone)]:
        step.constrain(group, "cpu")
    assert len(trained) == 2 + 3
    for one, other in zip(alone, shared, strict=True):
        files = sorted(file.name for file in one.path.iterdir())
        assert len(files) >= 4 and files == sorted(file.name for file in other.path.iterdir())
        assert all((one.path / name).read_bytes() == (other.path / name).read_bytes() for name in files)


@pytest.mark.parametrize(
    "other",
    [{"learning_rate": 0.02}, {"seed": 2}, {"benign": []}, {"held_out": []}, {"options": OPTIONS | {"every": 1}}],
)
def test_another_training_is_not_shared(tmp_path, other):
    case = Constrained(tmp_path / "case")
    nothing, rewound = case.recipe(NOTHING), case.recipe(REWOUND, ["refined"])
    assert rewound.training == nothing.training == nothing.digest
    assert replace(rewound, **other).training != nothing.training


def test_a_pair_without_a_response_is_refused(tmp_path):
    case = Constrained(tmp_path / "case")
    case.inputs["benign/texts"] = case.inputs["harmful/harmful"]
    (harmful,) = case.nothing.harmful
    case.nothing = type(case.nothing)(**(vars(case.nothing) | {"benign": [OfSet("texts", harmful.digest)]}))
    with pytest.raises(UserError) as error:
        case.run(case.recipe(NOTHING), "out")
    assert error.value.found == "no response of the set's own"
    assert "constrain.benign" in str(error.value)
