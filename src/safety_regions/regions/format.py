"""The region file: nested masks of every matrix as compressed bit planes in one safetensors file.

The format is written down in docs/region-format.md. A region never sits in memory as bools: `Region.mask` gives the
mask of one matrix at one level as packed 64-bit words.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from jaxtyping import UInt8, UInt64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from safety_regions.elements import GRANULARITIES, SHAPES, Shape, can_be, usual_shape
from safety_regions.errors import UserError
from safety_regions.files import atomic_path, canonical_json, load_json
from safety_regions.regions.select import Cut

FORMAT, VERSION, COMPRESSION_LEVEL = "safety-regions/region", 1, 1
MOST_PER_BYTE = 2**15
"""Bytes that one of zstd can stand for: a block of at most 128 KiB takes at least four. A frame that claims more is
refused unread."""
Words = UInt64[np.ndarray, " words"]


@dataclass(frozen=True)
class Header:
    """What a region file says about itself."""

    recipe_digest: str
    grid: tuple[float, ...]
    """Ascending fractions; an element of level k is inside the k largest of them counted from the largest."""
    scope: str
    shapes: dict[str, tuple[int, int]]
    """(rows, columns) of each matrix, in the order of the model."""
    counts: dict[str, tuple[int, ...]]
    """Elements of each matrix inside each fraction of the grid."""
    granularity: str = "weight"
    """What an element is: a weight, a neuron (one column a layer and kind), a layer, a weight of a LoRA adapter."""
    region_shape: Shape = "free"
    """Whether the elements inside a fraction may be any, or are one contiguous range of layers: `free`, `range`."""

    @property
    def n_planes(self) -> int:
        """Bits needed for the levels 0 to len(grid)."""
        return len(self.grid).bit_length()

    def n_words(self, name: str) -> int:
        """64-bit words of each plane of a matrix."""
        rows, columns = self.shapes[name]
        return -(-rows * columns // 64)


def kind_of(name: str) -> str:
    """The kind of a matrix `<layer>.<kind>`."""
    return name.partition(".")[2]


def pack(bits: np.ndarray) -> Words:
    """Bits in row-major order as 64-bit little-endian words: element i is bit i % 64 of word i // 64; zeros behind the
    last.
    """
    octets = np.packbits(bits.reshape(-1), bitorder="little")
    return np.pad(octets, (0, -len(octets) % 8)).view("<u8")


def write_region(
    path: Path | str,
    levels: Iterable[tuple[str, UInt8[np.ndarray, "out in"]]],
    *,
    recipe_digest: str,
    cut: Cut,
    granularity: str = "weight",
    region_shape: Shape | None = None,
    order: Sequence[str] | None = None,
) -> Header:
    """Write the levels of all matrices, one at a time, atomically; equal input gives equal bytes.

    `region_shape`: None for the usual one of the granularity. `order`: of the matrices in the file, others beside them
    or not; None for that in which they come.
    """
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    tensors = {}

    def keep(name: str, planes: UInt64[np.ndarray, "planes words"]) -> None:
        for number, plane in enumerate(planes):
            tensors[f"{name}/{number}"] = np.frombuffer(compressor.compress(plane), np.uint8)

    header = _pack_each(levels, keep, recipe_digest, cut, granularity, region_shape)
    if order is not None:
        names = [name for name in order if name in header.shapes]
        header = replace(header, shapes={name: header.shapes[name] for name in names})
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"region": canonical_json(_to_json(header))})
    return header


@dataclass(frozen=True)
class HeldRegion:
    """A region in memory: what a region file holds, without the file."""

    header: Header
    held: dict[str, UInt64[np.ndarray, "planes words"]]
    """The bit planes of each matrix."""

    def planes(self, name: str) -> UInt64[np.ndarray, "planes words"]:
        """The bit planes of a matrix's levels, least significant first."""
        return self.held[name]


def hold_region(
    levels: Iterable[tuple[str, UInt8[np.ndarray, "out in"]]], *, cut: Cut, granularity: str = "weight"
) -> HeldRegion:
    """The levels of all matrices, packed, with the header that a file of them would have, but for its recipe."""
    held: dict[str, UInt64[np.ndarray, "planes words"]] = {}
    header = _pack_each(levels, held.__setitem__, "", cut, granularity, None)
    return HeldRegion(header, held)


def _pack_each(
    levels: Iterable[tuple[str, UInt8[np.ndarray, "out in"]]],
    keep: Callable[[str, UInt64[np.ndarray, "planes words"]], object],
    recipe_digest: str,
    cut: Cut,
    granularity: str,
    region_shape: Shape | None,
) -> Header:
    """Hand the planes of each matrix to `keep`, one after the other; the header of them all."""
    n_levels = len(cut.grid)
    shapes, counts = {}, {}
    for name, matrix in levels:
        shapes[name] = matrix.shape
        planes = _packed(matrix, n_levels.bit_length())
        counts[name] = _counts(planes, n_levels)[:-1]
        keep(name, planes)
    region_shape = region_shape or usual_shape(granularity)
    return Header(recipe_digest, tuple(cut.grid), cut.scope, shapes, counts, granularity, region_shape)


