"""The model's own answers to the prompts of one set."""

from safety_regions.answer import Answer
from safety_regions.jobs import Entry
from safety_regions.models.limits import refuse_unreadable
from safety_regions.models.load import load_once
from safety_regions.models.tokens import encode_prompt
from safety_regions.responses import generate


def generated(entry: Entry, prompts: list[dict], device: str) -> list[Answer]:
    """In the order of `prompts`. Raises `UserError` if the model cannot read one of them."""
    loaded = load_once(entry.inputs["model"], device, entry.recipe["model"])
    most = entry.recipe["max_new_tokens"]
    ids = {row["id"]: encode_prompt(loaded.tokenizer, row["prompt"], loaded.plain_template) for row in prompts}
    refuse_unreadable(loaded.model, ids, str(entry.inputs["prompts"]), further=most)
    return generate(loaded, [row["prompt"] for row in prompts], most, doing=entry.path.name)
