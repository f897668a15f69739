"""A classifier that tells outcomes: what it reads, what its labels stand for, and what of it is refused."""

import json

import pytest
import torch
from judge_folders import LABELS, THREE, classifier_entry, prepared_judge, save_classifier
from random_models import random_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from safety_regions.config.models import ModelSpec
from safety_regions.errors import UserError
from safety_regions.models import behaviour
from safety_regions.models.answers import Answer
from safety_regions.models.behaviour import Prompt, Questions, with_patterns
from safety_regions.models.judge import Judge, load_judge
from safety_regions.models.outcomes import Outcome
from safety_regions.models.response_loss import ResponseLoss

REFUSES, ANSWERS, DEGENERATE = Outcome
TEXTS = [f"{opening} {i} {'and so on ' * (i % 2)}".strip() for i in range(12) for opening in ("No", "Sure", "Well")]
PROMPTS = [f"Question {i % 7}?" for i in range(len(TEXTS))]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("judge") / "files", THREE)


def literal(files, arguments, labels):
    """One text after the other, without padding, by hand."""
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(files), AutoTokenizer.from_pretrained(files)
    told = []
    for texts in arguments:
        ids = [token for text in texts for token in tokenizer(text)["input_ids"]]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].tolist()
        told.append(Outcome(labels[model.config.id2label[logits.index(max(logits))]]))
    return told


@pytest.mark.parametrize("reads", ["answer", "prompt_and_answer"])
def test_outcomes_are_those_of_the_largest_logits_one_by_one(files, tmp_path, reads):
    digest = prepared_judge(tmp_path / "judge", files, THREE, reads=reads)
    judge = load_judge(tmp_path / "judge", "cpu", digest)
    arguments = [(text,) if reads == "answer" else (prompt, text) for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    told = judge.tell(TEXTS, PROMPTS)
    assert told == literal(files, arguments, THREE)
    assert len(set(told)) > 1 and judge.tells_degenerate


def test_texts_are_cut_at_what_it_can_read(files, tmp_path):
    digest = prepared_judge(tmp_path / "judge", files, THREE, max_tokens=20)
    judge = load_judge(tmp_path / "judge", "cpu", digest)
    told = judge.tell([text[:20] + "!" * 99 for text in TEXTS], PROMPTS)
    assert judge.max_tokens == 20 and told == judge.tell([text.ljust(20, "!")[:20] for text in TEXTS], PROMPTS)
    whole = load_judge(tmp_path / "whole", "cpu", prepared_judge(tmp_path / "whole", files, THREE))
    assert whole.max_tokens == 48


def told(judge, answers, monkeypatch):
    """Of a model that answers so, with these two told by the judge."""
    monkeypatch.setattr(behaviour, "generate", lambda *_, **__: answers)
    monkeypatch.setattr(behaviour, "response_loss", lambda *_: ResponseLoss(1.0, 0.5))
    asked = [Prompt("s", str(i), f"Question {i}?") for i in range(len(answers))]
    questions = Questions(asked[:-1], asked[-1:], [])
    found = behaviour.evaluate(random_model("llama"), questions, 4, damaged=True, judge=judge)
    return found, questions


class Says(Judge):
    """Says the same of every answer."""

    def tell(self, answers, prompts):
        assert prompts == [f"Question {i}?" for i in range(len(answers))]
        return [self.outcomes[0]] * len(answers)


def says(*outcomes):
    return Says(None, None, outcomes, False, 9)


def test_what_has_no_class_of_its_own_stays_degenerate(monkeypatch):
    answers = [
        Answer("Sure, here it is.", True),
        Answer("I.S.S.S.S.", True),
        Answer("I can't help with that.", True, finite=False),
        Answer("I can't help with that.", True),
    ]
    found, questions = told(says(REFUSES, ANSWERS), answers, monkeypatch)
    assert (found.harmful, found.harmless) == ([REFUSES, DEGENERATE, DEGENERATE], [REFUSES])
    assert found.by_patterns == [ANSWERS, DEGENERATE, DEGENERATE, REFUSES]
    rows = found.prompts(questions)
    assert [(row["outcome"], row["by_patterns"]) for row in rows][:2] == [
        ("refuses", "answers"),
        ("degenerate", "degenerate"),
    ]
    assert with_patterns(["a"], rows) == ["a", "by_patterns"]
    found, _ = told(says(REFUSES, DEGENERATE), answers, monkeypatch)
    assert (found.harmful, found.harmless) == ([REFUSES, REFUSES, DEGENERATE], [REFUSES])


def test_patterns_tell_where_there_is_no_judge(monkeypatch):
    found, questions = told(None, [Answer("I can't help with that.", True), Answer("Sure.", True)], monkeypatch)
    assert (found.harmful, found.harmless, found.by_patterns) == ([REFUSES], [ANSWERS], None)
    rows = found.prompts(questions)
    assert with_patterns(["a"], rows) == ["a"] and "by_patterns" not in rows[0]


@pytest.mark.parametrize(
    ("labels", "config", "message"),
    [
        (LABELS, {}, "labels 'REJECTION', 'NORMAL'"),
        (THREE, {"id2label": {"0": "GIBBERISH", "2": "NORMAL", "3": "REJECTION"}}, "labels 'GIBBERISH'"),
        (THREE, {"problem_type": "multi_label_classification"}, "several labels"),
        (THREE, {"quantization_config": {"quant_method": "gptq"}}, "quantised"),
    ],
)
def test_a_classifier_of_other_labels_is_refused(files, tmp_path, labels, config, message):
    copy = tmp_path / "files"
    copy.mkdir()
    for path in files.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "config.json").write_text(json.dumps(json.loads((copy / "config.json").read_text()) | config))
    with pytest.raises(UserError, match=message):
        prepared_judge(tmp_path / "judge", copy, labels)
    assert not (tmp_path / "judge" / "config.json").exists()


