"""The tensor tree: totals by hand, search, folding, strangers' names, very many tensors."""

from __future__ import annotations

import pytest

from engine.figures.tree import MOST_ROWS, Node, natural_key, tensor_tree, tree_html, tree_lines
from tests.pages.inspected import tensor

TENSORS = [
    tensor("features.10.conv.weight", 4, 3),
    tensor("features.2.conv.weight", 5, 2),
    tensor("features.2.conv.bias", 5),
    tensor("head.inner.deep.weight", 7),
    tensor("scale"),
]


def paths(node: Node, above: str = "") -> list[str]:
    """Return every row's path, as it is drawn from top to bottom."""
    found = []
    for child in node.children:
        own = f"{above}{child.label}"
        found += [own, *paths(child, f"{own}/")]
    return found


def test_rows_stand_in_natural_order_and_lonely_modules_in_one_row():
    assert paths(tensor_tree(TENSORS)) == [
        "scale",
        "features",
        "features/2.conv",
        "features/2.conv/bias",
        "features/2.conv/weight",
        "features/10.conv",
        "features/10.conv/weight",
        "head.inner.deep",
        "head.inner.deep/weight",
    ]


def test_totals_are_those_of_everything_below():
    root = tensor_tree(TENSORS)
    features = root.children[1]
    assert (features.elements, features.bytes, features.tensors) == (27, 108, 3)
    assert (root.elements, root.bytes, root.tensors) == (35, 140, 5)


def test_a_search_needs_every_word_and_ignores_case():
    found = tensor_tree(TENSORS, "CONV 2")
    assert found.tensors == 2
    assert tensor_tree(TENSORS, "").tensors == 5
    assert "No tensor has such a name" in tree_html(tensor_tree(TENSORS, "zzz"))


def test_html_shows_shares_groups_and_numbers():
    page = tree_html(tensor_tree(TENSORS), {("features.10.conv.weight", 0): [3]})
    assert f'<i style="width:{100 * 27 / 35:.2f}%">' in page
    assert '4<span class="bs-g" data-g="3"' in page
    assert "one number" in page
    assert page.count("<details") == page.count("</details>") == 4


def test_only_as_much_opens_as_fits():
    many = [tensor(f"block.{i}.part.{j}.weight", 2) for i in range(12) for j in range(12)]
    assert tree_html(tensor_tree(many)).count("<details open") == 1
    whole = tree_html(tensor_tree(many), open_all=True)
    assert whole.count("<details open") == whole.count("<details")
    assert len(tree_lines(tensor_tree(many), 60)) == 13


def test_names_from_files_are_escaped():
    page = tree_html(tensor_tree([tensor("<b onclick=x>.we\"ight<'", 2)]))
    assert "<b onclick" not in page
    assert "&lt;b onclick=x&gt;" in page
    assert 'title="&lt;b onclick=x&gt;.we&quot;ight' in page


def test_very_many_tensors_stay_a_page():
    page = tree_html(tensor_tree([tensor(f"a.{i}.w", 1) for i in range(MOST_ROWS)]), open_all=True)
    assert page.count('class="bs-leaf"') < MOST_ROWS
    assert "There are more: search for them by name" in page


def test_very_deep_names_are_drawn():
    deep = tensor_tree([tensor(".".join("x" * 255), 1), tensor(".".join("x" * 200), 1)])
    assert tree_html(deep).count("bs-leaf") == 2


@pytest.mark.parametrize("name", ["a²b", "a" + "9" * 400, "", "²"])
def test_strange_digits_have_a_key(name):
    assert sorted([name, "a1"], key=natural_key)


def test_lines_are_aligned():
    lines = tree_lines(tensor_tree(TENSORS))
    assert "    weight" in lines[4]
    assert lines[1].split() == ["features.", "3", "tensors,", "27", "elements"]
    assert lines[4].endswith("5 × 2  float32")
