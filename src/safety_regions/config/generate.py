"""Writes config/demo.yaml and the JSON schemas from the configuration models, so that the two cannot drift apart.

`python -m safety_regions.config.generate` writes them, `--check` names those that differ from what would be written.
"""

import argparse
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from safety_regions.config.registries import dataset_entries, model_entries
from safety_regions.config.run import RunConfig
from safety_regions.errors import UserError, run_main
from safety_regions.files import write_text

WIDTH = 100
COMMAND = "python -m safety_regions.config.generate"
HEADER = f"""\
# yaml-language-server: $schema=schema.json
# Every key of a run with its default. Generated from src/safety_regions/config/run.py by
# `{COMMAND}`: copy it and keep the keys that you change.
"""


def demo_yaml(run: RunConfig | None = None) -> str:
    """The YAML text of a run configuration (default: all defaults), every key with its docstring above it.

    Loading it gives the same `RunConfig` again.
    """
    return HEADER + "\n".join(_section(run or RunConfig(), 0)) + "\n"


def generated() -> dict[str, str]:
    """Text of each generated file, by its name in config/."""
    return {
        "demo.yaml": demo_yaml(),
        "schema.json": _json(RunConfig.model_json_schema()),
        "datasets.schema.json": _json(_registry_schema(dataset_entries(), "Dataset registry: id -> dataset")),
        "models.schema.json": _json(_registry_schema(model_entries(), "Model registry: id -> model")),
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the generated files, or with `--check` raise `UserError` naming those that drifted."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    parser.add_argument("--folder", type=Path, default=Path("config"), help="where the files lie (default: config)")
    options = parser.parse_args(arguments)
    texts = {options.folder / name: text for name, text in generated().items()}
    drifted = [str(path) for path, text in texts.items() if not path.is_file() or path.read_text("utf-8") != text]
    if options.check and drifted:
        raise UserError(
            f"not what the models in src/safety_regions/config say: {', '.join(drifted)}", hint=f"run: {COMMAND}"
        )
    if not options.check:
        for path, text in texts.items():
            write_text(path, text)


def _section(section: BaseModel, depth: int) -> Iterator[str]:
    """The lines of a mapping: for each key a comment, then its value."""
    indent = "  " * depth
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        comment = field.description or _doc(field.annotation)
        if depth == 0:
            yield ""
        for line in textwrap.wrap(" ".join(comment.split()), WIDTH - len(indent) - 2, break_on_hyphens=False):
            yield f"{indent}# {line}"
        if isinstance(value, BaseModel) and type(value).model_fields:
            yield f"{indent}{name}:"
            yield from _section(value, depth + 1)
        else:
            yield from _entry(name, value, indent)


def _doc(annotation: Any) -> str:
    """The docstring of the section that a key holds, also where it is left out by default."""
    sections = (of for of in (annotation, *get_args(annotation)) if isinstance(of, type) and issubclass(of, BaseModel))
    return next((of.__doc__ or "" for of in sections), "")


def _entry(name: str, value: Any, indent: str) -> Iterator[str]:
    """`name: value`, in flow style; a list too long for one line is wrapped between its items."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    line = f"{indent}{name}: {_flow(plain)}"
    if len(line) <= WIDTH or not isinstance(plain, list):
        yield line
        return
    yield f"{indent}{name}: ["
    rest = indent + "  "
    for item in map(_flow, plain):
        if len(rest) + len(item) + 1 > WIDTH and rest.strip():
            yield rest.rstrip()
            rest = indent + "  "
        rest += f"{item}, "
    yield rest.rstrip()
    yield f"{indent}]"


def _flow(value: Any) -> str:
    """A value as one line of YAML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    options: dict = {"default_flow_style": True, "allow_unicode": True, "width": float("inf")}
    # A list around it makes YAML quote what would end a flow list, and write no document end.
    text = yaml.safe_dump([value], **options).strip()[1:-1]
    plain = not isinstance(value, str) or not set("'\n") & set(text)
    return text if plain else yaml.safe_dump(value, default_style='"', **options).strip()


def _registry_schema(entries: Any, title: str) -> dict:
    return entries.json_schema() | {"title": title, "additionalProperties": False}


def _json(schema: dict) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    run_main(main)
