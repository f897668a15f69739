"""README and docs name the architectures that there are, and what becomes of the others."""

import re
import runpy
from pathlib import Path

from random_models import ALONE, ARCHITECTURES

from safety_regions.config.architectures import WRAPPERS, kinds_of
from safety_regions.config.layouts import LAYOUTS
from safety_regions.config.other_architectures import WRONG

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs/add-a-model.md").read_text(encoding="utf-8").split("## Architectures")[1].split("\n## ")[0]


def named(text: str) -> list[str]:
    return [name for name in re.findall(r"`([\w-]+)`", text) if name != "model_type"]


def test_the_page_lists_every_architecture_with_what_its_blocks_have() -> None:
    rows = dict(re.findall(r"^\| ([^|]*) \| (`.*`) \|$", SECTION, re.M))
    assert named(rows.pop("behind an encoder of images")) == sorted(WRAPPERS)
    assert sorted({name for row in rows.values() for name in named(row)}) == sorted(LAYOUTS)
    assert named(rows["without a gate"]) == sorted(name for name in LAYOUTS if "gate" not in kinds_of(name))
    fused = sorted(name for name, of in LAYOUTS.items() if any(len(kinds) > 1 for kinds in of.modules.values()))
    assert named(rows["some of them fused"]) == fused


def test_the_page_says_which_methods_are_right_for_which() -> None:
    rows = re.findall(r"^\| (.*) \| (.*) \| (`.*`) \|$", SECTION, re.M)
    limited = {name: of.claim for name, of in LAYOUTS.items() if of.claim is not None}
    assert {(methods, why): named(types) for methods, why, types in rows} == {
        (", ".join(claim.methods), claim.others): sorted(name for name in limited if limited[name] is claim)
        for claim in limited.values()
    }


def test_the_page_names_those_that_would_be_wrong() -> None:
    (sentence,) = (line for line in SECTION.splitlines() if "scored wrongly" in line)
    assert named(sentence) == sorted(WRONG)
    assert not {*WRONG} & {*LAYOUTS, *WRAPPERS}


def test_the_table_says_what_becomes_of_every_type_of_transformers() -> None:
    listing = runpy.run_path(str(ROOT / "docs/list_architectures.py"))
    assert listing["PAGE"].read_text(encoding="utf-8") == listing["page"](), "run: python docs/list_architectures.py"


def test_the_readme_says_how_many_there_are() -> None:
    assert f"of [{len(LAYOUTS)} decoder architectures]" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_architecture_is_tested() -> None:
    assert {*ARCHITECTURES, *ALONE} == {*LAYOUTS}
