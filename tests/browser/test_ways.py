"""A network that no family knows, from its upload to the drawn plane, in a real browser."""

from __future__ import annotations

import json

import pytest
import torch
from playwright.sync_api import expect
from safetensors.torch import save_file
from torch import nn

import engine
from tests.browser.test_app import (
    MOST_MILLISECONDS,
    PLANE,
    choose_file,
    choose_source,
    final_headline,
    open_app,
    press_run,
    settled,
)
from tests.runs.test_config import SIZES, state

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


class Gated(nn.Module):
    """A network of no known family, on images of MNIST."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(784, 6), nn.Linear(784, 6, bias=False)
        self.last = nn.Linear(6, 10)

    def forward(self, x):
        x = x.flatten(1)
        return self.last(torch.sigmoid(self.left(x)) * torch.tanh(self.right(x)))


def test_weights_and_a_pt2_chosen_after_them_end_in_a_plane(app, page, tmp_path):
    graph, weights = tmp_path / "gated.pt2", tmp_path / "weights.safetensors"
    for seed, path in enumerate((graph, weights)):
        torch.manual_seed(seed)
        module = Gated()
        if path is graph:
            engine.save_program(module, torch.zeros(2, 1, 28, 28), path)
        else:
            save_file(module.state_dict(), path)
    open_app(page, app)
    choose_source(page, ".pt2: any architecture")
    choose_file(page, 1, weights)
    expect(page.get_by_text("choose the .pt2 that it belongs to as A")).to_be_visible(
        timeout=MOST_MILLISECONDS
    )
    choose_file(page, 0, graph)
    expect(page.get_by_text("the pair fits")).to_be_visible(timeout=MOST_MILLISECONDS)
    press_run(page)
    final_headline(page, "gated.pt2")
    expect(page.get_by_text("π(B) is B")).to_be_visible()
    expect(page.locator(PLANE).first).to_be_visible()


def test_weights_with_their_config_are_inspected(app, page, tmp_path):
    pytest.importorskip("transformers")
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    save_file(state(0), weights)
    config.write_text(json.dumps({"model_type": "gpt2", **SIZES}))
    open_app(page, app, "/inspect")
    page.locator("[data-testid='stSidebar']").get_by_label("Network", exact=True).click()
    page.get_by_role("option", name="Weights with config.json").click()
    settled(page)
    page.locator("input[type=file]").set_input_files([weights, config])
    expect(page.get_by_text("GPT-2, 1 layers, width 8, 2 heads").first).to_be_visible(
        timeout=MOST_MILLISECONDS
    )
    expect(page.get_by_text("Proved:")).to_be_visible(timeout=MOST_MILLISECONDS)
    expect(page.locator(".bs-net").first).to_be_visible()
