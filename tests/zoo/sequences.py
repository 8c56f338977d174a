"""Recurrent cells, 1D and 3D convolutions, sets, graphs, einsum and towers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from tests.zoo.entry import Architecture, features, image, tokens


class Gated(nn.Module):
    """A GRU or LSTM cell written out, unrolled over time."""

    def __init__(self, gates: int) -> None:
        super().__init__()
        self.embed, self.size = nn.Embedding(11, 6), 7
        self.x, self.h = nn.Linear(6, gates * self.size), nn.Linear(self.size, gates * self.size)
        self.head = nn.Linear(self.size, 3)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        h = c = torch.zeros(x.shape[0], self.size)
        for step in x.unbind(1):
            h, c = self.lstm(step, h, c) if self.x.out_features == 28 else self.gru(step, h)
        return self.head(h)

    def gru(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        (xr, xz, xn), (hr, hz, hn) = self.x(x).chunk(3, 1), self.h(h).chunk(3, 1)
        z = torch.sigmoid(xz + hz)
        h = (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * h
        return h, h

    def lstm(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = (self.x(x) + self.h(h)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class TorchRecurrent(nn.Module):
    """nn.GRU, nn.LSTM or nn.RNN as they are: two layers, the last hidden state."""

    def __init__(self, kind: type[nn.RNNBase], both: bool) -> None:
        super().__init__()
        self.recurrent = kind(5, 7, num_layers=2, batch_first=True, bidirectional=both)
        self.head = nn.Linear(14 if both else 7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.recurrent(x)[0][:, -1])


class TorchCell(nn.Module):
    """nn.LSTMCell and nn.GRUCell, unrolled."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru, self.head = nn.LSTMCell(5, 7), nn.GRUCell(7, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        state, g = (torch.zeros(x.shape[0], 7),) * 2, torch.zeros(x.shape[0], 6)
        for step in range(3):
            state = self.lstm(x[:, step], state)
            g = self.gru(state[0], g)
        return self.head(g)


class Temporal(nn.Module):
    """Causal dilated 1D convolutions with weight norm and gates, as WaveNet and TCN."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(3, 6, 1)
        self.convs = nn.ModuleList(weight_norm(nn.Conv1d(6, 10, 2, dilation=d)) for d in (1, 2))
        self.back = nn.ModuleList(nn.Conv1d(5, 6, 1) for _ in range(2))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer, back in zip(self.convs, self.back, strict=True):
            a, b = layer(F.pad(x, (layer.dilation[0], 0))).chunk(2, 1)
            x = x + back(torch.tanh(a) * torch.sigmoid(b))
        return self.head(F.adaptive_max_pool1d(x, 1).squeeze(-1))


def volumes() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(2, 5, 3, padding=1), nn.BatchNorm3d(5), nn.ReLU(), nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(5, 6, (1, 3, 3)), nn.Conv3d(6, 7, (3, 1, 1)), nn.ReLU(),
        nn.ConvTranspose3d(7, 4, 2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


class TextCNN(nn.Module):
    """Kim's text classifier: embedding, 1D convolutions of several widths, the largest value."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(6, 4 + size, size) for size in (2, 3))
        self.head = nn.Linear(13, 3)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids).transpose(1, 2)
        return self.head(torch.cat([F.relu(c(x)).max(dim=2).values for c in self.convs], 1))


class PointNet(nn.Module):
    """Points as a set: shared maps, a learned transform, the largest value."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(3, 6, 1), nn.Conv1d(6, 8, 1)
        self.transform = nn.Linear(6, 36)
        self.norm, self.head = nn.BatchNorm1d(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        turn = self.transform(x.amax(2)).view(-1, 6, 6) + torch.eye(6)
        x = torch.bmm(x.transpose(1, 2), turn).transpose(1, 2)
        return self.head(F.relu(self.norm(self.second(x))).amax(-1))


class Graph(nn.Module):
    """Graph attention over a dense adjacency given as an input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 6), nn.Linear(6, 7), nn.Linear(7, 3)
        self.left, self.right = nn.Parameter(torch.randn(6)), nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = self.first(x)
        scores = F.leaky_relu((x @ self.left)[:, :, None] + (x @ self.right)[:, None], 0.2)
        weights = scores.masked_fill(edges <= 0, -1e4).softmax(-1)
        x = F.elu(weights @ x)
        degree = edges.abs().sum(-1, keepdim=True)
        return self.head(F.relu(self.second(edges @ x / (degree + 1)))).mean(1)


