"""A model's entry for the registry, from what the Hub or a folder says of it; a model that cannot be scored is refused
before any weights are fetched.
"""

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from safety_regions.config.architectures import claims, text_config
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.models import ModelSpec, Shape
from safety_regions.config.text_dimensions import in_common_names
from safety_regions.errors import UserError
from safety_regions.hub import hub_errors, page
from safety_regions.models.checks import refuse_configuration
from safety_regions.models.model_files import CONFIG, folder_digest

TOKENIZER, TEMPLATES = "tokenizer_config.json", ("chat_template.jinja", "chat_template.json")
DTYPES = get_args(ModelSpec.model_fields["dtype"].annotation)
PLAIN_TEMPLATE = "{prompt}\n"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Described:
    """A model as the registry has it."""

    entry: dict[str, Any]
    model_type: str
    """Of its config.json."""
    has_template: bool
    """Whether it brings a chat template."""
    unclaimed: tuple[str, ...]
    """Methods that are not right for it."""


def of_hub(id: str, revision: str | None = None) -> Described:
    """A model of the Hub at a commit; None: the newest. Fetches its small files.

    Raises `UserError` for a model that is not there, is gated, cannot be scored, or has no safetensors.
    """
    from huggingface_hub import HfApi, snapshot_download

    where = f"{id} @ {revision or 'main'}"
    with hub_errors("model", id, revision or "main", where):
        known = HfApi().model_info(id, revision=revision)
        wanted = [CONFIG, TOKENIZER, *TEMPLATES]
        folder = Path(snapshot_download(id, revision=known.sha, allow_patterns=wanted))
    refuse_configuration(folder, where)
    names = [file.rfilename for file in known.siblings or []]
    if not any(re.fullmatch(r"[^/]+\.safetensors", name) for name in names):
        raise UserError(
            "no *.safetensors weights",
            where=where,
            expected="safetensors: pickled weights can run code when they are opened, so they are never loaded",
            hint=f"look for another copy of the model; the files of this one: {page('model', id)}/tree/{known.sha}",
        )
    source = {"kind": "hub", "id": id, "revision": known.sha}
    parameters = known.safetensors.total if known.safetensors else None
    return _described(folder, source, getattr(known.card_data, "license", None), page("model", id), parameters)


def of_folder(path: Path) -> Described:
    """A model in a folder, as `save_pretrained` makes it. Reads all of it once, for its digest.

    Raises `UserError` for a folder that is no model, and for a model that cannot be scored.
    """
    source = {"kind": "local", "path": str(path), "sha256": folder_digest(path)}
    return _described(path, source, None, str(path), _n_weights(path))


def _n_weights(folder: Path) -> int:
    """By the headers of the weight files."""
    from safetensors import safe_open

    count = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as weights:
            count += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return count


def _size(config: dict, parameters: int | None) -> dict[str, Any]:
    """Its shape, or where that says too little, as of a model with an encoder, the number of its weights."""
    if text_config(config) is config:
        with suppress(ValidationError):
            said = in_common_names(config)
            shape = Shape.model_validate({name: said[name] for name in Shape.model_fields if name in said})
            return {"shape": shape.model_dump(exclude_none=True)}
    return {} if parameters is None else {"parameters": parameters}


def _described(folder: Path, source: dict, licence: str | None, citation: str, parameters: int | None) -> Described:
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    said = config | text_config(config)
    dtype = said.get("dtype") or said.get("torch_dtype")
    has_template = _has_template(folder)
    entry = {"source": source, "dtype": dtype if dtype in DTYPES else DTYPES[0], **_size(config, parameters)}
    if not has_template:
        entry["plain_template"] = PLAIN_TEMPLATE
    entry |= {"licence": licence or UNKNOWN, "citation": citation}
    unclaimed = tuple(method for method in CATALOGUE if not claims(config, method))
    return Described(entry, config["model_type"], has_template, unclaimed)


def _has_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in TEMPLATES):
        return True
    tokenizer = folder / TOKENIZER
    return tokenizer.is_file() and bool(json.loads(tokenizer.read_text(encoding="utf-8")).get("chat_template"))
