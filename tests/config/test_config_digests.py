"""Whatever a configuration or a registry says moves the digest of what it decides, or the reason why not stands here.

Two settings under one digest would be two results under one name: the second run would find the first one's files.
The keys are read off the schema, so a new one without a line here fails.
"""

from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any, Literal, get_args, get_origin

import pytest
from pipeline import ROOT

from safety_regions.config.base import Section
from safety_regions.config.datasets import DatasetSpec, Source
from safety_regions.config.load import load_registries
from safety_regions.config.models import ModelSource, ModelSpec
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.planning.make import make_plan

KINDS = (
    "dataset",
    "prompts",
    "prompt_overlap",
    "model",
    "adapter",
    "pairs",
    "statistics",
    "region",
    "refined",
    "overlap",
    "replicates",
    "across",
    "evaluate",
    "constrain",
    "figures",
    "layer_curves",
    "report",
)
"""In the order in which they are made from each other; `alignment` takes two models and is tested in
tests/overlap/test_before_and_after.py."""

BASE = {
    "models": ["tiny-llama"],
    "datasets": {
        "safety": ["syn_build", "syn_steal", "syn_trick"],
        "utility": ["syn_chores", "syn_sums"],
        "n_samples": 8,
        "deduplicate": "across",
    },
    "methods": {
        "safelayer": {"normal": "syn_chores", "over_rejection": ["syn_chores"]},
        "safeneuron": {"select": "agreement"},
        "nlsr": {"adapter": {"harmful": ["syn_build"], "harmless": ["syn_chores"], "offset": 40}},
    },
    "replicates": {"methods": ["wanda", "snip"]},
    "controls": {"safety": ["syn_build", "syn_steal"], "harmless": "syn_chores", "methods": ["wanda"]},
    "evaluate": {
        "sets": ["syn_build"],
        "harmful": ["syn_build"],
        "over_refusal": ["syn_chores"],
        "texts": ["syn_chores"],
        "offset": 8,
        "harmless": "syn_sums",
    },
    "constrain": {
        "methods": ["snip"],
        "sets": ["syn_build"],
        "stages": ["refined"],
        "benign": ["syn_chores"],
        "harmful": ["syn_build"],
        "over_refusal": ["syn_chores"],
        "offset": 8,
        "tuning": "lora",
        "losses": [0.9],
    },
}
"""A run in which every section is present, and every key has a say."""


@dataclass(frozen=True)
class Rule:
    """What a key moves."""

    first: str
    """The kind of artifact that it enters: it and nothing made before it moves. Empty: nothing does."""
    values: tuple = ()
    """Other values than that of the base; those of a choice or a switch are found by themselves."""
    why: str = ""
    """Why no result moves, where none does."""
    given: dict = field(default_factory=dict)
    """What else must be said for the key to have a say."""


def null(first: str) -> Rule:
    """Of a section that may be left out: what its absence moves."""
    return Rule(first, (None,))


