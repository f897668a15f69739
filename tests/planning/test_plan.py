"""The plan: what a run wants follows from its configuration alone, and digests change with science and with nothing
else.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from safety_regions.config.load import load_registries
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import Methods
from safety_regions.config.model_method import ModelMethod
from safety_regions.config.models import ModelSpec
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.config.variants import BORROWED, DRAW, FIRST, HALF, RESPONSES
from safety_regions.errors import UserError
from safety_regions.files import write_text
from safety_regions.planning.make import make_plan
from safety_regions.planning.plan import Plan
from safety_regions.steps.jobs import read_job

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def plan_of(**changes) -> Plan:
    run = RunConfig.model_validate(changes)
    return make_plan(run, load_registries(run))


@cache
def default_plan() -> Plan:
    """Made once, and only to be looked at."""
    return plan_of()


def paths(plan: Plan, kind: str) -> set[str]:
    return {a.path for a in plan.made.values() if a.kind == kind}


KINDS = [
    "dataset",
    "prompts",
    "model",
    "pairs",
    "adapter",
    "statistics",
    "region",
    "overlap",
    "replicates",
    "across",
    "alignment",
    "evaluate",
    "constrain",
    "figures",
    "layer_curves",
    "report",
]
SAMPLES = 12 + 2 * 10 + 10 + 2 * 3 + 1
"""Own ones, halves, another seed, two other responses to three sets, harmless prompts with a safety set's responses."""
DEFAULT_COUNTS = {
    # Prompts: those identified on, other draws, SafeLayer's normal and over-rejection ones, three sets to evaluate
    # with, and of fine-tuning twelve to ask with, two to train on (SafeLayer's are one of them) and two held
    # out.
    "dataset": 12,
    "prompts": 12 + 10 + 3 + 3 + 15,
    "model": 4,
    "pairs": 4 * (12 + 10 + 1) + 6,
    "adapter": 4,
    "statistics": 4 * 4 * SAMPLES,
    "region": 4 * 5 * SAMPLES,
    "overlap": 4 * 5,
    "replicates": 4 * 5,
    "across": 4,
    "alignment": 0,
    "evaluate": 4 * 5,
    # Nothing, three conditions, and what is put back, at two rates with two seeds.
    "constrain": 4 * 5 * 2 * 2,
    "figures": 4 * 5,
    "layer_curves": 4,
    "report": 1,
}
DRAWN = ["figures", "layer_curves", "report"]
NOT_OF_SNIP = ["overlap", "replicates", "across", "evaluate"]
COMPARED = [*NOT_OF_SNIP, "constrain", *DRAWN]


def test_every_method_with_options_is_in_the_catalogue():
    assert list(CATALOGUE) == list(Methods.model_fields)


def test_the_default_run_wants_every_combination_once():
    plan = default_plan()
    assert {kind: len(paths(plan, kind)) for kind in KINDS} == DEFAULT_COUNTS


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({"machine": {"batch_tokens": 64, "datasets_per_job": 2, "device": "cpu"}}, []),
        ({"thresholds": {"q": 0.01}}, ["across", "evaluate", "constrain", *DRAWN]),
        ({"thresholds": {"p": 0.01}}, COMPARED),
        ({"thresholds": {"scope": "row"}}, ["region", *COMPARED]),
        ({"overlap": {"seed": 1}}, ["overlap", "figures", "report"]),
        ({"evaluate": {"seed": 1}}, ["prompts", "evaluate", "report"]),
        ({"evaluate": {"n_random": 1}}, ["evaluate", "report"]),
        ({"name": "other"}, ["report"]),
        ({"responses": {"max_new_tokens": 30}}, ["pairs", "statistics", "region", *COMPARED]),
        ({"responses": {"template": "No."}}, ["report"]),
        ({"datasets": {"seed": 1}}, ["prompts", "pairs", "statistics", "region", *COMPARED]),
        ({"datasets": {"n_samples": 16}}, ["prompts", "pairs", "adapter", "statistics", "region", *COMPARED]),
        (
            {"methods": {"safeneuron": {"select": "agreement"}}},
            ["region", "overlap", "replicates", "across", "evaluate", "figures", "report"],
        ),
        (
            {"methods": {"safeneuron": {"ffn": "up"}}},
            ["statistics", "region", "overlap", "replicates", "across", "evaluate", "figures", "report"],
        ),
        (
            {"methods": {"nlsr": {"kept_ranks": 0.5}}},
            ["region", "overlap", "replicates", "evaluate", "figures", "report"],
        ),
        (
            {"methods": {"nlsr": {"adapter": {"steps": 10}}}},
            ["adapter", "statistics", "region", "overlap", "replicates", "evaluate", "figures", "report"],
        ),
        (
            {"methods": {"safelayer": {"n_over_rejection": 4}}},
            ["prompts", "statistics", "region", *NOT_OF_SNIP, *DRAWN],
        ),
        ({"constrain": {"seeds": 1}}, ["constrain", "report"]),
        ({"constrain": {"learning_rates": [0.01]}}, ["constrain", "report"]),
    ],
)
def test_a_change_moves_exactly_what_depends_on_it(changes, moved):
    before, after = default_plan(), plan_of(**changes)
    assert [kind for kind in KINDS if paths(before, kind) != paths(after, kind)] == moved


