"""The one training loop: next-token loss on response tokens, AdamW, reproducible to the byte on one machine."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from safety_regions.models.tokens import Batch, Sample, collate
from safety_regions.progress import progress

WARMUP = 0.1


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: the rate rises over the first tenth of the steps, then falls to 0 along a cosine."""

    learning_rate: float
    steps: int
    batch_size: int
    seed: int
    weight_decay: float = 0.0
    mixed: bool = False
    """Products in bfloat16; weights, gradients and moments keep their dtype."""

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warm = max(1, round(WARMUP * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """One thread, deterministic kernels and a seeded generator inside the block; the state before it comes back after.

    On a GPU, an operation that has no deterministic kernel warns and runs all the same.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else CUDA has no deterministic matrix product
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)


def mean_token_loss(model: Any, batch: Batch) -> Float[Tensor, ""]:
    """Mean of -log p(token | what is before it) over all response tokens of the batch.

    Logits are made only at the positions before a response token of any row: they are most of the memory.
    """
    position = batch.is_response.any(0).nonzero().squeeze(1)
    logits = model(input_ids=batch.input_ids, logits_to_keep=position - 1, use_cache=False).logits
    chosen = batch.is_response[:, position]
    return torch.nn.functional.cross_entropy(logits[chosen].float(), batch.input_ids[:, position][chosen])


def train(
    model: Any,
    samples: Sequence[Sample],
    schedule: Schedule,
    doing: str,
    after_step: Callable[[int], None] = lambda step: None,
) -> list[float]:
    """Train the parameters that require a gradient, in place; the loss of every step, in nats per token.

    Batches walk through seeded permutations of `samples`, one after the other, so each is seen equally often (+-1).
    `after_step` is called after each step, with how many were done; it leaves the model in training mode.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    losses = []
    model.train()
    with progress(schedule.steps, doing, "steps") as bar:
        for step, rows in zip(range(schedule.steps), _draws(len(samples), schedule), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(step)
            batch = collate([samples[i] for i in rows]).to(weights[0].device)
            with torch.autocast(weights[0].device.type, torch.bfloat16, enabled=schedule.mixed):
                loss = mean_token_loss(model, batch)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            losses.append(loss.item())
            after_step(step + 1)
            bar.update(1)
    model.eval()
    return losses


def _draws(n: int, schedule: Schedule) -> Iterator[list[int]]:
    """Endless batches of indices below `n`."""
    generator = torch.Generator().manual_seed(schedule.seed)
    waiting: list[int] = []
    while True:
        while len(waiting) < schedule.batch_size:
            waiting += torch.randperm(n, generator=generator).tolist()
        yield waiting[: schedule.batch_size]
        waiting = waiting[schedule.batch_size :]
