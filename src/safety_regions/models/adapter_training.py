"""Training a LoRA safety adapter: to refuse harmful prompts and to answer harmless ones.

Supervised fine-tuning on responses; DPO is not offered.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from safety_regions.config.base import Id
from safety_regions.config.methods import Adapter
from safety_regions.config.models import AlignedModel
from safety_regions.data.sample import sample
from safety_regions.errors import UserError
from safety_regions.files import read_jsonl, readable_json, sha256_of_text, write_text
from safety_regions.models.adapter import ADAPTER, ADAPTER_CONFIG
from safety_regions.models.answers import is_refusal
from safety_regions.models.architecture import linears, projections
from safety_regions.models.generate import generate
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample, encode_pair
from safety_regions.models.training import Schedule, reproducible, train

REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I can't help with that request, because it could hurt someone.",
    "I'm sorry, but I won't assist with this. If you are in a difficult situation, please talk to someone you trust.",
    "I cannot help with this. I would be glad to help with something safe instead.",
    "Sorry, that is not something I can assist with.",
    "I won't help with that, since it may cause harm. Is there something else you would like to do?",
)
"""Each harmful prompt is answered with the one that its sha256 picks."""
MAX_PROMPT_TOKENS, MAX_RESPONSE_TOKENS = 96, 32
"""Longer prompts are left out of training and longer responses cut there; both are counted in the receipt."""
HARMLESS_SHARE = 0.75
"""Of the draws in training. Refusing is learnt fast and spreads to whatever is worded alike; helping has to hold it
back."""
MAX_NEW_TOKENS = 16
FEWEST = 20


class Decided(Adapter):
    """Options of an adapter with nothing left for the run's configuration to decide, as recipes have them."""

    harmful: list[Id] = Field(min_length=1)
    harmless: list[Id] = Field(min_length=1)
    offset: int = Field(ge=0)


Training = Decided | AlignedModel
"""What says how an adapter is trained: data, rank, alpha, schedule, seed."""


@dataclass(frozen=True)
class Split:
    """Rows of one dataset: asked before and after training, and trained on."""

    harmful: bool
    held_out: list[dict]
    training: list[dict]


def read_splits(training: Training, data: dict[str, Path]) -> dict[str, Split]:
    """The rows of each dataset that training names; `data`: fetched rows by dataset, checked.

    Raises `UserError` for missing rows, too few of them, or a harmless row without a response.
    """
    return {name: _split(training, name, data) for name in [*training.harmful, *training.harmless]}


def train_and_merge(
    training: Training, loaded: LoadedModel, splits: dict[str, Split], folder: Path, dtype: str
) -> tuple[LoadedModel, dict]:
    """Train an adapter on a float32 model and save it in `folder`; returns the merged model in `dtype`, and the facts.

    `loaded` itself becomes the merged model. The facts hold, for each dataset, how many prompts were trained on and
    what share, in [0, 1], of the held-out ones is refused before and after; losses are in nats per token.
    """
    samples, facts = _training_samples(loaded, splits)
    with reproducible(training.seed):
        before = refusal_rates(loaded, splits, "asking before training")
        peft_model = with_lora(loaded.model, training.rank, training.alpha)
        losses = train(
            peft_model,
            samples,
            Schedule(training.learning_rate, training.steps, training.batch_size, training.seed),
            "training the adapter",
        )
        save_lora(peft_model, folder)
        model = peft_model.merge_and_unload().to(getattr(torch, dtype))
        merged = LoadedModel(model, loaded.tokenizer, loaded.plain_template, loaded.eos_ids)
        after = refusal_rates(merged, splits, "asking after training")
    facts |= {"first_loss": round(losses[0], 4), "final_loss": round(sum(losses[-5:]) / len(losses[-5:]), 4)}
    return merged, facts | {"refusal_rate_before": before, "refusal_rate_after": after}


def _split(training: Training, name: str, data: dict[str, Path]) -> Split:
    if name not in data:
        raise UserError(f"the rows of dataset {name} are not given", where="--data", expected=f"{name}=PATH")
    rows, harmful = read_jsonl(data[name]), name in training.harmful
    # Without an offset that makes room for them, held-out prompts come first and training starts after them.
    start = max(training.offset, training.n_held_out)
    left = len(rows) - start
    if left < FEWEST:
        raise UserError(
            f"{len(rows)} rows",
            where=f"dataset {name}",
            expected=f"at least {start + FEWEST}: {start} before training starts, and {FEWEST} for it",
            hint="lower `offset` or `n_held_out` of the training",
        )
    held_out = sample(rows, [], training.n_held_out, training.seed)
    trained = sample(rows, [], min(training.n_samples, left), training.seed, start)
    silent = [row["id"] for row in trained if not (harmful or row["response"])]
    if silent:
        raise UserError(
            f"{len(silent)} rows without a response, such as {silent[0]}",
            where=f"dataset {name}",
            expected="a response for every harmless prompt",
            hint="name the column with `response` in the dataset registry",
        )
    return Split(harmful, held_out, trained)


