"""Artifacts are known by the code that made them: what changes a byte is seen, what cannot is not."""

import importlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_code import set_code
from some_recipes import some_recipe

import safety_regions
from safety_regions.artifacts import code_digests, code_history, other_code, receipts
from safety_regions.artifacts.artifact import Artifact
from safety_regions.artifacts.code_digests import digest_of_source, imports_of_source, may_decide
from safety_regions.artifacts.code_history import CodeHistory, Past, code_of, history
from safety_regions.artifacts.kinds import KINDS
from safety_regions.artifacts.other_code import made_by_other_code
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.errors import UserError

MODULE = '''"""Doc."""

import os


def f(x):
    """Doc of f."""
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x + 1
'''
RECIPES = [
    *({"kind": kind} for kind in KINDS if "{" not in "".join(KINDS[kind].makers)),
    *({"kind": "model", "source": {"kind": source}} for source in ("tiny", "aligned", "package", "hub", "local")),
    *({"kind": kind, "method": method} for kind in ("statistics", "region") for method in CATALOGUE),
]


def test_today_s_code_is_known():
    unknown = history().unknown()
    assert not unknown, (
        f"{', '.join(unknown)}: raise the version of each kind whose bytes change (tests/artifacts/test_golden.py"
        " tells), then run "
        "`safety-regions accept`"
    )


@pytest.mark.parametrize(
    ("source", "same"),
    [
        (MODULE.replace('"""Doc of f."""', '"""Another doc."""  # and a comment'), True),
        (MODULE.replace("\n\n\n", "\n# comment\n\n"), True),
        (MODULE.replace("import os", "import os.path\nfrom re import match"), True),
        (MODULE.replace("import os\n", ""), True),
        (MODULE.replace("is negative", "is below zero"), True),
        (MODULE.replace("x + 1", "x + 2"), False),
        (MODULE.replace("def f", "def g"), False),
        (MODULE.replace("x < 0", "x <= 0"), False),
        (MODULE.replace('        raise ValueError(f"{x} is negative")', "        return 0"), False),
    ],
)
def test_a_digest_sees_what_can_decide_a_byte(source, same):
    assert (digest_of_source(MODULE) == digest_of_source(source)) is same


@given(st.permutations(["import os", "import re as text", "from json import dumps, loads"]), st.integers(0, 3))
def test_imports_in_any_order_and_number_have_the_same_digest(imports, n):
    assert digest_of_source(MODULE.replace("import os", "\n".join(imports[:n]))) == digest_of_source(MODULE)


def test_every_kind_says_by_which_code_it_was_made():
    assert {recipe["kind"] for recipe in RECIPES} == set(KINDS)
    for recipe in RECIPES:
        code = code_of(recipe)
        makers = [maker.format(**recipe) for maker in KINDS[recipe["kind"]].makers]
        assert makers and set(makers) <= set(code), recipe
        assert {name: history().today(name).digest for name in code} == code


def test_code_is_reached_by_imports_however_they_are_written():
    """What Python itself loads for a maker is found; what is found beyond it, functions import when they are called."""
    assert imports_of_source("def f():\n    from safety_regions.regions import select") == ("regions.select",)
    assert imports_of_source("import safety_regions.files, os") == ("files",)
    assert imports_of_source("from safety_regions.files import sha256_of_file") == ("files",)
    region = set(code_of({"kind": "region", "method": "wanda"}))
    assert {"methods.wanda", "models.tokens", "regions.select", "regions.top_fractions", "kernels.bits"} <= region
    assert "methods.snip" not in region and "models.sources.tiny" not in code_of(
        {"kind": "model", "source": {"kind": "hub"}}
    )
    assert {"report/page/page.html", "report/figures/paper.mplstyle"} <= set(code_of({"kind": "report"}))


