"""Secrets in the environment of what the tests run, and the search for them in what it wrote."""

import base64
import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import pyarrow.parquet as parquet
import pytest

PLANTED = {
    "HF_TOKEN": "hf_Planted0Token0That0Nobody0May0Write",
    "AWS_ACCESS_KEY_ID": "PLANTED0KEY0ID0OF0NOBODY",
    "AWS_SECRET_ACCESS_KEY": "Planted0Secret0Key0That0Nobody0May0Write",
    "AWS_SESSION_TOKEN": "Planted0Session0Token0That0Nobody0May0Write",
}


@contextlib.contextmanager
def planted() -> Iterator[None]:
    """The secrets in the environment, while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PLANTED.items():
            patch.setenv(name, value)
        yield


def forms(secret: str) -> set[bytes]:
    """How a secret may stand in a file."""
    plain = secret.encode()
    # Base64 of a text differs with where in it the secret begins; letters at the ends belong to its neighbours, too.
    coded = {base64.b64encode(b"." * before + plain)[4:-4] for before in range(3)}
    return {plain, secret.encode("utf-16-le"), plain.hex().encode(), *coded}


def secrets_in(content: bytes) -> list[str]:
    """Names of the planted secrets in these bytes, or in what is packed in them."""
    both = content + b"".join(_unpacked(content))
    return [name for name, secret in PLANTED.items() if any(form in both for form in forms(secret))]


def files_with_secrets(folder: Path) -> dict[str, list[str]]:
    """Of all files below a folder, with the secrets in each."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): found for path in files if (found := secrets_in(str(path).encode() + path.read_bytes()))}


def _unpacked(content: bytes) -> Iterator[bytes]:
    """What a PDF, Parquet, zip, gzip or git's file of an object holds."""
    if content.startswith(b"PAR1"):
        yield str(parquet.read_table(io.BytesIO(content)).to_pydict()).encode()
    elif content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    elif content.startswith(b"PK") and is_zipfile(io.BytesIO(content)):
        with ZipFile(io.BytesIO(content)) as archive:
            yield from map(archive.read, archive.namelist())
    else:
        starts = [0, *(match.end() for match in re.finditer(rb"\bstream\r?\n", content))]
        for start in starts:
            with contextlib.suppress(zlib.error):
                yield zlib.decompressobj().decompress(content[start:])
