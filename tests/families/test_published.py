"""Published architectures against the real libraries: names, shapes, parameters and logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.errors import SpecError, UnknownArchitectureError
from engine.families import build_program, recognise
from engine.matching import match_weights
from engine.symmetry import derive_symmetry, prove
from tests.families.listings import image, shapes_of, stored, unread, weights

# Title and number of parameters as the libraries' documentation has them.
FULL = {
    "torchvision resnet18": ("ResNet18", 11_689_512),
    "torchvision resnet50": ("ResNet50", 25_557_032),
    "torchvision resnext50_32x4d": ("ResNeXt50 32×4d", 25_028_904),
    "torchvision wide_resnet50_2": ("Wide ResNet50-2", 68_883_240),
    "torchvision densenet121": ("DenseNet121, growth 32", 7_978_856),
    "torchvision mobilenet_v2": ("MobileNetV2, stem 32", 3_504_872),
    "torchvision mobilenet_v3_large": ("MobileNetV3 Large, stem 16", 5_483_032),
    "torchvision mobilenet_v3_small": ("MobileNetV3 Small, stem 16", 2_542_856),
    "torchvision efficientnet_b0": ("EfficientNet B0, stem 32", 5_288_548),
    "torchvision efficientnet_v2_s": ("EfficientNetV2 S, stem 24", 21_458_488),
    "torchvision convnext_tiny": ("ConvNeXt Tiny", 28_589_128),
    "torchvision vit_b_16": ("ViT-B/16, 224×224", 86_567_656),
    "torchvision vgg11_bn": ("VGG11 ×1, BatchNorm", 132_868_840),
    "timm resnet50": ("ResNet50", 25_557_032),
    "timm vgg11_bn": ("VGG11, timm's, BatchNorm", 132_868_840),
    "timm mobilenetv2_100": ("MobileNetV2, stem 32", 3_504_872),
    "timm mobilenetv3_large_100": ("MobileNetV3 Large, stem 16", 5_483_032),
    "timm efficientnet_b0": ("EfficientNet B0, stem 32", 5_288_548),
    "timm efficientnetv2_rw_s": ("EfficientNetV2 S, stem 24", 23_941_296),
    "timm convnext_tiny": ("ConvNeXt Tiny", 28_589_128),
    "timm vit_base_patch16_224": ("ViT-B/16, 224×224", 86_567_656),
    "timm deit_small_patch16_224": ("ViT-S/16, 224×224", 22_050_664),
}
# Small networks whose groups are derived, proved and found again; the others take as long.
TRACED = (
    "timm resnext",
    "timm vgg",
    "torchvision densenet",
    "torchvision mobilenet v3",
    "torchvision efficientnet v2",
    "timm convnext",
    "torchvision vit",
)


def small(name: str) -> tuple[dict[str, Tensor], dict[str, object], Tensor]:
    """Return a small network's weights, what recognise is told, and the library's logits."""
    entry = stored()["small"][name]
    return weights(shapes_of(entry)), entry["options"], torch.tensor(entry["logits"])


def listed(name: str) -> dict[str, Tensor]:
    """Return a full network's tensors, without values."""
    return unread(shapes_of(stored()["full"][name]))


def refusal(state: dict[str, Tensor], **options: object) -> str:
    with pytest.raises(UnknownArchitectureError) as refused:
        recognise(state, **options)
    return str(refused.value)


@pytest.mark.parametrize("name", FULL)
def test_a_published_network_is_recognised_by_names_and_shapes(name):
    found = recognise(listed(name))
    assert (found.title, found.parameters) == FULL[name]
    assert found.input_shape == (3, 224, 224)
    assert found.classes == 1000
    assert set(found.names.values()) == set(listed(name))
    assert found.evidence[-1] == f"All {len(listed(name))} tensors are accounted for."


def test_every_listing_has_a_test():
    assert FULL.keys() == stored()["full"].keys()


@pytest.mark.parametrize("name", stored()["small"])
def test_the_module_computes_what_the_library_computes(name):
    state, options, expected = small(name)
    found = recognise(state, **options)
    own = {mine: state[theirs] for mine, theirs in found.names.items()}
    with torch.no_grad():
        logits = torch.func.functional_call(found.module(), own, (image(found.input_shape),))
    assert expected.std() > 0.1
    assert (logits - expected).abs().max() <= 2e-6 * expected.abs().max()


@pytest.mark.parametrize(
    "name",
    [n if n in TRACED else pytest.param(n, marks=pytest.mark.slow) for n in stored()["small"]],
)
def test_groups_are_derived_proved_and_found_again(name):
    state, options, expected = small(name)
    found = recognise(state, **options)
    program = build_program(found)
    logits = program(state, image(found.input_shape))
    assert (logits - expected).abs().max() <= 2e-6 * expected.abs().max()
    symmetry = derive_symmetry(program)
    assert symmetry.report.ops_without_rule == ()
    assert symmetry.moved_parameters > 0.98 * found.parameters
    assert prove(program, symmetry, state).passed
    generator = torch.Generator().manual_seed(0)
    a = {n: torch.randn(s.shape, generator=generator) for n, s in program.parameters.items()}
    planted = symmetry.random(generator)
    result = match_weights(program, symmetry, a, symmetry.apply(planted, a))
    assert result.permutation == planted.inverse()


