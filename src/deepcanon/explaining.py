"""Explanations of an image classifier on images of the user's own, for the page that `deepcanon explain`
writes.

A classifier is the run folder of any recipe that trains one, or `module:object` (or `file.py:object`), an
nn.Module or a function that makes one. What does not apply to a net is left out and said, unless it was
asked for by name. B images, C channels, H x W pixels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepcanon import explain
from deepcanon.catalogue import suggest
from deepcanon.data import images
from deepcanon.data.env_sources import named_object
from deepcanon.data.image_notices import collected
from deepcanon.engine.record import read_call
from deepcanon.engine.run_options import current_options
from deepcanon.explain.functional import layer_of, logits_of
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import typed_as
from deepcanon.predictions import parts
from deepcanon.runs import rebuild
from deepcanon.vision.classify import Classifier

AT_ONCE, MAPPED, LARGE = (
    8,
    20,
    96,
)  # images that are explained together; fewest of a map; side of a large image
SHOWN, MOST = 6, 40  # channels, regions of each and pictures of classes that are shown; images with maps


class Model(NamedTuple):
    """A classifier: the net from images to logits, the names of its classes and the shape it takes, if they
    are known."""

    name: str
    net: nn.Module
    classes: list[str]
    shape: tuple[int, int, int] | None


class Explained(NamedTuple):
    """One image (C, H, W), its likeliest classes, the class that is explained, and for each method a map
    (H, W)."""

    name: str
    image: Tensor
    likeliest: list[tuple[str, float]]
    target: str
    maps: dict[str, Tensor]


class Explanation(NamedTuple):
    """All that a page shows: of the first images; of all images the class that is explained; of the net as
    a whole by the names in `OF_THE_NET`; and what was left out."""

    model: str
    layer: str
    count: int
    images: list[Explained]
    targets: list[str]
    whole: dict[str, Any]
    left_out: list[str]


def explain_images(
    what: str,
    files: Sequence[str],
    *,
    target: str | None = None,
    methods: Sequence[str] = (),
    layer: str | None = None,
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    weights: str = "weights",
    skip_unreadable: bool = False,
) -> Explanation:
    """Why a classifier takes images for what it takes them for.

    Args:
        what: a run folder or module:object.
        files: images, or folders of them; the maps are made of the first 40.
        target: name or number of the class that is explained; None: the likeliest of each image.
        methods: some of `OF_AN_IMAGE` and `OF_THE_NET`; none: all that apply.
        layer: of Grad-CAM and of the regions, by its name in the net; None: the last maps.
        size: pixels a side that images are brought to, for a net that does not say.
        mean, std: of the pixels that a module:object takes, if it does not normalise them itself.
        skip_unreadable: leave out files that cannot be read.

    Raises:
        ValueError: no classifier, images that it does not take, a class or a method that is none.
    """
    known = [*OF_AN_IMAGE, *OF_THE_NET]
    if unknown := next((m for m in methods if m not in known), None):
        raise ValueError(f"no method '{unknown}'{suggest(unknown, known)}; known: {', '.join(known)}")
    model = opened(what, mean, std, weights)
    names, x = read(files, model, size, skip_unreadable)
    p = probabilities(model, x)
    classes = model.classes or [str(i) for i in range(p.shape[1])]
    k = p.argmax(1) if target is None else torch.full_like(p[:, 0], class_number(target, classes)).long()
    layer = maps_layer(model.net, x, layer)
    left_out: list[str] = []
    some = x[:MOST], k[:MOST]
    maps = applied(OF_AN_IMAGE, methods, left_out, lambda make, _: in_parts(make, model.net, *some, layer))
    whole = applied(OF_THE_NET, methods, left_out, lambda make, asked: make(model.net, x, k, layer, asked))
    if "class_pictures" in whole:
        whole["class_pictures"] = {classes[i]: picture for i, picture in whole["class_pictures"].items()}
    targets = [classes[i] for i in k.tolist()]
    rows = zip(names, x.cpu(), p, targets[:MOST])
    shown = [Explained(name, image, likeliest(row, classes), of, {m: found[i] for m, found in maps.items()})
             for i, (name, image, row, of) in enumerate(rows)]
    return Explanation(model.name, layer, len(x), shown, targets, whole, left_out)


def applied(
    table: dict[str, Callable], methods: Sequence[str], left_out: list[str], make: Callable
) -> dict[str, Any]:
    """What the methods of a table make, by name; one that does not apply, and was not asked for, is listed
    with the reason."""
    found = {}
    for name in (name for name in table if not methods or name in methods):
        try:
            found[name] = make(table[name], name in methods)
        except (ValueError, ModuleNotFoundError) as error:
            if name in methods:
                raise
            left_out.append(f"{name}: {error}")
    return found


def maps_layer(net: nn.Module, x: Tensor, layer: str | None) -> str:
    """The layer that was asked for, or else the last maps; nothing where there are none."""
    if layer is not None:
        layer_of(net, layer)
        return layer
    try:
        return explain.last_maps(net, x[:1])
    except ValueError:
        return ""


# the classifier and its images


def opened(what: str, mean: Sequence[float], std: Sequence[float], weights: str) -> Model:
    """The classifier of a run folder, or of a module:object."""
    if ":" in what and not Path(what).is_dir():
        net = net_of_object(what)
        if len(mean) != len(std) or not all(s > 0 for s in std):
            raise ValueError(
                f"expected as many means as deviations, all deviations above 0, got {list(mean)} "
                f"and {list(std)}"
            )
        net = nn.Sequential(Normalized(mean, std), net) if mean else net
        return Model(what, net.to(current_options().torch_device()), [], None)
    if what.endswith(".py"):
        raise ValueError(f"expected the name of a net after the file, such as '{what}:net'")
    call = read_call(Path(what))
    source = call["sources"][0] if call["sources"] else {}
    if mean or std:
        raise ValueError(f"{what} normalises images itself: leave out --mean and --std")
    method: Any = rebuild(what, weights).method
    if source.get("kind") != "images" or not callable(getattr(method, "predict", None)):
        raise ValueError(f"{what} holds a {type(method).__name__}, which is no classifier of images")
    net = method.net if isinstance(method, Classifier) else Predicting(method)
    return Model(what, net, source.get("classes", []), tuple(source["shape"]))


class Differentiating(TorchFunctionMode):
    """Inside, every operation keeps its gradient, also below `torch.no_grad`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch.enable_grad():
            return func(*args, **(kwargs or {}))