@pytest.mark.parametrize("name", code_digests.NO_BYTES)
def test_what_is_left_out_exists(name):
    assert importlib.import_module(f"safety_regions.{name}") and not may_decide(name)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of three modules with a history of its own, to be changed at will."""
    root = tmp_path / "safety_regions"
    (root / "regions").mkdir(parents=True)
    for name, text in {"a": MODULE, "b": MODULE + "\nB = 1\n", "regions/c": MODULE + "\nC = 1\n"}.items():
        (root / f"{name}.py").write_text(text)
    (root / "regions/style.css").write_text("p {}")
    monkeypatch.setattr(code_digests, "ROOT", root)
    monkeypatch.setattr(code_history, "FILE", tmp_path / "history.json")
    monkeypatch.setattr(other_code, "FILE", tmp_path / "history.json")
    monkeypatch.setattr(code_history, "deciding_names", lambda: all_names(root))
    monkeypatch.chdir(tmp_path)
    forget()
    code_history.FILE.write_text(CodeHistory({}).accepted().to_json())
    yield root
    monkeypatch.undo()
    forget()


def all_names(root: Path) -> tuple[str, ...]:
    modules = [".".join(path.relative_to(root).with_suffix("").parts) for path in root.rglob("*.py")]
    return code_digests.with_files_beside(modules)


def forget() -> None:
    for cached in (
        history,
        code_history._today,
        code_history.reached_from,
        code_history._changed,
    ):
        cached.cache_clear()


def forget_today() -> None:
    """Of the package of today only its state: the history stays."""
    code_history._today.cache_clear()


def today() -> dict[str, str]:
    forget()
    return {name: history().today(name).digest for name in code_history.deciding_names()}


def test_a_file_as_it_was_noted_is_not_parsed(package, monkeypatch):
    expected = today(), history().today("a")
    monkeypatch.setattr(code_history, "digest_of_source", lambda text: pytest.fail("parsed"))
    monkeypatch.setattr(code_history, "imports_of_source", lambda text: pytest.fail("parsed"))
    assert (today(), history().today("a")) == expected


def test_a_changed_number_is_seen_and_can_be_accepted(package):
    made_by = today()
    assert set(made_by) == {"a", "b", "regions.c", "regions/style.css"} and history().changed(made_by) == []
    (package / "a.py").write_text(MODULE.replace("x + 1", "x + 2"))
    (package / "regions/style.css").write_text("p {color: red}")
    forget()
    assert history().changed(made_by) == ["a", "regions/style.css"] == history().unknown()
    assert other_code.accept(Path("results")) == ["a", "regions/style.css"]
    forget()
    assert history().changed(made_by) == [] == history().unknown()
    assert len(history().past["a"].digests) == 2


def test_code_that_was_never_noted_stays_seen(package):
    """Somebody's own change is no state of the history, whichever of today's states it is held against."""
    own = today() | {"a": "f" * 16}
    assert history().changed(own) == ["a"]
    (package / "a.py").write_text(MODULE.replace("x + 1", "x + 2"))
    forget()
    other_code.accept(Path("results"))
    forget()
    assert history().changed(own) == ["a"]


def test_code_of_receipts_here_is_accepted_too(package):
    own = today() | {"a": "f" * 16}
    receipt = Path("results/x.receipt.json")
    receipt.parent.mkdir()
    receipt.write_text(json.dumps({"recipe": {}, "code": own}))
    assert other_code.accept(Path("results")) == ["a"]
    forget()
    assert history().changed(own) == []


def test_a_renamed_module_says_nothing(package):
    made_by = today()
    shutil.move(package / "a.py", package / "regions/d.py")
    forget()
    assert history().changed(made_by) == ["a"] and history().unknown() == ["a", "regions.d"]
    other_code.accept(Path("results"))
    forget()
    assert history().changed(made_by) == [] and history().renamed == {"a": ("regions.d",)}
    shutil.move(package / "regions/d.py", package / "e.py")
    forget()
    other_code.accept(Path("results"))
    forget()
    assert history().changed(made_by) == [] and history().renamed == {"a": ("e",), "regions.d": ("e",)}
    assert history().changed({"safety_regions.a": made_by["a"]}) == []


def test_a_module_that_is_split_is_asked_for(package):
    made_by = today()
    (package / "a.py").unlink()
    (package / "a1.py").write_text("ONE = 1\n")
    (package / "a2.py").write_text("TWO = 2\n")
    forget()
    with pytest.raises(UserError, match="a") as caught:
        other_code.accept(Path("results"))
    assert "safety-regions accept --moved a=NEW" in caught.value.hint
    other_code.accept(Path("results"), {"a": ("a1", "a2")})
    forget()
    assert history().changed(made_by) == []
    (package / "a2.py").write_text("TWO = 3\n")
    forget()
    assert history().changed(made_by) == ["a2"]


def test_the_history_reads_what_it_writes(package):
    (package / "a.py").write_text(MODULE.replace("x + 1", "x + 2"))
    forget()
    after = history().accepted(moved={})
    code_history.FILE.write_text(after.to_json())
    forget()
    assert (history().past, history().renamed) == (after.past, after.renamed)
    assert isinstance(history().past["a"], Past) and after.to_json() == history().to_json()


def test_finished_artifacts_of_other_code_are_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = Artifact(some_recipe("overlap"), "tiny.snip")
    region = Artifact(some_recipe("region", method="snip"), "tiny/snip/a")
    for artifact in (table, region):
        file = Path(artifact.outputs[0])
        file.parent.mkdir(parents=True)
        file.write_text("made")
        receipts.write(artifact.path, artifact.recipe.as_json(), {})
    assert made_by_other_code([table, region]) is None
    set_code(table.path, overlap__tables="0" * 16)
    told = str(made_by_other_code([table, region, Artifact(some_recipe("overlap", p=0.5), "not.made")]))
    assert told.startswith("1 finished artifacts of this run (overlap 1) were made by other code than today's")
    assert "overlap.tables" in told and "artifacts/kinds.py" in told and "safety-regions accept" in told
    assert "\n" not in told
    set_code(region.path, methods__snip="0" * 16)
    told = str(made_by_other_code([table, region]))
    assert "(overlap 1, region 1)" in told and "config/method_catalogue.py" in told


def test_a_receipt_from_before_receipts_named_code_is_held_against_the_first_that_is_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = Artifact(some_recipe("overlap"), "tiny.snip")
    Path(table.path).mkdir(parents=True)
    Path(table.outputs[0]).write_text("made")
    receipts.write(table.path, table.recipe.as_json(), {})
    set_code(table.path)
    assert made_by_other_code([table]) is None
    past = {**history().past, "overlap.chance": Past(("0" * 16,))}
    other = CodeHistory(past, history().renamed)
    monkeypatch.setattr(code_history, "history", lambda: other)
    code_history._changed.cache_clear()
    assert made_by_other_code([table]).modules == ("overlap.chance",)
    code_history._changed.cache_clear()


@pytest.fixture(scope="module")
def copied_package(tmp_path_factory):
    """A copy of the whole package, to change modules in."""
    return shutil.copytree(
        Path(safety_regions.__file__).parent,
        tmp_path_factory.mktemp("package") / "safety_regions",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: "-".join(str(v) for v in r.values() if isinstance(v, str)))
def test_a_change_in_any_code_of_a_kind_is_seen_and_remarks_are_not(recipe, copied_package, monkeypatch):
    monkeypatch.setattr(code_digests, "ROOT", copied_package)
    made_by = code_of(recipe)
    for name in made_by:
        path = code_digests.path_of(name)
        before = path.read_text()
        forget_today()
        try:
            if path.suffix == ".py":
                path.write_text(f"import os\n{before}\n# a remark\n")
                assert history().changed(made_by) == []
                forget_today()
            path.write_text(before + "\nMORE = 1\n")
            assert history().changed(made_by) == [name]
        finally:
            path.write_text(before)
    forget_today()
