"""Models on the Hub and on this machine: pinned, pointed to, never unpickled."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from hub import TOKEN, Hub
from random_models import random_model
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from safety_regions.artifacts import receipts
from safety_regions.config.architectures import refuse_unknown
from safety_regions.config.models import ModelSpec
from safety_regions.errors import UserError
from safety_regions.models.folder import save
from safety_regions.models.load import load_model
from safety_regions.models.model_files import folder_digest
from safety_regions.models.sources import Inputs
from safety_regions.models.tokens import encode_pair
from safety_regions.planning.recipes.models import model_recipe
from safety_regions.steps.prepare_model import prepare_model


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "random"
    loaded = random_model("llama")
    save(loaded.model, loaded.tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def hub(model_folder):
    with Hub() as hub:
        files = {path.name: path.read_bytes() for path in model_folder.iterdir()}
        hub.good = hub.add(
            "toys/good",
            files | {"pytorch_model.bin": b"pickle", "README.md": b"#", "original/x.safetensors": b""},
            kind="models",
        )
        hub.add("toys/good", files | {"config.json": b"{}"}, kind="models")
        hub.gated = hub.add("toys/gated", files, kind="models", gated=True)
        pickled = {name: data for name, data in files.items() if name != "model.safetensors"}
        hub.pickled = hub.add("toys/pickled", pickled | {"pytorch_model.bin": b"pickle"}, kind="models")
        index = json.dumps({"weight_map": {"w": "model-1.safetensors", "v": "model-2.safetensors"}}).encode()
        sharded = pickled | {"model-1.safetensors": b"", "model.safetensors.index.json": index}
        hub.unknown = hub.add("toys/unknown", files | {"config.json": b'{"model_type": "mamba"}'}, kind="models")
        hub.partial = hub.add("toys/partial", sharded, kind="models")
        yield hub


def fetch(hub, tmp_path, id, revision, home="home", **env):
    spec = ModelSpec(source={"kind": "hub", "id": id, "revision": revision}, licence="L", citation="C")
    command = [
        sys.executable,
        "scripts/prepare_model.py",
        "--recipe",
        json.dumps(model_recipe("m", spec).as_json()),
        "--output",
        str(tmp_path / "out"),
    ]
    return subprocess.run(command, env=hub.environment(tmp_path / home, **env), capture_output=True, text=True)


def test_a_hub_model_is_cached_at_its_commit_and_loads_offline(hub, tmp_path):
    done = fetch(hub, tmp_path, "toys/good", hub.good)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert json.loads((out / "source.json").read_text()) == {"id": "toys/good", "revision": hub.good}
    files = receipts.check(out).facts["files"]
    assert "model.safetensors" in files
    cached = {path.name for path in (tmp_path / "home").rglob("*") if path.is_file()}
    assert not {"pytorch_model.bin", "README.md", "x.safetensors"} & cached
    code = f"from safety_regions.models.load import load_model; print(load_model({str(out)!r}).model.num_parameters())"
    offline = hub.environment(tmp_path / "home", HF_HUB_OFFLINE="1")
    before = len(hub.requests)
    loaded = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True)
    assert int(loaded.stdout) == random_model("llama").model.num_parameters(), loaded.stderr
    assert len(hub.requests) == before


@pytest.mark.parametrize(
    ("id", "commit", "message"),
    [
        ("toys/good", "missing", "no commit f{40}"),
        ("toys/nothing", "missing", "no model toys/nothing"),
        ("toys/gated", "gated", "gated.*set HF_TOKEN"),
        ("toys/pickled", "pickled", r"no \*\.safetensors weights"),
        ("toys/partial", "partial", r"weight files are missing, such as model-2\.safetensors"),
    ],
)
def test_what_cannot_be_had_is_one_message_and_no_folder(hub, tmp_path, id, commit, message):
    done = fetch(hub, tmp_path, id, getattr(hub, commit, "f" * 40))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(message, done.stderr, re.DOTALL), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_that_cannot_be_scored_is_refused_before_its_weights_come(hub, tmp_path):
    before = len(hub.requests)
    done = fetch(hub, tmp_path, "toys/unknown", hub.unknown)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "architecture 'mamba' is not known" in done.stderr and "qwen2" in done.stderr
    asked = hub.requests[before:]
    assert any(path.endswith("config.json") for path in asked)
    assert not any(path.endswith((".safetensors", "tokenizer.json")) for path in asked)


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"model_type": "git"}, "docs/add-a-model.md says how one is added"),
        ({"model_type": ["llama"], "text_config": [], "layer_types": 3}, "docs/add-a-model.md says how one is added"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "take a model that only decodes"),
        ({"model_type": "mamba", "state_size": 16}, "every layer has queries, keys and values"),
        ({"model_type": "qwen3_5", "text_config": {"layer_types": ["linear_attention"]}}, "every layer has queries"),
        ({"model_type": "cpmant", "auto_map": {"AutoConfig": "f.Config"}}, "a model of another architecture"),
        ({"model_type": "mixtral", "num_local_experts": 8}, "a dense model"),
        ({"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}, "a model of a known architecture"),
        ({"model_type": "paligemma", "text_config": {"model_type": "gemma"}}, "of type 'gemma'"),
    ],
)
def test_an_architecture_that_is_not_known_is_told_by_its_configuration(config, hint):
    with pytest.raises(UserError, match="is not known") as error:
        refuse_unknown(config, "config.json")
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "bitnet"}, "'bitnet' would be scored wrongly: a norm over all channels"),
        ({"model_type": "gemma3n", "text_config": {"model_type": "gemma3n_text"}}, "scored wrongly: its feed-forward"),
        (
            {"model_type": "llava_next", "text_config": {"model_type": "granite"}},
            "'llava_next' would be scored wrongly: around 'granite' it leaves out",
        ),
        ({"model_type": "aya_vision", "text_config": {"model_type": "cohere2"}}, "leaves out the scale"),
        ({"model_type": "bloom", "slow_but_exact": True, "pretraining_tp": 4}, "slow_but_exact multiplies parts"),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "positions attend to later ones"),
        (
            {
                "model_type": "gemma3",
                "text_config": {"model_type": "gemma3_text", "use_bidirectional_attention": True},
            },
            "positions attend to later ones",
        ),
    ],
)
def test_an_architecture_that_would_be_scored_wrongly_is_refused_with_the_reason(config, reason):
    with pytest.raises(UserError) as error:
        refuse_unknown(config, "config.json")
    assert reason in str(error.value)


def test_a_gated_model_comes_with_a_token_that_is_never_shown(hub, tmp_path):
    done = fetch(hub, tmp_path, "toys/gated", hub.gated, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    wrong = fetch(hub, tmp_path / "other", "toys/gated", hub.gated, HF_TOKEN="hf_wrong")
    assert wrong.returncode == 1 and "has no access" in wrong.stderr
    texts = [done.stderr, wrong.stderr, *(p.read_text() for p in (tmp_path / "out").iterdir())]
    assert not any(TOKEN in text or "hf_wrong" in text for text in texts)


def test_offline_without_a_cache_says_so(hub, tmp_path):
    done = fetch(hub, tmp_path, "toys/good", hub.good, HF_HUB_OFFLINE="1")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "not in the cache, and no connection" in done.stderr


def local_recipe(folder, sha256, **more):
    source = {"kind": "local", "path": str(folder), "sha256": sha256}
    spec = ModelSpec(source=source, licence="L", citation="C", **more)
    return model_recipe("m", spec)


def test_a_local_model_is_pinned_by_the_digest_that_the_script_prints(model_folder, tmp_path):
    command = [sys.executable, "scripts/prepare_model.py", "--digest", str(model_folder)]
    digest = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    prepare_model(local_recipe(model_folder, digest), tmp_path / "out", Inputs(local=str(model_folder)), "L", "C")
    assert json.loads((tmp_path / "out" / "source.json").read_text()) == {"path": str(model_folder)}
    assert load_model(tmp_path / "out").model.num_parameters() > 0


@pytest.mark.parametrize("plain, read", [(None, "hay"), ("Q: {prompt}\n", "Q: hay\n")])
def test_a_models_own_chat_template_can_be_left_out(model_folder, tmp_path, plain, read):
    recipe = local_recipe(model_folder, folder_digest(model_folder), chat_template=False, plain_template=plain)
    prepare_model(recipe, tmp_path / "out", Inputs(local=str(model_folder)), "L", "C")
    loaded = load_model(tmp_path / "out")
    sample = encode_pair(loaded.tokenizer, "hay", "Fine.", eos_ids=(1,), plain_template=loaded.plain_template)
    assert loaded.tokenizer.decode(sample.input_ids) == f"{read}Fine.<eos>"
    assert loaded.tokenizer.decode(sample.input_ids[sample.content.start : sample.content.stop]) == "hay"


def test_a_model_with_a_sentencepiece_tokenizer_alone_reads_what_sentencepiece_reads(model_folder, tmp_path):
    """As Vicuna and older Llamas have it: transformers builds its own tokenizer from the file when it loads one."""
    folder, sentences = tmp_path / "model", tmp_path / "sentences.txt"
    shutil.copytree(model_folder, folder)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    sentences.write_text("\n".join(f"plain words of sentence {number}, and others" for number in range(200)))
    SentencePieceTrainer.train(
        input=str(sentences), model_prefix=str(folder / "tokenizer"), vocab_size=60, model_type="bpe", minloglevel=2
    )
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
    recipe = local_recipe(folder, folder_digest(folder), chat_template=False)
    prepare_model(recipe, tmp_path / "out", Inputs(local=str(folder)), "L", "C")
    text, pieces = "plain words, and others", SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    read = load_model(tmp_path / "out").tokenizer(text, add_special_tokens=False).input_ids
    assert read == pieces.encode(text) and pieces.unk_id() not in read


def test_a_model_that_a_method_is_not_right_for_is_refused_where_it_is_fetched(model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    (folder / "config.json").write_text('{"model_type": "granite_swa"}')
    inputs = Inputs(local=str(folder), methods=("snip", "safeneuron"))
    with pytest.raises(UserError, match="safeneuron is not right for models of type 'granite_swa': attention sinks"):
        prepare_model(local_recipe(folder, folder_digest(folder)), tmp_path / "out", inputs, "L", "C")
    assert not (tmp_path / "out").exists()


def test_an_altered_local_model_is_refused(model_folder, tmp_path):
    with pytest.raises(UserError, match=r"have digest [0-9a-f]{64}"):
        prepare_model(local_recipe(model_folder, "0" * 64), tmp_path / "out", Inputs(local=str(model_folder)), "L", "C")


def test_digest_follows_the_models_files_and_no_others(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = folder_digest(tmp_path)
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    assert folder_digest(tmp_path) == before
    (tmp_path / "tokenizer.json").write_text("{}")
    changed = folder_digest(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert len({before, changed, folder_digest(tmp_path)}) == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [([], "no config.json"), (["config.json", "pytorch_model.bin"], r"no \*.safetensors weights")],
)
def test_a_folder_without_safetensors_or_configuration_is_refused(tmp_path, files, message):
    for name in files:
        (tmp_path / name).write_text('{"model_type": "llama"}')
    with pytest.raises(UserError, match=message):
        folder_digest(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        folder_digest(tmp_path / "absent")
