"""Numbers: scores that are NaN, infinite, equal or zero, matrices and fractions at the edge."""

import numpy as np
import torch
from case import Deed, bad, fine
from random_models import random_model

from safety_regions.data.halves import half_of
from safety_regions.methods.snip import measure, score
from safety_regions.models.response_loss import response_loss
from safety_regions.models.tokens import Sample
from safety_regions.regions.select import Cut, level_of, select

NAN, INF = np.nan, np.inf


def levels(scores, grid=(0.25, 0.5), scope="matrix") -> list:
    """Levels of one matrix."""
    [(_, found)] = select(["3.up"], lambda _: np.array(scores, np.float32), Cut(tuple(grid), scope))
    return found.tolist()


for _scope in ("row", "matrix", "layer", "model"):

    @bad("numbers", f"a score that is NaN, scope {_scope}", says="1 scores are NaN", names="matrix 3.up")
    def nan(scope=_scope):
        return lambda: levels([[1, NAN, 2, 3]], scope=scope)


@bad("numbers", "a fraction that the grid does not have", says="fraction 0.3", names="one of the grid: 0.25, 0.5")
def other_fraction():
    return lambda: level_of((0.25, 0.5), 0.3)


@bad("numbers", "one prompt to halve", says="1 rows with 1 distinct prompts to halve", names="raise datasets.n_samples")
def one_row():
    return lambda: half_of([{"prompt": "hay"}], 0, 0)


@bad("numbers", "a half that there is not", says="half 2 of split 0", names="half 0 or 1")
def third_half():
    return lambda: half_of([{"prompt": "hay"}, {"prompt": "straw"}], 0, 2)


def _levels(what: str, gives: str, scores: list, expected: list, **more) -> None:
    @fine("numbers", what, gives=gives)
    def make() -> Deed:
        def deed():
            assert levels(scores, **more) == expected

        return deed


_levels(
    "scores most of which are zero or negative",
    "those above zero are inside, and no others",
    [[0, -1, 0, 3], [-2, 0, 0, 0]],
    [[0, 0, 0, 2], [0, 0, 0, 0]],
)
_levels("infinite scores", "they are the largest, or negative and so outside", [[1, INF, -INF, 0]], [[1, 2, 0, 0]])
_levels("scores that are all equal", "the first elements, row by row, are inside", [[7, 7], [7, 7]], [[2, 1], [0, 0]])
_levels(
    "scores that are all zero, also as -0.0",
    "no element is inside",
    [[-0.0, 0.0], [0.0, -0.0]],
    [[0, 0], [0, 0]],
)
_levels(
    "scores below the smallest normal number", "they are ranked like others", [[1e-45, 3e-45, 0, 1e-39]], [[0, 1, 0, 2]]
)
_levels("a matrix of one row", "its row is ranked", [[1, 3, 2, 4]], [[0, 1, 0, 2]])
_levels("a matrix of one column", "its column is ranked", [[1], [3], [2], [4]], [[0], [1], [0], [2]])
_levels(
    "rows of one element, scope row",
    "a fraction below a half holds none, one above it all",
    [[1], [2]],
    [[1], [1]],
    grid=(0.4, 0.6),
    scope="row",
)
_levels(
    "a fraction that is less than half an element", "the region is empty", [[1, 3, 2, 4]], [[0, 0, 0, 0]], grid=(0.1,)
)
_levels(
    "a fraction of exactly half an element",
    "halves go to the even number: the region is empty",
    [[1, 2]],
    [[0, 0]],
    grid=(0.25,),
)
_levels("a fraction of 1", "the region is the whole matrix", [[1, 3, 2, 4]], [[1, 1, 1, 1]], grid=(1.0,))


@fine(
    "numbers",
    "gradients that are all zero",
    gives="SNIP's scores are 0, so no element is inside",
)
def zero_gradients():
    def deed():
        scores = score(torch.ones(2, 2), torch.zeros(2, 2))
        assert levels(scores.numpy()) == [[0, 0], [0, 0]]

    return deed


@fine(
    "numbers",
    "gradients too small for bfloat16",
    gives="they count as they are: sums are float32, and bfloat16 has float32's range",
)
def underflow():
    def deed():
        small = score(torch.tensor([[1e-30, 2e-30]], dtype=torch.bfloat16), torch.tensor([[1e-6, 1e-6]]))
        assert 0 < small[0, 0] < small[0, 1]

    return deed


@fine(
    "numbers",
    "a sample of one response token, padded beside a long one",
    gives="its statistic is that of the sample alone",
)
def padded():
    loaded = random_model("llama")
    short, long = Sample("a", (5, 6), 1), Sample("b", tuple(range(2, 22)), 3)

    def deed():
        from safety_regions.config.methods import Snip

        both = measure(loaded, [short, long], Snip(), batch_tokens=512)["1.up"]
        apart = [measure(loaded, [sample], Snip(), batch_tokens=512)["1.up"] for sample in (short, long)]
        torch.testing.assert_close(both, sum(apart) / 2)

    return deed


@fine("numbers", "a perplexity beyond all numbers", gives="it is infinite")
def perplexed():
    loaded = random_model("llama", tie_word_embeddings=False)
    loaded.model.lm_head.weight.mul_(1e5)

    def deed():
        assert response_loss(loaded, [Sample("a", (5, 6, 7), 1)]).perplexity == INF

    return deed
