"""Scored matrices of a model: their rows are what their names say, and no weight of a block is missed."""

import pytest
import torch
from random_models import ARCHITECTURES, random_model, random_samples
from safetensors.torch import load_file, save_file

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError
from safety_regions.models.architecture import layout_of, matrix_of, projections
from safety_regions.models.folder import save
from safety_regions.models.load import load_model

VARIANTS = [
    *((name, options) for name, options in ARCHITECTURES.items()),
    ("falcon", {"multi_query": True}),
    ("falcon", {"multi_query": False}),
    ("gpt_bigcode", {"multi_query": False}),
]
"""And those whose fused matrix lies otherwise by an option."""
HEADS_TOGETHER = ["diffllama", "olmo2", "olmo3"]
"""Those whose norm of queries and keys is over all heads, or whose heads are differences of two."""


def moved(loaded, ids, kind, head, position):
    """[position, head]: whether what W_o of layer 0 reads is another when a head's rows get more at one position."""
    parts = {p.kind: p for p in projections(loaded.model) if p.layer == 0}
    of, layout = parts[kind], layout_of(loaded.model)
    # So that no position takes all of a row's probability.
    parts["k"].write(parts["k"].read() * 0.7)
    rows = torch.arange(len(matrix_of(of.module)))[of.rows].unflatten(0, (-1, layout.head_dim))[head]
    seen = []

    def push(_, __, output):
        output = output.clone().flatten(0, -2)
        output[position, rows] += torch.linspace(1, 3, layout.head_dim)
        return output.view(1, len(ids), -1)

    watch = parts["o"].module.register_forward_pre_hook(
        lambda _, x: seen.append(x[0].detach().view(len(ids), layout.n_heads, -1))
    )
    loaded.model(torch.tensor([ids]))
    pushed = of.module.register_forward_hook(push)
    loaded.model(torch.tensor([ids]))
    watch.remove()
    pushed.remove()
    return (seen[1] != seen[0]).any(-1)


@pytest.mark.parametrize(("architecture", "options"), VARIANTS)
def test_a_push_moves_what_the_rows_name_says(architecture, options):
    loaded = random_model(architecture, vectors=True, **options)
    layout, ids = layout_of(loaded.model), random_samples(1, shortest=9)[0].input_ids[:4]
    group = layout.n_heads // layout.n_kv_heads
    of_group = (torch.arange(layout.n_heads) // group == layout.n_kv_heads - 1).tolist()
    own_head = [head == layout.n_heads - 1 for head in range(layout.n_heads)]
    nothing = [False] * layout.n_heads
    for kind, heads in (("q", own_head), ("k", of_group), ("v", of_group)):
        found = moved(loaded, ids, kind, len(own_head) - 1 if kind == "q" else layout.n_kv_heads - 1, 1).tolist()
        later = found[2:]
        assert found[0] == nothing
        assert any(found[1])
        assert all(any(row) for row in later) == (kind != "q")
        if architecture not in HEADS_TOGETHER or (kind == "v" and architecture != "diffllama"):
            assert found[1] == heads, kind
    first = {kind: moved(loaded, ids, kind, 0, 0).any().item() for kind in ("k", "v")}
    assert first["v"]
    # The first position attends to itself alone, whatever its key; but for sinks.
    alone = moved(loaded, ids, "k", 0, 0)[0].any().item()
    assert alone == (architecture == "granite_swa")


def test_causal_masks_beside_weights_are_no_weights(tmp_path):
    """As older checkpoints of GPT-J and its like hold them in every block."""
    loaded = random_model("gptj")
    save(loaded.model, loaded.tokenizer, tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)

    def again(name):
        save_file(weights | {name: torch.ones(2)}, file, metadata={"format": "pt"})
        receipts.write(tmp_path, {"kind": "model", "dtype": "float32"}, {})
        return load_model(tmp_path)

    for found, expected in zip(
        projections(again("transformer.h.0.attn.masked_bias").model), projections(loaded.model), strict=True
    ):
        assert torch.equal(found.read(), expected.read())
    with pytest.raises(UserError, match=r"more than config\.json asks for: transformer\.h\.0\.attn\.k_proj\.bias"):
        again("transformer.h.0.attn.k_proj.bias")
