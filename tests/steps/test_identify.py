"""The step that measures: methods of one sample together or one by one give the same files, from all pairs or from half
of them.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from random_models import random_model
from some_recipes import some_recipe

from safety_regions.artifacts import receipts
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.layouts import LAYOUTS, Claim
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.config.run import Machine
from safety_regions.data.halves import half_of
from safety_regions.errors import UserError
from safety_regions.files import write_jsonl
from safety_regions.models.load import LoadedModel, place, read_weights
from safety_regions.regions.format import open_region, read_levels
from safety_regions.steps.entry import Entry
from safety_regions.steps.measure import _model_for, by_sample, measure
from safety_regions.steps.samples import _report_left_out

ROWS = [
    {
        "id": str(i),
        "prompt": f"ask {'a' * i}",
        "response": f"say {i}",
        "finished": i != 1,
        "refused": i % 3 == 0,
        "degenerate": i % 3 == 1,
        "foreign": i == 2,
    }
    for i in range(5)
]
MACHINE = Machine(batch_tokens=64)


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """A file of pairs with its receipt; the model of every entry is a small random one."""
    loaded = random_model("llama")
    monkeypatch.setattr(Entry, "model", lambda entry, device, streamed: loaded)
    path = tmp_path / "pairs.jsonl"
    write_jsonl(path, ROWS)
    receipts.write(path, {"kind": "pairs"}, {})
    return path


def test_streamed_layers_make_the_same_files_and_receipts_and_run_facts_tell(tmp_path, pairs, monkeypatch):
    stored = random_model("llama")
    stored.model.save_pretrained(tmp_path / "model")

    def model(entry, device, streamed):
        read = read_weights(str(tmp_path / "model"), torch.float32, streamed=streamed)
        layers = place(read.requires_grad_(False).eval(), device, streamed=streamed)
        return LoadedModel(read, stored.tokenizer, None, (1,), layers)

    monkeypatch.setattr(Entry, "model", model)
    made = {way: entries(tmp_path / way, pairs) for way in ("held", "streamed")}
    for way, of_way in made.items():
        measure(of_way, Machine(batch_tokens=64, device="cpu", layers=way))
        for entry in of_way:
            assert json.loads(receipts.run_path(entry.path).read_text())["layers"] == way
    for held, streamed in zip(*made.values(), strict=True):
        for path_of in (Path, receipts.receipt_path):
            assert path_of(held.path).read_bytes() == path_of(streamed.path).read_bytes()


def test_a_method_with_passes_of_its_own_gets_a_model_that_is_held(tmp_path, monkeypatch):
    asked, loaded = [], LoadedModel(None, None, None, (1,))
    monkeypatch.setattr(Entry, "model", lambda entry, device, streamed: asked.append(streamed) or loaded)
    for name, layers in (("wanda", "streamed"), ("safelayer", "streamed"), ("ssah", "streamed"), ("wanda", "held")):
        recipe = some_recipe("statistics", model="m", pairs="a", method=name, part=None)
        _model_for([Entry(tmp_path / name, recipe, {})], Machine(layers=layers))
    assert asked == [True, False, False, False]


def entries(folder, pairs, part=None, end_of_turn=None):
    """Of SNIP, Wanda and SafeNeuron on these pairs."""
    folder.mkdir(exist_ok=True)
    found = []
    for name in ("snip", "wanda", "safeneuron"):
        info = CATALOGUE[name]
        options = options_of(name, {}).model_dump(mode="json", exclude={*info.selecting})
        recipe = {"method": name, "version": info.version, "options": options, "model": "m"}
        recipe |= {"pairs": receipts.read(pairs).digest} | ({"part": part} if part else {})
        if info.reads_responses and end_of_turn is not None:
            recipe["end_of_turn"] = end_of_turn
        cut = {"kind": "region", "grid": [0.01, 0.05], "scope": "matrix", "selection": VERSIONS["selection"]}
        recipe |= {"kind": "statistics"} if info.keeps_statistics else cut
        found.append(Entry.parse(str(folder / name), recipe, {"pairs": str(pairs)}))
    return found


@pytest.mark.parametrize("part", [None, {"split": 0, "half": 1}, {"split": 3, "half": 0}, {"first": 5}])
def test_files_are_the_same_made_together_or_one_by_one(tmp_path, pairs, part):
    together, alone = (entries(tmp_path / name, pairs, part) for name in ("together", "alone"))
    measure(together, MACHINE)
    for entry in alone:
        measure([entry], MACHINE)
    rows = half_of(ROWS, part["split"], part["half"]) if part and "split" in part else ROWS[: part and part["first"]]
    for one, other in zip(together, alone, strict=True):
        first, second = (receipts.check(entry.path, entry.digest) for entry in (one, other))
        assert (first.files, first.facts) == (second.files, second.facts)
        assert first.facts["n_samples"] == len(rows)
        assert first.facts["share_refused"] == round(sum(row["refused"] for row in rows) / len(rows), 6)
        assert first.facts["share_degenerate"] == round(sum(row["degenerate"] for row in rows) / len(rows), 6)
        assert first.facts["n_distinct_responses"] == len({row["response"] for row in rows})
        assert first.facts["n_foreign"] == sum(row["foreign"] for row in rows)
        assert first.facts["n_cut"] == sum(not row["finished"] for row in rows)
        assert first.facts["n_empty"] == 0


def test_a_method_that_is_not_right_for_the_model_is_refused(tmp_path, pairs, monkeypatch):
    monkeypatch.setitem(LAYOUTS, "llama", replace(LAYOUTS["llama"], claim=Claim(("snip", "wanda"), "it is another")))
    snip, wanda, safeneuron = entries(tmp_path / "out", pairs)
    with pytest.raises(UserError, match="safeneuron is not right for models of type 'llama': it is another"):
        measure([snip, wanda, safeneuron], MACHINE)
    assert not any((tmp_path / "out").iterdir())
    measure([wanda], MACHINE)


def test_pairs_without_a_token_are_left_out_and_counted(tmp_path, pairs, capfd):
    """What is made is what the other pairs alone give."""
    empty = ROWS[0] | {"id": "none-000000", "response": "", "finished": False}
    made, others = {}, [row | {"id": f"more-{row['id']}"} for row in ROWS]
    for name, rows in {"with": [*ROWS, empty, *others], "without": [*ROWS, *others]}.items():
        path = pairs.with_name(f"{name}.jsonl")
        write_jsonl(path, rows)
        receipts.write(path, {"kind": "pairs", "name": name}, {})
        made[name] = entries(tmp_path / name, path)[1:]  # A region names its pairs.
        measure(made[name], MACHINE)
    assert "1 of 11 responses without a single token: none-000000; left out" in capfd.readouterr().err
    for one, other in zip(made["with"], made["without"], strict=True):
        first, second = receipts.read(one.path), receipts.read(other.path)
        different = {
            key: (first.facts[key], second.facts[key]) for key in first.facts if first.facts[key] != second.facts[key]
        }
        assert first.files == second.files and different == {"n_left_out": (1, 0), "n_empty": (1, 0)}


def test_too_many_pairs_without_a_token_are_refused(tmp_path, pairs):
    path = pairs.with_name("empty.jsonl")
    write_jsonl(path, [*ROWS, *(ROWS[0] | {"id": f"none-{n}", "response": "", "finished": False} for n in range(6))])
    receipts.write(path, {"kind": "pairs"}, {})
    with pytest.raises(
        UserError, match=r"6 of 11 responses without a single token: none-0, .*, none-4, \.\.\.(?s:.*)no more than 10%"
    ):
        measure(entries(tmp_path / "e", path), MACHINE)


def test_what_is_left_out_is_named_up_to_five(capsys):
    _report_left_out([f"x-{n}" for n in range(5)], 100, "here")
    assert "5 of 100 responses without a single token: x-0, x-1, x-2, x-3, x-4; left out" in capsys.readouterr().err


def test_halves_give_other_statistics_than_the_whole(tmp_path, pairs):
    made = [
        entries(tmp_path / str(n), pairs, part)[1]
        for n, part in enumerate([None, {"split": 0, "half": 0}, {"split": 0, "half": 1}])
    ]
    for entry in made:
        measure([entry], MACHINE)
    assert len({receipts.read(entry.path).files["wanda"] for entry in made}) == 3


def levels_of(path):
    with open_region(path) as region:
        return np.concatenate([read_levels(region, name).flatten() for name in region.names])


def test_the_token_that_ends_a_response_can_be_left_out(tmp_path, pairs):
    """What is made is what unfinished responses give; its receipts count one token less for each of the others."""
    path = pairs.with_name("unfinished.jsonl")
    write_jsonl(path, [row | {"finished": False} for row in ROWS])
    receipts.write(path, {"kind": "pairs", "unfinished": True}, {})
    without = entries(tmp_path / "without", pairs, end_of_turn=False)
    made = [entries(tmp_path / "all", pairs), without, entries(tmp_path / "unfinished", path)]
    for every in made:
        for group in by_sample(every):
            measure(group, MACHINE)
    with_end, without_end, unfinished = ([receipts.read(entry.path) for entry in every] for every in made)
    assert without_end[1].files == unfinished[1].files != with_end[1].files
    of_all, of_text, of_unfinished = (levels_of(every[0].path) for every in made)
    assert np.array_equal(of_text, of_unfinished) and not np.array_equal(of_text, of_all)
    assert without_end[2].files == with_end[2].files
    lengths = [r.facts["mean_response_tokens"] for r in (with_end[1], without_end[1])]
    assert lengths[0] - lengths[1] == pytest.approx(4 / 5)


def test_receipts_of_methods_that_read_prompts_count_the_users_own_text(tmp_path, pairs):
    made = entries(tmp_path / "made", pairs)
    measure(made, MACHINE)
    told = {entry.path.name: receipts.read(entry.path).facts.get("mean_content_tokens") for entry in made}
    assert told == {"snip": None, "wanda": None, "safeneuron": sum(len(row["prompt"].strip()) for row in ROWS) / 5}


def other_pairs(pairs):
    """A second file of pairs beside the first."""
    path = pairs.with_name("others.jsonl")
    write_jsonl(path, ROWS[:3])
    receipts.write(path, {"kind": "pairs", "other": True}, {})
    return path


def test_files_are_the_same_however_the_work_is_cut_into_jobs(tmp_path, pairs):
    """All in one job, in the opposite order, a job for each set, a job for each artifact."""
    made = {}
    for name in ("one", "turned", "sets", "artifacts"):
        first, second = (entries(tmp_path / f"{name}{n}", path) for n, path in enumerate([pairs, other_pairs(pairs)]))
        every = first + second
        jobs = {"one": [every], "turned": [every[::-1]], "sets": [second, first]}
        for job in jobs.get(name, [[entry] for entry in every]):
            for group in by_sample(job):
                measure(group, MACHINE)
        made[name] = [receipts.check(entry.path, entry.digest).files for entry in every]
    assert len({*map(str, made["one"])}) == 6
    assert made["turned"] == made["sets"] == made["artifacts"] == made["one"]