def _training_samples(loaded: LoadedModel, splits: dict[str, Split]) -> tuple[list[Sample], dict]:
    classes: dict[bool, list[Sample]] = {True: [], False: []}
    counts, n_long, n_cut = {}, 0, 0
    for name, split in splits.items():
        encoded = [_encode(loaded, row, split.harmful) for row in split.training]
        short = [s for s in encoded if s.n_prompt <= MAX_PROMPT_TOKENS]
        if not short:
            raise UserError(
                f"no prompt of at most {MAX_PROMPT_TOKENS} tokens to train on",
                where=f"dataset {name}",
                hint="leave this dataset out of the training's `harmful` or `harmless`",
            )
        n_long += len(encoded) - len(short)
        n_cut += sum(len(s.input_ids) > s.n_prompt + MAX_RESPONSE_TOKENS for s in short)
        classes[split.harmful] += [
            Sample(s.id, s.input_ids[: s.n_prompt + MAX_RESPONSE_TOKENS], s.n_prompt) for s in short
        ]
        counts[name] = len(short)
    facts = {"n_training": counts, "n_too_long_left_out": n_long, "n_responses_cut": n_cut}
    return _weighted(classes[True], classes[False]), facts


def _weighted(harmful: list[Sample], harmless: list[Sample]) -> list[Sample]:
    """Both classes, the harmless one repeated until it makes up `HARMLESS_SHARE` of the whole."""
    wanted = max(len(harmless), round(len(harmful) * HARMLESS_SHARE / (1 - HARMLESS_SHARE)))
    return harmful + [harmless[i % len(harmless)] for i in range(wanted)]


def _encode(loaded: LoadedModel, row: dict, harmful: bool) -> Sample:
    response = refusal_for(row["prompt"]) if harmful else row["response"]
    return encode_pair(
        loaded.tokenizer,
        row["prompt"],
        response,
        eos_ids=loaded.eos_ids,
        plain_template=loaded.plain_template,
        id=row["id"],
    )


def refusal_for(prompt: str) -> str:
    """The refusal that a prompt is answered with in training: the same one every time."""
    return REFUSALS[int(sha256_of_text(prompt), 16) % len(REFUSALS)]


def refusal_rates(loaded: LoadedModel, splits: dict[str, Split], doing: str) -> dict[str, float]:
    """Share, in [0, 1], of each dataset's held-out prompts that the model's greedy answer refuses."""
    prompts = [row["prompt"] for split in splits.values() for row in split.held_out]
    answers = iter(generate(loaded, prompts, MAX_NEW_TOKENS, doing=doing))
    refused = {name: [is_refusal(next(answers).text) for _ in split.held_out] for name, split in splits.items()}
    return {name: round(sum(flags) / len(flags), 4) for name, flags in refused.items()}


def with_lora(model: Any, rank: int, alpha: float) -> Any:
    """The model as a peft model with a fresh adapter on every scored linear, from torch's current generator."""
    from peft import LoraConfig, get_peft_model

    scored = set(linears(projections(model)))
    # By full names: encoders of images have linears of the same last names.
    targets = [name for name, module in model.named_modules() if module in scored]
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=targets,
        task_type="CAUSAL_LM",
        fan_in_fan_out=not all(isinstance(module, nn.Linear) for module in scored),
    )
    with warnings.catch_warnings():
        # peft still reads an attribute by the name that transformers 5 deprecates.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        return get_peft_model(model, config)


def save_lora(peft_model: Any, folder: Path) -> None:
    """Write the adapter's weights, under peft's names, and its configuration."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    state = get_peft_model_state_dict(peft_model)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()},
        folder / ADAPTER,
        metadata={"format": "pt"},
    )
    config = peft_model.peft_config["default"]
    names = {linear.split(".lora_")[0].rsplit(".", 1)[-1] for linear in state}
    kept = {"r": config.r, "lora_alpha": config.lora_alpha, "target_modules": sorted(names)}
    kept |= {"peft_type": "LORA", "task_type": "CAUSAL_LM", "bias": "none", "lora_dropout": 0.0}
    write_text(folder / ADAPTER_CONFIG, readable_json(kept))
