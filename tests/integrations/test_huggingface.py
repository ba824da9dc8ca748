"""Published classifiers in transformers' format: its logits, its preprocessing, and files that do not fit."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from deepcanon.engine import SGD, fit, options
from deepcanon.integrations.huggingface import from_huggingface
from deepcanon.vision import Classifier

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NAMES = {i: name for i, name in enumerate(("cat", "dog", "newt"))}
MODELS = {
    "resnet-basic": lambda: ResNetForImageClassification(
        ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 24], depths=[2, 1, 2], layer_type="basic", id2label=NAMES
        )
    ),
    "resnet-bottleneck": lambda: ResNetForImageClassification(
        ResNetConfig(embedding_size=8, hidden_sizes=[32, 64], depths=[1, 2], id2label=NAMES)
    ),
    "resnet-18": lambda: ResNetForImageClassification(
        ResNetConfig(
            hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic", num_labels=1000
        )
    ),
    "vit": lambda: ViTForImageClassification(
        ViTConfig(
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=40,
            image_size=32,
            patch_size=8,
            id2label=NAMES,
        )
    ),
    "vit-no-bias": lambda: ViTForImageClassification(
        ViTConfig(
            hidden_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=40,
            image_size=[32, 32],
            patch_size=8,
            qkv_bias=False,
            layer_norm_eps=1e-3,
            id2label=NAMES,
        )
    ),
    "swin": lambda: SwinForImageClassification(
        SwinConfig(
            image_size=32,
            patch_size=2,
            embed_dim=8,
            depths=[2, 3],
            num_heads=[2, 4],
            window_size=4,
            mlp_ratio=2.0,
            id2label=NAMES,
        )
    ),
    "swin-odd": lambda: SwinForImageClassification(
        SwinConfig(  # 15 places a side, then 8: windows and merging pad
            image_size=30,
            patch_size=2,
            embed_dim=8,
            depths=[2, 2],
            num_heads=[2, 4],
            window_size=4,
            id2label=NAMES,
        )
    ),
}


def written(folder, name: str, **processor):
    """The model of that name with weights as if they were trained, saved as transformers saves it."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                spread = 0.1 * torch.randn_like(tensor) if tensor.ndim < 2 else 0.0
                tensor.copy_(tensor + spread.abs() if "running_var" in key else tensor + spread)
    model.save_pretrained(folder)
    settings = {"image_mean": MEAN, "image_std": STD, "size": {"height": 32, "width": 32}} | processor
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return model


@pytest.mark.row("VIS-12", "VIS-31", "VIS-32")
@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(name, tmp_path):
    model = written(tmp_path, name)
    net = from_huggingface(tmp_path).net
    size = model.config.image_size if "image_size" in model.config.to_dict() else 40
    x = torch.rand(2, 3, *([size] * 2 if isinstance(size, int) else size))
    normalised = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        ours, theirs = net(x), model(normalised).logits
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert not net.training


@pytest.mark.parametrize(("mean", "std", "black"), [(MEAN, STD, -2.1179), ([0.5] * 3, [0.5] * 3, -1.0)])
def test_black_is_what_the_weights_were_trained_with(mean, std, black, tmp_path):
    written(tmp_path, "vit", image_mean=mean, image_std=std)
    standardize = from_huggingface(tmp_path).net.standardize
    assert standardize(torch.zeros(1, 3, 2, 2))[0, 0, 0, 0].item() == pytest.approx(black, abs=1e-4)


def test_classes_are_named_and_pixels_may_need_no_normalisation(tmp_path):
    written(tmp_path, "vit", do_normalize=False)
    found = from_huggingface(tmp_path)
    assert found.classes == ["cat", "dog", "newt"]
    assert torch.equal(found.net.standardize(x := torch.rand(1, 3, 2, 2)), x)


