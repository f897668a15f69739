"""The environment of every job: one thread, so that results do not depend on how many cores there are."""

JOB = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""The second and third go before the first, for the libraries that they name, so a user's own would count."""
OFFLINE = {"HF_HUB_OFFLINE": "1"}
"""For jobs that run a model, on machines that may have no network: what is not there fails at once."""


def assignments(variables: dict[str, str]) -> str:
    """As they stand before a command."""
    return " ".join(f"{name}={value}" for name, value in variables.items())
