"""A model, regions and prompts as files with receipts, and the recipe that evaluates them."""

import copy

import numpy as np
import pandas as pd
import torch
from random_masks import random_masks
from random_models import random_model

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.models.adapter import named_linears
from safety_regions.models.adapter_training import save_lora, with_lora
from safety_regions.models.architecture import layout_of
from safety_regions.models.folder import save
from safety_regions.planning.recipes.tables import EvaluateRecipe
from safety_regions.regions.format import write_region
from safety_regions.regions.owned_weights import own_shapes
from safety_regions.regions.select import Cut
from safety_regions.steps.entry import Entry
from safety_regions.steps.evaluate import evaluate_regions

GRID = (0.1, 0.3)
CONTROLS = ["random", "magnitude", "perplexity", "utility", "harmless"]
OPTIONS = {"controls": CONTROLS, "n_random": 2, "max_new_tokens": 3, "seed": 5}


def write_prompts(path, n, response):
    files.write_jsonl(
        path, [{"id": f"{path.stem}-{i}", "prompt": f"{path.stem} {i}", "response": response} for i in range(n)]
    )
    return receipts.write(path, {"kind": "prompts", "set": path.stem}, {}).digest


def write_levels(path, shapes, granularity, levels):
    of = {"kind": "region", "path": path.name}
    write_region(
        path,
        ((n, levels(n, s)) for n, s in shapes.items()),
        recipe_digest=receipts.recipe_digest(of),
        cut=Cut(GRID, "matrix"),
        granularity=granularity,
    )
    return receipts.write(path, of, {}).digest


def twice(mask, period):
    """The levels of a mask of which the first of every so many elements are inside the smaller fraction, too."""
    first = np.arange(mask.size).reshape(mask.shape) % period < 2
    return mask.astype(np.uint8) << (mask & first)


class Case:
    """One model, region files of sets `a` and `b` (which the utility region of `u` holds whole) and of harmless prompts
    with their responses, prompts, and the recipe.
    """

    def __init__(self, folder, granularity, adapter=None):
        self.folder, self.granularity = folder, granularity
        folder.mkdir()
        self.loaded = random_model(
            "phi3" if granularity == "weight" else "llama", num_hidden_layers=2 if granularity == "layer" else 1
        )
        self.inputs, self.recipe = (
            {"model": folder / "model"},
            {
                "kind": "evaluate",
                "version": VERSIONS["evaluate"],
                "method": granularity,
                "q": 0.3,
                "p": 0.1,
                "doses": [0.1, 0.3],
                "options": OPTIONS,
            },
        )
        (folder / "model").mkdir()
        shapes = self.save_with_adapter(adapter) if adapter else own_shapes(granularity, layout_of(self.loaded.model))
        if not adapter:
            save(self.loaded.model, self.loaded.tokenizer, folder / "model")
        self.recipe["model"] = receipts.write(folder / "model", {"kind": "model", "dtype": "float32"}, {}).digest
        if adapter:
            self.inputs["adapter"] = folder / ("model" if adapter == "merged" else "adapter")
            self.recipe["adapter"] = receipts.read(self.inputs["adapter"]).digest
        self.write_regions(shapes)
        for role, n, response in (("harmful", 5, None), ("over_refusal", 4, None), ("texts", 3, "fine words")):
            self.inputs[f"{role}/{role}"] = folder / f"{role}.jsonl"
            self.recipe[role] = [[role, write_prompts(folder / f"{role}.jsonl", n, response)]]

    def save_with_adapter(self, adapter):
        torch.manual_seed(2)
        shapes = {
            f"{n}_{f}": s
            for n, m in named_linears(self.loaded.model).items()
            for f, s in zip("ab", ((2, m.in_features), (m.out_features, 2)), strict=True)
        }
        own = copy.deepcopy(self.loaded.model)
        peft_model = with_lora(own, 2, 4.0)
        for name, weight in peft_model.named_parameters():
            if "lora_" in name:
                weight.data.normal_(0, 0.3)
        parameters = {
            n.split("layers.")[1]: w.detach().clone() for n, w in peft_model.named_parameters() if "lora_" in n
        }
        self.factors = {}
        for name in named_linears(self.loaded.model):
            layer, kind = name.split(".")
            found = {
                n.split("lora_")[1][0]: w
                for n, w in parameters.items()
                if n.startswith(f"{layer}.") and f".{kind}_proj." in n
            }
            self.factors[name] = found["A"], found["B"]
        (self.folder / "adapter").mkdir()
        save_lora(peft_model, self.folder / "model" if adapter == "merged" else self.folder / "adapter")
        receipts.write(self.folder / "adapter", {"kind": "adapter"}, {})
        merged = peft_model.merge_and_unload()
        save(merged if adapter == "merged" else self.loaded.model, self.loaded.tokenizer, self.folder / "model")
        return shapes

    def write_regions(self, shapes):
        masks = random_masks(shapes, 0.3, seed=3)
        if self.granularity == "layer":
            masks = {"0.layer": np.array([[True]]), "1.layer": np.array([[False]])}
        self.masks, self.utility = (
            masks,
            {n: m & (np.arange(m.size).reshape(m.shape) % 2 > 0) for n, m in masks.items()},
        )
        harmless = random_masks(shapes, 0.4, seed=4)
        if self.granularity == "layer":
            harmless = {"0.layer": np.array([[False]]), "1.layer": np.array([[True]])}
        levels = {
            "a": lambda n, s: twice(masks[n], 4),
            "b": lambda n, s: 2 * self.utility[n].astype(np.uint8),
            "u": lambda n, s: 2 * self.utility[n].astype(np.uint8),
            "h": lambda n, s: twice(harmless[n], 3),
        }
        digests = {}
        for name, of in levels.items():
            self.inputs[f"region/{name}"] = self.folder / f"{name}.region"
            digests[name] = write_levels(self.folder / f"{name}.region", shapes, self.granularity, of)
        path = self.inputs.pop("region/h")
        self.inputs |= {"harmless/a": path, "harmless/b": path}
        self.recipe |= {
            "safety": [["a", digests["a"]], ["b", digests["b"]]],
            "utility": [["u", digests["u"]]],
            "harmless": [["a", digests["h"]], ["b", digests["h"]]],
        }

    def entry(self, output, inputs):
        return Entry.parse(
            str(self.folder / output), self.recipe, {role: str(path) for role, path in inputs.items()}, EvaluateRecipe
        )

    def run(self, output="out", known=None):
        evaluate_regions(self.entry(output, self.inputs), "cpu", known)
        return pd.read_csv(self.folder / output / "evaluate.csv")
