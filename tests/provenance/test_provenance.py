"""Any file of a run leads back to the data and models it was made from, by receipts alone; what they do not say is
said.
"""

import json
import shutil
from pathlib import Path

import pytest
from made import publish_report

from safety_regions.__main__ import parse
from safety_regions.artifacts import receipts
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.errors import UserError
from safety_regions.provenance.index import made_from, scan
from safety_regions.provenance.trace import locate, trace
from safety_regions.provenance.tree import tree_of


def traced(file):
    index = scan()
    return trace(locate(Path(file), index), index)


def kinds(provenance):
    return sorted({known.kind for known in provenance.known.values()})


def said(capsys, *words):
    arguments = parse(["provenance", *map(str, words)])
    arguments.run(arguments)
    return " ".join(capsys.readouterr().out.split())


def region(plan, method="wanda", name="own_set"):
    return plan.regions["micro", method][name]


def without_bytes(plan):
    """As a colleague has it who cloned: receipts and the published report."""
    folder = publish_report(plan)
    for artifact in plan.made.values():
        path = Path(artifact.path)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return folder


def test_roles_are_the_way_to_a_digest_in_the_recipe():
    a, b, c, d = (letter * 64 for letter in "abcd")
    recipe = {"model": a, "safety": [["jbb", b]], "regions": {"snip": {"jbb": c}}, "earlier": [d]}
    recipe |= {"sha256": "e" * 64, "style": "f" * 64, "spec": {"source": {"sha256": "0" * 64}}, "note": "a" * 63}
    assert dict(made_from(recipe)) == {"model": a, "safety/jbb": b, "regions/snip/jbb": c, "earlier/0": d}


def test_a_region_leads_to_exactly_what_it_was_made_from(seen):
    artifact = region(seen)
    found = traced(artifact.path)
    wanted, pending = {}, [artifact]
    while pending:
        one = pending.pop()
        wanted[one.digest] = sorted({source.digest for source in one.inputs.values()})
        pending += one.inputs.values()
    assert {digest: sorted(found.sources(digest)) for digest in found.known} == wanted
    assert dict(found.edges[artifact.digest]).keys() == {"model", "statistics"}
    assert not found.unknown


PARTS = {
    "micro.wanda.iou_matrix.pdf": ["figures/micro.wanda"],
    "micro.safelayer.gap.png": ["curves/micro.safelayer"],
    "micro.safelayer.iou_matrix.csv": ["figures/micro.safelayer"],
    "micro.wanda.iou_curves.csv": ["overlap/micro.wanda"],
    "headline.pdf": [f"overlap/micro.{m}" for m in ("nlsr", "safelayer", "safeneuron", "snip", "wanda")],
    "prompt_overlap.csv": ["prompt_overlap"],
}


@pytest.mark.parametrize("only_git", [False, True])
def test_a_file_of_a_report_leads_to_its_part_only(plan, only_git):
    (report,) = plan.targets
    folder = without_bytes(plan) if only_git else Path(report.path)
    for file, roles in PARTS.items():
        found = traced(folder / file)
        assert sorted(role for role, _ in found.edges[report.digest]) == [f"parts/{role}" for role in roles]
        assert "dataset" in kinds(found) and not found.unknown
        assert ("region" in kinds(found)) is (file != "prompt_overlap.csv")


def test_a_page_of_a_report_leads_to_all_parts(seen):
    (report,) = seen.targets
    assert len(traced(f"{report.path}/summary.md").known) == len(seen.made)


def test_what_git_alone_has_is_enough(plan, capsys):
    folder = without_bytes(plan)
    Path(plan.regions["micro", "wanda"]["own_set"].pointer).touch()
    text = said(capsys, folder / "micro.wanda.iou_matrix.pdf")
    assert "its receipt is not shared" in text and "3 bytes not here" in text and "1 published, not here" in text
    assert f"5 figures v{VERSIONS['figures']}" in said(capsys, folder)
    assert "no receipt" not in text
    assert kinds(traced(region(plan).path)) == ["dataset", "model", "pairs", "prompts", "region", "statistics"]


