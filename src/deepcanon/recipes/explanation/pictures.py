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
from deepcanon.layers.norm import Standardize
from deepcanon.nets.resnet import ResNet
from deepcanon.nets.staged import three_stages
from deepcanon.nets.style_net import StyleNet
from deepcanon.recipes.evaluation import evaluations, some_real
from deepcanon.recipes.inputs import class_count, halved
from deepcanon.recipes.stages import joined
from deepcanon.recipes.vision.distortions import distortion
from deepcanon.runs import load
from deepcanon.vision.classify import Classifier


def looking(source: Source, classes: int, width: int) -> nn.Sequential:
    """A net of three stages for the source's images."""
    return three_stages(width, classes, source.shape[0], standardize=Standardize(source.mean, source.std))


def learn(method: Classifier, source: Source, lr: float, batch: int, steps: int, seed: int, **how) -> Run:
    """Training that the net of stages is made for."""
    data = source.train(batch=batch, seed=seed, augment=distortion("shift", source))
    optimizer = AdamW(lr, weight_decay=0.01, schedule=cosine(warmup=0.1))
    return fit(method, data, optimizer, steps=steps, seed=seed, bf16=True, **how)


@recipe(paper="Mordvintsev et al. 2015", systems=["EXP-07"], presets=[
    preset("digits", octaves=1, rate=0.05, jitter=1, steps=400, seconds=40,
           target={"accuracy": at_least(0.9), "activation_growth": at_least(2.0)}),
    preset("cifar10", width=32, steps=1_500, batch=128, seconds=900,
           target={"accuracy": at_least(0.7), "activation_growth": at_least(2.0)})])
def dream(data: Images = "digits", *, size: int | None = None, width: int = 16, stage: int = 2,
          octaves: int = 2, rate: float = 0.02, jitter: int = 4, lr: float = 3e-3, batch: int = 64,
          steps: int = 1_500, seed: int = 0) -> Run:
    """A classifier dreams: what one of its stages sees in test images is made stronger (Deep Dream).

    Args:
        data: labelled images by name, path or object.
        width: maps of the first stage.
        stage: 1 to 3, whose activations grow.
        octaves, rate, jitter: sizes at which is dreamt, mean change of a pixel in a step, pixels of random
            shift.
    """
    source = open_data(data, "images", size=size)
    method = Classifier(looking(source, class_count(source), width), label_smoothing=0.05)
    if not 1 <= stage <= 3:
        raise ValueError(f"expected stage as 1, 2 or 3, got {stage}")

    def dreams(method: Any) -> tuple[Tensor, Tensor]:
        x, how = real(source, 18, method), {"octaves": octaves, "rate": rate, "jitter": jitter}
        return x, dreamt(method.net, str(stage - 1), x, **how, generator=torch.Generator().manual_seed(0))

    def growth(method: Any) -> dict[str, float]:
        before, after = (activations(method.net, str(stage - 1), x).square().mean() for x in dreams(method))
        return {"activation_growth": (after / before.clamp(min=1e-12)).item()}

    return learn(method, source, lr, batch, steps, seed, evaluate=[*evaluations(method, source), growth],
                 callbacks=[Samples(lambda m: torch.cat(dreams(m)))])


@recipe(paper="Johnson et al. 2016, arXiv 1603.08155", systems=["EXP-08", "EXP-09", "EXP-10"], presets=[
    preset("digits", size=24, width=8, blocks=2, batch=8, steps=400, lr=3e-3, seconds=60,
           target={"style_ratio": at_most(0.4)})])
def style(data: Images = "digits", *, size: int | None = None, picture: str | None = None,
          look: str | None = None, width: int = 16, blocks: int = 3, style_weight: float = 0.3,
          smoothness: float = 0.1, lr: float = 1e-3, batch: int = 16, steps: int = 600, seed: int = 0) -> Run:
    """A net that gives any photograph the style of one picture in one pass.

    Args:
        data: photographs by name, path or object; labels are not needed.
        picture: image file of the style; None: painted waves.
        look: run folder of dream or resnet, whose net judges style and content; None trains one on the
            classes of the data, or takes random filters where there are none.
        width, blocks: maps of the first convolution, residual blocks.
        style_weight, smoothness: weights of the style and of smoothness, beside a content of 1.
    """
    source = open_data(data, "images", size=size)
    channels, *sides = halved(source, 2)
    first, stages = judge(source, look, steps, seed)
    net, goal = StyleNet(channels, width=width, blocks=blocks), painted(picture, channels, sides)
    method = FastStyle(net, stages, goal, style_weight=style_weight, smoothness=smoothness)

    def ratio(method: Any) -> dict[str, float]:
        measured = method.metrics((real(source, 100, method),))
        return {"style_ratio": (measured["style"].mean() / measured["style_before"].mean()).item()}

    last = fit(method, source.train(batch=batch, seed=seed), Adam(lr, schedule=cosine()), steps=steps,
               seed=seed, evaluate=[source.test(batch=100), ratio],
               callbacks=[Samples(lambda m: torch.cat([x := real(source, 18, m), m.predict(x)]))])
    return joined(*first, last)


def real(source: Source, n: int, method: nn.Module) -> Tensor:
    """Some test images, on the method's device."""
    return some_real(source, n).to(next(method.parameters()).device)


def judge(source: Source, look: str | None, steps: int, seed: int) -> tuple[list[Run], list[nn.Module]]:
    """The run, if it is part of this one, in which a net learned to see, and the stages of the net."""
    if look is not None:
        net: Any = getattr(load(look), "net", None)
        residual = isinstance(net, ResNet)
        stages = [nn.Sequential(net.standardize, net.stem), *net.stages] if residual else list(net or [])[:3]
        seen = [m.in_channels for m in nn.ModuleList(stages).modules() if isinstance(m, nn.Conv2d)]
        if len(stages) < 3 or seen[:1] != [source.shape[0]]:
            raise ValueError(f"{look}: expected a run of dream or resnet on images of {source.shape[0]} "
                             "channels")
        return [], stages
    net = looking(source, max(source.num_classes, 2), 16)
    if source.num_classes >= 2:
        return [learn(Classifier(net), source, 3e-3, 64, steps // 2, seed)], list(net)[:3]
    say(f"{source.name}: without classes to learn from, random filters judge; name a run with look=")
    return [], list(net)[:3]


def painted(picture: str | None, channels: int, sides: list[int]) -> Tensor:
    """The style, (1, C, H, W): a picture, grey where a run is built again, or else waves of colour."""
    if picture is not None:
        if current_options().build_only:
            return torch.full((1, channels, *sides), 0.5)
        return images([picture], split=None, size=max(sides), channels=channels).at(0)[0]
    row, column = torch.meshgrid(*(torch.arange(float(n)) for n in sides), indexing="ij")
    waves = torch.stack([(row + 2 * (column / 3 + c).sin()).sin() for c in range(channels)])
    return (0.5 + 0.5 * waves)[None]
