"""A reference CIFAR ResNet with the key names of public repositories, independent of the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

Names = dict[str, str]
AKAMASTER: Names = {
    "stem": "conv1",
    "stem_norm": "bn1",
    "block": "layer{stage}.{index}",
    "conv1": "conv1",
    "norm1": "bn1",
    "conv2": "conv2",
    "norm2": "bn2",
    "shortcut": "shortcut.0",
    "shortcut_norm": "shortcut.1",
    "head": "linear",
}
CHENYAOFO: Names = AKAMASTER | {
    "shortcut": "downsample.0",
    "shortcut_norm": "downsample.1",
    "head": "fc",
}
RETHINK: Names = AKAMASTER | {
    "stem_norm": "norm1",
    "block": "segments.{stage0}.{index}",
    "norm1": "norm1",
    "norm2": "norm2",
    "head": "fc",
}
BLOCKGROUP: Names = AKAMASTER | {"block": "blockgroup{stage}.block{index1}"}
BLOCK_GROUPS: Names = AKAMASTER | {
    "stem": "conv",
    "stem_norm": "norm",
    "block": "block_groups.{stage0}.blocks.{index}",
    "conv1": "conv0",
    "norm1": "norm0",
    "conv2": "conv1",
    "norm2": "norm1",
}
WEIAICUNZAI: Names = AKAMASTER | {
    "stem": "conv1.0",
    "stem_norm": "conv1.1",
    "block": "conv{stage1}_x.{index}",
    "conv1": "residual_function.0",
    "norm1": "residual_function.1",
    "conv2": "residual_function.3",
    "norm2": "residual_function.4",
    "head": "fc",
}


class ReferenceResNet(nn.Module):
    """A CIFAR ResNet whose modules are called as `names` says, whatever the layout.

    Args:
        names: Where each layer lives.
        widths: One per stage.
        blocks: Blocks per stage.
        norm: (channels, side of the image) -> module; None for no norm.
        shortcut: "A", "B" or "3×3".
    """

    def __init__(
        self,
        names: Names,
        widths: Sequence[int],
        blocks: Sequence[int],
        norm: Callable[[int, int], nn.Module] | None,
        shortcut: str,
        image: int = 32,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.names, self.plan = names, []
        self.put(names["stem"], nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False))
        self.put_norm(names["stem_norm"], norm, widths[0], image)
        inside = widths[0]
        for stage, (width, number) in enumerate(zip(widths, blocks, strict=True)):
            for index in range(number):
                stride = 2 if stage > 0 and index == 0 else 1
                image = image // stride
                numbers = {"stage0": stage, "stage": stage + 1, "stage1": stage + 2}
                owner = names["block"].format(**numbers, index=index, index1=index + 1)
                self.add_block(owner, inside, width, stride, norm, shortcut, image)
                inside = width
        self.put(names["head"], nn.Linear(inside, 10))

    def add_block(self, owner, inside, width, stride, norm, shortcut, image) -> None:
        projected = stride == 2 and shortcut != "A"
        self.plan.append((owner, stride, projected, width - inside))
        layers = {"conv1": nn.Conv2d(inside, width, 3, stride, 1, bias=False)}
        layers["conv2"] = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        if projected:
            kernel = 1 if shortcut == "B" else 3
            layers["shortcut"] = nn.Conv2d(inside, width, kernel, stride, kernel // 2, bias=False)
        for name, layer in layers.items():
            self.put(f"{owner}.{self.names[name]}", layer)
            norm_name = {"shortcut": "shortcut_norm"}.get(name, name.replace("conv", "norm"))
            self.put_norm(f"{owner}.{self.names[norm_name]}", norm, width, image)

    def put_norm(self, path, norm, width, image) -> None:
        self.put(path, norm(width, image) if norm else nn.Identity())

    def put(self, path: str, layer: nn.Module) -> None:
        """Place a layer at a dotted path, making the modules on the way."""
        *owners, last = path.split(".")
        place: nn.Module = self
        for owner in owners:
            if owner not in dict(place.named_children()):
                place.add_module(owner, nn.Module())
            place = place.get_submodule(owner)
        place.add_module(last, layer)

    def layer(self, owner: str, name: str) -> nn.Module:
        return self.get_submodule(f"{owner}.{self.names[name]}" if owner else self.names[name])

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.layer("", "stem_norm")(self.layer("", "stem")(x)))
        for owner, stride, projected, missing in self.plan:
            out = F.relu(self.layer(owner, "norm1")(self.layer(owner, "conv1")(x)))
            out = self.layer(owner, "norm2")(self.layer(owner, "conv2")(out))
            if projected:
                x = self.layer(owner, "shortcut_norm")(self.layer(owner, "shortcut")(x))
            elif stride == 2:
                sides = (missing // 2, missing - missing // 2)
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, *sides))
            x = F.relu(out + x)
        return self.layer("", "head")(F.avg_pool2d(x, x.shape[3]).flatten(1))
