"""Rows of a dataset on the Hugging Face Hub, at the pinned commit and no other."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safety_regions.config.datasets import HubDataset
from safety_regions.data.formats import SourceRow
from safety_regions.errors import UserError, did_you_mean

OFFLINE_ERRORS = {
    "ConnectionError",
    "ConnectError",
    "TimeoutException",
    "OfflineModeIsEnabled",
    "LocalEntryNotFoundError",
}


def load_hub(source: HubDataset, where: str) -> list[SourceRow]:
    """All rows of the split at the pinned commit; with HF_HUB_OFFLINE=1, from the cache.

    Raises `UserError` for a gated or unknown dataset, an unknown commit, configuration or split, no connection, or when
    the pin is resolved to another commit (the `datasets` library may hand out another cached copy).
    """
    import datasets
    import huggingface_hub.utils

    datasets.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
        huggingface_hub.utils.disable_progress_bars()
    try:
        builder, commit = _folder_builder(source) if source.data_dir else _builder(source)
        _check_commit(commit, source, where)
        builder.download_and_prepare()
        _check_split(list(builder.info.splits or ()), source, where)
        rows = builder.as_dataset(split=source.split).to_list()
    except UserError:
        raise
    # The Hub's client lets through errors of whatever library it uses beneath: none of them is a bug of ours.
    except Exception as error:
        raise _explained(error, source, where) from error
    return [SourceRow(f"row {number}", cells) for number, cells in enumerate(rows, 1)]


def _builder(source: HubDataset) -> tuple[Any, str | None]:
    import datasets

    cache = _cache_of(source)
    builder = datasets.load_dataset_builder(source.id, name=source.config, revision=source.revision, cache_dir=cache)
    return builder, builder.hash


def _folder_builder(source: HubDataset) -> tuple[Any, str | None]:
    # Offline, `datasets` does not find again what it cached for a data_dir; the Hub's client finds the folder's files.
    import datasets
    import huggingface_hub

    files = [f"{source.data_dir}/**", "README.md"]
    folder = huggingface_hub.snapshot_download(
        source.id, repo_type="dataset", revision=source.revision, allow_patterns=files
    )
    cache = _cache_of(source)
    builder = datasets.load_dataset_builder(folder, name=source.config, data_dir=source.data_dir, cache_dir=cache)
    return builder, Path(folder).name


def _cache_of(source: HubDataset) -> str:
    # Offline, `datasets` takes the newest cached copy whatever the pin: a cache per commit holds no other.
    from datasets import config

    return str(Path(config.HF_DATASETS_CACHE) / "pinned" / source.revision)


def _check_commit(commit: str | None, source: HubDataset, where: str) -> None:
    if commit != source.revision:
        raise UserError(
            f"resolved to commit {commit}",
            where=where,
            expected=f"commit {source.revision}",
            hint="fetch it once with a connection to the Hub, with a current version of `datasets`",
        )


def _check_split(known: list[str], source: HubDataset, where: str) -> None:
    if source.split not in known:
        raise UserError(
            f"no split {source.split!r}",
            where=where,
            expected=f"one of: {', '.join(map(str, known))}",
            hint=did_you_mean(source.split, known),
        )


def _explained(error: Exception, source: HubDataset, where: str) -> UserError:
    # `datasets` cuts the chain of causes in places, so its own wording counts as well as the types.
    causes = list(_chain(error))
    kinds = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    text = " ".join(map(str, causes))
    page = f"https://huggingface.co/datasets/{source.id}"
    if "GatedRepoError" in kinds or "is a gated dataset" in text:
        return UserError(
            "the dataset is gated",
            where=where,
            expected="a token with access",
            hint=f"accept the terms at {page} and set HF_TOKEN to your token",
        )
    if "RevisionNotFoundError" in kinds or "doesn't exist for dataset" in text:
        return UserError(
            f"no commit {source.revision}", where=where, hint=f"the commits there are: {page}/commits/main"
        )
    if "RepositoryNotFoundError" in kinds or "doesn't exist on the Hub" in text:
        return UserError(
            f"no dataset {source.id}, or none that this token may see",
            where=where,
            hint=f"check the name at {page}; a private one needs HF_TOKEN",
        )
    if "BuilderConfig" in text or "Config name is missing" in text:
        return _no_config(text, source, where)
    if "Couldn't find cache" in text or kinds & OFFLINE_ERRORS:
        return UserError(
            "not in the cache, and no connection to the Hub",
            where=where,
            hint="fetch it once where there is a network, with the same HF_HOME, and without HF_HUB_OFFLINE",
        )
    if "EmptyDatasetError" in kinds or "DataFilesNotFoundError" in kinds:
        folder = f" in {source.data_dir}" if source.data_dir else ""
        return UserError(
            f"no data files{folder}", where=where, hint=f"the files there are: {page}/tree/{source.revision}"
        )
    return UserError(f"{type(error).__name__}: {error}", where=where, hint=f"see {page}")


def _no_config(text: str, source: HubDataset, where: str) -> UserError:
    found = f"no configuration {source.config!r}" if source.config else "no configuration named"
    listed = re.search(r"\['.*?'\]", text)
    known = ast.literal_eval(listed[0]) if listed else []
    hint = did_you_mean(source.config, known) if source.config else "set `config` of the source"
    return UserError(found, where=where, expected=f"one of: {', '.join(known)}", hint=hint)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