@pytest.mark.parametrize("named", [None, "syn_sums"])
def test_the_set_that_all_are_compared_with_says_so_and_no_other_does(named):
    """In all of its variants: SafeLayer gives it no region of its own."""
    plan = plan_of(methods={"safelayer": {"normal": named}})
    normal = named or RunConfig().datasets.utility[0]
    for key, statistics in plan.statistics.items():
        plays = {variant.set for variant, made in statistics.items() if made.recipe.plays == "normal"}
        silent = {variant.set for variant, made in statistics.items() if made.recipe.plays is None}
        assert (plays, normal in silent) == (({normal}, False) if key.method == "safelayer" else (set(), bool(silent)))


def test_one_more_set_adds_its_own_and_moves_only_what_compares():
    sets = RunConfig().datasets.safety
    # A model that is fine-tuned is asked nothing that any of the sets was identified on.
    before, after = (plan_of(datasets={"safety": of}, constrain=None) for of in (sets[:9], sets))
    for kind in ("dataset", "prompts", "pairs", "statistics", "region"):
        assert paths(before, kind) < paths(after, kind)
        assert {re.split(r"[.-]", Path(p).name)[0] for p in paths(after, kind) - paths(before, kind)} == {"syn_cheat"}


@pytest.mark.parametrize("policy", ["template", "dataset"])
def test_responses_that_are_not_the_models_own_are_shared_by_models(policy):
    plan = plan_of(responses={"policy": policy}, replicates=None, controls=None)
    assert len(paths(plan, "pairs")) == 12 + 1
    assert sum(f"/responses/{policy}/" in path for path in paths(plan, "pairs")) == 12


def test_batches_cover_every_member_once_and_know_nothing_of_files():
    plan = plan_of(machine={"datasets_per_job": 5, "tables_per_job": 5, "trainings_per_job": 5})
    members = [a.path for batch in plan.batches.values() for a in batch.artifacts]
    batched = (
        "pairs",
        "statistics",
        "region",
        "overlap",
        "replicates",
        "across",
        "evaluate",
        "constrain",
        "figures",
        "layer_curves",
    )
    assert len(members) == len(set(members)) == sum(DEFAULT_COUNTS[kind] for kind in batched)
    assert max(len(batch.artifacts) for batch in plan.batches.values()) == 5
    assert len({batch.manifest for batch in plan.batches.values()}) == len(plan.batches)


def test_a_job_is_told_of_what_it_makes_and_of_what_is_in_place(tmp_path, monkeypatch):
    """Not of a member that is gone and that nothing needs; a batch with nothing to make has no file."""
    plan = plan_of(models=["tiny-llama"], methods={**dict.fromkeys(CATALOGUE), "wanda": {}})
    monkeypatch.chdir(tmp_path)
    batches = {batch.step: batch for batch in plan.batches.values() if batch.stem == "tiny-llama"}
    gone, *others = batches["select"].artifacts
    for artifact in (*others, *plan.models.values(), *(a for a in plan.made.values() if a.kind == "pairs")):
        write_text(artifact.path, "")
        write_text(artifact.receipt, "{}")
    plan.write_jobs()
    told = {step: read_job(f"@{batch.job}") for step, batch in batches.items() if Path(batch.job).exists()}
    assert list(told) == [step for step in batches if step not in ("respond", "give")]
    assert [str(entry.path) for entry in told["select"]] == [gone.path, *(other.path for other in others)]
    (entry,) = told["measure"]
    statistic = gone.inputs["statistics"]
    assert (str(entry.path), entry.digest) == (statistic.path, statistic.digest)
    assert entry.inputs == {role: Path(source.path) for role, source in statistic.inputs.items()}


