"""Times the landscape evaluator against the best plain PyTorch loop over batch sizes.

Work: (a) an MNIST-sized MLP 3×512, 10 000 random images; (b) a CIFAR-sized ResNet20×1 with
BatchNorm in eval mode, 2000 random images; (c) VGG16 with BatchNorm, 500 random images. A plain
loop forms the weights of a point, loads them into the module and runs the batches under
`inference_mode`, as a careful user would write it. One process; all alternate, so that a busy
machine slows all; medians of points. With one thread the processor's seconds count, which other
processes disturb little; with more, the wall's.

A point of an adapted plan is timed once the values per model are there: over a plane they are
computed once. `--batched` times a chunk of points at once, and divides. The share of peak is of
the float32 matrix product measured in the same process, and counts the operations of the whole
model, also those that a plan saves.

    python -m benchmarks.landscape [--share N] [--rounds N] [--threads N] [--only a b c]
        [--fast] [--batched] [--device cuda]
    python -m benchmarks.landscape --memory
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.landscape import MEMORY_BOUND, Span, choose_batch_size, evaluate, make_plane
from engine.landscape.plans import SHARED_BYTES, Adapted, batched, exact, fast, warning
from engine.landscape.plans.batched import MOST_POINTS
from engine.landscape.plans.cost import operations
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


def vgg16() -> nn.Module:
    """Return VGG16 with BatchNorm for images of 32×32, randomly initialised."""
    layers: list[nn.Module] = []
    inside = 3
    for widths in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for width in widths:
            layers += [nn.Conv2d(inside, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU()]
            inside = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


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


def measure(
    title: str,
    build: Callable[[], nn.Module],
    data: Samples,
    rounds: int,
    plans: dict[str, Adapted],
    device: str,
) -> None:
    """Print the medians of one kind of work."""
    modules = [build().eval().to(device) for _ in range(3)]
    models = [{n: t.clone() for n, t in module.state_dict().items()} for module in modules]
    program = capture(modules[0], data.inputs[:2])
    span = Span(("A", "B", "C"), tuple(models))
    row = torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64)
    points = {name: MOST_POINTS if name == "batched" else 1 for name in plans}
    sizes = [size for size in BATCH_SIZES if size <= len(data.targets)]
    seconds: dict[str, list[float]] = {name: [] for name in (*map(str, sizes), "peak", *plans)}
    losses = {}
    alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    square = torch.randn(1536, 1536, device=device)
    for number in range(rounds + 1):
        for name, times in seconds.items():
            start = clock()
            if name == "peak":
                float((square @ square)[0, 0])
            elif name in plans:
                rows = row.expand(points[name], -1)
                found = evaluate(program, span, rows, data, plan=plans[name], device=device)
                losses[name] = float(found.loss[0])
            else:
                losses[name] = plain_loop(modules[1], models, row, data, int(name))
            if number:  # the first round warms up
                times.append((clock() - start) / points.get(name, 1))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    best = min(map(str, sizes), key=medians.__getitem__)
    work = len(data.targets) * sum(map(operations, program.graph_module.graph.nodes))
    peak = 2 * len(square) ** 3 / medians.pop("peak")
    print(f"\n{title}; {rounds} rounds, {torch.get_num_threads()} thread(s), {clock.__name__}")
    print(f"  float32 matrix product: {peak / 1e9:.0f} GFLOP/s")
    for name, plan in plans.items():
        print(f"  {name}: {plan.sentence}")
    for name, median in medians.items():
        label = f"{name}, batch {choose_batch_size(program)}" if name in plans else f"plain, {name}"
        off = abs(losses[name] / losses[best] - 1)
        print(
            f"  {label:<20}{1000 * median:9.1f} ms a point, {medians[best] / median:5.2f}× the "
            f"best plain, {work / median / peak:4.0%} of peak, loss off by {off:.0e}"
        )


def memory() -> None:
    """Print the peak memory of a plane over a 500 MB model, in a process of its own."""
    width = 6400
    module = nn.Sequential(
        nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, 10),
    )  # fmt: skip
    program = capture(module, torch.randn(2, 784))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    first = {n: t.detach() for n, t in module.state_dict().items()}
    models = [first] + [{n: torch.randn(t.shape) / 100 for n, t in first.items()} for _ in "bc"]
    size = sum(tensor.nbytes for tensor in first.values())
    plane = make_plane(*models, resolution=2)
    data = Samples(torch.randn(500, 784), torch.randint(0, 10, (500,)))
    evaluate(program, plane.span, plane.coefficients, data, plan=exact())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    # The first model is in memory before the others are made.
    used = peak - before + size
    print(
        f"model {size / 1e6:.0f} MB; {used / 1e6:.0f} MB for models and plane = "
        f"4 models + {(used - 4 * size) / 1e6:.0f} MB (stated: at most "
        f"{(MEMORY_BOUND + SHARED_BYTES) / 1e6:.0f} MB)"
    )


def main() -> None:
    """Run the chosen kinds of work and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--share", type=int, default=1, help="divides the number of images")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds")
    parser.add_argument("--threads", type=int, help="torch threads; default: torch's own choice")
    parser.add_argument("--only", nargs="*", default=["a", "b", "c"], choices=["a", "b", "c"])
    parser.add_argument("--fast", action="store_true", help="also the precision fast")
    parser.add_argument("--batched", action="store_true", help="also several points at once")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--memory", action="store_true", help="peak memory instead of time")
    parser.add_argument("--memory-here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_here:
        memory()
        return
    if options.memory:
        command = [sys.executable, "-m", "benchmarks.landscape", "--memory-here"]
        subprocess.run(command, check=True)
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.fast and (said := warning("fast", options.device)):
        print(said)
    makers = {"exact": exact, "fast": fast, "batched": batched}
    asked = [name for name in makers if name == "exact" or getattr(options, name)]
    torch.manual_seed(0)
    work = {
        "a": ("(a) MLP 3×512", mlp, (10_000, 784)),
        "b": ("(b) ResNet20×1 BatchNorm", resnet20, (2000, 3, 32, 32)),
        "c": ("(c) VGG16 BatchNorm", vgg16, (500, 3, 32, 32)),
    }
    for key in options.only:
        title, build, (images, *shape) = work[key]
        images //= options.share
        data = Samples(
            torch.randn(images, *shape, device=options.device),
            torch.randint(0, 10, (images,), device=options.device),
        )
        plans = {name: makers[name]() for name in asked}
        measure(f"{title}, {images} images", build, data, options.rounds, plans, options.device)


if __name__ == "__main__":
    main()
