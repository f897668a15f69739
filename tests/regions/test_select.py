"""Selection: exactly min(round(fraction * size), positive scores) elements, nested, ties to the lower index, against a
literal sort.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from safety_regions.errors import UserError
from safety_regions.regions.select import MOST_FRACTIONS, Cut, asked, level_of, select
from safety_regions.regions.top_fractions import top_levels

GRIDS = st.lists(st.floats(0.001, 1), min_size=1, max_size=6, unique=True).map(sorted)
# Few distinct values, so that ties at the cut are the rule.
SCORES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([0, 0, 0, -0.0, -1, -np.inf, 1, 2, 3, np.inf]),
)
SCOPES_AND_UNITS = [("matrix", lambda n: n), ("layer", lambda n: n.split(".")[0]), ("model", lambda n: "all")]


def literal_mask(scores, fraction):
    """Sort those above 0 by score descending, then index; take round(fraction * size)."""
    size = len(scores)
    order = sorted((i for i in range(size) if scores[i] > 0), key=lambda i: (-scores[i], i))
    mask = np.zeros(size, bool)
    mask[order[: round(fraction * size)]] = True
    return mask


@given(SCORES, GRIDS)
def test_levels_equal_a_literal_sort_of_each_unit(scores, grid):
    levels = top_levels(scores, grid)
    for unit in range(len(scores)):
        for fraction in grid:
            mask = levels[unit] >= level_of(grid, fraction)
            np.testing.assert_array_equal(mask, literal_mask(scores[unit].tolist(), fraction))


@given(SCORES, GRIDS)
def test_masks_are_nested_and_exact_in_size(scores, grid):
    levels = top_levels(scores, grid)
    assert levels.max(initial=0) <= len(grid)
    for fraction in grid:
        inside = (levels >= level_of(grid, fraction)).sum(axis=1)
        assert (inside == np.minimum(round(fraction * scores.shape[1]), (scores > 0).sum(axis=1))).all()


MATRICES = st.lists(SCORES, min_size=1, max_size=5).map(
    lambda drawn: {f"{i // 2}.{'qv'[i % 2]}": scores for i, scores in enumerate(drawn)}
)


@settings(max_examples=60)
@given(MATRICES, GRIDS, st.sampled_from(SCOPES_AND_UNITS))
def test_units_of_many_zeros_equal_a_literal_sort_of_their_joined_scores(matrices, grid, scope_and_unit):
    """Elements whose score is 0 are in no region, also where the units' matrices are cut together."""
    scope, unit_of = scope_and_unit
    found = dict(select(list(matrices), matrices.__getitem__, Cut(tuple(grid), scope)))
    for unit in {unit_of(name) for name in matrices}:
        own = [name for name in matrices if unit_of(name) == unit]
        scores, levels = (np.concatenate([of[name].reshape(-1) for name in own]) for of in (matrices, found))
        for fraction in grid:
            mask = levels >= level_of(grid, fraction)
            np.testing.assert_array_equal(mask, literal_mask(scores.tolist(), fraction))


@pytest.mark.parametrize("scope", ["row", "matrix", "layer", "model"])
def test_what_is_asked_for_is_what_positive_scores_give(scope):
    scores = {f"{layer}.{kind}": np.ones((3 + layer, 7), np.float32) for layer in range(3) for kind in ("q", "down")}
    cut = Cut((0.05, 0.1, 0.33, 1.0), scope)
    found = dict(select(list(scores), scores.__getitem__, cut))
    held = [sum(int((of >= level_of(cut.grid, f)).sum()) for of in found.values()) for f in cut.grid]
    assert list(asked({name: of.shape for name, of in scores.items()}, cut)) == held


@pytest.mark.parametrize("scope", ["row", "matrix", "layer", "model"])
@pytest.mark.parametrize("shape", [(2, 3), (1, 2**16 + 3)])
def test_without_a_positive_score_nothing_is_inside(scope, shape):
    scores = {name: np.zeros(shape, np.float32) for name in ("0.q", "0.v")}
    scores["0.v"][0, 1] = -1
    scores["0.v"][0, 2] = -0.0
    assert not any(of.any() for _, of in select(list(scores), scores.__getitem__, Cut((0.5, 1.0), scope)))


@pytest.mark.parametrize(("scope", "unit_of"), SCOPES_AND_UNITS)
def test_each_unit_of_a_scope_holds_its_fraction(scope, unit_of):
    generator = np.random.default_rng(0)
    scores = {
        f"{layer}.{kind}": generator.random((5 + layer, 7), np.float32) for layer in range(3) for kind in ("q", "down")
    }
    grid = [0.1, 0.3]
    units: dict[str, list] = {}
    for name, levels in select(list(scores), scores.__getitem__, Cut(tuple(grid), scope)):
        assert levels.shape == scores[name].shape
        units.setdefault(unit_of(name), []).append(levels.reshape(-1))
    for parts in units.values():
        joined = np.concatenate(parts)
        assert [(joined >= 2).sum(), (joined >= 1).sum()] == [round(f * joined.size) for f in grid]


