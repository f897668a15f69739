"""The size of a model from its configuration: against published counts, and against transformers' own."""

import json
from pathlib import Path

import pytest
from pipeline import ROOT
from random_models import ARCHITECTURES, varied_model
from some_recipes import some_recipe
from transformers import AutoConfig

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.architectures import TIED
from safety_regions.config.load import load_registries, load_run
from safety_regions.config.models import ModelSpec
from safety_regions.config.registries import Registries
from safety_regions.models.architecture import projections
from safety_regions.models.sources.tiny import build_model
from safety_regions.planning.model_size import UNKNOWN, ModelSize, size_from_config, size_from_count, size_of

PUBLISHED = {
    # parameters, hidden, layers, intermediate, heads, kv heads, head width (None: left out), vocabulary, tied (None:
    # left out)
    "Llama-3.2-1B": (1_235_814_400, 2048, 16, 8192, 32, 8, 64, 128_256, True),
    "Llama-3.2-3B": (3_212_749_824, 3072, 28, 8192, 24, 8, 128, 128_256, True),
    "Llama-3.1-8B": (8_030_261_248, 4096, 32, 14_336, 32, 8, None, 128_256, False),
    "Qwen2.5-0.5B": (494_032_768, 896, 24, 4864, 14, 2, None, 151_936, True),
    "Qwen2.5-7B": (7_615_616_512, 3584, 28, 18_944, 28, 4, None, 152_064, False),
    "Mistral-7B-v0.3": (7_248_023_552, 4096, 32, 14_336, 32, 8, None, 32_768, False),
    "gemma-2-2b": (2_614_341_888, 2304, 26, 9216, 8, 4, 256, 256_000, None),
    "gemma-2-9b": (9_241_705_984, 3584, 42, 14_336, 16, 8, 256, 256_000, None),
}


def published(name: str) -> tuple[int, dict]:
    """The published number of parameters, and the configuration."""
    parameters, hidden, layers, inner, heads, kv_heads, width, vocabulary, tied = PUBLISHED[name]
    config = {
        "model_type": "gemma2" if "gemma" in name else "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
    }
    optional = {"head_dim": width, "tie_word_embeddings": tied}
    return parameters, config | {key: value for key, value in optional.items() if value is not None}


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_agree_with_published_ones(name: str) -> None:
    parameters, config = published(name)
    size = size_from_config(config, "bfloat16")
    # Qwen's biases and two of Gemma's four norms are left out.
    assert size.parameters == pytest.approx(parameters, rel=1e-4)
    assert size.parameters <= parameters
    if not name.startswith(("Qwen", "gemma")):
        assert size.parameters == parameters
    assert size.weight_bytes == 2 * size.parameters


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_shape_from_the_count_alone_is_no_smaller_than_the_real_one(name: str) -> None:
    parameters, config = published(name)
    real, guessed = size_from_config(config, "bfloat16"), size_from_count(parameters, "bfloat16")
    assert guessed.parameters == parameters
    for field in ("scored", "layers", "hidden", "intermediate", "keys", "vocabulary", "largest"):
        assert getattr(guessed, field) >= getattr(real, field), field
    assert guessed.layers * guessed.largest < 3 * real.layers * real.largest


BEHIND = {"modernbert-decoder": 32 * 32}
"""Weights between the last layer and the output matrix, which are left out."""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_counts_agree_with_transformers(architecture: str) -> None:
    model = varied_model(architecture).model
    size = size_from_config(model.config.to_dict(), "float32")
    named = {name: p for name, p in model.named_parameters() if p.dim() == 2 and "norm" not in name}
    matrices = {p.data_ptr(): p.numel() for p in named.values()}
    norms = (2 * size.layers + 1) * size.hidden
    assert size.parameters - norms == sum(matrices.values()) - BEHIND.get(architecture, 0)
    assert size.scored == sum(rows * columns for rows, columns in (p.shape for p in projections(model)))
    assert size.keys == next(p.shape[0] for p in projections(model) if p.kind == "k")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_embeddings_are_the_output_matrix_where_transformers_says_so(architecture: str) -> None:
    assert AutoConfig.for_model(architecture).tie_word_embeddings == (architecture in TIED)


