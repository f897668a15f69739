"""The model's own answers: greedy, batched, equal to the one-by-one result up to rounding."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from safety_regions.errors import UserError
from safety_regions.models.answers import Answer
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import encode_prompt
from safety_regions.progress import progress

# A constant and not an option: padding changes the last bits of a logit, so the batch size belongs to the method.
BATCH_SIZE = 16


def generate(
    loaded: LoadedModel,
    prompts: Sequence[str],
    max_new_tokens: int,
    batch_size: int = BATCH_SIZE,
    doing: str = "answering",
    *,
    damaged: bool = False,
) -> list[Answer]:
    """Greedy answers in the order of `prompts`, of at most `max_new_tokens` tokens each.

    Raises `UserError`, naming model and prompt, where logits are NaN or infinite; not for a model that is `damaged` on
    purpose, whose answers say so (`Answer.finite`).
    """
    ids = [encode_prompt(loaded.tokenizer, prompt, loaded.plain_template) for prompt in prompts]
    order = sorted(range(len(ids)), key=lambda i: (len(ids[i]), ids[i], i))
    answers: dict[int, Answer] = {}
    with progress(len(ids), doing) as bar:
        for first in range(0, len(order), batch_size):
            chunk = order[first : first + batch_size]
            for i, answer in zip(chunk, _generate_batch(loaded, [ids[i] for i in chunk], max_new_tokens), strict=True):
                if not (answer.finite or damaged):
                    raise _not_finite(loaded, prompts[i])
                answers[i] = answer
            bar.update(len(chunk))
    return [answers[i] for i in range(len(ids))]


@torch.inference_mode()
def _generate_batch(loaded: LoadedModel, ids: list[list[int]], max_new_tokens: int) -> list[Answer]:
    from transformers import GenerationConfig

    length = max(map(len, ids))
    pad = loaded.eos_ids[0]
    # Generation continues from the last position, so prompts are padded on the left and the padding is masked.
    input_ids = torch.tensor([[pad] * (length - len(row)) + row for row in ids], device=loaded.device)
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in ids], device=loaded.device)
    config = GenerationConfig(
        do_sample=False, num_beams=1, max_new_tokens=max_new_tokens, eos_token_id=list(loaded.eos_ids), pad_token_id=pad
    )
    watch = _Watch(loaded.eos_ids, length, torch.zeros(len(ids), dtype=torch.bool, device=loaded.device))
    with _own_defaults_aside(loaded.model), _last_states_in_one_piece(loaded.model):
        output = loaded.model.generate(
            input_ids, attention_mask=mask, generation_config=config, logits_processor=[watch]
        )
    return [_answer(loaded, row[length:].tolist(), bad) for row, bad in zip(output, watch.bad.tolist(), strict=True)]


@dataclass
class _Watch:
    """Sees the logits of every step and changes none: in which rows were they not finite before the row's end?"""

    eos_ids: tuple[int, ...]
    prompt_length: int
    bad: Bool[Tensor, " rows"]

    def __call__(self, ids: Int64[Tensor, "rows length"], logits: Float[Tensor, "rows vocabulary"]) -> Tensor:
        ended = torch.isin(ids[:, self.prompt_length :], torch.tensor(self.eos_ids, device=ids.device)).any(dim=1)
        # The largest is NaN if any is; a model may mask tokens with -inf, but not all of them.
        self.bad |= ~torch.isfinite(logits.max(dim=1).values) & ~ended
        return logits


def _not_finite(loaded: LoadedModel, prompt: str) -> UserError:
    return UserError(
        "the model's logits are NaN or infinite",
        where=f"{getattr(loaded.model.config, '_name_or_path', '') or 'the model'}, prompt {prompt[:60]!r}",
        expected="finite logits",
        hint="its weights overflow in this dtype: take dtype: bfloat16 or float32 in the model registry",
    )


@contextmanager
def _own_defaults_aside(model: Any) -> Iterator[None]:
    """Without the model's own generation config: transformers would take penalties, lengths and sampling from it."""
    from transformers import GenerationConfig

    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


@contextmanager
def _last_states_in_one_piece(model: Any) -> Iterator[None]:
    """The last positions of several prompts are a slice of all states. Torch multiplies a slice with the output matrix
    as a batch of products; in bfloat16 on a CPU it copies the matrix for each, which takes longer than all else.
    """
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, states: (states[0].contiguous(),))
    try:
        yield
    finally:
        hook.remove()


def _answer(loaded: LoadedModel, tokens: list[int], bad: bool) -> Answer:
    stop = next((i for i, token in enumerate(tokens) if token in loaded.eos_ids), None)
    text = loaded.tokenizer.decode(tokens[:stop], skip_special_tokens=True).strip()
    return Answer(text, finished=stop is not None, finite=not bad)