def test_a_models_tables_are_one_job_and_its_figures_another():
    plan = default_plan()
    for model in plan.run.models:
        made = {
            batch.step: sorted(a.kind for a in batch.artifacts)
            for batch in plan.batches.values()
            if batch.stem == model
        }
        assert made["overlap"] == ["across"] + ["overlap"] * 5 + ["replicates"] * 5
        assert made["draw"] == ["figures"] * 5 + ["layer_curves"]


def test_no_path_is_wanted_by_two_recipes():
    plan = default_plan()
    assert len({a.path for a in plan.made.values()}) == len(plan.made) == len({a.digest for a in plan.made.values()})


def test_what_a_run_leaves_open_is_decided_in_its_recipes():
    """Naming the default changes nothing; a model with an adapter of its own is given no other."""
    named = {
        "methods": {
            "safelayer": {"normal": "syn_chores"},
            "nlsr": {"adapter": {"harmful": ["syn_build", "syn_steal"], "offset": 32}},
        }
    }
    left_open, decided = default_plan(), plan_of(**named)
    assert [kind for kind in KINDS if paths(left_open, kind) != paths(decided, kind)] == ["report"]
    plan = plan_of(models=["smollm2-135m-aligned"])
    assert plan.adapters == {("smollm2-135m-aligned", "nlsr"): plan.models["smollm2-135m-aligned"]}


def test_regions_of_snip_and_wanda_keep_their_digests():
    """Other methods came later; what was made before them is found again."""
    plan = default_plan()
    assert plan.regions["tiny-llama", "snip"]["syn_build"].key == "8d63d3f9e6c6"
    assert plan.regions["tiny-llama", "wanda"]["syn_build"].key == "5a68adc0f734"


def strings_in(value: object) -> set[str]:
    """Every text anywhere in nested mappings and lists."""
    if isinstance(value, dict):
        return {text for inner in value.values() for text in strings_in(inner)}
    if isinstance(value, list | tuple):
        return {text for inner in value for text in strings_in(inner)}
    return {value} if isinstance(value, str) else set()


@pytest.mark.parametrize("changes", [{}, {"models": ["smollm2-135m-aligned"]}, {"datasets": {"deduplicate": "across"}}])
def test_what_a_recipe_names_is_handed_over_and_nothing_else(changes):
    """An input that the recipe does not name could change unseen; one that is not handed over fails the job."""
    plan = plan_of(**changes)
    digests = {a.digest for a in plan.made.values()}
    for artifact in plan.made.values():
        named = strings_in(artifact.recipe.as_json()) & digests
        assert named == {source.digest for source in artifact.inputs.values()}, artifact.path


def test_whatever_is_handed_over_is_made_by_the_plan_too():
    plan = default_plan()
    for artifact in plan.made.values():
        assert all(plan.made[source.key] is source for source in artifact.inputs.values())


def test_everything_is_made_for_the_report():
    """What no target needs would never be made, or for nothing."""
    plan = default_plan()
    needed, pending = set(), [*plan.targets]
    while pending:
        artifact = pending.pop()
        if artifact.key not in needed:
            needed.add(artifact.key)
            pending += artifact.inputs.values()
    assert needed == set(plan.made)


def test_every_artifact_but_single_ones_is_in_one_batch():
    """Single jobs make datasets, prompts, models, adapters, the table of prompts and the report."""
    plan = default_plan()
    single = {"dataset", "prompts", "prompt_overlap", "model", "adapter", "report"}
    assert {a.path for a in plan.made.values() if a.kind not in single} == set(plan.batch_of)
    assert sum(len(batch.artifacts) for batch in plan.batches.values()) == len(plan.batch_of)


