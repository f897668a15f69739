"""Fine-tuning with weights frozen, and weights put back after it: bits, and a model whose truth is planted."""

import hashlib
import math
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from one_matrix import DECIDES, FINE, HARM, LESSON, OTHERS, REFUSAL, lessons, one_matrix_model
from random_masks import packed, random_masks
from random_models import random_model, random_samples

from safety_regions.claims.constrained import concentrations
from safety_regions.constraining.finetune import Checkpoint, Lora, Tuning, fine_tuned
from safety_regions.constraining.moved import Moved, moved
from safety_regions.constraining.places import copied, n_weights, places_of, put_back, sha256_of_bits
from safety_regions.constraining.rewind import rewound
from safety_regions.models.architecture import matrix_of, projections
from safety_regions.models.generate import generate
from safety_regions.models.outcomes import Outcome, outcome_of
from safety_regions.models.training import Schedule, reproducible, train

TUNINGS = {"full": None, "lora": Lora(4, 8.0)}
SHORT = Tuning(Schedule(3e-2, 6, 2, 0, weight_decay=0.1), (3, 6))


def test_where_nothing_is_frozen_the_change_is_told_and_none_of_it_is_inside():
    loaded = random_model("llama")
    matrices = projections(loaded.model)
    aligned = copied(matrices)
    with torch.no_grad():
        matrices[0].module.weight[0, 0] += 0.5
    found = moved(matrices, aligned, {})
    assert found[0].change == pytest.approx(0.25) and {of.change for of in found[1:]} == {0.0}
    assert {(of.n_inside, of.change_inside) for of in found} == {(0, 0.0)}


def all_but(places):
    """The other weights of the same modules."""
    return {module: ~inside for module, inside in places.items()}


def concentration(found):
    """As the claim about moved weights has it, of one seed."""
    (share,) = concentrations(pd.DataFrame([asdict(of) | {"seed": 0} for of in found]))
    return share


def places_in(loaded, share=0.3, seed=0):
    matrices = projections(loaded.model)
    return places_of(matrices, packed(random_masks({p.name: p.shape for p in matrices}, share, seed)))


def only(loaded, *names):
    """The whole of some matrices."""
    matrices = projections(loaded.model)
    return places_of(matrices, packed({p.name: np.full(p.shape, p.name in names) for p in matrices}))


def bits(tensor):
    return tensor.detach().contiguous().view(torch.uint8).clone()


def tuned(loaded, frozen, tuning, samples=None, at=lambda checkpoint: None):
    samples = samples or random_samples(6)
    return fine_tuned(loaded, samples, samples, tuning, frozen, at)


@pytest.mark.parametrize("tuning", TUNINGS)
def test_mixed_are_the_products_of_training_and_nothing_else(tuning):
    """Weights stay float32, frozen ones to the bit, and the model is asked in float32."""
    loaded, products, asked = random_model("llama"), [], []
    loaded.model.model.layers[0].mlp.up_proj.register_forward_hook(
        lambda module, _, output: (products if module.training else asked).append(output.dtype)
    )
    frozen = places_in(loaded)
    digest = sha256_of_bits(frozen)
    mixed = replace(SHORT, schedule=replace(SHORT.schedule, mixed=True), lora=TUNINGS[tuning])
    with tuned(loaded, frozen, mixed) as course:
        assert sha256_of_bits(frozen) == digest
        assert {weight.dtype for weight in loaded.model.parameters()} == {torch.float32}
        assert any(course.losses[0] > loss for loss in course.losses[1:])
    assert set(products) == {torch.bfloat16} and set(asked) == {torch.float32}


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", ["llama", "phi3", "gpt2"])
def test_no_frozen_weight_differs_and_the_others_move(family, dtype, tuning):
    loaded = random_model(family, dtype=dtype)
    for module in places_in(loaded):
        # Adding a zero would turn the sign of these.
        matrix_of(module)[:, :3] = -0.0
    frozen = places_in(loaded)
    before, digest = copied(projections(loaded.model)), sha256_of_bits(frozen)
    seen = []

    def at(checkpoint):
        seen.append(sha256_of_bits(frozen))

    with tuned(loaded, frozen, Tuning(SHORT.schedule, SHORT.steps, lora=TUNINGS[tuning]), at=at):
        assert sha256_of_bits(frozen) == digest and seen == [digest, digest]
        for module, inside in frozen.items():
            assert torch.equal(bits(matrix_of(module)[inside]), bits(before[module][inside]))
            assert (matrix_of(module)[~inside] != before[module][~inside]).float().mean() > 0.5
    assert all(torch.equal(bits(matrix_of(module)), bits(weights)) for module, weights in before.items())
    assert not any(weight.requires_grad for weight in loaded.model.parameters())


