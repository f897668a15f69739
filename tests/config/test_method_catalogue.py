"""What the catalogue says of every method is true of its module and options, and is said nowhere else."""

import ast
from pathlib import Path

import pytest
from pipeline import ROOT
from random_models import needs_of, random_model, random_samples

from safety_regions.config.base import named_sets
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import Methods, adapter_options, options_of
from safety_regions.elements import GRANULARITIES, can_be, usual_shape
from safety_regions.methods.interface import method
from safety_regions.models.tokens import Sample

PACKAGE = ROOT / "src/safety_regions"
OF_METHODS = ("methods/", "config/methods.py", "config/method_catalogue.py", "config/layouts.py")
QUICK = {"safelayer": {"max_new_tokens": 2, "alpha_steps": 1, "n_permutations": 199}}


def texts(path: Path) -> list[str]:
    """All strings of a module but docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    ]


def test_no_other_module_names_a_method():
    classes = {type(options_of(name, {})).__name__ for name in CATALOGUE}
    for path in PACKAGE.rglob("*.py"):
        of = str(path.relative_to(PACKAGE))
        if not of.startswith(OF_METHODS):
            assert not set(texts(path)) & set(CATALOGUE), of
            names = {node.id for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Name)}
            assert not names & classes, of


def test_every_method_has_options_and_an_entry():
    assert set(CATALOGUE) == set(Methods.model_fields)


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry_fits_its_module_and_options(name):
    info, options = CATALOGUE[name], type(options_of(name, {}))
    assert can_be(info.granularity, info.shape)
    assert hasattr(method(name), "observer") is not info.own_pass
    assert {*info.selecting, *info.naming} <= set(options.model_fields)
    for of in info.prompts:
        asked = options.model_validate({of.role: ["a", "b"] if of.several else "a"})
        keys = [(of.role, 0), (of.role, 1)] if of.several else [(of.role,)]
        assert [key for key, _ in named_sets(asked) if key[0] == of.role] == keys
    assert "max_new_tokens" in options.model_fields or not any(of.times_answered for of in info.prompts)
    if info.needs_adapter:
        assert adapter_options(options()).rank > 0
    assert (info.curves is None) or hasattr(method(name), "facts")
    assert info.reads_prompts is ("tokens" in options.model_fields)


@pytest.mark.parametrize("name", CATALOGUE)
def test_responses_matter_to_the_methods_that_are_said_to_read_them(name):
    loaded, options, needs = random_model("llama"), options_of(name, QUICK.get(name, {})), {}
    needs = needs_of(name, loaded)
    prompts = [s.input_ids[: s.n_prompt] for s in random_samples(4, shortest=8)]
    found = []
    for token in (50, 90):
        samples = [Sample(str(i), (*ids, token, token + 1), len(ids), range(len(ids))) for i, ids in enumerate(prompts)]
        found.append(method(name).measure(loaded, samples, options, batch_tokens=1, **needs))
    same = all(found[0][key].equal(found[1][key]) for key in found[0])
    assert same is not CATALOGUE[name].reads_responses


def test_only_layers_are_a_range_unless_a_method_says_otherwise():
    assert [of for of in GRANULARITIES if usual_shape(of) == "range"] == ["layer"]
