"""The tables of one fine-tuning: what became of the prompts at checkpoints, how far weights moved, how it learned."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import pandas as pd

from safety_regions.constraining.finetune import Course
from safety_regions.constraining.moved import Moved
from safety_regions.models.behaviour import ASKED, FOUND, Evaluation, Questions, with_patterns
from safety_regions.models.response_loss import ResponseLoss

KEYS = ["condition", "learning_rate", "seed"]
"""What is trained, by the first columns of every table."""
COLUMNS = [*KEYS, "checkpoint", "step", "share_of_weights", "benign_loss", "benign_accuracy", *FOUND]
OUTCOME_COLUMNS = [*KEYS, "checkpoint", *ASKED]
MOVED_COLUMNS = [*KEYS, "matrix", "n_weights", "n_inside", "change", "change_inside"]
COURSE_COLUMNS = [*KEYS, "step", "training_loss", "benign_loss", "benign_accuracy"]


@dataclass
class Tables:
    """Rows as they are found, of one learning rate and seed."""

    learning_rate: float
    seed: int
    rates: list[dict] = field(default_factory=list)
    outcomes: list[dict] = field(default_factory=list)
    moved: list[dict] = field(default_factory=list)
    course: list[dict] = field(default_factory=list)

    def _of(self, condition: str) -> dict:
        return {"condition": condition, "learning_rate": self.learning_rate, "seed": self.seed}

    def add(
        self, condition: str, checkpoint: str, step: int, share: float, questions: Questions, found: Evaluation
    ) -> None:
        """What the model does at a checkpoint; `share` of its weights are frozen, or put back."""
        at = {**self._of(condition), "checkpoint": checkpoint}
        benign = {"benign_loss": found.responses.loss, "benign_accuracy": found.responses.accuracy}
        self.rates.append({**at, "step": step, "share_of_weights": share, **benign, **found.rates()})
        self.outcomes += [{**at, **prompt} for prompt in found.prompts(questions)]

    def add_moved(self, condition: str, found: Sequence[Moved]) -> None:
        """How far each matrix moved inside and outside of what the condition names."""
        self.moved += [{**self._of(condition), **asdict(m)} for m in found]

    def add_course(self, condition: str, course: Course) -> None:
        """The loss of every step, and the held-out one where it was looked at; step 0 is before training."""
        looks = {0: course.before, **course.looks}
        for step, loss in enumerate([float("nan"), *course.losses]):
            look = looks.get(step, ResponseLoss(float("nan"), float("nan")))
            row = {"step": step, "training_loss": loss, "benign_loss": look.loss, "benign_accuracy": look.accuracy}
            self.course.append({**self._of(condition), **row})

    def frames(self) -> dict[str, pd.DataFrame]:
        """By the name of their file, without ending."""
        return {
            "constrain": pd.DataFrame(self.rates, columns=COLUMNS),
            "outcomes": pd.DataFrame(self.outcomes, columns=with_patterns(OUTCOME_COLUMNS, self.outcomes)),
            "moved": pd.DataFrame(self.moved, columns=MOVED_COLUMNS),
            "course": pd.DataFrame(self.course, columns=COURSE_COLUMNS),
        }
