"""What the jobs of a run ask for: memory, time and GPUs; what is refused; and what the whole run is said to cost."""

import argparse
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from made import Made, make
from pipeline import WorkingCopy, new_working_copy, only

from safety_regions.artifacts.artifact import Artifact
from safety_regions.cluster.cost import costs, disk_bytes, lines
from safety_regions.cluster.resources import SMALL, Asking
from safety_regions.commands import estimate
from safety_regions.errors import UserError
from safety_regions.planning.model_size import size_from_config
from safety_regions.planning.plan import Plan

HUB = {"source": {"kind": "hub", "id": "org/model", "revision": "0" * 40}, "licence": "none", "citation": "none"}


@pytest.fixture
def copy_with_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkingCopy:
    """A working copy, in whose folder the test runs, that knows a large model and one of unknown size, and trains
    none.
    """
    copy = new_working_copy(tmp_path / "copy")
    copy.change(constrain=None)
    models = {"large": HUB | {"parameters": 8_030_261_248, "dtype": "bfloat16"}, "unknown": HUB}
    with open(copy.folder / "config/micro_models.yaml", "a") as file:
        file.write(yaml.safe_dump(models))
    monkeypatch.chdir(copy.folder)
    return copy


def asking(copy: WorkingCopy, *, gpu_seen: bool = False, **machine: object) -> Asking:
    copy.change(machine={"device": "auto", **machine})
    return Asking(copy.plan(), gpu_seen)


def asked(asking: Asking, model: str, ask: Callable[[str, list[Artifact]], int]) -> dict[str, int]:
    """What `ask` says of the jobs of a model; of several of a step, the most."""
    found: dict[str, int] = {}
    for job in asking.jobs:
        if job.model == model:
            found[job.step] = max(found.get(job.step, 0), ask(job.step, job.artifacts))
    return found


ON_GPU = ("train", "respond", "measure", "evaluate")
ON_CPU = ("select", "overlap")


def test_a_job_asks_for_as_many_gpus_as_its_model_needs(copy_with_large: WorkingCopy) -> None:
    copy_with_large.change(models=["micro", "large"])
    on_80 = asking(copy_with_large, gpu_memory_gb=80, gpus_per_node=8)
    assert asked(on_80, "micro", on_80.gpus) == dict.fromkeys(ON_GPU, 1) | dict.fromkeys(ON_CPU, 0)
    assert asked(on_80, "large", on_80.gpus) == dict.fromkeys(ON_GPU, 1) | {"train": 2} | dict.fromkeys(ON_CPU, 0)
    on_24 = asking(copy_with_large, gpu_memory_gb=24, gpus_per_node=8)
    assert asked(on_24, "large", on_24.gpus)["measure"] == 2
    on_24.refuse_what_does_not_fit()
    # Without the size of a GPU a job asks for one where there is one.
    for machine, most in (({"gpu_seen": True}, 1), ({}, 0), ({"gpu_seen": True, "device": "cpu"}, 0)):
        here = asking(copy_with_large, **machine)
        assert max(asked(here, "large", here.gpus).values()) == most


def test_fine_tuning_asks_for_what_all_weights_need_or_for_what_an_adapter_needs(copy_with_large: WorkingCopy) -> None:
    """In float32: the weights, and beside them of the scored ones a copy, gradients and two moments."""
    gb = {}
    for tuning in ("full", "lora"):
        section = {"methods": ["wanda"], "tuning": tuning, "batch_size": 1, "n_prompts": 1, "n_samples": 4}
        copy_with_large.change(models=["large"], constrain=section)
        found = asking(copy_with_large, gpu_memory_gb=80, gpus_per_node=8)
        (job,) = [job for job in found.jobs if job.step == "constrain"]
        gb[tuning] = found.need(job.step, job.artifacts).gpu_bytes / 1e9
        assert found.gpus(job.step, job.artifacts) > 1
    assert gb["full"] > 8 * 4 + 0.9 * 8 * 16
    assert 8 * 4 + 0.9 * 8 * 12 < gb["lora"] < gb["full"]


