"""Regions and receipts: truncated, altered, of other recipes, models and shapes."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from case import Deed, bad, fine
from some_recipes import some_recipe

from safety_regions.artifacts import receipts
from safety_regions.overlap.counts import count
from safety_regions.planning.recipes.data import OfSet
from safety_regions.regions.format import open_region, write_region
from safety_regions.regions.select import Cut
from safety_regions.steps.entry import Entry

RECIPE = {"kind": "region", "seed": 0}
DIGEST = receipts.recipe_digest(RECIPE)
NAME = "region.safetensors"


def region(name: str = NAME, *, shape=(40, 50), grid=(0.2,), scope="matrix", matrix="0.q") -> Path:
    """A sound region with its receipt."""
    levels = np.random.default_rng(0).integers(0, len(grid) + 1, shape).astype(np.uint8)
    write_region(name, [(matrix, levels)], recipe_digest=DIGEST, cut=Cut(grid, scope))
    receipts.write(name, RECIPE, {})
    return Path(name)


def read(name: str = NAME) -> None:
    with open_region(name) as opened:
        for matrix in opened.names:
            opened.planes(matrix)


def altered(change: Callable[[bytes], bytes]) -> Deed:
    path = region()
    path.write_bytes(change(path.read_bytes()))
    return read


def with_header(change: Callable[[dict], object]) -> Deed:
    """Read a region whose header is changed and otherwise well-formed."""

    def rewrite(raw: bytes) -> bytes:
        (length,) = struct.unpack("<Q", raw[:8])
        outer = json.loads(raw[8 : 8 + length])
        inner = json.loads(outer["__metadata__"]["region"])
        change(inner)
        outer["__metadata__"]["region"] = json.dumps(inner)
        text = json.dumps(outer).encode()
        return struct.pack("<Q", len(text)) + text + raw[8 + length :]

    return altered(rewrite)


SOUND = "not a sound region file: "
HEADERS = [
    (
        "counts that were planted",
        lambda h: h.update(counts={"0.q": [7]}),
        "matrix 0.q: its levels do not fit the header's counts",
    ),
    ("a grid that does not ascend", lambda h: h.update(grid=[0.2, 0.1]), "header: grid [0.2, 0.1]"),
    ("a fraction above 1", lambda h: h.update(grid=[2.0]), "header: grid [2.0]"),
    ("a matrix without elements", lambda h: h.update(shapes=[["0.q", [0, 50]]]), "header: a matrix without elements"),
    (
        "a matrix that is not there",
        lambda h: h.update(shapes=[["0.k", [40, 50]]], counts={"0.k": [7]}),
        "header: planes missing or foreign: 0.k/0, 0.q/0",
    ),
    (
        "a later version of the format",
        lambda h: h.update(version=2),
        "header: format 'safety-regions/region' version 2",
    ),
    ("an unknown scope", lambda h: h.update(scope="neuron"), "header: scope 'neuron'"),
]
for _what, _change, _says in HEADERS:
    bad("regions", _what, says=SOUND + _says, names=NAME)(lambda change=_change: with_header(change))


@bad("regions", "a file that is cut off", says=SOUND + "Error while deserializing header: ...", names=NAME)
def truncated():
    return altered(lambda raw: raw[:-1])


@bad("regions", "a file of another kind", says=SOUND + "header: 'region'", names=NAME)
def other_kind():
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3, np.uint8)}, NAME)
    return read


@bad("regions", "no such file", says="region file missing", names="nowhere.safetensors")
def nowhere():
    return lambda: read("nowhere.safetensors")


def compared(**other) -> Deed:
    """Overlap of a region with another."""
    region("a.safetensors", grid=(0.1, 0.2))
    region("b.safetensors", **{"grid": (0.1, 0.2)} | other)
    paths = {name: Path(f"{name}.safetensors") for name in "ab"}
    return lambda: count(paths, {}, 0.1, [[0, 1]])


@bad(
    "regions",
    "regions of models of other shapes",
    says="shapes differs from that of a.safetensors",
    names="b.safetensors",
)
def other_shapes():
    return compared(shape=(50, 40))


@bad(
    "regions",
    "regions of models of other matrices",
    says="shapes differs from that of a.safetensors",
    names="b.safetensors",
)
def other_model():
    return compared(matrix="0.k")


@bad("regions", "regions cut at other fractions", says="grid differs from that of a.safetensors", names="b.safetensors")
def other_grid():
    return compared(grid=(0.1, 0.3))


@bad(
    "regions", "regions cut within other scopes", says="scope differs from that of a.safetensors", names="b.safetensors"
)
def other_scope():
    return compared(scope="layer")


@fine("regions", "a region of nothing", gives="it is written and read; its IoU with another empty one is NaN")
def empty():
    from safety_regions.overlap.tables import pair_table

    for name in "ab":
        write_region(
            f"{name}.safetensors",
            [("0.q", np.zeros((3, 4), np.uint8))],
            recipe_digest=DIGEST,
            cut=Cut((0.01,), "matrix"),
        )

    def deed():
        counts = count({name: Path(f"{name}.safetensors") for name in "ab"}, {}, 0.01, [[0, 1]])
        assert np.isnan(pair_table(counts, 0.01)["iou"]).all()

    return deed


def checked_region(path: Path) -> Path:
    recipe = some_recipe("layer_curves", regions=[OfSet("a", DIGEST)])
    return Entry("made", recipe, {"a": path}).region("a")


def checked(change: Callable[[Path], object]) -> Deed:
    """Check a region whose receipt is changed, as every job does."""
    path = region()
    change(receipts.receipt_path(path))
    return lambda: checked_region(path)


def edited(**changes) -> Callable[[Path], object]:
    return lambda receipt: receipt.write_text(json.dumps(json.loads(receipt.read_text()) | changes))


RECEIPTS = [
    ("no receipt", lambda receipt: receipt.unlink(), "receipt missing"),
    (
        "a receipt that is cut off",
        lambda receipt: receipt.write_text('{"digest": "'),
        "not a receipt: Unterminated string starting at: ...",
    ),
    (
        "a receipt that is a list",
        lambda receipt: receipt.write_text("[]"),
        "not a receipt: the file: Input should be a dictionary...",
    ),
    (
        "a receipt of no text",
        lambda receipt: receipt.write_bytes(b"\xff"),
        "not a receipt: 'utf-8' codec can't decode byte 0xff in position 0...",
    ),
    ("a receipt without files", edited(files={}), "not a receipt: it names no file"),
    (
        "a receipt that speaks of a file elsewhere",
        edited(files={"../x": "0" * 64}),
        "not a receipt: '../x' is not the name of a file",
    ),
    (
        "a recipe that was edited",
        edited(recipe={"kind": "region", "seed": 1}),
        "the recipe in this receipt was edited: it no longer has the digest beside it",
    ),
    (
        "a receipt of another recipe",
        edited(recipe={"kind": "x"}, digest=receipts.recipe_digest({"kind": "x"})),
        "made by recipe <digits>",
    ),
    (
        "another sha256 in the receipt",
        edited(files={NAME: "0" * 64}),
        "sha256 <digest>: altered or damaged since it was made",
    ),
    ("a file in the receipt that is not there", edited(files={"gone": "0" * 64}), "file missing"),
]
for _what, _change, _says in RECEIPTS:
    bad("receipts", _what, says=_says, names=NAME)(lambda change=_change: checked(change))


@bad(
    "receipts",
    "a region of another recipe under a receipt of this one",
    says="this file says it was made by recipe <digits>",
    names=NAME,
)
def swapped():
    write_region(NAME, [("0.q", np.ones((3, 4), np.uint8))], recipe_digest="0" * 64, cut=Cut((0.2,), "matrix"))
    receipts.write(NAME, RECIPE, {})
    return lambda: checked_region(Path(NAME))


@bad(
    "receipts", "an artifact that was altered", says="sha256 <digest>: altered or damaged since it was made", names=NAME
)
def altered_artifact():
    deed = checked(lambda receipt: None)
    Path(NAME).write_bytes(Path(NAME).read_bytes() + b" ")
    return deed
