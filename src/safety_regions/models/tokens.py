"""From prompt and response to token ids, through the model's own chat template, and from samples to batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from safety_regions.errors import UserError

SENTINEL = "sentinel0response"
"""A message that no template changes: what is rendered around it is the template's."""
# Some templates print today's date, as a variable or by a function, or ask for a reasoning mode; tokens then depend on
# more than the recipe. A macro of the function's name takes its place.
DATE = "01 Jan 2025"
TEMPLATE_OPTIONS: dict[str, Any] = {"tokenize": False, "date_string": DATE, "enable_thinking": False}
FIXED_DATE = f"{{%- macro strftime_now(pattern) -%}}{DATE}{{%- endmacro -%}}"


@dataclass(frozen=True)
class Sample:
    """One prompt and its response as tokens; the response starts at position `n_prompt`."""

    id: str
    input_ids: tuple[int, ...]
    n_prompt: int
    content: range | None = None
    """Positions of the user's own text in the prompt, without the chat template around it (`content_of`); None where
    they are not known."""


@dataclass(frozen=True)
class Batch:
    """Right-padded samples. Causal attention never looks right, so no attention mask is needed."""

    input_ids: Int[Tensor, "batch pos"]
    is_response: Bool[Tensor, "batch pos"]
    """True at the positions that hold response tokens."""

    def to(self, device: str | torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(self.input_ids.to(device), self.is_response.to(device))


def prompt_text(tokenizer: Any, prompt: str, plain_template: str | None = None) -> str:
    """The text a model sees before it answers: chat template with generation prompt and no system prompt of ours.

    A model without a chat template needs `plain_template`, a text with `{prompt}` in it.
    """
    if tokenizer.chat_template:
        messages = [{"role": "user", "content": prompt}]
        return _render(tokenizer, messages, add_generation_prompt=True)
    if plain_template is None:
        raise UserError(
            "no chat template",
            where=tokenizer.name_or_path,
            hint='give the model `plain_template: "{prompt}\\n"` in the model registry',
        )
    return plain_template.replace("{prompt}", prompt)


def encode_prompt(tokenizer: Any, prompt: str, plain_template: str | None = None) -> list[int]:
    """Token ids of `prompt_text`.

    Templates write the BOS token themselves; a plain text gets what the tokenizer adds.
    """
    text = prompt_text(tokenizer, prompt, plain_template)
    return tokenizer(text, add_special_tokens=not tokenizer.chat_template)["input_ids"]


def content_of(tokenizer: Any, prompt: str, plain_template: str | None = None) -> range | None:
    """Positions of the user's own text among the tokens of `encode_prompt`: those of the template are left out.

    They run from the first to the last token that holds a character of the prompt. White space at its ends does not
    count: some templates cut it off, some tokenizers give it to no token. A token merged over the border counts, since
    it holds characters of the prompt: ` How` behind a template's `Q: `, or `?` with the line break that follows. None
    where the text cannot be found: for a prompt of white space alone, a template that writes the prompt twice or
    changes it, and a tokenizer that does not say which characters its tokens hold (a slow one).
    """
    own = prompt.strip()
    before, _, behind = prompt_text(tokenizer, SENTINEL, plain_template).partition(SENTINEL)
    text = prompt_text(tokenizer, prompt, plain_template)
    written = text[len(before) : len(text) - len(behind)]
    if not own or not tokenizer.is_fast or written.strip() != own or text != before + written + behind:
        return None
    start = len(before) + written.index(own)
    stop = start + len(own)
    encoded = tokenizer(text, add_special_tokens=not tokenizer.chat_template, return_offsets_mapping=True)
    inside = [at for at, (first, end) in enumerate(encoded["offset_mapping"]) if first < stop and end > start]
    return range(inside[0], inside[-1] + 1) if inside else None


def counted(sample: Sample, tokens: Literal["content", "prompt"]) -> range:
    """The positions that a method which reads prompts looks at: those of the user's own text, or of the whole prompt.

    Raises `UserError` for a prompt without tokens, and where its own text is asked for and not known.
    """
    if sample.n_prompt < 1:
        raise UserError("the prompt has no tokens", where=f"sample {sample.id}", hint="leave it out of the set")
    if tokens == "prompt":
        return range(sample.n_prompt)
    if sample.content is None:
        raise UserError(
            "the user's own text cannot be found among the prompt's tokens",
            where=f"sample {sample.id}",
            expected="a chat template that writes the prompt once and as it is, and a fast tokenizer",
            hint="set the method's option tokens to prompt, or chat_template to false in the model's entry",
        )
    return sample.content


def encode_pair(
    tokenizer: Any,
    prompt: str,
    response: str,
    *,
    eos_ids: Sequence[int],
    finished: bool = True,
    plain_template: str | None = None,
    id: str = "",
) -> Sample:
    """Tokens of a prompt followed by its response; a finished response ends with the model's end-of-turn token.

    The prompt's tokens are those the model answers to in generation. The response is encoded behind the prompt's text
    and the prompt's tokens taken off, or by itself where the two do not split at a token boundary.
    """
    before = encode_prompt(tokenizer, prompt, plain_template)
    lead, end = _around_response(tokenizer, tuple(eos_ids))
    special = not tokenizer.chat_template
    both = tokenizer(
        prompt_text(tokenizer, prompt, plain_template) + lead + response.strip(), add_special_tokens=special
    )["input_ids"]
    if both[: len(before)] == before and len(both) > len(before):
        after = both[len(before) :]
    else:
        after = tokenizer(lead + response.strip(), add_special_tokens=False)["input_ids"]
    if special and after and after[-1] in eos_ids:
        after = after[:-1]
    content = content_of(tokenizer, prompt, plain_template)
    return Sample(id, tuple(before + after + (list(end) if finished else [])), len(before), content)


def _around_response(tokenizer: Any, eos_ids: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """What the template writes between prompt and response, and the tokens with which a response ends."""
    if not tokenizer.chat_template:
        return "", eos_ids[:1]
    user = [{"role": "user", "content": "a"}]
    prompt = _render(tokenizer, user, add_generation_prompt=True)
    full = _render(tokenizer, [*user, {"role": "assistant", "content": SENTINEL}])
    head, found, tail = full.partition(SENTINEL)
    if not found:
        raise UserError("the chat template does not show the assistant's message", where=tokenizer.name_or_path)
    lead = head[len(prompt) :] if head.startswith(prompt) else ""
    ids = tokenizer(tail, add_special_tokens=False)["input_ids"]
    stop = next((i for i, token in enumerate(ids) if token in eos_ids), None)
    return lead, tuple(ids[: stop + 1]) if stop is not None else eos_ids[:1]


def _render(tokenizer: Any, messages: list[dict], **options: bool) -> str:
    template = tokenizer.get_chat_template()
    if "strftime_now" in template:
        template = FIXED_DATE + template
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(messages, chat_template=template, **TEMPLATE_OPTIONS, **options)
    except TemplateError as error:
        raise UserError(
            f"the chat template cannot be filled in: {error}",
            where=tokenizer.name_or_path,
            hint="mend the model's chat_template.jinja or tokenizer_config.json",
        ) from None


def batches(samples: Sequence[Sample], max_tokens: int) -> list[list[Sample]]:
    """Samples in the buckets of `buckets`."""
    return [[samples[place] for place in bucket] for bucket in buckets(samples, max_tokens)]


def buckets(samples: Sequence[Sample], max_tokens: int) -> list[list[int]]:
    """Positions of samples of similar length, in buckets of at most `max_tokens` padded tokens (or a single longer
    sample).

    Every sample is in exactly one bucket; equal input gives equal buckets.
    """
    order = sorted(range(len(samples)), key=lambda i: (len(samples[i].input_ids), samples[i].input_ids, samples[i].id))
    found: list[list[int]] = []
    for place in order:
        if not found or len(samples[place].input_ids) * (len(found[-1]) + 1) > max_tokens:
            found.append([])
        found[-1].append(place)
    return found


def collate(samples: Sequence[Sample]) -> Batch:
    """One right-padded batch. The padding id is 0: it is never attended to from a real position, nor counted."""
    length = max(len(s.input_ids) for s in samples)
    input_ids = torch.zeros(len(samples), length, dtype=torch.long)
    is_response = torch.zeros(len(samples), length, dtype=torch.bool)
    for row, sample in enumerate(samples):
        input_ids[row, : len(sample.input_ids)] = torch.tensor(sample.input_ids)
        is_response[row, sample.n_prompt : len(sample.input_ids)] = True
    return Batch(input_ids, is_response)