def picture(height: int, width: int) -> Image.Image:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("reference", "settings"),
    [
        (ViTImageProcessorPil, {"size": {"height": 24, "width": 24}, "resample": 2}),
        (ConvNextImageProcessorPil, {"size": {"shortest_edge": 24}, "crop_pct": 0.8, "resample": 3}),
        (ConvNextImageProcessorPil, {"size": {"shortest_edge": 384}, "crop_pct": 0.8, "resample": 2}),
        (
            ViTImageProcessorPil,
            {
                "size": {"shortest_edge": 30},
                "do_center_crop": True,
                "crop_size": {"height": 24, "width": 24},
                "resample": 3,
            },
        ),
    ],
)
def test_pictures_are_prepared_as_transformers_prepares_them(reference, settings, tmp_path):
    processor = reference(**settings, image_mean=MEAN, image_std=STD)
    written(tmp_path, "vit", **json.loads(processor.to_json_string()))
    found = from_huggingface(tmp_path)
    for image in (picture(50, 41), picture(31, 64)):
        ours = found.net.standardize(found.prepare([image]))
        theirs = torch.as_tensor(np.asarray(processor(image, return_tensors="np")["pixel_values"]))
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_files_are_prepared_upright_and_grey_ones_as_colour(tmp_path):
    written(tmp_path, "vit")
    prepare = from_huggingface(tmp_path).prepare
    rotated = picture(20, 30)
    tags = rotated.getexif()
    tags[274] = 6  # shown turned by a quarter
    rotated.save(tmp_path / "turned.png", exif=tags)
    picture(20, 30).convert("L").save(tmp_path / "grey.png")
    upright, grey = prepare([tmp_path / "turned.png", tmp_path / "grey.png"])
    expected = prepare([rotated.transpose(Image.Transpose.ROTATE_270)])[0]
    torch.testing.assert_close(upright, expected)
    assert torch.equal(grey[0], grey[1])


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    written(tmp_path, "vit")
    (tmp_path / "cat.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"cat\.jpg cannot be read: "):
        from_huggingface(tmp_path).prepare([tmp_path / "cat.jpg"])
    with pytest.raises(ValueError, match="expected a list of one picture or more"):
        from_huggingface(tmp_path).prepare("cat.jpg")


def changed(tmp_path, change) -> None:
    """The weights of a ViT, changed."""
    written(tmp_path, "vit")
    weights = load_file(tmp_path / "model.safetensors")
    change(weights)
    save_file(weights, tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("vit.layernorm.bias"), r"is missing vit\.layernorm\.bias"),
        (
            lambda w: w.pop("vit.encoder.layer.1.attention.attention.key.weight"),
            r"is missing vit\.encoder\.layer\.1\.attention\.attention\.key\.weight",
        ),
        (
            lambda w: w.update({"vit.extra.weight": torch.zeros(2)}),
            r"the net has no place for|has no place for vit\.extra\.weight",
        ),
        (
            lambda w: w.update({"classifier.bias": torch.zeros(7)}),
            r"expected classifier\.bias of shape \(3,\), found \(7,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(change, message, tmp_path):
    changed(tmp_path, change)
    with pytest.raises(ValueError, match=message):
        from_huggingface(tmp_path)


def test_weights_in_16_bits_and_indices_of_windows_are_read(tmp_path):
    written(tmp_path, "swin")
    weights = {k: v.bfloat16() for k, v in load_file(tmp_path / "model.safetensors").items()}
    weights["swin.encoder.layers.0.blocks.0.attention.self.relative_position_index"] = torch.zeros(
        16, 16, dtype=torch.int64
    )
    save_file(weights, tmp_path / "model.safetensors")
    assert all(p.dtype == torch.float32 for p in from_huggingface(tmp_path).net.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "bert"}, "of a model 'bert'; what can be read is resnet, vit, swin"),
        ({"hidden_act": "relu"}, "a vit with hidden_act='relu' cannot be read, only with 'gelu'"),
        ({"image_size": [32, 48]}, r"a vit with image_size=\[32, 48\] cannot be read"),
        ({"hidden_size": None}, "a setting is missing or of another form"),
    ],
)
def test_other_models_are_refused(settings, message, tmp_path):
    written(tmp_path, "vit")
    config = json.loads((tmp_path / "config.json").read_text()) | settings
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        from_huggingface(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_a_missing_file_is_named(name, tmp_path):
    written(tmp_path, "vit")
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        from_huggingface(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rescale_factor": 1 / 127.5}, "only those by 1/255"),
        ({"image_mean": None, "do_normalize": True}, "image_mean"),
    ],
)
def test_preprocessing_that_is_not_known_is_refused(settings, message, tmp_path):
    written(tmp_path, "vit")
    processor = json.loads((tmp_path / "preprocessor_config.json").read_text()) | settings
    processor = {k: v for k, v in processor.items() if v is not None}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    with pytest.raises(ValueError, match=message):
        from_huggingface(tmp_path)


def test_a_published_net_learns_on(tmp_path):
    written(tmp_path, "resnet-basic")
    method = Classifier(from_huggingface(tmp_path).net, frozen=("stem", "stages"))
    stem = method.net.stem[0][0].weight.clone()
    x, y = torch.rand(12, 3, 32, 32), torch.arange(12) % 3
    with options(quiet=True):
        fit(method, [(x, y)], SGD(0.1), steps=3)
    assert torch.equal(method.net.stem[0][0].weight, stem)
    assert method.net.head.weight.grad is not None
