"""The repair that a region promises: its weights put back to the aligned model's, the others left as trained."""

from collections.abc import Iterator
from contextlib import contextmanager

from safety_regions.constraining.places import Places, Weights, put_back
from safety_regions.models.architecture import matrix_of


@contextmanager
def rewound(aligned: Weights, places: Places) -> Iterator[None]:
    """While open, the weights in the places are the aligned model's; after it they are the trained ones, bit for
    bit.
    """
    trained = {module: matrix_of(module).clone() for module in places}
    put_back(aligned, places)
    try:
        yield
    finally:
        put_back(trained, places)
