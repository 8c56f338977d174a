"""Weight matching: our seconds and objective beside snimu/rebasin's, same weights, same process.

Run `python -m benchmarks.matching [--large] [--repeats N]`. Both sides match the same two
random models in float32, in turn, N times; medians are printed. Tracing the model is timed
apart: we keep a traced architecture, rebasin traces each time. On a busy machine
`--processor-seconds --threads 1` counts the processor's seconds instead of the wall's. The
objective of both results is computed by our own code: ⟨a, π(b)⟩ over every tensor that a
permutation moves, without running statistics. Without rebasin installed
(requirements-bench.txt) only ours is printed.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from engine.matching import Problem, match_weights
from engine.program import Program, capture
from engine.symmetry import Symmetry, derive_symmetry

try:
    from rebasin import PermutationCoordinateDescent
except ImportError:
    PermutationCoordinateDescent = None


Clock = Callable[[], float]


def conv(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """torchvision's BasicBlock (two 3×3) or Bottleneck (1×1, 3×3, 1×1), by its kernels."""

    def __init__(self, inside: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outside = 4 * width if bottleneck else width
        if bottleneck:
            self.conv1, self.bn1 = conv(inside, width, 1), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
            self.conv3, self.bn3 = conv(width, outside, 1), nn.BatchNorm2d(outside)
        else:
            self.conv1, self.bn1 = conv(inside, width, 3, stride), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.depth = 3 if bottleneck else 2
        self.downsample = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                conv(inside, outside, 1, stride), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for k in range(1, self.depth + 1):
            out = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(out))
            out = self.relu(out) if k < self.depth else out
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """torchvision's ResNet for ImageNet, layout and initialisation."""

    def __init__(self, blocks: tuple[int, ...], bottleneck: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        inside, stages = 64, []
        for stage, count in enumerate(blocks):
            width, layers = 64 * 2**stage, []
            for k in range(count):
                layers.append(Block(inside, width, 2 if stage and not k else 1, bottleneck))
                inside = 4 * width if bottleneck else width
            stages.append(nn.Sequential(*layers))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(inside, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def mnist_mlp() -> nn.Module:
    sizes = (784, 512, 512, 512, 10)
    layers: list[nn.Module] = []
    for inside, outside in pairwise(sizes):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@dataclass(frozen=True)
class Case:
    """A model to be matched with another of the same kind, and its inputs' shape."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    large: bool = False

    def model(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return self.build().eval()


CASES = (
    Case("MNIST MLP 3×512", mnist_mlp, (784,)),
    Case("ResNet18", lambda: ResNet((2, 2, 2, 2), False), (3, 64, 64)),
    Case("ResNet50", lambda: ResNet((3, 4, 6, 3), True), (3, 64, 64), large=True),
)


@dataclass
class Row:
    """What was measured of one side: seconds of tracing, of matching, and the objective."""

    tracing: list[float] = field(default_factory=list)
    matching: list[float] = field(default_factory=list)
    objective: float = float("nan")
    note: str = ""

    def add(self, tracing: float, matching: float, objective: float) -> None:
        self.tracing.append(tracing)
        self.matching.append(matching)
        self.objective = objective

    def line(self, side: str, identity: float) -> str:
        if not self.matching:
            return f"  {side:8} {self.note}"
        seconds, tracing = statistics.median(self.matching), statistics.median(self.tracing)
        return (
            f"  {side:8} {seconds:8.3f} s matching (of {min(self.matching):.3f} to "
            f"{max(self.matching):.3f}), {tracing:6.2f} s tracing, objective "
            f"{self.objective:10.2f} = {self.objective / identity:7.4f} × identity's {self.note}"
        )


def run_ours(case: Case, a: nn.Module, b: nn.Module, row: Row, clock: Clock) -> None:
    began = clock()
    program, symmetry = traced(case, a)
    middle = clock()
    result = match_weights(program, symmetry, state(a), state(b))
    row.add(middle - began, clock() - middle, result.objective)
    row.note = f"({result.sweeps} sweeps)"


def run_rebasin(
    case: Case, a: nn.Module, b: nn.Module, row: Row, problem: Callable[..., Problem], clock: Clock
) -> None:
    if PermutationCoordinateDescent is None:
        row.note = "is not installed: pip install -r requirements-bench.txt"
        return
    permuted = copy.deepcopy(b)
    began = clock()
    descent = PermutationCoordinateDescent(a, permuted, torch.zeros(1, *case.shape))
    middle = clock()
    descent.calculate_permutations()
    seconds = clock() - middle
    descent.apply_permutations()
    row.add(middle - began, seconds, identity_objective(problem(state(a), state(permuted))))


def traced(case: Case, model: nn.Module) -> tuple[Program, Symmetry]:
    program = capture(model, torch.zeros(2, *case.shape))
    return program, derive_symmetry(program)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def identity_objective(problem: Problem) -> float:
    return problem.objective(problem.identity())


def measure(case: Case, repeats: int, with_rebasin: bool, clock: Clock) -> None:
    a, b = case.model(0), case.model(1)
    program, symmetry = traced(case, a)
    numel = sum(tensor.numel() for tensor in a.parameters())

    def problem(x: dict[str, Tensor], y: dict[str, Tensor]) -> Problem:
        return Problem(symmetry, x, y, exclude=program.statistics_names)

    identity = identity_objective(problem(state(a), state(b)))
    ours, theirs = Row(), Row()
    match_weights(program, symmetry, state(a), state(b), max_sweeps=1)  # warm up
    for _ in range(repeats):
        run_ours(case, a, b, ours, clock)
        if with_rebasin:
            run_rebasin(case, a, b, theirs, problem, clock)
    print(f"{case.name}: {numel:,} parameters, {len(symmetry.groups)} groups, median of {repeats}")
    print(ours.line("ours", identity))
    if with_rebasin:
        print(theirs.line("rebasin", identity))
    if theirs.matching:
        ratio = statistics.median(theirs.matching) / statistics.median(ours.matching)
        print(
            f"  ours is {ratio:.1f} × faster; objective {ours.objective / theirs.objective:.4f}"
            f" × rebasin's; gain over the identity "
            f"{(ours.objective - identity) / (theirs.objective - identity):.2f} × rebasin's"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="ResNet50 too")
    parser.add_argument("--only", help="one case by its name")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-rebasin", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--processor-seconds", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.processor_seconds else time.perf_counter
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, CPU, float32")
    for case in CASES:
        if case.name == options.only or (not options.only and (options.large or not case.large)):
            measure(case, options.repeats, not options.no_rebasin, clock)


if __name__ == "__main__":
    main()
