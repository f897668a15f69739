"""One cluster for all tests of this folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm import Slurm
from slurm_commands import PACKAGES, missing_programs


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Slurm]:
    """A running cluster, stopped at the end."""
    missing = missing_programs()
    if missing and not os.environ.get("SAFETY_REGIONS_REQUIRE_SLURM"):
        pytest.skip(
            f"SLURM is not installed ({', '.join(missing)}); as root:"
            f" apt-get install --no-install-recommends {PACKAGES}"
        )
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0
    # Sockets need a short path, and two test processes clusters of their own.
    cluster = Slurm(Path(f"/tmp/slurm-{os.getpid()}"), 26817 + 20 * number)
    try:
        yield cluster.start()
    finally:
        cluster.stop()
        cluster.remove()


@pytest.fixture(autouse=True)
def nodes_are_back(slurm: Slurm) -> Iterator[None]:
    """What a test broke is mended after it."""
    yield
    slurm.end_jobs()
    slurm.start()
