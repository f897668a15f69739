"""What scoring costs on a GPU: one prepared script for where one can be had. No network, random weights made there, ten
minutes at most; it prints a line for each number as it comes, and all of them as JSON at the end.

    python benchmarks/gpu.py                        # Llama 3.1 8B's shapes in bfloat16
    python benchmarks/gpu.py --shape tiny --device cpu   # the same on a CPU in seconds: whether the script runs

speed: SNIP, Wanda and SafeNeuron, alone and in one pass, over a plain forward and backward pass on the same batches.
memory: peak of the GPU's memory against what jobs would ask for. caps: which of these run within 24, 48 and 80 GB.
batches: tokens per second of all three by `machine.batch_tokens`. agree: regions of a small model on GPU and CPU (IoU
at each fraction), and on the GPU twice (the same bytes). selection: levels on the CPU while the GPU scores.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import numpy as np
import torch
from scoring import TOGETHER, make_samples, observers, watch
from transformers import AutoModelForCausalLM, LlamaConfig

from safety_regions.cluster.duration import GPU
from safety_regions.cluster.memory import Need, need_of
from safety_regions.config.load import load_registries
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import Methods, options_of
from safety_regions.config.run import RunConfig, Thresholds
from safety_regions.errors import UserError, run_main
from safety_regions.methods.interface import method
from safety_regions.methods.passes import response_loss, run_pass
from safety_regions.models.architecture import linears, projections
from safety_regions.models.load import LoadedModel, pick_device
from safety_regions.models.tokens import Batch, Sample, batches, collate
from safety_regions.planning.make import make_plan
from safety_regions.planning.model_size import size_from_config
from safety_regions.regions.format import hold_region
from safety_regions.regions.masks import masks_at, size_of
from safety_regions.regions.select import Cut, select

SHAPES = {
    "8b": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
    "small": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
    },
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 300,
    },
}
PARTS = ("speed", "memory", "caps", "batches", "agree", "selection")
CAPS = (24, 48, 80)
"""GB of the GPUs that many have."""
BATCH_TOKENS = (512, 2048, 8192, 32768)
GRID = tuple(Thresholds().grid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="8b", help="of the large model (default %(default)s)")
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cuda")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=200, help="mean tokens of a sample, 40%% of them response")
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=540, help="begin no further part after so long")
    args = parser.parse_args()
    bench = Bench(args)
    found = {"device": bench.name, "torch": torch.__version__, "shape": args.shape, "dtype": args.dtype}
    start = time.monotonic()
    for part in args.parts:
        if time.monotonic() - start > args.seconds:
            print(f"{part}: left out, {args.seconds:.0f} s are over", file=sys.stderr)
            continue
        for name, value in getattr(bench, part)():
            found[f"{part}.{name}"] = value
            print(f"{time.monotonic() - start:6.0f} s  {part:9} {name:40} {value}", file=sys.stderr, flush=True)
    print(json.dumps(found, indent=1))


Numbers = Iterator[tuple[str, Any]]


class Bench:
    """The large model on the device, and what is measured of it."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.device = args, torch.device(pick_device(args.device))
        self.loaded = made(args.shape, self.device, getattr(torch, args.dtype))
        self.samples = make_samples(args.samples, args.tokens, self.loaded.model.config.vocab_size)

    @property
    def name(self) -> str:
        """Of the device."""
        return torch.cuda.get_device_name(self.device) if self.on_gpu else "cpu"

    @property
    def on_gpu(self) -> bool:
        """Whether there is one to be measured."""
        return self.device.type == "cuda"

    def speed(self) -> Numbers:
        """Medians over turns; the first is to warm up."""
        buckets = [collate(bucket).to(self.device) for bucket in batches(self.samples, self.args.batch_tokens)]
        timed = {"forward_backward": lambda: self._plain(buckets), "forward": lambda: self._forward(buckets)}
        timed |= {name: self._scoring((name,)) for name in TOGETHER} | {"together": self._scoring(TOGETHER)}
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        for turn in range(self.args.repeats + 1):
            for name, function in timed.items():
                taken = self._seconds(function)
                if turn:
                    seconds[name].append(taken)
        for name, taken in seconds.items():
            yield f"{name} s", round(median(taken), 3)
        for name, to in (
            ("snip", "forward_backward"),
            ("wanda", "forward"),
            ("safeneuron", "forward"),
            ("together", "snip"),
        ):
            yield f"{name} / {to}", round(median(a / b for a, b in zip(seconds[name], seconds[to], strict=True)), 3)

    def memory(self) -> Numbers:
        """Peaks of tensors, and what a job of all three would ask for."""
        yield "estimate GB", round(self._estimate().gpu_bytes / 1e9, 2)
        if not self.on_gpu:
            return
        weights = sum(p.numel() * p.element_size() for p in self.loaded.model.parameters())
        yield "weights GB", round(weights / 1e9, 2)
        for names in (*((name,) for name in TOGETHER), TOGETHER):
            yield f"{'+'.join(names)} peak GB", round(self._peak(names) / 1e9, 2)

    def caps(self) -> Numbers:
        """All three in one pass where no more of the GPU may be used."""
        if not self.on_gpu:
            return
        total = torch.cuda.get_device_properties(self.device).total_memory
        for cap in CAPS:
            if cap * 1e9 >= total:
                continue
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(cap * 1e9 / total, self.device)
            try:
                yield f"within {cap} GB s", round(self._seconds(self._scoring(TOGETHER)), 2)
            except torch.cuda.OutOfMemoryError as error:
                yield f"within {cap} GB", f"out of memory: {str(error).splitlines()[0][:120]}"
            finally:
                torch.cuda.set_per_process_memory_fraction(1.0, self.device)

    def batches(self) -> Numbers:
        """Tokens of samples, not of padding."""
        n_tokens = sum(len(sample.input_ids) for sample in self.samples)
        for limit in BATCH_TOKENS:
            try:
                taken = self._seconds(self._scoring(TOGETHER, limit))
                yield f"batch_tokens {limit}, tokens/s", round(n_tokens / taken)
            except torch.cuda.OutOfMemoryError:
                yield f"batch_tokens {limit}", "out of memory"
                torch.cuda.empty_cache()

    def agree(self) -> Numbers:
        """Regions of a small model with the same weights on both."""
        shape = "tiny" if self.args.shape == "tiny" else "small"
        for dtype in (torch.float32, torch.bfloat16):
            here, there = made(shape, torch.device("cpu"), dtype), made(shape, torch.device("cpu"), dtype)
            there.model.to(self.device)
            samples = make_samples(8, min(100, self.args.tokens), here.model.config.vocab_size)
            for name in TOGETHER:
                on_cpu, on_device, again = (masks_of(of, samples, name) for of in (here, there, there))
                kind = str(dtype).removeprefix("torch.")
                yield f"{name} {kind} IoU at q", {q: iou(on_cpu[q], on_device[q]) for q in GRID}
                yield (
                    f"{name} {kind} the same twice",
                    all((a == b).all() for q in GRID for a, b in zip(on_device[q], again[q], strict=True)),
                )

    def selection(self) -> Numbers:
        """Levels of as many matrices as a layer has, while the GPU scores, over the same by itself."""
        generator = np.random.Generator(np.random.PCG64(0))
        first = [p for p in projections(self.loaded.model) if p.layer == 0]
        scores = {p.name: generator.random(p.shape, np.float32) for p in first}
        cut = Cut(GRID, "matrix")

        def chosen() -> float:
            start = time.monotonic()
            for _ in select(list(scores), scores.__getitem__, cut):
                pass
            return time.monotonic() - start

        chosen()
        alone, scoring = chosen(), self._seconds(self._scoring(TOGETHER))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(chosen)
            beside = self._seconds(self._scoring(TOGETHER))
            yield "levels of a layer alone s", round(alone, 3)
            yield "levels of a layer while scoring s", round(waiting.result(), 3)
            yield "scoring alone s", round(scoring, 3)
            yield "scoring beside selection s", round(beside, 3)

    def _scoring(self, names: tuple[str, ...], batch_tokens: int | None = None) -> Callable[[], None]:
        limit = batch_tokens or self.args.batch_tokens
        return lambda: watch(self.loaded, self.samples, observers(self.loaded, self.samples, names), limit)

    def _plain(self, buckets: list[Batch]) -> None:
        modules = linears(projections(self.loaded.model))
        for module in modules:
            module.weight.requires_grad_(True)
        try:
            for batch in buckets:
                response_loss(self.loaded.model, batch).backward()
        finally:
            for module in modules:
                module.weight.requires_grad_(False)
                module.weight.grad = None

    def _forward(self, buckets: list[Batch]) -> None:
        with torch.inference_mode():
            for batch in buckets:
                self.loaded.model.model(batch.input_ids, use_cache=False)

    def _seconds(self, function: Callable[[], object]) -> float:
        self._wait()
        start = time.monotonic()
        function()
        self._wait()
        return time.monotonic() - start

    def _peak(self, names: tuple[str, ...]) -> int:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        self._scoring(names)()
        self._wait()
        return torch.cuda.max_memory_allocated(self.device)

    def _estimate(self) -> Need:
        """Of a job that makes what one set has of all three methods."""
        left_out = dict.fromkeys(name for name in CATALOGUE if name not in TOGETHER and name in Methods.model_fields)
        run = RunConfig.model_validate(
            {
                "goal": "regions",
                "models": ["tiny-llama"],
                "methods": left_out,
                "datasets": {"safety": ["syn_build"], "utility": [], "n_samples": self.args.samples},
            }
        )
        (batch,) = [b for b in make_plan(run, load_registries(run)).batches.values() if b.step == "measure"]
        size = size_from_config(self.loaded.model.config.to_dict(), self.args.dtype)
        return need_of("measure", size, list(batch.artifacts), batch_tokens=self.args.batch_tokens, device=GPU)

    def _wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize(self.device)


