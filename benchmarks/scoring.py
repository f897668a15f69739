"""What scoring costs: SNIP against a plain forward and backward pass, Wanda against a forward pass, both and SafeNeuron
in one pass against SNIP alone, and SNIP's memory.

Ratios are medians over alternating runs on the same samples and the same batches, so that a busy machine slows both
sides. Times are CPU seconds of this process, which count what other processes do least.
"""

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path
from statistics import median

import torch
from measuring import alternate, ratio

from safety_regions.config.methods import Snip, Wanda, options_of
from safety_regions.errors import run_main
from safety_regions.methods import snip, wanda
from safety_regions.methods.interface import method
from safety_regions.methods.passes import Observer, response_loss, run_pass
from safety_regions.models.architecture import linears, projections
from safety_regions.models.load import LoadedModel, load_model
from safety_regions.models.tokens import Sample, batches, collate

RATIOS = {
    "snip_over_backward": ("snip", "forward_backward"),
    "wanda_over_forward": ("wanda", "forward"),
    "together_over_snip": ("together", "snip"),
}
"""Name -> what is timed, and what it is divided by. `together`: SNIP, Wanda and SafeNeuron in one pass."""
TOGETHER = ("snip", "wanda", "safeneuron")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a prepared model folder: results/models/NAME.DIGEST")
    parser.add_argument("--n-samples", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=60, help="mean tokens per sample, 40%% of them response")
    parser.add_argument("--batch-tokens", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-of", choices=["snip", "together", "nothing"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print(json.dumps(peak_bytes(args)))
        return
    loaded = load_model(args.model)
    samples = make_samples(args.n_samples, args.tokens, loaded.model.config.vocab_size)
    times = alternate(runs(loaded, samples, args.batch_tokens), args.repeats)
    results = {name: ratio(times, *of) for name, of in RATIOS.items()} | memory_ratio(args, loaded)
    for name, seconds in times.items():
        print(
            f"{name:>20}: {median(seconds) / len(samples):.4f} s per sample (median of {args.repeats})", file=sys.stderr
        )
    print(json.dumps(results, indent=1))


def make_samples(n: int, tokens: int, vocabulary: int) -> list[Sample]:
    draw = random.Random(0)
    lengths = [draw.randint(round(0.9 * tokens), round(1.1 * tokens)) for _ in range(n)]
    ids = [tuple(draw.randrange(10, vocabulary) for _ in range(length)) for length in lengths]
    # Of a prompt, half is the user's own text.
    return [
        Sample(str(i), row, n_prompt := round(0.6 * len(row)), content=range(n_prompt // 4, 3 * n_prompt // 4))
        for i, row in enumerate(ids)
    ]


def runs(loaded: LoadedModel, samples: list[Sample], batch_tokens: int) -> dict:
    """What is timed, each a function of nothing, over the same batches."""
    buckets = [collate(bucket) for bucket in batches(samples, batch_tokens)]
    modules = linears(projections(loaded.model))

    def forward_backward() -> None:
        for module in modules:
            module.weight.requires_grad_(True)
        for batch in buckets:
            response_loss(loaded.model, batch).backward()
        for module in modules:
            module.weight.requires_grad_(False)
            module.weight.grad = None

    def forward() -> None:
        with torch.inference_mode():
            for batch in buckets:
                loaded.model.model(batch.input_ids, use_cache=False)

    return {
        "forward_backward": forward_backward,
        "snip": lambda: snip.measure(loaded, samples, Snip(), batch_tokens=batch_tokens),
        "together": lambda: watch(loaded, samples, observers(loaded, samples, TOGETHER), batch_tokens),
        "forward": forward,
        "wanda": lambda: wanda.measure(loaded, samples, Wanda(), batch_tokens=batch_tokens),
    }


def observers(loaded: LoadedModel, samples: list[Sample], names: tuple[str, ...]) -> list[Observer]:
    """Those of these methods, with their default options."""
    methods = [(method(name), options_of(name, {})) for name in names]
    return [one.observer(loaded, samples, options) for one, options in methods]  # type: ignore[attr-defined]


def watch(loaded: LoadedModel, samples: list[Sample], watching: list[Observer], batch_tokens: int) -> None:
    """A pass with these observers, to the end of their statistics."""
    run_pass(loaded, samples, watching, batch_tokens=batch_tokens, doing="all")
    for observer in watching:
        observer.statistics()


def memory_ratio(args: argparse.Namespace, loaded: LoadedModel) -> dict:
    """Peaks above libraries and tokenizer, over the model and one float32 sum of its scored weights: SNIP's, and all
    together.
    """
    model = sum(p.numel() * p.element_size() for p in loaded.model.parameters())
    sums = sum(4 * module.weight.numel() for module in linears(projections(loaded.model)))
    before, *peaks = (measured(args, what) for what in ("nothing", "snip", "together"))
    alone, together = (round((peak - before) / (model + sums), 3) for peak in peaks)
    return {
        "snip_peak_over_model_and_sum": alone,
        "together_peak_over_model_and_sum": together,
        "snip_peak_gb": round((peaks[0] - before) / 1e9, 3),
        "model_gb": round(model / 1e9, 3),
        "sum_gb": round(sums / 1e9, 3),
    }


def measured(args: argparse.Namespace, what: str) -> int:
    command = [sys.executable, __file__, str(args.model), "--memory-of", what]
    command += [
        f"--{name}={getattr(args, name.replace('-', '_'))}"
        for name in ("n-samples", "tokens", "batch-tokens", "threads")
    ]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def peak_bytes(args: argparse.Namespace) -> int:
    loaded = load_model(args.model)  # maps the weights; a page counts once it is read
    if args.memory_of != "nothing":
        samples = make_samples(args.n_samples, args.tokens, loaded.model.config.vocab_size)
        names = TOGETHER if args.memory_of == "together" else ("snip",)
        watch(loaded, samples, observers(loaded, samples, names), args.batch_tokens)
    # Not getrusage: its maximum survives exec, so a child would report its parent's.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    run_main(main)
