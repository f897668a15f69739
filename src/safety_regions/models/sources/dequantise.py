"""GGUF files, whose weights are quantised, as safetensors: what `package` and `gguf` share."""

import sys
from pathlib import Path

from safety_regions.config.architectures import refuse_unknown
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


def dequantise(gguf: Path, dtype: str, folder: Path) -> dict:
    """Write a GGUF file's weights, as `dtype`, and its tokenizer to `folder`; facts: its bytes and its weights."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    print(f"converting {gguf.stat().st_size / 2**20:.0f} MiB of GGUF to safetensors", file=sys.stderr)
    with without_bars():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
        )
    refuse_unknown(model.config.to_dict(), gguf.name)
    save(model.to(getattr(torch, dtype)), tokenizer, folder)
    return {"gguf_bytes": gguf.stat().st_size, "parameters": model.num_parameters()}