def test_a_frozen_weight_takes_no_part_in_clipping_and_moments():
    """A model of which all but one matrix is frozen learns as one in which that matrix alone has a gradient."""
    loaded, samples = random_model("llama"), random_samples(6)
    (module,) = [p.module for p in projections(loaded.model) if p.name == "0.q"]
    with tuned(loaded, all_but(only(loaded, "0.q")), SHORT, samples):
        constrained = module.weight.detach().clone()
    module.weight.requires_grad_(True)
    with reproducible(0):
        train(loaded.model, samples, SHORT.schedule, "test")
    assert torch.equal(module.weight, constrained)


@pytest.mark.parametrize("tuning", TUNINGS)
def test_the_same_training_gives_the_same_weights(tuning):
    loaded = random_model("llama")
    digests = []
    for _ in range(2):
        with tuned(loaded, {}, Tuning(SHORT.schedule, SHORT.steps, lora=TUNINGS[tuning])):
            digests.append(sha256_of_bits(all_but(places_in(loaded, 0.0))))
    assert digests[0] == digests[1]


def test_a_model_that_fails_in_training_is_as_it_was_before():
    loaded = random_model("llama")
    before = copied(projections(loaded.model))

    def fail(checkpoint):
        raise RuntimeError("stop")

    for lora in TUNINGS.values():
        with (
            pytest.raises(RuntimeError, match="stop"),
            tuned(loaded, places_in(loaded), Tuning(SHORT.schedule, (2,), lora=lora), at=fail),
        ):
            pass
        assert all(torch.equal(bits(module.weight), bits(weights)) for module, weights in before.items())


def test_checkpoints_are_at_steps_and_where_the_loss_has_fallen():
    loaded = one_matrix_model()
    seen: list[Checkpoint] = []
    tuning = Tuning(Schedule(2e-3, 12, 4, 0), (5, 12), losses=(0.9, 0.5, -1.0), every=2)
    with tuned(loaded, {}, tuning, lessons(), at=seen.append) as course:
        named = {checkpoint.name: checkpoint for checkpoint in seen}
        assert list(named) == sorted(named, key=lambda name: named[name].step)
        assert {"step 5", "step 12", "loss 0.9", "loss 0.5"} == set(named)
        for share in (0.9, 0.5):
            found = named[f"loss {share:g}"]
            earlier = [look.loss for step, look in course.looks.items() if step < found.step]
            assert found.benign.loss <= share * course.before.loss < min([math.inf, *earlier])
        assert list(course.looks) == sorted({*range(2, 13, 2), 5})
        assert len(course.losses) == 12


def test_places_of_a_fused_matrix_are_at_its_rows():
    loaded = random_model("phi3")
    places = only(loaded, "1.k")
    (module,) = [m for m, inside in places.items() if inside.any()]
    (p,) = [p for p in projections(loaded.model) if p.name == "1.k"]
    assert module is p.module and places[module][p.rows].all() and n_weights(places) == math.prod(p.shape)
    assert n_weights(all_but(places)) == sum(m.weight.numel() for m in places) - n_weights(places)


def test_the_digest_is_of_the_bits_of_the_places_alone():
    loaded = random_model("llama")
    places = places_in(loaded)
    literal = b"".join(m.weight.detach()[inside].numpy().tobytes() for m, inside in places.items())
    assert sha256_of_bits(places) == hashlib.sha256(literal).hexdigest()
    module = next(iter(places))
    module.weight.detach()[~places[module]] += 1
    assert sha256_of_bits(places) == hashlib.sha256(literal).hexdigest()


