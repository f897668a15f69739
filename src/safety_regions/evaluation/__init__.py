"""Whether a region matters: the model asked again without it."""
