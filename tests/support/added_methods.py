"""The methods of docs/add-a-method.md in a copy of the code that has them: planned, costed, and run from pairs to
overlap, comparison and evaluation on a small random model. Run in an empty folder, with the copy's root as argument.
"""

import json
import sys
from pathlib import Path

import pandas as pd
import test_meanabs
from golden_artifacts import some_rows, write_model, write_rows
from safetensors.numpy import load_file

import safety_regions
from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import Artifact
from safety_regions.cluster.cost import bytes_of
from safety_regions.cluster.duration import CPU
from safety_regions.cluster.memory import need_of
from safety_regions.config.load import load_registries, load_run
from safety_regions.config.run import Machine
from safety_regions.config.variants import Variant
from safety_regions.planning.make import make_plan
from safety_regions.planning.model_size import size_from_count
from safety_regions.planning.plan import Plan
from safety_regions.regions.format import open_region, read_levels
from safety_regions.steps import across, evaluate, overlap
from safety_regions.steps.entry import Entry
from safety_regions.steps.measure import measure
from safety_regions.steps.select_region import select_region

COPY = Path(sys.argv[1]).resolve()
CONTROLS = ["random", "magnitude", "perplexity", "utility"]
METHODS = ("meanabs", "contrast")
SETS = ("syn_build", "syn_steal", "syn_chores", "syn_sums")


def planned() -> Plan:
    """A run of the two methods alone."""
    run = load_run(
        {
            "methods": dict.fromkeys(["snip", "wanda", "safeneuron", "safelayer", "nlsr"])
            | {"meanabs": {"exponent": 2.0}, "contrast": {}},
            "models": ["tiny-llama"],
            "registry": {of: [str(COPY / f"config/{of}.yaml")] for of in ("datasets", "models")},
            "datasets": {"safety": list(SETS[:2]), "utility": list(SETS[2:])},
            "thresholds": {"grid": [0.1, 0.3], "q": 0.3, "p": 0.1},
            "replicates": {"methods": list(METHODS)},
            "evaluate": {"controls": CONTROLS, "n_random": 1, "max_new_tokens": 3},
        }
    )
    return make_plan(run, load_registries(run))


def check_costs(plan: Plan) -> None:
    """Both are estimated; `contrast` reads its own prompts too."""
    size = size_from_count(10**8, "float32")
    for name in METHODS:
        kept = plan.statistics["tiny-llama", name][Variant("syn_build")]
        assert need_of("measure", size, [kept], batch_tokens=64, device=CPU).seconds > 0
        assert bytes_of(kept, size) > 0
    assert "contrast" in kept.inputs
    assert bytes_of(kept, size) == 16 * size.layers * size.intermediate


class Files:
    """The artifacts of a plan as files of this folder; made-up prompts and a model stand for what they rest on."""

    def __init__(self) -> None:
        Path("in").mkdir()
        model, _, self.loaded = write_model()
        self.paths: dict[str, Path] = {"model": model}

    def entry(self, made: Artifact) -> Entry:
        """Of an artifact whose inputs are all in place; digests in its recipe are those of the inputs here."""
        digests = {a.digest: receipts.read(self.path_of(a)).digest for a in made.inputs.values()}
        text = json.dumps(made.recipe.as_json())
        for planned, here in digests.items():
            text = text.replace(planned, here)
        inputs = {role: str(self.path_of(a)) for role, a in made.inputs.items()}
        return Entry.parse(str(Path("out") / made.path), json.loads(text), inputs, type(made.recipe))

    def path_of(self, made: Artifact) -> Path:
        if made.kind == "model":
            return self.paths["model"]
        if made.kind in ("pairs", "prompts"):
            return self._rows(made)
        return Path("out") / made.path

    def _rows(self, made: Artifact) -> Path:
        if made.key not in self.paths:
            rows = some_rows(made.stem.split("/")[-1], 4, "I can help: first, look.")
            rows = [row | {"finished": True, "refused": False, "degenerate": False, "foreign": False} for row in rows]
            self.paths[made.key], _ = write_rows(f"{made.stem.replace('/', '-')}.{made.key}", rows)
        return self.paths[made.key]


def check_region(path: Path, statistics: Path, name: str) -> None:
    receipt = receipts.read(path)
    assert f"methods.{name}" in receipt.code, list(receipt.code)
    with open_region(path) as region:
        if name == "meanabs":
            assert len(region.names) == 14 and receipt.facts["n_in_fraction"]["0.3"] > 0
            return
        assert region.names == ["0.ffn", "1.ffn"]
        means = load_file(statistics)
        for own in region.names:
            less_active = means[own][0] <= means[own][1]
            assert less_active.any() and not read_levels(region, own)[0][less_active].any()


def main() -> None:
    assert Path(safety_regions.__file__).is_relative_to(COPY), safety_regions.__file__
    test_meanabs.test_first_layer_by_the_letter()
    plan = planned()
    check_costs(plan)
    files = Files()
    Entry.model = lambda entry, device, **how: files.loaded
    for name in METHODS:
        for set_ in SETS:
            region = plan.regions["tiny-llama", name][set_]
            kept = region.inputs["statistics"]
            measure([files.entry(kept)], Machine())
            select_region(files.entry(region))
            check_region(files.path_of(region), files.path_of(kept), name)
    for kind, make in (("overlap", overlap.overlap), ("across", across.across)):
        for made in (a for a in plan.made.values() if a.kind == kind):
            make(files.entry(made))
    pairs = pd.read_parquet(files.path_of(plan.overlaps["tiny-llama", "contrast"]) / "pairs.parquet")
    assert set(pairs["unit"]) == {"all", "ffn", "0", "1"}
    (table,) = [a for a in plan.made.values() if a.kind == "across"]
    rows = pd.read_csv(files.path_of(table) / "across.csv")
    # A neuron owns three rows or columns of the model's width; what other matrices hold is no part of it.
    size = files.loaded.model.config
    assert (rows["granularity_a"] == "neuron").all() and (rows["size_a"] % (3 * size.hidden_size) == 0).all()
    for made in (a for a in plan.made.values() if a.kind == "evaluate"):
        evaluate.evaluate_regions(files.entry(made), "cpu")
        found = pd.read_csv(files.path_of(made) / "evaluate.csv")
        assert set(found["condition"]) == {"intact", "raw", "refined", *CONTROLS}


main()
