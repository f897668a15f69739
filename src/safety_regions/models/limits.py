"""What a model can read: no more positions than it was made for, no token that it has no embedding for."""

from collections.abc import Mapping, Sequence
from typing import Any

from safety_regions.errors import UserError


def refuse_unreadable(model: Any, ids: Mapping[str, Sequence[int]], where: str, further: int = 0) -> None:
    """Raise `UserError` naming the first row whose tokens the model cannot read; `ids`: tokens by row id.

    Beyond `max_position_embeddings` of its configuration (`further` more are to be generated) a model answers nonsense without a
    word; beyond its embeddings it fails. The latter means a tokenizer of another model.
    """
    most, vocabulary = getattr(model.config, "max_position_embeddings", None), model.get_input_embeddings().weight.shape[0]  # fmt: skip
    for row, tokens in ids.items():
        if most is not None and len(tokens) + further > most:
            more = f" and {further} to generate" if further else ""
            raise UserError(f"{len(tokens)} tokens{more}", where=f"{where}, row {row}", expected=f"at most {most}, the positions of this model", hint="shorten or drop the row, or lower responses.max_new_tokens")  # fmt: skip
        if max(tokens, default=0) >= vocabulary:
            raise UserError(f"token {max(tokens)}", where=f"{where}, row {row}", expected=f"tokens below {vocabulary}, the size of this model's vocabulary", hint="the tokenizer beside this model is another model's: take both from one place")  # fmt: skip