def test_the_text_part_of_a_larger_configuration_counts() -> None:
    _, config = published("Llama-3.2-1B")
    assert size_from_config({"vision_config": {}, "text_config": config}, "float32") == size_from_config(
        config, "float32"
    )


def spec(source: dict, **more: object) -> ModelSpec:
    return ModelSpec.model_validate({"source": source, "licence": "none", "citation": "none", **more})


HUB = {"kind": "hub", "id": "org/model", "revision": "0" * 40}
MODELS = {
    "hub": spec(HUB, parameters=8_030_261_248, dtype="bfloat16"),
    "unknown": spec(HUB),
    "aligned": spec({"kind": "aligned", "base": "hub", "harmful": ["a"], "harmless": ["b"]}),
    "tiny": spec({"kind": "tiny", "family": "gemma2"}),
}


def folder(name: str, **inputs: Artifact) -> Artifact:
    """The prepared folder of a model."""
    return Artifact(some_recipe("model", model=name), name, inputs)


def sized(name: str) -> ModelSize:
    """The size of a model of `MODELS`, whose folder lies in this one."""
    made = folder(name, base=folder("hub")) if name == "aligned" else folder(name)
    return size_of(name, made, Registries({}, MODELS))


def test_a_prepared_folder_counts_more_than_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sized("hub") == size_from_count(8_030_261_248, "bfloat16")
    _, config = published("Llama-3.1-8B")
    path = Path(folder("hub").outputs[0])
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(config))
    assert sized("hub") == size_from_config(config, "bfloat16")
    assert sized("aligned") == size_from_config(config, "float32")
    path.write_text("no JSON")
    assert sized("hub") == size_from_count(8_030_261_248, "bfloat16")


REGISTERED = {
    "llama3_2-1b": "Llama-3.2-1B",
    "llama3_2-3b": "Llama-3.2-3B",
    "llama3_1-8b": "Llama-3.1-8B",
    "qwen2_5-0_5b": "Qwen2.5-0.5B",
    "qwen2_5-7b": "Qwen2.5-7B",
    "mistral-7b": "Mistral-7B-v0.3",
    "gemma2-2b": "gemma-2-2b",
    "gemma2-9b": "gemma-2-9b",
}
COUNTED = {
    "qwen2_5-1_5b": 1_543_714_304,
    "qwen2_5-3b": 3_085_938_688,
    "smollm2-135m": 134_515_008,
    "gemma3-270m": 268_098_176,
    "qwen2_5-coder-0_5b": 630_167_424,
}
"""Published, or counted in the files."""


def test_a_shape_of_the_registry_is_that_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the model is here it is as large as afterwards."""
    registries = load_registries(load_run({}, [ROOT / "config/paper.yaml"]), [ROOT / "config/paper.yaml"])
    monkeypatch.chdir(tmp_path)
    shaped = {name for name, model in registries.models.items() if model.shape}
    assert shaped == {*REGISTERED, *COUNTED}
    for name in shaped:
        size, dtype = size_of(name, folder(name), registries), registries.models[name].dtype
        if name in COUNTED:
            assert size.parameters == pytest.approx(COUNTED[name], rel=2e-4), name
        else:
            assert size == size_from_config(published(REGISTERED[name])[1], dtype), name


def test_a_shape_leaves_open_what_its_architecture_decides() -> None:
    _, config = published("gemma-2-2b")
    assert "tie_word_embeddings" not in config
    said = spec(HUB, shape=config, dtype="bfloat16")
    assert size_of("m", folder("m"), Registries({}, {"m": said})) == size_from_config(config, "bfloat16")


def test_a_shape_and_a_count_are_not_both_said() -> None:
    with pytest.raises(ValueError, match="keep the shape"):
        spec(HUB, shape=published("Llama-3.1-8B")[1], parameters=8_030_261_248)


def test_what_nothing_is_known_of_is_said_to_be_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    size = sized("unknown")
    assert not size.known
    assert size.parameters == UNKNOWN
    assert sized("hub").known


def test_a_tiny_model_is_estimated_from_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = build_model(MODELS["tiny"].source, 700)
    assert 1 <= sized("tiny").parameters / model.num_parameters() < 1.4
