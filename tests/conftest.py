"""Shapes and dtypes in signatures are checked while tests run; one thread, so that results can be compared bit by bit."""

import os

from hypothesis import settings
from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

install_import_hook("safety_regions", "beartype.beartype")

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("shared-machine", deadline=None, print_blob=True)
settings.load_profile("shared-machine")

pytest_plugins = ["pipeline", "sharing", "made", "snakelogs"]
