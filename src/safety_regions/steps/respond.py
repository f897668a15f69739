"""Prompts in, (prompt, response) pairs out, by one policy for all sets; the receipt says what became of them."""

from itertools import cycle

from safety_regions.data.duplicates import response_facts
from safety_regions.errors import UserError
from safety_regions.files import write_jsonl
from safety_regions.models.answers import Answer
from safety_regions.models.checks import refuse_unreadable
from safety_regions.models.generate import generate
from safety_regions.models.languages import is_foreign
from safety_regions.models.outcomes import Outcome, outcome_of
from safety_regions.models.tokens import encode_prompt
from safety_regions.planning.recipes.regions import PairsRecipe
from safety_regions.steps.entry import Entry


def respond(entry: Entry[PairsRecipe], device: str) -> None:
    """Write the pairs of one set and their receipt.

    Raises `UserError` if the set has no responses of its own to give.
    """
    prompts = entry.rows("prompts")
    answers = _answers(entry, prompts, device)
    rows = [_pair(row, answer) for row, answer in zip(prompts, answers, strict=True)]
    write_jsonl(entry.path, rows)
    entry.done(_facts(rows), versions=("torch", "transformers", "tokenizers"))


def _pair(row: dict, answer: Answer) -> dict:
    outcome = outcome_of(answer.text, row["prompt"])
    return {
        "id": row["id"],
        "prompt": row["prompt"],
        "response": answer.text,
        "finished": answer.finished,
        "refused": outcome is Outcome.REFUSES,
        "degenerate": outcome is Outcome.DEGENERATE,
        "foreign": is_foreign(answer.text),
    }


def _answers(entry: Entry[PairsRecipe], prompts: list[dict], device: str) -> list[Answer]:
    recipe = entry.recipe
    if recipe.policy == "template" and recipe.template is not None:
        return [Answer(recipe.template, finished=True) for _ in prompts]
    if recipe.policy == "borrowed":
        lent = entry.rows("lent")
        # A set of fewer rows lends some twice.
        return [Answer(row["response"], row["finished"]) for row, _ in zip(cycle(lent), prompts, strict=False)]
    if recipe.policy == "dataset":
        return [Answer(_own_response(entry, row), finished=True) for row in prompts]
    # Only here, since fixed responses need neither torch nor the seconds that it takes to be imported.
    from safety_regions.steps.respond import generated

    return generated(entry, prompts, device)


def _own_response(entry: Entry[PairsRecipe], row: dict) -> str:
    if not row["response"]:
        raise UserError(
            "no response of the set's own",
            where=f"{entry.inputs['prompts']}, row {row['id']}",
            expected="a `response` column in the dataset registry, for responses.policy: dataset",
            hint="use responses.policy: model or template",
        )
    return row["response"]


def _facts(rows: list[dict]) -> dict:
    empty = [row["id"] for row in rows if not row["response"]]
    return {
        "n_samples": len(rows),
        "n_empty": len(empty),
        "empty_ids": empty,
        "n_cut": sum(not row["finished"] for row in rows),
        "n_foreign": sum(row["foreign"] for row in rows),
        "share_refused": round(sum(row["refused"] for row in rows) / len(rows), 6),
        "share_degenerate": round(sum(row["degenerate"] for row in rows) / len(rows), 6),
        "mean_characters": round(sum(len(row["response"]) for row in rows) / len(rows), 2),
        **response_facts([row["response"] for row in rows]),
    }


def generated(entry: Entry[PairsRecipe], prompts: list[dict], device: str) -> list[Answer]:
    """In the order of `prompts`. Raises `UserError` if the model cannot read one of them."""
    loaded, most = entry.model(device), entry.recipe.max_new_tokens
    assert most is not None, "policy model has a limit"
    ids = {row["id"]: encode_prompt(loaded.tokenizer, row["prompt"], loaded.plain_template) for row in prompts}
    refuse_unreadable(loaded.model, ids, str(entry.inputs["prompts"]), further=most)
    return generate(loaded, [row["prompt"] for row in prompts], most, doing=entry.path.name)
