"""Pictures made with a net: dreams of a classifier, and photographs in the style of a picture.

Both look through the same plain convolutional net in stages, which takes images of any size.
"""

from typing import Any

import torch
from torch import Tensor, nn

from deepcanon.data import Images, Source, images, open_data
from deepcanon.data.image_notices import say
from deepcanon.engine import Adam, AdamW, Run, Samples, at_least, at_most, cosine, fit, preset, recipe
from deepcanon.engine.run_options import current_options
from deepcanon.explain.dreaming import dream as dreamt
from deepcanon.explain.fast_style import FastStyle
from deepcanon.explain.functional import activations
from deepcanon.layers.norm import BatchNorm2d, Standardize
from deepcanon.nets.resnet import ResNet
from deepcanon.nets.style_net import StyleNet
from deepcanon.recipes.evaluation import evaluations, some_real
from deepcanon.recipes.inputs import class_count, halved
from deepcanon.recipes.stages import joined
from deepcanon.recipes.vision.distortions import distortion
from deepcanon.runs import load
from deepcanon.vision.classify import Classifier

STEPS_OF_CLASSIFIER = 0.5  # of a style run's steps, for the net that judges


def staged(source: Source, classes: int, width: int) -> nn.Sequential:
    """Three stages of two convolutions, each half as large and twice as wide as the one before; then means and logits."""
    stages, channels = [], source.shape[0]
    for i in range(3):
        out = width * 2**i
        layers = [Standardize(source.mean, source.std)] if i == 0 else [nn.MaxPool2d(2, ceil_mode=True)]
        for c in (channels, out):
            layers += [nn.Conv2d(c, out, 3, padding=1, bias=False), BatchNorm2d(out), nn.ReLU()]
        stages.append(nn.Sequential(*layers))
        channels = out
    return nn.Sequential(*stages, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)))


def learn(method: Classifier, source: Source, lr: float, batch: int, steps: int, seed: int, **how: Any) -> Run:
    """Training that the net of stages is made for."""
    optimizer = AdamW(lr, weight_decay=0.01, schedule=cosine(warmup=0.1))
    data = source.train(batch=batch, seed=seed, augment=distortion("shift", source))
    return fit(method, data, optimizer, steps=steps, seed=seed, bf16=True, **how)


@recipe(paper="Mordvintsev et al. 2015", systems=["EXP-07"], presets=[
    preset("digits", octaves=1, rate=0.05, jitter=1, steps=400,
           target={"accuracy": at_least(0.9), "activation_growth": at_least(2.0)}, seconds=40),
    preset("cifar10", width=32, steps=1_500, batch=128,
           target={"accuracy": at_least(0.7), "activation_growth": at_least(2.0)}, seconds=900)])
def dream(data: Images = "digits", *, size: int | None = None, width: int = 16, stage: int = 2, octaves: int = 2,
          rate: float = 0.02, jitter: int = 4, lr: float = 3e-3, batch: int = 64, steps: int = 1_500, seed: int = 0) -> Run:
    """A classifier dreams: what one of its stages sees in test images is made stronger (Deep Dream).

    Args:
        data: labelled images by name, path or object.
        width: maps of the first stage.
        stage: 1 to 3, whose activations grow.
        octaves, rate, jitter: sizes at which is dreamt, mean change of a pixel in a step, pixels of random shift.
    """
    source = open_data(data, "images", size=size)
    method = Classifier(staged(source, class_count(source), width), label_smoothing=0.05)
    if not 1 <= stage <= 3:
        raise ValueError(f"expected stage as 1, 2 or 3, got {stage}")

    def dreams(method: Any) -> tuple[Tensor, Tensor]:
        x = some_real(source, 18).to(next(method.parameters()).device)
        generator = torch.Generator().manual_seed(0)
        return x, dreamt(method.net, str(stage - 1), x, octaves=octaves, rate=rate, jitter=jitter, generator=generator)

    def growth(method: Any) -> dict[str, float]:
        before, after = (activations(method.net, str(stage - 1), x).square().mean() for x in dreams(method))
        return {"activation_growth": (after / before.clamp(min=1e-12)).item()}

    return learn(method, source, lr, batch, steps, seed, evaluate=[*evaluations(method, source), growth],
                 callbacks=[Samples(lambda m: torch.cat(dreams(m)))])


