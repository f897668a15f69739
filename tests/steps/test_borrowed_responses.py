"""Responses that one set lends to the prompts of another: each goes to the prompt in its place."""

import pytest
from evaluate_case import write_prompts

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.planning.recipes.regions import PairsRecipe
from safety_regions.steps.entry import Entry
from safety_regions.steps.respond import respond


@pytest.mark.parametrize("n_lent", [5, 4, 2])
def test_prompts_get_the_responses_of_other_pairs_in_their_order(tmp_path, n_lent):
    prompts, lent = tmp_path / "harmless.jsonl", tmp_path / "lent.jsonl"
    digest = write_prompts(prompts, 4, "its own")
    rows = [
        {"id": f"h-{i}", "prompt": f"harmful {i}", "response": f"I can't help with {i}.", "finished": i > 0}
        for i in range(n_lent)
    ]
    files.write_jsonl(lent, rows)
    lender = receipts.write(lent, {"kind": "pairs", "of": "harmful"}, {}).digest
    recipe = PairsRecipe(prompts=digest, policy="borrowed", lent=lender)
    respond(Entry(tmp_path / "out.jsonl", recipe, {"prompts": prompts, "lent": lent}), "cpu")
    pairs = files.read_jsonl(tmp_path / "out.jsonl")
    assert [(pair["id"], pair["prompt"]) for pair in pairs] == [(f"harmless-{i}", f"harmless {i}") for i in range(4)]
    expected = [rows[i % n_lent] for i in range(4)]
    assert [(p["response"], p["finished"]) for p in pairs] == [(row["response"], row["finished"]) for row in expected]
    assert receipts.check(tmp_path / "out.jsonl").facts["share_refused"] == 1


def test_a_recipe_says_whose_responses_are_lent():
    with pytest.raises(ValueError, match="lacks what it gives responses by"):
        PairsRecipe(prompts="0" * 64, policy="borrowed")
