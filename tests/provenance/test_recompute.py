"""One artifact made again beside the published one: the same bytes, or a word on how far apart they are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made import Made

from safety_regions.__main__ import parse
from safety_regions.artifacts import receipts
from safety_regions.commands.recompute import _lines
from safety_regions.errors import UserError
from safety_regions.files import sha256_of_file
from safety_regions.provenance.differences import differences
from safety_regions.provenance.recompute import Again, find, recompute
from safety_regions.regions.format import write_region
from safety_regions.regions.select import Cut
from safety_regions.share.content import contents
from safety_regions.steps.entry import Entry
from safety_regions.steps.overlap import overlap

CONFIG = ["--configfile", "config/micro.yaml"]
FACTS = {
    "n_samples": 8,
    "share_refused": 1.0,
    "share_degenerate": 0.0,
    "n_foreign": 0,
    "n_cut": 0,
    "n_empty": 0,
    "mean_response_tokens": 8.0,
    "n_elements": 128,
}


def run(*words):
    arguments = parse(["recompute", *map(str, words), *CONFIG])
    return arguments.run(arguments)


def levels(seed, flip=0):
    """Levels of one matrix of 128 elements on a grid of three fractions; the first elements are moved to the lowest."""
    matrix = np.random.default_rng(seed).integers(0, 4, (8, 16)).astype(np.uint8)
    matrix.reshape(-1)[:flip] = 3 - matrix.reshape(-1)[:flip]
    return [("0.q_proj", matrix)]


def put_region(path, recipe, **how):
    digest = receipts.recipe_digest(recipe)
    write_region(path, levels(**how), recipe_digest=digest, cut=Cut((0.01, 0.05, 0.1), "matrix"))
    receipts.write(path, recipe, FACTS)


@pytest.fixture
def table(plan):
    """The overlap table of the made-up run, with sound regions."""
    artifact = plan.overlaps["micro", "wanda"]
    for seed, region in enumerate(artifact.inputs.values()):
        put_region(region.path, region.recipe.as_json(), seed=seed)
    shutil.rmtree(artifact.path)
    overlap(Entry.parse(**artifact.entry()))
    return artifact


def stamps():
    return {path: path.stat().st_mtime_ns for path in Path("results").rglob("*") if path.is_file()}


def test_the_same_bytes_are_said_to_be_and_nothing_published_is_touched(table, capfd):
    before = stamps()
    assert run(table.path) == 0
    said = capfd.readouterr().out
    assert said.count("identical") == len(receipts.read(table.path).files) and "DIFFERENT" not in said
    assert stamps() == before


def test_other_bytes_are_an_error_that_says_what_differed(table, capfd, tmp_path):
    content = json.loads(Path(table.receipt).read_text())
    content["files"]["pairs.parquet"] = "0" * 64
    content["versions"]["numpy"] = "1.0"
    Path(table.receipt).write_text(json.dumps(content))
    shutil.rmtree(table.path)
    kept = tmp_path / "kept"
    assert run(table.key, "--output", kept) == 1
    said = capfd.readouterr().out
    assert said.count("identical") == len(content["files"]) - 1
    assert "pairs.parquet: sha256 0000000000000000 published" in said
    assert "made with numpy 1.0 then" in said
    assert (kept / "again" / Path(table.path).name / "pairs.parquet").exists() and not Path(table.path).exists()


def test_missing_inputs_are_named_with_how_to_get_them(plan, tmp_path):
    table = plan.overlaps["micro", "wanda"]
    first, second, *_ = table.inputs.values()
    for region in (first, second):
        Path(region.path).unlink()
    manifest = plan.batch_of[first.path].manifest
    with pytest.raises(UserError, match=rf"(?s)2 of its inputs are not here.*{first.path}.*snakemake {manifest} makes"):
        recompute(plan, table, tmp_path)
    for region in (first, second):
        Path(region.pointer).touch()
    with pytest.raises(UserError, match="safety-regions pull"):
        recompute(plan, table, tmp_path)
    assert list(tmp_path.glob("*.parquet")) == []


@pytest.mark.parametrize(
    ("break_it", "kind", "message"),
    [
        (lambda artifact: Path(artifact.receipt).unlink(), "region", "never made"),
        (lambda artifact: None, "dataset", "kind dataset are not made again"),
        (lambda artifact: None, "overlap", "overlap.py ended with exit code 1"),
    ],
)
def test_what_cannot_be_made_again_is_refused(plan, tmp_path, break_it, kind, message, capfd):
    artifact = next(artifact for artifact in plan.made.values() if artifact.kind == kind)
    break_it(artifact)
    with pytest.raises(UserError, match=message):
        recompute(plan, artifact, tmp_path / "again")


def test_an_artifact_is_found_by_path_file_neighbour_and_digits(seen):
    table = seen.overlaps["micro", "snip"]
    names = (
        table.path,
        f"{table.path}/pairs.parquet",
        table.receipt,
        table.pointer,
        Path(table.path).absolute(),
        table.key,
    )
    for name in names:
        assert find(seen, str(name)) is table


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("results/regions/micro/wanda/own_set.safetensors", "did you mean results/regions/micro/wanda/own_set"),
        ("abc", "no artifact"),
        ("results", "no artifact"),
    ],
)
def test_a_name_of_nothing_is_refused(seen, name, message):
    with pytest.raises(UserError, match=message):
        find(seen, name)


def test_digits_of_several_are_refused(made_once: Made):
    twice = dict(made_once.plan.made)
    first, second = list(twice.values())[:2]
    plan = type(made_once.plan)(made_once.plan.run, made_once.plan.registries, made=twice)
    second.__dict__["digest"], old = first.digest[:8] + second.digest[8:], second.digest
    try:
        with pytest.raises(UserError, match=r"(?s)2 artifacts begin with these digits.*results/.*results/"):
            find(plan, first.digest[:6])
    finally:
        second.__dict__["digest"] = old


def test_kept_output_never_lands_among_published_artifacts(seen, tmp_path):
    for folder, message in (("results/again", "a folder of artifacts"), (tmp_path, "this exists")):
        with pytest.raises(UserError, match=message):
            run(seen.overlaps["micro", "snip"].path, "--output", folder)


def test_differences_count_elements_at_every_fraction(tmp_path):
    paths = [tmp_path / name for name in ("a", "b")]
    for path, flip in zip(paths, (0, 10), strict=True):
        write_region(path, levels(1, flip), recipe_digest="0" * 64, cut=Cut((0.01, 0.05, 0.1), "matrix"))
    (_, a), (_, b) = levels(1)[0], levels(1, 10)[0]
    for row, level in zip(differences(*paths), (3, 2, 1), strict=True):
        one, other = a >= level, b >= level
        assert (row.only_one, row.both) == ((one ^ other).sum(), (one & other).sum())
        assert row.iou == (one & other).sum() / (one | other).sum()
    assert all(row.only_one == 0 and row.iou == 1 for row in differences(paths[0], paths[0]))


def test_a_region_that_differs_says_how_far(plan, tmp_path):
    region = plan.regions["micro", "wanda"]["own_set"]
    again = tmp_path / Path(region.path).name
    put_region(region.path, region.recipe.as_json(), seed=1)
    put_region(again, region.recipe.as_json(), seed=1, flip=10)
    files = [receipts.read(path).files for path in (region.path, again)]
    made = Again(region, again, *files, 1.0, {role: source.path for role, source in region.inputs.items()})
    assert made.different == [again.name]
    text = "\n".join(_lines(made))
    assert text.count("elements are in one of the two only, IoU 0.") == 3 and "DIFFERENT" in text
    Path(region.path).unlink()
    assert "the published bytes are not here" in "\n".join(_lines(made))


def test_inputs_that_are_not_those_published_are_told_among_the_causes(plan, tmp_path):
    """Else a colleague with pairs of an own machine would look for the cause where it is not."""
    region = plan.regions["micro", "wanda"]["own_set"]
    again = tmp_path / Path(region.path).name
    put_region(region.path, region.recipe.as_json(), seed=1)
    put_region(again, region.recipe.as_json(), seed=1, flip=10)
    places = {role: source.path for role, source in region.inputs.items()}
    made = Again(region, again, *[receipts.read(path).files for path in (region.path, again)], 1.0, places)
    for path in places.values():
        content = contents([path])[path]
        pointer = f"outs:\n- {{md5: {content.md5}, size: {content.size}, hash: md5, path: x}}\n"
        Path(path + ".dvc").write_text(pointer)
    assert "its inputs are those published" in "\n".join(_lines(made))
    role, source = next(iter(region.inputs.items()))
    Path(source.path + ".dvc").write_text(pointer.replace("md5: ", "md5: 0", 1))
    text = "\n".join(_lines(made))
    assert f"input {role}: other bytes in place than those published" in text and source.path in text
    assert "inputs are those" not in text
    Path(source.path + ".dvc").unlink()
    assert f"nothing says of {source.path}" in "\n".join(_lines(made))


def test_a_region_of_a_real_run_comes_out_again(finished_run, monkeypatch, capfd):
    monkeypatch.chdir(finished_run.folder)
    region = finished_run.plan().regions["micro", "wanda"]["own_set"]
    before = stamps()
    assert run(region.path, "--measure") == 0
    said = capfd.readouterr().out
    assert said.count("identical") == 2
    assert f"sha256 {sha256_of_file(region.path)[:16]} again: identical" in said
    assert stamps() == before


def test_what_another_run_made_asks_for_the_configuration_of_that_run(plan):
    near = next(a for a in plan.made.values() if a.kind == "region")
    other = near.recipe.as_json() | {"version": 99}
    path = f"results/regions/micro/snip/other.{receipts.recipe_digest(other)[:12]}.safetensors"
    put_region(path, other, seed=0)
    with pytest.raises(UserError, match="needs the --configfile of that run"):
        find(plan, path)
    with pytest.raises(UserError, match=f"did you mean {near.path}"):
        find(plan, near.path.replace(".safetensors", "x.safetensors"))
