"""One artifact of a job: where it goes, what it is made of, and how its inputs are opened.

Every input is checked against its receipt and the digest in the recipe before it is read.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from safety_regions.artifacts import receipts
from safety_regions.artifacts.other_code import warn_if_changed
from safety_regions.artifacts.receipts import Receipt
from safety_regions.artifacts.recipe import Recipe
from safety_regions.errors import UserError
from safety_regions.files import read_jsonl
from safety_regions.planning.recipes.parse import parse_recipe
from safety_regions.steps.arguments import Paths

if TYPE_CHECKING:
    import safety_regions.models.judge
    import safety_regions.models.load

R_co = TypeVar("R_co", bound=Recipe, covariant=True)


class Entry(Generic[R_co]):
    """One artifact of a job, with the recipe that its bytes follow from."""

    def __init__(self, path: Path | str, recipe: R_co, inputs: Mapping[str, Path | str]):
        """`inputs`: paths by role."""
        self.path, self.recipe = Path(path), recipe
        self.inputs = Paths(inputs, f"--job, {path}")

    @classmethod
    def parse(cls, path: str, recipe: dict[str, Any], inputs: dict[str, str], *kinds: type[R_co]) -> "Entry[R_co]":
        """As a job has it, of one of these kinds. Raises `UserError` for a recipe that is none of them."""
        return cls(path, parse_recipe(recipe, f"--job, {path}", *kinds), inputs)

    @cached_property
    def digest(self) -> str:
        """sha256 of the recipe."""
        return self.recipe.digest

    @cached_property
    def _digests(self) -> dict[str, str]:
        return self.recipe.inputs

    def checked(self, role: str) -> Path:
        """The file or folder of an input.

        Raises `UserError` if it was not given, is damaged, or was made by another recipe than this one names.
        """
        self._receipt(role)
        return self.inputs[role]

    def rows(self, role: str) -> list[dict]:
        """The rows of an input of JSON lines. Raises `UserError` as `checked`."""
        return read_jsonl(self.checked(role))

    def facts(self, role: str) -> dict:
        """What the receipt of an input says of its content, with a warning if the code that made it has changed.

        Raises `UserError` as `checked`.
        """
        receipt = self._receipt(role)
        warn_if_changed(str(self.inputs[role]), receipt)
        return receipt.facts

    def recipe_of(self, role: str) -> dict[str, Any]:
        """The recipe of an input, as its receipt has it. Raises `UserError` as `checked`."""
        return self._receipt(role).recipe

    def region(self, role: str) -> Path:
        """The region file of an input, by its own word too of the recipe that this one names; it warns as `facts`.

        Raises `UserError` as `checked`.
        """
        # Only here: a job is read before numpy is needed.
        from safety_regions.regions.format import open_region

        self.facts(role)
        path, digest = self.inputs[role], self._digest(role)
        with open_region(path) as region:
            if region.header.recipe_digest != digest:
                raise UserError(
                    f"this file says it was made by recipe {region.header.recipe_digest[:12]}",
                    where=str(path),
                    expected=f"recipe {digest[:12]}",
                    hint="delete it with its receipt and run snakemake again",
                )
        return path

    def model(
        self, device: str, dtype: str | None = None, *, streamed: bool = False
    ) -> "safety_regions.models.load.LoadedModel":
        """The prepared model, loaded once by a process; `dtype` overrides its own, `streamed` leaves the weights of its
        layers in their files. Raises `UserError` as `checked`.
        """
        from safety_regions.models.load import load_once

        return load_once(self.inputs["model"], device, self._digest("model"), dtype, streamed=streamed)

    def judge(self, device: str) -> "safety_regions.models.judge.Judge | None":
        """The classifier that tells outcomes, loaded once by a process; None if the recipe names none.

        Raises `UserError` as `checked`.
        """
        from safety_regions.models.judge import load_judge

        if "judge" not in self._digests:
            return None
        return load_judge(self.inputs["judge"], device, self._digest("judge"))

    def done(self, facts: dict[str, Any], *, versions: tuple[str, ...] = (), run: dict[str, Any] | None = None) -> None:
        """Write the receipt of what lies at the path now; `versions`: packages that decide its bytes; `run`: what else
        is told of this run, in which it was made.
        """
        receipts.write(self.path, self.recipe.as_json(), facts, versions=versions, run=run)

    def _receipt(self, role: str) -> Receipt:
        return receipts.check(self.inputs[role], self._digest(role))

    def _digest(self, role: str) -> str:
        """That the recipe names; a recipe may leave out what this step cannot do without."""
        if role not in self._digests:
            raise UserError(
                f"no {role!r} in the recipe",
                where=self.inputs.where,
                expected="a recipe of what this step makes",
                hint=f"it names: {', '.join(self._digests) or 'nothing'}",
            )
        return self._digests[role]
