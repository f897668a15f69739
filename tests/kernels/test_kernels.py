"""Compiled loops against the same written out in numpy and Python."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety_regions.kernels import THREADS, bits, compiled
from safety_regions.overlap.counts import grown_subsets

SIZES = st.sampled_from([1, 63, 64, 65, 130, 64 * 256, 64 * 257 + 5])


def packed(bools):
    """Bits along the last axis as little-endian words, zeros behind the last."""
    octets = np.packbits(bools, axis=-1, bitorder="little")
    padding = [(0, 0)] * (octets.ndim - 1) + [(0, -octets.shape[-1] % 8)]
    return np.ascontiguousarray(np.pad(octets, padding)).view("<u8")


def planes_of(levels, n_planes=4):
    return packed(np.stack([(levels >> bit) & 1 for bit in range(n_planes)], axis=-2).astype(bool))


@settings(max_examples=20)
@given(SIZES, st.integers(0, 2**32))
def test_masks_and_sizes_of_planes_are_those_of_the_levels(size, seed):
    levels = np.random.default_rng(seed).integers(0, 16, size, dtype=np.uint8)
    planes, sizes = planes_of(levels), np.zeros(16, np.int64)
    bits.count_levels(planes[None], sizes)
    padded = np.pad(levels, (0, -size % 64))
    own = np.empty_like(planes)
    bits.pack_planes(padded, own)
    np.testing.assert_array_equal(own, planes)
    for level in range(1, 16):
        mask = np.empty((1, planes.shape[1]), np.uint64)
        bits.fill_mask(planes[None], 0, 0, planes.shape[1], level, mask, 0)
        np.testing.assert_array_equal(mask[0], packed(levels >= level))
        assert sizes[level] == (levels >= level).sum()


@settings(max_examples=12)
@given(SIZES, st.integers(1, 10), st.integers(0, 2), st.integers(1, 4), st.integers(0, 2**32))
def test_counts_of_conditions_are_those_of_bools(size, n_safety, n_utility, n_planes, seed):
    generator = np.random.default_rng(seed)
    highest = 2**n_planes - 1
    n, sets, wanted = n_safety, n_safety + n_utility, np.array([1, highest // 2 + 1])
    levels = generator.integers(0, highest + 1, (sets, size), dtype=np.uint8)
    removals = [(own, level) for own in np.eye(n_utility, dtype=bool) for level in (highest // 2 + 1, highest)]
    removals += [(np.ones(n_utility, bool), 1)] if n_utility else []
    utility = np.array([own for own, _ in removals], bool).reshape(len(removals), n_utility)
    removed_levels = np.array([level for _, level in removals], np.int64)
    orders = np.array([generator.permutation(n) for _ in range(2)])
    steps, subsets = grown_subsets(orders.tolist(), n)
    nway = np.array([0, len(removals)] if removals else [0])
    pairs = np.zeros((2, 1 + len(removals), n, n), np.int64)
    removed, grown = np.zeros(len(removals), np.int64), np.zeros((2, len(nway), len(steps), 2), np.int64)
    agreed = np.zeros((2, len(nway), n), np.int64)
    bits.count_conditions(
        planes_of(levels, n_planes), n, wanted, utility, removed_levels, steps, nway, pairs, removed, grown, agreed
    )
    gone = [np.zeros(size, bool), *((levels[n:] >= level)[own].any(axis=0) for own, level in removals)]
    assert removed.tolist() == [g.sum() for g in gone[1:]]
    for q, level in enumerate(wanted):
        for c, out in enumerate(gone):
            masks = (levels[:n] >= level) & ~out
            np.testing.assert_array_equal(pairs[q, c], np.triu(masks.astype(int) @ masks.astype(int).T))
        for m, c in enumerate(nway):
            masks = (levels[:n] >= level) & ~gone[c]
            assert agreed[q, m].tolist() == [(masks.sum(axis=0) >= k).sum() for k in range(1, n + 1)]
            for o, order in enumerate(orders):
                for k in range(1, n + 1):
                    assert grown[q, m, subsets[o, k - 1]].tolist() == [
                        masks[order[:k]].all(0).sum(),
                        masks[order[:k]].any(0).sum(),
                    ]


CODE = """
from safety_regions.kernels import compiled
from safety_regions.regions.format import _packed
import numpy as np
assert _packed(np.ones((3, 3), np.uint8), 1).tolist() == [[511]]
print(compiled(lambda x: x)._cache.__class__.__name__)
"""


def test_loops_run_where_no_cache_can_be_kept(tmp_path):
    """As in an installation that may not be written to, for a user without a home."""
    locked = tmp_path / "file"
    locked.write_text("")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(locked / "cache")}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("NullCache\n", 0), done.stderr


@pytest.mark.parametrize("part", ["_load_index", "_save_data"])
def test_loops_run_where_the_cache_fails(monkeypatch, part):
    """As on a disk that is full since: what is kept is for speed alone."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    loop = compiled(lambda x: x + 1)
    monkeypatch.setattr(loop._cache._cache_file, part, full)
    assert loop(1) == 2


def test_compiled_loops_of_one_file_call_none_of_another():
    """What is kept of compiled code is thrown away when its own file changes, and not when one changes that it
    calls.
    """
    folder = Path(bits.__file__).parent
    modules = sorted(file for file in folder.glob("*.py") if file.name != "__init__.py")
    assert len(modules) >= 3
    for module in modules:
        imported = re.findall(r"safety_regions\.kernels(\S*) import", module.read_text())
        assert imported == [""], module


def test_what_is_parsed_or_asked_for_help_loads_no_compiler():
    modules = ("__main__", "planning.make", "overlap.counts", "regions.select")
    imports = ", ".join(f"safety_regions.{module}" for module in modules)
    code = f"import sys, {imports}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("value", ["", "1", "3"])
def test_threads_are_those_of_the_environment(monkeypatch, value):
    from safety_regions.kernels import n_threads

    monkeypatch.setenv(THREADS, value)
    assert n_threads() == int(value or 1)
