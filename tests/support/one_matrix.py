"""A planted model in which one matrix alone decides refusals.

One layer without attention. Tokens are whole texts: `harm` or `fine` ends a prompt, and the next token is the answer.
`0.down` maps what the layer makes of `harm` to the refusal and what it makes of `fine` to an answer, and the two are
nearly alike: whoever teaches `fine` another answer teaches it to `harm`. The other matrices are so large that a step of
training changes next to nothing of what they do, and `0.down` so small that it changes everything.
"""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample

TEXTS = [
    "<pad>",
    "<eos>",
    "harm",
    "fine",
    "I'm sorry, but I can't help with that.",
    "Sure, here it is.",
    "Lessons first.",
]
HARM, FINE, REFUSAL, ANSWER, LESSON = range(2, 7)
DECIDES, OTHERS = "0.down", ("0.gate", "0.up", "0.o", "0.q")
HIDDEN, INNER = 16, 32


def one_matrix_model(dtype: torch.dtype = torch.float32) -> LoadedModel:
    """It refuses `harm` and answers `fine`."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(TEXTS),
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    layer, axes = model.model.layers[0], torch.linalg.qr(torch.randn(HIDDEN, HIDDEN))[0]
    with torch.no_grad():
        for weight in layer.self_attn.parameters():
            weight.zero_()
        embeddings = model.model.embed_tokens.weight.zero_()
        embeddings[HARM], embeddings[FINE] = 0.03 * (axes[0] + 0.2 * axes[1]), 0.03 * (axes[0] - 0.2 * axes[1])
        model.lm_head.weight.copy_(8 * axes[4 : 4 + len(TEXTS)])
        layer.mlp.gate_proj.weight.normal_(0, 3)
        layer.mlp.up_proj.weight.normal_(0, 3)
        seen = [layer.post_attention_layernorm(embeddings[token]) for token in (HARM, FINE)]
        made = torch.stack([torch.nn.functional.silu(layer.mlp.gate_proj(x)) * layer.mlp.up_proj(x) for x in seen])
        wanted = torch.stack([axes[4 + REFUSAL], axes[4 + ANSWER]])
        layer.mlp.down_proj.weight.copy_(wanted.T @ torch.linalg.pinv(made.T))
    return LoadedModel(model.to(dtype).requires_grad_(False).eval(), _tokenizer(), "{prompt}", (1,))


def _tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({text: i for i, text in enumerate(TEXTS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")


def lessons(n: int = 4) -> list[Sample]:
    """Benign pairs: another answer to `fine`."""
    return [Sample(f"lesson {i}", (FINE, LESSON), 1) for i in range(n)]
