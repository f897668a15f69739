"""A prepared model folder, loaded: weights, tokenizer, and how to talk to it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from safety_regions.artifacts import receipts
from safety_regions.artifacts.other_code import warn_if_changed
from safety_regions.config.architectures import blocks_path, refuse_unknown
from safety_regions.errors import UserError
from safety_regions.models.architecture import auto_class
from safety_regions.models.streamed import StreamedLayers, read_but_layers, stream

Read = Callable[[str, str | None, torch.dtype], Any]
PROMPT_ALONE = "{prompt}"
"""What a model reads whose chat template is left out, and that has no other."""


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model in evaluation mode with frozen weights."""

    model: Any
    tokenizer: Any
    plain_template: str | None
    eos_ids: tuple[int, ...]
    """Tokens that end a response; the first is the tokenizer's own."""
    streamed: StreamedLayers | None = None
    """Its layers, where weights of theirs are in the model only while `layer` is open."""

    @property
    def device(self) -> torch.device:
        """Where the embeddings, and so the inputs, live."""
        return self.model.get_input_embeddings().weight.device

    @contextmanager
    def layer(self, number: int) -> Iterator[None]:
        """While open, the weights of a layer are in the model, as they always are where it holds all of them."""
        if self.streamed is None:
            yield
        else:
            with self.streamed.present(number):
                yield


def pick_device(wanted: str) -> str:
    """`auto` is a GPU where torch sees one. Raises `UserError` if `cuda` is asked for and there is none."""
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError(
            "no GPU is visible to torch",
            expected="a CUDA device, for machine.device: cuda",
            hint="set machine.device to auto or cpu, or run where a GPU is",
        )
    return ("cuda" if available else "cpu") if wanted == "auto" else wanted


@cache
def load_once(
    folder: Path, device: str, digest: str, dtype: str | None = None, *, streamed: bool = False
) -> LoadedModel:
    """The model in a folder made by recipe `digest`, loaded at the first call of a process only."""
    return load_model(folder, device, dtype, digest, streamed=streamed)


def load_model(
    folder: Path | str,
    device: str = "cpu",
    dtype: str | None = None,
    digest: str | None = None,
    *,
    streamed: bool = False,
) -> LoadedModel:
    """Load a folder that `prepare_model` made (by recipe `digest`, if given), after its files were checked.

    `dtype` overrides the recipe's; `streamed`: weights of layers stay in their files, and are read by
    `LoadedModel.layer`. Nothing is downloaded: a Hub model must be in the local cache already.
    """
    recipe, (model, tokenizer) = read_prepared(Path(folder), digest, dtype, partial(_read, streamed=streamed))
    layers = place(model.requires_grad_(False).eval(), pick_device(device), streamed=streamed)
    plain = recipe.get("plain_template")
    if recipe.get("chat_template") is False:
        tokenizer.chat_template, plain = None, plain or PROMPT_ALONE
    return LoadedModel(model, tokenizer, plain, eos_ids(model, tokenizer), layers)


def read_prepared(folder: Path, digest: str | None, dtype: str | None, read: Read) -> tuple[dict[str, Any], Any]:
    """The recipe of a prepared folder, and what `read` makes of the place of its weights, a commit and a dtype.

    Raises `UserError` for a folder that is damaged, of another recipe than `digest`, or cannot be read.
    """
    receipt = receipts.check(folder, digest)
    warn_if_changed(str(folder), receipt)
    # transformers also reads files that the receipt does not tell of: another chat template, an adapter.
    foreign = sorted({path.name for path in folder.iterdir()} - set(receipt.files))
    if foreign:
        raise UserError(
            f"files that are no part of this model: {', '.join(foreign[:5])}",
            where=str(folder),
            expected="the files of its receipt",
            hint="move them away",
        )
    recipe = receipt.recipe
    location, revision = _location(folder, recipe)
    try:
        return recipe, read(location, revision, getattr(torch, dtype or recipe["dtype"]))
    except UserError:
        raise
    # Files that are not what they should be come to light deep inside the libraries, as errors of many kinds.
    except Exception as error:
        said = next(iter(str(error).strip().splitlines()), "")
        raise UserError(
            f"the model cannot be loaded: {type(error).__name__}: {said}",
            where=f"{location} @ {revision or 'local'}",
            hint="look at the model's own files; if they are sound,"
            f" delete {folder} and run snakemake again where there is a network",
        ) from None


