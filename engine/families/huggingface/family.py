"""Recognise GPT-2, BERT, ViT, Llama, Mistral and Qwen2 from a Hugging Face `config.json`.

The config says what no shape shows (heads, activations, epsilons); every tensor is still
compared with what it asks for. A GPT-2 without a config is recognised by its names, with
heads of 64. Not handled: other models, decoders with cross-attention, quantised weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from engine.errors import UnknownArchitectureError
from engine.families.family import Family, Recognition
from engine.families.huggingface.models import EXAMPLE_LENGTH, Model, build_model, choose_model
from engine.families.huggingface.names import find_names, left_aside
from engine.families.huggingface.settings import model_type, settings_of
from engine.families.layout import Layout, some_of
from engine.families.published.draft import whole
from engine.families.weightless import weightless

Overrides = Mapping[str, Any]
Shapes = Mapping[str, tuple[int, ...]]
Equal = Callable[[str, str], bool]

HEAD_SIZE = 64
IDLE_STATE = re.compile(r"(^|\.)(num_batches_tracked|position_ids)$")

# A tensor's name that only this model's files have -> what the model is called.
SIGNS: Mapping[str, re.Pattern[str]] = {
    "GPT-2": re.compile(r"(^|\.)h\.0\.attn\.c_attn\.weight$"),
    "Llama, Mistral or Qwen2": re.compile(r"(^|\.)layers\.0\.self_attn\.q_proj\.weight$"),
    "BERT": re.compile(r"(^|\.)encoder\.layer\.0\.attention\.self\.query\.weight$"),
    "ViT": re.compile(
        r"(^|\.)(encoder\.layer\.0\.attention\.attention\.query|layers\.0\.attention\.q_proj)"
        r"\.weight$"
    ),
}


def sign_of(shapes: Shapes) -> tuple[str, str] | None:
    """Return which model's names these are, and the tensor that shows it."""
    for title, sign in SIGNS.items():
        for name in shapes:
            if sign.search(name):
                return title, name
    return None


def likeness(layout: Layout) -> float:
    """2 where a tensor has a name of one of these models."""
    return 2.0 if sign_of(layout.shapes) else 0.0


def recognise(layout: Layout, overrides: Overrides) -> Recognition:
    """Recognise a GPT-2 by names and shapes alone.

    Raises:
        UnknownArchitectureError: It is none, or a model that its config.json has to describe.
    """
    sign = sign_of(layout.shapes)
    if sign is None:
        raise UnknownArchitectureError("It has the names of no model of transformers.")
    title, name = sign
    if title != "GPT-2":
        raise UnknownArchitectureError(
            f"{name} is a name of {title}, whose config.json is missing: shapes show neither "
            "heads nor epsilons. Bring the folder that holds config.json beside the weights, or "
            "its reference on the Hub (org/name)."
        )
    config = guessed_gpt2(layout.shapes, name, overrides)
    found = recognise_config(layout.shapes, config, overrides)
    heads, size = config["n_head"], config["n_embd"] // config["n_head"]
    told = "as given" if overrides.get("heads") else "no shape shows it (heads=…)"
    return replace(
        found,
        evidence=(f"{name} and its like are GPT-2's names.", *found.evidence[1:]),
        assumptions=(
            f"There are {heads} heads of {size}: {told}.",
            "The rest is as in the published GPT-2: tanh GELU, eps 1e-05, tied embeddings. A "
            "config.json beside the weights would say.",
            *found.assumptions,
        ),
    )


