"""The prompts of all sets in, the table of what they share out."""

from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.data.prompt_overlap import prompt_overlap, write_table
from safety_regions.errors import UserError
from safety_regions.files import read_jsonl
from safety_regions.planning.recipes.data import PromptOverlapRecipe


def tabulate_prompt_overlap(recipe: PromptOverlapRecipe, paths: dict[str, Path], output: Path) -> None:
    """Write the table (see `safety_regions.data.prompt_overlap`) and its receipt; `paths`: samples by set.

    Raises `UserError` for samples that are missing, damaged, or not the recipe's.
    """
    names = [name for name, _ in recipe.prompts]
    if sorted(names) != sorted(paths):
        raise UserError(f"sets {', '.join(paths)}", where="--prompts", expected=", ".join(names))
    for name, digest in recipe.prompts:
        receipts.check(paths[name], digest)
    table = prompt_overlap({name: read_jsonl(paths[name]) for name in names}, recipe.near_duplicate)
    write_table(table, output)
    receipts.write(output, recipe.as_json(), {"n_pairs": len(table)})
