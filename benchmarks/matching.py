"""Weight matching: our seconds, objective and memory beside others', same weights, same process.

Run `python -m benchmarks.matching [--large] [--repeats N]`. All sides match the same two
random models in float32, in turn, N times; medians are printed. Beside ours stands plain
coordinate descent as a notebook would have it: the same groups, every cost computed anew at
every visit, SciPy's solver as it is; and snimu/rebasin. Tracing the model is timed
apart: we keep a traced architecture, rebasin traces each time. On a busy machine
`--processor-seconds --threads 1` counts the processor's seconds instead of the wall's.
Memory is the most that the process held beyond what it held before, in sizes of one model
(Linux alone). The
objective of both results is computed by our own code: ⟨a, π(b)⟩ over every tensor that a
permutation moves, without running statistics. Without rebasin installed
(requirements-bench.txt) it is left out.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from engine.matching import Problem, match_weights
from engine.program import Program, capture
from engine.symmetry import Occurrence, Symmetry, derive_symmetry

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


class SmallBlock(nn.Module):
    """Two 3×3 convolutions with BatchNorm, and a projection where the shape changes."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inside, outside, 3, stride), nn.BatchNorm2d(outside)
        self.conv2, self.bn2 = conv(outside, outside, 3), nn.BatchNorm2d(outside)
        self.down = nn.Sequential()
        if stride != 1 or inside != outside:
            self.down = nn.Sequential(conv(inside, outside, 3, stride), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.down(x))


def resnet20(width: int) -> nn.Module:
    """Return CIFAR-10's ResNet20 with 16, 32 and 64 channels times the width."""
    layers: list[nn.Module] = [conv(3, 16 * width, 3), nn.BatchNorm2d(16 * width), nn.ReLU()]
    inside = 16 * width
    for stage in range(3):
        for block in range(3):
            outside = 16 * width * 2**stage
            layers.append(SmallBlock(inside, outside, 2 if stage and not block else 1))
            inside = outside
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 10))


def vgg16() -> nn.Module:
    """Return CIFAR-10's VGG16: 64 to 512 channels, two hidden layers of 512."""
    layers: list[nn.Module] = []
    inside = 3
    for outside in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, *(512, 512, 512, 0) * 2):
        if outside:
            layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU()]
            inside = outside
        else:
            layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(512, 10))


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
    Case("VGG16 512", vgg16, (3, 32, 32)),
    Case("ResNet20×8", lambda: resnet20(8), (3, 32, 32)),
    Case("ResNet18", lambda: ResNet((2, 2, 2, 2), False), (3, 64, 64)),
    Case("ResNet50", lambda: ResNet((3, 4, 6, 3), True), (3, 64, 64), large=True),
    Case("ResNet20×32", lambda: resnet20(32), (3, 32, 32), large=True),
)


@dataclass
class Row:
    """What was measured of one side: seconds of tracing, of matching, and the objective."""

    tracing: list[float] = field(default_factory=list)
    matching: list[float] = field(default_factory=list)
    objective: float = float("nan")
    memory: float = float("nan")
    note: str = ""

    def add(self, tracing: float, matching: float, objective: float) -> None:
        self.tracing.append(tracing)
        self.matching.append(matching)
        self.objective = objective

    def line(self, side: str, identity: float) -> str:
        seconds, tracing = statistics.median(self.matching), statistics.median(self.tracing)
        return (
            f"  {side:8} {seconds:8.3f} s matching (of {min(self.matching):.3f} to "
            f"{max(self.matching):.3f}), {tracing:6.2f} s tracing, objective "
            f"{self.objective:10.2f} = {self.objective / identity:7.4f} × identity's, "
            f"{self.memory:.1f} models of memory {self.note}"
        )


def run_ours(case: Case, a: nn.Module, b: nn.Module, row: Row, clock: Clock) -> None:
    began = clock()
    program, symmetry = traced(case, a)
    held = memory(reset=True)
    middle = clock()
    result = match_weights(program, symmetry, state(a), state(b))
    row.add(middle - began, clock() - middle, result.objective)
    row.memory = (memory() - held) / sum(t.nbytes for t in state(a).values())
    row.note = f"({result.sweeps} sweeps)"


def run_plain(case: Case, a: nn.Module, b: nn.Module, row: Row, clock: Clock) -> None:
    program, symmetry = traced(case, a)
    problem = Problem(symmetry, state(a), state(b), exclude=program.statistics_names)
    held = memory(reset=True)
    began = clock()
    perms, sweeps = plain_descent(symmetry, state(a), state(b), program.statistics_names)
    row.add(0.0, clock() - began, problem.objective(perms))
    row.memory = (memory() - held) / sum(t.nbytes for t in state(a).values())
    row.note = f"({sweeps} sweeps)"


