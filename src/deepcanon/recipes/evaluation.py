"""What is measured of a trained method: it follows from the verbs of the method and the kind of the data, in this one place.

    metrics(batch)              its means on the test part: accuracy, nll, elbo, bits_per_dim, mse, ...
    predict(x), with classes    a table of every class, the confusion matrix and the worst mistakes, in the run folder
    sample(n), images           frechet_distance, precision, recall, class_min, class_max in a judge's features (see `judge`)
    sample(n), points           modes and high_quality where the modes are known, mmd elsewhere
    log_prob(x), points         kl: KL(p || method) in nats, where the density p is known
    predict(x), masks           mean_iou and dice of the pixels of all test images, with a table of the classes
    generate(x), captions       bleu of the test images' captions, with a table of them and where the method looked
    detect(x), boxes            map50, map, crowded_recall, apart_recall, with a table of the classes (see `vision.detection_quality`)
    act(observation)            return: the mean return of 20 episodes

The same quantity has the same name in every field, so that methods of different families can be compared on the same data.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepcanon.data.source import Source
from deepcanon.data.toys import TOYS, Mixture, density
from deepcanon.engine import Samples
from deepcanon.gans.diagnostics import coverage
from deepcanon.metrics.mean_discrepancy import gaussian, mmd
from deepcanon.picture_evaluations import PixelClasses, Sentences, overlays
from deepcanon.recipes.judge import chunks, judge_of
from deepcanon.recipes.vision.detection_quality import DetectionQuality

Measure = Callable[[Any], dict[str, float]]
DRAWN, COMPARED = 2_500, 1_000                           # points drawn to count modes, and to be compared with test points
MODES = {"ring": 8, "eight_gaussians": 8, "ten_gaussians": 10, "grid": 25}       # toys whose modes are apart


def evaluations(method: nn.Module, source: Source, *, sample: Callable[[Any, int], Tensor] | None = None, ratio: bool = False, beam: int = 3,
                condition: Callable[[Any, Tensor], Tensor] | None = None, batch: int | None = None, **how: Any) -> list[Any]:
    """What can be measured of a method on a source.

    Args:
        sample: (method, n) -> n draws, where they are not `method.sample(n)`: a VAE's means, say.
        ratio: measure frechet_ratio too, the distance divided by that of the method as it is now.
        condition: (method, y) -> draws of the classes y; gives conditional_accuracy.
        beam: of the search for captions.
        batch: rows of a test batch.
        how: further arguments of `source.test`, such as augment=.
    """
    found: list[Any] = [source.test(**({"batch": batch} if batch else {}), **how)] if hasattr(method, "metrics") else []
    if callable(getattr(method, "predict", None)) and source.num_classes >= 2 and source.kind in ("images", "table"):
        found.append(Predictions(source))
    if source.kind == "captions":
        found.append(Sentences(source, beam))
    if source.kind == "masks" and not source.options.get("instances"):
        found.append(PixelClasses(source))
    if source.kind == "boxes" and hasattr(method, "detect"):
        found.append(DetectionQuality(source))
    if source.kind == "table" and not source.num_classes and hasattr(method, "predict"):
        found.append(lambda m: {"r2": explained(m, source)})
    draw = sample or (lambda m, n: m.sample(n)) if sample or hasattr(method, "sample") else None
    if source.kind == "images" and draw:
        found.append(image_quality(method, source, draw, ratio))
    if source.kind == "images" and condition:
        found.append(lambda m: {"conditional_accuracy": judge_of(source).conditional_accuracy(m, lambda y: condition(m, y))})
    if source.kind == "points":
        found += point_measures(method, source, draw)
    return found


def explained(method: Any, source: Source) -> float:
    """The share of the variance of held-out values that predictions explain: 1 - E[(y - prediction)^2] / Var[y]; 0 is what the mean reaches."""
    parts = [(method.predict(x.to(next(method.parameters()).device)).cpu(), y) for x, y in source.test()]
    predicted, y = (torch.cat(column) for column in zip(*parts))
    return 1 - ((predicted - y).square().mean() / y.var(correction=0).clamp(min=1e-12)).item()


def image_quality(method: nn.Module, source: Source, draw: Callable[[Any, int], Tensor], ratio: bool) -> Measure:
    """An evaluation: the judge's numbers of generated images, and with `ratio` the distance beside that of the untrained method."""
    start = copy.deepcopy(method).eval() if ratio else None

    def measure(method: Any) -> dict[str, float]:
        judge = judge_of(source)
        verdict = judge(lambda n: draw(method, n))
        if start is not None:
            start.to(next(method.parameters()).device)
            verdict["frechet_ratio"] = verdict["frechet_distance"] / judge.frechet(lambda n: draw(start, n))
        return verdict

    return measure


