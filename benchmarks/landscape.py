"""Times the landscape evaluator against the best plain PyTorch loop over batch sizes.

Work: (a) an MNIST-sized MLP 3×512, 10 000 random images; (b) a CIFAR-sized ResNet20×1 with
BatchNorm in eval mode, 2000 random images. A plain loop forms the weights of a point, loads
them into the module and runs the batches under `inference_mode`, as a careful user would write
it. One process; the two alternate, so that a busy machine slows both; medians of points.

    python -m benchmarks.landscape [--quick] [--rounds N] [--threads N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.landscape import Span, choose_batch_size, evaluate
from engine.program import capture

BATCH_SIZES = (100, 125, 250, 500, 1000, 2000, 5000, 10_000)


@dataclass(frozen=True)
class Samples:
    """Random inputs and targets."""

    inputs: Tensor
    targets: Tensor


class Block(nn.Module):
    """A CIFAR ResNet's basic block with option A shortcuts."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride, self.pad = stride, (outside - inside) // 2

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(out + x)


def resnet20() -> nn.Module:
    """Return a ResNet20×1 with BatchNorm, randomly initialised."""
    widths = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)
    blocks = [
        Block(inside, outside, 1 if inside == outside else 2)
        for inside, outside in pairwise(widths)
    ]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def mlp() -> nn.Module:
    """Return an MLP 784-512-512-512-10, randomly initialised."""
    widths = (784, 512, 512, 512)
    layers: list[nn.Module] = []
    for inside, outside in pairwise(widths):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(512, 10))


def plain_loop(
    module: nn.Module, models: list[dict[str, Tensor]], row: Tensor, data: Samples, batch: int
) -> float:
    """Return the mean loss at one point, by a loop that a careful user would write."""
    with torch.inference_mode():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                parts = zip(row.tolist(), models, strict=True)
                tensor.copy_(sum(c * model[name] for c, model in parts))  # type: ignore[arg-type]
        total = 0.0
        for start in range(0, len(data.targets), batch):
            logits = module(data.inputs[start : start + batch])
            targets = data.targets[start : start + batch]
            total += float(F.cross_entropy(logits, targets, reduction="sum"))
            (logits.argmax(1) == targets).sum()
    return total / len(data.targets)


def measure(title: str, build: Callable[[], nn.Module], data: Samples, rounds: int) -> None:
    """Print the medians of one kind of work."""
    modules = [build().eval() for _ in range(3)]
    models = [{n: t.clone() for n, t in module.state_dict().items()} for module in modules]
    program = capture(modules[0], data.inputs[:2])
    span = Span(("A", "B", "C"), tuple(models))
    row = torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64)
    sizes = [size for size in BATCH_SIZES if size <= len(data.targets)]
    seconds: dict[str, list[float]] = {str(size): [] for size in sizes} | {"ours": []}
    losses = {}
    for number in range(rounds + 1):
        for name, times in seconds.items():
            start = time.perf_counter()
            if name == "ours":
                losses[name] = float(evaluate(program, span, row[None], data).loss[0])
            else:
                losses[name] = plain_loop(modules[1], models, row, data, int(name))
            if number:  # the first round warms up
                times.append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    best = min(sizes, key=lambda size: medians[str(size)])
    print(f"\n{title}; {rounds} rounds, {torch.get_num_threads()} thread(s)")
    for name, median in medians.items():
        label = f"ours, batch {choose_batch_size(program)}" if name == "ours" else f"plain, {name}"
        print(f"  {label:<20}{1000 * median:9.1f} ms a point")
    print(f"  ours against the best plain loop (batch {best}): ", end="")
    print(f"{medians[str(best)] / medians['ours']:.2f}×")
    print(f"  relative difference of the losses: {abs(losses['ours'] / losses[str(best)] - 1):.1e}")


def main() -> None:
    """Run both kinds of work and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the images, 3 rounds")
    parser.add_argument("--rounds", type=int, help="timed rounds per batch size")
    parser.add_argument("--threads", type=int, help="torch threads; default: torch's own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rounds = options.rounds or (3 if options.quick else 7)
    share = 10 if options.quick else 1
    torch.manual_seed(0)
    work = (
        ("(a) MLP 3×512", mlp, (10_000 // share, 784)),
        ("(b) ResNet20×1 BatchNorm", resnet20, (2000 // share, 3, 32, 32)),
    )
    for title, build, shape in work:
        data = Samples(torch.randn(shape), torch.randint(0, 10, shape[:1]))
        measure(f"{title}, {shape[0]} images", build, data, rounds)


if __name__ == "__main__":
    main()