def test_a_model_for_which_no_node_is_large_enough_is_refused_with_numbers(copy_with_large: WorkingCopy) -> None:
    copy_with_large.change(models=["micro", "large"])
    with pytest.raises(UserError) as error:
        asking(copy_with_large, gpu_memory_gb=24).refuse_what_does_not_fit()
    assert "large, measure: " in error.value.found
    assert " GB, 2 GPUs" in error.value.found
    assert "micro" not in error.value.found
    assert error.value.expected == "at most 1 GPU of 24 GB"
    assert any(
        line.startswith("snakemake would refuse this run: ")
        for line in lines(asking(copy_with_large, gpu_memory_gb=24))
    )
    # Training needs two of 80 GB.
    asking(copy_with_large, gpu_memory_gb=80, gpus_per_node=2).refuse_what_does_not_fit()
    with pytest.raises(UserError, match=r"^models that do not fit: large, train: \d+ GB, 2 GPUs\n"):
        asking(copy_with_large, gpu_memory_gb=80).refuse_what_does_not_fit()
    copy_with_large.change(models=["micro"])
    asking(copy_with_large, gpu_memory_gb=24).refuse_what_does_not_fit()


def test_streamed_layers_are_counted_where_they_can_be(copy_with_large: WorkingCopy) -> None:
    copy_with_large.change(models=["large"], methods=only("wanda", "snip"))
    gpus = {}
    for way in ("held", "streamed"):
        here = asking(copy_with_large, gpu_memory_gb=16, gpus_per_node=8, layers=way)
        gpus[way] = asked(here, "large", here.gpus)
        assert "Layers are streamed" not in "\n".join(lines(here))
    assert gpus["streamed"]["measure"] == 1 < gpus["held"]["measure"]
    assert gpus["streamed"]["respond"] == gpus["held"]["respond"] > 1
    copy_with_large.change(methods=only("wanda", "safelayer"))
    here = asking(copy_with_large, gpu_memory_gb=16, gpus_per_node=8, layers="streamed")
    assert asked(here, "large", here.gpus)["measure"] > 1
    assert "Layers are streamed, but held where safelayer is measured" in "\n".join(lines(here))


def test_a_later_attempt_asks_for_more(copy_with_large: WorkingCopy) -> None:
    here = asking(copy_with_large)
    for job in here.jobs:
        for ask in (here.mem_mib, here.minutes):
            assert ask(job.step, job.artifacts, 2) == 2 * ask(job.step, job.artifacts)
        need = here.need(job.step, job.artifacts)
        assert here.minutes(job.step, job.artifacts) >= 10 + 2 * need.seconds / 60
        assert here.mem_mib(job.step, job.artifacts) * 2**20 > need.host_bytes


def test_the_time_limit_follows_the_number_of_artifacts(copy_with_large: WorkingCopy) -> None:
    copy_with_large.change(models=["large"], methods=only("wanda", "snip"))
    few, all_of = asking(copy_with_large, datasets_per_job=1), asking(copy_with_large)
    one, every = (asked(a, "large", a.minutes)["measure"] for a in (few, all_of))
    n_sets = sum(job.step == "measure" for job in few.jobs)
    assert n_sets >= 4
    assert one < every < n_sets * one


def test_done_and_published_things_are_not_counted(made_once: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made_once.copy.folder)
    done = Asking(made_once.copy.plan(), gpu_seen=False)
    assert done.jobs == costs(done) == []
    assert sum(disk_bytes(done).values()) == 0
    batch = next(batch for batch in done.plan.batches.values() if batch.step == "measure")
    assert done.need("measure", done.plan.to_make(batch)) == SMALL
    assert "0 jobs with a model or its regions are left, for 0 artifacts" in "\n".join(lines(done))


def test_what_is_deleted_is_counted_again(plan: Plan) -> None:
    fresh = dataclasses.replace(plan)
    gone = fresh.regions["micro", "snip"]["syn_steal"]
    report = next(iter(fresh.targets))
    for made in (gone, fresh.overlaps["micro", "snip"], report):
        Path(made.receipt).unlink()
    left = Asking(fresh, gpu_seen=False)
    assert [(job.step, job.artifacts) for job in left.jobs] == [
        ("measure", [gone]),
        ("overlap", [fresh.overlaps["micro", "snip"]]),
    ]
    (cost,) = costs(left)
    assert (cost.model, cost.jobs, cost.artifacts) == ("micro", 2, 2)
    assert cost.hours["select"] == 0 < cost.hours["measure"]
    assert disk_bytes(left)["models"] == disk_bytes(left)["statistics"] == 0 < disk_bytes(left)["regions"]
    Path(gone.pointer).write_text("outs:\n- md5: 0\n  size: 5\n")
    away = Asking(dataclasses.replace(plan), gpu_seen=False)
    assert [job.step for job in away.jobs] == ["overlap"]
    assert disk_bytes(away)["regions"] == 0
    assert any("1 artifacts that were published" in line for line in lines(away))


