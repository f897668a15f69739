"""The seven kinds of scored matrices, in the order in which a block uses them."""

KINDS = ("q", "k", "v", "o", "gate", "up", "down")
