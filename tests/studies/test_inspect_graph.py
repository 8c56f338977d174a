"""The reduced graph: layers, joins and groups as a careful reader draws them by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.program import capture
from engine.studies.inspect_graph import layer_name, network_graph
from engine.symmetry import derive_symmetry
from tests.models import MODELS
from tests.symmetry.nets import Attention, DenseNet, MobileNet

Graph = list[dict[str, Any]]


def graph_of(module: nn.Module, inputs: Tensor) -> tuple[Graph, list[str]]:
    program = capture(module.eval(), inputs)
    symmetry = derive_symmetry(program)
    return network_graph(program, symmetry), [group.name for group in symmetry.groups]


def written(stretches: Any) -> str:
    """Return an axis in short: groups × in one stretch, | between stretches."""
    return "|".join("×".join(map(str, stretch["groups"])) for stretch in stretches)


def lines(graph: Graph) -> list[str]:
    return [
        f"{layer['name'] or layer['sign']} {written(layer['inputs'])}>{written(layer['outputs'])} "
        + ",".join(map(str, layer["sources"]))
        for layer in graph
    ]


@cache
def known(name: str) -> tuple[Graph, list[str]]:
    entry = next(entry for entry in MODELS if entry.name == name)
    return graph_of(entry.module(), entry.inputs(2))


def model(name: str) -> Graph:
    return known(name)[0]


def test_an_mlp_is_a_chain():
    assert lines(model("mlp"))[1:] == ["1 0>1 0", "3 1>2 1", "5 2>0 2", "output > 3"]


def test_a_residual_net_with_projections():
    graph = model("resnet-b")
    assert lines(graph)[1:] == [
        "conv1 0>1 0",
        "layer1.0.conv1 1>2 1",
        "layer1.0.conv2 2>1 2",
        "+ >1 1,3",
        "layer2.0.conv1 1>3 4",
        "layer2.0.conv2 3>4 5",
        "layer2.0.shortcut.0 1>4 4",
        "+ >4 6,7",
        "layer2.1.conv1 4>5 8",
        "layer2.1.conv2 5>4 9",
        "+ >4 8,10",
        "linear 4>0 11",
        "output > 12",
    ]
    assert graph[2]["parts"] == ("layer1.0.bn1",)
    assert graph[2]["shape"] == (3, 3, 3, 3)
    assert "layer1.0.bn1.running_mean" in graph[2]["parameters"]


def test_a_padded_shortcut_leaves_one_group_around_what_it_pads():
    assert "layer2.0.conv2 3>4|1|4 5" in lines(model("resnet-a"))


def test_concatenations_hold_every_source_in_order():
    graph, _ = graph_of(DenseNet(), torch.randn(2, 2, 8, 8))
    assert "concat >1|2|3 1,3,6" in lines(graph)
    assert [stretch["size"] for stretch in graph[7]["outputs"]] == [4, 3, 3]


def test_a_depthwise_convolution_keeps_its_channels():
    graph, _ = graph_of(MobileNet(), torch.randn(2, 2, 8, 8))
    assert "depthwise 2>2 2" in lines(graph)


def test_attention_has_heads_times_head_size():
    graph, names = graph_of(Attention(), torch.zeros(2, 5, dtype=torch.long))
    found = {layer["name"] or layer["sign"]: layer for layer in graph}
    heads, inner = found["q"]["outputs"][0]["groups"]
    assert names[heads - 1].startswith("q")
    assert found["k"]["outputs"] == found["q"]["outputs"]
    assert found["v"]["outputs"][0]["groups"] == (heads, inner + 1)
    assert [graph[at]["name"] for at in found["attention"]["sources"]] == ["q", "k", "v"]
    assert found["token"]["kind"] == "embedding"
    assert (found["place"]["kind"], found["place"]["sign"]) == ("parameter", "+")


class Written(nn.Module):
    """Weights used by hand, transposed or not, on either side of the product."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.first_bias = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.randn(4))
        self.second = nn.Parameter(torch.randn(5, 4))
        self.third = nn.Parameter(torch.randn(3, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(x @ self.first + self.first_bias)
        x = torch.relu(x @ self.second.t())
        return (self.third @ x.t()).t()


def test_weights_used_by_hand_have_the_right_sides():
    graph, _ = graph_of(Written(), torch.randn(2, 6))
    assert lines(graph)[1:] == ["first 0>1 0", "second 1>2 1", "third 2>0 2", "output > 3"]
    assert graph[1]["parameters"] == ("first", "first_bias")


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.name)
def test_every_parameter_is_drawn_once_and_data_flows_forward(entry):
    graph, names = known(entry.name)
    drawn = [name for layer in graph for name in layer["parameters"]]
    floating = {n for n, t in entry.module().state_dict().items() if t.is_floating_point()}
    assert sorted(drawn) == sorted(floating)
    for at, layer in enumerate(graph):
        assert all(source < at for source in layer["sources"])
        assert layer["sources"] or layer["kind"] == "input"
    shown = {
        g
        for layer in graph
        for side in ("inputs", "outputs")
        for s in layer[side]
        for g in s["groups"]
    }
    assert shown - {0} == set(range(1, len(names) + 1))


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("layer1.0.conv1.weight", "layer1.0.conv1"),
        ("attn.in_proj_weight", "attn.in_proj"),
        ("blocks.0.gamma_1", "blocks.0.gamma_1"),
        ("weight", "weight"),
    ],
)
def test_layers_are_called_as_their_modules(parameter, name):
    assert layer_name(parameter) == name