def _read(location: str, revision: str | None, dtype: torch.dtype, *, streamed: bool) -> tuple[Any, Any]:
    """Model and tokenizer. Raises `UserError` as `read_weights`."""
    from transformers import AutoTokenizer

    from safety_regions.models.folder import without_bars

    with without_bars():
        tokenizer = AutoTokenizer.from_pretrained(location, **_offline(revision))
    return read_weights(location, dtype, revision, streamed=streamed), tokenizer


def _offline(revision: str | None) -> dict[str, Any]:
    return {"revision": revision, "local_files_only": True, "trust_remote_code": False}


def read_weights(location: str, dtype: torch.dtype, revision: str | None = None, *, streamed: bool = False) -> Any:
    """The model of a folder, or of the Hub's cache, on the CPU; `streamed`: without the weights of its layers.

    Raises `UserError` if the weights are not those that config.json asks for.
    """
    from transformers import AutoConfig

    from safety_regions.models.folder import without_bars

    with without_bars():
        config = AutoConfig.from_pretrained(location, **_offline(revision))
        options = _offline(revision) | {"dtype": dtype, "use_safetensors": True, "output_loading_info": True}
        described = config.to_dict()
        refuse_unknown(described, location)
        of_type = auto_class(config.model_type)
        if streamed:
            model, found = read_but_layers(of_type, config, location, blocks_path(described), **options)
        else:
            model, found = of_type.from_pretrained(location, **options)
    blocks = f"{blocks_path(described)}."
    surplus = (name for name in found["unexpected_keys"] if name.startswith(blocks) and _is_weight(name))
    refuse_other_weights(location, found["missing_keys"], surplus)
    return model


def refuse_other_weights(location: str, missing: Iterable[str], surplus: Iterable[str]) -> None:
    """Raise `UserError` if there are such names: transformers fills what is missing with random numbers, and leaves out
    what is too much.
    """
    for names, what in ((sorted(missing), "have no"), (sorted(surplus), "have more than config.json asks for:")):
        if names:
            raise UserError(
                f"the weights {what} {names[0]}" + (f" and {len(names) - 1} others" if names[1:] else ""),
                where=location,
                expected="the weights of the model that config.json describes",
                hint="download or copy the model again, whole",
            )


def _is_weight(name: str) -> bool:
    """Whether a tensor of this name is one of a block's weights: older checkpoints hold causal masks beside them."""
    return not re.search(r"\.(attn|attention)\.(bias|masked_bias|causal_mask)$", name)


def place(model: Any, device: str, *, streamed: bool) -> StreamedLayers | None:
    """Bring the weights to the device, over all GPUs that this job was given if there are several, layer by layer; or,
    of a model that was read without those of its layers, all others, to one device.
    """
    if streamed:
        return stream(model, blocks_path(model.config.to_dict()), device)
    if device == "cuda" and torch.cuda.device_count() > 1:
        from accelerate import dispatch_model, infer_auto_device_map
        from accelerate.utils import get_balanced_memory

        whole = model._no_split_modules
        memory = get_balanced_memory(model, no_split_module_classes=whole)
        dispatch_model(model, infer_auto_device_map(model, memory, no_split_module_classes=whole))
    else:
        model.to(device)
    return None


def _location(folder: Path, recipe: dict) -> tuple[str, str | None]:
    """Where the weights are: in the folder, or where its pointer says; a local model's files are checked again."""
    source = folder / "source.json"
    if not source.is_file():
        return str(folder), None
    pointer = json.loads(source.read_text(encoding="utf-8"))
    if "path" not in pointer:
        return pointer["id"], pointer["revision"]
    from safety_regions.models.model_files import folder_digest

    scored = recipe["source"]["kind"] != "classifier"
    found, expected = folder_digest(pointer["path"], scored=scored), recipe["source"]["sha256"]
    if found != expected:
        raise UserError(
            f"the files of this model have digest {found}: changed since it was prepared",
            where=pointer["path"],
            expected=expected,
            hint="restore them, or put the new digest into the model registry",
        )
    return pointer["path"], None


def eos_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """The tokenizer's end token first, then any other that the generation config names."""
    named = model.generation_config.eos_token_id if model.generation_config is not None else None
    named = [] if named is None else [named] if isinstance(named, int) else list(named)
    own = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    ids = tuple(dict.fromkeys(own + named))
    if not ids:
        raise UserError(
            "no end-of-sequence token", where=tokenizer.name_or_path, hint="set eos_token in tokenizer_config.json"
        )
    return ids
