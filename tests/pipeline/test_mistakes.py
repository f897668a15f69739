"""A mistake ends `snakemake` before any job, with one message that says where it is and what is allowed."""

import re

from pipeline import WorkingCopy


def message_of(copy: WorkingCopy, *arguments: str) -> str:
    done = copy.snakemake("--dry-run", *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    return done.stdout


def test_a_mistake_in_the_file_is_shown_with_file_line_and_key(copy: WorkingCopy):
    copy.change(thresholds__q=0.3)
    message = message_of(copy)
    assert re.search(r"config/micro\.yaml, line \d+", message)
    # Nothing of ours beside the message: no exception of snakemake's, no line of a rule.
    assert message.count("error: ") == 1 and "WorkflowError" not in message and ".smk" not in message
    assert "0.3" in message


def test_an_unknown_set_is_shown_with_the_nearest_known_one(copy: WorkingCopy):
    copy.add_safety_set("syn_biuld")
    message = message_of(copy)
    assert "syn_biuld" in message
    assert "did you mean 'syn_build'?" in message


def test_a_value_from_the_command_line_is_checked_and_placed(copy: WorkingCopy):
    assert "--config" in message_of(copy, "--config", 'thresholds={"q": 0.3}')


def test_a_value_from_the_command_line_counts(copy: WorkingCopy):
    assert copy.planned_jobs("--config", 'thresholds={"q": 0.1}') == {
        "overlap": 1,
        "constrain": 1,
        "evaluate": 1,
        "draw_figures": 1,
        "write_report": 1,
    }


def test_a_missing_local_file_is_named(copy: WorkingCopy):
    (copy.folder / "own.csv").rename(copy.folder / "owned.csv")
    message = message_of(copy)
    assert "own.csv" in message
    assert "did you mean 'owned.csv'?" in message


def test_lint_finds_nothing(copy: WorkingCopy):
    said = copy.snakemake("--lint").stdout
    assert re.findall(r"^ +\* (.*)$", said, re.MULTILINE) == []
    assert "your workflow is in a good condition" in said
