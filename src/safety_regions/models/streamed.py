"""Layers whose weights are in a model only while they are asked for: read from its safetensors files when a pass comes
to them, and let go of behind it. Memory holds one layer, however many there are.

Files are mapped. On a CPU weights that are stored in the dtype in which the model runs are pages of the file, which
cost the process no memory of its own; others are copied to where the model runs, in its dtype.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import safe_open
from torch import nn


@dataclass(frozen=True)
class Place:
    """Where the values of a parameter are stored."""

    file: str
    name: str
    """That of the tensor in this file."""


class StreamedLayers:
    """The layers of a decoder, on the meta device but for those that are asked for."""

    def __init__(self, layers: nn.ModuleList, places: list[dict[str, Place]], device: str):
        """`places`: by layer and name of its parameter; `device`: where layers run."""
        self._layers, self._places, self._device = layers, places, device
        # Those that belong to no module of their own transformers leaves in memory.
        self._absent = [
            {name: nn.Parameter(of.detach().to("meta"), requires_grad=False) for name, of in layer.named_parameters()}
            for layer in layers
        ]
        self._asked = [0] * len(layers)
        for number, parameters in enumerate(self._absent):
            self._put(number, parameters)

    @contextmanager
    def present(self, number: int) -> Iterator[None]:
        """While open, the weights of a layer are in the model; it may be opened again within."""
        if not self._asked[number]:
            self._put(number, self._read(number))
        self._asked[number] += 1
        try:
            yield
        finally:
            self._asked[number] -= 1
            if not self._asked[number]:
                self._put(number, self._absent[number])

    def _read(self, number: int) -> dict[str, nn.Parameter]:
        by_file: dict[str, list[str]] = {}
        for name, place in self._places[number].items():
            by_file.setdefault(place.file, []).append(name)
        found = {}
        for file, names in by_file.items():
            # Closed again at once: what stays open keeps all pages that were read in the memory of the process.
            with safe_open(file, framework="pt") as content:
                for name in names:
                    stored = content.get_tensor(self._places[number][name].name)
                    weights = stored.to(self._device, self._absent[number][name].dtype)
                    found[name] = nn.Parameter(weights, requires_grad=False)
        return found

    def _put(self, number: int, parameters: dict[str, nn.Parameter]) -> None:
        for name, parameter in parameters.items():
            path, _, own = name.rpartition(".")
            setattr(self._layers[number].get_submodule(path), own, parameter)


def read_but_layers(model_class: Any, config: Any, location: str, path: str, **options: Any) -> tuple[Any, dict]:
    """What `model_class.from_pretrained(location, **options)` gives, the model on the CPU and what it says of the
    loading, but with the parameters of the layers at `path` on the meta device.
    """
    with torch.device("meta"):
        skeleton = model_class.from_config(config)
    where = dict.fromkeys(_outside(skeleton, path), "cpu") | {path: "disk"}
    with _without_warnings():
        return model_class.from_pretrained(location, device_map=where, **options)


def stream(model: Any, path: str, device: str) -> StreamedLayers:
    """The layers at `path` of a model of `read_but_layers`, which is brought to the device without them, and runs them
    when they are present.
    """
    from accelerate.hooks import remove_hook_from_submodules

    layers = model.get_submodule(path)
    # Where transformers found them: names in files may be others, and a model may be spread over many files.
    hooked = next(module for module in layers.modules() if list(module.parameters(recurse=False)))
    index = hooked._hf_hook.weights_map.dataset.index
    places = [
        {
            name: Place(stored["safetensors_file"], stored["weight_name"])
            for name, _ in layer.named_parameters()
            for stored in [index[f"{path}.{number}.{name}"]]
        }
        for number, layer in enumerate(layers)
    ]
    # A layer at a time is read here, and not a matrix at a time by accelerate.
    remove_hook_from_submodules(model)
    for module in model.modules():
        vars(module).pop("forward", None)
    for name in ("to", "cuda", "hf_device_map"):
        vars(model).pop(name, None)
    inside = set(layers.modules())
    for module in model.modules():
        for parameter in module.parameters(recurse=False) if module not in inside else ():
            parameter.data = parameter.data.to(device)
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))
    return StreamedLayers(layers, places, device)


def _outside(model: nn.Module, path: str, prefix: str = "") -> Iterator[str]:
    """Names of modules, and of tensors of their own, that are all of a model but its layers."""
    for name, child in model.named_children():
        if path.startswith(f"{prefix}{name}."):
            yield from _outside(child, path, f"{prefix}{name}.")
        elif f"{prefix}{name}" != path:
            yield f"{prefix}{name}"
    for of in (model.named_parameters(recurse=False), model.named_buffers(recurse=False)):
        yield from (f"{prefix}{name}" for name, _ in of)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """accelerate's, that parameters are on the meta device, as they are to be, and that tensors are no modules."""
    log = logging.getLogger("accelerate.big_modeling")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The following device_map keys do not match any submodules", UserWarning)
            yield
    finally:
        log.setLevel(level)
