"""What was answered to a prompt."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A response and whether the model ended it by itself within the length limit."""

    text: str
    finished: bool