SAYS_NOTHING_OF_RESULTS = "how jobs use a machine, and not what they make"
TWO_MODELS: dict = {"models": ["tiny-llama", "tiny-qwen2"]}
EVERY_METHOD: dict = {name: {"methods": None} for name in ("replicates", "controls", "constrain")}
JUDGES: dict = {"registry": {"models": ["config/models.yaml", "tests/support/judges.yaml"]}}
ROWS = "prompt\na\n"
"""The bytes of a local dataset."""
ONLY_A_VERDICT = "a line that the report draws through numbers that are there"
RULES = {
    "name": Rule("report", ("other",), "names the report's folder"),
    "goal": Rule("prompts"),
    "registry.datasets": Rule("", (["config/datasets.yaml"] * 2,), "the entries count, not where they are written"),
    "registry.models": Rule("", (["config/models.yaml"] * 2,), "the entries count, not where they are written"),
    "models": Rule("model", (["tiny-qwen2"], ["tiny-llama", "tiny-qwen2"])),
    "datasets.safety": Rule("dataset", (["syn_build", "syn_steal"], ["syn_build", "syn_steal", "syn_enter"])),
    "datasets.utility": Rule("prompts", (["syn_sums", "syn_chores"],)),
    "datasets.n_samples": Rule("prompts", (9,)),
    "datasets.seed": Rule("prompts", (1,)),
    "datasets.offset": Rule("prompts", (1,)),
    "datasets.deduplicate": Rule("prompts"),
    "datasets.near_duplicate": Rule("prompts", (0.7,)),
    "responses.policy": Rule("pairs"),
    "responses.template": Rule("pairs", ("Never.",), given={"responses": {"policy": "template"}}),
    "responses.max_new_tokens": Rule("pairs", (25,)),
    "responses.end_of_turn": Rule("statistics"),
    "methods.snip": Rule("region", (None,), given=EVERY_METHOD),
    "methods.wanda": Rule("statistics", (None,), given=EVERY_METHOD),
    "methods.safeneuron": null("statistics"),
    "methods.safeneuron.tokens": Rule("statistics"),
    "methods.safeneuron.ffn": Rule("statistics"),
    "methods.safeneuron.qk": Rule("statistics"),
    "methods.safeneuron.scale_delta": Rule("statistics"),
    "methods.safeneuron.shared_heads": Rule("statistics"),
    "methods.safeneuron.select": Rule("region"),
    "methods.safeneuron.agreement": Rule("region", (0.5,)),
    "methods.safelayer": null("prompts"),
    "methods.safelayer.normal": Rule("prompts", ("syn_sums",)),
    "methods.safelayer.over_rejection": Rule("prompts", (["syn_sums"], ["syn_chores", "syn_sums"])),
    "methods.safelayer.n_over_rejection": Rule("prompts", (13,)),
    "methods.safelayer.n_permutations": Rule("statistics", (499,)),
    "methods.safelayer.seed": Rule("statistics", (1,)),
    "methods.safelayer.max_new_tokens": Rule("statistics", (9,)),
    "methods.safelayer.alpha_step": Rule("statistics", (0.2,)),
    "methods.safelayer.alpha_steps": Rule("statistics", (5,)),
    "methods.safelayer.least_spread": Rule("statistics", (0.03,)),
    "methods.safelayer.scale_o_proj": Rule("statistics"),
    "methods.nlsr": null("adapter"),
    "methods.nlsr.kept_ranks": Rule("region", (0.5,)),
    "methods.nlsr.adapter.harmful": Rule("adapter", (["syn_steal"], ["syn_build", "syn_steal"])),
    "methods.nlsr.adapter.harmless": Rule("adapter", (["syn_sums"],)),
    "methods.nlsr.adapter.n_samples": Rule("adapter", (65,)),
    "methods.nlsr.adapter.offset": Rule("adapter", (41, None)),
    "methods.nlsr.adapter.n_held_out": Rule("adapter", (9,)),
    "methods.nlsr.adapter.rank": Rule("adapter", (4,)),
    "methods.nlsr.adapter.alpha": Rule("adapter", (8.0,)),
    "methods.nlsr.adapter.learning_rate": Rule("adapter", (0.01,)),
    "methods.nlsr.adapter.steps": Rule("adapter", (31,)),
    "methods.nlsr.adapter.batch_size": Rule("adapter", (4,)),
    "methods.nlsr.adapter.seed": Rule("adapter", (1,)),
    "methods.ssah": Rule("statistics", ({},)),
    "methods.ssah.tokens": Rule("statistics", given={"methods": {"ssah": {}}}),
    "methods.direction": Rule("prompts", ({"harmless": "syn_sums"},)),
    "methods.direction.harmless": Rule(
        "prompts", ("syn_sums",), given={"methods": {"direction": {"harmless": "syn_chores"}}}
    ),
    "thresholds.grid": Rule("region", ([0.001, 0.05], [0.05, 0.5])),
    "thresholds.scope": Rule("region"),
    "thresholds.q": Rule("across", (0.01,)),
    "thresholds.p": Rule("overlap", (0.01,)),
    "overlap.n_orders": Rule("overlap", (21,)),
    "overlap.seed": Rule("overlap", (1,)),
    "replicates": null("prompts"),
    "replicates.splits": Rule("statistics", (0, 2)),
    "replicates.sizes": Rule("statistics", ([4], [2, 4])),
    "replicates.methods": Rule("statistics", (["snip"], ["safelayer"], None)),
    "replicates.seeds": Rule("prompts", (0, 2)),
    "controls": null("pairs"),
    "controls.safety": Rule("pairs", (["syn_build", "syn_trick"],)),
    "controls.harmless": Rule("pairs", ("syn_sums",)),
    "controls.methods": Rule("statistics", (["snip"], ["safelayer"], None)),
    "controls.templates": Rule("pairs", (["No.", "Never."], ["Yes.", "No.", "Never."])),
    "evaluate": null("prompts"),
    "evaluate.models": Rule("pairs", (["tiny-llama"],), given=TWO_MODELS),
    "evaluate.methods": Rule("statistics", (["snip"], ["safelayer"])),
    "evaluate.sets": Rule("prompts", (["syn_steal"], ["syn_build", "syn_steal"])),
    "evaluate.doses": Rule("evaluate", ([0.01], [0.01, 0.02])),
    "evaluate.harmful": Rule("prompts", (["syn_steal"],)),
    "evaluate.over_refusal": Rule("prompts", (["syn_sums"],)),
    "evaluate.texts": Rule("prompts", (["syn_sums"],)),
    "evaluate.n_prompts": Rule("prompts", (17,)),
    "evaluate.offset": Rule("prompts", (9,)),
    "evaluate.seed": Rule("prompts", (1,)),
    "evaluate.max_new_tokens": Rule("evaluate", (17,)),
    "evaluate.replace": Rule("evaluate"),
    "evaluate.controls": Rule("evaluate", (["random", "harmless"],)),
    "evaluate.n_random": Rule("evaluate", (3,)),
    "evaluate.n_matched": Rule("evaluate", (2,)),
    "evaluate.harmless": Rule("pairs", ("syn_chores",)),
    "constrain": null("prompts"),
    "constrain.models": Rule("constrain", (["tiny-llama"],), given=TWO_MODELS),
    "constrain.methods": Rule("constrain", (["wanda"], ["snip", "safelayer"])),
    "constrain.sets": Rule("prompts", (["syn_steal"], ["syn_build", "syn_steal"], None)),
    "constrain.agree": Rule("constrain", (0.6,)),
    "constrain.stages": Rule("constrain", (["raw"], ["raw", "refined"])),
    "constrain.frozen": Rule("constrain", (["region"], ["region", "magnitude"], ["only"], ["only_random"])),
    "constrain.only_at": Rule("constrain", ([0.01], [0.01, 0.2]), given={"constrain": {"frozen": ["only"]}}),
    "constrain.rewound": Rule("constrain", (["region"], ["region", "harmless"], [])),
    "constrain.benign": Rule("prompts", (["syn_sums"],)),
    "constrain.n_samples": Rule("prompts", (33,)),
    "constrain.n_held_out": Rule("prompts", (9,)),
    "constrain.harmful": Rule("prompts", (["syn_steal"],)),
    "constrain.over_refusal": Rule("prompts", (["syn_sums"],)),
    "constrain.n_prompts": Rule("prompts", (3,)),
    "constrain.offset": Rule("prompts", (9,)),
    "constrain.tuning": Rule("constrain"),
    "constrain.precision": Rule("constrain"),
    "constrain.rank": Rule("constrain", (4,)),
    "constrain.alpha": Rule("constrain", (8.0,)),
    "constrain.learning_rates": Rule("constrain", ([0.002], [0.004, 0.01, 0.02])),
    "constrain.steps": Rule("constrain", ([14], [10, 15])),
    "constrain.losses": Rule("constrain", ([0.8], [])),
    "constrain.every": Rule("constrain", (4,)),
    "constrain.batch_size": Rule("constrain", (4,)),
    "constrain.weight_decay": Rule("constrain", (0.1,)),
    "constrain.seeds": Rule("constrain", (3,)),
    "constrain.max_new_tokens": Rule("constrain", (17,)),
    "judge": Rule("model", ({"model": "judge-a"}, {"model": "judge-b"}), given=JUDGES),
    "judge.model": Rule("model", ("judge-b",), given=JUDGES | {"judge": {"model": "judge-a"}}),
    "claims.confidence": Rule("report", (0.9,), ONLY_A_VERDICT),
    "claims.margin": Rule("report", (0.03,), ONLY_A_VERDICT),
    "claims.low": Rule("report", (0.2,), ONLY_A_VERDICT),
    "claims.moderate": Rule("report", (0.7,), ONLY_A_VERDICT),
    "claims.drop": Rule("report", (0.3,), ONLY_A_VERDICT),
    "claims.same": Rule("report", (0.8,), ONLY_A_VERDICT),
    "claims.common": Rule("report", (0.2,), ONLY_A_VERDICT),
    "claims.refuses": Rule("report", (0.6,), ONLY_A_VERDICT),
    "claims.fall": Rule("report", (0.2,), ONLY_A_VERDICT),
    "claims.kept": Rule("report", (0.2,), ONLY_A_VERDICT),
    "claims.least_kept": Rule("report", (0.2,), ONLY_A_VERDICT),
    "claims.most_kept": Rule("report", (0.8,), ONLY_A_VERDICT),
    "claims.learned": Rule("report", (0.1,), ONLY_A_VERDICT),
    "claims.moves": Rule("report", (1.5,), ONLY_A_VERDICT),
    "claims.broken": Rule("report", (20.0,), ONLY_A_VERDICT),
    "machine.device": Rule("", why=SAYS_NOTHING_OF_RESULTS),
    "machine.batch_tokens": Rule("", (64,), "rounding alone (docs/determinism.md)"),
    "machine.layers": Rule("", why=SAYS_NOTHING_OF_RESULTS),
    "machine.datasets_per_job": Rule("", (1,), SAYS_NOTHING_OF_RESULTS),
    "machine.tables_per_job": Rule("", (1,), SAYS_NOTHING_OF_RESULTS),
    "machine.trainings_per_job": Rule("", (1,), SAYS_NOTHING_OF_RESULTS),
    "machine.gpu_memory_gb": Rule("", (80.0,), SAYS_NOTHING_OF_RESULTS),
    "machine.gpus_per_node": Rule("", (8,), SAYS_NOTHING_OF_RESULTS),
    "machine.warm": Rule("", why=SAYS_NOTHING_OF_RESULTS),
    "machine.recompute_published": Rule("", why=SAYS_NOTHING_OF_RESULTS),
}
EXACTLY = {
    "thresholds.q": {"across", "evaluate", "constrain", "figures", "layer_curves", "report"},
    "thresholds.p": {"overlap", "replicates", "across", "evaluate", "constrain", "figures", "layer_curves", "report"},
    "overlap.seed": {"overlap", "figures", "report"},
    "evaluate.replace": {"evaluate", "report"},
    "evaluate.max_new_tokens": {"evaluate", "report"},
    "evaluate.doses": {"evaluate", "report"},
    "evaluate.n_random": {"evaluate", "report"},
    "evaluate.n_matched": {"evaluate", "report"},
    "evaluate.harmless": {"pairs", "statistics", "region", "evaluate", "report"},
    "evaluate.seed": {"prompts", "evaluate", "report"},
    "constrain.steps": {"constrain", "report"},
    "constrain.seeds": {"constrain", "report"},
    "judge": {"model", "evaluate", "constrain", "report"},
    "replicates.splits": {"statistics", "region", "replicates", "report"},
    "replicates.sizes": {"statistics", "region", "replicates", "report"},
    "replicates.seeds": {"prompts", "pairs", "statistics", "region", "replicates", "report"},
    "controls.templates": {"pairs", "statistics", "region", "replicates", "report"},
    "methods.nlsr.kept_ranks": {"region", "overlap", "evaluate", "figures", "report"},
    "methods.safeneuron.agreement": {"region", "overlap", "across", "evaluate", "figures", "report"},
    "claims.margin": {"report"},
    "name": {"report"},
}
"""All that some of them move: what costs hours is not made again for a number that it does not know."""