@settings(max_examples=40)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(1, 65536), (1, 65541), (1, 2**18 + 3), (40, 777), (5, 30000)]),
    st.sampled_from(["normal", "few", "equal", "near", "signed", "sparse"]),
    st.sampled_from([(0.001, 0.01, 0.05, 0.2, 1.0), tuple(round(0.06 * k, 2) for k in range(1, MOST_FRACTIONS + 1))]),
)
def test_levels_of_large_units_equal_a_stable_sort(seed, shape, kind, grid):
    generator = np.random.default_rng(seed)
    scores = {
        "normal": lambda: np.abs(generator.standard_normal(shape)),
        "few": lambda: generator.choice([-1.5, -0.0, 0.0, 2, np.inf, -np.inf], shape),
        "equal": lambda: np.full(shape, 0.25),
        "near": lambda: 1 + generator.random(shape) / 1000,
        "signed": lambda: generator.standard_normal(shape) * 1e-39,
        "sparse": lambda: np.where(generator.random(shape) < 0.03, generator.random(shape), 0),
    }[kind]().astype(np.float32)
    expected = np.zeros(shape, np.uint8)
    order = np.argsort(-scores, axis=1, kind="stable")
    for fraction in grid:
        np.put_along_axis(
            expected,
            order,
            np.take_along_axis(expected, order, 1) + (np.arange(shape[1]) < round(fraction * shape[1])),
            1,
        )
    np.testing.assert_array_equal(top_levels(scores, grid), np.where(scores > 0, expected, 0))


@pytest.mark.parametrize("kept", [0, 2**28])
@pytest.mark.parametrize("kind", ["random", "ties"])
def test_a_model_is_cut_as_its_joined_scores_are(monkeypatch, kept, kind):
    """Also if no more than one matrix's scores are kept at a time, and with threads."""
    monkeypatch.setattr("safety_regions.regions.top_fractions.KEPT_BYTES", kept)
    monkeypatch.setenv("SAFETY_REGIONS_THREADS", "2")
    generator = np.random.default_rng(0)
    shapes = {"0.q": (7, 9), "0.down": (300, 400), "1.q": (64, 3)}
    draw = {"random": generator.random, "ties": lambda shape, dtype: generator.integers(-1, 2, shape).astype(dtype)}[
        kind
    ]
    scores = {name: draw(shape, np.float32) for name, shape in shapes.items()}
    grid = (0.01, 0.1, 0.4)
    found = np.concatenate(
        [levels.reshape(-1) for _, levels in select(list(scores), scores.__getitem__, Cut(grid, "model"))]
    )
    joined = np.concatenate([matrix.reshape(-1) for matrix in scores.values()])
    for fraction in grid:
        mask = np.zeros(joined.size, bool)
        mask[np.argsort(-joined, kind="stable")[: round(fraction * joined.size)]] = True
        np.testing.assert_array_equal(found >= level_of(grid, fraction), mask & (joined > 0))


def test_a_grid_has_as_many_fractions_as_four_bits_have_levels():
    """A level is stored in four bits, and one of them says that an element is outside all fractions."""
    fractions = tuple(round(0.01 * k, 2) for k in range(1, 17))
    assert Cut(fractions[:15], "matrix").grid == fractions[:15]
    with pytest.raises(UserError, match="grid"):
        Cut(fractions, "matrix")


def test_rows_are_units_of_scope_row():
    scores = np.random.default_rng(1).random((6, 50), np.float32)
    ((_, levels),) = select(["0.q"], lambda _: scores, Cut((0.1,), "row"))
    assert (levels.sum(axis=1) == 5).all()


def test_nan_scores_are_refused_with_the_matrix_named():
    scores = np.array([[1, np.nan]], np.float32)
    with pytest.raises(UserError, match=r"(?s)1 scores are NaN.*matrix 3\.up"):
        list(select(["3.up"], lambda _: scores, Cut((0.5,), "matrix")))


# The usual NaN, the first and the last of its bits, and the same with a sign.
NANS = [0x7FC00000, 0x7F800001, 0x7FFFFFFF, 0xFFC00000, 0xFF800001, 0xFFFFFFFF]


@pytest.mark.parametrize("bits", NANS)
@pytest.mark.parametrize(
    ("scope", "shape"), [("row", (2, 3)), ("matrix", (300, 300)), ("layer", (2, 3)), ("model", (2, 3))]
)
def test_every_nan_is_refused_in_every_scope_and_size(bits, scope, shape):
    """Large matrices and groups of them are looked at by their bits, small ones and rows by their values."""
    scores = {name: np.ones(shape, np.float32) for name in ("0.q", "0.up")}
    scores["0.up"].view(np.uint32)[1, 2] = bits
    with pytest.raises(UserError, match=r"(?s)1 scores are NaN.*matrix 0\.up"):
        list(select(list(scores), scores.__getitem__, Cut((0.5,), scope)))


@pytest.mark.parametrize(
    ("scope", "shape"), [("row", (2, 4)), ("matrix", (300, 300)), ("layer", (2, 4)), ("model", (2, 4))]
)
def test_infinite_scores_are_the_largest_or_negative_and_no_nan(scope, shape):
    scores = np.ones(shape, np.float32)
    scores[:, 0], scores[:, 1] = -np.inf, np.inf
    grid = (1 / shape[1], 1 - 1 / shape[1])
    ((_, levels),) = select(["0.q"], lambda _: scores, Cut(grid, scope))
    assert (levels[:, 1] == 2).all() and (levels[:, 0] == 0).all() and (levels[:, 2:] == 1).all()


@pytest.mark.parametrize(
    "grid", [(), (0.3, 0.1), (0.1, 0.1), (0.0, 0.1), (0.1, 1.5), tuple(k / 20 for k in range(1, 17))]
)
def test_a_grid_that_no_region_can_have_is_refused(grid):
    assert Cut((0.1, 1.0), "row").grid == (0.1, 1.0)
    with pytest.raises(UserError, match=r"1 to 15 fractions in \(0, 1\] that ascend"):
        Cut(grid, "row")