class Predicting(nn.Module):
    """A method as a net: what `predict` says, as logits, with gradients where they are wanted."""

    def __init__(self, method: nn.Module):
        super().__init__()
        self.method = method

    def forward(self, x: Tensor) -> Tensor:
        with Differentiating() if torch.is_grad_enabled() else contextlib.nullcontext():
            predicted = cast(Any, self.method).predict(x)
        if not isinstance(predicted, Tensor) or predicted.ndim != 2:
            return predicted
        sums = predicted.sum(1)
        is_probability = bool((predicted >= 0).all()) and bool(((sums - 1).abs() < 1e-2).all())
        return predicted.clamp(min=1e-12).log() if is_probability else predicted


def net_of_object(what: str) -> nn.Module:
    """The net that module:object is, or makes when it is called without arguments."""
    try:
        found = named_object(what)
    except ValueError as error:
        raise ValueError(str(error).replace("environment ", "net ", 1)) from None
    net = found if isinstance(found, nn.Module) or not callable(found) else found()
    if not isinstance(net, nn.Module):
        raise ValueError(f"expected {what} to be an nn.Module or to make one, got {type(net).__name__}")
    return net


class Normalized(nn.Module):
    """Pixels in [0, 1] to those that a net was trained on: (x - mean) / std, one of each a channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        return (x - mean) / std


def read(files: Sequence[str], model: Model, size: int | None, skip: bool) -> tuple[list[str], Tensor]:
    """Names and pixels of images, (B, C, H, W), in the form that the classifier takes."""
    first = next((m for m in model.net.modules() if isinstance(m, nn.Conv2d)), None)
    channels, height, width = model.shape or (first.in_channels if first is not None else None, size, size)
    how = {"split": None, "size": height, "skip_unreadable": skip}
    names, found = [], []
    for some in parts(list(files)):
        part = Path(some) if isinstance(some, str) else some  # a file or folder, whatever its name
        with collected():
            grey = channels == 3 and images(part, **how).shape[0] == 1
        if grey:
            raise ValueError(
                f"{part[0] if isinstance(part, list) else part} is grey, and {model.name} takes RGB images"
            )
        wanted = channels if channels in (1, 3) else None
        data = images(part, shuffle=False, batch=1_000, channels=wanted, **how)
        if height is not None and tuple(data.shape[1:]) != (height, width):
            raise ValueError(
                f"{model.name} takes images of {height} x {width} pixels, those of {part} are "
                f"{tuple(data.shape[1:])}"
            )
        inside = part if isinstance(part, Path) and part.is_dir() else Path()
        names += [str(inside / str(path)) for path in data.metadata.get("paths", range(data.count))]
        found += [x for x, _ in data]
    if len({x.shape[1:] for x in found}) > 1:
        raise ValueError(
            f"expected images of one size, got {sorted({tuple(x.shape[2:]) for x in found})}; pass --size"
        )
    return names, torch.cat(found).to(current_options().torch_device())


@torch.no_grad()
def probabilities(model: Model, x: Tensor) -> Tensor:
    """The probability of each class, (B, K)."""
    with evaluating(model.net):
        try:
            output = torch.cat([logits_of(model.net(typed_as(model.net, part))) for part in x.split(64)])
        except RuntimeError as error:
            shape, reason = " x ".join(map(str, x.shape[1:])), str(error).splitlines()[0]
            raise ValueError(
                f"{model.name} does not take images of {shape}: {reason}; another size is given by --size"
            ) from None
    if (
        output.ndim != 2
        or len(output) != len(x)
        or output.shape[1] < 2
        or len(model.classes or output[0]) != output.shape[1]
    ):
        raise ValueError(
            f"{model.name} is no classifier of images: expected one row of logits an image, got "
            f"{tuple(output.shape)}"
        )
    if not output.isfinite().all():
        raise ValueError(f"{model.name} gives logits that are nan or inf")
    return output.float().softmax(1)


def class_number(target: str, classes: list[str]) -> int:
    """The class of that name or number."""
    if target in classes:
        return classes.index(target)
    if target.isdecimal() and int(target) < len(classes):
        return int(target)
    raise ValueError(
        f"no class '{target}'{suggest(target, classes)}; known: {', '.join(classes[:12])}"
        f"{' and others' if len(classes) > 12 else ''}"
    )


def likeliest(p: Tensor, classes: list[str]) -> list[tuple[str, float]]:
    """The three likeliest classes and their probabilities."""
    best = p.topk(min(3, len(p)))
    return [(classes[k], value) for k, value in zip(best.indices.tolist(), best.values.tolist())]


# maps of an image: (net, x, k, layer) -> (B, H, W)


def in_parts(make: Callable[..., Tensor], net: nn.Module, x: Tensor, k: Tensor, layer: str) -> Tensor:
    """Maps of all images, a few at a time."""
    return torch.cat(
        [make(net, part, of, layer).float().cpu() for part, of in zip(x.split(AT_ONCE), k.split(AT_ONCE))]
    )


def by_gradient(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The map of a method that gives one number for each channel of a pixel."""
    return lambda net, x, k, layer: explain.saliency_map(method(net, x, k))


