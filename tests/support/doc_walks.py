"""How the commands of the documentation are run, one after another; and why the others are not."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Typed:
    """A command, word for word, that succeeds."""

    command: str
    says: str = ""
    """Something of what it prints."""
    words: dict[str, str] = field(default_factory=dict)
    """What a reader types in the place of these words."""
    answer: str = ""
    """What is typed when it asks."""
    inside: str = "."


@dataclass(frozen=True)
class Elsewhere:
    """A test, or a fixture of tests, that does what the command does."""

    file: str
    name: str


NOTHING_TO_DO = "Nothing to be done"
REGION = "results/regions/micro/wanda/syn_steal.????????????.safetensors"
CLOUD, STORE = {"NAME": "cloud"}, {"NAME": "store"}

WALKS = {
    "a finished run": [
        Typed("snakemake -n", NOTHING_TO_DO),
        Typed("snakemake", NOTHING_TO_DO),
        Typed("env --default-signal=INT snakemake ...", NOTHING_TO_DO, {"...": "prefetch"}),
        Typed("safety-regions status", "It ended; nothing was to be done"),
        Typed("safety-regions status --configfile config/paper.yaml", "report 0/1"),
        Typed("safety-regions status --configfile FILE", "In place: ", {"FILE": "config/small.yaml"}),
        Typed("safety-regions estimate", "0 jobs with a model or its regions are left"),
        Typed("safety-regions estimate --profile profiles/slurm --configfile config/paper.yaml", "Disk: "),
        Typed("safety-regions provenance FILE", " micro, results/report/", {"FILE": "results/report/*/headline.pdf"}),
        Typed("safety-regions checklist", "| micro |"),
        Typed("safety-regions verify", "report"),
        Typed("make verify", "report"),
        Typed("safety-regions prune", "Nothing to prune"),
        Typed("sha256sum FILE", "own.csv", {"FILE": "own.csv"}),
        Typed("iconv -f CP1252 -t UTF-8 OLD > NEW", words={"OLD": "own.csv", "NEW": "new.csv"}),
    ],
    "sharing": [
        Typed("dvc remote add -d NAME URL", words=CLOUD | {"URL": "s3://bucket/path"}),
        Typed("dvc remote modify NAME endpointurl https://...", words=CLOUD | {"...": "s3.example.org"}),
        Typed("dvc remote modify --local NAME access_key_id ...", words=CLOUD | {"...": "KEY"}),
        Typed("dvc remote add -d NAME URL", "default", STORE | {"URL": "$(realpath ..)/store"}),
        Typed("dvc remote modify NAME verify true", words=STORE),
        Typed("dvc config --local cache.type hardlink,symlink"),
        Typed("dvc cache dir --local FOLDER", words={"FOLDER": "../cache"}),
        Typed("dvc config core.hardlink_lock true"),
        Typed("git add .dvc/config"),
        Typed("git commit -m 'Remote for results'", "1 file changed"),
        Typed("safety-regions publish --configfile config/small.yaml", "Everything is committed already"),
        Typed("make publish", "git commit -m 'Publish micro'"),
        Typed("git commit -m 'Publish small'", "files changed"),
        Typed("git push"),
        Typed("git clone ...", words={"...": "origin.git clone"}, inside=".."),
        Typed("safety-regions pull", "Nothing to pull", inside="../clone"),
        Typed(
            "safety-regions pull [--configfile ...]",
            "1 report",
            {"[": "", "]": "", "...": "config/micro.yaml"},
            inside="../clone",
        ),
        Typed(
            "safety-regions pull results/.../X",
            "region",
            {"results/.../X": f"$(cd ../copy; ls {REGION})"},
            inside="../clone",
        ),
        Typed("rm -r X", words={"X": REGION}, inside="../clone"),
        Typed("safety-regions pull X", "region", {"X": f"$(cd ../copy; ls {REGION})"}, inside="../clone"),
        Typed("dvc pull", "files added", inside="../clone"),
        Typed(
            "safety-regions verify [--remote] [--json] [PATH ...]",
            '"artifacts"',
            {"[": "", "]": "", "PATH ...": "results"},
            inside="../clone",
        ),
        Typed("dvc gc --workspace", answer="y\n", inside="../clone"),
        Typed("dvc gc --workspace --cloud", answer="y\n", inside="../clone"),
    ],
    "add-a-dataset.md": [Typed("snakemake -n --configfile config/my_run.yaml", "fetch_dataset")],
    "add-a-model.md": [
        Typed("snakemake -n --configfile config/my_run.yaml", "train_model"),
        Typed("safety-regions estimate --configfile config/my_run.yaml", "my-model"),
    ],
}
"""Each in a folder of its own, which holds what a clone holds after its default run."""

INSTALLS, CLUSTER = "the installation itself", "a cluster"
INIT = Elsewhere(
    "commands/test_init.py", "test_a_model_of_the_hub_is_pinned_to_its_newest_commit_and_told_without_its_weights"
)
NOT_RUN = {
    ". .venv/bin/activate": INSTALLS,
    "make reproduce": "the installation itself, and the pipeline, which the fixture `finished_run` runs",
    "make test": "all tests, this one among them",
    "make check": "the other part of `make test`",
    "safety-regions accept": Elsewhere(
        "artifacts/test_code_history.py", "test_a_changed_number_is_seen_and_can_be_accepted"
    ),
    "python tests/artifacts/test_golden.py meanabs": Elsewhere(
        "project/test_docs_method.py", "test_the_tests_that_the_page_names_pass_after_what_it_says"
    ),
    "python docs/list_architectures.py": Elsewhere(
        "project/test_docs_architectures.py", "test_the_table_says_what_becomes_of_every_type_of_transformers"
    ),
    "python docs/draw_architecture.py": Elsewhere(
        "project/test_architecture.py", "test_the_picture_is_that_of_the_code"
    ),
    "safety-regions init org/name": INIT,
    "safety-regions init org/name --like config/study.yaml": INIT,
    "make PYTHON=python3.12 reproduce": INSTALLS,
    "pip install -c envs/lock.txt -e '.[slurm]'": INSTALLS,
    "pip install -c envs/lock.txt -e '.[s3]'": INSTALLS,
    "pip install -c envs/lock.txt dvc-ssh": INSTALLS,
    "pip install -c envs/lock.txt snakemake-executor-plugin-cluster-generic": INSTALLS,
    "snakemake --profile profiles/generic --configfile config/paper.yaml": CLUSTER,
    "conda env create -f envs/environment.yml": Elsewhere(
        "project/test_envs.py", "test_conda_takes_every_version_from_the_lock"
    ),
    "apptainer build envs/safety-regions.sif envs/safety-regions.def": Elsewhere(
        "project/test_envs.py", "test_a_container_installs_by_the_lock_and_copies_what_is_there"
    ),
    "pip install pip-audit": "a network",
    "pip-audit --no-deps --disable-pip -r envs/lock.txt": "a network",
    "snakemake --configfile config/my_run.yaml": "minutes, and the reader's own data; its dry run is run",
    "snakemake prefetch": "what is run behind `env --default-signal=INT`",
    "snakemake prefetch --configfile ...": "what is run behind `env --default-signal=INT`, of another run",
    "snakemake prefetch --configfile config/paper.yaml": "a network",
    "snakemake prefetch --configfile FILE": "what is run behind `env --default-signal=INT`, of another run",
    "snakemake --unlock": Elsewhere(
        "pipeline/test_breaks.py", "test_a_killed_job_and_a_killed_run_are_finished_by_the_next"
    ),
    "snakemake --report report.zip": Elsewhere(
        "report/test_snakemake_report.py", "test_report_holds_page_appendix_and_headline_with_captions_and_categories"
    ),
    "snakemake --profile profiles/slurm": Elsewhere(
        "slurm/test_run_on_slurm.py", "test_a_run_through_slurm_gives_the_bytes_of_a_local_run"
    ),
    "snakemake --profile profiles/slurm --configfile config/paper.yaml": CLUSTER,
    "make test-cluster": CLUSTER,
    "python tests/slurm/compare.py --configfile config/demo.yaml --local .": CLUSTER,
    "python benchmarks/slurm.py": CLUSTER,
    "python benchmarks/gpu.py": Elsewhere(
        "project/test_benchmarks.py", "test_the_script_for_a_gpu_runs_to_its_end_where_there_is_none"
    ),
    "python benchmarks/refusals.py PATH_TO_XSTEST": Elsewhere(
        "models/test_refusal_benchmark.py", "test_the_command_prints_recall_and_precision_of_every_file"
    ),
    "python benchmarks/faithfulness.py MODEL PROMPTS ...": "hours, and a model of the network",
    "python benchmarks/planning.py": "minutes: it measures times",
    "make bench": "an hour, and a model of the network",
    "make bench MODEL=results/models/NAME.DIGEST": "an hour",
    "python -m safety_regions.config.generate": Elsewhere(
        "config/test_generate.py", "test_drift_ends_with_exit_code_1_and_the_command"
    ),
    "python scripts/prepare_model.py --digest FOLDER": Elsewhere(
        "models/test_sources.py", "test_a_local_model_is_pinned_by_the_digest_that_the_script_prints"
    ),
    "python tests/bad_input/table.py": Elsewhere("bad_input/test_bad_input.py", "test_the_page_is_what_the_cases_say"),
    "safety-regions recompute results/regions/...": Elsewhere(
        "provenance/test_recompute.py", "test_a_region_of_a_real_run_comes_out_again"
    ),
    "safety-regions recompute PATH_OR_PREFIX": Elsewhere(
        "provenance/test_recompute.py", "test_an_artifact_is_found_by_path_file_neighbour_and_digits"
    ),
    "safety-regions publish": "what `make publish` calls, which is run",
    "make pull": "it calls `safety-regions pull`, which is run",
    "git clone": "a word on `git clone ...`, which is run",
    "git checkout --ours -- X.dvc X.receipt.json": "a merge with a conflict",
}
"""What each of the others would need, or the test that does the same."""
