"""Hints that name a run name all of it, as a shell takes it."""

import shlex

from snakemake.cli import get_argument_parser, parse_config

from safety_regions.__main__ import parse
from safety_regions.planning.run_words import RunWords

OVERRIDES = ("thresholds={q: 0.01}", "name=my run")
WORDS = RunWords(("profiles/slurm",), ("config/my run.yaml", "config/b.yaml"), OVERRIDES)


def test_a_command_of_ours_names_the_run_that_was_named():
    arguments = parse(shlex.split(WORDS.ours("pull", "--all"))[1:])
    assert RunWords.of(arguments) == RunWords((), WORDS.configfiles, OVERRIDES)


def test_a_call_of_snakemake_names_it_too_with_its_targets_and_one_value_more():
    line = WORDS.snakemake("results/a b", override="machine={recompute_published: true}")
    arguments = get_argument_parser().parse_args(shlex.split(line)[1:])
    assert arguments.targets == ["results/a b"]
    assert RunWords.of(arguments) == RunWords(
        WORDS.profiles, WORDS.configfiles, (*OVERRIDES, "machine={recompute_published: true}")
    )
    # Of two values for one mapping, the second leaves what the first says of other keys.
    words = RunWords(overrides=("machine={batch_tokens: 256}",)).snakemake(override="machine={device: cpu}")
    values = get_argument_parser().parse_args(shlex.split(words)[1:]).config
    assert parse_config(values) == {"machine": {"batch_tokens": "256", "device": "cpu"}}


def test_the_default_run_needs_no_words():
    assert RunWords().ours("pull") == "safety-regions pull" and RunWords().snakemake() == "snakemake"
