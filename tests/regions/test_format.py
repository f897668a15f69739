"""The region file: what is written is read, bytes repeat, damage is seen."""

import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from safety_regions.errors import UserError
from safety_regions.regions import format
from safety_regions.regions.format import at_least, open_region, pack, read_levels, write_region
from safety_regions.regions.select import Cut

GRIDS = st.integers(1, 15).map(lambda n: [(i + 1) / 20 for i in range(n)])
tmp = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def levels_of(grid):
    shape = hnp.array_shapes(min_dims=2, max_dims=2, max_side=30)
    return st.dictionaries(
        st.sampled_from(["0.q", "0.down", "1.up"]),
        hnp.arrays(np.uint8, shape, elements=st.integers(0, len(grid))),
        min_size=1,
    )


@tmp
@given(st.data())
def test_levels_and_masks_survive_the_file(tmp_path, data):
    grid = data.draw(GRIDS)
    levels = data.draw(levels_of(grid))
    path = tmp_path / "r.safetensors"
    header = write_region(path, levels.items(), recipe_digest="d" * 64, cut=Cut(tuple(grid), "row"))
    with open_region(path) as region:
        assert region.header == header
        assert region.names == list(levels)
        for name, matrix in levels.items():
            np.testing.assert_array_equal(read_levels(region, name), matrix)
            for level in range(1, len(grid) + 1):
                np.testing.assert_array_equal(at_least(region.planes(name), level), pack(matrix >= level))
                assert header.counts[name][len(grid) - level] == (matrix >= level).sum()


