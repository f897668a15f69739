"""The lists of `make mutants` speak of modules, tests and lines that are there."""

import runpy
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src/safety_regions"
TESTED = tomllib.loads((TESTS / "mutation/modules.toml").read_text())["tests"]
SURVIVORS = tomllib.loads((TESTS / "mutation/survivors.toml").read_text())["survivors"]


@pytest.mark.parametrize("module", TESTED)
def test_a_module_and_its_tests_are_there(module):
    assert (SOURCE / module).is_file()
    assert TESTED[module]
    assert all((TESTS / test.partition("::")[0]).is_file() for test in TESTED[module] if "/" in test)


@pytest.mark.parametrize("folder", ["claims", "methods"])
def test_what_decides_regions_and_claims_is_in_the_list(folder):
    """But for what holds no step of its own: words, facts, and the worlds that tests are planted in."""
    without_steps = {"__init__.py", "catalogue.py", "interface.py", "planted.py"}
    modules = {file.name for file in (SOURCE / folder).glob("*.py")} - without_steps
    assert modules == {Path(module).name for module in TESTED if module.startswith(f"{folder}/")}


def test_what_is_loaded_once_for_all_mutants_has_nothing_of_the_changed_module():
    unaffected = runpy.run_path(str(TESTS / "mutation/unaffected.py"))["unaffected"]
    kept = unaffected(TESTS.parent, "artifacts/receipts.py", [TESTS / "artifacts/test_receipts.py"])
    assert "safety_regions.files" in kept
    # The one is the module itself, the other imports it by way of recipes.
    assert not {"safety_regions.artifacts.receipts", "safety_regions.planning.plan"} & set(kept)


def test_every_accepted_survivor_has_a_reason_and_its_line_is_there():
    for of in SURVIVORS:
        assert set(of) == {"module", "before", "after", "why"}
        assert of["why"] and of["before"] != of["after"]
        lines = " ".join(line.strip() for line in (SOURCE / of["module"]).read_text().splitlines())
        assert of["before"] in lines, of
    assert len({(of["module"], of["before"], of["after"]) for of in SURVIVORS}) == len(SURVIVORS)
