"""What is said of an artifact that is not as it should be."""

import pytest

from safety_regions.share.findings import ALTERED, MISSING, Finding, refusal


@pytest.mark.parametrize(
    ("path", "kind"),
    [("results/regions/a.b.zst", "regions"), ("results/left-behind.txt", "unknown"), ("left-behind.txt", "unknown")],
)
def test_without_a_receipt_the_kind_is_the_folder_it_lies_in(path, kind):
    assert Finding(path, ALTERED).kind == kind


def test_what_is_refused_is_listed_with_its_state_and_what_to_do():
    bad = [Finding("results/regions/one", ALTERED, "another sha256"), Finding("results/regions/two", MISSING)]
    said, header, _, *rows = str(refusal("cannot be used", bad)).splitlines()
    assert said == "2 artifacts cannot be used:" and header.split("  ")[0].rstrip() == "artifact"
    assert [row.split()[0] for row in rows] == [finding.path for finding in bad]
    for row, finding in zip(rows, bad, strict=True):
        assert finding.row[1] in row and row.endswith(finding.row[2])
