"""Models of Hugging Face by their config.json, against transformers' own modules."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.checkpoints import load_checkpoint
from engine.errors import MismatchError, SpecError, UnknownArchitectureError
from engine.families import (
    build_program,
    check_same_config,
    module_from,
    recognise,
    recognise_checkpoint,
)
from engine.matching import match_weights
from engine.symmetry import derive_symmetry, prove
from tests.families.references import randomised

pytest.importorskip("transformers")

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
WORDS = 31
CONFIGS: dict[str, dict[str, object]] = {
    "gpt2": {
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_inner": 40,
        "vocab_size": WORDS,
        "n_positions": 12,
    },
    "bert": {**SIZES, "vocab_size": WORDS, "max_position_embeddings": 12},
    "vit": {**SIZES, "image_size": 8, "patch_size": 4, "num_channels": 2},
    "llama": {
        **SIZES,
        "vocab_size": WORDS,
        "num_key_value_heads": 2,
        "rope_theta": 500.0,
        "max_position_embeddings": 12,
    },
    "mistral": {**SIZES, "vocab_size": WORDS, "num_key_value_heads": 2, "sliding_window": 8},
    "qwen2": {**SIZES, "vocab_size": WORDS, "num_key_value_heads": 2, "tie_word_embeddings": True},
}
CLASSES = {
    "gpt2": "GPT2LMHeadModel",
    "bert": "BertForSequenceClassification",
    "vit": "ViTForImageClassification",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
}


def config_of(kind: str, **changes: object) -> dict[str, object]:
    return {"model_type": kind, "architectures": [CLASSES[kind]], **CONFIGS[kind], **changes}


@cache
def made(kind: str, name: str = "", labels: int = 2) -> nn.Module:
    """Return transformers' own module with random weights."""
    transformers = pytest.importorskip("transformers")
    values = {k: v for k, v in CONFIGS[kind].items() if k != "rope_theta"}
    if "rope_theta" in CONFIGS[kind]:
        base = CONFIGS[kind]["rope_theta"]
        values["rope_parameters"] = {"rope_type": "default", "rope_theta": base}
    title = {"gpt2": "GPT2", "bert": "Bert", "vit": "ViT"}.get(kind, kind.capitalize())
    config = getattr(transformers, f"{title}Config")(
        **values, num_labels=labels, bos_token_id=0, eos_token_id=0, pad_token_id=0
    )
    return randomised(getattr(transformers, name or CLASSES[kind])(config))


def sample(shape: tuple[int, ...], batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if len(shape) > 1:
        return torch.randn(batch, *shape, generator=generator)
    return torch.randint(WORDS, (batch, *shape), generator=generator)


def expected(module: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        found = module(x)
    return found.logits if hasattr(found, "logits") else found[0]


def same_names(name: str) -> str:
    return name


def old_vit(name: str) -> str:
    """ViT's names until transformers 4, as nearly all files on the Hub have them."""
    name = re.sub(r"vit\.layers\.(\d+)", r"vit.encoder.layer.\1", name)
    for new, old in (
        ("attention.q_proj", "attention.attention.query"),
        ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"),
        ("attention.o_proj", "attention.output.dense"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ):
        name = name.replace(new, old)
    return name


def old_bert(name: str) -> str:
    """BERT's names in files made from TensorFlow's."""
    gamma = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    return gamma.replace("LayerNorm.bias", "LayerNorm.beta")


@pytest.mark.parametrize(
    ("kind", "rename"),
    [
        *((kind, same_names) for kind in CONFIGS),
        ("gpt2", lambda name: name.removeprefix("transformer.")),
        ("bert", old_bert),
        ("vit", old_vit),
    ],
)
def test_the_program_computes_what_transformers_computes(
    kind: str, rename: Callable[[str], str]
) -> None:
    module = made(kind)
    state = {rename(name): tensor for name, tensor in module.state_dict().items()}
    found = recognise(state, config_of(kind))
    program = build_program(found)
    x = sample(found.input_shape)
    assert str(program.inputs[0].dtype) == f"torch.{found.input_dtype}"
    logits = program(state, x)
    assert logits.shape[-1] == found.classes
    assert expected(module, x).std() > 1e-2
    torch.testing.assert_close(logits, expected(module, x), rtol=1e-5, atol=1e-5)
    assert found.parameters == sum(p.numel() for p in module.parameters())


SLOW = ("mistral", "vit")


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow) if k in SLOW else k for k in CONFIGS]
)
def test_groups_are_derived_proved_and_found_again(kind: str) -> None:
    state = made(kind).state_dict()
    program = build_program(recognise(state, config_of(kind)))
    symmetry = derive_symmetry(program)
    assert symmetry.report.ops_without_rule == ()
    sizes = sorted(group.size for group in symmetry.groups)
    assert {32, 40} <= set(sizes)  # the stream of every layer, and the inside of every MLP
    assert sizes.count(40) == 2
    assert prove(program, symmetry, state).passed
    generator = torch.Generator().manual_seed(0)
    a = {n: torch.randn(s.shape, generator=generator) for n, s in program.parameters.items()}
    planted = symmetry.random(generator)
    result = match_weights(program, symmetry, a, symmetry.apply(planted, a), restarts=8)
    assert result.permutation == planted.inverse()


