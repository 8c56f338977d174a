"""Transformers over patches: ViT, DeiT, CaiT, XCiT, Swin, MaxViT, and torch's own modules."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.zoo.entry import Architecture, features, image

WIDTH, HEADS, HIDDEN = 12, 2, 10


class Attention(nn.Module):
    """Self-attention from one fused projection, divided as timm does."""

    def __init__(self, width: int = WIDTH, heads: int = HEADS, fused: bool = True) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)
            mixed = scores.softmax(-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(n, length, width))


class TalkingHeads(Attention):
    """CaiT's attention: heads are mixed before and after the softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(HEADS, HEADS), nn.Linear(HEADS, HEADS)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = self.before((q @ k.transpose(-2, -1)).permute(0, 2, 3, 1)).softmax(-2)
        mixed = self.after(scores).permute(0, 3, 1, 2) @ v
        return self.proj(mixed.transpose(1, 2).reshape(n, length, width))


class CrossCovariance(Attention):
    """XCiT's attention: over channels of a head, with normalised q and k."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 4, 1).unbind(0)
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        weights = (q @ k.transpose(-2, -1) * self.temperature).softmax(-1)
        return self.proj((weights @ v).permute(0, 3, 1, 2).reshape(n, length, width))


class Block(nn.Module):
    """Pre-norm: attention, then an MLP, each with a layer scale."""

    def __init__(self, attention: nn.Module, width: int = WIDTH) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = attention
        self.up, self.down = nn.Linear(width, HIDDEN), nn.Linear(HIDDEN, width)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.attention(self.norm1(x))
        return x + self.scale * self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Patches and class tokens (none: the mean; two: distillation), blocks, classifiers."""

    def __init__(self, attention: Callable[[], nn.Module], class_tokens: int = 1) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, 4)
        self.class_tokens = nn.Parameter(torch.randn(1, class_tokens, WIDTH))
        self.places = nn.Parameter(torch.randn(1, 4 + class_tokens, WIDTH))
        self.blocks = nn.Sequential(*(Block(attention()) for _ in range(2)))
        self.norm = nn.LayerNorm(WIDTH)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, 3) for _ in range(max(class_tokens, 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_tokens.expand(x.shape[0], -1, -1), x], 1) + self.places
        x = self.norm(self.blocks(x))
        if not self.class_tokens.shape[1]:
            return self.heads[0](x.mean(1))
        return torch.stack([h(x[:, i]) for i, h in enumerate(self.heads)], 1).mean(1)


class Windows(nn.Module):
    """Attention within 2×2 windows, shifted by one, with a table of relative positions."""

    def __init__(self, size: int, shift: int, width: int) -> None:
        super().__init__()
        self.size, self.shift, self.width = size, shift, width
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.table = nn.Parameter(torch.randn(9, HEADS))
        places = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(2), indexing="ij"))
        relative = (places.flatten(1)[:, :, None] - places.flatten(1)[:, None]).permute(1, 2, 0) + 1
        self.register_buffer("relative", relative[..., 0] * 3 + relative[..., 1])
        region = torch.zeros(1, size, size, 1)
        if shift:
            region[:, -1], region[:, :, -1] = 1.0, region[:, :, -1] + 2.0
        own = windows(region).squeeze(-1)
        self.register_buffer("mask", (own[:, None] - own[:, :, None]).ne(0).float() * -100.0)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        head = self.width // HEADS
        x = x.view(n, self.size, self.size, self.width)
        x = torch.roll(x, (-self.shift, -self.shift), (1, 2)) if self.shift else x
        x = windows(x)
        qkv = self.qkv(x).reshape(-1, 4, 3, HEADS, head).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        scores = q @ k.transpose(-2, -1) * head**-0.5
        bias = self.table[self.relative.view(-1)].view(4, 4, -1).permute(2, 0, 1).contiguous()
        scores = scores + bias.unsqueeze(0)
        if self.shift:
            count = self.mask.shape[0]
            scores = scores.view(n, count, HEADS, 4, 4) + self.mask.unsqueeze(1).unsqueeze(0)
            scores = scores.view(-1, HEADS, 4, 4)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, 4, self.width)
        side = self.size // 2
        mixed = self.proj(mixed).view(n, side, side, 2, 2, self.width)
        x = mixed.permute(0, 1, 3, 2, 4, 5).reshape(n, self.size, self.size, self.width)
        x = torch.roll(x, (self.shift, self.shift), (1, 2)) if self.shift else x
        return x.reshape(n, length, self.width)