def smooth(net: nn.Module, x: Tensor, k: Tensor, layer: str) -> Tensor:
    """SmoothGrad with noise of 0.15, the same each time."""
    generator = torch.Generator(x.device).manual_seed(0)
    return explain.saliency_map(explain.smooth_grad(net, x, k, sigma=0.15, samples=20, generator=generator))


def integrated(net: nn.Module, x: Tensor, k: Tensor, layer: str) -> Tensor:
    """Integrated gradients from black, summed over channels."""
    return explain.integrated_gradients(net, x, k, steps=32).sum(1)


def occluded(net: nn.Module, x: Tensor, k: Tensor, layer: str) -> Tensor:
    """Occlusion by a grey square of a quarter of the side."""
    return explain.occlusion(
        net,
        x,
        k,
        window=max(1, min(x.shape[2:]) // 4),
        stride=max(1, min(x.shape[2:]) // 8),
        fill=float(x.mean()),
    )


def cam(net: nn.Module, x: Tensor, k: Tensor, layer: str) -> Tensor:
    """Grad-CAM at the size of the image."""
    if not layer:
        raise ValueError("the net has neither maps of a convolution nor tokens")
    return explain.enlarged(explain.grad_cam(net, layer, x, k), (x.shape[2], x.shape[3]))


def rolled_out(net: nn.Module, x: Tensor, k: Tensor, layer: str) -> Tensor:
    """Attention rollout of the class token at the size of the image."""
    found = explain.class_token_map(explain.rollout(explain.attention_maps(net, typed_as(net, x))))
    return explain.enlarged(found - found.amin((1, 2), keepdim=True), (x.shape[2], x.shape[3]))


OF_AN_IMAGE: dict[str, Callable[..., Tensor]] = {
    "saliency": by_gradient(explain.saliency),
    "smooth_grad": smooth,
    "integrated_gradients": integrated,
    "guided_backprop": by_gradient(explain.guided_backprop),
    "deconvolution": by_gradient(explain.deconvolution),
    "grad_cam": cam,
    "occlusion": occluded,
    "attention_rollout": rolled_out,
}


# of the net as a whole: (net, x, k, layer, asked) -> what is shown


def filters(net: nn.Module, x: Tensor, k: Tensor, layer: str, asked: bool) -> Tensor:
    """The filters of the first convolution as images, (n, C, h, w); of many channels none."""
    weight = explain.first_filters(net)
    if weight.shape[1] not in (1, 3) or min(weight.shape[2:]) < 2:
        raise ValueError(f"the first filters of the net are {tuple(weight.shape[1:])}, and no images")
    return explain.filter_images(weight.float().cpu()).images[:64]


def class_pictures(net: nn.Module, x: Tensor, k: Tensor, layer: str, asked: bool) -> dict[int, Tensor]:
    """What the net would have of the classes that are explained: their number and a picture (C, H, W)."""
    if max(x.shape[2:]) > LARGE and not asked:
        raise ValueError("takes a while on large images; ask for it with --methods class_pictures")
    wanted = k.unique()[:SHOWN]
    start = x.mean((0, 2, 3), keepdim=True).expand(len(wanted), -1, *x.shape[2:])
    found = explain.class_visualization(
        net,
        wanted,
        start,
        steps=80,
        rate=0.06 * (x[0].numel() ** 0.5) / 4,
        generator=torch.Generator().manual_seed(0),
    )
    return dict(zip(wanted.tolist(), found.float().cpu()))


def regions(net: nn.Module, x: Tensor, k: Tensor, layer: str, asked: bool) -> dict[str, list[Tensor]]:
    """For the channels that are most active, the regions of the images that excite them most."""
    if len(x) < SHOWN and not asked:
        raise ValueError(f"needs {SHOWN} images or more")
    with torch.no_grad(), evaluating(net):
        a = explain.activations(net, layer, typed_as(net, x))
    if a.ndim != 4:
        raise ValueError(f"the layer {layer} has no maps")
    channels = a.amax((0, 2, 3)).topk(min(SHOWN, a.shape[1])).indices.tolist()
    return {
        f"channel {c}": [p.cpu() for p in explain.cut(x, explain.top_patches(net, layer, x, c, SHOWN))]
        for c in channels
    }


def embedding_map(net: nn.Module, x: Tensor, k: Tensor, layer: str, asked: bool) -> tuple[Tensor, Tensor]:
    """Where the images lie in a t-SNE map of the net's last features, (B, 2), and their clusters, (B,)."""
    if len(x) < MAPPED:
        raise ValueError(f"needs {MAPPED} images or more, got {len(x)}")
    from openTSNE import TSNE

    features = last_features(net, x).cpu().double().numpy()
    points = TSNE(perplexity=min(30, (len(x) - 1) // 3), random_state=0).fit(features)
    found = torch.from_numpy(points.copy()).float()
    return found, explain.density_clusters(found, least=max(3, len(x) // 20))


def last_features(net: nn.Module, x: Tensor) -> Tensor:
    """What the layer that makes the logits is given, (B, F)."""
    seen: list[tuple[Tensor, Any]] = []
    handles = [
        m.register_forward_hook(
            lambda m, i, o: seen.append((i[0], o)) if len(i) and isinstance(i[0], Tensor) else None
        )
        for m in net.modules()
        if not list(m.children())
    ]
    try:
        with torch.no_grad(), evaluating(net):
            output = logits_of(net(typed_as(net, x)))
    finally:
        for handle in handles:
            handle.remove()
    return next((given for given, made in reversed(seen) if made is output and given.ndim == 2), output)


OF_THE_NET: dict[str, Callable[..., Any]] = {
    "filters": filters,
    "class_pictures": class_pictures,
    "regions": regions,
    "map": embedding_map,
}