def test_equal_regions_have_equal_bytes(tmp_path):
    levels = {"0.q": np.arange(60, dtype=np.uint8).reshape(6, 10) % 4, "0.k": np.ones((3, 3), np.uint8)}
    for name in ("a", "b"):
        write_region(tmp_path / name, levels.items(), recipe_digest="0" * 64, cut=Cut((0.1, 0.2, 0.3), "matrix"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.fixture
def sound(tmp_path):
    levels = {"0.q": (np.random.default_rng(0).random((40, 50)) < 0.2).astype(np.uint8)}
    path = tmp_path / "region.safetensors"
    write_region(path, levels.items(), recipe_digest="0" * 64, cut=Cut((0.2,), "matrix"))
    return path


def read_all(path):
    with open_region(path) as region:
        return [region.planes(name) for name in region.names]


def with_header(path, change):
    """Rewrite the header's JSON after `change`, keeping the file otherwise well-formed."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    outer = json.loads(raw[8 : 8 + length])
    inner = json.loads(outer["__metadata__"]["region"])
    change(inner)
    outer["__metadata__"]["region"] = json.dumps(inner)
    text = json.dumps(outer).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


@pytest.mark.parametrize("keep", [0, 7, 40, -1])
def test_a_truncated_file_is_refused(sound, keep):
    sound.write_bytes(sound.read_bytes()[:keep])
    with pytest.raises(UserError, match="not a sound region file"):
        read_all(sound)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(format="other"),
        lambda h: h.update(version=2),
        lambda h: h.update(grid=[0.2, 0.1]),
        lambda h: h.update(grid=[]),
        lambda h: h.update(grid=[2.0]),
        lambda h: h.pop("counts"),
        lambda h: h.update(counts={"0.q": [1, 2]}),
        lambda h: h.update(shapes=[["0.q", [40, 51]]]) or h.update(shapes=[["0.q", [400, 50]]]),
        lambda h: h.update(shapes=[["0.q", [0, 50]]]),
        lambda h: h.update(shapes=[["0.k", [40, 50]]]),
        lambda h: h.update(shapes=7),
        lambda h: h.update(scope="neuron"),
        lambda h: h.update(recipe_digest="0"),
        lambda h: h.update(counts={"0.q": [h["counts"]["0.q"][0] + 1]}),
    ],
)
def test_a_header_that_does_not_fit_is_refused(sound, change):
    with_header(sound, change)
    with pytest.raises(UserError, match="not a sound region file"):
        read_all(sound)


def test_a_missing_file_is_named(tmp_path):
    with (
        pytest.raises(UserError, match=r"(?s)missing.*nowhere\.safetensors"),
        open_region(tmp_path / "nowhere.safetensors"),
    ):
        pass


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(grid=[0.0]),
        lambda h: h.update(grid=[-0.2]),
        lambda h: h.update(grid=["0.2"]),
        lambda h: h.update(grid=[True]),
        lambda h: h.update(grid=[0.2, 0.2], counts={"0.q": h["counts"]["0.q"] * 2}),
        lambda h: h.update(grid=[0.2, 0.3], counts={"0.q": [h["counts"]["0.q"][0], 0]}),
        lambda h: h.update(counts={"0.q": []}),
        lambda h: h.update(counts={"0.q": [float(h["counts"]["0.q"][0])]}),
        lambda h: h.update(shapes=[["0.q", [50, 40]]], counts={"0.q": [0]}),
        lambda h: h.update(shapes=[["0.q", [2000, 0]]]),
        lambda h: h.update(shapes=[["0.q", [-40, -50]]]),
        lambda h: h.update(shapes=[["0.q", [40.0, 50]]]),
        lambda h: h.update(shapes=[["0.q", [40, 50]], ["0.q", [40, 50]]]),
        lambda h: h.update(shapes=[["0.q", [40, 50]], ["0.k", [40, 50]]], counts=h["counts"] | {"0.k": [0]}),
        lambda h: h.update(shapes=[]),
        lambda h: h.update(granularity="matrix"),
        lambda h: h.update(recipe_digest="0" * 63),
        lambda h: h.update(recipe_digest="0" * 65),
        lambda h: h.update(recipe_digest="G" * 64),
    ],
)
def test_a_header_that_says_what_no_region_can_be_is_refused(sound, change):
    with_header(sound, change)
    with pytest.raises(UserError, match="not a sound region file"):
        read_all(sound)


@pytest.mark.parametrize(
    "change", [lambda h: h.update(grid=[1.0]), lambda h: h.update(granularity="neuron"), lambda h: h.update(grid=[1])]
)
def test_a_header_at_the_edge_of_what_a_region_can_be_is_read(sound, change):
    with_header(sound, change)
    assert len(read_all(sound)) == 1


def test_elements_behind_the_last_one_or_above_every_level_are_refused(tmp_path, monkeypatch):
    """Nobody asks for them, but they would be counted among those of the last word."""
    levels = {"0.q": np.zeros((1, 65), np.uint8)}
    cut, path = Cut((0.1, 0.2), "matrix"), tmp_path / "r.safetensors"
    for place, level in ((65, 1), (127, 2), (0, 3)):
        flat = np.zeros(128, np.uint8)
        flat[place] = level

        def packed(matrix, n_planes, flat=flat):
            return np.stack([pack((flat >> bit) & 1) for bit in range(n_planes)])

        monkeypatch.setattr(format, "_packed", packed)
        write_region(path, levels.items(), recipe_digest="0" * 64, cut=cut)
        with pytest.raises(UserError, match="do not fit the header's counts"):
            read_all(path)


def test_matrices_that_come_in_another_order_stand_in_the_order_asked_for_with_the_same_bytes(tmp_path):
    random = np.random.default_rng(0)
    levels = {name: random.integers(0, 3, (5, 13)).astype(np.uint8) for name in ("0.q", "0.k", "1.q")}
    how = {"recipe_digest": "0" * 64, "cut": Cut((0.1, 0.2), "matrix")}
    header = write_region(tmp_path / "in order", levels.items(), **how)
    backwards = [(name, levels[name]) for name in reversed(levels)]
    again = write_region(tmp_path / "backwards", backwards, order=["0.q", "0.k", "0.v", "1.q"], **how)
    assert list(again.shapes) == list(levels) and again == header
    assert (tmp_path / "backwards").read_bytes() == (tmp_path / "in order").read_bytes()