@pytest.mark.parametrize("name", ["timm resnext", "torchvision efficientnet", "timm vit"])
def test_no_tensor_is_dispensable(name):
    """Without a tensor the state dict is refused, or is another network."""
    state, options, _ = small(name)
    whole = recognise(state, **options)
    for missing in list(state)[:: 1 + len(state) // 40]:
        try:
            found = recognise({n: t for n, t in state.items() if n != missing}, **options)
        except UnknownArchitectureError:
            continue
        assert found.parameters < whole.parameters
        assert missing.endswith((".bias", "token")), missing


def test_wrappers_and_prefixes_do_not_matter():
    state = listed("torchvision resnet50")
    for wrapped in ("module.", "model.", "net.module."):
        found = recognise({f"{wrapped}{name}": tensor for name, tensor in state.items()})
        assert found.title == "ResNet50"
        assert found.names["stem.weight"] == f"{wrapped}conv1.weight"


def test_a_wrong_shape_is_named():
    state = listed("torchvision resnet50")
    state["layer2.0.bn2.weight"] = torch.empty(7, device="meta")
    assert "but: layer2.0.bn2.weight is [7]; read as ResNet50, it would be [128]." in refusal(state)
    state = listed("torchvision vit_b_16")
    state["encoder.pos_embedding"] = torch.empty(1, 200, 768, device="meta")
    assert "encoder.pos_embedding has 200 rows, which are no square of patches" in refusal(state)


@pytest.mark.parametrize(
    ("network", "name", "shape", "message"),
    [
        ("timm vgg11_bn", "features.25.weight", (512, 515, 3, 3), "takes 515 channels, but 512"),
        ("timm vgg11_bn", "head.fc.weight", (1000, 4099), "takes 4099 channels, but 4096 reach"),
        ("torchvision resnet18", "layer2.0.conv1.weight", (128, 67, 3, 3), "takes 67 channels"),
        ("torchvision resnet18", "fc.weight", (1000, 515), "takes 515 channels, but 512 reach"),
        (
            "torchvision densenet121",
            "features.denseblock1.denselayer4.conv2.weight",
            (35, 128, 3, 3),
            "features.denseblock1.denselayer5.norm1.weight takes 192 channels, but 195 reach it",
        ),
        (
            "torchvision mobilenet_v2",
            "features.8.conv.0.0.weight",
            (387, 64, 1, 1),
            "features.8.conv.1.0 makes 384 channels in 387 groups; each group must make as many",
        ),
        ("torchvision efficientnet_v2_s", "classifier.1.weight", (1000, 1283), "takes 1283"),
    ],
)
def test_layers_fit_one_another(network, name, shape, message):
    state = listed(network)
    state[name] = torch.empty(shape, device="meta")
    assert message in refusal(state)


def test_whole_numbers_are_no_weights():
    state, _, _ = small("timm resnext")
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"].to(torch.int64)
    assert "layer1.0.conv1.weight holds no floating-point numbers" in refusal(state)


def test_a_tensor_too_many_is_named():
    state, options, _ = small("timm vit")
    extra = {"blocks.0.attn.q_norm.weight": torch.ones(64)}
    assert "would be left over: blocks.0.attn.q_norm.weight [64]" in refusal(
        state | extra, **options
    )


def test_options_that_shapes_do_not_show():
    state = listed("timm resnet50")
    assert recognise(state, image_size=96).input_shape == (3, 96, 96)
    assert recognise(state, norm_eps=0.5).config["eps"] == 0.5
    with pytest.raises(UnknownArchitectureError, match="image_size=9999 is not possible"):
        recognise(state, image_size=9999)
    mobile = listed("timm mobilenetv2_100")
    found = recognise(mobile, strides=[1, 1, 2, 2, 1, 2, 1])
    assert [b["convs"][1]["stride"] for b in found.config["blocks"][1:3]] == [1, 1]
    with pytest.raises(SpecError, match=r"strides=\[2\] is not possible: give 7 numbers, 1 or 2"):
        recognise(mobile, strides=[2])
    assert recognise(mobile).config["eps"] == 1e-5
    assert recognise(mobile, padding="same").config["eps"] == 1e-3


def test_the_heads_of_a_transformer():
    state, _, _ = small("torchvision vit")
    assert "The width 24 is no multiple of 64" in refusal(state)
    with pytest.raises(SpecError, match="heads=5 is not possible: it does not divide the width"):
        recognise(state, heads=5)
    vit = recognise(listed("timm deit_small_patch16_224"))
    assert vit.config["heads"] == 6
    assert any("There are 6 heads of 64: no shape shows it" in said for said in vit.assumptions)


def test_small_images_with_a_small_stem():
    state, options, _ = small("timm bottleneck")
    kernel = state["conv1.weight"]
    found = recognise(state | {"conv1.weight": kernel[:, :, :3, :3]})
    assert found.input_shape == (3, 32, 32)
    assert "The stem has stride 1, no max-pool follows." in found.assumptions
    odd = refusal(state | {"conv1.weight": kernel[:, :, :5, :5]}, **options)
    assert "The stem [64, 3, 5, 5] is neither 7×7 nor 3×3." in odd


def test_mobilenets_of_other_depths_have_unknown_strides():
    state = listed("torchvision mobilenet_v2")
    fewer = {n: t for n, t in state.items() if not n.startswith("features.18")}
    assert "It has 16 blocks, MobileNetV2 has 17: names do not tell the stages" in refusal(fewer)
    large = listed("torchvision mobilenet_v3_large")
    fewer = {n: t for n, t in large.items() if not n.startswith("features.16")}
    assert "It has 14 blocks; MobileNetV3 Large has 15 and Small 11" in refusal(fewer)
