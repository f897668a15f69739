"""One recipe of each kind, for tests to which little of it matters."""

from dataclasses import replace
from typing import Any

from safety_regions.artifacts.recipe import Recipe
from safety_regions.config.variants import DRAW, Variant
from safety_regions.planning.recipes.constrain import ConstrainRecipe
from safety_regions.planning.recipes.data import DatasetRecipe, OfSet, PromptOverlapRecipe, PromptsRecipe
from safety_regions.planning.recipes.models import AdapterRecipe, ModelRecipe
from safety_regions.planning.recipes.regions import PairsRecipe, Part, RegionRecipe, StatisticsRecipe
from safety_regions.planning.recipes.report import FigureContext, FiguresRecipe, LayerCurvesRecipe, ReportRecipe
from safety_regions.planning.recipes.tables import (
    AcrossRecipe,
    AlignmentRecipe,
    EvaluateRecipe,
    Group,
    OfVariant,
    OverlapRecipe,
    RefinedRecipe,
    ReplicatesRecipe,
)

A, B, C, D = (digit * 64 for digit in "abcd")
CONTEXT = FigureContext(
    model="tiny", method="wanda", n_samples=8, q=0.05, p=0.1, scope="matrix", safety=["x", "y"], utility=["u"]
)
SOME: dict[str, Recipe] = {
    recipe.kind: recipe
    for recipe in (
        DatasetRecipe(dataset="x", spec={"source": {"kind": "synthetic", "name": "syn_build"}}, corpus=2),
        PromptsRecipe(
            dataset="x",
            rows=A,
            n_samples=8,
            seed=0,
            offset=2,
            deduplicate="across",
            near_duplicate=0.6,
            earlier=[B],
            apart_from=[C],
        ),
        PromptOverlapRecipe(prompts=[OfSet("y", A), OfSet("x", B)], near_duplicate=0.6),
        ModelRecipe(
            model="tiny", source={"kind": "tiny"}, dtype="float32", plain_template=None, corpus_version=2, data={"x": A}
        ),
        AdapterRecipe(model=A, data={"x": B}, options={"rank": 2}),
        PairsRecipe(prompts=A, policy="model", model=B, max_new_tokens=24),
        StatisticsRecipe(
            method="safelayer",
            version=2,
            model=A,
            options={},
            pairs=B,
            part=Part(split=0, half=1),
            other_prompts={"normal": C, "over_rejection": {"u": D}},
            plays="normal",
        ),
        RegionRecipe(method="wanda", version=2, model=A, statistics=B, grid=[0.05, 0.1], scope="matrix"),
        RefinedRecipe(region=A, utility=[OfSet("u", B), OfSet("v", C)], p=0.1),
        OverlapRecipe(safety=[OfSet("x", A), OfSet("y", B)], utility=[OfSet("u", C)], p=0.1, orders={"n_orders": 3}),
        ReplicatesRecipe(
            groups=[Group("seeds", [OfVariant.of(Variant("x"), A), OfVariant.of(Variant("x", DRAW, 1), B)])],
            utility=[OfSet("u", C)],
            prompts=[OfVariant.of(Variant("x"), D)],
            p=0.1,
        ),
        AcrossRecipe(
            model=A, regions={"snip": {"x": B}, "wanda": {"x": C}}, safety=["x"], utility=["u"], q=0.05, p=0.1
        ),
        AlignmentRecipe(
            before=[OfVariant.of(Variant("x"), A)], after=[OfVariant.of(Variant("x"), B)], utility=["x"], p=0.1
        ),
        EvaluateRecipe(
            model=A,
            method="nlsr",
            safety=[OfSet("x", B)],
            utility=[OfSet("u", C)],
            harmless=[OfSet("x", C)],
            harmful=[OfSet("x", D)],
            over_refusal=[OfSet("u", D)],
            texts=[],
            q=0.05,
            p=0.1,
            doses=[0.01, 0.05],
            options={"seed": 0},
            adapter=A,
        ),
        ConstrainRecipe(
            model=A,
            condition="rewound",
            learning_rate=0.001,
            seed=1,
            benign=[OfSet("u", B)],
            held_out=[OfSet("u", C)],
            harmful=[OfSet("x", D)],
            over_refusal=[OfSet("u", D)],
            options={"steps": [3], "batch_size": 2, "max_new_tokens": 4},
            rewound=["refined", "harmless_refined"],
            method="snip",
            safety=[OfSet("x", B)],
            utility=[OfSet("u", C)],
            harmless=[OfSet("u-template0", D)],
            q=0.05,
            p=0.1,
            agree=0.5,
        ),
        FiguresRecipe(style=A, context=CONTEXT, overlap=B),
        LayerCurvesRecipe(style=A, context=CONTEXT, regions=[OfSet("x", B)]),
        ReportRecipe(
            parts={"overlap/tiny.wanda": A},
            style=B,
            config={"name": "own"},
            sources=[{"what": "model", "name": "tiny"}],
        ),
    )
}


def some_recipe(kind: str, **changes: Any) -> Recipe:
    """A recipe of a kind, with some of its values."""
    return replace(SOME[kind], **changes)
