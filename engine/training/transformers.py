"""The recipes' transformers as plain modules, with the key layouts of the public libraries.

ViT: timm's keys (`patch_embed.proj`, `cls_token`, `pos_embed`, `blocks.N.attn.qkv`, `norm`,
`head`), norms first, a class token. GPT-2: Hugging Face's keys (`transformer.wte`,
`transformer.h.N.attn.c_attn`, `lm_head`), whose linear weights stand [inputs, outputs]; the
output layer is not tied to the embedding. Dropout is not here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import TrainingError

EMBEDDING_STD = 0.02


def vit(inputs: tuple[int, ...], classes: int, width: int, depth: int) -> nn.Module:
    """Return a vision transformer with patches of a quarter of the image's side and 4 heads.

    Raises:
        TrainingError: the image is no square that patches tile, or the width is not divisible.
    """
    channels, height, side = inputs
    patch = side // PATCHES
    if height != side or side % PATCHES:
        raise TrainingError(
            f"The ViT needs square images whose side is a multiple of {PATCHES}; these are "
            f"{height} × {side}."
        )
    return VisionTransformer(channels, patch, PATCHES**2, classes, _checked(width), depth)


def gpt2(length: int, vocabulary: int, width: int, depth: int) -> nn.Module:
    """Return a GPT-2 of 4 heads over sequences of at most `length` tokens.

    Raises:
        TrainingError: the width is not divisible by the heads.
    """
    return GPT2(length, vocabulary, _checked(width), depth)


PATCHES = 4
HEADS = 4


def _checked(width: int) -> int:
    if width % HEADS:
        raise TrainingError(f"The width {width} is no multiple of the {HEADS} heads.")
    return width


class _Attention(nn.Module):
    """timm's attention: one fused layer for queries, keys and values."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(_attend(self.qkv(x), causal=False))


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), _Attention(width)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), _Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _Patches(nn.Module):
    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, blocks, a norm, and a linear layer on the class token."""

    def __init__(
        self, channels: int, patch: int, patches: int, classes: int, width: int, depth: int
    ) -> None:
        super().__init__()
        self.patch_embed = _Patches(channels, width, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, patches + 1, width))
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def start(self, generator: torch.Generator) -> None:
        """Draw the class token and the positions."""
        for tensor in (self.cls_token, self.pos_embed):
            tensor.normal_(0.0, EMBEDDING_STD, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class Conv1D(nn.Module):
    """GPT-2's linear layer: the weight is [inputs, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def start(self, generator: torch.Generator) -> None:
        """Draw the weight as GPT-2 does."""
        self.weight.normal_(0.0, EMBEDDING_STD, generator=generator)
        self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class _CausalAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_attn, self.c_proj = Conv1D(width, 3 * width), Conv1D(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(_attend(self.c_attn(x), causal=True))


class _FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(width, 4 * width), Conv1D(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class _Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), _CausalAttention(width)
        self.ln_2, self.mlp = nn.LayerNorm(width), _FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class _Trunk(nn.Module):
    def __init__(self, length: int, vocabulary: int, width: int, depth: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.h = nn.ModuleList(_Layer(width) for _ in range(depth))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.wte(tokens) + self.wpe(places)
        for layer in self.h:
            x = layer(x)
        return self.ln_f(x)


class GPT2(nn.Module):
    """Token and position embeddings, causal blocks, a norm, and scores of the next token."""

    def __init__(self, length: int, vocabulary: int, width: int, depth: int) -> None:
        super().__init__()
        self.transformer = _Trunk(length, vocabulary, width, depth)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.lm_head(self.transformer(tokens))


def _attend(qkv: Tensor, causal: bool) -> Tensor:
    """Return attention of HEADS heads over fused queries, keys and values [N, T, 3·width]."""
    batch, length, triple = qkv.shape
    split = qkv.reshape(batch, length, 3, HEADS, triple // (3 * HEADS))
    query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    return mixed.transpose(1, 2).reshape(batch, length, triple // 3)
