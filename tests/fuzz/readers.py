"""Coverage-guided fuzzing of the readers of regions and receipts, by hand: it runs until it is stopped, and is no part
of the tests.

    pip install atheris python tests/fuzz/readers.py region FOLDER -max_total_time=600      # or: header, planes,
    receipt; FOLDER keeps what reaches new code

An input is read without a word or refused with a `UserError`; any other error, a hang or a flood of memory ends it,
with the input that did it.
"""

import contextlib
import json
import sys
from pathlib import Path
from tempfile import mkdtemp

import atheris

sys.path.insert(0, str(Path(__file__).parents[1] / "regions"))
with atheris.instrument_imports(include=["safety_regions"]):
    from safety_regions.artifacts import receipts
    from safety_regions.errors import UserError
    from safety_regions.regions.format import open_region, read_levels

from test_fuzz_regions import header_of, sound, with_header

FILE = Path(mkdtemp(), "file")
FOLDER = Path(mkdtemp(), "folder")
PLANES = sound()[8 + int.from_bytes(sound()[:8], "little") :]


def region(data: bytes) -> None:
    """The input is the whole file."""
    FILE.write_bytes(data)
    with open_region(FILE) as opened:
        for name in opened.names:
            read_levels(opened, name)


def header(data: bytes) -> None:
    """The input is the region header of a file that is sound but for it."""
    region(with_header(data.decode("utf-8", "replace")))


def planes(data: bytes) -> None:
    """The input is all that lies behind the header of such a file."""
    n = len(sound()) - len(PLANES)
    region(sound()[:n] + data[: len(PLANES)].ljust(len(PLANES), b"\0"))


def receipt(data: bytes) -> None:
    """The input is the receipt of a folder with two empty files; it must not speak of others in its reach."""
    (FOLDER / "below").mkdir(parents=True, exist_ok=True)
    for name in ("a", "b", "below/c", "../secret"):
        (FOLDER / name).touch()
    receipts.receipt_path(FOLDER).write_bytes(data)
    assert set(receipts.check(FOLDER).files) <= {"a", "b"}


def seed(name: str) -> bytes:
    """A sound input to begin with."""
    if name == "receipt":
        FOLDER.mkdir(exist_ok=True)
        for file in ("a", "b"):
            (FOLDER / file).touch()
        receipts.write(FOLDER, {"kind": "region", "grid": [0.1], "none": None}, {"n": 1}, code={"a.b": "0" * 64})
        return receipts.receipt_path(FOLDER).read_bytes()
    return {"region": sound(), "header": json.dumps(header_of(sound())).encode(), "planes": PLANES}[name]


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    (folder / "sound").write_bytes(seed(name))

    def once(data: bytes) -> None:
        with contextlib.suppress(UserError):
            {"region": region, "header": header, "planes": planes, "receipt": receipt}[name](data)

    atheris.Setup(
        [sys.argv[0], *sys.argv[2:], "-max_len=4096", "-len_control=0", "-timeout=20", "-rss_limit_mb=4096"], once
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
