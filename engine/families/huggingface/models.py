"""The classes of `transformers` that are built, and how.

`transformers` is optional: it is imported when a model is built, never before, and nothing
of a repository is ever run. Classes are taken from a list, by the tensors that there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import nn

from engine.errors import UnknownArchitectureError

PIP_LINE = "pip install -r requirements-transformers.txt"
EXAMPLE_LENGTH = 64
"""Tokens of one sample, where the positions allow as many."""


@dataclass(frozen=True)
class Model:
    """One class of `transformers`.

    Attributes:
        name: The class.
        title: What a user calls the model.
        task: What its outputs are: "next token", "masked token", "class" or "features".
        sign: Part of a tensor's name that shows the class; the first that is found counts.
    """

    name: str
    title: str
    task: str
    sign: str = ""


MODELS: Mapping[str, tuple[Model, ...]] = {
    "gpt2": (Model("GPT2LMHeadModel", "GPT-2", "next token"),),
    "bert": (
        Model("BertForMaskedLM", "BERT", "masked token", "cls.predictions."),
        Model("BertForSequenceClassification", "BERT", "class", "classifier."),
        Model("BertModel", "BERT", "features"),
    ),
    "vit": (
        Model("ViTForImageClassification", "ViT", "class", "classifier."),
        Model("ViTModel", "ViT", "features"),
    ),
    "llama": (Model("LlamaForCausalLM", "Llama", "next token"),),
    "mistral": (Model("MistralForCausalLM", "Mistral", "next token"),),
    "qwen2": (Model("Qwen2ForCausalLM", "Qwen2", "next token"),),
}
# Classes that a config may name, beside those above, whose outputs are not handled.
SAME_AS: Mapping[str, str] = {
    "BertForPreTraining": "BertForMaskedLM",
    "GPT2Model": "GPT2LMHeadModel",
}
# They change no output, and transformers warns where the vocabulary has none of that number.
NO_SPECIAL_TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
BASES = frozenset({"BertModel", "ViTModel"})  # their poolers are no part of the features
CONFIGS: Mapping[str, str] = {
    "gpt2": "GPT2Config",
    "bert": "BertConfig",
    "vit": "ViTConfig",
    "llama": "LlamaConfig",
    "mistral": "MistralConfig",
    "qwen2": "Qwen2Config",
}


def choose_model(kind: str, architectures: Any, names: Mapping[str, object]) -> Model:
    """Return the class to build: by the tensors, unless the config names another one.

    Raises:
        UnknownArchitectureError: The config names a class that is not built.
    """
    told = architectures[0] if isinstance(architectures, list) and architectures else None
    known = {model.name for model in MODELS[kind]} | SAME_AS.keys()
    bare = isinstance(told, str) and told.endswith("Model")
    if isinstance(told, str) and told not in known and not bare:
        raise UnknownArchitectureError(
            f"config.json: the architecture {told[:60]!r} is not built; those that are: "
            f"{', '.join(model.name for model in MODELS[kind])}."
        )
    return next(m for m in MODELS[kind] if not m.sign or any(m.sign in name for name in names))


def build_model(config: Mapping[str, Any]) -> nn.Module:
    """Build the module of a Recognition's config, which `settings_of` has checked.

    Raises:
        UnknownArchitectureError: `transformers` is not installed, or refuses the values.
    """
    kind, name = config["model_type"], config["class"]
    if name not in {model.name for model in MODELS[kind]}:
        raise UnknownArchitectureError(f"The class {name!r} is not built.")
    try:
        configuration = import_module(f"transformers.models.{kind}.configuration_{kind}")
        modeling = import_module(f"transformers.models.{kind}.modeling_{kind}")
    except ImportError as error:
        raise UnknownArchitectureError(
            f"A {MODELS[kind][0].title} of a config.json needs the optional package "
            f"transformers: {PIP_LINE}"
        ) from error
    values = {**config["settings"], **NO_SPECIAL_TOKENS, "use_cache": False}
    try:
        made = getattr(configuration, CONFIGS[kind])(**values)
        made._attn_implementation = "sdpa"
        pooler = {"add_pooling_layer": False} if name in BASES else {}
        module = getattr(modeling, name)(made, **pooler)
    except (ValueError, TypeError, KeyError, RuntimeError, ZeroDivisionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UnknownArchitectureError(f"config.json: transformers refuses it: {reason}") from error
    return module.eval()
