"""All rows of a dataset, from wherever they lie, checked against what the registry says of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from safety_regions.config.datasets import DatasetSpec, HubDataset, LocalDataset, SyntheticDataset, UrlDataset
from safety_regions.data.formats import SourceRow, parse
from safety_regions.data.mapping import Row, map_rows
from safety_regions.errors import UserError, did_you_mean, unreadable


@dataclass(frozen=True)
class Fetched:
    """The rows of a dataset and the facts of how they came about."""

    rows: list[Row]
    facts: dict


def fetch(name: str, spec: DatasetSpec, sha256: str | None = None) -> Fetched:
    """The rows `{"id", "prompt", "response"}` of a dataset after mapping and filters, in source order.

    `sha256`: of a local file when the run was planned. Raises `UserError` whenever the source is not what the spec
    says: unreachable, other bytes, malformed, a missing column, no rows, or another number of rows than `spec.rows`.
    """
    where = f"dataset {name}, {_address(spec)}"
    source = _read(spec, sha256, where)
    rows, dropped = map_rows(name, spec, source, where)
    if spec.rows is not None and len(rows) != spec.rows:
        raise UserError(
            f"{len(rows)} rows after the filters (of {len(source)})",
            where=where,
            expected=f"{spec.rows} rows",
            hint="compare the filters with the source, or correct `rows`",
        )
    facts = {
        "commit": spec.source.revision if isinstance(spec.source, HubDataset) else None,
        "n_source_rows": len(source),
        "n_rows": len(rows),
        "n_dropped": dropped,
        "n_without_response": sum(row["response"] is None for row in rows),
        "licence": spec.licence,
        "citation": spec.citation,
    }
    return Fetched(rows, facts)


def _read(spec: DatasetSpec, sha256: str | None, where: str) -> list[SourceRow]:
    source = spec.source
    if isinstance(source, HubDataset):
        from safety_regions.data.hub import load_hub

        return load_hub(source, where)
    if isinstance(source, SyntheticDataset):
        return _synthetic(source.name, where)
    if isinstance(source, UrlDataset):
        from safety_regions.data.download import download

        data = download(str(source.url))
        _check_sha256(data, source.sha256, where, "the file behind the URL was changed: pin a commit in the URL")
    else:
        data = _local(source, sha256, where)
        _check_sha256(data, sha256, where, "the file changed since the run was planned: run snakemake again")
    return parse(data, source.format, where, source.delimiter)


def _check_sha256(data: bytes, expected: str | None, where: str, hint: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if expected is not None and found != expected:
        raise UserError(f"sha256 {found} ({len(data)} bytes)", where=where, expected=f"sha256 {expected}", hint=hint)


def _local(source: LocalDataset, sha256: str | None, where: str) -> bytes:
    try:
        return Path(source.path).read_bytes()
    except OSError as error:
        hint = (
            f"bring the file with sha256 {sha256} there (paths are relative to the folder in which snakemake runs), or"
            " name another source of this set in a registry; its artifacts are then others"
        )
        raise unreadable(error, where, hint) from None


def _synthetic(name: str, where: str) -> list[SourceRow]:
    from safety_regions.data import synthetic

    if name not in synthetic.DATASETS:
        raise UserError(f"no synthetic set {name!r}", where=where, hint=did_you_mean(name, synthetic.DATASETS))
    return [SourceRow(f"row {number}", cells) for number, cells in enumerate(synthetic.rows(name), 1)]


def _address(spec: DatasetSpec) -> str:
    source = spec.source
    if isinstance(source, HubDataset):
        return f"{source.id}@{source.revision[:12]}"
    if isinstance(source, SyntheticDataset):
        return f"synthetic {source.name}"
    return str(source.url) if isinstance(source, UrlDataset) else source.path
