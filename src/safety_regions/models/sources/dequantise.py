"""GGUF files, whose weights are quantised, as safetensors: what `package` and `gguf` share."""

import sys
from collections.abc import Sequence
from pathlib import Path

from safety_regions.config.architectures import refuse_unclaimed, refuse_unknown
from safety_regions.errors import UserError
from safety_regions.files import sha256_of_file
from safety_regions.models.folder import save, without_bars

PACKAGES = ("gguf", "safetensors", "tokenizers", "torch", "transformers")


def checked(gguf: Path, sha256: str, where: str) -> Path:
    """The file itself. Raises `UserError` if its sha256 is another; nothing opens it before."""
    found = sha256_of_file(gguf)
    if found != sha256:
        raise UserError(
            f"the GGUF file has sha256 {found}",
            where=where,
            expected=f"sha256 {sha256}",
            hint="check sha256 in the model registry, and where the file is taken from: its parts and their order",
        )
    return gguf


def dequantise(gguf: Path, dtype: str, folder: Path, methods: Sequence[str]) -> dict:
    """Write a GGUF file's weights, as `dtype`, and its tokenizer to `folder`; facts: its bytes and its weights.

    Raises `UserError` for a model that cannot be scored, or not by one of the methods.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    print(f"converting {gguf.stat().st_size / 2**20:.0f} MiB of GGUF to safetensors", file=sys.stderr)
    with without_bars():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
        )
    config = model.config.to_dict()
    refuse_unknown(config, gguf.name)
    refuse_unclaimed(config, methods, gguf.name)
    save(model.to(getattr(torch, dtype)), tokenizer, folder)
    return {"gguf_bytes": gguf.stat().st_size, "parameters": model.num_parameters()}
