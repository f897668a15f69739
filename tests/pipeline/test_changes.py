"""A change of the configuration plans the jobs whose results depend on it, and no others."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from pipeline import MODELS, WorkingCopy, own_rows

REPORT = {"write_report": 1}
FIGURES = {"draw_figures": 1} | REPORT
COMPARED = {"overlap": 1} | FIGURES
EVALUATED = {"evaluate": 1} | COMPARED
# Wanda is the method whose regions are frozen.
TABLES = {"constrain": 1} | EVALUATED
REGIONS = {"measure": 1, "select_regions": 1} | TABLES
ANSWERS = {"respond": 1} | REGIONS
# The regions that evaluation takes out are not those of an added set, which is sampled with its own seed and with
# another.
# A model that is fine-tuned is asked prompts of every set, of which none was identified on.
ONE_SET = {"fetch_dataset": 1, "sample_prompts": 2 + 5, "prompt_overlap": 1} | {
    k: n for k, n in ANSWERS.items() if k != "evaluate"
}
# Fixed responses, which no model gives, are a job of their own, and so are those that a set lends to harmless prompts.
SAMPLES = {"sample_prompts": 7, "prompt_overlap": 1, "give_responses": 2} | ANSWERS
LENT = {"give_responses": 1}
# Prompts behind those identified on: SafeLayer's normal ones, two sets to evaluate with, and the adapter's training;
# four sets to ask a model that is fine-tuned, what it is trained on and what is held out.
BEHIND = {"sample_prompts": 16, "train_adapter": 1}
# Evaluation asks two sets, whose near duplicates of prompts identified on come last; so do the four sets that a model
# is asked with which is fine-tuned.
NEAR = {"sample_prompts": 6, "prompt_overlap": 1, "evaluate": 1, "constrain": 1} | REPORT

CHANGES: dict[str, tuple[dict, dict[str, int]]] = {
    "set added": ({"datasets__safety": ["own_set", "syn_steal", "syn_trick", "syn_build"]}, ONE_SET),
    "set removed": (
        {"datasets__safety": ["own_set", "syn_steal"]},
        {"sample_prompts": 3, "prompt_overlap": 1, "constrain": 1} | COMPARED,
    ),
    "sets in another order": (
        {"datasets__safety": ["syn_steal", "own_set", "syn_trick"]},
        {"sample_prompts": 2, "prompt_overlap": 1, "constrain": 1} | COMPARED,
    ),
    "n_samples": ({"datasets__n_samples": 5}, SAMPLES | BEHIND),
    # The safety sets have been sampled with this seed before, as replicates. Evaluation asks no prompt identified on.
    "seed of the sample": ({"datasets__seed": 1}, SAMPLES | {"sample_prompts": 14}),
    "near_duplicate": ({"datasets__near_duplicate": 0.7}, NEAR),
    "response policy": ({"responses__policy": "template"}, {"give_responses": 2} | REGIONS),
    "max_new_tokens": ({"responses__max_new_tokens": 8}, LENT | ANSWERS),
    "grid": ({"thresholds__grid": [0.01, 0.05, 0.1, 0.2]}, REGIONS),
    "scope": ({"thresholds__scope": "row"}, REGIONS),
    "p": ({"thresholds__p": 0.1}, TABLES),
    "n_orders": ({"overlap__n_orders": 4}, COMPARED),
    "q": ({"thresholds__q": 0.1}, TABLES),
    "method left out": ({"methods__wanda": None}, {"overlap": 1} | REPORT),
    "how neurons are selected": ({"methods__safeneuron": {"select": "agreement"}}, {"select_regions": 1} | EVALUATED),
    "how neurons are measured": (
        {"methods__safeneuron": {"ffn": "up"}},
        {"measure": 1, "select_regions": 1} | EVALUATED,
    ),
    "evaluation": ({"evaluate__n_random": 2}, {"evaluate": 1} | REPORT),
    "no evaluation": ({"evaluate": None}, REPORT),
    "one more condition of fine-tuning": (
        {"constrain__frozen": ["region", "random", "utility"]},
        {"constrain": 1} | REPORT,
    ),
    "no fine-tuning": ({"constrain": None}, REPORT),
    "name": ({"name": "other"}, REPORT),
    "device": ({"machine__device": "auto"}, {}),
    "batch_tokens": ({"machine__batch_tokens": 64}, {}),
    "datasets_per_job": ({"machine__datasets_per_job": 2}, {}),
}
"""Name -> what is changed, and the jobs that it asks for."""


@pytest.fixture(scope="module")
def plans(finished_run: WorkingCopy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """What each change plans. Two dry runs at a time, since each keeps one core busy."""
    folder = tmp_path_factory.mktemp("changes")

    def plan(name: str) -> dict[str, int]:
        copy = finished_run.copy_to(folder / name)
        copy.change(**CHANGES[name][0])
        return copy.planned_jobs()

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CHANGES, pool.map(plan, CHANGES), strict=True))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_plans_what_depends_on_it(plans: dict[str, dict[str, int]], name: str):
    assert plans[name] == CHANGES[name][1]


def test_a_second_model_plans_its_own_jobs_only(copy: WorkingCopy):
    other = MODELS["micro"] | {"source": MODELS["micro"]["source"] | {"seed": 1}}
    (copy.folder / "config/micro_models.yaml").write_text(yaml.safe_dump(MODELS | {"other": other}))
    copy.change(models=["micro", "other"])
    assert copy.planned_jobs() == {"train_model": 1, "train_adapter": 1} | LENT | ANSWERS


def test_other_rows_in_a_local_file_plan_what_is_made_of_them(copy: WorkingCopy):
    (copy.folder / "own.csv").write_text(own_rows("kettle"))
    assert copy.planned_jobs() == ONE_SET | LENT | {"sample_prompts": 2 + 4}


def test_a_new_version_of_a_method_plans_its_regions(copy: WorkingCopy, source: Path):
    path = source / "config/method_catalogue.py"
    before = path.read_text()
    path.write_text(re.sub(r'("snip": MethodInfo\(\s*version=)', r"\g<1>100", before))
    assert path.read_text() != before
    assert copy.planned_jobs() == {"measure": 1} | EVALUATED


def test_a_new_style_plans_the_figures(copy: WorkingCopy, source: Path):
    path = source / "report/figures/paper.mplstyle"
    path.write_text(path.read_text() + "\nlines.linewidth: 3\n")
    assert copy.planned_jobs() == FIGURES


def test_an_added_set_needs_nothing_old_but_what_the_new_one_is_made_with(copy: WorkingCopy):
    copy.remove("models", "responses", "statistics", "manifests")
    copy.add_safety_set("syn_build")
    assert copy.planned_jobs() == {"train_model": 1} | ONE_SET


def test_prompts_that_are_gone_while_their_receipts_are_there_are_sampled_again(copy: WorkingCopy):
    for path in copy.results.glob("prompts/*.jsonl"):
        path.unlink()
    copy.change(datasets__near_duplicate=0.7)
    assert copy.planned_jobs() == NEAR | {"sample_prompts": 6 + 6}
