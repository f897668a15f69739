"""Paths of artifacts, and of the jobs that make them: what is there is found again by these."""

from pathlib import Path

import pytest
from some_recipes import SOME

from safety_regions.artifacts.artifact import Artifact, batches_of

PROMPTS = Artifact(SOME["prompts"], "x")
OVERLAP = Artifact(SOME["overlap"], "tiny/wanda", {"x": PROMPTS})


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def touch(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()


def test_a_file_and_a_folder_stand_below_the_folder_of_their_kind():
    assert PROMPTS.path == f"results/prompts/x.{SOME['prompts'].digest[:12]}.jsonl"
    assert PROMPTS.outputs == [PROMPTS.path, f"{PROMPTS.path}.receipt.json"]
    folder = f"results/overlap/tiny/wanda.{SOME['overlap'].digest[:12]}"
    assert (OVERLAP.path, OVERLAP.pointer) == (folder, f"{folder}.dvc")
    assert OVERLAP.outputs == [f"{folder}/pairs.parquet", f"{folder}.receipt.json"]


def test_a_job_is_told_path_recipe_and_inputs():
    assert OVERLAP.entry() == {
        "path": OVERLAP.path,
        "recipe": SOME["overlap"].as_json(),
        "inputs": {"x": PROMPTS.path},
    }


def test_it_is_in_place_with_bytes_and_receipt_and_elsewhere_with_a_pointer_alone():
    touch(PROMPTS.pointer)
    assert PROMPTS.is_elsewhere()
    touch(PROMPTS.path)
    assert not PROMPTS.exists() and PROMPTS.is_elsewhere()
    touch(PROMPTS.receipt)
    assert PROMPTS.exists() and not PROMPTS.is_elsewhere()
    Path(PROMPTS.path).unlink()
    assert not PROMPTS.exists()
    assert not OVERLAP.is_elsewhere()


def test_batches_are_consecutive_and_known_by_all_their_members():
    first, second = batches_of("overlap", "tiny", [PROMPTS, OVERLAP, PROMPTS], 2)
    assert (first.artifacts, second.artifacts) == ((PROMPTS, OVERLAP), (PROMPTS,))
    assert len({first.key, second.key, *(batch.key for batch in batches_of("overlap", "tiny", [OVERLAP], 2))}) == 3
    assert first.job == f"logs/jobs/overlap/tiny.{first.key}.json"


def test_each_round_of_a_batch_has_a_manifest_of_its_own():
    (batch,) = batches_of("overlap", "tiny", [PROMPTS], 2)
    for n in (1, 2):
        assert batch.manifest == f"results/manifests/overlap/tiny.{batch.key}.{n}.json"
        touch(batch.manifest)
    assert batch.manifest.endswith(".3.json")
