"""Published image classifiers in transformers' format, ResNet, ViT and Swin, as nets of this library.

    net, classes, prepare = from_huggingface("./resnet-18")
    net(prepare(["cat.jpg", "dog.jpg"])).softmax(1)

The folder holds config.json, model.safetensors and preprocessor_config.json; the logits are transformers'
own, which is not needed. The normalisation that the weights were trained with is the net's first layer, so
that it reads pixels in [0, 1] as every net here does; resizing and cropping are `prepare`. Weights are
safetensors: no code is read. Every tensor of the file has a place in the net, and every weight of the net is
in the file, or an error names them.
B images, C channels, S pixels a side, K classes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.data.image_decode import decoded, pil
from deepcanon.engine.checkpoint import read_weights
from deepcanon.layers.norm import Standardize
from deepcanon.nets.resnet import ResNet, basic, bottleneck, large_stem
from deepcanon.nets.swin import Swin
from deepcanon.nets.vit import ViT

Config = dict[str, Any]
Names = dict[str, str]  # name of a part of the net -> its name in the file
QKV = ("query", "key", "value")


class Published(NamedTuple):
    """A net in evaluation mode, the names of its classes, and what brings pictures to its size."""

    net: nn.Module
    classes: list[str]
    prepare: "Prepare"


def from_huggingface(folder: str | Path) -> Published:
    """The image classifier that a folder holds in transformers' format.

    Args:
        folder: with config.json, model.safetensors and preprocessor_config.json.

    Raises:
        FileNotFoundError: one of the three files is missing.
        ValueError: another kind of model, an option that the nets here do not have, or weights that do not
            fit.
    """
    folder = Path(folder)
    config, processor = read_json(folder / "config.json"), read_json(folder / "preprocessor_config.json")
    if not (folder / "model.safetensors").is_file():
        raise FileNotFoundError(f"{folder} holds no model.safetensors; weights in other formats are not read")
    kind = config.get("model_type")
    if kind not in KINDS:
        raise ValueError(
            f"{folder}/config.json is of a model {kind!r}; what can be read is {', '.join(KINDS)}"
        )
    build, named = KINDS[kind]
    try:
        net = build(config)
        prepare = preparation(processor, config)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder}: a setting is missing or of another form: {error}") from None
    net.load_state_dict(
        fitted(read_weights(folder / "model.safetensors"), net, named(net), folder / "model.safetensors")
    )
    net.standardize = normalisation(processor)
    names = config.get("id2label") or {str(k): str(k) for k in range(net.head.out_features)}
    return Published(net.eval(), [names[str(k)] for k in range(len(names))], prepare)


def read_json(path: Path) -> Config:
    """A settings file. Raises FileNotFoundError or ValueError with its name."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} holds no {path.name}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected settings by name, found a {type(found).__name__}")
    return found


# the nets


