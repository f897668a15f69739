"""From the mapping that Snakemake merged to a checked `RunConfig`."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from snakemake.utils import update_config

from safety_regions.config.explain_errors import mistakes_of
from safety_regions.config.mistakes import Mistake, raise_if_any
from safety_regions.config.registries import Registries, load_registries
from safety_regions.config.run import RunConfig
from safety_regions.config.schema_in_words import Allowed
from safety_regions.config.yaml_lines import Document, Places, check_files, read_documents, read_yaml

__all__ = ["Registries", "check_files", "load_registries", "load_run", "read_yaml"]

CODE = "__use_yte__"
WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
WORDS |= {"True": True, "False": False, "None": None}
"""As YAML writes them, and as Python does, in whose words Snakemake hands on what a profile says."""


def load_run(merged: Mapping, files: Iterable[Path | str] = (), overrides: Mapping | None = None) -> RunConfig:
    """The checked run configuration.

    `merged`: what Snakemake made of the files and `--config`; `files`: the configuration files in the order in which
    they were merged, the workflow's own before those of `--configfile`; `overrides`: what `--config` gave. Inside
    mappings and lists Snakemake hands every `--config` value on as text, so such text is read as a number, true, false
    or null where the schema wants one.

    Raises one `UserError` that lists every mistake with its place, what was found and what is allowed.
    """
    documents = read_documents(files)
    raise_if_any(_code_in(documents))
    typed = _typed(_plain(overrides or {}), _allowed().schema)
    if not isinstance(merged, Mapping):
        raise_if_any([Mistake(f"a {type(merged).__name__}", "the configuration", expected="a mapping")])
    data = _plain(merged)
    update_config(data, typed)
    try:
        run = RunConfig.model_validate(data, strict=True)
    except ValidationError as error:
        places = Places(documents, typed, fallback="the configuration")
        raise_if_any(mistakes_of(error, data, _allowed(), places))
        raise
    raise_if_any(_too_little(run, Places(documents, typed, fallback="the configuration")))
    return run


def _too_little(run: RunConfig, places: Places) -> list[Mistake]:
    """Of methods and sets, for what the run makes."""
    mistakes = []
    if not run.enabled_methods():
        found, expected = "every method left out", "at least one method that is not null"
        mistakes.append(Mistake(found, places.of(("methods",)).where, "methods", expected))
    if run.goal == "report" and len(run.datasets.safety) < 2:
        where = places.of(("datasets", "safety")).where
        expected, hint = "two sets: a report compares their regions", "or set goal to `refined` or `regions`"
        mistakes.append(Mistake("one set", where, "datasets.safety", expected, hint))
    if run.goal != "regions" and not run.datasets.utility:
        where = places.of(("datasets", "utility")).where
        expected, hint = "one set or more: refinement takes their regions out", "or set goal to `regions`"
        mistakes.append(Mistake("no set", where, "datasets.utility", expected, hint))
    return mistakes


def _code_in(documents: Iterable[Document]) -> list[Mistake]:
    """Snakemake runs what such a file holds, takes this key out, and hands on what came of it."""
    places = [document.places[(CODE,)].where for document in documents if CODE in document.data]
    hint = (
        "if this is snakemake, it has run already;"
        " safety-regions status --configfile FILE reads a file and runs nothing"
    )
    return [Mistake("code, which snakemake runs as it reads the file", at, CODE, "plain values", hint) for at in places]


@cache
def _allowed() -> Allowed:
    return Allowed(RunConfig.model_json_schema())


def _plain(value: Any) -> Any:
    """The same in plain dicts and lists (Snakemake's are of its own kinds)."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _typed(value: Any, schema: dict) -> Any:
    """A `--config` value whose text became what the schema wants."""
    if isinstance(value, dict):
        return {key: _typed(item, _allowed().below(schema, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item, _allowed().below(schema, index)) for index, item in enumerate(value)]
    return _scalar(value, schema) if isinstance(value, str) else value


def _scalar(text: str, schema: dict) -> Any:
    allowed = _allowed()
    if allowed.takes(schema, "string"):
        return None if allowed.takes(schema, "null") and WORDS.get(text, text) is None else text
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return WORDS.get(text, text)
