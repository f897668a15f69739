"""Prompts in, (prompt, response) pairs out, by one policy for all sets; the share of refusals goes into the receipt."""

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.files import read_jsonl, write_jsonl
from safety_regions.models.answers import Answer, is_refusal
from safety_regions.models.checks import refuse_unreadable
from safety_regions.models.generate import generate
from safety_regions.models.load import load_once
from safety_regions.models.tokens import encode_prompt
from safety_regions.steps.jobs import Entry


def respond(entry: Entry, device: str) -> None:
    """Write the pairs of one set and their receipt.

    Raises `UserError` if the set has no responses of its own to give.
    """
    prompts = read_jsonl(entry.checked("prompts"))
    answers = _answers(entry, prompts, device)
    rows = [
        {
            "id": row["id"],
            "prompt": row["prompt"],
            "response": a.text,
            "finished": a.finished,
            "refused": is_refusal(a.text),
        }
        for row, a in zip(prompts, answers, strict=True)
    ]
    write_jsonl(entry.path, rows)
    receipts.write(entry.path, entry.recipe, _facts(rows), versions=("torch", "transformers", "tokenizers"))


def _answers(entry: Entry, prompts: list[dict], device: str) -> list[Answer]:
    policy = entry.recipe["policy"]
    if policy == "template":
        return [Answer(entry.recipe["template"], finished=True) for _ in prompts]
    if policy == "dataset":
        return [Answer(_own_response(entry, row), finished=True) for row in prompts]
    # Only here, since fixed responses need neither torch nor the seconds that it takes to be imported.
    from safety_regions.steps.respond import generated

    return generated(entry, prompts, device)


def _own_response(entry: Entry, row: dict) -> str:
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
        "share_refused": round(sum(row["refused"] for row in rows) / len(rows), 6),
        "mean_characters": round(sum(len(row["response"]) for row in rows) / len(rows), 2),
    }


def generated(entry: Entry, prompts: list[dict], device: str) -> list[Answer]:
    """In the order of `prompts`. Raises `UserError` if the model cannot read one of them."""
    loaded = load_once(entry.inputs["model"], device, entry.recipe["model"])
    most = entry.recipe["max_new_tokens"]
    ids = {row["id"]: encode_prompt(loaded.tokenizer, row["prompt"], loaded.plain_template) for row in prompts}
    refuse_unreadable(loaded.model, ids, str(entry.inputs["prompts"]), further=most)
    return generate(loaded, [row["prompt"] for row in prompts], most, doing=entry.path.name)
