"""The drawing: folding of equal blocks, lanes that never cross themselves, marks of groups."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest

from engine.figures.groups import groups_html, highlight_rules, hue
from engine.figures.network_fold import fold
from engine.figures.network_map import layer_words, network_html, size_words, skip_lanes
from tests.pages.inspected import group, layer, stretch, summary

Json = dict[str, Any]


def transformer(blocks: int) -> list[Json]:
    """Return blocks of six layers around one stream (group 1), two groups of its own in each."""
    graph = [layer("", "input", []), layer("embed", "linear", [0], outputs=[stretch(8, 1)])]
    for i in range(blocks):
        start, own = len(graph), 2 + 2 * i
        stream, heads = [stretch(8, 1)], [stretch(8, own, own + 1)]
        graph += [
            layer(f"blocks.{i}.norm", "norm", [start - 1], inputs=stream, outputs=stream),
            layer(f"blocks.{i}.qkv", "linear", [start], inputs=stream, outputs=heads),
            layer(f"blocks.{i}.proj", "linear", [start + 1], inputs=heads, outputs=stream),
            layer("", "join", [start - 1, start + 2], sign="+", outputs=stream),
        ]
    graph.append(layer("head", "linear", [len(graph) - 1], inputs=[stretch(8, 1)]))
    return graph


def test_equal_blocks_are_drawn_once_with_all_their_groups():
    rows, repeats = fold(transformer(12))
    assert [row.layer["name"] for row in rows] == [
        "",
        "embed",
        "blocks.0.norm",
        "blocks.0.qkv",
        "blocks.0.proj",
        "",
        "head",
    ]
    assert [(r.first, r.last, r.count) for r in repeats] == [(2, 5, 12)]
    assert repeats[0].names[-1] == "blocks.11"
    assert rows[3].outputs == ((tuple(range(2, 26, 2)), tuple(range(3, 27, 2))),)
    assert rows[3].inputs == (((1,),),)
    assert rows[6].sources == (5,)
    assert rows[5].sources == (1, 4)
    assert rows[3].names[1] == "blocks.1.qkv"


def test_small_networks_and_unfolded_ones_are_drawn_whole():
    for graph, folded in ((transformer(4), True), (transformer(12), False)):
        rows, repeats = fold(graph, folded)
        assert len(rows) == len(graph)
        assert not repeats
        assert [row.sources for row in rows] == [tuple(at["sources"]) for at in graph]


def test_a_block_of_another_shape_is_drawn_by_itself():
    graph = transformer(12)
    odd = next(at for at, one in enumerate(graph) if one["name"] == "blocks.5.qkv")
    graph[odd] = {**graph[odd], "shape": [24, 8]}
    _, repeats = fold(graph)
    assert [repeat.names for repeat in repeats] == [
        tuple(f"blocks.{i}" for i in range(5)),
        tuple(f"blocks.{i}" for i in range(6, 12)),
    ]


def test_stages_of_a_residual_net_are_folded_inside():
    graph = [layer("", "input", [])]
    for stage in (1, 2):
        for block in range(6):
            for part in ("conv1", "conv2"):
                at = len(graph) - 1
                name = f"layer{stage}.{block}.{part}"
                graph.append(layer(name, "conv", [at], shape=[stage, stage, 3, 3]))
    _, repeats = fold(graph)
    assert [(r.names[0], r.count) for r in repeats] == [("layer1.0", 6), ("layer2.0", 6)]


def test_no_two_flows_share_a_lane_at_the_same_height():
    dense = [layer("", "input", [])]
    for i in range(8):
        dense.append(layer(f"c{i}", "join", list(range(len(dense))), sign="concat"))
    rows, _ = fold(dense)
    skips, lanes = skip_lanes(rows)
    assert lanes == 7
    for one in skips:
        for two in skips:
            if one is not two and one.lane == two.lane:
                assert one.targets[-1] <= two.source or two.targets[-1] <= one.source
    assert {skip.source: skip.targets for skip in skips}[0] == tuple(range(2, 9))


def test_a_residual_stream_takes_one_lane():
    rows, _ = fold(transformer(12), folded=False)
    assert skip_lanes(rows)[1] == 1


def test_every_layer_has_a_box_and_its_numbers_at_the_right_end():
    found = summary()
    page = network_html(found["graph"], found["symmetry"]["groups"])
    assert page.count('class="bs-box') == 4
    first = re.search(r'<div class="bs-box bs-linear".*?</div>', page)
    assert first
    ends = first[0].split('<span class="bs-name">')
    assert "fixed: no permutation" in ends[0]
    assert 'data-g="1"' in ends[1]
    assert "linear · 3 → 4" in page
    assert page.count('class="bs-wire"') == 3


def test_inputs_have_the_names_that_the_graph_gives_them():
    graph = [layer("", "input", [], sign="<query>"), layer("", "input", [], sign="input")]
    page = network_html([*graph, layer("", "join", [0, 1], sign="+")], [])
    assert '<span class="bs-what">input &lt;query&gt;</span>' in page
    assert '<span class="bs-what">input</span>' in page


def test_nested_groups_are_marked_and_products_written():
    nested = group(2, "heads", 4, "w", copies=3, within=1)
    graph = [layer("q", "linear", [], outputs=[stretch(12, 1, 2)])]
    page = network_html(graph, [group(1, "q", 3, "w"), nested])
    assert 'class="bs-times">×<' in page
    assert 'class="bs-g bs-gn" data-g="2"' in page
    words = groups_html([nested])
    assert "nested: 3 times, one permutation for each unit of group 1" in words
    assert "a fixed axis" in groups_html([{**nested, "within": None}])


def test_many_groups_on_one_axis_are_counted():
    graph = [
        layer("c", "conv", [], shape=[9, 9, 1, 1], inputs=[stretch(1, n) for n in range(1, 8)])
    ]
    page = network_html(graph, [group(n, "g", 1, "w") for n in range(1, 8)])
    assert '<span class="bs-more">+3</span>' in page


@pytest.mark.parametrize(
    ("one", "words", "sizes"),
    [
        (
            layer("c", "conv", [], shape=[8, 4, 3, 3], inputs=[stretch(4)], outputs=[stretch(8)]),
            "conv 3×3",
            "4 → 8",
        ),
        (layer("p", "parameter", [], sign="+", outputs=[stretch(8)]), "+ parameter", "8"),
        (layer("", "join", [], sign="concat"), "concat", ""),
    ],
)
def test_layers_in_words(one, words, sizes):
    assert (layer_words(one), size_words(one)) == (words, sizes)


def test_neighbouring_groups_have_hues_far_apart():
    hues = [hue(number) for number in range(1, 40)]
    apart = [abs((a - b + 180) % 360 - 180) for a, b in pairwise(hues)]
    assert min(apart) > 100
    assert len(set(hues)) == len(hues)


def test_pointing_at_a_group_dims_the_others():
    assert '[data-g="2"]:hover) [data-g]:not([data-g="2"])' in highlight_rules([1, 2])
    assert highlight_rules([]) == ""


def test_names_from_files_are_escaped():
    hostile = '"><script>alert(1)</script>'
    graph = [layer(f"a.{hostile}", "linear", [], parts=[hostile], sign=hostile)]
    graph.append(layer("", "join", [0], sign=hostile))
    for page in (network_html(graph, []), groups_html([group(1, hostile, 2, hostile)])):
        assert "<script" not in page
        assert "&lt;script&gt;" in page
