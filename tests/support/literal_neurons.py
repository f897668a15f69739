"""SafeNeuron by brute force: neurons really taken out of a layer, and the softmax formula written with loops.

Changes count at the tokens of the user's own text alone, or at all tokens of the prompt.
"""

import copy
import sys

import torch

from safety_regions.models.architecture import attentions, decoder_of, layout_of, projections

DIM = 8


def layer_inputs(loaded, sample, tokens="content"):
    """What the attention and the MLP of each layer are given for a sample's prompt: keyword arguments with the mask in
    full, and x; and the rows at which a change counts.
    """
    counted = sample.content if tokens == "content" else range(sample.n_prompt)
    found = []
    hooks = []
    for block, attention in zip(decoder_of(loaded.model).layers, attentions(loaded.model), strict=True):
        seen = {"attention": attention, "mlp": block.mlp, "rows": list(counted)}
        found.append(seen)

        def keep(_, args, kwargs, seen=seen):
            seen.update(given=dict(kwargs), hidden=(args or [kwargs["hidden_states"]])[0])

        hooks.append(attention.register_forward_pre_hook(keep, with_kwargs=True))
        hooks.append(block.mlp.register_forward_pre_hook(lambda _, args, seen=seen: seen.update(x=args[0])))
    usual = loaded.model.config._attn_implementation
    # The only one that is always given all of the mask.
    loaded.model.set_attn_implementation("eager")
    loaded.model(torch.tensor([sample.input_ids[: sample.n_prompt]]), use_cache=False)
    loaded.model.set_attn_implementation(usual)
    for hook in hooks:
        hook.remove()
    return found


def attends(seen):
    """[t, s]: whether position t attends to s, as the model says."""
    mask = seen["given"]["attention_mask"][0, 0]
    return mask if mask.dtype == torch.bool else mask == 0


def attended(seen, attention):
    """Output and probabilities [head, row, pos] of an attention module in float64, for the inputs its layer had."""
    mask = attends(seen)
    additive = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, -1e300)
    cos, sin = (x.double() for x in seen["given"]["position_embeddings"])
    given = seen["given"] | {"position_embeddings": (cos, sin), "attention_mask": additive[None, None]}
    output, probabilities = attention(**given | {"hidden_states": seen["hidden"].double()})
    return output[:, seen["rows"]], probabilities[0, :, seen["rows"]]


def doubled(module):
    module = copy.deepcopy(module).double()
    module.config._attn_implementation = "eager"
    return module


def of_layer(loaded, layer):
    return {p.kind: p for p in projections(loaded.model) if p.layer == layer}


def norms_of_changes(parameters, output, dim=None):
    """Norm of the change of `output()` while each of these slices of parameters (several at a time) is zero; over some
    dimensions, or all.
    """
    before = output()
    norms = []
    for slices in parameters:
        kept = [x.clone() for x in slices]
        for x in slices:
            x.zero_()
        norms.append((before - output()).norm(dim=dim))
        for x, values in zip(slices, kept, strict=True):
            x.copy_(values)
    return torch.stack(norms)


def norms_without_channels(norm, output, dim):
    """The same for each channel that a norm puts out; one that all heads have in common takes it from each."""
    before, shapes = output(), []
    hook = norm.register_forward_hook(lambda _, x, y: shapes.append(y.shape))
    output()
    hook.remove()
    changes = []
    for channel in range(shapes[0][-1]):
        hook = norm.register_forward_hook(lambda _, x, y, at=channel: y.index_fill(-1, torch.tensor(at), 0))
        changes.append((before - output()).norm(dim=dim))
        hook.remove()
    return torch.stack(changes)


def matrix_of(loaded, layer, part, kind):
    """The projection of this kind, and its linear module in a copy of the attention or the MLP of its layer."""
    of = of_layer(loaded, layer)[kind]
    block = decoder_of(loaded.model).layers[layer]
    whole = block.mlp if type(part) is type(block.mlp) else attentions(loaded.model)[layer]
    path = next(path for path, module in whole.named_modules() if module is of.module)
    return of, part.get_submodule(path)


def rows_of(loaded, layer, attention, kind):
    """Each row of a projection with its bias, in a copy of the attention module."""
    of, linear = matrix_of(loaded, layer, attention, kind)
    parameters = [linear.weight] if linear.bias is None else [linear.weight, linear.bias]
    return ([x[row] for x in parameters] for row in torch.arange(len(linear.weight))[of.rows])


def zeroed_rows(loaded, layer, seen):
    """Norm of the change of the attention's output when row j of W_v (and its bias) is zero."""
    attention = doubled(seen["attention"])
    rows = rows_of(loaded, layer, attention, "v")
    return norms_of_changes(rows, lambda: attended(seen, attention)[0])


NORMS = ("{}_norm", "{}_layernorm")
"""Names of a norm of queries, `q`, or keys in front of the rotary embedding."""


