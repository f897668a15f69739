"""What one job needs: estimates against measured peaks and times, and what they grow with."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pipeline import ROOT

from safety_regions.artifacts.artifact import Artifact
from safety_regions.cluster.duration import CPU, GPU, REACHED, Device, core_of
from safety_regions.cluster.memory import MARGIN, PROCESS, Need, gpus_for, need_of
from safety_regions.models.core_speed import core_speed
from safety_regions.planning.from_files import plan_of_files
from safety_regions.planning.model_size import ModelSize, size_from_config
from safety_regions.planning.plan import Plan

SMOLLM2 = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49_152,
    "tie_word_embeddings": True,
}
MEASURED = {
    # what: peak MiB and CPU seconds of one process that made these artifacts of config/small.yaml, float32, 256 batch
    # tokens
    "respond": (1619, 733),
    "wanda": (930, 296),
    "safeneuron": (990, 280),
    "nlsr": (943, 311),
    "safelayer": (1017, 1352),
    "snip": (1819, 1098),
    "select": (852, 32),
    "train": (2694, 1000),
    "evaluate": (1700, 288),
    "overlap": (378, 9),
    "compare": (373, 13),
}
MODEL = "smollm2-135m-aligned"


def size(dtype: str = "float32", **changes: int) -> ModelSize:
    return size_from_config(SMOLLM2 | changes, dtype)


EVALUATED = "evaluate: {sets: [advbench], doses: [], n_prompts: 12, controls: [random], n_random: 4}"
"""What an evaluation did when it was measured: six regions were taken out."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of config/small.yaml, of the evaluation as much as was measured."""
    evaluated = tmp_path_factory.mktemp("config") / "evaluated.yaml"
    evaluated.write_text(EVALUATED)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return plan_of_files([Path("config/small.yaml"), evaluated])


def made_of(plan: Plan, what: str) -> list[Artifact]:
    """The artifacts of MODEL that were made together when `what` was measured."""
    if what in ("wanda", "safeneuron", "safelayer", "nlsr"):
        return [made for variant, made in plan.statistics[MODEL, what].items() if variant.is_own]
    regions = {"snip": "snip", "select": "wanda"}
    if what in regions:
        return list(plan.regions[MODEL, regions[what]].values())
    if what == "train":
        return [plan.models[MODEL]]
    stems = {
        "respond": f"responses/{MODEL}/",
        "evaluate": f"evaluate/{MODEL}.snip",
        "overlap": f"overlap/{MODEL}.wanda",
        "compare": f"across/{MODEL}",
    }
    return [a for a in plan.made.values() if a.stem.startswith(stems[what])]


@pytest.mark.parametrize("what", MEASURED)
def test_estimates_are_above_what_was_measured_and_not_far_above(small: Plan, what: str) -> None:
    artifacts = made_of(small, what)
    (step,) = {a.recipe.step for a in artifacts}
    assert step is not None
    need = need_of(step, size(), artifacts, batch_tokens=256, device=CPU)
    mib, seconds = MEASURED[what]
    assert 1.05 < need.host_bytes / 2**20 / mib < 2.5
    # Of a job of seconds most is the start, which is slower from a file system that a cluster shares.
    assert 1.3 < need.seconds / seconds < (3 if seconds > 60 else 5)
    assert need.gpu_bytes == 0


def gpu_need(plan: Plan, what: str, dtype: str = "float32", **changes: int) -> Need:
    """What a GPU needs for the artifacts of `what`."""
    artifacts = made_of(plan, what)
    step = artifacts[0].recipe.step
    assert step is not None
    return need_of(step, size(dtype, **changes), artifacts, batch_tokens=2048, device=GPU)


def test_a_gpu_holds_what_the_code_is_known_to_hold(small: Plan) -> None:
    weights = size().weight_bytes
    assert gpu_need(small, "respond").gpu_bytes > weights
    # SNIP keeps a float32 sum for every scored weight, on the GPU and then on the host, where samples are many.
    snip = gpu_need(small, "snip", "bfloat16")
    assert snip.gpu_bytes > size("bfloat16").weight_bytes + 4 * size().scored
    assert snip.host_bytes > size("bfloat16").weight_bytes + 4 * size().scored + MARGIN * PROCESS["cuda"]
    # Training is in float32 whatever the model is run in.
    assert gpu_need(small, "train", "bfloat16").gpu_bytes == gpu_need(small, "train", "float32").gpu_bytes
    # Weights pass through the host on their way.
    assert gpu_need(small, "wanda").host_bytes > weights
    assert gpu_need(small, "select").gpu_bytes == 0


def test_an_adapter_that_is_not_merged_costs_a_copy_of_the_weights(small: Plan) -> None:
    merged, trained = (list(small.statistics[model, "nlsr"].values()) for model in (MODEL, "smollm2-135m"))
    first, second = (need_of("measure", size(), made, batch_tokens=256, device=GPU) for made in (merged, trained))
    assert second.gpu_bytes - first.gpu_bytes == 4 * size().scored


def test_more_layers_artifacts_and_batch_tokens_cost_more(small: Plan) -> None:
    assert gpu_need(small, "snip", num_hidden_layers=60).gpu_bytes > gpu_need(small, "snip").gpu_bytes
    regions = made_of(small, "snip")
    few, many = (need_of("measure", size(), regions, batch_tokens=n, device=GPU) for n in (2048, 8192))
    assert many.gpu_bytes > few.gpu_bytes
    once = need_of("measure", size(), regions[:1], batch_tokens=2048, device=GPU)
    assert once.gpu_bytes == few.gpu_bytes
    assert once.seconds < few.seconds < len(regions) * once.seconds