def test_methods_share_a_pass_over_a_set():
    """All that is measured of one set is in one job, however few a job may make, and sets follow each other."""
    for most in (1, 4, 9, 100):
        plan = plan_of(machine={"datasets_per_job": most}, models=["tiny-llama"])
        sets: dict[str, set[str]] = {}
        for batch in plan.batches.values():
            if batch.step == "measure":
                for artifact in batch.artifacts:
                    sets.setdefault(Path(artifact.stem).name, set()).add(batch.key)
                per_set = {Path(a.stem).name for a in batch.artifacts}
                assert len(batch.artifacts) <= most or len(per_set) == 1
        assert all(len(jobs) == 1 for jobs in sets.values())
        assert len({job for jobs in sets.values() for job in jobs}) == {1: 49, 4: 49, 9: 49, 100: 3}[most]


def test_an_evaluation_is_told_everything_that_it_goes_by():
    """The seed also moves the prompts, and so the digest: without it random regions would be the same."""
    said = {
        "seed": 3,
        "max_new_tokens": 7,
        "replace": "mean",
        "controls": ["random", "utility"],
        "n_random": 5,
        "n_matched": 3,
    }
    plan = plan_of(evaluate=said)
    recipes = [a.recipe for a in plan.made.values() if a.kind == "evaluate"]
    assert recipes and all(recipe.options == said for recipe in recipes)


def test_evaluation_prompts_are_apart_from_those_of_the_set_and_of_the_regions_taken_out():
    """With no other set do these prompts change, and no others are apart."""
    plan = plan_of(
        methods={"nlsr": None},
        datasets={"safety": ["syn_build", "syn_steal", "syn_trick"], "utility": ["syn_chores", "syn_sums"]},
        evaluate={"sets": ["syn_steal"], "harmful": ["syn_trick"], "over_refusal": ["syn_sums"], "n_prompts": 5},
        constrain=None,
    )
    own = {artifact.digest: name for name, artifact in plan.prompts.items()}
    prompts = [artifact.recipe for artifact in plan.made.values() if artifact.kind == "prompts"]
    asked = {recipe.dataset: recipe for recipe in prompts if recipe.n_samples == 5}
    assert {name: [own[digest] for digest in of.apart_from] for name, of in asked.items()} == {
        "syn_trick": ["syn_trick", "syn_steal"],
        "syn_sums": ["syn_sums", "syn_steal"],
        "syn_chores": ["syn_chores", "syn_steal"],
    }
    assert {of.near_duplicate for of in asked.values()} == {plan.run.datasets.near_duplicate}
    assert all(of in asked.values() for of in prompts if of.apart_from)


def test_models_and_methods_that_are_named_are_evaluated_and_no_others():
    """Nor is the region identified that stands in the place of theirs."""
    plan = plan_of(evaluate={"models": ["tiny-qwen2"], "methods": ["snip", "safelayer"]}, constrain=None)
    made = list(plan.made.values())
    asked = {"tiny-qwen2.snip", "tiny-qwen2.safelayer"}
    assert {a.name for a in made if a.kind == "evaluate"} == asked
    assert {of.name for of, regions in plan.replicates.items() if any(v.which == BORROWED for v in regions)} == asked
    borrowed = {a.stem for a in made if a.kind == "pairs" and a.recipe.policy == "borrowed"}
    assert borrowed and all(stem.endswith("tiny-qwen2") for stem in borrowed)


@pytest.mark.parametrize(
    ("datasets", "found"),
    [
        ({"n_samples": 10_000}, "10000 prompts behind the first 0"),
        ({"offset": 10_000}, "32 prompts behind the first 10000"),
        ({"safety": ["jbb", "syn_trick"], "n_samples": 60, "offset": 50}, "60 prompts behind the first 50"),
    ],
)
def test_too_few_rows_are_told_by_the_plan_where_their_number_is_known(datasets, found):
    with pytest.raises(UserError, match=found) as error:
        plan_of(datasets=datasets)
    assert re.fullmatch(r"no more than its \d+ rows", error.value.expected)
    assert "datasets.n_samples" in error.value.hint


def test_prompts_that_are_asked_later_are_counted_too():
    with pytest.raises(UserError, match="16 prompts behind the first 90") as error:
        plan_of(datasets={"safety": ["jbb", "syn_trick"], "n_samples": 90}, methods={"nlsr": None}, constrain=None)
    assert "name larger sets" in error.value.hint and error.value.where == "dataset jbb"