def zeroed_q_and_k_rows(loaded, sample, shared_heads="joint", tokens="content"):
    """Norms of the change of attention when a row of W_q or W_k (and its bias) is zero, or a channel of a norm behind
    them: of all heads that change, or of the one that changes most. A norm behind the rotary embedding is held.
    """
    found = {}
    for layer, seen in enumerate(layer_inputs(loaded, sample, tokens)):
        attention = doubled(seen["attention"])
        hold_norms_behind(attention, lambda of=attention, seen=seen: attended(seen, of))
        for kind in "qk":
            norm = next((n for of in NORMS if (n := getattr(attention, of.format(kind), None)) is not None), None)
            output = lambda of=attention, seen=seen: attended(seen, of)[1]  # noqa: E731
            if norm is None:
                change = norms_of_changes(rows_of(loaded, layer, attention, kind), output, (1, 2))
            else:
                change = norms_without_channels(norm, output, (1, 2))
            layout = layout_of(loaded.model)
            own = layout.n_heads if kind == "q" else layout.n_kv_heads
            if len(change) == DIM:
                # A norm that all heads have in common: each changes by its own channel.
                change = change.mT.reshape(own, -1, DIM).mT.flatten(0, 1)
            of_heads = change.square().sum(1).sqrt() if shared_heads == "joint" else change.amax(1)
            found[f"{layer}.{kind}"] = of_heads
    return found


def hold_norms_behind(attention, run):
    """Let norms behind the rotary embedding divide by what they divide by when the attention is whole."""
    for name in ("query_layernorm", "key_layernorm"):
        if (norm := getattr(attention, name, None)) is None:
            continue
        divided = []
        hook = norm.register_forward_hook(lambda m, x, y, divided=divided: divided.append(y / m.weight / x[0]))
        run()
        hook.remove()
        norm.register_forward_hook(lambda m, x, y, by=divided[0]: x[0] * by * m.weight)


def zeroed_paths(loaded, layer, seen):
    """The same for one query head at a time: column (head, j) of W_o is zero; [query head, j]."""
    attention = doubled(seen["attention"])
    columns = ([column] for column in matrix_of(loaded, layer, attention, "o")[1].weight.T)
    return norms_of_changes(columns, lambda: attended(seen, attention)[0]).view(-1, DIM)


def zeroed_columns(loaded, layer, seen):
    """Norm of the change of the MLP's output when column k of W_down is zero."""
    mlp = copy.deepcopy(seen["mlp"]).double()
    columns = ([column] for column in matrix_of(loaded, layer, mlp, "down")[1].weight.T)
    return norms_of_changes(columns, lambda: mlp(seen["x"].double())[:, seen["rows"]])


def queries_and_keys(loaded, layer, seen):
    """[head, pos, dim] after rotary embedding, float32, keys repeated for the query heads that share them."""
    parts = of_layer(loaded, layer)
    rotate = sys.modules[type(seen["attention"]).__module__].apply_rotary_pos_emb
    q, k = (parts[kind].module(seen["hidden"])[..., parts[kind].rows] for kind in ("q", "k"))
    angles = seen["given"]["position_embeddings"]
    q, k = rotate(*(x.unflatten(2, (-1, DIM)).transpose(1, 2) for x in (q, k)), *angles)
    return q[0], k[0].repeat_interleave(q.shape[1] // k.shape[1], dim=0)


def literal_softmax_change(q, k, mask, scaling, softcap, scale_delta, rows=slice(None)):
    """||softmax((QK^T - D_j) / sqrt(d)) - softmax(QK^T / sqrt(d))|| one head and channel at a time, float64; of some
    rows.
    """
    q, k = q.double(), k.double()
    cap = (lambda x: softcap * torch.tanh(x / softcap)) if softcap else (lambda x: x)
    norms = torch.zeros(q.shape[0], q.shape[2], dtype=torch.float64)
    for head in range(q.shape[0]):
        scores = q[head] @ k[head].T * scaling
        for j in range(q.shape[2]):
            delta = torch.outer(q[head, :, j], k[head, :, j]) * (scaling if scale_delta else 1)
            without = cap(scores - delta).masked_fill(~mask, -torch.inf).softmax(dim=1)
            change = without - cap(scores).masked_fill(~mask, -torch.inf).softmax(dim=1)
            norms[head, j] = change[rows].norm()
    return norms


def literal_q_and_k(loaded, sample, scale_delta, shared_heads, tokens="content"):
    found = {}
    for layer, seen in enumerate(layer_inputs(loaded, sample, tokens)):
        q, k = queries_and_keys(loaded, layer, seen)
        softcap = getattr(seen["attention"], "attn_logit_softcapping", None)
        mask = attends(seen)
        scaling = seen["attention"].scaling
        per_head = literal_softmax_change(q, k, mask, scaling, softcap, scale_delta, seen["rows"])
        groups = per_head.view(layout_of(loaded.model).n_kv_heads, -1, DIM)
        found[f"{layer}.q"] = per_head.flatten()
        found[f"{layer}.k"] = (groups.square().sum(1).sqrt() if shared_heads == "joint" else groups.amax(1)).flatten()
    return found
