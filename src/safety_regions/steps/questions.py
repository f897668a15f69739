"""What a model is asked: prompts, and pairs with responses of their own, from the files of an entry."""

from collections.abc import Iterable, Iterator

from safety_regions.errors import UserError
from safety_regions.models.behaviour import Prompt
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, encode_pair
from safety_regions.planning.recipes.data import OfSet
from safety_regions.steps.entry import Entry


def prompts_of(entry: Entry, role: str, sets: Iterable[OfSet]) -> list[Prompt]:
    """The prompts of the inputs `role/<set>`, set after set."""
    return [Prompt(name, row["id"], row["prompt"]) for name, row in _rows(entry, role, sets)]


def own_pairs(entry: Entry, role: str, sets: Iterable[OfSet], loaded: LoadedModel, option: str) -> list[Sample]:
    """The pairs of the inputs `role/<set>` as tokens; `option` of the configuration names the sets.

    Raises `UserError` for a row without a response.
    """
    return [_pair(row, loaded, f"{entry.inputs[f'{role}/{name}']}", option) for name, row in _rows(entry, role, sets)]


def _rows(entry: Entry, role: str, sets: Iterable[OfSet]) -> Iterator[tuple[str, dict]]:
    for name, _ in sets:
        for row in entry.rows(f"{role}/{name}"):
            yield name, row


def _pair(row: dict, loaded: LoadedModel, file: str, option: str) -> Sample:
    if not row["response"]:
        raise UserError(
            "no response of the set's own",
            where=f"{file}, row {row['id']}",
            expected=f"a `response` column in the dataset registry, for {option}",
            hint=f"name other sets in {option}",
        )
    return encode_pair(
        loaded.tokenizer,
        row["prompt"],
        row["response"],
        eos_ids=loaded.eos_ids,
        plain_template=loaded.plain_template,
        id=row["id"],
    )