ONLY_WANDA = dict.fromkeys(("snip", "safeneuron", "safelayer", "nlsr"))
ABOUT = {"licence": "a", "citation": "b"}
DATASETS = {
    "hub": {"kind": "hub", "id": "a/b", "revision": "0" * 40, "config": "c", "data_dir": "d", "split": "train"},
    "url": {"kind": "url", "url": "https://a.example/b", "sha256": "0" * 64, "format": "csv"},
    "local": {"kind": "local", "path": "rows.csv", "format": "csv"},
    "synthetic": {"kind": "synthetic", "name": "syn_steal"},
}
"""A source of each kind, with all it may say."""
DATASET_RULES = {
    "prompt": Rule("dataset", ("other", ["prompt", "other"])),
    "response": Rule("dataset", ("other", None)),
    "keep": Rule("dataset", ({"a": ["x"]}, {"a": ["y"]}, {"b": ["x"]})),
    "drop": Rule("dataset", ({"a": ["x"]},)),
    "drop_words": Rule("dataset", (["word"],)),
    "extract": Rule("dataset"),
    "rows": Rule("dataset", (1000,)),
    "title": Rule("figures", ("Mine",)),
    "licence": Rule("report", ("other",), "what a set may be used for changes no row"),
    "citation": Rule("report", ("other",), "who made a set changes no row"),
    "source.hub.id": Rule("dataset", ("a/c",)),
    "source.hub.revision": Rule("dataset", ("1" * 40,)),
    "source.hub.config": Rule("dataset", ("other", None)),
    "source.hub.data_dir": Rule("dataset", ("other", None)),
    "source.hub.split": Rule("dataset", ("test",)),
    "source.url.url": Rule("dataset", ("https://a.example/c",)),
    "source.url.sha256": Rule("dataset", ("1" * 64,)),
    "source.url.format": Rule("dataset"),
    "source.url.delimiter": Rule("dataset", ("\t",)),
    "source.local.path": Rule("", ("same.csv",), "its bytes count, not where they lie"),
    "source.local.sha256": Rule("", (sha256(ROWS.encode()).hexdigest(),), "the file has it anyway"),
    "source.local.format": Rule("dataset"),
    "source.local.delimiter": Rule("dataset", (";",)),
    "source.synthetic.name": Rule("dataset", ("syn_trick",)),
}
PART = {"package": "p", "version": "1", "file": "f"}
MODELS = {
    "hub": {"kind": "hub", "id": "a/b", "revision": "0" * 40},
    "gguf": {"kind": "gguf", "id": "a/b", "revision": "0" * 40, "file": "b.gguf", "sha256": "0" * 64},
    "local": {"kind": "local", "path": "model", "sha256": "0" * 64},
    "package": {"kind": "package", "parts": [PART], "sha256": "0" * 64},
    "tiny": {"kind": "tiny", "family": "llama"},
    "aligned": {"kind": "aligned", "base": "tiny-llama", "harmful": ["syn_build"], "harmless": ["syn_chores"]},
    "classifier": {
        "kind": "classifier",
        "id": "a/b",
        "revision": "0" * 40,
        "sha256": "0" * 64,
        "labels": {"no": "refuses", "yes": "answers"},
    },
}
SHAPE = dict.fromkeys(
    ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"), 64
) | {"model_type": "llama"}
MODEL_RULES = {
    "dtype": Rule("model"),
    "plain_template": Rule("model", ("a {prompt}", "b {prompt}")),
    "chat_template": Rule("model"),
    "before_alignment": Rule("", ("tiny-llama",), "a run that has that model too compares their regions"),
    "parameters": Rule("", (10,), "what jobs ask of a cluster before its config.json is there"),
    "shape": Rule("", (SHAPE,), "what jobs ask of a cluster before its config.json is there"),
    "title": Rule("figures", ("Mine",)),
    "licence": Rule("report", ("other",), "what a model may be used for changes no weight"),
    "citation": Rule("report", ("other",), "who made a model changes no weight"),
    "source.hub.id": Rule("model", ("a/c",)),
    "source.hub.revision": Rule("model", ("1" * 40,)),
    "source.gguf.id": Rule("model", ("a/c",)),
    "source.gguf.revision": Rule("model", ("1" * 40,)),
    "source.gguf.file": Rule("model", ("c.gguf",)),
    "source.gguf.sha256": Rule("model", ("1" * 64,)),
    "source.gguf.mirror": Rule("", ([PART],), "the same bytes, wherever they are taken from"),
    "source.local.path": Rule("", ("other",), "its digest counts, not where it lies"),
    "source.local.sha256": Rule("model", ("1" * 64,)),
    "source.classifier.id": Rule("model", ("a/c",)),
    "source.classifier.revision": Rule("model", ("1" * 40,)),
    "source.classifier.path": Rule("", ("other",), "its digest counts, not where it lies"),
    "source.classifier.sha256": Rule("model", ("1" * 64,)),
    "source.classifier.labels": Rule("model", ({"no": "answers", "yes": "refuses"},)),
    "source.classifier.reads": Rule("model"),
    "source.classifier.max_tokens": Rule("model", (64,)),
    "source.package.parts": Rule("model", ([PART, PART], *([PART | {key: "2"}] for key in PART))),
    "source.package.sha256": Rule("model", ("1" * 64,)),
    "source.tiny.family": Rule("model"),
    "source.tiny.hidden_size": Rule("model", (32,)),
    "source.tiny.layers": Rule("model", (5,)),
    "source.tiny.steps": Rule("model", (121,)),
    "source.tiny.seed": Rule("model", (1,)),
    "source.aligned.base": Rule("model", ("tiny-qwen2",)),
    "source.aligned.harmful": Rule("model", (["syn_steal"], ["syn_build", "syn_steal"])),
    "source.aligned.harmless": Rule("model", (["syn_sums"],)),
    "source.aligned.n_samples": Rule("model", (151,)),
    "source.aligned.offset": Rule("model", (1,)),
    "source.aligned.n_held_out": Rule("model", (33,)),
    "source.aligned.rank": Rule("model", (8,)),
    "source.aligned.alpha": Rule("model", (8.0,)),
    "source.aligned.learning_rate": Rule("model", (0.01,)),
    "source.aligned.steps": Rule("model", (81,)),
    "source.aligned.batch_size": Rule("model", (4,)),
    "source.aligned.seed": Rule("model", (1,)),
}


