"""Recipes: the JSON that they stand for is fixed to the byte, and what is read back is what was written."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_recipes import SOME, A, B, C, D, some_recipe

from safety_regions.artifacts.kinds import KINDS
from safety_regions.artifacts.receipts import recipe_digest
from safety_regions.config.load import load_registries
from safety_regions.config.model_method import ModelMethod, PartRole
from safety_regions.config.run import RunConfig
from safety_regions.config.variants import DRAW, FIRST, HALF, OWN, RESPONSES, Variant
from safety_regions.errors import UserError
from safety_regions.files import canonical_json, load_json
from safety_regions.planning.make import make_plan
from safety_regions.planning.recipes.parse import RECIPES, parse_recipe
from safety_regions.planning.recipes.regions import Part, RegionRecipe, StatisticsRecipe
from safety_regions.planning.recipes.tables import EvaluateRecipe

CONTEXT = (
    '{"method":"wanda","model":"tiny","n_samples":8,"p":0.1,"q":0.05,"safety":["x","y"],"scope":"matrix",'
    '"utility":["u"]}'
)
WRITTEN = {
    "dataset": '{"corpus":2,"dataset":"x","kind":"dataset","spec":{"source":{"kind":"synthetic","name":"syn_build"}},'
    '"version":2}',
    "prompts": '{"apart_from":["$c"],"dataset":"x","deduplicate":"across","earlier":["$b"],"kind":"prompts",'
    '"n_samples":8,"near_duplicate":0.6,"offset":2,"rows":"$a","seed":0,"version":2}',
    "prompt_overlap": '{"kind":"prompt_overlap","near_duplicate":0.6,"prompts":[["y","$a"],["x","$b"]],"version":2}',
    "model": '{"corpus_version":2,"data":{"x":"$a"},"dtype":"float32","kind":"model","model":"tiny",'
    '"plain_template":null,"source":{"kind":"tiny"},"version":2}',
    "adapter": '{"data":{"x":"$b"},"kind":"adapter","model":"$a","options":{"rank":2},"version":2}',
    "pairs": '{"kind":"pairs","max_new_tokens":24,"model":"$b","policy":"model","prompts":"$a","version":3}',
    "statistics": '{"kind":"statistics","method":"safelayer","model":"$a","normal":"$c","options":{},'
    '"over_rejection":{"u":"$d"},"pairs":"$b","part":{"half":1,"split":0},"plays":"normal","version":2}',
    "region": '{"grid":[0.05,0.1],"kind":"region","method":"wanda","model":"$a","scope":"matrix","selection":2,'
    '"statistics":"$b","version":2}',
    "refined": '{"kind":"refined","p":0.1,"region":"$a","utility":[["u","$b"],["v","$c"]],"version":1}',
    "overlap": '{"kind":"overlap","orders":{"n_orders":3},"p":0.1,"safety":[["x","$a"],["y","$b"]],'
    '"utility":[["u","$c"]],"version":3}',
    "replicates": '{"groups":[["seeds",[["x","own","$a"],["x","seed1","$b"]]]],"kind":"replicates","p":0.1,'
    '"prompts":[["x","own","$d"]],"utility":[["u","$c"]],"version":2}',
    "across": '{"kind":"across","model":"$a","p":0.1,"q":0.05,"regions":{"snip":{"x":"$b"},"wanda":{"x":"$c"}},'
    '"safety":["x"],"utility":["u"],"version":2}',
    "alignment": '{"after":[["x","own","$b"]],"before":[["x","own","$a"]],"kind":"alignment","p":0.1,"utility":["x"],'
    '"version":1}',
    "evaluate": '{"adapter":"$a","doses":[0.01,0.05],"harmful":[["x","$d"]],"harmless":[["x","$c"]],"kind":"evaluate",'
    '"method":"nlsr","model":"$a",'
    '"options":{"seed":0},"over_refusal":[["u","$d"]],"p":0.1,"q":0.05,"safety":[["x","$b"]],"texts":[],'
    '"utility":[["u","$c"]],"version":2}',
    "constrain": '{"agree":0.5,"benign":[["u","$b"]],"condition":"rewound","harmful":[["x","$d"]],'
    '"harmless":[["u-template0","$d"]],"held_out":[["u","$c"]],"kind":"constrain","learning_rate":0.001,'
    '"method":"snip","model":"$a","options":{"batch_size":2,"max_new_tokens":4,"steps":[3]},'
    '"over_refusal":[["u","$d"]],"p":0.1,"q":0.05,"rewound":["refined","harmless_refined"],"safety":[["x","$b"]],'
    '"seed":1,"utility":[["u","$c"]],"version":1}',
    "figures": f'{{"context":{CONTEXT},"kind":"figures","overlap":"$b","style":"$a","version":5}}',
    "layer_curves": f'{{"context":{CONTEXT},"kind":"layer_curves","regions":[["x","$b"]],"style":"$a","version":4}}',
    "report": '{"config":{"name":"own"},"kind":"report","parts":{"overlap/tiny.wanda":"$a"},'
    '"sources":[{"name":"tiny","what":"model"}],"style":"$b","version":10}',
}
"""The canonical JSON of `SOME`; `$a` stands for 64 times a."""


def test_every_kind_has_a_recipe_an_example_and_its_text():
    assert set(RECIPES) == set(SOME) == set(WRITTEN) == set(KINDS)


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_bytes_of_a_recipe_are_fixed(kind):
    text = WRITTEN[kind]
    for letter, digest in zip("abcd", (A, B, C, D), strict=True):
        text = text.replace(f"${letter}", digest)
    recipe = SOME[kind]
    assert canonical_json(recipe.as_json()) == text
    assert recipe.digest == recipe_digest(load_json(text))
    assert parse_recipe(load_json(text), "here") == recipe


@pytest.fixture(scope="module")
def plan():
    run = RunConfig.model_validate({"models": ["tiny-llama", "smollm2-135m-aligned"]})
    return make_plan(run, load_registries(run))


def test_every_recipe_of_a_run_is_read_back_as_it_was_written(plan):
    for artifact in plan.made.values():
        content = load_json(canonical_json(artifact.recipe.as_json()))
        assert content == artifact.recipe.as_json()
        found = parse_recipe(content, artifact.path)
        assert type(found) is type(artifact.recipe) and found == artifact.recipe and found.digest == artifact.digest


def test_a_recipe_names_its_inputs_by_the_roles_that_the_plan_gives_them(plan):
    for artifact in plan.made.values():
        assert artifact.recipe.inputs == {role: source.digest for role, source in artifact.inputs.items()}


@pytest.mark.parametrize("kind", SOME)
def test_a_key_that_is_missing_or_too_much_is_named(kind):
    content = SOME[kind].as_json()
    with pytest.raises(UserError, match="colour") as error:
        parse_recipe(content | {"colour": "red"}, "here")
    assert error.value.where == "here"
    required = {field.name for field in fields(SOME[kind]) if field.default is not None} - {"version", "selection"}
    for key in required & set(content):
        with pytest.raises(UserError, match=f"no '{key}' in the recipe") as error:
            parse_recipe({name: value for name, value in content.items() if name != key}, "here")
        assert "its keys are: " in error.value.hint


def test_a_recipe_of_another_text_than_ours_is_refused():
    """It would stand for the same artifact under another digest."""
    content = some_recipe("overlap").as_json()
    for changed in ({"p": 1}, {"p": "0.1"}, {"utility": None}):
        with pytest.raises(UserError):
            parse_recipe(content | changed, "here")
    with pytest.raises(UserError, match="not written as it would be here"):
        parse_recipe(some_recipe("region").as_json() | {"adapter": None}, "here")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({}, "a recipe of {'kind': None"),
        ({"kind": "overlap", "version": 0}, "a recipe of {'kind': 'overlap', 'version': 0}"),
        ({"kind": "region", "method": "snipp"}, "no method 'snipp'"),
        ({"kind": "region", "method": "snip", "version": 99}, "version 99 of snip"),
        ({"kind": ["region"]}, "a recipe of"),
    ],
)
def test_another_kind_or_version_is_refused(content, found):
    with pytest.raises(UserError) as error:
        parse_recipe(content, "here")
    assert error.value.found.startswith(found)


def test_one_of_several_kinds_is_asked_for():
    assert parse_recipe(SOME["region"].as_json(), "here", StatisticsRecipe, RegionRecipe) == SOME["region"]
    with pytest.raises(UserError, match="a recipe of"):
        parse_recipe(SOME["region"].as_json(), "here", EvaluateRecipe)


def test_pairs_have_what_their_policy_needs():
    for changes in ({"max_new_tokens": None}, {"policy": "template"}):
        with pytest.raises(ValueError, match="lacks"):
            some_recipe("pairs", **changes)


def test_a_part_is_a_half_or_the_first_pairs():
    assert (Part(split=0, half=1).as_json(), Part(first=4).as_json()) == ({"split": 0, "half": 1}, {"first": 4})
    for wrong in ({}, {"split": 0}, {"half": 1, "first": 4}, {"split": 0, "half": 1, "first": 4}):
        with pytest.raises(ValueError, match="a part is"):
            Part(**wrong)


def test_an_adapter_is_merged_where_it_is_the_model():
    plain, merged, laid_over = (some_recipe("statistics", adapter=adapter) for adapter in (None, A, B))
    assert [recipe.adapter_is_merged for recipe in (plain, merged, laid_over)] == [False, True, False]
    assert [recipe.adds_adapter for recipe in (plain, merged, laid_over)] == [False, False, True]


numbers = st.integers(0, 10**6)
sets = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
variants = st.one_of(
    st.builds(Variant, sets),
    st.builds(Variant, sets, st.just(HALF), numbers, st.integers(0, 1)),
    st.builds(Variant, sets, st.just(FIRST), st.integers(1, 10**6)),
    st.builds(Variant, sets, st.sampled_from([DRAW, RESPONSES]), numbers),
)


@given(variants)
def test_a_variant_is_read_back_from_its_label(variant):
    assert Variant.parse(variant.set, variant.label) == variant
    assert variant.role("region") == f"region/{variant.set}/{variant.label}"
    assert variant.is_own == (variant.label == OWN) == (variant.name == variant.set)


@given(variants, variants)
def test_other_variants_have_other_labels(one, other):
    assert ((one.set, one.label) == (other.set, other.label)) == (one == other)


@given(st.text("ownsplitfirstseedtemplate0123456789.", max_size=12))
def test_any_label_is_refused_or_one_of_ours(label):
    try:
        variant = Variant.parse("x", label)
    except ValueError:
        return
    assert variant.label == label


def test_variants_are_written_as_they_always_were():
    written = {
        Variant("x"): ("own", "x"),
        Variant("x", HALF, 0, 1): ("split0.1", "x-split0-1"),
        Variant("x", FIRST, 12): ("first12", "x-first12"),
        Variant("x", DRAW, 1): ("seed1", "x-seed1"),
        Variant("x", RESPONSES, 0): ("template0", "x-template0"),
    }
    assert {variant: (variant.label, variant.name) for variant in written} == written


@given(sets, sets)
def test_model_and_method_are_read_back_from_their_name(model, method):
    of = ModelMethod(model, method)
    assert ModelMethod.parse(of.name) == of
    for role in (PartRole("overlap", model, method), PartRole("across", model), PartRole("prompt_overlap")):
        assert PartRole.parse(str(role)) == role
    assert str(PartRole("overlap", *of)) == f"overlap/{model}.{method}"
