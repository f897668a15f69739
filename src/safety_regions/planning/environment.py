"""The environment of every job: what a user's own shell says of libraries counts for nothing there."""

THREADS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""One thread, so that results do not depend on how many cores there are. The second and third go before the first, for
the libraries that they name, so a user's own would count."""
CLOSED = {"MPLBACKEND": "agg", "PYTHONNOUSERSITE": "1"}
"""Figures need no display, nor what a notebook draws with; packages are those of the environment or the container, none
of `~/.local`. Images and the conda file of envs/ say the same."""
MEANT = {
    "PYTHONUTF8": "1",
    "PYTHONWARNINGS": "",
    "NUMBA_DISABLE_JIT": "0",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "0",
}
"""Text is UTF-8 in every locale, a warning is no error, loops are compiled, and GPUs round as they do by default (some
images have them round more)."""
JOB = THREADS | CLOSED | MEANT
OFFLINE = {"HF_HUB_OFFLINE": "1"}
"""For jobs that run a model, on machines that may have no network: what is not there fails at once."""


def assignments(variables: dict[str, str]) -> str:
    """As they stand before a command."""
    return " ".join(f"{name}={value}" for name, value in variables.items())
