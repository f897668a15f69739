"""Regions on the weights they own, against loops and Python sets; methods compared on them."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from random_masks import header_for
from random_models import ARCHITECTURES, random_model, varied_model

from safety_regions.artifacts import receipts
from safety_regions.config.architectures import kinds_of as config_kinds
from safety_regions.errors import UserError
from safety_regions.models.architecture import layout_of
from safety_regions.models.folder import save
from safety_regions.overlap.across_methods import Question, compare
from safety_regions.planning.recipes.tables import AcrossRecipe
from safety_regions.regions.format import pack, write_region
from safety_regions.regions.masks import unpack
from safety_regions.regions.owned_weights import KINDS, Layout, expand, fitting, own_shapes
from safety_regions.regions.select import Cut, level_of
from safety_regions.steps.across import across, read_layout
from safety_regions.steps.entry import Entry

GRID = (0.1, 0.3)
SAFETY, UTILITY = ["a", "b"], ["u", "v"]
QUESTION = Question(SAFETY, UTILITY, q=0.3, p=0.1)
NO_GATE = tuple(kind for kind in KINDS if kind != "gate")
METHODS = {"snip": "weight", "wanda": "weight", "safeneuron": "neuron", "safelayer": "layer"}


def layout_with(hidden=6, heads=4, kv_heads=2, head_dim=3, ffn=5, layers=3, kinds=KINDS):
    shapes = {
        "q": (heads * head_dim, hidden),
        "k": (kv_heads * head_dim, hidden),
        "v": (kv_heads * head_dim, hidden),
        "o": (hidden, heads * head_dim),
        "gate": (ffn, hidden),
        "up": (ffn, hidden),
        "down": (hidden, ffn),
    }
    return Layout({f"{n}.{kind}": shapes[kind] for n in range(layers) for kind in kinds}, heads, kv_heads, head_dim)


LAYOUT = layout_with()


def kinds_of(layout):
    return [name.removeprefix("0.") for name in layout.shapes if name.startswith("0.")]


def literally_owned(granularity, elements, layout):
    """The weights, as (matrix, row, column), that the elements (matrix, row, column) of a region own."""
    weights = set()
    hidden = layout.shapes["0.q"][1]
    for own, row, column in elements:
        layer, kind = own.split(".")
        if granularity == "weight":
            weights.add((own, row, column))
        elif granularity == "layer":
            for of in kinds_of(layout):
                rows, columns = layout.shapes[f"{layer}.{of}"]
                weights |= {(f"{layer}.{of}", i, j) for i in range(rows) for j in range(columns)}
        elif kind == "ffn":
            inner = [of for of in ("gate", "up") if of in kinds_of(layout)]
            weights |= {(f"{layer}.{of}", column, j) for of in inner for j in range(hidden)}
            weights |= {(f"{layer}.down", i, column) for i in range(hidden)}
        else:
            weights |= {(own, column, j) for j in range(hidden)}
            if kind == "v":
                for head in range(layout.n_heads):
                    if head // (layout.n_heads // layout.n_kv_heads) == column // layout.head_dim:
                        at = head * layout.head_dim + column % layout.head_dim
                        weights |= {(f"{layer}.o", i, at) for i in range(hidden)}
    return weights


def random_levels(granularity, layout, seed):
    """Levels of a region's own matrices; a layer's region is a range, the same at every fraction."""
    random = np.random.default_rng(seed)
    shapes = own_shapes(granularity, layout)
    if granularity != "layer":
        return {own: random.integers(0, len(GRID) + 1, shape, dtype=np.uint8) for own, shape in shapes.items()}
    first, last = sorted(random.integers(0, layout.n_layers, 2))
    return {own: np.full((1, 1), len(GRID) * (first <= n <= last), np.uint8) for n, own in enumerate(shapes)}


def elements_of(levels, fraction):
    level = level_of(GRID, fraction)
    return {(own, int(i), int(j)) for own, matrix in levels.items() for i, j in np.argwhere(matrix >= level)}


def write(path, levels, granularity, digest="0" * 64):
    write_region(path, levels.items(), recipe_digest=digest, cut=Cut(GRID, "matrix"), granularity=granularity)
    return path


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("granularity", ["weight", "neuron", "layer"])
@pytest.mark.parametrize("kinds", [KINDS, NO_GATE], ids=["gate", "no gate"])
def test_expansion_equals_the_loops(granularity, heads, kinds):
    layout = layout_with(heads=heads[0], kv_heads=heads[1], kinds=kinds)
    assert layout.n_layers == 3
    levels = random_levels(granularity, layout, seed=heads[1])
    header, found = header_for(granularity, own_shapes(granularity, layout)), set()
    for name, shape in layout.shapes.items():
        words = expand(name, lambda own: pack(levels[own] > 0), header, layout)
        np.testing.assert_array_equal(words, pack(unpack(words, shape)))
        found |= {(name, int(i), int(j)) for i, j in np.argwhere(unpack(words, shape))}
    assert found == literally_owned(granularity, elements_of(levels, 0.3), layout) != set()


ONE_HEAD_OF_KEYS = ["gpt_bigcode"]
FOUR_HEADS_OF_KEYS = [
    *(
        "biogpt",
        "bloom",
        "codegen",
        "ctrl",
        "gpt-sw3",
        "gpt2",
        "gpt_neo",
        "gpt_neox",
        "gpt_neox_japanese",
        "gptj",
        "mpt",
        "opt",
    ),
    *("modernbert-decoder", "openai-gpt", "persimmon", "xglm"),
]
FOUR_TIMES_AS_WIDE = ["bloom", "codegen", "falcon", "gpt_bigcode", "gpt_neox_japanese", "gptj", "mpt", "openai-gpt"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layout_of_a_model_has_its_heads_and_shapes(architecture):
    layout = layout_of(varied_model(architecture).model)
    n_kv_heads = 1 if architecture in ONE_HEAD_OF_KEYS else 4 if architecture in FOUR_HEADS_OF_KEYS else 2
    assert (layout.n_heads, layout.n_kv_heads, layout.head_dim, layout.n_layers) == (4, n_kv_heads, 8, 2)
    keys, inner = (8 * n_kv_heads, 32), 128 if architecture in FOUR_TIMES_AS_WIDE else 48
    shapes = {"q": (32, 32), "k": keys, "v": keys, "o": (32, 32)}
    shapes |= {"gate": (inner, 32)} if "gate" in config_kinds(architecture) else {}
    shapes |= {"up": (inner, 32), "down": (32, inner)}
    assert list(layout.shapes.items())[len(shapes) :] == [(f"1.{kind}", shape) for kind, shape in shapes.items()]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Region files of methods of every granularity, their levels, and the table that compares them."""
    folder = tmp_path_factory.mktemp("across")
    paths, levels = {}, {}
    for number, (method, granularity) in enumerate(METHODS.items()):
        levels[method] = {s: random_levels(granularity, LAYOUT, [number, ord(s)]) for s in SAFETY + UTILITY}
        paths[method] = {s: write(folder / f"{method}.{s}", of, granularity) for s, of in levels[method].items()}
    return paths, levels, compare(paths, LAYOUT, QUESTION)


