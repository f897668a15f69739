"""What SafeNeuron costs against a forward pass over the same tokens: FFN and value neurons alone, and with queries and keys.

Ratios are medians over alternating runs on the same prompts and the same batches, so that a busy machine slows both sides.
"""

import argparse
import json
from pathlib import Path
from statistics import median

import torch
from scoring import alternate, make_samples, ratio

from safety_regions.config.methods import SafeNeuron
from safety_regions.errors import run_main
from safety_regions.methods import safeneuron
from safety_regions.models.load import LoadedModel, load_model
from safety_regions.models.tokens import Sample, batches, collate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a prepared model folder: results/models/NAME.DIGEST")
    parser.add_argument("--n-samples", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=60, help="mean tokens per prompt")
    parser.add_argument("--batch-tokens", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    loaded = load_model(args.model)
    samples = make_samples(args.n_samples, args.tokens, loaded.model.config.vocab_size)
    prompts = [Sample(s.id, s.input_ids, len(s.input_ids)) for s in samples]
    times = alternate(runs(loaded, prompts, args.batch_tokens), args.repeats)
    for name, seconds in times.items():
        print(f"{name:>10}: {median(seconds) / len(prompts):.4f} s per prompt (median of {args.repeats})")
    print(
        json.dumps({f"{name}_over_forward": ratio(times, name, "forward") for name in ("ffn_and_v", "all")}, indent=1)
    )


def runs(loaded: LoadedModel, prompts: list[Sample], batch_tokens: int) -> dict:
    """What is timed, each a function of nothing, over the same batches."""
    buckets = [collate(bucket) for bucket in batches(prompts, batch_tokens)]
    options = SafeNeuron()

    def forward() -> None:
        with torch.inference_mode():
            for batch in buckets:
                loaded.model.model(batch.input_ids, use_cache=False)

    return {
        "forward": forward,
        "ffn_and_v": lambda: safeneuron._measure(loaded, prompts, options, batch_tokens, kinds=("v", "ffn")),
        "all": lambda: safeneuron.measure(loaded, prompts, options, batch_tokens=batch_tokens),
    }


if __name__ == "__main__":
    run_main(main)
