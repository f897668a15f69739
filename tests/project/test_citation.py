"""CITATION.cff has what the Citation File Format 1.2.0 asks for, and agrees with the package."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"cff-version", "message", "type", "title", "abstract", "authors", "version", "license", "references"}
"""Those used here; the format has no others of these names."""


def test_it_has_the_required_keys_and_agrees_with_the_package():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= cited.keys() <= KEYS
    assert (cited["cff-version"], cited["type"]) == ("1.2.0", "software")
    assert (cited["title"], cited["version"], cited["license"]) == (
        package["name"],
        package["version"],
        package["license"],
    )
    assert cited["authors"] == [{"name": "safety-regions developers"}]
    for reference in cited["references"]:
        assert {"authors", "title", "type"} <= reference.keys()
        assert all(author.keys() <= {"family-names", "given-names"} for author in reference["authors"])
