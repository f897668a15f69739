"""From JSON, as receipts and jobs hold it, to the typed recipe; strict, for it is written by hand now and then."""

import json
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.artifacts.recipe import Recipe
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.errors import UserError, did_you_mean
from safety_regions.files import canonical_json
from safety_regions.planning.recipes.constrain import ConstrainRecipe
from safety_regions.planning.recipes.data import DatasetRecipe, PromptOverlapRecipe, PromptsRecipe
from safety_regions.planning.recipes.models import AdapterRecipe, ModelRecipe
from safety_regions.planning.recipes.regions import MethodRecipe, PairsRecipe, RegionRecipe, StatisticsRecipe
from safety_regions.planning.recipes.report import FiguresRecipe, LayerCurvesRecipe, ReportRecipe
from safety_regions.planning.recipes.tables import (
    AcrossRecipe,
    AlignmentRecipe,
    EvaluateRecipe,
    OverlapRecipe,
    RefinedRecipe,
    ReplicatesRecipe,
)

R = TypeVar("R", bound=Recipe)
RECIPES: dict[str, type[Recipe]] = {
    of.kind: of
    for of in (
        DatasetRecipe,
        PromptsRecipe,
        PromptOverlapRecipe,
        ModelRecipe,
        AdapterRecipe,
        PairsRecipe,
        StatisticsRecipe,
        RegionRecipe,
        RefinedRecipe,
        OverlapRecipe,
        ReplicatesRecipe,
        AcrossRecipe,
        AlignmentRecipe,
        EvaluateRecipe,
        ConstrainRecipe,
        FiguresRecipe,
        LayerCurvesRecipe,
        ReportRecipe,
    )
}
"""By kind."""


def parse_recipe(content: dict[str, Any], where: str, *kinds: type[R]) -> R:
    """The recipe of a JSON object, of one of these kinds; none: of any. `where` it was given.

    Raises `UserError` for another kind, for a version that this code does not make, for a key that is missing or too
    much or has a value of another type, and for JSON that is not written as `as_json` writes it: its digest would be
    another.
    """
    kind = _checked_kind(content, where, [of.kind for of in kinds] or list(RECIPES))
    values = _fields(content, RECIPES[kind])
    try:
        # mypy takes the hash of the instances for that of the class.
        adapter = _adapter(RECIPES[kind])  # type: ignore[arg-type]
        # In JSON a list may be read as a tuple, however strict one is. Mappings keep their order.
        recipe = adapter.validate_json(json.dumps(values))
    except ValidationError as error:
        raise _explained(error, content, where) from None
    if canonical_json(recipe.as_json()) != canonical_json(content):
        raise UserError(
            "a recipe that is not written as it would be here",
            where=where,
            expected=canonical_json(recipe.as_json()),
            hint="fractions have a decimal point, and what does not apply is left out",
        )
    return recipe


def _checked_kind(content: dict[str, Any], where: str, kinds: list[str]) -> str:
    kind, version = content.get("kind"), content.get("version")
    if isinstance(kind, str) and kind in kinds and issubclass(RECIPES[kind], MethodRecipe):
        return _checked_method(content, kind, where)
    wanted = [{"kind": of, "version": VERSIONS[of]} for of in kinds if of in VERSIONS]
    if {"kind": kind, "version": version} not in wanted:
        others = [f"kind {of}" for of in kinds if of not in VERSIONS]
        raise UserError(
            f"a recipe of {{'kind': {kind!r}, 'version': {version!r}}}",
            where=where,
            expected=f"a recipe of {' or '.join([*map(str, wanted), *others])}",
        )
    return str(kind)


def _checked_method(content: dict[str, Any], kind: str, where: str) -> str:
    """A recipe of another version of its method asks for bytes that this code does not make."""
    method, version = content.get("method"), content.get("version")
    if method is None:
        raise _missing("method", content, where)
    if method not in CATALOGUE:
        raise UserError(
            f"no method {method!r}",
            where=where,
            expected=f"one of: {', '.join(CATALOGUE)}",
            hint=did_you_mean(str(method), CATALOGUE),
        )
    if version != CATALOGUE[method].version:
        raise UserError(
            f"version {version} of {method}",
            where=where,
            expected=f"version {CATALOGUE[method].version}, which this code has",
            hint="run snakemake with this code's plan, or use the code of that version",
        )
    return kind


def _fields(content: dict[str, Any], of: type[Recipe]) -> dict[str, Any]:
    values = {key: value for key, value in content.items() if key != "kind"}
    if not issubclass(of, MethodRecipe):
        return values
    roles = [prompts.role for prompts in CATALOGUE[content["method"]].prompts]
    return values | {"other_prompts": {role: values.pop(role) for role in roles if role in values}}


@cache
def _adapter(recipe: type[Any]) -> TypeAdapter:
    return TypeAdapter(recipe)


def _explained(error: ValidationError, content: dict[str, Any], where: str) -> UserError:
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return _missing(key, content, where)
    return UserError(f"{key}: {first['msg']}", where=where, hint="snakemake and receipts have whole recipes")


def _missing(key: str, content: dict[str, Any], where: str) -> UserError:
    return UserError(
        f"no {key!r} in the recipe",
        where=where,
        hint=f"its keys are: {', '.join(content) or 'none at all'}; snakemake and receipts have whole ones",
    )