def literal_elements(levels, method, name, stage):
    """A region's elements in its own granularity; refined before anything is expanded."""
    of = levels[method]
    raw = elements_of(of[name], QUESTION.q)
    return raw if stage == "raw" else raw - elements_of(of["u"], QUESTION.p) - elements_of(of["v"], QUESTION.p)


def test_table_equals_python_sets(compared):
    _, levels, table = compared
    for row in table.itertuples():
        a, b = (
            literally_owned(METHODS[m], literal_elements(levels, m, row.set, row.stage), LAYOUT) for m in (row.a, row.b)
        )
        assert (row.size_a, row.size_b, row.intersection, row.union) == (len(a), len(b), len(a & b), len(a | b))
        assert row.iou == pytest.approx(len(a & b) / len(a | b) if a | b else np.nan, nan_ok=True)
        smaller = min(len(a), len(b))
        assert row.overlap_coefficient == pytest.approx(len(a & b) / smaller if smaller else np.nan, nan_ok=True)
        assert (row.granularity_a, row.granularity_b) == (METHODS[row.a], METHODS[row.b])
    assert (table.intersection > 0).sum() > len(table) / 2


def test_every_pair_of_methods_is_there_once_per_set_and_stage(compared):
    keys = compared[2][["set", "stage", "a", "b"]]
    pairs = list(itertools.combinations(METHODS, 2))
    assert not keys.duplicated().any() and len(keys) == len(SAFETY) * 2 * len(pairs)
    assert set(keys[["a", "b"]].itertuples(index=False, name=None)) == set(pairs)