def windows(x: Tensor) -> Tensor:
    """[n, h, w, c] to [windows, 4, c]."""
    n, height, width, channels = x.shape
    x = x.view(n, height // 2, 2, width // 2, 2, channels)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 4, channels)


class Swin(nn.Module):
    """Two stages with patch merging between them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 2, 2)
        self.stage1 = nn.Sequential(*(Block(Windows(4, shift, WIDTH)) for shift in (0, 1)))
        self.merge_norm = nn.LayerNorm(4 * WIDTH)
        self.merge = nn.Linear(4 * WIDTH, 16, bias=False)
        self.stage2 = Block(Windows(2, 0, 16), 16)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage1(self.patch(x).flatten(2).transpose(1, 2))
        x = x.view(x.shape[0], 4, 4, WIDTH)
        quarters = (x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2])
        x = torch.cat(quarters, -1).view(x.shape[0], 4, 4 * WIDTH)
        return self.head(self.norm(self.stage2(self.merge(self.merge_norm(x)))).mean(1))


class MaxViT(nn.Module):
    """Depthwise convolution with a gate, attention in blocks, then over a dilated grid."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, 2, 1)
        self.wide, self.narrow = nn.Conv2d(WIDTH, 14, 1), nn.Conv2d(14, WIDTH, 1)
        self.depth = nn.Conv2d(14, 14, 3, padding=1, groups=14)
        self.norm = nn.BatchNorm2d(14)
        self.block, self.grid = Block(Attention()), Block(Attention())
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.narrow(F.gelu(self.norm(self.depth(F.gelu(self.wide(x))))))
        n = x.shape[0]
        x = x.view(n, WIDTH, 2, 2, 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, WIDTH)
        x = self.block(x).view(n, 2, 2, 2, 2, WIDTH)
        x = x.permute(0, 2, 4, 1, 3, 5).reshape(-1, 4, WIDTH)
        return self.head(self.grid(x).reshape(n, 16, WIDTH).mean(1))


class TorchAttention(nn.Module):
    """nn.MultiheadAttention as it is, over learned queries and over the input itself."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(5, WIDTH)
        self.queries = nn.Parameter(torch.randn(1, 3, WIDTH))
        self.own = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.cross = nn.MultiheadAttention(WIDTH, HEADS, kdim=8, vdim=7, batch_first=True)
        self.key, self.value = nn.Linear(WIDTH, 8), nn.Linear(WIDTH, 7)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = x + self.own(x, x, x)[0]
        queries = self.queries.expand(x.shape[0], -1, -1)
        y = self.cross(queries, self.key(x), self.value(x), need_weights=False)[0]
        return self.head((queries + y).mean(1))


class TorchEncoder(nn.Module):
    """nn.TransformerEncoder as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(5, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x)).mean(1))


PICTURE = image(3, 8)
HEADS_OF = (2, 6, 6, 10)
"""One block's: heads, head size of q and k, head size of v, hidden units."""
ARCHITECTURES = (
    Architecture("ViT", "ViT", lambda: Transformer(Attention), PICTURE, (12, *HEADS_OF * 2)),
    Architecture("ViT, attention written out", "ViT",
                 lambda: Transformer(lambda: Attention(fused=False), 0), PICTURE,
                 (12, *HEADS_OF * 2)),
    Architecture("DeiT", "DeiT", lambda: Transformer(Attention, 2), PICTURE, (12, *HEADS_OF * 2)),
    Architecture("CaiT, talking heads", "CaiT", lambda: Transformer(TalkingHeads), PICTURE,
                 (12, *(2, 2, 2, 6, 6, 10) * 2)),
    Architecture("XCiT, cross-covariance", "XCiT", lambda: Transformer(CrossCovariance), PICTURE,
                 (12, *HEADS_OF * 2)),
    Architecture("Swin", "Swin", Swin, PICTURE, (12, 16, *HEADS_OF * 2, 2, 8, 8, 10)),
    Architecture("MaxViT", "MaxViT", MaxViT, PICTURE, (12, 14, *HEADS_OF * 2)),
    Architecture("nn.MultiheadAttention", "torch", TorchAttention, features(4, 5),
                 (12, 12, 3, 8, 7, *(2, 6, 6) * 2)),
    Architecture("nn.TransformerEncoder", "torch", TorchEncoder, features(4, 5),
                 (12, *HEADS_OF * 2)),
)  # fmt: skip