def test_a_local_model_that_cannot_be_scored_is_refused_by_the_plan(tmp_path):
    registries = load_registries(RunConfig(), [], {})
    local = {"kind": "local", "path": str(tmp_path), "sha256": "0" * 64}
    spec = ModelSpec.model_validate({"source": local, "licence": "a", "citation": "b"})
    run = RunConfig(models=["mine"])
    mine = Registries(datasets=registries.datasets, models=registries.models | {"mine": spec})
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert "mine" in make_plan(run, mine).models
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(UserError, match="architecture 'mamba' is not known") as error:
        make_plan(run, mine)
    assert "model mine" in error.value.where


@pytest.mark.parametrize("known_by", ["folder", "shape", "prepared"])
def test_a_method_that_is_not_right_for_a_model_is_refused_by_the_plan(known_by, tmp_path, monkeypatch):
    registries = load_registries(RunConfig(), [], {})
    monkeypatch.chdir(tmp_path)
    source = {"kind": "hub", "id": "org/mine", "revision": "0" * 40}
    if known_by == "folder":
        source = {"kind": "local", "path": str(tmp_path), "sha256": "0" * 64}
        (tmp_path / "config.json").write_text('{"model_type": "bloom"}')
    entry = {"source": source, "licence": "a", "citation": "b"}
    if known_by == "shape":
        sizes = {"hidden_size": 8, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1}
        entry["shape"] = {"model_type": "bloom", "vocab_size": 9, **sizes}
    mine = Registries(
        datasets=registries.datasets, models=registries.models | {"mine": ModelSpec.model_validate(entry)}
    )
    run = RunConfig.model_validate({"models": ["mine"], "methods": {"safeneuron": None}})
    folder = Path(make_plan(run, mine).models["mine"].path)
    if known_by == "prepared":
        assert "mine" in make_plan(RunConfig(models=["mine"]), mine).models
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "bloom"}')
    with pytest.raises(UserError, match="safeneuron is not right for models of type 'bloom': its attention") as error:
        make_plan(RunConfig(models=["mine"]), mine)
    assert error.value.where == "model mine" and "snip, wanda" in error.value.expected
    assert "mine" in make_plan(run, mine).models


def test_a_judge_needs_no_method_to_be_right_for_it(tmp_path, monkeypatch):
    """A classifier of a type that some methods are not right for: nothing of it is scored."""
    source = {
        "kind": "classifier",
        "path": "judge",
        "sha256": "0" * 64,
        "labels": {"REJECTION": "refuses", "NORMAL": "answers"},
    }
    judge = ModelSpec.model_validate({"source": source, "licence": "none", "citation": "none"})
    run = RunConfig(models=["tiny-llama"], judge={"model": "own-judge"})
    with_judge = Registries(
        load_registries(RunConfig()).datasets, load_registries(RunConfig()).models | {"own-judge": judge}
    )
    folder = tmp_path / make_plan(run, with_judge).models["own-judge"].path
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    monkeypatch.chdir(tmp_path)
    assert "own-judge" in make_plan(run, with_judge).models


def test_models_that_are_named_are_fine_tuned_and_no_others():
    plan = plan_of(constrain={"models": ["tiny-qwen2"]})
    assert {a.name.split(".")[0] for a in plan.made.values() if a.kind == "constrain"} == {"tiny-qwen2"}


def test_regions_are_taken_out_at_every_dose_once():
    recipes = [a.recipe for a in plan_of(evaluate={"doses": [0.2, 0.05, 0.01]}).made.values() if a.kind == "evaluate"]
    assert recipes and all(recipe.doses == [0.01, 0.05, 0.2] for recipe in recipes)
    assert all(a.recipe.doses == [0.05] for a in default_plan().made.values() if a.kind == "evaluate")


