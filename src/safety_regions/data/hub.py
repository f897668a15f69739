"""Rows of a dataset on the Hugging Face Hub, at the pinned commit and no other.

The `datasets` library says which files a configuration's split is made of: by the YAML of the README, or by the names
of files. These files alone are fetched, and read with the readers of files from elsewhere.
"""

import ast
import bz2
import dataclasses
import glob
import gzip
import io
import lzma
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from safety_regions.config.datasets import Format, HubDataset
from safety_regions.data.formats import SourceRow, parse
from safety_regions.errors import UserError, did_you_mean
from safety_regions.hub import hub_errors, page

CARDS = ("README.md", ".huggingface.yaml")
"""Files whose YAML says what configurations there are."""
FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "txt",
    ".parquet": "parquet",
}
MAX_UNPACKED = 2**30
"""Bytes that a packed file may become."""
PACKERS: dict[str, Callable[[Any], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
UNHEEDED = {"name", "version", "description", "features", "data_dir", "data_files", "sep", "delimiter", "columns"}
"""Options of a configuration that we heed ourselves, or that change no row."""
CONVERTED = "refs%2Fconvert%2Fparquet"
"""Branch in which the Hub keeps what it made of a dataset, as Parquet files CONFIGURATION/SPLIT/NUMBER.parquet."""


def load_hub(source: HubDataset, where: str) -> list[SourceRow]:
    """All rows of the split at the pinned commit; with HF_HUB_OFFLINE=1, from the cache.

    Raises `UserError` for a gated or unknown dataset, an unknown commit, configuration or split, no connection, files
    that none of our readers is for, or a file that is not what its name says.
    """
    import huggingface_hub.utils

    if not sys.stderr.isatty():
        huggingface_hub.utils.disable_progress_bars()
    files, delimiter = _files_of_split(source, where)
    folder = _fetched(source, files, where)
    rows = []
    for file in files:
        rows += _rows(file, (folder / file).read_bytes(), delimiter, where)
    return rows


def _fetched(source: HubDataset, files: list[str], where: str) -> Path:
    """The cached repository, in which these files are whole."""
    from huggingface_hub import snapshot_download

    with hub_errors("dataset", source.id, source.revision, where):
        patterns = [glob.escape(file) for file in files]
        return Path(
            snapshot_download(source.id, repo_type="dataset", revision=source.revision, allow_patterns=patterns)
        )


def _names(source: HubDataset, where: str) -> list[str]:
    """Of all files at the commit, which the Hub's client keeps with what it fetched."""
    from huggingface_hub import get_cached_repo_tree

    with hub_errors("dataset", source.id, source.revision, where):
        return [file.path for file in get_cached_repo_tree(source.id, repo_type="dataset", revision=source.revision)]


def _files_of_split(source: HubDataset, where: str) -> tuple[list[str], str]:
    """The files of the split in order, and the delimiter of those that are CSV."""
    cards = _fetched(source, list(CARDS), where)
    names = _names(source, where)
    script = f"{source.id.split('/')[-1]}.py"
    if script in names:
        raise UserError(
            f"this dataset is made by a script of its own, {script}: no such script is run here",
            where=where,
            hint=f"take the Hub's copy of it: `revision` the commit of {page('dataset', source.id)}/tree/{CONVERTED},"
            " `data_dir` the configuration; or a single file, as a source of kind: url",
        )
    inside = f"{source.data_dir}/" if source.data_dir else ""
    named = [name for name in names if name.startswith(inside) and ".." not in PurePosixPath(name).parts]
    with tempfile.TemporaryDirectory(prefix="hub-") as scratch:
        # `datasets` looks at names alone: empty files stand for those that are not wanted.
        stand_in = Path(scratch).resolve() / "files"
        for name in named:
            path = stand_in / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for card in CARDS:
            if card in names:
                stand_in.mkdir(exist_ok=True)
                (stand_in / card).write_bytes((cards / card).read_bytes())
        config = _configuration(source, stand_in, where)
        splits = {str(split): list(map(str, files)) for split, files in (config.data_files or {}).items()}
        _check_split(list(splits), source, where)
        files = [
            Path(file).relative_to(stand_in).as_posix() for file in splits[source.split] if file.startswith(scratch)
        ]
    elsewhere = len(splits[source.split]) - len(files)
    if elsewhere:
        raise UserError(
            f"{elsewhere} files of this split lie outside the repository", where=where, hint=_by_url(source)
        )
    _refuse_options(config, source, where)
    return files, getattr(config, "sep", None) or ","


def _configuration(source: HubDataset, stand_in: Path, where: str) -> Any:
    import datasets

    datasets.logging.set_verbosity_error()
    cache = stand_in.parent / "cache"
    try:
        if not stand_in.exists():
            raise FileNotFoundError
        builder = datasets.load_dataset_builder(
            str(stand_in), name=source.config, data_dir=source.data_dir, cache_dir=str(cache)
        )
    except (FileNotFoundError, datasets.exceptions.DatasetNotFoundError):
        folder = f" in {source.data_dir}" if source.data_dir else ""
        raise UserError(
            f"no data files{folder}",
            where=where,
            hint=f"the files there are: {page('dataset', source.id)}/tree/{source.revision}",
        ) from None
    except Exception as error:
        text = str(error)
        if "BuilderConfig" in text or "Config name is missing" in text:
            raise _no_config(text, source, where) from None
        line = (text.splitlines() or [""])[0]
        raise UserError(
            f"no configuration can be made out: {type(error).__name__}: {line}", where=where, hint=_by_url(source)
        ) from None
    return builder.config


def _refuse_options(config: Any, source: HubDataset, where: str) -> None:
    """What the README asks of `datasets`' own readers would change rows."""
    fields = [field for field in dataclasses.fields(config) if field.name not in UNHEEDED]
    set_here = [f.name for f in fields if f.default is not dataclasses.MISSING and getattr(config, f.name) != f.default]
    if set_here:
        raise UserError(
            f"its README asks for {', '.join(set_here)}, which no reader here knows", where=where, hint=_by_url(source)
        )


def _rows(file: str, data: bytes, delimiter: str, where: str) -> list[SourceRow]:
    place = f"{where}, {file}"
    path = PurePosixPath(file)
    if path.suffix in PACKERS:
        data, path = _unpacked(data, path.suffix, place), path.with_suffix("")
    if path.suffix not in FORMATS:
        raise UserError(
            f"a file of a kind that no reader here is for: {path.suffix or 'no ending'}",
            where=place,
            expected=f"one of: {', '.join(FORMATS)}",
            hint="take the Hub's copy of it as Parquet: its commit as `revision`, the configuration as `data_dir`;"
            f" it is the branch {CONVERTED.replace('%2F', '/')}",
        )
    format = FORMATS[path.suffix]
    if path.suffix == ".json" and _is_lines(data):
        format = "jsonl"
    return [SourceRow(f"{file}, {row.place}", row.cells) for row in parse(data, format, place, delimiter=delimiter)]


def _is_lines(data: bytes) -> bool:
    """Whether a .json file has an object on each line, as many on the Hub have, and no list or object of lists."""
    first = data.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0].rstrip()
    return first.startswith(b"{") and first.endswith(b"}")


def _unpacked(data: bytes, suffix: str, where: str) -> bytes:
    try:
        with PACKERS[suffix](io.BytesIO(data)) as file:
            unpacked: bytes = file.read(MAX_UNPACKED + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise UserError(f"not a whole {suffix} file: {error}", where=where) from None
    if len(unpacked) > MAX_UNPACKED:
        raise UserError(f"more than {MAX_UNPACKED} bytes once it is unpacked", where=where, expected="a smaller file")
    return unpacked


def _check_split(known: list[str], source: HubDataset, where: str) -> None:
    if source.split not in known:
        raise UserError(
            f"no split {source.split!r}",
            where=where,
            expected=f"one of: {', '.join(known)}",
            hint=did_you_mean(source.split, known),
        )


def _no_config(text: str, source: HubDataset, where: str) -> UserError:
    found = f"no configuration {source.config!r}" if source.config else "no configuration named"
    listed = re.search(r"\['.*?'\]", text)
    known = ast.literal_eval(listed[0]) if listed else []
    hint = did_you_mean(source.config, known) if source.config else "set `config` of the source"
    return UserError(found, where=where, expected=f"one of: {', '.join(known)}", hint=hint)


def _by_url(source: HubDataset) -> str:
    tree = f"{page('dataset', source.id)}/tree/{source.revision}"
    return f"name one file as a source of kind: url; the files there are: {tree}"
