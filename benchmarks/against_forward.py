"""What SafeNeuron (with and without query and key neurons) and NLSR (merged adapter) cost against a forward pass over
the same tokens.

Ratios are medians over alternating runs on the same prompts and the same batches, so that a busy machine slows both
sides.
"""

import argparse
import json
from pathlib import Path
from statistics import median

import torch
from measuring import alternate, ratio
from scoring import make_samples, watch

from safety_regions.config.methods import Nlsr, SafeNeuron
from safety_regions.errors import run_main
from safety_regions.methods import nlsr, safeneuron
from safety_regions.models.adapter import LoraAdapter, named_linears
from safety_regions.models.load import LoadedModel, load_model
from safety_regions.models.tokens import Sample, batches, collate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a prepared model folder: results/models/NAME.DIGEST")
    parser.add_argument("--n-samples", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=60, help="mean tokens per prompt")
    parser.add_argument("--batch-tokens", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rank", type=int, default=16, help="of the adapter")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    loaded = load_model(args.model)
    samples = make_samples(args.n_samples, args.tokens, loaded.model.config.vocab_size)
    prompts = [Sample(s.id, s.input_ids, len(s.input_ids)) for s in samples]
    times = alternate(runs(loaded, prompts, args), args.repeats)
    for name, seconds in times.items():
        print(f"{name:>10}: {median(seconds) / len(prompts):.4f} s per prompt (median of {args.repeats})")
    print(
        json.dumps(
            {f"{name}_over_forward": ratio(times, name, "forward") for name in times if name != "forward"}, indent=1
        )
    )


def random_adapter(loaded: LoadedModel, rank: int) -> LoraAdapter:
    shapes = {name: module.weight.shape for name, module in named_linears(loaded.model).items()}
    factors = {name: (torch.randn(rank, n_in), torch.randn(n_out, rank)) for name, (n_out, n_in) in shapes.items()}
    return LoraAdapter(1.0, factors)


def runs(loaded: LoadedModel, prompts: list[Sample], args: argparse.Namespace) -> dict:
    """What is timed, each a function of nothing, over the same batches."""
    buckets = [collate(bucket) for bucket in batches(prompts, args.batch_tokens)]
    options, limit = SafeNeuron(), {"batch_tokens": args.batch_tokens}
    # All tokens but the first are response tokens, the most that NLSR can have to do.
    responses, adapter = [Sample(s.id, s.input_ids, 1) for s in prompts], random_adapter(loaded, args.rank)

    def forward() -> None:
        with torch.inference_mode():
            for batch in buckets:
                loaded.model.model(batch.input_ids, use_cache=False)

    return {
        "forward": forward,
        "ffn_and_v": lambda: watch(
            loaded, prompts, [safeneuron.observer(loaded, prompts, options, ("v", "ffn"))], args.batch_tokens
        ),
        "safeneuron": lambda: safeneuron.measure(loaded, prompts, options, **limit),
        "nlsr": lambda: nlsr.measure(loaded, responses, Nlsr(), **limit, adapter=adapter, merged=True),
    }


if __name__ == "__main__":
    run_main(main)
