"""The dimensions of a model that memory, time and the size of what is kept follow from."""

from dataclasses import dataclass

PARTS_OF_SUMS = 4
"""Where float32 sums of gradients are kept of all layers, what layers read is kept of a group of batches, and takes one
of so many parts of the room of these sums (`safety_regions.methods.passes`)."""


@dataclass(frozen=True)
class ModelSize:
    """The dimensions that memory and time follow from."""

    parameters: int
    """All weights; embeddings that are the output matrix too count once."""
    scored: int
    """Weights of the scored matrices (`config.architectures`) of all layers."""
    layers: int
    hidden: int
    intermediate: int
    keys: int
    """Width of one layer's keys, those of all heads together; its values are as wide."""
    vocabulary: int
    bytes_per_weight: int
    known: bool = True
    """False where neither a prepared folder nor the registry says how large the model is."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights in the dtype in which the model is run."""
        return self.parameters * self.bytes_per_weight

    @property
    def readable(self) -> str:
        """The number of parameters for people: 8.03B."""
        return f"{self.parameters / 1e9:.2f}B" if self.parameters >= 1e7 else f"{self.parameters / 1e6:.2f}M"

    @property
    def largest(self) -> int:
        """Weights of the largest scored matrix."""
        return self.hidden * self.intermediate
