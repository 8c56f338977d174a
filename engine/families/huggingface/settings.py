"""What is taken from a stranger's `config.json`: a few values of known types, within bounds.

A config is data: keys that are not listed here (code to run, addresses, quantisation) are never
handed on, and numbers are capped before any class of `transformers` sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import UnknownArchitectureError

Settings = dict[str, Any]  # JSON values only

WIDEST, DEEPEST, LONGEST, MOST_WORDS = 65_536, 512, 1 << 24, 1 << 22
ACTIVATIONS = frozenset(
    {
        "gelu",
        "gelu_fast",
        "gelu_new",
        "gelu_python",
        "gelu_pytorch_tanh",
        "quick_gelu",
        "relu",
        "relu2",
        "sigmoid",
        "silu",
        "swish",
        "tanh",
    }
)


@dataclass(frozen=True)
class Bounds:
    """A number from `low` to `high`; whole unless `real`."""

    low: float
    high: float
    real: bool = False


WIDTH, DEPTH = Bounds(1, WIDEST), Bounds(1, DEEPEST)
WORDS, LENGTH = Bounds(1, MOST_WORDS), Bounds(1, LONGEST)
EPS = Bounds(0, 1, real=True)
FACTOR = Bounds(1e-6, 1e12, real=True)
FLAG, ACTIVATION = "flag", "activation"

Fields = Mapping[str, Bounds | str]

_BERT_LIKE: Fields = {
    "hidden_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": WIDTH,
    "intermediate_size": WIDTH,
    "hidden_act": ACTIVATION,
    "layer_norm_eps": EPS,
}
_LLAMA_LIKE: Fields = {
    "vocab_size": WORDS,
    "hidden_size": WIDTH,
    "intermediate_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": WIDTH,
    "num_key_value_heads": WIDTH,
    "hidden_act": ACTIVATION,
    "max_position_embeddings": LENGTH,
    "rms_norm_eps": EPS,
    "tie_word_embeddings": FLAG,
}
FIELDS: Mapping[str, Fields] = {
    "gpt2": {
        "vocab_size": WORDS,
        "n_positions": LENGTH,
        "n_embd": WIDTH,
        "n_layer": DEPTH,
        "n_head": WIDTH,
        "n_inner": WIDTH,
        "activation_function": ACTIVATION,
        "layer_norm_epsilon": EPS,
        "scale_attn_weights": FLAG,
        "scale_attn_by_inverse_layer_idx": FLAG,
        "tie_word_embeddings": FLAG,
    },
    "bert": {
        **_BERT_LIKE,
        "vocab_size": WORDS,
        "max_position_embeddings": LENGTH,
        "type_vocab_size": WIDTH,
        "tie_word_embeddings": FLAG,
    },
    "vit": {
        **_BERT_LIKE,
        "image_size": Bounds(1, 4096),
        "patch_size": Bounds(1, 4096),
        "num_channels": Bounds(1, 1024),
        "qkv_bias": FLAG,
    },
    "llama": {
        **_LLAMA_LIKE,
        "head_dim": WIDTH,
        "attention_bias": FLAG,
        "mlp_bias": FLAG,
    },
    "mistral": {**_LLAMA_LIKE, "head_dim": WIDTH, "sliding_window": LENGTH},
    "qwen2": {
        **_LLAMA_LIKE,
        "use_sliding_window": FLAG,
        "sliding_window": LENGTH,
        "max_window_layers": Bounds(0, DEEPEST),
    },
}
ROTARY = frozenset({"llama", "mistral", "qwen2"})
SCALINGS: Mapping[str, Fields] = {
    "default": {},
    "linear": {"factor": FACTOR},
    "llama3": {
        "factor": FACTOR,
        "low_freq_factor": FACTOR,
        "high_freq_factor": FACTOR,
        "original_max_position_embeddings": LENGTH,
    },
}
# What a config may say of other computations, and the only value that is handled.
ONLY: Mapping[str, Any] = {
    "is_decoder": False,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
    "reorder_and_upcast_attn": False,
    "position_embedding_type": "absolute",
    "quantization_config": None,
    "pruned_heads": {},
}


def model_type(config: Mapping[str, Any]) -> str:
    """Return the kind of model that a config describes.

    Raises:
        UnknownArchitectureError: It names none of those that are built.
    """
    found = config.get("model_type")
    if not isinstance(found, str) or found not in FIELDS:
        raise UnknownArchitectureError(
            f"config.json: model_type {str(found)[:60]!r} is not built; those that are: "
            f"{', '.join(FIELDS)}."
        )
    return found


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Return the values of a config that shape the computation, checked.

    Raises:
        UnknownArchitectureError: A value is of a wrong type, out of bounds, or asks for a
            computation that is not handled.
    """
    kind = model_type(config)
    for name, only in ONLY.items():
        if config.get(name, only) not in (only, None):
            raise UnknownArchitectureError(
                f"config.json: {name}={_shown(config[name])} is not handled."
            )
    settings = checked(config, FIELDS[kind])
    if kind in ROTARY:
        settings["rope_parameters"] = rotary_of(config)
    return settings


def rotary_of(config: Mapping[str, Any]) -> Settings:
    """Return the rotary embedding: `rope_parameters`, or `rope_theta` and `rope_scaling` of old.

    Raises:
        UnknownArchitectureError: It is of a kind that is not handled.
    """
    told = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(told, Mapping):
        raise UnknownArchitectureError("config.json: rope_parameters is no object.")
    kind = told.get("rope_type", told.get("type", "default"))
    if not isinstance(kind, str) or kind not in SCALINGS:
        raise UnknownArchitectureError(
            f"config.json: rotary embeddings of type {str(kind)[:40]!r} are not handled; those "
            f"that are: {', '.join(SCALINGS)}."
        )
    base = {"rope_theta": told.get("rope_theta", config.get("rope_theta", 10_000.0))}
    theta = checked(base, {"rope_theta": FACTOR})
    scaling = checked(told, SCALINGS[kind])
    if missing := [name for name in SCALINGS[kind] if name not in scaling]:
        raise UnknownArchitectureError(f"config.json: rope_parameters lacks {missing[0]}.")
    return {"rope_type": kind, **theta, **scaling}


def checked(values: Mapping[str, Any], fields: Fields) -> Settings:
    """Return the listed values that are given; null counts as not given.

    Raises:
        UnknownArchitectureError: One is of a wrong type or out of bounds.
    """
    found: Settings = {}
    for name, allowed in fields.items():
        value = values.get(name)
        if value is None:
            continue
        if not _fits(value, allowed):
            raise UnknownArchitectureError(
                f"config.json: {name}={_shown(value)} is not possible: it must be "
                f"{_words(allowed)}."
            )
        found[name] = value
    return found


def _fits(value: Any, allowed: Bounds | str) -> bool:
    if allowed == FLAG:
        return isinstance(value, bool)
    if isinstance(allowed, str):
        return isinstance(value, str) and value in ACTIVATIONS
    numeric = isinstance(value, int | float) if allowed.real else isinstance(value, int)
    return numeric and not isinstance(value, bool) and allowed.low <= value <= allowed.high


def _words(allowed: Bounds | str) -> str:
    if allowed == FLAG:
        return "true or false"
    if isinstance(allowed, str):
        return f"one of {', '.join(sorted(ACTIVATIONS))}"
    kind = "a number" if allowed.real else "a whole number"
    return f"{kind} from {allowed.low:g} to {allowed.high:g}"


def _shown(value: Any) -> str:
    return f"{value!r:.80}"
