"""The layer-by-layer way to SNIP scores, as Wei et al. describe their code, over SNIP as it is here; same model, same
samples.

One layer at a time: for each a forward and a backward pass per sample, sums in bfloat16, one file per matrix, and at
last the top of each flattened matrix. It is timed for some of the layers, spread evenly, and scaled to all of them.
"""

import argparse
import json
import pickle
import tempfile
import time
from pathlib import Path

import torch
from scoring import make_samples

from safety_regions.config.methods import Snip
from safety_regions.errors import run_main
from safety_regions.methods.interface import method
from safety_regions.methods.passes import response_loss
from safety_regions.models.architecture import projections
from safety_regions.models.load import LoadedModel, load_model
from safety_regions.models.tokens import Sample, collate
from safety_regions.regions.select import Cut


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a prepared model folder: results/models/NAME.DIGEST")
    parser.add_argument("--n-samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=60, help="mean tokens per sample, 40%% of them response")
    parser.add_argument(
        "--layers", type=int, default=3, help="layers that the reference is timed on (default %(default)s)"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_model(args.model)
    samples = make_samples(args.n_samples, args.tokens, loaded.model.config.vocab_size)
    layers = sorted({int(p.name.split(".")[0]) for p in projections(loaded.model)})
    chosen = layers[:: max(1, len(layers) // args.layers)][: args.layers]
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for layer in chosen:
            reference(loaded, samples, layer, Path(folder))
    one_by_one = (time.process_time() - start) / len(chosen) * len(layers)
    ours(loaded, samples[:1])
    start = time.process_time()
    ours(loaded, samples)
    together = time.process_time() - start
    print(
        json.dumps(
            {
                "reference_over_snip": round(one_by_one / together, 1),
                "reference_layers_timed": len(chosen),
                "layers": len(layers),
            },
            indent=1,
        )
    )


def reference(loaded: LoadedModel, samples: list[Sample], layer: int, folder: Path, share: float = 0.05) -> None:
    """Scores and mask of the matrices of one layer; other weights have no gradient."""
    matrices = [p for p in projections(loaded.model) if p.name.split(".")[0] == str(layer)]
    sums = {p.name: torch.zeros(p.shape, dtype=torch.bfloat16) for p in matrices}
    for p in matrices:
        p.module.weight.requires_grad_(True)
    for sample in samples:
        response_loss(loaded.model, collate([sample])).backward()
        for p in matrices:
            weight = p.module.weight
            sums[p.name] += (weight.detach() * weight.grad).abs()[p.rows].to(torch.bfloat16)
        for p in matrices:
            p.module.weight.grad = None
    for p in matrices:
        p.module.weight.requires_grad_(False)
        scores = sums[p.name] / len(samples)
        (folder / f"{p.name}.pkl").write_bytes(pickle.dumps(scores))
        flat = scores.flatten()
        mask = torch.zeros(flat.numel(), dtype=torch.bool)
        mask[flat.topk(int(share * flat.numel())).indices] = True


def ours(loaded: LoadedModel, samples: list[Sample]) -> None:
    """Levels at one fraction of all matrices from the same samples."""
    of = method("snip")
    statistics = of.measure(loaded, samples, Snip(), batch_tokens=512)
    for _ in of.levels(loaded, statistics, Snip(), Cut((0.05,), "matrix")):
        pass


if __name__ == "__main__":
    run_main(main)