def plain_descent(
    symmetry: Symmetry, a: dict[str, Tensor], b: dict[str, Tensor], exclude: Collection[str]
) -> tuple[dict[str, Tensor], int]:
    """Return what plain coordinate descent finds, and its sweeps; groups that are not nested."""
    perms = {group.name: torch.arange(group.size) for group in symmetry.groups}
    places = [(g.name, o) for g in symmetry.groups for o in g.occurrences]
    generator = torch.Generator().manual_seed(0)
    for sweep in range(1, 101):
        gained = False
        for number in torch.randperm(len(symmetry.groups), generator=generator).tolist():
            group = symmetry.groups[number]
            cost = torch.zeros(group.size, group.size)
            for o in group.occurrences:
                if o.parameter in exclude:
                    continue
                shown = b[o.parameter]
                for name, other in places:
                    if other.parameter == o.parameter and other.axis != o.axis:
                        shown = permuted(shown, other, perms[name])
                cost += rows(a[o.parameter], o) @ rows(shown, o).T
            units = torch.arange(group.size)
            found = torch.from_numpy(linear_sum_assignment(cost.numpy(), maximize=True)[1])
            if cost[units, found].sum() > cost[units, perms[group.name]].sum() * (1 + 1e-6):
                perms[group.name], gained = found, True
        if not gained:
            return perms, sweep
    return perms, 100


def permuted(tensor: Tensor, place: Occurrence, p: Tensor) -> Tensor:
    parts = tensor.unflatten(place.axis, (place.outer, place.size, place.inner))
    return parts.index_select(place.axis + 1, p).flatten(place.axis, place.axis + 2)


def rows(tensor: Tensor, place: Occurrence) -> Tensor:
    parts = tensor.unflatten(place.axis, (place.outer, place.size, place.inner))
    return parts.movedim(place.axis + 1, 0).reshape(place.size, -1)


def memory(reset: bool = False) -> float:
    """Return the most bytes that the process has held since the last reset; NaN if not Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    line = next(x for x in status.read_text(encoding="ascii").splitlines() if "VmHWM" in x)
    return 1024 * float(line.split()[1])


def run_rebasin(
    case: Case, a: nn.Module, b: nn.Module, row: Row, problem: Callable[..., Problem], clock: Clock
) -> None:
    assert PermutationCoordinateDescent is not None
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


def measure(case: Case, repeats: int, with_plain: bool, with_rebasin: bool, clock: Clock) -> None:
    a, b = case.model(0), case.model(1)
    program, symmetry = traced(case, a)
    numel = sum(tensor.numel() for tensor in a.parameters())

    def problem(x: dict[str, Tensor], y: dict[str, Tensor]) -> Problem:
        return Problem(symmetry, x, y, exclude=program.statistics_names)

    identity = identity_objective(problem(state(a), state(b)))
    ours, plain, theirs = Row(), Row(), Row()
    match_weights(program, symmetry, state(a), state(b), max_sweeps=1)  # warm up
    for _ in range(repeats):
        run_ours(case, a, b, ours, clock)
        if with_plain:
            run_plain(case, a, b, plain, clock)
        if with_rebasin:
            run_rebasin(case, a, b, theirs, problem, clock)
    print(f"{case.name}: {numel:,} parameters, {len(symmetry.groups)} groups, median of {repeats}")
    print(ours.line("ours", identity))
    for side, row in (("plain", plain), ("rebasin", theirs)):
        if row.matching:
            print(row.line(side, identity))
            ratio = statistics.median(row.matching) / statistics.median(ours.matching)
            print(
                f"  ours is {ratio:.1f} × faster than {side}; objective "
                f"{ours.objective / row.objective:.4f} × {side}'s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="ResNet50 and ResNet20×32 too")
    parser.add_argument("--only", help="one case by its name")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-rebasin", action="store_true")
    parser.add_argument("--no-plain", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--processor-seconds", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with_rebasin = PermutationCoordinateDescent is not None and not options.no_rebasin
    clock = time.process_time if options.processor_seconds else time.perf_counter
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, CPU, float32")
    for case in CASES:
        if case.name == options.only or (not options.only and (options.large or not case.large)):
            measure(case, options.repeats, not options.no_plain, with_rebasin, clock)


if __name__ == "__main__":
    main()
