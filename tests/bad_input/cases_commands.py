"""Command lines: jobs, recipes, ids and numbers."""

import json
import shutil
from pathlib import Path

import torch
from case import ROOT, Deed, bad, command, script
from cases_models import loading
from safetensors.torch import save_file

from safety_regions.artifacts import receipts
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.files import write_jsonl


def job(name: str, recipe: dict, inputs: dict | None = None, *options: str) -> None:
    """A job of one entry."""
    entries = [{"path": "made.safetensors", "recipe": recipe, "inputs": inputs or {}}]
    script(name, "--job", json.dumps({"entries": entries}), "--manifest", "manifest.json", *options)


def on_a_model(recipe: dict, name: str = "measure", **row) -> Deed:
    """A job on a model of random weights and one pair of prompt and response."""
    loading(lambda folder: None)()
    pair = {"id": "hay-000000", "prompt": "hay", "response": "straw", "finished": True, "refused": False} | row
    write_jsonl("pairs.jsonl", [pair])
    pairs = receipts.write("pairs.jsonl", {"kind": "pairs"}, {"n_samples": 1})
    save_file({"0.q": torch.ones(32)}, "kept.safetensors")
    kept = receipts.write("kept.safetensors", {"kind": "statistics"}, {})
    digests = {"model": receipts.read("out").digest, "pairs": pairs.digest}
    if recipe.get("kind") == "region":
        digests |= {"statistics": kept.digest, "selection": VERSIONS["selection"]}
    whole = {"kind": "statistics", "method": "wanda", "version": CATALOGUE["wanda"].version, "options": {}} | digests
    inputs = {"model": "out", "pairs": "pairs.jsonl", "statistics": "kept.safetensors"}
    return lambda: job(name, whole | recipe, inputs)


JOB = {"kind": "statistics", "method": "snip", "version": CATALOGUE["snip"].version}


@bad("commands", "a job that is cut off", says="not a job: JSONDecodeError(...", names="--job")
def cut_job():
    return lambda: script("measure", "--job", '{"entr', "--manifest", "manifest.json")


@bad("commands", "an unknown method", says="no method 'snipp'", names="did you mean 'snip'?")
def method():
    return lambda: job("select_regions", JOB | {"kind": "region", "method": "snipp"})


@bad("commands", "a method of another version", says="version 99 of snip", names="made.safetensors")
def version():
    return lambda: job("select_regions", JOB | {"kind": "region", "version": 99})


for _script, _recipe, _says in [
    ("measure", JOB, "no 'model' in the recipe"),
    ("overlap", {"kind": "overlap", "version": VERSIONS["overlap"]}, "no 'safety' in the recipe"),
    ("draw_figures", {"kind": "figures", "version": VERSIONS["figures"]}, "no 'style' in the recipe"),
    ("respond", {"kind": "pairs", "version": VERSIONS["pairs"]}, "no 'prompts' in the recipe"),
    ("select_regions", JOB | {"kind": "region"}, "no 'model' in the recipe"),
]:

    @bad("commands", f"a job of {_script} without what it needs", says=_says, names="made.safetensors")
    def lacking(name=_script, recipe=_recipe):
        return lambda: job(name, recipe)


for _script, _kind, _says, _options in [
    ("sample_prompts", "prompts", "no 'dataset' in the recipe", ["--rows", "x"]),
    ("prompt_overlap", "prompt_overlap", "no 'prompts' in the recipe", ["--prompts", "a=x"]),
    ("fetch_dataset", "dataset", "no 'dataset' in the recipe", ["--licence", "L", "--citation", "C"]),
    ("prepare_model", "model", "no 'model' in the recipe", []),
    ("train_adapter", "adapter", "no 'model' in the recipe", ["--model", "x"]),
]:

    @bad("commands", f"a recipe of {_script} without what it needs", says=_says, names="--recipe")
    def without(name=_script, kind=_kind, options=_options):
        recipe = json.dumps({"kind": kind, "version": VERSIONS[kind]})
        return lambda: script(name, "--recipe", recipe, *options, "--output", "made")


@bad(
    "commands",
    "a profile that is a list",
    says="no mapping of keys to values, or none under `config`",
    names="nowhere/config.yaml",
)
def listed_profile():
    Path("nowhere").mkdir()
    Path("nowhere/config.yaml").write_text("- a")
    return lambda: command("estimate", "--profile", "nowhere")


@bad("commands", "a recipe of another kind", says="a recipe of {'kind': 'model', 'version': 1}", names="--recipe")
def other_kind():
    return lambda: script(
        "sample_prompts", "--recipe", '{"kind": "model", "version": 1}', "--rows", "x", "--output", "made"
    )