class Factors(nn.Module):
    """Contractions by einsum: a low-rank bilinear form, a trace and an attention over factors."""

    def __init__(self) -> None:
        super().__init__()
        self.u, self.v = nn.Parameter(torch.randn(5, 6)), nn.Parameter(torch.randn(5, 7))
        self.core = nn.Parameter(torch.randn(6, 7, 8))
        self.diagonal = nn.Parameter(torch.randn(8, 8))
        self.out = nn.Parameter(torch.randn(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        a, b = torch.einsum("ni,ij->nj", x, self.u), torch.einsum("ni,ij->nj", x, self.v)
        z = torch.einsum("nj,nk,jkm->nm", a, b, self.core)
        return torch.einsum("...m,mm,mo->...o", torch.tanh(z), self.diagonal, self.out)


class Towers(nn.Module):
    """Two towers with shared weights, compared by cosine and by a bilinear form."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 7)
        self.form = nn.Bilinear(7, 7, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = (self.second(F.relu(self.first(part))) for part in (x, y))
        near = F.cosine_similarity(x, y, dim=1)[:, None]
        far = torch.cdist(x[:, None], y[:, None])[:, 0]
        return torch.cat([near, far, F.pairwise_distance(x, y)[:, None], self.form(x, y)], 1)


class Recommender(nn.Module):
    """DLRM: embeddings and dense features, their pairwise products, an MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(9, 6) for _ in range(2))
        self.dense, self.top, self.head = nn.Linear(4, 6), nn.Linear(9, 8), nn.Linear(8, 1)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        parts = [F.relu(self.dense(x)), *(t(ids[:, i]) for i, t in enumerate(self.tables))]
        stacked = torch.stack(parts, 1)
        products = torch.bmm(stacked, stacked.transpose(1, 2))
        rows, columns = torch.tril_indices(3, 3, -1)
        pairs = products[:, rows, columns]
        return self.head(F.relu(self.top(torch.cat([parts[0], pairs], 1))))


def pair(first: tuple[int, ...], second: tuple[int, ...]):
    return lambda: (*features(*first)(), *features(*second)())


ARCHITECTURES = (
    Architecture("GRU cell written out", "recurrent", lambda: Gated(3), tokens(11, 4), (6, 7)),
    Architecture("LSTM cell written out", "recurrent", lambda: Gated(4), tokens(11, 4), (6, 7)),
    Architecture("nn.GRU", "recurrent", lambda: TorchRecurrent(nn.GRU, False), features(4, 5),
                 (7, 7)),
    Architecture("nn.LSTM, both directions", "recurrent", lambda: TorchRecurrent(nn.LSTM, True),
                 features(4, 5), (7, 7, 7, 7)),
    Architecture("nn.RNN", "recurrent", lambda: TorchRecurrent(nn.RNN, False), features(4, 5),
                 (7, 7)),
    Architecture("nn.LSTMCell and nn.GRUCell", "recurrent", TorchCell, features(3, 5), (7, 6)),
    Architecture("WaveNet, weight norm", "1D", Temporal, features(3, 8), (6, 5, 5)),
    Architecture("Video ConvNet", "3D", volumes, image(2, 4, 6, 6), (5, 6, 7, 4)),
    Architecture("TextCNN", "1D", TextCNN, tokens(11, 6), (6, 6, 7)),
    Architecture("PointNet", "sets", PointNet, features(3, 9), (6, 8)),
    Architecture("Graph attention", "graphs", Graph, pair((4, 4), (4, 4)), (6, 7)),
    Architecture("Einsum factors", "einsum", Factors, features(5), (6, 7, 8)),
    Architecture("Siamese towers", "towers", Towers, pair((6,), (6,)), (8, 7)),
    Architecture("DLRM", "recommender", Recommender,
                 lambda: (*features(4)(), *tokens(9, 2)()), (6, 8)),
)  # fmt: skip