def guessed_gpt2(shapes: Shapes, sign: str, overrides: Overrides) -> dict[str, Any]:
    """Return the config of a GPT-2 whose tensors are all that there is.

    Raises:
        UnknownArchitectureError: Its tables are missing, or its width has no usual heads.
    """
    prefix = sign.removesuffix("h.0.attn.c_attn.weight")
    words, places = (shapes.get(f"{prefix}{table}.weight", ()) for table in ("wte", "wpe"))
    hidden = shapes.get(f"{prefix}h.0.mlp.c_fc.weight", ())
    if not len(words) == len(places) == len(hidden) == 2:
        raise UnknownArchitectureError(
            f"A GPT-2 has the tables {prefix}wte.weight and {prefix}wpe.weight and the layer "
            f"{prefix}h.0.mlp.c_fc.weight."
        )
    width = words[1]
    if width % HEAD_SIZE and not overrides.get("heads"):
        raise UnknownArchitectureError(
            f"The width {width} is no multiple of {HEAD_SIZE}, the size of GPT-2's heads: give "
            "heads=…, or bring config.json beside the weights."
        )
    block = re.compile(re.escape(prefix) + r"h\.(\d+)\.")
    numbers = {int(match[1]) for name in shapes if (match := block.match(name))}
    return {
        "model_type": "gpt2",
        "vocab_size": words[0],
        "n_positions": places[0],
        "n_embd": width,
        "n_inner": hidden[1],
        "n_layer": len(numbers),
        "n_head": whole(overrides, "heads", max(1, width // HEAD_SIZE)),
        "tie_word_embeddings": "lm_head.weight" not in shapes,
    }


def recognise_config(
    shapes: Shapes, config: Mapping[str, Any], overrides: Overrides, equal: Equal | None = None
) -> Recognition:
    """Recognise a model by its config, and compare every tensor with it.

    Args:
        shapes: The checkpoint's names -> shapes.
        config: Of config.json.
        overrides: `length`, the tokens of one sample.
        equal: Whether two of the tensors hold the same values; not asked unless given.

    Raises:
        UnknownArchitectureError: The config describes no model that is built, or others than
            these tensors; or `transformers` is missing.
        SpecError: The length is no positive number.
    """
    kind, settings = model_type(config), settings_of(config)
    model = choose_model(kind, config.get("architectures"), shapes)
    if "classifier.weight" in shapes:
        settings["num_labels"] = shapes["classifier.weight"][0]
    described = {
        "family": FAMILY.name,
        "model_type": kind,
        "class": model.name,
        "settings": settings,
    }
    module = weightless(lambda: build_model(described))
    ties = ties_of(module)
    own = {
        name: tuple(tensor.shape)
        for name, tensor in module.state_dict().items()
        if not IDLE_STATE.search(name)
    }
    names = find_names(own, ties, shapes)
    aside = left_aside(shapes, set(names.values()) | _spellings(ties, shapes))
    _check_ties(ties, shapes, equal)
    held = len(set(names.values()))
    length = length_of(module, overrides) if kind != "vit" else 0
    return Recognition(
        family=FAMILY.name,
        title=title_of(model, module),
        evidence=(
            f"config.json describes a {model.title} ({model.name}).",
            *evidence_of(module, model),
            f"All {held} tensors that it asks for are there, with their shapes.",
        ),
        assumptions=assumptions_of(length, aside),
        config=described,
        input_shape=(length,) if length else image_of(module),
        input_dtype="int64" if length else "float32",
        classes=outputs_of(module, model, settings),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        names=names,
    )


def ties_of(module: nn.Module) -> dict[str, tuple[str, ...]]:
    """Return, for every parameter with several names, name -> all of them."""
    groups: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return {name: tuple(group) for group in groups.values() if len(group) > 1 for name in group}


def _spellings(ties: Mapping[str, tuple[str, ...]], shapes: Shapes) -> set[str]:
    """Return the checkpoint's names that are further names of a tied tensor."""
    return {name for name in ties if name in shapes}


def _check_ties(ties: Mapping[str, tuple[str, ...]], shapes: Shapes, equal: Equal | None) -> None:
    for name, group in ties.items():
        for other in group:
            both = name < other and name in shapes and other in shapes
            if both and equal is not None and not equal(name, other):
                raise UnknownArchitectureError(
                    f"config.json ties {name} and {other}, but the file holds different values "
                    "for them; set tie_word_embeddings to false if they are meant to differ."
                )


def length_of(module: nn.Module, overrides: Overrides) -> int:
    """Return the tokens of one sample: `length`, else the usual number, within the positions.

    Raises:
        UnknownArchitectureError: There are fewer positions than asked for.
    """
    most = int(module.config.max_position_embeddings)  # type: ignore[union-attr, arg-type]
    length = whole(overrides, "length", min(EXAMPLE_LENGTH, most))
    if length > most:
        raise UnknownArchitectureError(f"length={length} is more than the model's {most} places.")
    return length


def image_of(module: nn.Module) -> tuple[int, int, int]:
    """Return the shape of the images that a ViT takes."""
    config: Any = module.config
    return (config.num_channels, config.image_size, config.image_size)


def outputs_of(module: nn.Module, model: Model, settings: Mapping[str, Any]) -> int:
    """Return the size of the outputs' last dimension."""
    config: Any = module.config
    if model.task == "class":
        return settings["num_labels"]
    return config.hidden_size if model.task == "features" else config.vocab_size


def title_of(model: Model, module: nn.Module) -> str:
    """Return e.g. "GPT-2, 12 layers, width 768, 12 heads"."""
    config: Any = module.config
    return (
        f"{model.title}, {config.num_hidden_layers} layers, width {config.hidden_size}, "
        f"{config.num_attention_heads} heads"
    )


def evidence_of(module: nn.Module, model: Model) -> tuple[str, ...]:
    """Say what the config says."""
    config: Any = module.config
    said = (
        f"{config.num_hidden_layers} layers of width {config.hidden_size} with "
        f"{config.num_attention_heads} heads"
    )
    shared = getattr(config, "num_key_value_heads", None)
    if shared not in (None, config.num_attention_heads):
        said += f", of which groups share {shared} keys and values"
    outputs = {
        "next token": "the logits of the next token",
        "masked token": "the logits of every token",
        "class": "the logits of the classes",
        "features": "the features of the last layer",
    }
    return (f"{said}.", f"Its outputs are {outputs[model.task]}.")


def assumptions_of(length: int, aside: list[str]) -> tuple[str, ...]:
    """Say what was chosen for the user, and what is not used."""
    said = []
    if length:
        said.append(f"A sample is {length} tokens, none of them masked (length=…).")
    if aside:
        said.append(
            f"{len(aside)} tensors are left aside, as the outputs do not read them, and stay as "
            f"they are: {some_of(aside)}."
        )
    return tuple(said)


FAMILY = Family(
    name="transformers",
    title="a model of Hugging Face transformers",
    options=("heads", "length"),
    likeness=likeness,
    recognise=recognise,
    build=build_model,
)