for _grid in ([], [0.0], [1.5], [0.2, 0.1], [0.1, 0.1], [i / 40 for i in range(1, 17)]):

    @bad(
        "thresholds",
        f"a job with the grid {_grid if len(_grid) < 15 else 'of 16 fractions'}",
        says=f"grid {_grid}",
        names="made.safetensors",
    )
    def grid(grid=_grid):
        return on_a_model({"kind": "region", "grid": grid, "scope": "matrix"}, "select_regions")


@bad(
    "thresholds",
    "a job with a grid of texts",
    says="grid.0: Input should be a valid number",
    names="made.safetensors",
)
def texts():
    return on_a_model({"kind": "region", "grid": ["0.1"], "scope": "matrix"}, "select_regions")


@bad("thresholds", "a job with an unknown scope", says="scope 'cell'", names="made.safetensors")
def scope():
    return on_a_model({"kind": "region", "grid": [0.1], "scope": "cell"}, "select_regions")


@bad(
    "data files",
    "a response without a single token",
    says="1 of 1 responses without a single token: hay-000000",
    names="pairs.jsonl",
)
def empty_response():
    return on_a_model({}, response="", finished=False)


@bad("data files", "a pair longer than the model's positions", says="323 tokens", names="pairs.jsonl, row hay-000000")
def long_pair():
    return on_a_model({}, prompt="hay" * 100)


@bad("models", "a job on a model of another recipe", says="made by recipe <digits>", names="out")
def other_model():
    return on_a_model({"model": "0" * 64})


@bad("models", "a job on a GPU that is not there", says="no GPU is visible to torch", names="machine.device: cuda")
def no_gpu():
    from safety_regions.models.load import pick_device

    def deed():
        seen, torch.cuda.is_available = torch.cuda.is_available, lambda: False
        try:
            pick_device("cuda")
        finally:
            torch.cuda.is_available = seen

    return deed


def running(*words: str) -> Deed:
    """A command where the project's configurations are."""
    shutil.copytree(ROOT / "config", "config")
    return lambda: command(*words)


for _what, _words, _says, _names in [
    (
        "a negative number of tokens",
        ["--batch-tokens", "-1"],
        "argument --batch-tokens: '-1' is no number of tokens: expected a whole number from 1 on",
        "usage",
    ),
    (
        "words where a number belongs",
        ["--batch-tokens", "many"],
        "argument --batch-tokens: 'many' is no number of tokens: expected a whole number from 1 on",
        "usage",
    ),
    ("an unknown device", ["--device", "tpu"], "argument --device: invalid choice: 'tpu' ...", "usage"),
]:

    @bad("commands", _what, says=_says, names=_names)
    def option(words=_words):
        return lambda: script("measure", "--job", '{"entries": []}', "--manifest", "manifest.json", *words)


for _what, _words, _says, _names in [
    (
        "a negative size",
        ["estimate", "--gpu-memory-gb", "-5"],
        "argument --gpu-memory-gb: '-5' is no size: expected a number of GB from 0 on",
        "usage",
    ),
    (
        "a size that is NaN",
        ["estimate", "--gpu-memory-gb", "nan"],
        "argument --gpu-memory-gb: 'nan' is no size: expected a number of GB from 0 on",
        "usage",
    ),
    ("a profile that is not there", ["estimate", "--profile", "nowhere"], "no profile", "nowhere"),
    ("an override without a value", ["status", "--config", "thresholds"], "Invalid config definition: ...", "--config"),
    (
        "an override that is not allowed",
        ["status", "--config", "datasets={n_samples: -3}"],
        "datasets.n_samples: found the number -3",
        "--config",
    ),
    ("an artifact that no plan has", ["recompute", "0123456789ab"], "no artifact of this run's plan", "0123456789ab"),
    ("an artifact that was never published", ["pull", "results/x"], "nothing published", "results/x"),
    (
        "a file that nothing is known of",
        ["provenance", "nowhere.csv"],
        "no such file, and no receipt of one",
        "nowhere.csv",
    ),
    (
        "to prune for ever without a word to delete",
        ["prune", "--unpublished"],
        "--unpublished without --delete",
        "expected",
    ),
    (
        "to keep what a missing file refers to",
        ["prune", "--keep", "nowhere.yaml"],
        "nothing is pruned: nowhere.yaml has no plan, so what it refers to is unknown",
        "nowhere.yaml",
    ),
]:
    bad("commands", _what, says=_says, names=_names)(lambda words=_words: running(*words))