class Region:
    """A region file, open for reading. Use `open_region`."""

    def __init__(self, path: Path, file: Any, header: Header):
        self.path, self.header, self._file = path, header, file

    @property
    def names(self) -> list[str]:
        """Names of the matrices, in the order of the model."""
        return list(self.header.shapes)

    def planes(self, name: str) -> UInt64[np.ndarray, "planes words"]:
        """The bit planes of a matrix's levels, least significant first. Raises `UserError` if they are damaged."""
        return planes_of([self], name)[0]

    def frames(self, name: str) -> list[UInt8[np.ndarray, " _"]]:
        """The compressed planes of a matrix, which can hold what they should. Raises `UserError` if one does not."""
        return [self._frame(name, number, 8 * self.header.n_words(name)) for number in range(self.header.n_planes)]

    def fill(
        self, name: str, frames: list[UInt8[np.ndarray, " _"]], planes: UInt64[np.ndarray, "planes words"]
    ) -> None:
        """Write what the frames of a matrix hold into `planes`. Raises `UserError` if it is damaged."""
        decompressor = zstandard.ZstdDecompressor()
        for number, (plane, frame) in enumerate(zip(planes, frames, strict=True)):
            try:
                octets = decompressor.decompress(frame.data, allow_extra_data=False)
                plane.view(np.uint8)[:] = np.frombuffer(octets, np.uint8)
            except (zstandard.ZstdError, ValueError) as error:
                raise _damaged(self.path, f"matrix {name}, plane {number}: {error}") from None
        self._check_counts(name, planes)

    def _frame(self, name: str, number: int, n_bytes: int) -> UInt8[np.ndarray, " compressed"]:
        """The compressed bytes of a plane, which say that they hold `n_bytes` and can."""
        try:
            frame = self._file.get_tensor(f"{name}/{number}")
            if frame.dtype != np.uint8 or frame.ndim != 1:
                raise ValueError(f"a tensor of {frame.dtype}, {frame.ndim} dimensions, expected bytes")
            held = zstandard.frame_content_size(frame)
            if held != n_bytes or held > MOST_PER_BYTE * len(frame):
                raise ValueError(f"{len(frame)} compressed bytes that say they hold {held}, expected {n_bytes}")
        except (SafetensorError, zstandard.ZstdError, ValueError, TypeError, AttributeError) as error:
            raise _damaged(self.path, f"matrix {name}, plane {number}: {error}") from None
        return frame

    def _check_counts(self, name: str, planes: UInt64[np.ndarray, "planes words"]) -> None:
        """The masks hold as many elements as the header says, none behind the last element, and no level is above K."""
        rows, columns = self.header.shapes[name]
        padding = np.uint64(0) if rows * columns % 64 == 0 else ~np.uint64(0) << np.uint64(rows * columns % 64)
        held = _counts(planes, len(self.header.grid))
        if held != (*self.header.counts[name], 0) or (planes[:, -1] & padding).any():
            raise _damaged(self.path, f"matrix {name}: its levels do not fit the header's counts")


def planes_of(regions: Sequence[Region], name: str) -> UInt64[np.ndarray, "sets planes words"]:
    """The bit planes of one matrix of regions of one grid and shape. Raises `UserError` if they are damaged."""
    # All sizes are checked before the room is taken: a damaged header may ask for any.
    frames = [region.frames(name) for region in regions]
    header = regions[0].header
    planes = np.empty((len(regions), header.n_planes, header.n_words(name)), "<u8")
    for region, compressed, own in zip(regions, frames, planes, strict=True):
        region.fill(name, compressed, own)
    return planes


