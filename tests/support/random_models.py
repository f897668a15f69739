"""Small models with random weights, of each family, and samples for them: enough to check what scoring computes."""

import random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig, PreTrainedTokenizerFast

from safety_regions.config.architectures import WRAPPERS, claims
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.models.adapter import LoraAdapter, named_linears
from safety_regions.models.architecture import auto_class, matrix_of
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample

SIZES = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
    "tie_word_embeddings": True,
}
FAMILIES = ["llama", "qwen2", "gemma2", "mistral", "phi3"]
ARCHITECTURES: dict[str, dict] = {
    "llama": {},
    "mistral": {"sliding_window": 5},
    "qwen2": {},
    "qwen3": {},
    "gemma": {},
    "gemma2": {"attn_logit_softcapping": 1.5, "sliding_window": 5},
    "gemma3_text": {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "smollm3": {"no_rope_layer_interval": 2},
    "olmo2": {},
    "phi3": {"sliding_window": 5, "partial_rotary_factor": 0.5},
    "apertus": {},
    "arcee": {"mlp_bias": True},
    "cohere": {"use_qk_norm": True, "logit_scale": 0.5},
    "cohere2": {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "cwm": {"bos_token_id": 0, "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "ernie4_5": {"use_bias": True},
    "exaone4": {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "glm": {"attention_bias": True},
    "glm4": {"attention_bias": True},
    "gpt_neox": {"use_parallel_residual": False, "partial_rotary_factor": 0.5},
    "granite": {
        "attention_multiplier": 0.2,
        "residual_multiplier": 0.6,
        "embedding_multiplier": 3.0,
        "logits_scaling": 2.0,
    },
    "helium": {"attention_bias": True},
    "hunyuan_v1_dense": {},
    "hyperclovax": {},
    "internlm3": {"qkv_bias": True, "bias": True},
    "iquestcoder": {},
    "jais2": {"mlp_bias": True},
    "ministral": {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "ministral3": {
        "sliding_window": 5,
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 1e4,
            "factor": 4.0,
            "original_max_position_embeddings": 4,
            "max_position_embeddings": 256,
            "llama_4_scaling_beta": 0.5,
        },
    },
    "nemotron": {"attention_bias": True, "mlp_bias": True},
    "olmo": {"clip_qkv": 0.5},
    "olmo3": {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "persimmon": {},
    "phi": {"qk_layernorm": True},
    "seed_oss": {"attention_out_bias": True},
    "stablelm": {"qk_layernorm": True, "use_parallel_residual": True},
    "starcoder2": {"sliding_window": 5},
    "vaultgemma": {"attn_logit_softcapping": 1.5, "sliding_window": 5},
    "biogpt": {},
    "bloom": {},
    "codegen": {"rotary_dim": 4},
    "ctrl": {"dff": 48},
    "diffllama": {},
    "falcon": {"new_decoder_architecture": True, "num_kv_heads": 2},
    "gpt-sw3": {"n_inner": 48},
    "gpt2": {"n_inner": 48, "scale_attn_by_inverse_layer_idx": True},
    "gpt_bigcode": {"multi_query": True},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 5},
    "gpt_neox_japanese": {},
    "gptj": {"rotary_dim": 4},
    "granite_swa": {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "modernbert-decoder": {
        "bos_token_id": 0,
        "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "mpt": {},
    "nanochat": {},
    "openai-gpt": {"initializer_range": 1.0},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "xglm": {"ffn_dim": 48},
}
"""Every known architecture, with what it has and others have not."""
TEXT_OF_WRAPPERS = {
    "gemma3": "gemma3_text",
    "internvl": "qwen2",
    "llava_onevision": "qwen2",
    "mistral3": "mistral",
    "qwen3_vl": "qwen3_vl_text",
}
"""What they are published with; the others, a Llama model."""
ALONE = {"qwen3_vl_text": "qwen3"}
"""Types that no model by itself has -> one that computes the same of texts."""
ENCODER = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
"""Of images, in a wrapper."""
ENCODERS = {"qwen3_vl": ENCODER | {"out_hidden_size": 32, "deepstack_visual_indexes": [0]}}
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if m.role == 'assistant' %}<eos>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, and an end token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<pad>": 0, "<eos>": 1} | {letter: i + 2 for i, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", chat_template=TEMPLATE
    )


def random_model(
    family: str, seed: int = 0, dtype: torch.dtype = torch.float32, vectors: bool = False, **sizes
) -> LoadedModel:
    """A model of this family with random weights, frozen; `vectors`: those of norms, and biases, are random too."""
    torch.manual_seed(seed)
    model = auto_class(family).from_config(configuration(family, **sizes), dtype=dtype)
    # The default initialisation is so small that layers are almost linear; larger weights exercise them.
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and "embed" not in name:
                weight.normal_(0, 0.2)
            elif vectors and weight.dim() < 2:
                weight.add_(torch.randn_like(weight) * 0.3)
    return LoadedModel(model.requires_grad_(False).eval(), byte_tokenizer(), None, (1,))


def configuration(family: str, **sizes) -> PreTrainedConfig:
    """Of a small model of this family; in a wrapper, the sizes are those of its text model."""
    if family not in WRAPPERS:
        wanted = SIZES | sizes
        default = CONFIG_MAPPING[family]()
        for name in ("num_key_value_heads", "intermediate_size"):
            if not hasattr(default, name):
                del wanted[name]
        if isinstance(getattr(CONFIG_MAPPING[family], "head_dim", None), property):
            del wanted["head_dim"]
        return AutoConfig.for_model(family, **wanted)
    text = configuration(TEXT_OF_WRAPPERS.get(family, "llama"), **sizes).to_dict()
    return AutoConfig.for_model(
        family, text_config=text, vision_config=ENCODERS.get(family, ENCODER), tie_word_embeddings=True
    )


def claiming(method: str) -> list[str]:
    """The architectures for which a method is right."""
    return [name for name in ARCHITECTURES if claims({"model_type": name}, method)]


def varied_model(architecture: str) -> LoadedModel:
    """A model of this architecture that has all that makes it another than a Llama model."""
    return random_model(architecture, vectors=True, **ARCHITECTURES[architecture])


def random_samples(n: int, seed: int = 0, shortest: int = 4, longest: int = 20) -> list[Sample]:
    """Samples of random tokens, of various lengths, a part of whose prompts is the user's own text."""
    draw = random.Random(seed)
    samples = []
    for number in range(n):
        length = draw.randint(shortest, longest)
        ids = tuple(draw.randint(2, 257) for _ in range(length))
        n_prompt = draw.randint(1, length - 1)
        samples.append(Sample(f"s{number}", ids, n_prompt, range(n_prompt // 3, n_prompt - n_prompt // 5)))
    return samples


def random_adapter(loaded: LoadedModel, rank: int = 4, seed: int = 0) -> LoraAdapter:
    """A LoRA adapter of random weights for every scored linear."""
    generator = torch.Generator().manual_seed(seed)
    factors = {}
    for name, module in named_linears(loaded.model).items():
        n_out, n_in = matrix_of(module).shape
        factors[name] = (torch.randn(rank, n_in, generator=generator), torch.randn(n_out, rank, generator=generator))
    return LoraAdapter(0.5, factors)


def needs_of(name: str, loaded: LoadedModel) -> dict:
    """What a method looks at beside a set's samples, by keyword of its `measure`."""
    info = CATALOGUE[name]
    read = [Sample(s.id, s.input_ids[: s.n_prompt], s.n_prompt) for s in random_samples(6, seed=1)]
    answered = ["How do I paint the kite?", "How do I greet the baker?"]
    prompts = {of.role: answered if of.times_answered else read for of in info.prompts}
    return prompts | ({"adapter": random_adapter(loaded), "merged": False} if info.needs_adapter else {})
