"""Runs of noise-conditional score networks, of images or of points in the plane."""

from functools import partial

import torch

from deepcanon.data import Images, Points, open_data
from deepcanon.data.toys import TOYS, density
from deepcanon.diffusion.annealed import annealed_langevin, geometric
from deepcanon.diffusion.ncsn import NCSN
from deepcanon.engine import Adam, Run, at_least, at_most, cosine, fit, preset, recipe
from deepcanon.nets.resmlp import ResidualMLP
from deepcanon.recipes.evaluation import chunks, evaluations, pictures, points_picture


@recipe(paper="Song & Ermon 2019", systems=["GEN-49", "GEN-50", "MET-10"], presets=[
    preset("digits", target={"class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60),
    preset("two_gaussians", width=64, layers=2, levels=20, chain_steps=60, lr=3e-3, batch=256, steps=2_000,
           target={"weight_error": at_most(0.05)}, seconds=60)])
def ncsn(data: Images | Points = "digits", *, size: int | None = None, width: int = 256, layers: int = 3, levels: int = 15,
         chain_steps: int = 20, lr: float = 2e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """A noise-conditional score network, sampled by annealed Langevin chains.

    Args:
        data: images or points by name, path or object; a perceptron reads them, so images should be small.
        size: side in pixels that images are brought to; by default 32 for your own that differ or are above 64.
        width, layers: units of a hidden layer, residual blocks.
        levels: of noise, each a fixed factor below the one before.
        chain_steps: Langevin steps a level; 20 leave 0.95^40 = 0.13 of its surplus of variance, 60 put two modes within 0.02 of their weights.
    """
    source = open_data(data, "images", "points", size=size)
    points = source.kind == "points"
    net = ResidualMLP(source.shape, width=width, num_layers=layers, **({"time_dim": 64} if points else {}))
    largest, smallest = (8.0, 0.1) if points else (10.0, 0.03)
    method = NCSN(net, source.shape, sigmas=geometric(largest, smallest, levels), bounded=not points,
                  sampler=partial(annealed_langevin, steps=chain_steps, step_size=0.1))
    optimizer = Adam(lr, betas=(0.9, 0.999 if points else 0.99), schedule=cosine(warmup=0.02))
    weights = [part_weights(source.name)] if source.name in TOYS else []
    return fit(method, source.train(batch=batch, seed=seed), optimizer, steps=steps, seed=seed, clip_norm=1.0, ema=0.995,
               evaluate=[*evaluations(method, source), *weights], callbacks=pictures(source, None if not points else where_they_are))


def where_they_are(method: NCSN) -> torch.Tensor:
    """A picture of 4,000 points."""
    return points_picture(torch.cat([method.sample(size).cpu() for size in chunks(4_000)]))


def part_weights(name: str, n: int = 5_000):
    """An evaluation: the largest difference between the share of each part of a toy among the samples and in truth."""
    mixture = density(name)
    parts = int(mixture.parts.max()) + 1

    def measure(method: NCSN) -> dict[str, float]:
        x = torch.cat([method.sample(size).cpu() for size in chunks(n)])
        part = mixture.parts[torch.cdist(x, mixture.centres).argmin(1)]
        shares, right = (p.bincount(minlength=parts) / len(p) for p in (part, mixture.parts))
        return {"weight_error": (shares - right).abs().max().item(), "log_prob": mixture.log_prob(x).mean().item()}

    return measure
