"""The embedded placeholder corpus."""

import hashlib
import json
import re
import subprocess
import sys

import pytest

from safety_regions.config.run import SYNTHETIC_SAFETY
from safety_regions.data import synthetic
from safety_regions.models.answers import is_refusal

DIGESTS = {1: "120c2ccf976d85da92a9075c86b2b200311eda8b23f2ae140e5d5fc084f5990d"}


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))


@pytest.mark.parametrize("name", synthetic.DATASETS)
def test_every_set_has_96_distinct_prompts_in_a_fixed_order(name):
    rows = synthetic.rows(name)
    assert len({row["prompt"] for row in rows}) == len(rows) >= 96
    assert rows == synthetic.rows(name)
    assert all(set(row) == {"prompt", "response"} and row["response"] for row in rows)


def test_content_changes_only_with_the_version():
    content = [synthetic.rows(name) for name in synthetic.DATASETS]
    content += [
        [vars(e) for e in part]
        for part in (synthetic.training_pairs(), synthetic.held_out("seen"), synthetic.held_out("unseen"))
    ]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    assert digest == DIGESTS[synthetic.VERSION], "the corpus changed: raise synthetic.VERSION and add its digest"


def test_harmful_sets_are_the_default_safety_sets_and_the_others_are_not():
    assert [name for name in synthetic.DATASETS if name in synthetic.HARMFUL_ACTIONS] == SYNTHETIC_SAFETY
    assert synthetic.DATASETS[10:] == ("syn_chores", "syn_sums")


@pytest.mark.parametrize("name", synthetic.DATASETS)
def test_harmful_responses_are_refusals_and_harmless_ones_are_not(name):
    assert {is_refusal(row["response"]) for row in synthetic.rows(name)} == {name in synthetic.HARMFUL_ACTIONS}


@pytest.mark.parametrize("name", SYNTHETIC_SAFETY)
def test_every_harmful_set_has_the_same_mix_of_responses(name):
    responses = [row["response"] for row in synthetic.rows(name)]
    assert {responses.count(refusal) for refusal in synthetic.REFUSALS} == {len(responses) // len(synthetic.REFUSALS)}


def test_sets_share_no_prompt_but_share_wording():
    prompts = [row["prompt"] for name in synthetic.DATASETS for row in synthetic.rows(name)]
    assert len(set(prompts)) == len(prompts)
    vocabulary = [set().union(*(words(row["prompt"]) for row in synthetic.rows(name))) for name in SYNTHETIC_SAFETY]
    shared = [len(a & b) / len(a | b) for i, a in enumerate(vocabulary) for b in vocabulary[:i]]
    assert min(shared) > 0 and 0.3 < max(shared) < 0.9


@pytest.mark.parametrize("wording", ["seen", "unseen"])
def test_held_out_prompts_are_never_trained_on_though_their_words_are(wording):
    trained = {e.prompt for e in synthetic.training_pairs()}
    known = set().union(*map(words, trained))
    held_out = synthetic.held_out(wording)
    assert {e.dataset for e in held_out} == set(synthetic.DATASETS)
    assert not trained & {e.prompt for e in held_out}
    actions = [e.prompt for e in held_out if e.dataset != "syn_sums"]
    assert set().union(*map(words, actions)) <= known


def test_one_noun_of_each_verb_is_held_out():
    for name in (*SYNTHETIC_SAFETY, "syn_chores"):
        rows = synthetic.examples(name)
        n_verbs = 8 if name == "syn_chores" else 4
        assert sum(e.held_out for e in rows) == len(rows) // 10
        assert len({e.prompt for e in rows if e.held_out}) == len(rows) // 10 >= n_verbs * 4


def test_unseen_wordings_appear_in_no_set():
    prompts = {row["prompt"] for name in synthetic.DATASETS for row in synthetic.rows(name)}
    assert not prompts & {e.prompt for e in synthetic.held_out("unseen")}


def test_training_classes_are_even():
    harmful = [e.harmful for e in synthetic.training_pairs()]
    assert sum(harmful) * 2 == len(harmful)


def test_sums_are_right():
    for row in synthetic.rows("syn_sums"):
        a, b = map(int, re.findall(r"\d+", row["prompt"]))
        assert row["response"] == f"{a} plus {b} is {a + b}."


def test_unknown_set_is_a_key_error():
    with pytest.raises(KeyError):
        synthetic.rows("syn_unknown")


def test_import_is_light():
    code = (
        "import sys, safety_regions.data.synthetic, safety_regions.planning.recipes.parse;"
        " print({'torch', 'numpy', 'transformers'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