def point_measures(method: nn.Module, source: Source, draw: Callable[[Any, int], Tensor] | None) -> list[Measure]:
    """Evaluations of a model of points: by their modes or their density where these are known, else by comparison with test points."""
    found: list[Measure] = []
    mixture = density(source.name) if source.name in TOYS else None
    if draw and source.name in MODES and mixture:
        found.append(lambda m: modes(draw(m, DRAWN), mixture))
    elif draw:
        found.append(lambda m: {"mmd": distance(draw(m, COMPARED).cpu(), source.test().at(0)[0])})
    if hasattr(method, "log_prob") and mixture:
        found.append(lambda m: divergence(m, mixture, source))
    return found


def modes(x: Tensor, mixture: Mixture) -> dict[str, float]:
    """At how many of a mixture's modes the points are, and which share of them lies within three deviations of one."""
    found, good = coverage(x.cpu(), mixture.centres.unique(dim=0), 3 * mixture.deviation)
    return {"modes": found.item(), "high_quality": good.item()}


def distance(x: Tensor, y: Tensor) -> float:
    """The maximum mean discrepancy of two samples, in a Gaussian kernel as wide as the median distance in the second (Gretton et al. 2012)."""
    return mmd(x, y, gaussian(torch.pdist(y[:500]).median().item())).item()


def divergence(method: Any, p: Mixture, source: Source) -> dict[str, float]:
    """KL(p || method) in nats, on points that were not trained on."""
    x = torch.cat([x for x, _ in source.test()])
    return {"kl": (p.log_prob(x) - method.log_prob(x.to(next(method.parameters()))).cpu()).mean().item()}


class Predictions:
    """The predictions of a classifier on the test part, written into the run folder when the run ends."""

    def __init__(self, source: Source):
        self.source = source

    def __call__(self, method: Any) -> dict[str, float]:
        return {}

    def write(self, folder: Path, method: Any) -> None:
        """The table of the classes and the worst mistakes."""
        from deepcanon.engine.predictions import write_predictions

        write_predictions(folder, method, self.source.test(), self.source.classes)


def pictures(source: Source, make: Callable[[Any], Tensor] | None = None, every: int | None = None) -> list[Samples]:
    """What a generator draws, beside real data: 64 images, or where its points are."""
    if source.kind == "masks":
        return [overlays(source)]
    if source.kind == "points":
        draw = make or (lambda m: points_picture(m.sample(20_000)))
        return [Samples(draw, every=every, beside=lambda: points_picture(torch.cat([x for x, _ in source.test()])))]
    return [Samples(make or (lambda m: m.sample(64)), every=every, beside=lambda: some_real(source))]


def some_real(source: Source, n: int = 64) -> Tensor:
    """Up to n test images, evenly spread over the classes' order."""
    rows = torch.linspace(0, source.test_count - 1, min(n, source.test_count)).long()
    return source.test(batch=n).take(rows).at(0)[0]


def points_picture(x: Tensor, side: int = 128) -> Tensor:
    """Where points (n, 2) are, from -4 to 4 or to the farthest one, as one image (1, 1, side, side) in [0, 1]; of more axes, the first two."""
    x = x.detach().cpu().float()[:, :2]
    half = max(4.0, x.abs().quantile(0.99).item() if len(x) else 0.0)
    counts = torch.histogramdd(x, bins=[side, side], range=[-half, half, -half, half]).hist
    return (counts / counts.max().clamp(min=1)).sqrt().T.flip(0)[None, None]


__all__ = ["Predictions", "chunks", "divergence", "evaluations", "judge_of", "modes", "pictures", "points_picture"]