def sections(annotation: Any) -> list[type[Section]]:
    """The kinds of mappings that a key may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    # What a list holds is one value: its items are no keys of their own.
    inner = () if get_origin(annotation) in (list, dict) else get_args(annotation)
    return [found for argument in inner for found in sections(argument)]


def choices(annotation: Any) -> list:
    """The values of a choice or a switch."""
    if annotation is bool:
        return [False, True]
    return list(get_args(annotation)) if get_origin(annotation) is Literal else []


def leaves(section: type[Section], path: str = "") -> dict[str, Any]:
    """The type of every key by its path, the sections that may be null among them."""
    found: dict[str, Any] = {}
    for name, info in section.model_fields.items():
        inner = sections(info.annotation)
        if not inner or type(None) in get_args(info.annotation):
            found[path + name] = info.annotation
        for one in inner:
            found |= leaves(one, f"{path}{name}.")
    return found


def of_sources(section: type[Section], source: Any) -> dict[str, Any]:
    """The same of a registry's entry, whose source has keys by its kind."""
    own = {name: info.annotation for name, info in section.model_fields.items() if name != "source"}
    for one in sections(source):
        (kind,) = get_args(one.model_fields["kind"].annotation)
        keys = leaves(one, f"source.{kind}.")
        own |= {name: annotation for name, annotation in keys.items() if name != f"source.{kind}.kind"}
    return own


