"""Models: files, weights, tokenizers, adapters."""

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

import torch
from case import Deed, bad, fine, script
from random_models import byte_tokenizer, random_adapter, random_model
from safetensors.torch import load_file, save_file

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.config.methods import SafeNeuron
from safety_regions.config.models import ModelSpec
from safety_regions.methods import safeneuron
from safety_regions.models.adapter import ADAPTER, ADAPTER_CONFIG, load_adapter
from safety_regions.models.architecture import projections
from safety_regions.models.checks import refuse_unreadable
from safety_regions.models.folder import save
from safety_regions.models.load import load_model
from safety_regions.models.model_files import folder_digest
from safety_regions.models.tokens import encode_pair, encode_prompt
from safety_regions.planning.recipes.models import model_recipe

WEIGHTS, UP = "model.safetensors", "model.layers.1.mlp.up_proj.weight"


@cache
def files_of(family: str = "llama", **sizes) -> dict[str, bytes]:
    """The files of a saved model of random weights."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = random_model(family, **sizes)
        save(loaded.model, loaded.tokenizer, Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def written(change: Callable[[Path], object] = lambda folder: None, family: str = "llama") -> Path:
    """The folder `model` with these files, changed."""
    folder = Path("model")
    folder.mkdir()
    for name, data in files_of(family).items():
        (folder / name).write_bytes(data)
    change(folder)
    return folder


def preparing(digest: str) -> None:
    """Prepare the folder `model` by the script, pinned to a digest."""
    spec = ModelSpec(source={"kind": "local", "path": "model", "sha256": digest}, licence="L", citation="C")
    script(
        "prepare_model",
        "--recipe",
        json.dumps(model_recipe("m", spec).as_json()),
        "--local",
        "model",
        "--output",
        "out",
    )


def pinned(change: Callable[[Path], object], family: str = "llama") -> Deed:
    """Prepare a changed model that was pinned as it is."""
    digest = folder_digest(written(change, family))
    return lambda: preparing(digest)


def loading(change: Callable[[Path], object], family: str = "llama") -> Deed:
    """Load a changed model that was prepared as it is."""
    pinned(change, family)()
    return lambda: load_model("out")


def configured(**changes) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def weights(change: Callable[[dict], dict]) -> Callable[[Path], object]:
    return lambda folder: save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})


def having(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def without(*names: str) -> Callable[[Path], object]:
    return lambda folder: [(folder / name).unlink() for name in names]


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def cut(keep: int) -> Callable[[Path], object]:
    return lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:keep])


INDEX = f"{WEIGHTS}.index.json"
AT_DIGEST = [
    ("no config.json", without("config.json"), "no config.json", "model"),
    (
        "a config.json that is cut off",
        having("config.json", "{"),
        "not JSON: Expecting property name ...",
        "model, config.json",
    ),
    ("a config.json that is a list", having("config.json", "[]"), "a JSON list", "model, config.json"),
    ("pickled weights only", pickled, "no *.safetensors weights", "model"),
    (
        "quantised weights, by config.json",
        configured(quantization_config={"quant_method": "gptq", "bits": 4}),
        "quantised weights (gptq)",
        "model, config.json",
    ),
    ("an index that is cut off", having(INDEX, "{"), "not JSON: Expecting property name ...", INDEX),
    ("an index without files", having(INDEX, "{}"), "no weight_map of names to files", INDEX),
    (
        "an index that names a file that is not there",
        having(INDEX, '{"weight_map": {"w": "model-2.safetensors"}}'),
        "1 weight files are missing, such as model-2.safetensors",
        INDEX,
    ),
    (
        "an index that names a file elsewhere",
        having(INDEX, '{"weight_map": {"w": "../model.safetensors"}}'),
        "1 weight files are missing, such as ../model.safetensors",
        INDEX,
    ),
    (
        "a LoRA adapter beside the model, of whatever base",
        having("adapter_config.json", '{"peft_type": "LORA", "base_model_name_or_path": "other"}'),
        "a LoRA adapter beside the model",
        "adapter_config.json",
    ),
]
AT_PREPARING = [
    ("weights that are cut off", cut(-10), "not a whole safetensors file: ...", WEIGHTS),
    ("weights of no bytes", cut(0), "not a whole safetensors file: ...", WEIGHTS),
    (
        "a weight that is NaN",
        weights(lambda tensors: tensors | {UP: tensors[UP].fill_diagonal_(torch.nan)}),
        "32 weights are NaN or infinite",
        UP,
    ),
    (
        "a weight that is infinite",
        weights(lambda tensors: tensors | {UP: tensors[UP].index_fill_(0, torch.tensor([0]), torch.inf)}),
        "32 weights are NaN or infinite",
        UP,
    ),
    (
        "quantised weights, by their dtype",
        weights(lambda tensors: {name: t.to(torch.int8) for name, t in tensors.items()}),
        "weights of type I8",
        "model.embed_tokens.weight",
    ),
]
AT_LOADING = [
    (
        "no tokenizer",
        without("tokenizer.json", "tokenizer_config.json"),
        "the model cannot be loaded: ValueError: Couldn't instantiate the backend tokenizer ...",
        "model",
    ),
    (
        "a tokenizer that is cut off",
        having("tokenizer.json", "{"),
        "the model cannot be loaded: JSONDecodeError: ...",
        "model",
    ),
    (
        "a layer without one of its matrices",
        weights(lambda tensors: {name: t for name, t in tensors.items() if name != UP}),
        f"the weights have no {UP}",
        "model",
    ),
    (
        "fewer layers than config.json says",
        configured(num_hidden_layers=3),
        "the weights have no model.layers.2.input_layernorm.weight and 8 others",
        "model",
    ),
    (
        "more layers than config.json says",
        configured(num_hidden_layers=1),
        "the weights have more than config.json asks for: model.layers.1.input_layernorm.weight and 8 others",
        "model",
    ),
    (
        "other shapes than config.json says",
        configured(intermediate_size=64),
        "the model cannot be loaded: RuntimeError: ...",
        "model",
    ),
]

for _what, _change, _says, _names in AT_DIGEST:

    @bad("models", _what, says=_says, names=_names)
    def _digest(change=_change):
        written(change)
        return lambda: script("prepare_model", "--digest", "model")


for _what, _change, _says, _names in AT_PREPARING:
    bad("models", _what, says=_says, names=_names)(lambda change=_change: pinned(change))
for _what, _change, _says, _names in AT_LOADING:
    bad("models", _what, says=_says, names=_names)(lambda change=_change: loading(change))


@bad(
    "models", "an architecture that is not known here", says="architecture 'hrm_text' is not known", names="add-a-model"
)
def architecture():
    loaded = random_model("hrm_text")
    return lambda: projections(loaded.model)


@bad(
    "models",
    "code in the model's folder that would have to run",
    says="architecture 'own' is not known: its code lies beside its weights, and is never run",
    names="one of: apertus, arcee,",
)
def code():
    written(configured(model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}))
    return lambda: script("prepare_model", "--digest", "model")


@bad(
    "models",
    "a model that changed since it was pinned",
    says="the files of this model have digest <digest>",
    names="sha256",
)
def repinned():
    written()
    return lambda: preparing("0" * 64)


@bad(
    "models",
    "a model that changed since it was prepared",
    says="the files of this model have digest <digest>: changed since it was prepared",
    names="<folder>/model",
)
def changed():
    deed = loading(lambda folder: None)
    having("chat_template.jinja", "{{ messages }}")(Path("model"))
    return deed


@bad(
    "models",
    "a file that was put into a prepared folder",
    says="files that are no part of this model: chat_template.jinja",
    names="out",
)
def planted():
    deed = loading(lambda folder: None)
    having("chat_template.jinja", "{{ messages }}")(Path("out"))
    return deed


@bad(
    "models", "a tiny model of a family that there is not", says="1 validation error for ...", names="--recipe, source"
)
def family():
    recipe = {"kind": "model", "version": VERSIONS["model"], "model": "m", "source": {"kind": "tiny", "family": "gpt2"}}
    recipe |= {"dtype": "float32", "plain_template": None}
    return lambda: script("prepare_model", "--recipe", json.dumps(recipe), "--output", "out")


HUB = {"kind": "hub", "id": "toys/hay", "revision": "0a" * 20}


def from_hub() -> None:
    spec = ModelSpec(source=HUB, licence="L", citation="C")
    script("prepare_model", "--recipe", json.dumps(model_recipe("m", spec).as_json()), "--output", "out")


@bad(
    "models",
    "a model that is not in the cache, without a network",
    says="not in the cache, and no connection to the Hub",
    names=f"toys/hay @ {HUB['revision']}",
)
def offline():
    return from_hub


@bad(
    "models",
    "a commit that the Hub does not have",
    says=f"no commit {HUB['revision']}",
    names=f"toys/hay @ {HUB['revision']}",
)
def revision():
    import huggingface_hub
    from huggingface_hub.errors import RevisionNotFoundError

    def refuse(*_, **__):
        raise RevisionNotFoundError.__new__(RevisionNotFoundError)

    def deed():
        with mock.patch.object(huggingface_hub, "snapshot_download", refuse):
            from_hub()

    return deed


@bad(
    "models",
    "a Hub that gives another commit than the pinned one",
    says=f"the Hub gave commit {'1' * 40}",
    names="the pinned commit",
)
def other_commit():
    import huggingface_hub

    def deed():
        with mock.patch.object(huggingface_hub, "snapshot_download", lambda *_, **__: "1" * 40):
            from_hub()

    return deed


def template(text: str | None, plain: str | None = None) -> Deed:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = text
    return lambda: encode_prompt(tokenizer, "hay", plain)


@bad("models", "no chat template", says="no chat template", names="plain_template")
def no_template():
    return template(None)


@bad(
    "models",
    "a chat template that changes the prompt",
    says="the user's own text cannot be found among the prompt's tokens",
    names="sample hay-000000",
)
def changing():
    loaded = random_model("llama")
    changed = "m.content | replace('hay', 'straw')"
    loaded.tokenizer.chat_template = loaded.tokenizer.chat_template.replace("m.content", changed)
    sample = encode_pair(loaded.tokenizer, "hay", "Fine.", eos_ids=loaded.eos_ids, id="hay-000000")
    return lambda: safeneuron.measure(loaded, [sample], SafeNeuron(), batch_tokens=64)


@bad(
    "models",
    "a chat template that is cut off",
    says="the chat template cannot be filled in: Expected an expression ...",
    names="chat_template.jinja",
)
def cut_template():
    return template("{% if %}")


@bad(
    "models",
    "a chat template that refuses",
    says="the chat template cannot be filled in: no user here",
    names="chat_template.jinja",
)
def refusing_template():
    return template("{{ raise_exception('no user here') }}")


@bad("models", "a prompt longer than the model's positions", says="257 tokens", names="rows.jsonl, row hay-000001")
def long_prompt():
    loaded = random_model("llama")
    return lambda: refuse_unreadable(loaded.model, {"hay-000000": [2], "hay-000001": [2] * 257}, "rows.jsonl")


@bad("models", "a prompt whose answer would be longer", says="250 tokens and 16 to generate", names="row hay-000000")
def long_answer():
    loaded = random_model("llama")
    return lambda: refuse_unreadable(loaded.model, {"hay-000000": [2] * 250}, "rows.jsonl", further=16)


@bad("models", "the tokenizer of another model", says="token 260", names="rows.jsonl, row hay-000000")
def other_tokenizer():
    loaded = random_model("llama")
    return lambda: refuse_unreadable(loaded.model, {"hay-000000": [2, 260]}, "rows.jsonl")


def adapter(change: Callable[[dict], dict], family: str = "llama", **sizes) -> Deed:
    """Load the adapter of a llama on a model."""
    scored = random_adapter(random_model("llama"))
    names = {f"{layer}.{kind}": path for layer in range(2) for kind, path in PATHS.items()}
    tensors = {}
    for name, (a, b) in scored.factors.items():
        layer = name.split(".")[0]
        for side, factor in (("A", a), ("B", b)):
            tensors[f"base_model.model.model.layers.{layer}.{names[name]}.lora_{side}.weight"] = factor
    save_file(change(tensors), ADAPTER)
    Path(ADAPTER_CONFIG).write_text(json.dumps({"r": 4, "lora_alpha": 2.0}))
    model = random_model(family, **sizes).model
    return lambda: load_adapter(Path(), model)


PATHS = {kind: f"self_attn.{kind}_proj" for kind in "qkvo"} | {
    kind: f"mlp.{kind}_proj" for kind in ("gate", "up", "down")
}


@bad(
    "models",
    "a LoRA adapter of a base of other shapes",
    says="factors of shapes (4, 32) and (48, 4) for model.layers.0.mlp.gate_proj",
    names="lora.safetensors",
)
def other_base():
    return adapter(lambda tensors: tensors, intermediate_size=64)


@bad(
    "models",
    "a LoRA adapter of a base of more layers",
    says="factors of what is not a scored linear: base_model.model.model.layers.1.mlp.down_proj.lora_A.weight,"
    " base_model.model.model.layers.1.mlp.down_proj.lora_B.weight,"
    " base_model.model.model.layers.1.mlp.gate_proj.lora_A.weight",
    names="lora.safetensors",
)
def deeper_base():
    return adapter(lambda tensors: tensors, num_hidden_layers=1)


@bad(
    "models",
    "a LoRA adapter of a base with separate matrices on a fused one",
    says="no factors for model.layers.0.self_attn.qkv_proj",
    names="lora.safetensors",
)
def fused_base():
    return adapter(lambda tensors: tensors, family="phi3")


@fine("models", "embeddings tied to the output", gives="they are loaded, and not scored")
def tied():
    def deed():
        assert "0.q" in {p.name for p in projections(load_model("out").model)}

    loading(lambda folder: None)
    return deed


@fine("models", "matrices fused into one", gives="each is scored as its block of rows: k of phi3 is rows 32 to 48")
def fused():
    model = random_model("phi3").model

    def deed():
        [k] = [p for p in projections(model) if p.name == "0.k"]
        assert k.rows == slice(32, 48)

    return deed


@fine("models", "weights of half precision", gives="they are loaded in the dtype that the registry says")
def half():
    pinned(weights(lambda tensors: {name: t.half() for name, t in tensors.items()}))()

    def deed():
        assert load_model("out").model.dtype == torch.float32

    return deed


@fine("models", "no chat template, but a plain one", gives="the prompt stands in its place")
def plain():
    deed = template(None, "Q: {prompt}\n")
    return lambda: deed()