def test_rewinding_puts_the_places_back_and_the_trained_weights_return():
    loaded = random_model("phi3")
    matrices, places = projections(loaded.model), places_in(loaded)
    aligned = copied(matrices)
    for module in places:
        module.weight.detach().add_(0.1)
    trained = copied(matrices)
    with rewound(aligned, places):
        for module, inside in places.items():
            assert torch.equal(module.weight[inside], aligned[module][inside])
            assert torch.equal(module.weight[~inside], trained[module][~inside])
    assert all(torch.equal(module.weight, weights) for module, weights in trained.items())
    put_back(aligned)
    assert all(torch.equal(module.weight, weights) for module, weights in aligned.items())


def test_movement_is_told_apart_inside_and_outside():
    loaded = random_model("phi3")
    matrices, places = projections(loaded.model), places_in(loaded, 0.25)
    aligned = copied(matrices)
    for module, inside in places.items():
        module.weight.detach().add_(torch.where(inside, 2.0, 1.0))
    found = moved(matrices, aligned, places)
    assert [m.matrix for m in found] == [p.name for p in matrices]
    for m, p in zip(found, matrices, strict=True):
        assert m.n_weights == math.prod(p.shape)
        assert m.change_inside == pytest.approx(4 * m.n_inside, rel=1e-5)
        assert m.change == pytest.approx(4 * m.n_inside + m.n_weights - m.n_inside, rel=1e-5)
    share = sum(m.n_inside for m in found) / sum(m.n_weights for m in found)
    assert concentration(found) == pytest.approx(4 / (4 * share + 1 - share), rel=1e-5)


def test_concentration_is_one_where_all_moves_alike_and_undefined_where_nothing_does():
    assert concentration([Moved("0.q", 10, 4, 5.0, 2.0), Moved("0.k", 10, 2, 5.0, 1.0)]) == pytest.approx(1)
    assert math.isnan(concentration([Moved("0.q", 10, 4, 0.0, 0.0)]))
    assert math.isnan(concentration([Moved("0.q", 10, 0, 1.0, 0.0)]))


LESSON_PLAN = Tuning(Schedule(2e-3, 12, 4, 0), (12,))


def outcome(loaded):
    (answer,) = generate(loaded, ["harm"], 1)
    return outcome_of(answer.text)


def first_token(loaded, token):
    with torch.inference_mode():
        return int(loaded.model(input_ids=torch.tensor([[token]])).logits[0, -1].argmax())


def test_the_planted_model_refuses_and_benign_lessons_undo_it():
    loaded = one_matrix_model()
    assert outcome(loaded) is Outcome.REFUSES and first_token(loaded, HARM) == REFUSAL
    with tuned(loaded, {}, LESSON_PLAN, lessons()):
        assert outcome(loaded) is Outcome.ANSWERS
        assert first_token(loaded, FINE) == LESSON
    assert outcome(loaded) is Outcome.REFUSES


def test_freezing_the_matrix_that_decides_protects_and_freezing_another_does_not():
    loaded = one_matrix_model()
    with tuned(loaded, only(loaded, DECIDES), LESSON_PLAN, lessons()):
        assert outcome(loaded) is Outcome.REFUSES
    for name in OTHERS:
        with tuned(loaded, only(loaded, name), LESSON_PLAN, lessons()):
            assert outcome(loaded) is Outcome.ANSWERS, name
    with tuned(loaded, all_but(only(loaded, DECIDES)), LESSON_PLAN, lessons()):
        assert outcome(loaded) is Outcome.ANSWERS, "the matrix alone can unlearn it"


def test_rewinding_the_matrix_that_decides_restores_and_rewinding_another_does_not():
    loaded = one_matrix_model()
    with tuned(loaded, {}, LESSON_PLAN, lessons()) as course:
        for name in (DECIDES, *OTHERS):
            with rewound(course.aligned, only(loaded, name)):
                assert outcome(loaded) is (Outcome.REFUSES if name == DECIDES else Outcome.ANSWERS), name
        assert outcome(loaded) is Outcome.ANSWERS