def test_an_adapter_that_was_published_is_not_trained(plan: Plan) -> None:
    adapter, region = plan.adapters["micro", "nlsr"], plan.regions["micro", "nlsr"]["syn_steal"]
    for made in (adapter, region, plan.overlaps["micro", "nlsr"], plan.targets[0]):
        Path(made.receipt).unlink()
    assert [job.step for job in Asking(dataclasses.replace(plan), gpu_seen=False).jobs] == [
        "select",
        "overlap",
        "train",
    ]
    Path(adapter.pointer).write_text("outs:\n- md5: 0\n  size: 5\n")
    assert [job.step for job in Asking(dataclasses.replace(plan), gpu_seen=False).jobs] == ["select", "overlap"]


def test_the_estimate_is_a_table_with_sums(copy_with_large: WorkingCopy) -> None:
    copy_with_large.change(models=["micro", "large", "unknown"])
    here = asking(copy_with_large, gpu_memory_gb=80, gpus_per_node=8)
    _, heads, micro, large, unknown, sums, *rest = lines(here)
    found = {cost.model: cost for cost in costs(here)}
    assert [row.split()[0] for row in (micro, large, unknown, sums)] == ["micro", "large", "unknown", "3"]
    assert large.split()[1] == "8.03B"
    hours = sum(sum(cost.hours.values()) for cost in found.values())
    gpu_hours = sum(cost.gpu_hours for cost in found.values())
    columns, cells = (re.split(" {2,}", line.strip()) for line in (heads, sums))
    values = dict(zip(columns, cells[1:], strict=True))
    assert float(values["all"]) == pytest.approx(hours, abs=0.1)
    assert float(values["GPU hours"]) == pytest.approx(gpu_hours, abs=0.1)
    assert found["large"].gpu_hours > sum(found["large"].hours[step] for step in ON_GPU)
    assert any("nothing is known of them: unknown" in line for line in rest)
    assert any(line.startswith("Disk: ") and "models 48.1 GB" in line for line in rest)
    assert max(len(line) for line in (heads, micro, large, unknown, sums)) < 150


def test_the_prepared_configuration_makes_the_estimate_sharper(copy_with_large: WorkingCopy) -> None:
    copy_with_large.change(models=["unknown"])
    before = asking(copy_with_large, gpu_memory_gb=80)
    needed = asked(before, "unknown", before.mem_mib)
    folder = before.plan.models["unknown"]
    make(folder)
    config = {
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "intermediate_size": 8192,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128_256,
    }
    Path(folder.outputs[0]).write_text(json.dumps(config))
    after = asking(copy_with_large, gpu_memory_gb=80)
    assert after.size([folder]) == size_from_config(config, "float32")
    assert asked(after, "unknown", after.mem_mib)["respond"] < needed["respond"]


def test_the_command_takes_the_machine_from_a_profile(
    copy_with_large: WorkingCopy, capsys: pytest.CaptureFixture
) -> None:
    def said(*words: str) -> str:
        parser = argparse.ArgumentParser()
        estimate.configure(parser)
        estimate.run(parser.parse_args(["--configfile", "config/micro.yaml", *words]))
        return capsys.readouterr().out

    copy_with_large.change(models=["large"], machine={})
    # Four of 80 GB stand in the profile; without it, one of 80 GB is assumed.
    assert "snakemake would refuse this run" not in said("--profile", "profiles/slurm")
    assert "expected: at most 4 GPUs of 24 GB" in said("--profile", "profiles/slurm", "--gpu-memory-gb", "24")
    assert "expected: at most 1 GPU of 80 GB" in said()
    on_cpu = said("--gpu-memory-gb", "0")
    assert "GPU" not in on_cpu and re.search(r"reach \d+ GFLOPS in float32 and \d+ in bfloat16", on_cpu)
    # The nodes of a cluster are other machines.
    assert "GFLOPS" not in said("--profile", "profiles/slurm", "--gpu-memory-gb", "0")
    with pytest.raises(UserError, match="no profile"):
        said("--profile", "profiles/nowhere")