def _packed(levels: UInt8[np.ndarray, "out in"], n_planes: int) -> UInt64[np.ndarray, "planes words"]:
    """The bit planes of a matrix's levels."""
    from safety_regions.kernels import bits

    flat = np.ascontiguousarray(levels).reshape(-1)
    planes = np.empty((n_planes, -(-flat.size // 64)), np.uint64)
    whole = flat.size // 64
    bits.pack_planes(flat[: 64 * whole], planes[:, :whole])
    if flat.size % 64:
        bits.pack_planes(np.pad(flat[64 * whole :], (0, -flat.size % 64)), planes[:, whole:])
    return planes


def _counts(planes: UInt64[np.ndarray, "planes words"], n_levels: int) -> tuple[int, ...]:
    """Elements inside each fraction of the grid; and last, those of a level above all."""
    from safety_regions.kernels import bits

    sizes = np.zeros(min(n_levels + 2, 2 ** len(planes)), np.int64)
    bits.count_levels(planes[None], sizes)
    above = int(sizes[n_levels + 1]) if len(sizes) > n_levels + 1 else 0
    return (*(int(sizes[n_levels - i]) for i in range(n_levels)), above)


def at_least(planes: UInt64[np.ndarray, "planes words"], level: int) -> Words:
    """The mask `levels >= level` from bit planes (least significant first), on whole words, for level >= 1."""
    from safety_regions.kernels import bits

    mask = np.empty((1, planes.shape[1]), np.uint64)
    bits.fill_mask(planes[None], 0, 0, planes.shape[1], level, mask, 0)
    return mask[0]


def read_levels(region: Region | HeldRegion, name: str) -> UInt8[np.ndarray, "out in"]:
    """The levels of one matrix, unpacked."""
    shape = region.header.shapes[name]
    size = shape[0] * shape[1]
    planes = region.planes(name)
    levels = np.zeros(size, np.uint8)
    for bit, words in enumerate(planes):
        levels |= np.unpackbits(words.view(np.uint8), count=size, bitorder="little") << bit
    return levels.reshape(shape)


def common_header(regions: Sequence[Region]) -> Header:
    """The header of the first of some regions. Raises `UserError` if they are not of one model, grid and scope."""
    first = regions[0]
    for other in regions[1:]:
        for field in ("grid", "scope", "granularity", "shapes"):
            if getattr(first.header, field) != getattr(other.header, field):
                raise UserError(
                    f"{field} differs from that of {first.path}",
                    where=str(other.path),
                    expected="regions of one model, grid and scope",
                    hint="regions of different models or grids cannot be compared",
                )
    return first.header


@contextmanager
def open_region(path: Path | str) -> Iterator[Region]:
    """Open a region file and check its header. Raises `UserError` if it is missing or not a sound region file."""
    path = Path(path)
    if not path.is_file():
        raise UserError("region file missing", where=str(path))
    try:
        with safe_open(path, framework="numpy") as file:
            yield Region(path, file, _header(path, file))
    except SafetensorError as error:
        raise _damaged(path, str(error)) from None


def _header(path: Path, file: Any) -> Header:
    try:
        content = load_json((file.metadata() or {})["region"])
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise ValueError(f"format {content['format']!r} version {content['version']!r}")
        granularity = str(content.get("granularity", "weight"))
        header = Header(
            recipe_digest=str(content["recipe_digest"]),
            grid=tuple(map(_number, content["grid"])),
            scope=str(content["scope"]),
            shapes={name: (_whole(rows), _whole(columns)) for name, (rows, columns) in content["shapes"]},
            counts={name: tuple(map(_whole, content["counts"][name])) for name, _ in content["shapes"]},
            granularity=granularity,
            region_shape=_region_shape(content, granularity),
        )
        if len(header.shapes) != len(content["shapes"]):
            raise ValueError("a matrix twice")
        Cut(header.grid, header.scope)
        _check_header(header, set(file.keys()))
    except UserError as error:
        raise _damaged(path, f"header: {error.found}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(path, f"header: {error}") from None
    return header


def _region_shape(content: Mapping[str, Any], granularity: str) -> Shape:
    """The shape that a header tells, which it does only where it is not the usual one."""
    usual = usual_shape(granularity)
    if "region_shape" not in content:
        return usual
    for shape in SHAPES:
        if shape == content["region_shape"] != usual and can_be(granularity, shape):
            return shape
    raise ValueError(f"region shape {content['region_shape']!r} of granularity {granularity!r}")


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} where a whole number belongs")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{value!r} where a number belongs")
    return float(value)


def _check_header(header: Header, tensors: set[str]) -> None:
    if not re.fullmatch("[0-9a-f]{64}", header.recipe_digest):
        raise ValueError(f"recipe digest {header.recipe_digest!r}")
    if header.granularity not in GRANULARITIES:
        raise ValueError(f"granularity {header.granularity!r}")
    if any(rows < 1 or columns < 1 for rows, columns in header.shapes.values()):
        raise ValueError("a matrix without elements")
    if any(len(c) != len(header.grid) or list(c) != sorted(c) for c in header.counts.values()):
        raise ValueError("counts do not fit the grid")
    wanted = {f"{name}/{plane}" for name in header.shapes for plane in range(header.n_planes)}
    if wanted != tensors:
        raise ValueError(f"planes missing or foreign: {', '.join(sorted(wanted ^ tensors)[:5])}")


def _to_json(header: Header) -> dict:
    # What is usual is left out, as in files from before there was anything else: equal regions stay equal bytes.
    told = {} if header.granularity == "weight" else {"granularity": header.granularity}
    if header.region_shape != usual_shape(header.granularity):
        told["region_shape"] = header.region_shape
    return told | {
        "format": FORMAT,
        "version": VERSION,
        "recipe_digest": header.recipe_digest,
        "grid": list(header.grid),
        "scope": header.scope,
        "shapes": [[name, list(shape)] for name, shape in header.shapes.items()],
        "counts": {name: list(counts) for name, counts in header.counts.items()},
    }


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"not a sound region file: {reason}",
        where=str(path),
        hint="restore it from where it was published, or delete it with its receipt and run snakemake again",
    )
