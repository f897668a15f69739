"""How many prompts the sets share."""

from pathlib import Path

import pandas

from safety_regions.artifacts import receipts
from safety_regions.data.prompt_overlap import prompt_overlap
from safety_regions.errors import UserError
from safety_regions.files import read_jsonl


def compare_prompts(recipe: dict, paths: dict[str, Path]) -> pandas.DataFrame:
    """The table that a recipe of kind `prompt_overlap` describes, from samples `{set: path}`, which are checked."""
    names = [name for name, _ in recipe["prompts"]]
    if sorted(names) != sorted(paths):
        raise UserError(f"sets {', '.join(paths)}", where="--prompts", expected=", ".join(names))
    for name, digest in recipe["prompts"]:
        receipts.check(paths[name], digest)
    return prompt_overlap({name: read_jsonl(paths[name]) for name in names}, recipe["near_duplicate"])
