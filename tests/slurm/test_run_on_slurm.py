"""A whole run through SLURM: every job where it belongs, and the bytes of a run on one machine."""

from on_slurm import ON_CPUS, ON_GPUS, OnSlurm, misplaced
from pipeline import WorkingCopy, new_working_copy
from slurm import Slurm


def test_a_run_through_slurm_gives_the_bytes_of_a_local_run(slurm: Slurm, finished_run: WorkingCopy, tmp_path):
    """GPU rules in the partition with GPUs and with one of them, other heavy rules in the other, small ones not at
    SLURM at all.
    """
    copy = new_working_copy(tmp_path / "copy")
    run, before = OnSlurm(copy, slurm), len(slurm.jobs())
    run.run()
    jobs = run.jobs(before)
    assert not [job for job in jobs if misplaced(job)]
    assert {job["rule"] for job in jobs} == ON_GPUS | ON_CPUS
    # The machine's settings are in no recipe, so paths are those of the local run.
    assert copy.made() == finished_run.made()
    assert "Nothing to be done" in run.run()
