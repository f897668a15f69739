"""The RO-Crate of a file: every artifact with its sha256, every making with its inputs and software, and no bytes."""

import json
from pathlib import Path

import pytest
from made import make, publish_report, set_run
from rocrate.rocrate import ROCrate
from some_recipes import some_recipe

from safety_regions.__main__ import parse
from safety_regions.artifacts.artifact import Artifact
from safety_regions.files import sha256_of_file
from safety_regions.provenance.crate import METADATA, write_crate
from safety_regions.provenance.index import scan
from safety_regions.provenance.trace import locate, trace


def crate_of(file, folder):
    index = scan()
    write_crate(trace(locate(Path(file), index), index), folder)
    return ROCrate(folder)


def region(plan):
    return plan.regions["micro", "wanda"]["own_set"]


def making(crate, artifact):
    return crate.get(f"#make-{artifact.key}")


def test_it_loads_back_with_every_making(seen, tmp_path):
    table = seen.overlaps["micro", "wanda"]
    crate = crate_of(table.path, tmp_path)
    made = [table, *table.inputs.values()]
    for artifact in made:
        action = making(crate, artifact)
        ids = sorted(entity.id.rstrip("/") for entity in action["object"])
        assert ids == sorted(source.path for source in artifact.inputs.values())
        assert action["result"].id.rstrip("/") == artifact.path
        assert action["instrument"]["softwareVersion"] == str(artifact.recipe.version)
        assert action["instrument"]["softwareRequirements"][0]["name"] == "numpy"
    assert crate.mainEntity.id == f"{table.path}/"
    assert len(crate.get_by_type("CreateAction")) == len(crate.root_dataset["mentions"]) == 22


def test_files_have_their_sha256_and_sources_their_rights(seen, tmp_path):
    crate = crate_of(region(seen).path, tmp_path)
    assert crate.mainEntity["sha256"] == sha256_of_file(region(seen).path)
    dataset, model = seen.datasets["own_set"], seen.models["micro"]
    assert (
        crate.get(dataset.path)["license"] == "CC-BY-4.0"
        and crate.get(dataset.path)["citation"] == "Author et al. 2025"
    )
    assert [file.id for file in crate.get(f"{model.path}/")["hasPart"]] == [f"{model.path}/config.json"]
    assert crate.get(f"{model.path}/")["license"] == "Apache-2.0"
    (origin,) = making(crate, dataset)["object"]
    assert origin["sha256"] == sha256_of_file("own.csv")
    assert "grid [0.01, 0.05, 0.1], scope matrix" in making(crate, region(seen))["description"]
    assert crate.get(region(seen).receipt) is crate.mainEntity["subjectOf"]


def test_equal_receipts_give_equal_bytes_and_nothing_else_is_written(seen, tmp_path):
    crates = [crate_of(region(seen).path, tmp_path / name) for name in ("a", "b")]
    assert [path.name for path in (tmp_path / "a").iterdir()] == [METADATA]
    assert (tmp_path / "a" / METADATA).read_bytes() == (tmp_path / "b" / METADATA).read_bytes()
    ends = [making(crate, region(seen))["endTime"] for crate in crates]
    assert ends[0] and crates[0].root_dataset["datePublished"] >= ends[0]


def test_its_root_says_what_the_specification_asks_for(seen, tmp_path):
    root = crate_of(region(seen).path, tmp_path).root_dataset
    assert all(root[key] for key in ("name", "description", "datePublished", "license", "hasPart"))
    assert root["conformsTo"].id.startswith("https://w3id.org/ro/wfrun/process/")


def test_a_published_figure_without_bytes_behind_it(plan, tmp_path):
    folder = publish_report(plan)
    file = folder / "micro.snip.iou_matrix.pdf"
    crate = crate_of(file, tmp_path)
    figures = plan.figures["micro", "snip"]
    assert (crate.mainEntity.id, crate.mainEntity["sha256"]) == (str(file), sha256_of_file(file))
    assert making(crate, figures)["object"][0].id == f"{plan.overlaps['micro', 'snip'].path}/"
    assert crate.get(f"{folder}/summary.md") is None and crate.get(figures.receipt) is None


def test_a_digest_without_a_receipt_is_an_object_too(plan, tmp_path):
    statistics = region(plan).inputs["statistics"]
    Path(statistics.receipt).unlink()
    action = making(crate_of(region(plan).path, tmp_path), region(plan))
    assert [entity.id for entity in action["object"]] == [f"{plan.models['micro'].path}/", f"#unknown-{statistics.key}"]


def test_run_facts_are_optional_and_commits_are_told(plan, tmp_path):
    set_run(region(plan), commit="c" * 40, dirty=True)
    set_run(region(plan).inputs["statistics"], started=None)
    crate = crate_of(region(plan).path, tmp_path)
    assert making(crate, region(plan))["instrument"]["version"] == f"{'c' * 40} with changes"
    assert "endTime" not in making(crate, region(plan).inputs["statistics"])


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ({"kind": "hub", "id": "org/set", "revision": "1" * 40, "split": "train"}, f"datasets/org/set/tree/{'1' * 40}"),
        ({"kind": "url", "url": "https://example.org/set.csv", "sha256": "2" * 64}, "https://example.org/set.csv"),
    ],
)
def test_remote_data_is_named_by_its_address(plan, tmp_path, source, address):
    recipe = some_recipe("dataset", dataset="far", spec={"source": source}, corpus=None)
    far = Artifact(recipe, "far")
    make(far)
    (origin,) = making(crate_of(far.path, tmp_path), far)["object"]
    assert address in origin.id
    assert origin.get("sha256") == source.get("sha256")


def test_the_command_writes_it(seen, tmp_path, capsys):
    arguments = parse(["provenance", region(seen).path, "--crate", str(tmp_path)])
    arguments.run(arguments)
    assert capsys.readouterr().out.strip() == str(tmp_path / METADATA)
    assert json.loads((tmp_path / METADATA).read_text())["@context"].endswith("/1.1/context")