@recipe(paper="Johnson et al. 2016, arXiv 1603.08155", systems=["EXP-08", "EXP-09", "EXP-10"], presets=[
    preset("digits", size=24, width=8, blocks=2, batch=8, steps=400, lr=3e-3, target={"style_ratio": at_most(0.4)}, seconds=60)])
def style(data: Images = "digits", *, size: int | None = None, picture: str | None = None, look: str | None = None,
          width: int = 16, blocks: int = 3, style_weight: float = 0.3, smoothness: float = 0.1, lr: float = 1e-3,
          batch: int = 16, steps: int = 600, seed: int = 0) -> Run:
    """A net that gives any photograph the style of one picture in one pass.

    Args:
        data: photographs by name, path or object; labels are not needed.
        picture: image file of the style; None: painted waves.
        look: run folder of dream or resnet, whose net judges style and content; None trains one on the classes of the
            data, or takes random filters where there are none.
        width, blocks: maps of the first convolution, residual blocks.
        style_weight, smoothness: weights of the style and of smoothness, beside a content of 1.
    """
    source = open_data(data, "images", size=size)
    channels, height, columns = halved(source, 2)
    first, stages = judge(source, look, steps, seed)
    method = FastStyle(StyleNet(channels, width=width, blocks=blocks), stages, painted(picture, channels, (height, columns)),
                       style_weight=style_weight, smoothness=smoothness)

    def ratio(method: Any) -> dict[str, float]:
        x = some_real(source, 100).to(next(method.parameters()).device)
        measured = method.metrics((x,))
        return {"style_ratio": (measured["style"].mean() / measured["style_before"].mean()).item()}

    def both(method: Any) -> Tensor:
        x = some_real(source, 18).to(next(method.parameters()).device)
        return torch.cat([x, method.predict(x)])

    last = fit(method, source.train(batch=batch, seed=seed), Adam(lr, schedule=cosine()), steps=steps, seed=seed,
               evaluate=[source.test(batch=100), ratio], callbacks=[Samples(both)])
    return joined(*first, last)


def judge(source: Source, look: str | None, steps: int, seed: int) -> tuple[list[Run], list[nn.Module]]:
    """The stages of a net that knows images, and the run in which it learned, if that is part of this one."""
    if look is not None:
        net: Any = getattr(load(look), "net", None)
        stages = [nn.Sequential(net.standardize, net.stem), *net.stages] if isinstance(net, ResNet) else list(net or [])[:3]
        first = next((m for m in net.modules() if isinstance(m, nn.Conv2d)), None) if len(stages) >= 3 else None
        if first is None or first.in_channels != source.shape[0]:
            raise ValueError(f"{look}: expected a run of dream or resnet on images of {source.shape[0]} channels")
        return [], stages
    net = staged(source, max(source.num_classes, 2), 16)
    if source.num_classes >= 2:
        return [learn(Classifier(net), source, 3e-3, 64, int(STEPS_OF_CLASSIFIER * steps), seed)], list(net)[:3]
    say(f"{source.name}: no classes to learn from, style and content are judged by random filters; name a run with look=")
    return [], list(net)[:3]


def painted(picture: str | None, channels: int, sides: tuple[int, int]) -> Tensor:
    """The picture of the style, (1, C, H, W); waves of colour where there is none, grey where a run is built again."""
    if picture is not None and not current_options().build_only:
        found = images([picture], split=None, size=max(sides), fit="stretch", channels=channels)
        return found.at(0)[0]
    if picture is not None:
        return torch.full((1, channels, *sides), 0.5)
    row, column = torch.meshgrid(*(torch.arange(float(n)) for n in sides), indexing="ij")
    waves = torch.stack([(row + 2 * (column / 3 + c).sin()).sin() for c in range(channels)])
    return (0.5 + 0.5 * waves)[None]