def test_equal_siblings_are_one_line_and_everything_comes_once(seen, capsys):
    text = said(capsys, seen.overlaps["micro", "wanda"].path)
    assert (
        f"safety, utility: 4 regions wanda v{CATALOGUE['wanda'].version} in results/regions/micro/wanda, here: own_set"
        in text
    )
    assert f"(grid [0.01, 0.05, 0.1], scope matrix, selection {VERSIONS['selection']})" in text
    assert text.count(seen.models["micro"].path) == 1 and f"model v{VERSIONS['model']}: micro: see above" in text
    assert text.count("from local csv file, sha256") == 1 and text.count("licence: CC-BY-4.0") == 4
    assert "changed since: regions.select (4)" in text


def test_two_methods_are_two_lines(seen, capsys):
    text = said(capsys, seen.targets[0].path)
    assert all(f"4 regions {name} v{CATALOGUE[name].version}" in text for name in ("snip", "wanda"))


@pytest.mark.parametrize("ending", ["", ".receipt.json", ".run.json", ".dvc"])
@pytest.mark.parametrize("absolute", [False, True])
def test_whatever_lies_beside_an_artifact_stands_for_it(seen, ending, absolute):
    path = Path(region(seen).path + ending)
    path = path.absolute() if absolute else path
    assert locate(path, scan()).known.digest == region(seen).digest


def test_a_copy_elsewhere_is_known_by_its_bytes(seen, tmp_path):
    figure = Path(seen.figures["micro", "snip"].path, "iou_matrix.pdf")
    shutil.copyfile(figure, tmp_path / "fig1.pdf")
    start = locate(tmp_path / "fig1.pdf", scan())
    assert (start.known.digest, start.file) == (seen.figures["micro", "snip"].digest, "iou_matrix.pdf")


@pytest.mark.parametrize("published", [False, True])
def test_an_altered_file_has_no_provenance(plan, published):
    folder = publish_report(plan) if published else Path(plan.targets[0].path)
    (folder / "iou.csv").write_text("edited")
    with pytest.raises(UserError, match=r"(?s)altered since it was made.*iou\.csv"):
        traced(folder / "iou.csv")


def test_a_file_of_nobody_is_refused(plan, tmp_path):
    Path(plan.targets[0].path, "mine.txt").write_text("mine")
    for file, message in (
        (Path(plan.targets[0].path, "mine.txt"), "no file of that name"),
        (Path("config/micro.yaml"), "no receipt knows this file"),
        (Path("results/nothing.csv"), "no such file"),
        (Path("results"), "no receipt knows"),
    ):
        with pytest.raises(UserError, match=message):
            locate(file, scan())


def test_what_no_receipt_is_known_of_is_said(plan, capsys):
    pair = plan.regions["micro", "snip"]["own_set"].inputs["pairs"]
    Path(pair.receipt).unlink()
    found = traced(region(plan, "snip").path)
    assert found.unknown == {pair.digest: [("pairs", region(plan, "snip").digest)]}
    assert "dataset" not in kinds(found)
    assert f"pairs: no receipt is known of {pair.digest}" in tree_of(found).replace("\n", " ")
    content = json.loads(said(capsys, region(plan, "snip").path, "--json"))
    assert content["unknown"][pair.digest][0]["role"] == "pairs"
    assert content["artifacts"][region(plan, "snip").digest]["from"]["pairs"] == pair.digest


def test_a_damaged_receipt_stops_nothing_and_is_named(plan, capsys):
    receipts.receipt_path(region(plan, "snip").path).write_text("<<<<<<< HEAD")
    arguments = parse(["provenance", region(plan).path])
    arguments.run(arguments)
    output = capsys.readouterr()
    assert "4 regions" not in output.out and f"wanda v{CATALOGUE['wanda'].version} own_set" in output.out
    assert "warning: not a receipt" in output.err and region(plan, "snip").receipt in output.err
    with pytest.raises(UserError, match=r"(?s)no receipt knows this file.*could not be read"):
        locate(Path(region(plan, "snip").path), scan())


def test_all_is_there_as_json(seen, capsys):
    content = json.loads(said(capsys, region(seen).path, "--json"))
    one = content["artifacts"][region(seen).digest]
    assert content["asked"]["path"] == one["path"] == region(seen).path
    assert one["recipe"] == region(seen).recipe.as_json() and one["here"] and not one["published"]
    assert one["run"]["host"] and one["versions"]["numpy"] and one["changed_code"] == ["regions.select"]
