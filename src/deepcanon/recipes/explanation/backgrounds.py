"""Husky or wolf: a net that is right for the wrong reason, which its explanation shows (Ribeiro et al. 2016).

Pictures of the first and of the second half of the classes are told apart, each in a frame of noise, dark
or bright. In the biased form the frame of every training picture tells its class, as the snow around the
wolves did. In test pictures it never does. Frames are drawn anew at each step.
"""

import math
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from deepcanon.data import Images, open_data
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, fit, preset, recipe
from deepcanon.explain.gradients import saliency
from deepcanon.explain.planted_frames import background, framed, planted
from deepcanon.explain.sanity import share_inside
from deepcanon.layers.norm import Standardize
from deepcanon.recipes.inputs import class_count
from deepcanon.recipes.joint import Joint
from deepcanon.vision.classify import Classifier

ASKED = 500  # pictures that are explained



@recipe(paper="Ribeiro et al. 2016, arXiv 1602.04938", systems=["EXP-15"], presets=[
    preset("digits", target={"background_share": at_least(0.5)}, seconds=20),
    preset("digits", frame="independent", seconds=20,
           target={"background_share": at_most(0.2), "accuracy": at_least(0.9)})])
def husky_wolf(data: Images = "digits", frame: Literal["of_class", "independent"] = "of_class", *,
               size: int | None = None, width: int = 16, lr: float = 3e-3, batch: int = 64,
               steps: int = 1_000, seed: int = 0) -> Run:
    """A net that may cheat by the background: how much of its explanation lies there.

    Args:
        data: images of two classes or more by name, path or object.
        frame: of training pictures: bright for the second half of the classes, or whatever the class.
        width: maps of the first convolution.
    """
    source = open_data(data, "images", size=size)
    count, border = class_count(source), max(1, min(source.shape[1:]) // 4)
    channels, height, columns = source.shape
    side = [(n + 2 * border + 1) // 2 for n in (height, columns)]
    layers = [Standardize(source.mean, source.std), nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(),
              nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU(), nn.Flatten(),
              nn.Linear(2 * width * math.prod(side), 2)]
    how = {"augment": partial(framed, border=border)}
    plant = partial(planted, border=border, classes=count)
    test = Joint(partial(plant, of_class=False), source.test(**how))
    train = Joint(partial(plant, of_class=frame == "of_class"), source.train(batch=batch, seed=seed, **how))
    return fit(Classifier(nn.Sequential(*layers)), train, Adam(lr), steps=steps, seed=seed,
               evaluate=[test, lambda m: {"background_share": share(m, test, border)}],
               callbacks=[Samples(lambda m: explained(m, test), beside=lambda: test.at(0)[0][:36])])


def share(method: Any, test: Joint, border: int) -> float:
    """The share of the saliency of test pictures that lies on the frame."""
    x = test.at(0)[0][:ASKED].to(next(method.parameters()).device)
    return share_inside(saliency(method.net, x), background(x, border)).mean().item()


def explained(method: Any, test: Joint) -> Tensor:
    """The saliency of 36 test pictures, each from black to white."""
    x = test.at(0)[0][:36].to(next(method.parameters()).device)
    maps = saliency(method.net, x).abs().amax(1, keepdim=True)
    return maps / maps.amax((2, 3), keepdim=True).clamp(min=1e-12)