def literal_chances(levels, method, name, stage):
    """The chance of each weight to be in a random region in the method's place, for each place of a range; what
    refinement removed has none.
    """
    weights = {(m, i, j) for m, (rows, columns) in LAYOUT.shapes.items() for i in range(rows) for j in range(columns)}
    real = literally_owned(METHODS[method], literal_elements(levels, method, name, stage), LAYOUT)
    closed = set()
    if stage == "refined":
        closed = literally_owned(
            METHODS[method], elements_of(levels[method]["u"], 0.1) | elements_of(levels[method]["v"], 0.1), LAYOUT
        )
    if METHODS[method] == "layer":
        length, n = len(elements_of(levels[method][name], QUESTION.q)), LAYOUT.n_layers
        places = [range(start, start + length) for start in range(n - length + 1) if length]
        return [
            {weight: float(weight not in closed and int(weight[0].split(".")[0]) in place) for weight in weights}
            for place in places
        ]
    chances = dict.fromkeys(weights, 0.0)
    for matrix in LAYOUT.shapes:
        places = {w for w in weights - closed if w[0] == matrix}
        for weight in places:
            chances[weight] = len(real & places) / len(places)
    return [chances]


def test_floor_is_the_mean_over_places_of_expected_intersection_over_expected_union(compared):
    _, levels, table = compared
    for row in table.itertuples():
        ratios = []
        for s, t in itertools.product(*(literal_chances(levels, m, row.set, row.stage) for m in (row.a, row.b))):
            inside = sum(s[w] * t[w] for w in s)
            either = sum(s[w] + t[w] - s[w] * t[w] for w in s)
            ratios += [inside / either] if either else []
        assert row.floor_iou == pytest.approx(np.mean(ratios) if ratios else np.nan, nan_ok=True)


def test_equal_densities_have_the_closed_form_floor(tmp_path):
    """Two methods of the same granularity with half of every matrix: q/(2-q)."""
    half = {name: np.zeros(shape, np.uint8) for name, shape in LAYOUT.shapes.items()}
    for matrix in half.values():
        matrix.reshape(-1)[::2] = 2
    nothing = {name: np.zeros(shape, np.uint8) for name, shape in LAYOUT.shapes.items()}
    paths = {
        m: {"a": write(tmp_path / f"{m}a", half, "weight"), "u": write(tmp_path / f"{m}u", nothing, "weight")}
        for m in ("x", "y")
    }
    table = compare(paths, LAYOUT, Question(["a"], ["u"], 0.3, 0.1))
    assert table.iou.tolist() == [1, 1]
    assert table.floor_iou.to_numpy() == pytest.approx(0.5 / 1.5)