def test_each_evaluated_set_has_a_region_of_harmless_prompts_with_its_responses():
    sets = ["syn_steal", "syn_trick"]
    plan = plan_of(evaluate={"sets": sets, "harmless": "syn_chores"})
    tables = [a for a in plan.made.values() if a.kind == "evaluate"]
    for table in tables:
        assert [name for name, _ in table.recipe.harmless] == sets
        for name in sets:
            made = table.inputs[f"harmless/{name}"]
            made = made.inputs.get("statistics", made)
            pairs, own = made.inputs["pairs"], plan.regions[ModelMethod(*table.name.split("."))][name]
            assert pairs.recipe.policy == "borrowed" and pairs.inputs["prompts"] == plan.prompts["syn_chores"]
            assert pairs.inputs["lent"] == own.inputs.get("statistics", own).inputs["pairs"]
    without = plan_of(evaluate={"controls": ["random"]})
    assert not any(a.recipe.policy == "borrowed" for a in without.made.values() if a.kind == "pairs")
    assert all(not a.recipe.harmless for a in without.made.values() if a.kind == "evaluate")


def test_harmless_prompts_that_no_region_is_identified_from_are_drawn_for_the_control():
    plan = plan_of(datasets={"utility": ["syn_chores"]}, evaluate={"harmless": "syn_sums"})
    (prompts,) = {
        a.inputs["prompts"].key for a in plan.made.values() if a.kind == "pairs" and a.recipe.policy == "borrowed"
    }
    recipe = plan.made[prompts].recipe
    assert (recipe.dataset, recipe.n_samples, recipe.offset) == ("syn_sums", 32, 0)


def constrained(plan: Plan) -> dict[str, list[str]]:
    """By the key of each job: the conditions that it trains."""
    jobs = [batch for batch in plan.batches.values() if batch.step == "constrain"]
    return {batch.key: sorted({a.recipe.condition for a in batch.artifacts}) for batch in jobs}


def test_one_more_condition_of_fine_tuning_is_one_more_job():
    """At a cluster, where each has a job of its own; otherwise the one job has members that are not in place."""
    frozen = ["region", "random"]
    for most in (1, 100):
        before, after = (
            plan_of(models=["tiny-llama"], constrain={"frozen": of}, machine={"trainings_per_job": most})
            for of in (frozen, [*frozen, "magnitude"])
        )
        new = {a.digest for a in after.made.values()} - {a.digest for a in before.made.values()}
        jobs = [batch for batch in after.batches.values() if any(a.digest in new for a in batch.artifacts)]
        assert [batch.step for batch in jobs] == ["constrain"]
        assert {a.recipe.condition for a in after.made.values() if a.digest in new and a.kind == "constrain"} == {
            "magnitude_refined"
        }
        if most == 1:
            assert constrained(before).items() < constrained(after).items()
            assert len(constrained(after)) == len(constrained(before)) + 1


def test_what_freezes_nothing_is_trained_once_for_all_methods():
    plan = plan_of(models=["tiny-llama"], constrain={"methods": list(RunConfig().enabled_methods())})
    of_condition: dict[str, set[str | None]] = {}
    for artifact in plan.made.values():
        if artifact.kind == "constrain":
            of_condition.setdefault(artifact.recipe.condition, set()).add(artifact.recipe.method)
    owning = {"snip", "wanda", "safeneuron", "safelayer"}
    assert of_condition["nothing"] == {None} and of_condition["refined"] == of_condition["rewound"] == owning
    assert of_condition["utility_refined"] == owning - {"safelayer"}


ONLY = {"frozen": ["only", "only_random"], "learning_rates": [0.01], "seeds": 1, "rewound": []}


def of_condition(plan: Plan, method: str) -> dict[str, str]:
    """By condition: the path of the artifact, of trainings of one rate and seed."""
    made = [a for a in plan.made.values() if a.kind == "constrain" and a.recipe.method == method]
    return {a.recipe.condition: a.path for a in made}