def resnet(config: Config) -> ResNet:
    """The net of a ResNetConfig."""
    require(config, hidden_act="relu", downsample_in_first_stage=False, downsample_in_bottleneck=False)
    block, factor = (bottleneck, 4) if config.get("layer_type", "bottleneck") == "bottleneck" else (basic, 1)
    width = config.get("embedding_size", 64)
    return ResNet(
        large_stem(config.get("num_channels", 3), width),
        width,
        config["depths"],
        [size // factor for size in config["hidden_sizes"]],
        class_count(config),
        block=block,
    )


def vit(config: Config) -> ViT:
    """The net of a ViTConfig."""
    require(config, hidden_act="gelu")
    return ViT(
        class_count(config),
        image_size=one_side(config, "image_size", 224),
        patch=one_side(config, "patch_size", 16),
        in_channels=config.get("num_channels", 3),
        embed_dim=config["hidden_size"],
        num_layers=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        mlp_dim=config["intermediate_size"],
        eps=config.get("layer_norm_eps", 1e-12),
        bias=config.get("qkv_bias", True),
    )


def swin(config: Config) -> Swin:
    """The net of a SwinConfig."""
    require(config, hidden_act="gelu", use_absolute_embeddings=False)
    return Swin(
        class_count(config),
        image_size=one_side(config, "image_size", 224),
        patch=one_side(config, "patch_size", 4),
        in_channels=config.get("num_channels", 3),
        embed_dim=config["embed_dim"],
        depths=config["depths"],
        num_heads=config["num_heads"],
        window=config["window_size"],
        mlp_ratio=config.get("mlp_ratio", 4.0),
        eps=config.get("layer_norm_eps", 1e-5),
        bias=config.get("qkv_bias", True),
    )


def require(config: Config, **settings: Any) -> None:
    """Refuse a setting other than the one that the nets here have."""
    for name, value in settings.items():
        if config.get(name, value) != value:
            raise ValueError(
                f"a {config['model_type']} with {name}={config[name]!r} cannot be read, only with {value!r}"
            )


def class_count(config: Config) -> int:
    """K."""
    return len(config["id2label"]) if config.get("id2label") else config.get("num_labels", 2)


def one_side(config: Config, name: str, default: int) -> int:
    """The side of a square, given as one number or two equal ones."""
    value = config.get(name, default)
    sides = [value] if isinstance(value, int) else list(value)
    if len(set(sides)) != 1:
        raise ValueError(
            f"a {config['model_type']} with {name}={value} cannot be read: images and patches are square here"
        )
    return sides[0]


# the names


def resnet_names(net: ResNet) -> Names:
    """Parts of a ResNet in the file."""
    names = {
        "stem.0.0": "resnet.embedder.embedder.convolution",
        "stem.0.1": "resnet.embedder.embedder.normalization",
        "head": "classifier.1",
    }
    stages: Any = net.stages
    for s, stage in enumerate(stages):
        for i, block in enumerate(stage):  # a Residual, then ReLU
            theirs, ours = f"resnet.encoder.stages.{s}.layers.{i}", f"stages.{s}.{i}.0"
            pairs = [
                (f"{ours}.residual.{2 * k}", f"{theirs}.layer.{k}")
                for k in range(len(block[0].residual[::2]))
            ]
            pairs += (
                [(f"{ours}.shortcut", f"{theirs}.shortcut")]
                if isinstance(block[0].shortcut, nn.Sequential)
                else []
            )
            for a, b in pairs:
                names |= {f"{a}.0": f"{b}.convolution", f"{a}.1": f"{b}.normalization"}
    return names


def vit_names(net: ViT) -> Names:
    """Parts of a ViT in the file."""
    names = {
        "class_token": "vit.embeddings.cls_token",
        "positions": "vit.embeddings.position_embeddings",
        "patches": "vit.embeddings.patch_embeddings.projection",
        "norm": "vit.layernorm",
        "head": "classifier",
    }
    for i in range(len(net.blocks)):
        names |= block_names(f"blocks.{i}", f"vit.encoder.layer.{i}", "attention.attention", down="mlp.3")
    return names


def swin_names(net: Swin) -> Names:
    """Parts of a Swin in the file, where a merging ends the stage before and not the stage behind it."""
    names = {
        "patches": "swin.embeddings.patch_embeddings.projection",
        "embed_norm": "swin.embeddings.norm",
        "norm": "swin.layernorm",
        "head": "classifier",
    }
    stages: Any = net.stages
    for s, stage in enumerate(stages):
        merged = int(s > 0)
        if merged:
            before = f"swin.encoder.layers.{s - 1}.downsample"
            names |= {f"stages.{s}.0.norm": f"{before}.norm", f"stages.{s}.0.reduce": f"{before}.reduction"}
        for i in range(len(stage) - merged):
            ours, theirs = f"stages.{s}.{i + merged}", f"swin.encoder.layers.{s}.blocks.{i}"
            names |= block_names(ours, theirs, "attention.self", down="mlp.2")
            names[f"{ours}.attention.bias"] = f"{theirs}.attention.self.relative_position_bias_table"
    return names


def block_names(ours: str, theirs: str, attention: str, down: str) -> Names:
    """Parts of a transformer block in the file."""
    return {
        f"{ours}.attention.qkv": f"{theirs}.{attention}",
        f"{ours}.attention.out": f"{theirs}.attention.output.dense",
        f"{ours}.norm1": f"{theirs}.layernorm_before",
        f"{ours}.norm2": f"{theirs}.layernorm_after",
        f"{ours}.mlp.0": f"{theirs}.intermediate.dense",
        f"{ours}.{down}": f"{theirs}.output.dense",
    }


KINDS: dict[str, tuple[Callable[[Config], Any], Callable[[Any], Names]]] = {
    "resnet": (resnet, resnet_names),
    "vit": (vit, vit_names),
    "swin": (swin, swin_names),
}


def fitted(file: dict[str, Tensor], net: nn.Module, names: Names, path: Path) -> dict[str, Tensor]:
    """The state dict of the net, from the tensors of the file.

    Raises:
        ValueError: a tensor that has no place, one that is missing, or one of another shape; each by its
            name.
    """
    rest = {
        k: v for k, v in file.items() if not k.endswith("relative_position_index")
    }  # which follows from the window
    own, missing = {}, []
    for name, wanted in net.state_dict().items():
        theirs = in_file(name, names)
        if absent := [k for k in theirs if k not in rest]:
            missing += absent
            continue
        tensor = torch.cat([rest.pop(k) for k in theirs]) if len(theirs) > 1 else rest.pop(theirs[0])
        if tensor.shape != wanted.shape:
            raise ValueError(
                f"{path}: expected {theirs[0]} of shape {tuple(wanted.shape)}, found {tuple(tensor.shape)}"
            )
        own[name] = tensor.to(wanted.dtype)
    if missing or rest:
        parts = [
            f"{what} {', '.join(sorted(keys)[:4])}{' ...' if len(keys) > 4 else ''}"
            for what, keys in (("is missing", missing), ("has no place for", list(rest)))
            if keys
        ]
        raise ValueError(f"{path} does not fit its config.json: it {' and the net '.join(parts)}")
    return own


def in_file(name: str, names: Names) -> list[str]:
    """Names in the file of a tensor of the net: three for queries, keys and values, else one."""
    part = max((p for p in names if f"{name}.".startswith(f"{p}.")), key=len)
    rest = name[len(part) :]
    return [f"{names[part]}.{which}{rest}" for which in QKV] if part.endswith("qkv") else [names[part] + rest]


# the preprocessing


@dataclass(frozen=True)
class Prepare:
    """Pictures to the pixels that the net reads: (B, 3, S, S) in [0, 1].

    Args:
        size: height and width to which a picture is resized; one number is its shorter side.
        crop: side of the square that is then cut from the middle; None is all of it.
        resample: of Pillow: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic.
        grey: one channel instead of three.
    """

    size: tuple[int, ...]
    crop: int | None = None
    resample: int = 2
    grey: bool = False

    def __call__(self, pictures: Sequence[Any]) -> Float[Tensor, "B C S S"]:
        """Files, Pillow images or arrays (H, W, 3) of uint8. Raises ValueError for one that cannot be read,
        with its name.
        """
        if isinstance(pictures, str | Path) or not len(pictures):
            raise ValueError(f"expected a list of one picture or more, got {pictures!r}")
        return torch.stack([self.one(picture) for picture in pictures])

    def one(self, picture: Any) -> Tensor:
        """A single one (C, S, S)."""
        try:
            pixels = decoded(picture, channels=1 if self.grey else 3).permute(1, 2, 0).squeeze(-1).numpy()
        except ValueError as error:
            name = picture if isinstance(picture, str | Path) else f"a {type(picture).__name__}"
            raise ValueError(f"{name} cannot be read: {error}") from None
        height, width = pixels.shape[:2]
        image = pil().fromarray(pixels)
        if self.size:
            short = min(height, width)
            sides = (
                self.size
                if len(self.size) == 2
                else (int(self.size[0] * height / short), int(self.size[0] * width / short))
            )
            image = image.resize((sides[1], sides[0]), resample=self.resample)
        if self.crop:
            left, top = ((side - self.crop) // 2 for side in image.size)
            image = image.crop((left, top, left + self.crop, top + self.crop))
        x = torch.from_numpy(np.array(image)).float() / 255
        return x[None] if self.grey else x.permute(2, 0, 1)


def preparation(processor: Config, config: Config) -> Prepare:
    """The resizing and cropping of a preprocessor_config.json."""
    scale = processor.get("rescale_factor", 1 / 255)
    if processor.get("do_rescale", True) is not True or abs(scale * 255 - 1) > 1e-3:
        raise ValueError(f"pixels that are scaled by {scale} cannot be prepared, only those by 1/255")
    size: Any = processor.get("size", 224)
    crop: Any = None
    grey, resample = config.get("num_channels", 3) == 1, processor.get("resample", 2)
    shortest = size.get("shortest_edge") if isinstance(size, dict) else None
    kind = str(processor.get("image_processor_type") or processor.get("feature_extractor_type") or "")
    if kind.startswith("ConvNext"):  # crops below 384 pixels, stretches above
        side: Any = shortest or size
        small = side < 384
        sides = (int(side / (processor.get("crop_pct") or 224 / 256)),) if small else (side, side)
        return Prepare(sides, side if small else None, resample, grey)
    if processor.get("do_center_crop"):
        given = processor.get("crop_size", size)
        crop = given if isinstance(given, int) else given["height"]
    sides = (
        (shortest,)
        if shortest
        else (size, size)
        if isinstance(size, int)
        else (size["height"], size["width"])
    )
    return Prepare(sides if processor.get("do_resize", True) else (), crop, resample, grey)


def normalisation(processor: Config) -> nn.Module:
    """(x - mean) / std of a preprocessor_config.json; nothing where it has none."""
    if not processor.get("do_normalize", True):
        return nn.Identity()
    if not {"image_mean", "image_std"} <= processor.keys():
        raise ValueError(
            "preprocessor_config.json normalises pixels and does not say by which image_mean and image_std"
        )
    return Standardize(processor["image_mean"], processor["image_std"])