def test_the_class_follows_from_the_tensors() -> None:
    masked = recognise(made("bert", "BertForMaskedLM").state_dict(), {**config_of("bert")} | BARE)
    assert masked.config["class"] == "BertForMaskedLM"
    assert masked.classes == WORDS
    bare = made("bert", "BertModel")
    found = recognise(bare.state_dict(), config_of("bert") | BARE)
    assert found.config["class"] == "BertModel"
    assert found.classes == 32
    assert any("2 tensors are left aside" in said for said in found.assumptions)
    x = sample(found.input_shape)
    torch.testing.assert_close(
        build_program(found)(bare.state_dict(), x), bare(x)[0].detach(), rtol=1e-5, atol=1e-5
    )
    labels = recognise(made("vit", labels=7).state_dict(), config_of("vit"))
    assert labels.classes == 7


BARE = {"architectures": None}


def test_old_masks_are_left_aside_and_other_tensors_are_not() -> None:
    state = made("gpt2").state_dict() | {
        "transformer.h.0.attn.bias": torch.ones(1, 1, 12, 12),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e4),
    }
    found = recognise(state, config_of("gpt2"))
    assert any("2 tensors are left aside" in said for said in found.assumptions)
    with pytest.raises(UnknownArchitectureError, match=r"left over: transformer\.extra \[1\]\."):
        recognise(state | {"transformer.extra": torch.ones(1)}, config_of("gpt2"))


def test_a_tied_weight_may_be_there_once_or_twice_but_not_differ() -> None:
    state = made("gpt2").state_dict()
    assert "lm_head.weight" in state
    recognise(state, config_of("gpt2"))
    once = {name: tensor for name, tensor in state.items() if name != "lm_head.weight"}
    found = recognise(once, config_of("gpt2"))
    assert found.parameters == sum(p.numel() for p in made("gpt2").parameters())
    other = state | {"lm_head.weight": state["lm_head.weight"] + 1}
    with pytest.raises(UnknownArchitectureError, match=r"config\.json ties .*lm_head\.weight"):
        recognise(other, config_of("gpt2"))
    untied = recognise(other, config_of("gpt2", tie_word_embeddings=False))
    x = sample(untied.input_shape)
    assert not torch.equal(build_program(untied)(other, x), build_program(found)(once, x))


def test_the_length_of_a_sample() -> None:
    state = made("gpt2").state_dict()
    assert recognise(state, config_of("gpt2")).input_shape == (12,)
    assert recognise(state, config_of("gpt2"), length=5).input_shape == (5,)
    assert recognise(made("qwen2").state_dict(), config_of("qwen2")).input_shape == (64,)
    with pytest.raises(UnknownArchitectureError, match="length=13 is more than the model's 12"):
        recognise(state, config_of("gpt2"), length=13)
    with pytest.raises(SpecError, match="activation is no option of a model of Hugging Face"):
        recognise(state, config_of("gpt2"), activation="relu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_head": "4"}, r"n_head='4' is not possible: it must be a whole number from 1 to 65536"),
        ({"n_head": True}, r"n_head=True is not possible"),
        ({"n_embd": 10**9}, r"n_embd=1000000000 is not possible"),
        ({"n_layer": 0}, r"n_layer=0 is not possible"),
        ({"layer_norm_epsilon": -1.0}, r"layer_norm_epsilon=-1\.0 is not .*: it must be a number"),
        ({"activation_function": "os.system"}, r"activation_function='os\.system' is not possible"),
        ({"scale_attn_weights": 1}, r"scale_attn_weights=1 is not possible: .* true or false"),
        ({"n_head": 5}, r"config\.json: transformers refuses it"),
        ({"n_layer": 3}, r"There is no transformer\.h\.2\.ln_1\.weight \[32\], which config\.json"),
        ({"n_layer": 1}, r"These tensors would be left over: transformer\.h\.1"),
        ({"n_positions": 99}, r"wpe\.weight is \[12, 32\]; by config\.json it would be \[99, 32\]"),
        ({"add_cross_attention": True}, r"add_cross_attention=True is not handled"),
        ({"quantization_config": {"bits": 4}}, r"quantization_config=.* is not handled"),
        ({"architectures": ["GPT2ForTokens"]}, r"architecture 'GPT2ForTokens' is not built"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(UnknownArchitectureError, match=message):
        recognise(made("gpt2").state_dict(), config_of("gpt2", **changes))


def test_nothing_of_a_config_is_run() -> None:
    harmful = {
        "auto_map": {"AutoModelForCausalLM": "evil.Model"},
        "_attn_implementation": "evil/kernel",
        "trust_remote_code": True,
        "torch_dtype": "evil",
        "custom_pipelines": {},
    }
    found = recognise(made("gpt2").state_dict(), config_of("gpt2", **harmful))
    assert not harmful.keys() & found.config["settings"].keys()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "type 'yarn' are not handled"),
        ({"rope_scaling": {"type": "linear"}}, "rope_parameters lacks factor"),
        ({"rope_parameters": [1]}, "rope_parameters is no object"),
        ({"rope_parameters": {"rope_theta": 0}}, "rope_theta=0 is not possible"),
    ],
)
def test_rotary_embeddings_that_are_not_handled(told: dict, message: str) -> None:
    with pytest.raises(UnknownArchitectureError, match=message):
        recognise(made("llama").state_dict(), config_of("llama", **told))