def test_regions_of_adapters_and_of_other_models_are_refused(tmp_path, compared):
    paths = dict(compared[0]["safeneuron"])
    adapter = {"0.q_a": np.zeros((2, 6), np.uint8)}
    for path, match in [
        (write(tmp_path / "x", adapter, "adapter"), "adapter weights"),
        (write(tmp_path / "y", adapter, "weight"), "not those of this model"),
    ]:
        with pytest.raises(UserError, match=match):
            compare({"snip": {**paths, "a": path}}, LAYOUT, QUESTION)


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    """A prepared model's folder, regions with receipts, and the recipe that compares them."""
    folder = tmp_path_factory.mktemp("step")
    loaded = random_model("phi3", num_hidden_layers=1)
    (folder / "model").mkdir()
    save(loaded.model, loaded.tokenizer, folder / "model")
    layout = layout_of(loaded.model)
    inputs = {"model": folder / "model"}
    digests = {}
    for method in ("snip", "safeneuron"):
        for name in ("a", "u"):
            of = {"method": method, "set": name}
            path = folder / f"{method}.{name}"
            write(
                path,
                random_levels(METHODS[method], layout, [len(method), ord(name)]),
                METHODS[method],
                receipts.recipe_digest(of),
            )
            digests.setdefault(method, {})[name] = receipts.write(path, of, {}).digest
            inputs[f"{method}/{name}"] = path
    model = receipts.write(folder / "model", {"kind": "model"}, {}).digest
    recipe = AcrossRecipe(model=model, regions=digests, safety=["a"], utility=["u"], q=0.3, p=0.1)
    return folder, inputs, recipe, layout


def test_step_writes_the_table_and_a_receipt_with_the_same_bytes(step):
    folder, inputs, recipe, layout = step
    (folder / "model/model.safetensors").unlink()
    for output in ("one", "two"):
        across(Entry(folder / output, recipe, inputs))
    assert receipts.check(folder / "one").files == receipts.check(folder / "two").files
    assert (
        read_layout(inputs["model"], recipe.model)
        == read_layout(inputs["model"], recipe.model, layout.shapes)
        == layout
    )
    paths = {m: {s: inputs[f"{m}/{s}"] for s in ("a", "u")} for m in ("snip", "safeneuron")}
    expected = compare(paths, layout, Question(["a"], ["u"], 0.3, 0.1))
    pd.testing.assert_frame_equal(pd.read_csv(folder / "one/across.csv"), expected, check_exact=False, rtol=1e-8)


def test_missing_and_foreign_inputs_are_named(step, tmp_path):
    _, inputs, recipe, _ = step
    with pytest.raises(UserError, match="snip/u"):
        across(Entry(tmp_path, recipe, {role: path for role, path in inputs.items() if role != "snip/u"}))
    with pytest.raises(UserError, match="made by recipe"):
        across(Entry(tmp_path, recipe, {**inputs, "snip/u": inputs["snip/a"]}))
    with pytest.raises(UserError, match="made by recipe"):
        across(Entry(tmp_path, replace(recipe, model="0" * 64), inputs))


FFN = {f"{layer}.{kind}": (2, 3) for layer in (0, 1) for kind in ("up", "down")}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"0.up": (2, 3), "1.up": (2, 4)}, "expected: shape (2, 3)"),
        ({"0.up": (1, 3), "1.up": (2, 3)}, "expected: shape (2, 3)"),
        ({"0.up": (2, 3), "2.up": (2, 3)}, "expected: matrices of the model"),
        ({"0.up": (2, 3)}, "expected: each of these once: 0.up, 1.up"),
        ({}, "levels of the matrices none"),
    ],
)
def test_levels_that_are_no_region_of_the_model_are_refused(given, said):
    levels = ((name, np.zeros(shape, np.uint8)) for name, shape in given.items())
    with pytest.raises(UserError, match=re.escape(said)):
        list(fitting(levels, FFN, "method toy"))


def test_levels_of_some_kinds_in_any_order_of_layers_are_a_region():
    levels = ((name, np.zeros((2, 3), np.uint8)) for name in ("1.up", "0.up"))
    assert [name for name, _ in fitting(levels, FFN, "method toy")] == ["1.up", "0.up"]
