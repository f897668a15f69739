"""A run whose outcomes a classifier tells makes again what is asked, and nothing that regions rest on."""

import pandas as pd
import yaml
from judge_folders import LABELS, classifier_entry, save_classifier
from pipeline import WorkingCopy

from safety_regions.artifacts import receipts


def test_a_judge_tells_the_outcomes_of_what_is_asked(copy: WorkingCopy) -> None:
    before = {path: digest for path, digest in copy.made().items() if not path.startswith(("report", "evaluate"))}
    entry = classifier_entry(save_classifier(copy.folder / "judge", LABELS), LABELS) | {"title": "The judge"}
    models = copy.folder / "config/micro_models.yaml"
    models.write_text(yaml.safe_dump({**yaml.safe_load(models.read_text()), "own-judge": entry}))
    copy.change(judge={"model": "own-judge"})
    assert copy.planned_jobs() == {"fetch_model": 1, "evaluate": 1, "constrain": 1, "write_report": 1}
    copy.run()
    assert before.items() <= copy.made().items() and copy.planned_jobs() == {}
    report = copy.plan().targets[0]
    asked = [part for part in report.inputs.values() if part.kind in ("evaluate", "constrain")]
    agreed, n_told = 0, 0
    for part in asked:
        receipt = receipts.read(copy.folder / part.path)
        outcomes = pd.read_csv(copy.folder / part.path / "outcomes.csv")
        assert receipt.recipe["judge"] == part.inputs["judge"].digest
        told = receipt.facts["judge"]
        assert told["model"] == "own-judge" and told["n_told"] == len(outcomes)
        assert told["n_as_patterns"] == (outcomes["outcome"] == outcomes["by_patterns"]).sum()
        assert sum(told["by_judge_and_patterns"].values()) == len(outcomes)
        # The judge has no class of degenerate answers.
        assert (outcomes["outcome"].eq("degenerate") == outcomes["by_patterns"].eq("degenerate")).all()
        agreed, n_told = agreed + told["n_as_patterns"], n_told + told["n_told"]
    assert asked and 0 < agreed < n_told
    folder = copy.folder / report.path
    told = f"patterns say the same of {agreed} of {n_told} answers"
    for page in ("summary.md", "report.html"):
        text = (folder / page).read_text()
        assert told in text and "Outcomes as The judge tells them" in text
    assert yaml.safe_load((folder / "config.yaml").read_text())["judge"] == {"model": "own-judge"}
    sources = pd.read_csv(folder / "sources.csv").set_index("name")
    assert sources.loc["own-judge", "source.sha256"] == entry["source"]["sha256"]


def test_a_judge_that_is_no_classifier_and_a_model_that_is_one_are_told(copy: WorkingCopy) -> None:
    models = copy.folder / "config/micro_models.yaml"
    entry = {"kind": "classifier", "path": "x", "sha256": "0" * 64, "labels": LABELS}
    about = {"licence": "none", "citation": "none"}
    models.write_text(yaml.safe_dump({**yaml.safe_load(models.read_text()), "own-judge": {"source": entry, **about}}))
    copy.change(judge={"model": "micro"}, models=["own-judge"])
    said = copy.snakemake("--dry-run").stdout
    assert '"micro", which is no classifier' in said and "judge.model" in said
    assert '"own-judge", a classifier' in said and "models.0" in said
    copy.change(judge={"model": "own-juge"}, models=["micro"])
    said = copy.snakemake("--dry-run").stdout
    assert "own-juge" in said and "did you mean 'own-judge'?" in said
