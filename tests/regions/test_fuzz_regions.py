"""Damaged region files: refused with one message, or read as what the bytes say; never a crash, a hang or a flood of
memory.
"""

import hashlib
import json
import tracemalloc
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from safety_regions.artifacts import receipts
from safety_regions.elements import GRANULARITIES, SHAPES
from safety_regions.errors import UserError
from safety_regions.regions.format import open_region, read_levels, write_region
from safety_regions.regions.select import Cut

few = settings(max_examples=150)
MEBIBYTE = 2**20


@cache
def sound() -> bytes:
    """A region file of two matrices, one of them of a size that fills no last word."""
    draw = np.random.default_rng(0)
    levels = {"0.q": draw.integers(0, 4, (8, 16), np.uint8), "0.down": draw.integers(0, 4, (5, 9), np.uint8)}
    with TemporaryDirectory() as folder:
        path = Path(folder, "r")
        write_region(path, levels.items(), recipe_digest="d" * 64, cut=Cut((0.1, 0.2, 0.5), "matrix"))
        return path.read_bytes()


def header_of(data: bytes) -> dict:
    """The region header of a file, by the safetensors format: 8 bytes of length, then JSON."""
    whole = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(whole["__metadata__"]["region"])


def with_header(header: object) -> bytes:
    """The sound file with another region header; text is put there as it is."""
    data = sound()
    n = int.from_bytes(data[:8], "little")
    whole = json.loads(data[8 : 8 + n])
    whole["__metadata__"]["region"] = header if isinstance(header, str) else json.dumps(header)
    text = json.dumps(whole).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + n :]