def test_all_but_a_region_is_frozen_at_each_fraction_that_is_asked_for():
    """At the run's q it is the same artifact with and without; of a range of layers there is one."""
    changes = {"models": ["tiny-llama"], "thresholds": {"q": 0.05}}
    asked = ONLY | {"methods": ["snip", "safelayer"]}
    plain = plan_of(**changes, constrain=asked)
    plan = plan_of(**changes, constrain=asked | {"only_at": [0.01, 0.05, 0.2]})
    at_q = {"only_refined", "only_random_refined"}
    assert {*of_condition(plain, "snip")} == {*of_condition(plain, "safelayer")} == at_q
    at = {f"{name}_at_{fraction}" for name in at_q for fraction in (0.01, 0.2)}
    assert {*of_condition(plan, "snip")} == at_q | at
    assert of_condition(plan, "safelayer") == of_condition(plain, "safelayer")
    assert of_condition(plain, "snip").items() < of_condition(plan, "snip").items()
    for artifact in plan.made.values():
        if artifact.kind == "constrain" and artifact.recipe.method == "snip":
            (mask,) = artifact.recipe.masks
            assert (mask.name, artifact.recipe.q) == (artifact.recipe.condition, mask.at or 0.05)
    other = plan_of(models=["tiny-llama"], thresholds={"q": 0.01}, constrain=asked | {"only_at": [0.01]})
    assert {*of_condition(other, "snip")} == at_q


DIGESTS = {"refined": "8a3c3a60722d", "only_refined": "2b8bdbce86fc", "rewound": "e98005e9f862"}


@pytest.mark.parametrize(
    ("named", "said"), [([0.04], "constrain.only_at: 0.04 not in the grid"), ([0.2, 0.01], "ascend")]
)
def test_fractions_that_no_region_has_are_refused(named, said):
    with pytest.raises(ValueError, match=said):
        RunConfig.model_validate({"constrain": {"only_at": named}})


def test_fine_tunings_of_today_keep_their_digests():
    """Fractions came later: whoever names none is asked nothing anew, nor is the report written again."""
    changes = {
        "models": ["tiny-llama"],
        "constrain": {"frozen": ["region", "only"], "learning_rates": [0.01], "seeds": 1},
    }
    plan = plan_of(**changes)
    assert {*DIGESTS} == {*of_condition(plan, "snip")}
    assert {name: path.split(".")[-1] for name, path in of_condition(plan, "snip").items()} == DIGESTS
    assert "only_at" not in plan.targets[0].recipe.config["constrain"]
    said = plan_of(models=["tiny-llama"], constrain=changes["constrain"] | {"only_at": None})
    assert said.targets[0].digest == plan.targets[0].digest


def test_what_a_training_does_not_go_by_is_not_in_its_recipe():
    plans = [plan_of(models=["tiny-llama"], constrain=of) for of in ({"rank": 2, "alpha": 1.0, "every": 7}, {})]
    assert paths(plans[0], "constrain") == paths(plans[1], "constrain")
    assert all("precision" not in a.recipe.options for a in plans[0].made.values() if a.kind == "constrain")
    mixed = plan_of(models=["tiny-llama"], constrain={"precision": "mixed"})
    assert not paths(mixed, "constrain") & paths(plans[0], "constrain")
    lora = [plan_of(models=["tiny-llama"], constrain={"tuning": "lora", "rank": rank}) for rank in (2, 4)]
    assert not paths(lora[0], "constrain") & paths(lora[1], "constrain")


def test_a_run_for_region_files_wants_them_alone_under_the_paths_that_a_report_finds_them_at() -> None:
    sets = {"safety": ["syn_build", "syn_steal"], "utility": ["syn_chores", "syn_sums"]}
    whole = plan_of(models=["tiny-llama"], datasets=sets)
    regions, refined = (plan_of(models=["tiny-llama"], datasets=sets, goal=goal) for goal in ("regions", "refined"))
    for plan in (regions, refined):
        assert plan.report is None
        assert plan.regions == whole.regions
        assert not {"overlap", "replicates", "across", "evaluate", "constrain", "figures", "report"} & {
            a.kind for a in plan.made.values()
        }
    assert {a.path for a in regions.targets} == paths(regions, "region")
    assert {a.path for a in refined.targets} == paths(refined, "refined")
    made = {a.name: a for a in refined.targets}
    assert len(made) == 5 * 2
    of_snip = made["tiny-llama/snip/syn_build"]
    assert of_snip.inputs == {
        "region": whole.regions["tiny-llama", "snip"]["syn_build"],
        "utility/syn_chores": whole.regions["tiny-llama", "snip"]["syn_chores"],
        "utility/syn_sums": whole.regions["tiny-llama", "snip"]["syn_sums"],
    }
    assert of_snip.recipe.p == whole.run.thresholds.p
    assert "results/manifests/refine/" in refined.files_of(refined.targets)[0]


