"""The recipes' transformers: keys, sizes, causality, training, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine.data import load_dataset
from engine.errors import TrainingError
from engine.families import recognise
from engine.program import capture
from engine.training import train
from engine.training.initialise import build_fresh
from engine.training.train import seeded
from engine.training.transformers import gpt2, vit
from tests.training.tiny import tiny_images

TINY = {"seed": 0, "width": 8, "depth": 1, "epochs": 1}


def test_the_vit_has_timms_keys_and_is_recognised():
    module = vit((1, 28, 28), 10, 64, 2).eval()
    state = module.state_dict()
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.1.attn.qkv.bias"} <= {
        *state
    }
    assert state["patch_embed.proj.weight"].shape == (64, 1, 7, 7)
    found = recognise(state, heads=4)
    assert found.family == "vit"
    rebuilt = found.module()
    rebuilt.load_state_dict({own: state[name] for own, name in found.names.items()})
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(rebuilt.eval()(x), module(x))


def test_the_gpt2_has_hugging_faces_keys():
    state = gpt2(3, 98, 64, 2).state_dict()
    assert {"transformer.wte.weight", "transformer.h.1.attn.c_attn.bias", "lm_head.weight"} <= {
        *state
    }
    assert state["transformer.h.0.attn.c_attn.weight"].shape == (64, 192)
    assert state["transformer.h.0.mlp.c_proj.weight"].shape == (256, 64)


def test_the_gpt2_is_hugging_faces():
    transformers = pytest.importorskip("transformers")
    module = build_fresh(lambda: gpt2(5, 11, 8, 2), seeded(0, "weights"))
    config = transformers.GPT2Config(
        vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4, tie_word_embeddings=False
    )
    theirs = transformers.GPT2LMHeadModel(config).eval()
    theirs.load_state_dict(module.state_dict())
    tokens = torch.randint(0, 11, (3, 5))
    torch.testing.assert_close(module(tokens), theirs(tokens).logits)


def test_a_token_is_told_nothing_of_those_that_follow():
    module = build_fresh(lambda: gpt2(5, 11, 8, 2), seeded(0, "weights"))
    tokens = torch.randint(0, 11, (3, 5))
    changed = tokens.clone()
    changed[:, 3:] = (tokens[:, 3:] + 1) % 11
    torch.testing.assert_close(module(tokens)[:, :3], module(changed)[:, :3])
    assert not torch.allclose(module(tokens)[:, 3], module(changed)[:, 3])


def test_every_weight_is_drawn_from_the_seed():
    for build in (lambda: gpt2(5, 11, 8, 1), lambda: vit((1, 8, 8), 3, 8, 1)):
        first, again, other = (build_fresh(build, seeded(s, "weights")) for s in (0, 0, 1))
        for name, tensor in first.state_dict().items():
            assert tensor.equal(again.state_dict()[name])
            if tensor.ndim > 1:
                assert not tensor.equal(other.state_dict()[name])
                assert 0 < tensor.std() < 1


def test_one_seed_one_gpt2_bit_for_bit():
    given = TINY | {"batch_size": 2500}
    before = torch.get_rng_state()
    first, again = (train("modular-gpt2", **given) for _ in range(2))
    assert torch.get_rng_state().equal(before)
    assert first.history == again.history
    assert all(first.tensors[name].equal(again.tensors[name]) for name in first.tensors)
    assert np.log(98) < first.history[0].test_loss < np.log(98) + 1
    program = capture(first.module(), first.example)
    assert (program.inputs[0].shape, program.inputs[0].high) == ((3,), 98)


def test_a_gpt2_is_trained_as_a_plain_loop_would(tmp_path):
    """AdamW written out, over the same draws, reaches the same weights."""
    np.savez(
        tmp_path / "own.npz",
        inputs=np.arange(120).reshape(30, 4) % 7,
        targets=np.where(np.arange(4) > 1, (np.arange(120).reshape(30, 4) + 1) % 7, -100),
    )
    given = TINY | {"epochs": 3, "batch_size": 10, "data": tmp_path / "own.npz", "rate": 1e-2}
    result = train("modular-gpt2", **given)
    data = load_dataset(tmp_path / "own.npz")
    module = build_fresh(lambda: gpt2(4, 7, 8, 1), seeded(0, "weights"))
    parameters = dict(module.named_parameters())
    first, second = ({n: torch.zeros_like(p) for n, p in parameters.items()} for _ in range(2))
    order = seeded(0, "order")
    chunks = [c for _ in range(3) for c in torch.randperm(30, generator=order).split(10)]
    for step, chosen in enumerate(chunks):
        module.zero_grad()
        scores = module(data.inputs[chosen])
        kept = data.targets[chosen] != -100
        F.cross_entropy(scores[kept], data.targets[chosen][kept]).backward()
        rise = 1  # a fifth of all steps: three epochs of warm-up do not fit
        rate = 1e-6 + (1e-2 - 1e-6) * step / rise
        if step >= rise:
            rate = 1e-2 * (1 + np.cos(np.pi * (step - rise) / (9 - rise))) / 2
        with torch.no_grad():
            for name, value in parameters.items():
                value.mul_(1 - rate * 0.3)
                first[name] = 0.9 * first[name] + 0.1 * value.grad
                second[name] = 0.999 * second[name] + 0.001 * value.grad**2
                mean = first[name] / (1 - 0.9 ** (step + 1))
                square = second[name] / (1 - 0.999 ** (step + 1))
                value.sub_(rate * mean / (square.sqrt() + 1e-8))
    for name, value in parameters.items():
        close = torch.isclose(result.tensors[name], value, atol=1e-5)
        if name.endswith("c_attn.bias"):
            close[8:16] = True  # keys' biases change nothing: Adam follows their rounding
        assert close.all(), name


def test_a_text_is_learned_by_its_bytes(tmp_path):
    (tmp_path / "poem.txt").write_bytes(b"abcd" * 200)
    given = TINY | {"epochs": 15, "batch_size": 4, "data": tmp_path / "poem.txt"}
    result = train("modular-gpt2", **given)
    assert result.tensors["transformer.wte.weight"].shape == (256, 8)
    assert result.tensors["transformer.wpe.weight"].shape == (64, 8)
    assert result.history[-1].test_loss < 0.6 * result.history[0].test_loss


def test_the_vit_trains(tmp_path):
    result = train("mnist-vit", **TINY, batch_size=4, data=tiny_images(tmp_path))
    assert np.isfinite(result.history[0].test_loss)
    assert all(tensor.is_contiguous() for tensor in result.tensors.values())
    x = result.example
    torch.testing.assert_close(result.module()(x), capture(result.module(), x)(result.tensors, x))


@pytest.mark.parametrize(
    ("recipe", "given", "message"),
    [
        ("mnist-vit", {"width": 6, "data": "mnist"}, "The width 6 is no multiple of the 4 heads"),
        ("mnist-vit", {"depth": -1}, "The depth is -1; it must be at least 1"),
        ("mnist-vit", {"optimiser": "sgd"}, "mnist-vit is not trained with 'sgd'; .* adamw, adam"),
        ("mnist-mlp", {"depth": 2}, "The depth is 2; mnist-mlp has none to choose"),
        ("mnist-vit", {"data": "modular-addition"}, r"needs images .* have shape \[3\]"),
        ("mnist-mlp", {"data": "modular-addition", "depth": None}, "learns one class per sample"),
        ("modular-gpt2", {"data": "mnist"}, "needs sequences of tokens and a token to predict"),
    ],
)
def test_what_makes_no_sense_is_refused(recipe, given, message):
    with pytest.raises(TrainingError, match=message):
        train(recipe, **TINY | {"batch_size": 4} | given)


def test_the_vit_needs_images_that_patches_tile():
    for shape, named in (((1, 8, 12), "8 × 12"), ((1, 10, 10), "10 × 10")):
        with pytest.raises(TrainingError, match=f"square images .* these are {named}"):
            vit(shape, 3, 8, 1)
