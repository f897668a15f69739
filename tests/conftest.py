"""What signatures promise is checked while tests run; one thread, so that results agree to the bit."""

import os

import pytest
from checked_imports import check_imports
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

check_imports()

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("shared-machine", deadline=None, print_blob=True)
settings.load_profile("shared-machine")

# Files that take minutes, the longest first: else one process is left with such a file when the others are done.
LONGEST = (
    "test_faults_on_slurm",
    "test_run_on_slurm",
    "test_repeats",
    "test_shared",
    "test_other_runs",
    "test_docs_method",
    "test_breaks",
    "test_changes",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest files; the others keep their order."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


pytest_plugins = ["pipeline", "sharing", "made", "snakelogs"]
