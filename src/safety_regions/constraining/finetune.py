"""Fine-tuning on benign pairs with some weights frozen, looked at on its way.

Conditions that freeze different weights learn at different speeds, so that equal steps are no equal training. A
checkpoint is therefore also reached where the held-out benign loss has fallen to a share of what it was before: the
aligned model is the same in every condition, and so are these losses.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from torch.nn.utils import parametrize

from safety_regions.constraining.frozen import trained_by_adapter, trained_in_full
from safety_regions.constraining.places import Places, Weights, copied, put_back
from safety_regions.models.architecture import projections
from safety_regions.models.load import LoadedModel
from safety_regions.models.response_loss import ResponseLoss, response_loss
from safety_regions.models.tokens import Sample
from safety_regions.models.training import Schedule, reproducible, train


@dataclass(frozen=True)
class Lora:
    """The adapter that is trained in place of the weights."""

    rank: int
    alpha: float


@dataclass(frozen=True)
class Tuning:
    """How a model is fine-tuned, and when it is looked at."""

    schedule: Schedule
    steps: tuple[int, ...]
    """Checkpoints after so many steps, ascending; the last step is one whether it is named or not."""
    losses: tuple[float, ...] = ()
    """Checkpoints where the held-out loss is first at most this share of that before training, descending."""
    every: int = 1
    """Steps between two looks at the held-out loss."""
    lora: Lora | None = None
    """None: all weights of the scored matrices are trained."""


@dataclass(frozen=True)
class Checkpoint:
    """A moment of fine-tuning."""

    name: str
    """`step 40`, or `loss 0.8`."""
    step: int
    benign: ResponseLoss
    """Of the held-out pairs."""


@dataclass
class Course:
    """What fine-tuning did, step by step."""

    aligned: Weights
    """The weights before."""
    before: ResponseLoss
    losses: list[float] = field(default_factory=list)
    """Of every step's batch, in nats per token."""
    looks: dict[int, ResponseLoss] = field(default_factory=dict)
    """By step: the held-out pairs."""


@contextmanager
def fine_tuned(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    held_out: Sequence[Sample],
    tuning: Tuning,
    frozen: Places,
    at: Callable[[Checkpoint], None],
) -> Iterator[Course]:
    """While open, the model is fine-tuned on `samples`; after it, every weight has the bits that it had before.

    Trained are the weights of the scored matrices outside of `frozen`. `at` is called at every checkpoint, with the
    model in evaluation mode; one step may be several.
    """
    matrices = projections(loaded.model)
    course = Course(copied(matrices), response_loss(loaded, held_out))
    try:
        with reproducible(tuning.schedule.seed), _trained(course.aligned, frozen, tuning.lora) as after_step:
            watch = _Watch(loaded, held_out, tuning, course, at)

            def done(step: int) -> None:
                after_step()
                watch(step)

            course.losses += train(loaded.model, samples, tuning.schedule, "fine-tuning", done)
        yield course
    finally:
        put_back(course.aligned)


def _trained(aligned: Weights, frozen: Places, lora: Lora | None) -> AbstractContextManager[Callable[[], None]]:
    if lora is None:
        return trained_in_full(aligned, frozen)
    return trained_by_adapter(aligned, frozen, lora.rank, lora.alpha)


@dataclass
class _Watch:
    """Looks at the model after steps, and says which checkpoints are reached."""

    loaded: LoadedModel
    held_out: Sequence[Sample]
    tuning: Tuning
    course: Course
    at: Callable[[Checkpoint], None]
    n_reached: int = 0
    """Of the losses."""

    def __call__(self, step: int) -> None:
        """After so many steps."""
        is_checkpoint = step in self.tuning.steps or step == self.tuning.schedule.steps
        if not (is_checkpoint or (self.tuning.losses and step % self.tuning.every == 0)):
            return
        self.loaded.model.eval()
        # Merged once for all that is asked here, and not again for every token.
        with parametrize.cached():
            found = self.course.looks[step] = response_loss(self.loaded, self.held_out)
            for share in self.tuning.losses[self.n_reached :]:
                if not found.loss <= share * self.course.before.loss:
                    break
                self.n_reached += 1
                self.at(Checkpoint(f"loss {share:g}", step, found))
            if is_checkpoint:
                self.at(Checkpoint(f"step {step}", step, found))
        self.loaded.model.train()
