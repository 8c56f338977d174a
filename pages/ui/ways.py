"""The ways to bring a network: each a titled section that says what it takes and how.

Whichever is chosen, a file is told by its content. The ways that take one file for a network
share their fields, so that a change of mind loses nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec

import streamlit as st

STATE, CONFIG, EXPORTED, MODULE, HUB, SERVER = (
    "state",
    "config",
    "exported",
    "module",
    "hub",
    "server",
)
UPLOADS = (STATE, CONFIG, EXPORTED, MODULE)
REFERENCE = "org/name, org/name:file or org/name@revision:file"
WITHOUT_TRANSFORMERS = (
    "The server lacks the optional `transformers`, so that these networks cannot be built. On the "
    "server: pip install -r requirements-transformers.txt"
)


@dataclass(frozen=True)
class Way:
    """One way in: its title, what it takes, how it goes, and the code that prepares it."""

    title: str
    takes: str
    how: str
    code: str | None = None


WAYS = {
    STATE: Way(
        "Weights alone",
        "One state dict for each network: .safetensors, .npz, .pt, .pth or .bin.",
        "MLP, VGG, ResNet, DenseNet, MobileNet, EfficientNet, ConvNeXt and ViT are recognised "
        "from names and shapes. Weights of any other network are taken beside a .pt2 of the same "
        "names.",
    ),
    CONFIG: Way(
        "Weights with config.json",
        "GPT-2, BERT, ViT, Llama, Mistral or Qwen2 of Hugging Face: config.json together with "
        "model.safetensors, or with all shards and their index.",
        "Put all files of one network into its field at once. On the Hub or in a folder of the "
        "server the config is found by itself. No remote code is ever run.",
    ),
    EXPORTED: Way(
        ".pt2: any architecture",
        "One file that holds a network with its weights, written by engine.save_program or "
        "torch.export.save.",
        "One .pt2 is enough: the other network may be weights alone with the same names, chosen "
        "before it or after it.",
    ),
    MODULE: Way(
        "nn.Module in Python",
        "Any module that torch.export can trace, with one batch of its inputs as the example.",
        "Run this, then put both files into the fields below.",
        'import engine, torch\n\nengine.save_program(\n  module, example,\n  "a.pt2")\n'
        'torch.save(\n  other.state_dict(),\n  "b.pt")',
    ),
    HUB: Way(
        "Hugging Face Hub",
        "A repository with weights or a .pt2; its config.json and all shards come along.",
        "Write org/name, org/name@revision or org/name:file; private and gated repositories open "
        "with the token that the server was started with (HF_TOKEN).",
    ),
    SERVER: Way(
        "Files on the server",
        "Weights, a .pt2 or the index of shards from one folder of the server.",
        "A config.json that lies beside the weights belongs to them.",
    ),
}


def show_way(key: str) -> None:
    """Write the section of one way: its title, what it takes, how, and its code."""
    way = WAYS[key]
    with st.container(key=f"way_{key}", gap="small"):
        st.markdown(f"#### {way.title}")
        st.caption(f"{way.takes} {way.how}")
        if way.code is not None:
            st.code(way.code, language="python")
        if key == CONFIG and find_spec("transformers") is None:
            st.warning(WITHOUT_TRANSFORMERS)
        if key == HUB and not os.environ.get("HF_TOKEN"):
            st.caption("HF_TOKEN is not set: public repositories only.")
