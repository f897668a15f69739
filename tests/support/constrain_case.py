"""A model, regions and benign pairs as files with receipts, and the recipes that fine-tune it under a constraint."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
from evaluate_case import Case

from safety_regions.artifacts import receipts
from safety_regions.planning.recipes.constrain import NOTHING, REWOUND, ConstrainRecipe
from safety_regions.planning.recipes.data import OfSet
from safety_regions.steps.constrain import constrain
from safety_regions.steps.entry import Entry

OPTIONS = {"tuning": "full", "steps": [2, 4], "losses": [], "batch_size": 2, "weight_decay": 0.1, "max_new_tokens": 3}
LORA = {"tuning": "lora", "rank": 2, "alpha": 4.0}


class Constrained:
    """The model and regions of an `evaluate_case.Case`: `a` and `b` are safety sets, `u` is the utility set, and `b` is
    looked at as the region of harmless prompts, too.
    """

    def __init__(self, folder: Path, granularity: str = "weight"):
        self.folder, self.case = folder, Case(folder, granularity)
        inputs = self.case.inputs
        self.inputs = {role: path for role, path in inputs.items() if not role.startswith("texts/")}
        self.inputs |= {"benign/texts": inputs["texts/texts"], "held_out/texts": inputs["texts/texts"]}
        self.inputs["harmless/b"] = inputs["region/b"]
        # A utility set whose region is not within that of a safety set, for those who put it in the place of `u`.
        self.inputs["region/h"] = inputs["harmless/a"]
        digests = {role: receipts.read(path).digest for role, path in self.inputs.items()}
        asked = {
            role: [OfSet(name, digests[f"{role}/{name}"])]
            for role, name in (
                ("benign", "texts"),
                ("held_out", "texts"),
                ("harmful", "harmful"),
                ("over_refusal", "over_refusal"),
            )
        }
        self.other_utility = [OfSet("h", digests["region/h"])]
        self.nothing = ConstrainRecipe(
            model=digests["model"], condition=NOTHING, learning_rate=0.01, seed=1, options=OPTIONS, **asked
        )
        self.of_method = {
            "method": granularity,
            "safety": [OfSet(name, digests[f"region/{name}"]) for name in "ab"],
            "utility": [OfSet("u", digests["region/u"])],
            "harmless": [OfSet("b", digests["harmless/b"])],
            "q": 0.3,
            "p": 0.1,
            "agree": 0.5,
        }

    def recipe(self, condition: str, rewound: list[str] | None = None, **options) -> ConstrainRecipe:
        """Of a condition; `options` beside the usual ones."""
        of_method = self.of_method if condition != NOTHING else {}
        said = {"options": OPTIONS | options, **of_method}
        return replace(self.nothing, condition=condition, rewound=rewound if condition == REWOUND else None, **said)

    def given(self, recipe: ConstrainRecipe) -> dict[str, str]:
        """The paths of its inputs."""
        return {role: str(self.inputs[role]) for role in recipe.inputs}

    def run(self, recipe: ConstrainRecipe, output: str) -> dict[str, pd.DataFrame]:
        """The tables that the step writes, by name; and as `facts` those of the receipt."""
        entry = self.entry(recipe, output)
        constrain([entry], "cpu")
        tables = {file.stem: pd.read_csv(file) for file in entry.path.glob("*.csv")}
        return tables | {"facts": receipts.read(entry.path).facts}

    def entry(self, recipe: ConstrainRecipe, output: str) -> Entry[ConstrainRecipe]:
        """Of a job that makes the folder `output`."""
        return Entry.parse(str(self.folder / output), json.loads(json.dumps(recipe.as_json())), self.given(recipe))


def planted_training(shares: dict[str, float], n_prompts: int = 16, n_seeds: int = 2) -> dict[str, pd.DataFrame]:
    """The tables of trainings in which each condition keeps a share of the refusals; `nothing` brings the aligned model
    along.
    """
    at = {"aligned": ("step 0", 0, 1.0)} if "nothing" in shares else {}
    at |= {condition: ("step 9", 9, share) for condition, share in shares.items()}
    keys = {"learning_rate": 0.001}
    rates, outcomes, moved = [], [], []
    for (condition, (checkpoint, step, share)), seed in itertools.product(at.items(), range(n_seeds)):
        known = {"condition": condition, **keys, "seed": seed}
        n_kept = min(n_prompts, round(share * n_prompts) + seed * (step > 0))
        refused = ["refuses"] * n_kept + ["answers"] * (n_prompts - n_kept)
        rates.append(
            {**known, "checkpoint": checkpoint, "step": step, "share_of_weights": 0.05, "benign_loss": 2.0 - step / 10}
            | {"benign_accuracy": 0.5, "refusal_rate": n_kept / n_prompts, "degenerate_rate": 0.0}
            | {"answer_rate": 1 - n_kept / n_prompts, "over_refusal_rate": 0.125, "harmless_degenerate_rate": 0.0}
            | {
                "harmless_answer_rate": 0.875,
                "perplexity": 7.5,
                "broken": False,
                "n_harmful": n_prompts,
                "n_harmless": 8,
            }
        )
        outcomes += [
            {
                **known,
                "checkpoint": checkpoint,
                "asked": "harmful",
                "asked_set": "set0",
                "id": f"p{i:02}",
                "outcome": of,
            }
            for i, of in enumerate(refused)
        ]
        if step:
            moved += [
                {**known, "matrix": matrix, "n_weights": 100, "n_inside": 5, "change": 2.0, "change_inside": 0.25}
                for matrix in ("0.q", "0.k")
            ]
    return {name: pd.DataFrame(rows) for name, rows in (("constrain", rates), ("outcomes", outcomes), ("moved", moved))}