def test_regions_alone_need_one_set() -> None:
    plan = plan_of(
        goal="regions",
        models=["tiny-llama"],
        datasets={"safety": ["syn_build"], "utility": []},
        methods={"safelayer": None, "nlsr": None},
    )
    assert sorted(a.name for a in plan.targets) == [
        f"tiny-llama/{m}/syn_build" for m in ("safeneuron", "snip", "wanda")
    ]
    for method, lacking in (("safelayer", "normal names no set"), ("nlsr", "no set of them is named")):
        with pytest.raises(UserError, match=lacking):
            plan_of(
                goal="regions",
                models=["tiny-llama"],
                datasets={"safety": ["syn_build"], "utility": []},
                methods=dict.fromkeys({"safelayer", "nlsr"} - {method}),
            )


def test_harmless_regions_to_freeze_are_those_with_fixed_refusals_and_no_other_replicates():
    plan = plan_of(models=["tiny-llama"], constrain=ONLY | {"frozen": ["region", "harmless"]}, evaluate=None)
    name, of = plan.run.datasets.utility[0], ModelMethod("tiny-llama", "snip")
    fixed = {v.name: region for v, region in plan.replicates[of].items() if (v.set, v.which) == (name, RESPONSES)}
    assert len(fixed) == 2 < len(plan.replicates[of])
    trained = {a.recipe.condition: a for a in plan.made.values() if a.kind == "constrain"}
    frozen = trained["harmless_refined"]
    assert dict(frozen.recipe.harmless) == {name: region.digest for name, region in fixed.items()}
    assert {name: frozen.inputs[f"harmless/{name}"] for name in fixed} == fixed
    assert trained["refined"].recipe.harmless is None


FEW = {"models": ["tiny-llama"], "evaluate": None, "constrain": None, "controls": None, "replicates": None}
"""Of a run that compares nothing but the sets' own regions."""


def test_methods_are_compared_if_there_are_two_and_regions_of_one_set_if_there_are_others():
    only = [name for name in RunConfig().enabled_methods() if name not in ("snip", "wanda")]
    one, two = (plan_of(**FEW, methods=dict.fromkeys(of)) for of in ([*only, "wanda"], only))
    assert not paths(one, "across") and len(paths(two, "across")) == 1
    assert not paths(two, "replicates")


def test_responses_that_are_not_to_end_the_turn_are_said_to_methods_that_read_them():
    plan = plan_of(**FEW, responses={"end_of_turn": False})
    measured = [a.recipe for a in plan.made.values() if "pairs" in a.inputs and a.kind in ("statistics", "region")]
    assert {recipe.end_of_turn for recipe in measured if CATALOGUE[recipe.method].reads_responses} == {False}
    assert {recipe.end_of_turn for recipe in measured if not CATALOGUE[recipe.method].reads_responses} == {None}
    assert not any(getattr(a.recipe, "end_of_turn", None) is False for a in default_plan().made.values())


def test_what_methods_look_at_beside_pairs_is_all_among_their_inputs():
    """Prompts that are answered are the first of their sets; an adapter is trained on both kinds of prompts."""
    made = list(default_plan().made.values())
    answered = [a for of in made for role, a in of.inputs.items() if role.startswith("over_rejection")]
    assert {a.recipe.offset for a in answered} == {0}
    adapters = [a for a in made if a.kind == "adapter"]
    for adapter in adapters:
        sets = [*adapter.recipe.options["harmful"], *adapter.recipe.options["harmless"]]
        assert list(adapter.recipe.data) == sets and {f"data/{name}" for name in sets} < {*adapter.inputs}
    assert adapters


def test_replicates_and_other_responses_are_for_the_methods_that_they_name():
    only = dict.fromkeys(name for name in RunConfig().enabled_methods() if name not in ("snip", "wanda"))
    asked = {"replicates": {"methods": ["snip"], "sizes": [4]}, "controls": {"methods": ["wanda"]}}
    plan = plan_of(**FEW | asked, methods=only)
    which = {of.method: {variant.which for variant in made} for of, made in plan.replicates.items()}
    assert which == {"snip": {HALF, FIRST, DRAW}, "wanda": {RESPONSES}}