RUN_LEAVES = leaves(RunConfig)
DATASET_LEAVES = of_sources(DatasetSpec, Source)
MODEL_LEAVES = of_sources(ModelSpec, ModelSource)


@pytest.fixture(autouse=True)
def in_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def merged(below: dict, above: dict) -> dict:
    """Mappings are laid over each other, everything else as a whole."""
    both = {
        key: merged(below[key], above[key])
        for key in below.keys() & above.keys()
        if isinstance(above[key], dict) and isinstance(below[key], dict)
    }
    return below | above | both


def nested(path: str, value: object) -> dict:
    """{"a": {"b": value}} of the path a.b."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


@cache
def own_registries(datasets: tuple[str, ...], models: tuple[str, ...]) -> Registries:
    """The entries of the project's own files; to read them takes longer than to plan."""
    return load_registries(RunConfig.model_validate({"registry": {"datasets": [*datasets], "models": [*models]}}))


def digests(run: RunConfig, registries: Registries | None = None) -> dict[str, set[str]]:
    """The digests of each kind of artifact of a run."""
    plan = make_plan(run, registries or own_registries(tuple(run.registry.datasets), tuple(run.registry.models)))
    return {kind: {a.digest for a in plan.made.values() if a.kind == kind} for kind in KINDS}


def changed(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    return [kind for kind in KINDS if before[kind] != after[kind]]


def value_at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = getattr(data, key)
    return data


def test_every_kind_of_artifact_is_in_the_base():
    found = [digests(RunConfig.model_validate(BASE | {"goal": goal})) for goal in ("report", "refined")]
    assert all(any(of[kind] for of in found) for kind in KINDS)


@pytest.mark.parametrize(
    ("found", "rules"),
    [(RUN_LEAVES, RULES), (DATASET_LEAVES, DATASET_RULES), (MODEL_LEAVES, MODEL_RULES)],
    ids=["run", "datasets", "models"],
)
def test_every_key_has_a_rule_and_what_moves_no_result_has_a_reason(found, rules):
    assert set(found) == set(rules)
    assert all(rule.why for rule in rules.values() if rule.first in ("", "report"))
    assert all(not rule.why for rule in rules.values() if rule.first not in ("", "report"))


@pytest.mark.parametrize("leaf", RULES)
def test_a_key_of_a_run_moves_what_it_decides_and_nothing_before(leaf):
    rule = RULES[leaf]
    base = merged(BASE, rule.given)
    run = RunConfig.model_validate(base)
    values = [*rule.values, *(value for value in choices(RUN_LEAVES[leaf]) if value != value_at(run, leaf))]
    before, seen = digests(run), []
    assert values and value_at(run, leaf) not in values
    for value in values:
        after = digests(RunConfig.model_validate(merged(base, nested(leaf, value))))
        moved = changed(before, after)
        assert moved[:1] == [rule.first] * bool(rule.first), value
        assert not rule.first or moved[-1] == "report", value
        assert set(moved) == EXACTLY.get(leaf, set(moved)), value
        seen.append(after)
    # No two values mean the same.
    assert not rule.first or all(changed(a, b) for i, a in enumerate(seen) for b in seen[:i])


def entry_of(sources: dict, leaf: str) -> list[dict]:
    """The entries in which a key may stand, by the source that they have."""
    _, *kind = leaf.split(".")
    return [{"source": of, **ABOUT} for name, of in sources.items() if not kind or name == kind[0]]


def with_value(entry: dict, leaf: str, value: object) -> dict:
    key = leaf.split(".")[-1]
    return entry | ({"source": entry["source"] | {key: value}} if "." in leaf else {key: value})


def digests_with(kind: str, entry: dict) -> dict[str, set[str]]:
    """Of a run with this entry of a registry, beside the project's own."""
    only = {"methods": ONLY_WANDA, "replicates": None, "controls": None, "evaluate": None}
    sets = {
        "safety": ["mine" if kind == "datasets" else "syn_steal", "syn_build"],
        "utility": ["syn_chores", "syn_sums"],
    }
    run = RunConfig.model_validate({"models": ["mine" if kind == "models" else "tiny-llama"], "datasets": sets} | only)
    own = own_registries(("config/datasets.yaml",), ("config/models.yaml",))
    spec = (ModelSpec if kind == "models" else DatasetSpec).model_validate(entry)
    both = {"datasets": own.datasets, "models": own.models}
    return digests(run, Registries(**both | {kind: both[kind] | {"mine": spec}}))


@pytest.mark.parametrize(
    ("kind", "leaf"), [*(("datasets", leaf) for leaf in DATASET_RULES), *(("models", leaf) for leaf in MODEL_RULES)]
)
def test_a_key_of_a_registry_moves_what_it_decides_and_nothing_before(kind, leaf, tmp_path):
    of = {"datasets": (DATASET_RULES, DATASETS, DATASET_LEAVES), "models": (MODEL_RULES, MODELS, MODEL_LEAVES)}
    rules, sources, found = of[kind]
    for name in ("rows.csv", "same.csv"):
        (tmp_path / name).write_text(ROWS)
    rule = rules[leaf]
    for entry in entry_of(sources, leaf):
        if entry["source"]["kind"] == "local":
            entry = with_value(entry, "source.local.path", str(tmp_path / entry["source"]["path"]))
        spec = (ModelSpec if kind == "models" else DatasetSpec).model_validate(entry)
        now = value_at(spec, ".".join(part for part in leaf.split(".") if part not in sources))
        before = digests_with(kind, entry)
        values = [*rule.values, *(value for value in choices(found[leaf]) if value != now)]
        values = [str(tmp_path / value) if leaf == "source.local.path" else value for value in values]
        seen = []
        for value in [value for value in values if value != now]:
            seen.append(digests_with(kind, with_value(entry, leaf, value)))
            moved = changed(before, seen[-1])
            assert moved[:1] == [rule.first] * bool(rule.first), (entry, value)
            assert set(moved) == ({"report"} if rule.first == "report" else set(moved))
        assert seen
        assert not rule.first or all(changed(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_the_bytes_of_a_local_file_are_its_pin(tmp_path):
    file = tmp_path / "rows.csv"
    entry = {"source": {"kind": "local", "path": str(file), "format": "csv"}, **ABOUT}
    file.write_text("prompt\na\n")
    before = digests_with("datasets", entry)
    file.write_text("prompt\nb\n")
    assert changed(before, digests_with("datasets", entry))[0] == "dataset"
