"""Sources of models that are trained in a moment."""

SMALL = {"kind": "tiny", "family": "llama", "layers": 2, "steps": 60}
