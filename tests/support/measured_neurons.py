"""SafeNeuron's importances of random prompts, and how near they must be to others."""

import torch
from random_models import random_samples

from safety_regions.config.methods import SafeNeuron
from safety_regions.methods import safeneuron
from safety_regions.models.tokens import Sample


def random_prompts(n, seed=0):
    """Samples whose prompts have 4 to 18 tokens, 2 to 12 of them the user's own text, with a response of two behind."""
    samples = random_samples(n, seed, shortest=6)
    return [Sample(s.id, s.input_ids, n - 2, range(n // 4, n - 3)) for s in samples for n in [len(s.input_ids)]]


def measured(loaded, samples, batch_tokens=60, **options):
    return safeneuron.measure(loaded, samples, SafeNeuron(**options), batch_tokens=batch_tokens)


def assert_equal(found, expected, rtol=1e-5):
    torch.testing.assert_close(found.double(), expected.double(), rtol=rtol, atol=0.1 * rtol * float(expected.max()))