def as_read(data: bytes) -> tuple | None:
    """Grid, scope and levels that the reader gives; None if it refuses the file."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "r")
        path.write_bytes(data)
        try:
            with open_region(path) as region:
                levels = {name: read_levels(region, name).tolist() for name in region.names}
                assert region.header.counts == {n: counted(levels[n], len(region.header.grid)) for n in levels}
                return region.header.grid, region.header.scope, levels
        except UserError:
            return None


def counted(levels: list, n: int) -> tuple[int, ...]:
    return tuple(int((np.array(levels) >= n - i).sum()) for i in range(n))


def by_the_letter(data: bytes) -> tuple:
    """The same by a literal reading of docs/region-format.md."""
    header = header_of(data)
    levels = {}
    with TemporaryDirectory() as folder:
        path = Path(folder, "r")
        path.write_bytes(data)
        with safe_open(path, framework="numpy") as file:
            for name, (rows, columns) in header["shapes"]:
                found = [[0] * columns for _ in range(rows)]
                for plane in range(len(header["grid"]).bit_length()):
                    octets = zstandard.ZstdDecompressor().decompress(file.get_tensor(f"{name}/{plane}"))
                    for i in range(rows * columns):
                        found[i // columns][i % columns] |= (octets[i // 8] >> i % 8 & 1) << plane
                levels[name] = found
    return tuple(header["grid"]), header["scope"], levels


def test_a_sound_file_reads_as_the_format_says():
    assert as_read(sound()) == by_the_letter(sound())


@few
@given(st.integers(0, len(sound()) - 1), st.integers(1, 255))
def test_altered_bytes_are_refused_or_read_as_they_are(place, change):
    data = bytearray(sound())
    data[place] ^= change
    found = as_read(bytes(data))
    assert found is None or found == by_the_letter(bytes(data))


@few
@given(st.integers(0, len(sound()) - 1), st.binary(max_size=40))
def test_a_cut_file_is_refused_whatever_follows(place, tail):
    data = sound()[:place] + tail
    assert data == sound() or as_read(data) is None or by_the_letter(data) == as_read(data)


@given(st.integers(0, len(sound()) - 1), st.integers(1, 255))
@settings(max_examples=60)
def test_the_receipt_tells_every_altered_byte(place, change):
    with TemporaryDirectory() as folder:
        path = Path(folder, "r")
        content = {"recipe": {}, "digest": receipts.recipe_digest({}), "facts": {}, "code": {}}
        content["files"] = {"r": hashlib.sha256(sound()).hexdigest()}
        receipts.receipt_path(path).write_text(json.dumps(content))
        data = bytearray(sound())
        data[place] ^= change
        path.write_bytes(data)
        with pytest.raises(UserError, match="altered or damaged"):
            receipts.check(path)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 10**40, 1e308, "row", "0.q", "matrix", [8, 16], [16, 8], [128, 1]]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The path of everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


@few
@given(st.sampled_from(places(header_of(sound()))), VALUES)
def test_any_value_anywhere_in_the_header(path, value):
    header = header_of(sound())
    if path:
        *above, last = path
        inside = header
        for key in above:
            inside = inside[key]
        inside[last] = value
    else:
        header = value
    data = with_header(header)
    found = as_read(data)
    assert found is None or found == by_the_letter(data)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shapes", [["0.q", [2**40, 2**40]], ["0.down", [5, 9]]]),
        ("shapes", [["0.q", [2**20, 2**20]], ["0.down", [5, 9]]]),
        ("shapes", [["0.q", [8, 16]], ["0.q", [16, 8]], ["0.down", [5, 9]]]),
        ("shapes", [["0.q", [8.0, 16]], ["0.down", [5, 9]]]),
        ("shapes", [["0.q", ["8", 16]], ["0.down", [5, 9]]]),
        ("grid", [0.1, 0.2, True]),
        ("grid", ["0.1", 0.2, 0.5]),
        ("grid", [0.1, 0.2, 10**400]),
        ("grid", [float("nan")] * 3),
        ("region_shape", "range"),
        ("region_shape", "free"),
        ("region_shape", "ring"),
        ("region_shape", None),
        ("granularity", "layers"),
    ],
)
def test_headers_that_lie_are_refused_within_little_memory(key, value):
    tracemalloc.start()
    assert as_read(with_header(header_of(sound()) | {key: value})) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MEBIBYTE


def test_nesting_that_would_overflow_the_stack_is_refused():
    assert as_read(with_header("[" * 100_000)) is None


@given(st.sampled_from([None, *GRANULARITIES, "grain"]), st.sampled_from([None, *SHAPES, "ring", 1, ["free"]]))
def test_what_a_region_is_made_of_is_read_as_told_or_refused(granularity, shape):
    told = {"granularity": granularity, "region_shape": shape}
    data = with_header(header_of(sound()) | {key: value for key, value in told.items() if value is not None})
    with TemporaryDirectory() as folder:
        path = Path(folder, "r")
        path.write_bytes(data)
        elements = granularity or "weight"
        if elements not in GRANULARITIES or (shape is not None and (shape, elements) != ("free", "layer")):
            with pytest.raises(UserError, match="header: "), open_region(path):
                pass
            return
        with open_region(path) as region:
            usual = "range" if elements == "layer" else "free"
            assert (region.header.granularity, region.header.region_shape) == (elements, shape or usual)


@pytest.mark.parametrize(("granularity", "shape"), [("layer", "free"), ("layer", "range"), ("neuron", "free")])
def test_the_usual_shape_is_left_out_of_the_header(tmp_path, granularity, shape):
    levels = {"0.layer": np.ones((1, 1), np.uint8)}
    cut, path = Cut((0.1,), "matrix"), tmp_path / "r"
    written = write_region(
        path, levels.items(), recipe_digest="d" * 64, cut=cut, granularity=granularity, region_shape=shape
    )
    unusual = (granularity, shape) == ("layer", "free")
    assert header_of(path.read_bytes()).get("region_shape") == ("free" if unusual else None)
    with open_region(path) as region:
        assert region.header == written and region.header.region_shape == shape


@pytest.mark.parametrize("n_bytes", [2**30, 2**37])
def test_a_frame_that_claims_more_than_zstd_can_hold_is_refused_unread(tmp_path, n_bytes):
    frame = b"\x28\xb5\x2f\xfd\xe0" + n_bytes.to_bytes(8, "little") + b"\x01\x00\x00"
    assert zstandard.frame_content_size(frame) == n_bytes
    header = header_of(sound()) | {"grid": [0.1], "shapes": [["a", [n_bytes, 8]]], "counts": {"a": [0]}}
    save_file({"a/0": np.frombuffer(frame, np.uint8)}, tmp_path / "r", {"region": json.dumps(header)})
    tracemalloc.start()
    with open_region(tmp_path / "r") as region, pytest.raises(UserError, match="say they hold"):
        region.planes("a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEBIBYTE


def test_a_plane_of_zeros_however_large_is_no_such_lie(tmp_path):
    zeros = np.zeros((4096, 65536), np.uint8)
    write_region(tmp_path / "r", [("a", zeros)], recipe_digest="d" * 64, cut=Cut((0.1,), "matrix"))
    with open_region(tmp_path / "r") as region:
        assert not region.planes("a").any()