def made(shape: str, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    """A model of this shape with random weights, the same on every device of one kind."""
    config = LlamaConfig(**SHAPES[shape], max_position_embeddings=4096, pad_token_id=0, eos_token_id=1)
    torch.manual_seed(0)
    try:
        with device:
            model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    except torch.cuda.OutOfMemoryError:
        raise UserError("the model does not fit on this GPU", hint="--shape small") from None
    model.requires_grad_(False)
    return LoadedModel(model, None, None, (1,))


def masks_of(loaded: LoadedModel, samples: list[Sample], name: str) -> dict[float, list[np.ndarray]]:
    """The packed masks of a method's region at every fraction."""
    options, named = options_of(name, {}), method(name)
    observer = named.observer(loaded, samples, options)  # type: ignore[attr-defined]
    run_pass(loaded, samples, [observer], batch_tokens=2048, doing=name)
    cut = Cut(GRID, "matrix")
    region = hold_region(named.levels(loaded, observer.statistics(), options, cut), cut=cut)
    return {q: [masks_at(region, q)(own) for own in region.header.shapes] for q in GRID}


def iou(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """Of two regions, over all matrices."""
    both = sum(size_of(x & y) for x, y in zip(a, b, strict=True))
    either = sum(size_of(x | y) for x, y in zip(a, b, strict=True))
    return round(both / either, 6) if either else float("nan")


if __name__ == "__main__":
    run_main(main)