def test_scaled_rotary_embeddings_are_another_function() -> None:
    state = made("llama").state_dict()
    plain = recognise(state, config_of("llama"))
    scaled = recognise(state, config_of("llama", rope_scaling={"type": "linear", "factor": 4.0}))
    x = sample(plain.input_shape)
    assert not torch.equal(build_program(plain)(state, x), build_program(scaled)(state, x))


def test_without_transformers_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    state = made("gpt2").state_dict()
    monkeypatch.setitem(sys.modules, "transformers.models.gpt2.modeling_gpt2", None)
    with pytest.raises(
        UnknownArchitectureError,
        match=r"needs the optional package transformers: pip install -r requirements-transformers",
    ):
        recognise(state, config_of("gpt2"))


def test_a_gpt2_without_a_config_is_recognised_by_its_names() -> None:
    module = made("gpt2")
    state = {n.removeprefix("transformer."): t for n, t in module.state_dict().items()}
    del state["lm_head.weight"]
    with pytest.raises(UnknownArchitectureError, match="The width 32 is no multiple of 64"):
        recognise(state)
    found = recognise(state, heads=4)
    assert found.assumptions[0] == "There are 4 heads of 8: as given."
    x = sample(found.input_shape)
    torch.testing.assert_close(
        build_program(found)(state, x), expected(module, x), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["bert", "vit", "llama"])
def test_other_models_without_a_config_say_what_is_missing(kind: str) -> None:
    with pytest.raises(UnknownArchitectureError, match=r"whose config\.json is missing") as refused:
        recognise(made(kind).state_dict())
    assert "Bring the folder that holds config.json beside the weights" in str(refused.value)


def test_an_unknown_model_type_leaves_the_names() -> None:
    with pytest.raises(UnknownArchitectureError, match="No known family fits"):
        recognise({"rwkv.weight": torch.ones(2)}, {"model_type": "rwkv"})


def test_a_recognition_is_json_and_builds_the_module_again() -> None:
    found = recognise(made("llama").state_dict(), config_of("llama"))
    again = module_from(json.loads(json.dumps(found.config)))
    assert again.state_dict().keys() == made("llama").state_dict().keys()


def saved(folder: Path, kind: str, **changes: object) -> Path:
    folder.mkdir()
    state = {name: tensor.clone() for name, tensor in made(kind).state_dict().items()}
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config_of(kind, **changes)))
    return folder


def test_a_folder_is_recognised_by_its_config(tmp_path: Path) -> None:
    found = load_checkpoint(saved(tmp_path / "a", "llama"))
    assert recognise_checkpoint(found).title == "Llama, 2 layers, width 32, 4 heads"


def test_configs_that_compute_differently_are_told(tmp_path: Path) -> None:
    a = load_checkpoint(saved(tmp_path / "a", "gpt2"))
    same = load_checkpoint(saved(tmp_path / "same", "gpt2", transformers_version="4.0"))
    other = load_checkpoint(saved(tmp_path / "other", "gpt2", n_head=2))
    assert a.sha256 != same.sha256
    check_same_config(a, same)
    with pytest.raises(MismatchError, match=r"says n_head=4, that of other/model.safetensors 2"):
        check_same_config(a, other)
