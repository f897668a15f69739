"""A model's files looked at once, before anything rests on them: readable, whole, plain floating-point weights, all
finite.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safety_regions.config.architectures import refuse_unclaimed, refuse_unknown
from safety_regions.errors import UserError

CONFIG, ADAPTER = "config.json", "adapter_config.json"
FLOATING = {"F64", "F32", "F16", "BF16"}
"""Dtypes of weights that are scored as they are; others are codes of a quantisation."""
POSITIONS = "I64"
"""Of the numbers of positions that classifiers hold beside their weights."""
UNQUANTISED = "quantised weights cannot be scored; use the unquantised model"


def refuse_unsound(folder: Path, where: str, *, scored: bool = True) -> None:
    """`refuse_incomplete`, and weight files that are damaged or not floating-point, and weights that are NaN or
    infinite. Beside the weights of a model that is not `scored` there may be whole numbers.

    Reads all weights once.
    """
    refuse_incomplete(folder, where, scored=scored)
    for path in sorted(folder.glob("*.safetensors")):
        _refuse_damaged(path, where, scored=scored)


def refuse_incomplete(folder: Path, where: str, *, scored: bool = True) -> None:
    """Raise `UserError` for a folder that is no model in safetensors: by its file names, config.json and index alone.

    That is: config.json is missing, is no mapping, or says that weights are quantised or, if the model is to be
    `scored`, of an architecture that is not known; a LoRA adapter lies beside the
    model (transformers would add it without a word); weight files are missing or pickled.
    """
    refuse_configuration(folder, where, scored=scored)
    if (folder / ADAPTER).exists():
        raise UserError(
            "a LoRA adapter beside the model",
            where=f"{where}, {ADAPTER}",
            expected="a model alone",
            hint="merge the adapter into its own base model and save that, or move the adapter away",
        )
    _refuse_without_weights(folder, where)


def refuse_configuration(folder: Path, where: str, methods: Sequence[str] = (), *, scored: bool = True) -> None:
    """`refuse_incomplete`, as far as config.json alone can tell; and methods that are not right for the model."""
    expected = "a model folder as save_pretrained makes it"
    if not (folder / CONFIG).is_file():
        raise UserError("no config.json", where=where, expected=expected)
    config = _mapping(folder / CONFIG, where)
    if quantised := config.get("quantization_config"):
        how = quantised.get("quant_method") if isinstance(quantised, dict) else quantised
        raise UserError(
            f"quantised weights ({how})",
            where=f"{where}, {CONFIG}",
            expected="a model without quantization_config",
            hint=UNQUANTISED,
        )
    if scored:
        refuse_unknown(config, f"{where}, {CONFIG}")
        refuse_unclaimed(config, methods, f"{where}, {CONFIG}")


def _refuse_without_weights(folder: Path, where: str) -> None:
    for index in folder.glob("*.safetensors.index.json"):
        shards = _mapping(index, where).get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(shard, str) for shard in shards.values()):
            raise UserError(
                "no weight_map of names to files",
                where=f"{where}, {index.name}",
                expected="an index as save_pretrained writes it",
                hint="download it again",
            )
        missing = sorted(
            {shard for shard in shards.values() if Path(shard).name != shard or not (folder / shard).is_file()}
        )
        if missing:
            raise UserError(
                f"{len(missing)} weight files are missing, such as {missing[0]}",
                where=where,
                expected=f"all files of {index.name}",
                hint="download the rest",
            )
    if not any(folder.glob("*.safetensors")):
        raise UserError(
            "no *.safetensors weights",
            where=where,
            expected="safetensors: pickled weights (.bin, .pt) can run code when they are opened,"
            " so they are never loaded",
            hint="load them yourself if you trust them, and save_pretrained them to a local folder",
        )


def _refuse_damaged(path: Path, where: str, *, scored: bool) -> None:
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                dtype = file.get_slice(name).get_dtype()
                if dtype == POSITIONS and not scored:
                    continue
                if dtype not in FLOATING:
                    raise UserError(
                        f"weights of type {dtype}",
                        where=f"{where}, {path.name}, {name}",
                        expected=f"one of: {', '.join(sorted(FLOATING))}",
                        hint=UNQUANTISED,
                    )
                bad = int((~torch.isfinite(file.get_tensor(name))).sum())
                if bad:
                    raise UserError(
                        f"{bad} weights are NaN or infinite",
                        where=f"{where}, {path.name}, {name}",
                        expected="finite weights",
                        hint="the training or the conversion that made them failed; take another copy",
                    )
    except SafetensorError as error:
        raise UserError(
            f"not a whole safetensors file: {error}", where=f"{where}, {path.name}", hint="download or copy it again"
        ) from None


def _mapping(path: Path, where: str) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON: {error}", where=f"{where}, {path.name}", hint="download or copy it again") from None
    if not isinstance(content, dict):
        raise UserError(
            f"a JSON {type(content).__name__}",
            where=f"{where}, {path.name}",
            expected="an object",
            hint="download or copy it again",
        )
    return content


def refuse_unreadable(model: Any, ids: Mapping[str, Sequence[int]], where: str, further: int = 0) -> None:
    """Raise `UserError` naming the first row whose tokens the model cannot read; `ids`: tokens by row id.

    Beyond `max_position_embeddings` of its configuration (`further` more are to be generated) a model answers nonsense
    without a word; beyond its embeddings it fails. The latter means a tokenizer of another model.
    """
    from safety_regions.models.architecture import decoder_of

    most, vocabulary = (
        getattr(decoder_of(model).config, "max_position_embeddings", None),
        model.get_input_embeddings().weight.shape[0],
    )
    for row, tokens in ids.items():
        if most is not None and len(tokens) + further > most:
            more = f" and {further} to generate" if further else ""
            raise UserError(
                f"{len(tokens)} tokens{more}",
                where=f"{where}, row {row}",
                expected=f"at most {most}, the positions of this model",
                hint="shorten or drop the row, or lower responses.max_new_tokens",
            )
        if max(tokens, default=0) >= vocabulary:
            raise UserError(
                f"token {max(tokens)}",
                where=f"{where}, row {row}",
                expected=f"tokens below {vocabulary}, the size of this model's vocabulary",
                hint="the tokenizer beside this model is another model's: take both from one place",
            )
