"""A classifier that tells what became of a prompt, in place of the patterns of `safety_regions.models.outcomes`.

It reads an answer, alone or behind its prompt, and the class with the largest logit is the outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from safety_regions.config.models import ClassifierModel
from safety_regions.errors import UserError
from safety_regions.models.load import pick_device, read_prepared, refuse_other_weights
from safety_regions.models.outcomes import Outcome
from safety_regions.progress import progress

BATCH_SIZE = 16


@dataclass(frozen=True)
class Judge:
    """A sequence classifier in evaluation mode, with the outcome of each of its classes."""

    model: Any
    tokenizer: Any
    outcomes: tuple[Outcome, ...]
    """By the index of the class."""
    reads_prompt: bool
    """Whether it reads the prompt before the answer."""
    max_tokens: int
    """Longer texts are cut at their end."""

    @property
    def tells_degenerate(self) -> bool:
        """Whether one of its classes is of degenerate answers."""
        return Outcome.DEGENERATE in self.outcomes

    def tell(self, answers: Sequence[str], prompts: Sequence[str]) -> list[Outcome]:
        """The outcome of each prompt by its answer; of two classes with one logit the first counts.

        Raises `UserError` for logits that are not finite.
        """
        tokens = self.tokenizer(
            *([list(prompts), list(answers)] if self.reads_prompt else [list(answers)]),
            truncation=True,
            max_length=self.max_tokens,
        )
        order = sorted(range(len(answers)), key=lambda i: (len(tokens["input_ids"][i]), tokens["input_ids"][i], i))
        told: dict[int, Outcome] = {}
        with progress(len(order), "judging") as bar:
            for first in range(0, len(order), BATCH_SIZE):
                chunk = order[first : first + BATCH_SIZE]
                logits = self._logits({name: [of[i] for i in chunk] for name, of in tokens.items()})
                told |= {i: self.outcomes[int(row)] for i, row in zip(chunk, logits.argmax(dim=1), strict=True)}
                bar.update(len(chunk))
        return [told[i] for i in range(len(answers))]

    @torch.inference_mode()
    def _logits(self, tokens: dict[str, list[list[int]]]) -> Tensor:
        batch = self.tokenizer.pad(tokens, return_tensors="pt").to(self.model.device)
        logits = self.model(**batch).logits
        if not logits.isfinite().all():
            raise UserError(
                "the judge's logits are NaN or infinite",
                where=str(self.model.config.name_or_path),
                hint="give it dtype: float32 in the model registry",
            )
        return logits


def outcomes_of_labels(config: Mapping[str, Any], labels: Mapping[str, str], where: str) -> tuple[Outcome, ...]:
    """The outcome of each class of a classifier, by the content of its config.json.

    Raises `UserError` if its labels are not those of `labels`, or if it gives a text several at once.
    """
    said = config.get("id2label")
    named = {int(i): str(label) for i, label in said.items() if str(i).isdecimal()} if isinstance(said, Mapping) else {}
    if set(named.values()) != set(labels) or sorted(named) != list(range(len(named))):
        raise UserError(
            f"labels {', '.join(map(repr, labels))}",
            where="model registry, labels",
            expected=f"those of {where}: {', '.join(map(repr, named.values())) or 'none, so it is no classifier'}",
        )
    if config.get("problem_type") == "multi_label_classification":
        raise UserError("a classifier that gives a text several labels", where=where, expected="one label for a text")
    return tuple(Outcome(labels[named[index]]) for index in sorted(named))


@cache
def load_judge(folder: Path, device: str, digest: str) -> Judge:
    """The classifier in a folder made by recipe `digest`, loaded at the first call of a process only.

    Nothing is downloaded, and no code that comes with the model is run. Raises `UserError` as
    `safety_regions.models.load.load_model`.
    """
    recipe, (model, tokenizer) = read_prepared(folder, digest, None, _read)
    source = ClassifierModel.model_validate({"path": str(folder)} | recipe["source"])
    outcomes = outcomes_of_labels(model.config.to_dict(), source.labels, str(folder))
    room = getattr(model.config, "max_position_embeddings", None) or source.max_tokens
    return Judge(
        model.requires_grad_(False).eval().to(pick_device(device)),
        tokenizer,
        outcomes,
        source.reads == "prompt_and_answer",
        min(source.max_tokens, tokenizer.model_max_length, room),
    )


def _read(location: str, revision: str | None, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from safety_regions.models.folder import without_bars

    options = {"revision": revision, "local_files_only": True, "trust_remote_code": False}
    with without_bars():
        tokenizer = AutoTokenizer.from_pretrained(location, **options)
        model, found = AutoModelForSequenceClassification.from_pretrained(
            location, dtype=dtype, use_safetensors=True, output_loading_info=True, **options
        )
    refuse_other_weights(location, found["missing_keys"], [])
    return model, tokenizer
