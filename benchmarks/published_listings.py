"""Write tests/families/published.json: what torchvision's and timm's own models are and compute.

Needs `pip install torchvision timm`, which neither the app nor its tests do. Full models are
listed by names and shapes; small ones of the same code also with the logits that the library
computes for weights and images that `tests/families/listings.py` draws.

    python -m benchmarks.published_listings
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import timm
import torch
import torchvision
from timm.models import convnext as timm_convnext
from timm.models import densenet as timm_densenet
from timm.models import efficientnet as timm_efficientnet
from timm.models import mobilenetv3 as timm_mobilenetv3
from timm.models import resnet as timm_resnet
from timm.models import vgg as timm_vgg
from timm.models import vision_transformer as timm_vit
from torch import nn
from torchvision import models as tv
from torchvision.models import convnext as tv_convnext
from torchvision.models import efficientnet as tv_efficientnet
from torchvision.models import mobilenetv3 as tv_mobilenetv3

from tests.families.listings import STORED, image, lines_of, weights

FULL: dict[str, tuple[str, ...]] = {
    "torchvision": (
        "resnet18",
        "resnet50",
        "resnext50_32x4d",
        "wide_resnet50_2",
        "densenet121",
        "mobilenet_v2",
        "mobilenet_v3_large",
        "mobilenet_v3_small",
        "efficientnet_b0",
        "efficientnet_v2_s",
        "convnext_tiny",
        "vit_b_16",
        "vgg11_bn",
    ),
    "timm": (
        "resnet50",
        "vgg11_bn",
        "mobilenetv2_100",
        "mobilenetv3_large_100",
        "efficientnet_b0",
        "efficientnetv2_rw_s",
        "convnext_tiny",
        "vit_base_patch16_224",
        "deit_small_patch16_224",
    ),
}


def v3_small() -> nn.Module:
    settings, _ = tv_mobilenetv3._mobilenet_v3_conf("mobilenet_v3_small", width_mult=0.25)
    return tv_mobilenetv3.MobileNetV3(settings, last_channel=24, num_classes=5)


def efficient() -> nn.Module:
    scaled = partial(tv_efficientnet.MBConvConfig, width_mult=0.25, depth_mult=0.4)
    rows = (
        (1, 3, 1, 32, 16, 1),
        (6, 3, 2, 16, 24, 2),
        (6, 5, 2, 24, 40, 2),
        (6, 3, 2, 40, 80, 3),
        (6, 5, 1, 80, 112, 3),
        (6, 5, 2, 112, 192, 4),
        (6, 3, 1, 192, 320, 1),
    )
    settings = [scaled(*row) for row in rows]
    return tv_efficientnet.EfficientNet(settings, 0.0, num_classes=5, last_channel=40)


def efficient_v2() -> nn.Module:
    fused, plain = tv_efficientnet.FusedMBConvConfig, tv_efficientnet.MBConvConfig
    settings = [
        fused(1, 3, 1, 8, 8, 2),
        fused(4, 3, 2, 8, 16, 2),
        fused(4, 3, 2, 16, 16, 1),
        plain(4, 3, 2, 16, 24, 2),
        plain(6, 3, 1, 24, 24, 1),
        plain(6, 3, 2, 24, 32, 1),
    ]
    norm = partial(nn.BatchNorm2d, eps=1e-3)
    return tv_efficientnet.EfficientNet(
        settings, 0.0, num_classes=5, last_channel=40, norm_layer=norm
    )


def next_blocks() -> nn.Module:
    rows = ((8, 16, 2), (16, 24, 1), (24, 32, 2), (32, None, 1))
    return tv.ConvNeXt([tv_convnext.CNBlockConfig(*row) for row in rows], num_classes=5)


def small_vgg() -> nn.Module:
    """timm's VGG with few channels; its head's width is a default of an inner function."""
    module = timm_vgg.VGG([8, "M", 16, 16, "M", 512, "M"], 5, norm_layer=nn.BatchNorm2d)
    module.pre_logits = timm_vgg.ConvMlp(512, 24, 7)
    module.head.fc = nn.Linear(24, 5)
    return module


def residual(block: type[nn.Module], **options: int) -> nn.Module:
    layers, channels = [2, 1, 1, 2], [16, 24, 32, 40]
    return timm_resnet.ResNet(block, layers, channels=channels, num_classes=5, **options)


# name -> (module, image size, what recognise() has to be told)
SMALL: dict[str, tuple[Callable[[], nn.Module], int, dict[str, object]]] = {
    "timm basic": (lambda: residual(timm_resnet.BasicBlock), 64, {}),
    "timm bottleneck": (lambda: residual(timm_resnet.Bottleneck), 64, {}),
    "timm resnext": (
        lambda: residual(timm_resnet.Bottleneck, cardinality=4, base_width=32),
        64,
        {},
    ),
    "timm vgg": (small_vgg, 64, {}),
    "torchvision densenet": (lambda: tv.DenseNet(4, (2, 3, 2), 8, num_classes=5), 64, {}),
    "timm densenet": (
        lambda: timm_densenet.DenseNet(growth_rate=4, block_config=(2, 1, 2), num_classes=5),
        64,
        {},
    ),
    "torchvision mobilenet v2": (lambda: tv.MobileNetV2(5, width_mult=0.1), 64, {}),
    "torchvision mobilenet v3": (v3_small, 64, {}),
    "timm mobilenet v3": (
        lambda: timm_mobilenetv3._gen_mobilenet_v3("mobilenetv3_large_100", 0.2, num_classes=5),
        64,
        {},
    ),
    "torchvision efficientnet": (efficient, 64, {}),
    "torchvision efficientnet v2": (efficient_v2, 64, {}),
    "timm efficientnet": (
        lambda: timm_efficientnet._gen_efficientnet("efficientnet_b0", 0.2, 0.3, num_classes=5),
        64,
        {},
    ),
    "timm tf efficientnet": (
        lambda: timm_efficientnet._gen_efficientnet(
            "tf_efficientnet_b0",
            0.2,
            0.3,
            num_classes=5,
            bn_eps=1e-3,
            pad_type="same",
        ),
        65,
        {"padding": "same"},
    ),
    "torchvision convnext": (next_blocks, 64, {}),
    "timm convnext": (
        lambda: timm_convnext.ConvNeXt(
            depths=(1, 2, 1, 1), dims=(8, 16, 24, 32), num_classes=5, ls_init_value=1e-6
        ),
        64,
        {},
    ),
    "torchvision vit": (
        lambda: tv.VisionTransformer(16, 4, 2, 2, 24, 40, num_classes=5),
        0,
        {"heads": 2},
    ),
    "timm vit": (
        lambda: timm_vit.VisionTransformer(16, 4, 3, 5, embed_dim=64, depth=2, num_heads=1),
        0,
        {},
    ),
    "timm vit averaged": (
        lambda: timm_vit.VisionTransformer(
            16,
            4,
            3,
            5,
            global_pool="avg",
            embed_dim=24,
            depth=2,
            num_heads=3,
            init_values=1e-5,
            class_token=False,
        ),
        0,
        {"heads": 3},
    ),
}


def listing(module: nn.Module) -> list[str]:
    """Return names and shapes; step counters are left out."""
    shapes = {n: tuple(t.shape) for n, t in module.state_dict().items() if "num_batches" not in n}
    return lines_of(shapes)


def measured(build: Callable[[], nn.Module], side: int, options: dict[str, object]) -> dict:
    """Return a small network's entry, with the logits of the library."""
    module = build().eval()
    state = module.state_dict()
    drawn = weights(
        {name: tuple(t.shape) for name, t in state.items() if "num_batches" not in name}
    )
    module.load_state_dict(drawn, strict=False)
    with torch.no_grad():
        logits = module(image((3, side or 16, side or 16)))
    told = options | ({"image_size": side} if side else {})
    return {"tensors": listing(module), "options": told, "logits": logits.tolist()}


def main() -> None:
    """Write the file."""
    full = {}
    with torch.device("meta"):
        for name in FULL["torchvision"]:
            full[f"torchvision {name}"] = {"tensors": listing(getattr(tv, name)())}
        for name in FULL["timm"]:
            full[f"timm {name}"] = {"tensors": listing(timm.create_model(name))}
    small = {name: measured(*entry) for name, entry in SMALL.items()}
    made = {"torchvision": torchvision.__version__, "timm": timm.__version__}
    STORED.write_text(json.dumps({"made": made, "full": full, "small": small}, indent=1) + "\n")


if __name__ == "__main__":
    main()