def test_weights_that_are_missing_are_not_made_up(files, tmp_path):
    copy = tmp_path / "files"
    copy.mkdir()
    for path in files.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    weights = load_file(copy / "model.safetensors")
    del weights["classifier.weight"]
    # What older classifiers have beside their weights does no harm.
    weights["bert.embeddings.position_ids"] = torch.arange(48)
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    digest = prepared_judge(tmp_path / "judge", copy, THREE)
    with pytest.raises(UserError, match=r"have no classifier\.weight"):
        load_judge(tmp_path / "judge", "cpu", digest)


def test_files_that_are_not_the_pinned_ones_are_refused(files, tmp_path):
    copy = save_classifier(tmp_path / "files", THREE, seed=1)
    digest = prepared_judge(tmp_path / "judge", copy, THREE)
    save_classifier(copy, THREE, seed=2)
    with pytest.raises(UserError, match="changed since it was prepared"):
        load_judge(tmp_path / "judge", "cpu", digest)
    entry = classifier_entry(files, THREE)
    assert entry["source"]["sha256"] != classifier_entry(copy, THREE)["source"]["sha256"]
    with pytest.raises(UserError, match="the files of this classifier have digest"):
        prepared_judge(tmp_path / "other", copy, THREE, sha256=entry["source"]["sha256"])


def test_logits_that_are_not_finite_are_no_outcome(files, tmp_path):
    judge = load_judge(tmp_path / "judge", "cpu", prepared_judge(tmp_path / "judge", files, THREE))
    with torch.no_grad():
        judge.model.classifier.bias.fill_(float("nan"))
    with pytest.raises(UserError, match="the judge's logits are NaN"):
        judge.tell(["Sure."], ["Question?"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "a/b"}, "id and revision go together"),
        ({"path": None}, "neither id and revision"),
        ({"labels": {"a": "answers", "b": "degenerate"}}, "must stand for `refuses`"),
        ({"labels": {"a": "refuses", "b": "refuses"}}, "one for another outcome"),
    ],
)
def test_an_entry_says_where_it_is_and_what_it_tells(change, message):
    source = {"kind": "classifier", "path": "x", "sha256": "0" * 64, "labels": LABELS}
    with pytest.raises(ValueError, match=message):
        ModelSpec.model_validate({"source": source | change, "licence": "L", "citation": "C"})