EIGHT_BILLION = {
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "tie_word_embeddings": False,
}


def test_gradients_of_one_layer_at_a_time_fit_beside_eight_billion_weights(small: Plan) -> None:
    """What all layers read of 100 samples is less than sums of all gradients: the GPU holds those of one layer."""
    large = size("bfloat16", **EIGHT_BILLION)
    need = need_of("measure", large, made_of(small, "snip")[:1], batch_tokens=512, device=GPU)
    assert large.weight_bytes < need.gpu_bytes < 24e9
    assert need.host_bytes > large.weight_bytes + 100 * 2 * 64 * 32 * 4096
    deeper = size("bfloat16", **EIGHT_BILLION | {"num_hidden_layers": 64})
    more = need_of("measure", deeper, made_of(small, "snip")[:1], batch_tokens=512, device=GPU)
    assert more.gpu_bytes - need.gpu_bytes == deeper.weight_bytes - large.weight_bytes


def test_streamed_layers_leave_one_of_them_in_memory(small: Plan) -> None:
    large = size("bfloat16", **EIGHT_BILLION)

    def needs(what: str, device: Device) -> tuple[Need, Need]:
        made = made_of(small, what)[:1]
        step = made[0].recipe.step
        assert step is not None
        held, streamed = (
            need_of(step, large, made, batch_tokens=512, device=device, streamed=way) for way in (False, True)
        )
        return held, streamed

    other_layers = 2 * large.scored * (1 - 1 / large.layers)
    for what in ("snip", "wanda", "safeneuron", "select"):
        held, streamed = needs(what, CPU)
        assert other_layers == pytest.approx(held.host_bytes - streamed.host_bytes, rel=0.05)
    held, streamed = needs("snip", GPU)
    assert streamed.gpu_bytes < 9e9 and held.gpu_bytes - streamed.gpu_bytes == pytest.approx(other_layers)
    # Of what is read again: once for Wanda, for SNIP on the way back too.
    again = [streamed.seconds - held.seconds for held, streamed in (needs(what, GPU) for what in ("wanda", "snip"))]
    assert again[1] == pytest.approx(2 * again[0]) and again[0] > 60
    for what in ("safelayer", "respond", "evaluate", "overlap"):
        held, streamed = needs(what, GPU)
        assert held == streamed


def test_streamed_layers_hold_gradients_of_one_however_many_samples_are(small: Plan) -> None:
    """A model that is held then has gradients of all its layers."""
    made, small_one = made_of(small, "snip")[:1], size("bfloat16")
    held, streamed = (
        need_of("measure", small_one, made, batch_tokens=512, device=GPU, streamed=way) for way in (False, True)
    )
    others = 1 - 1 / small_one.layers
    assert held.gpu_bytes - streamed.gpu_bytes == pytest.approx((2 + 4) * small_one.scored * others)


def test_an_unknown_step_has_no_estimate(small: Plan) -> None:
    with pytest.raises(ValueError, match="no estimate for the step fly"):
        need_of("fly", size(), made_of(small, "snip"), batch_tokens=1, device=CPU)


def test_gpus_leave_room_for_layers_that_do_not_split() -> None:
    assert [gpus_for(Need(n * 1e9, 0, 0.0), 80.0) for n in (1, 80, 81, 144, 145)] == [1, 1, 2, 2, 3]


def test_time_goes_by_the_speed_of_a_core_in_the_model_s_own_dtype(small: Plan) -> None:
    def seconds(dtype: str, core: Device) -> float:
        return need_of("respond", size(dtype), made_of(small, "respond"), batch_tokens=256, device=core).seconds

    fast = replace(CPU, speed={4: CPU.speed[4], 2: 10 * CPU.speed[2]})
    assert seconds("float32", fast) == seconds("float32", CPU)
    assert seconds("bfloat16", fast) < 0.2 * seconds("bfloat16", CPU)


def test_fine_tuning_that_multiplies_in_bfloat16_is_timed_by_that_and_held_in_float32(tmp_path: Path) -> None:
    def need(precision: str) -> Need:
        words = tmp_path / f"{precision}.yaml"
        words.write_text(f"constrain: {{precision: {precision}}}\n")
        plan = plan_of_files([Path("config/demo.yaml"), words])
        made = [a for a in plan.made.values() if a.kind == "constrain"][:1]
        return need_of("constrain", size("bfloat16"), made, batch_tokens=256, device=fast)

    fast = replace(CPU, speed={4: CPU.speed[4], 2: 10 * CPU.speed[2]})
    float32, mixed = need("float32"), need("mixed")
    assert mixed.host_bytes == float32.host_bytes and mixed.seconds < float32.seconds


def test_what_is_put_back_adds_no_training_in_the_job_of_nothing_frozen() -> None:
    plan = plan_of_files([Path("config/demo.yaml")])
    made = [a for a in plan.made.values() if a.kind == "constrain"]
    nothing = next(a for a in made if a.recipe.condition == "nothing")
    shared = next(a for a in made if a.recipe.condition == "rewound" and a.recipe.training == nothing.digest)
    other = next(a for a in made if a.recipe.condition == "rewound" and a.recipe.training != nothing.digest)

    def seconds(*of: Artifact) -> float:
        return need_of("constrain", size("bfloat16"), list(of), batch_tokens=256, device=CPU).seconds

    assert seconds(nothing, shared) < seconds(nothing, other)


def test_a_core_is_measured_without_a_trace() -> None:
    before = torch.get_num_threads()
    alone = core_speed(torch.float32)
    assert torch.get_num_threads() == before
    assert 1e8 < alone < 1e13 and core_of({4: alone, 2: alone}).speed[4] == REACHED * alone
