"""Runs of adversarial networks of perceptrons: every objective, on images and on points with modes to count.

On one data set all objectives have the same nets and optimizer, but for spectral normalisation on the grid:
two layers for three, at half the rate, since each further layer flattens it. A generator that fills the plane
finds every mode too; so the share of points within three deviations of one (high_quality) counts as much.
"""

from typing import Literal

from torch import nn

from deepcanon.data import Images, Points, open_data
from deepcanon.engine import Run, at_least, at_most, preset, recipe
from deepcanon.gans import objectives
from deepcanon.gans.bigan import BiGAN
from deepcanon.gans.gan import GAN, clip
from deepcanon.gans.unrolled import UnrolledGAN
from deepcanon.gans.wgan import WGANGP
from deepcanon.layers.minibatch_discrimination import MinibatchDiscrimination
from deepcanon.layers.spectral import spectral_norm
from deepcanon.recipes.gans.nets import critic, generator, play, slopes, units, widths

LIMITS = {"wasserstein": {"images": 0.05, "points": 0.1}, "spectral_norm": {"images": 10.0, "points": 10.0},
          "relativistic": {"images": 1.0, "points": 0.1}}                  # what holds the discriminator


@recipe(paper="Goodfellow et al. 2014; Salimans et al. 2016; Mao et al. 2017; Lim & Ye 2017; "
              "Arjovsky et al. 2017; Miyato et al. 2018; Huang et al. 2024", presets=[
    preset("digits", latent=32, hidden=256, lr=1e-3, steps=2_000, seconds=60,
           expect="frechet_ratio 0.05 to 0.11 in three runs of each plain objective, twice that of wgan_gp "
                  "and relativistic: nothing holds the slope of the discriminator"),
    preset("digits", objective="minimax"),
    preset("digits", objective="least_squares"),
    preset("digits", objective="hinge"),
    preset("digits", objective="smoothed"),
    preset("digits", objective="wasserstein", steps=1_500, seconds=60,
           expect="frechet_ratio 0.06 to 0.08, twice that of wgan_gp: clipped weights make a simple critic"),
    preset("digits", objective="spectral_norm", seconds=60,
           target={"frechet_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("digits", objective="relativistic", seconds=60,
           target={"frechet_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("mnist", seconds=600,
           expect="frechet_ratio 0.07 (hinge) to 0.17 (non_saturating) in three runs of each plain one; a "
                  "digit in 2 to 22 % of the images: nothing holds the slope of the discriminator"),
    preset("mnist", objective="minimax"),
    preset("mnist", objective="least_squares"),
    preset("mnist", objective="hinge"),
    preset("mnist", objective="smoothed"),
    preset("mnist", objective="wasserstein", seconds=600,
           expect="frechet_ratio 0.15 to 0.16, recall 0.17 to 0.28: clipped weights make a simple critic"),
    preset("mnist", objective="spectral_norm", limit=16.0, seconds=600,
           target={"frechet_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("mnist", objective="relativistic", limit=5.0, seconds=900,
           target={"frechet_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("ring", latent=8, hidden=64, lr=1e-3, batch=128, steps=4_000, seconds=60,
           expect="3 to 8 modes of 8 in five runs, high_quality 0.08 to 0.78: points run after the critic"),
    preset("ring", objective="minimax", seconds=60,
           expect="known to lose modes; here all 8 in each of five runs, high_quality 0.69 to 0.78"),
    preset("ring", objective="least_squares", seconds=60,
           expect="6 to 8 modes of 8 in five runs, high_quality 0.77 to 0.84: a lost mode gives no gradient"),
    preset("ring", objective="hinge", seconds=60,
           expect="8 modes in four of five runs, 7 in one, high_quality 0.60 to 0.76: the points circle"),
    preset("ring", objective="wasserstein", seconds=90,
           expect="0 to 8 modes of 8, high_quality 0.02 to 0.26: clipped weights make a simple critic"),
    preset("ring", objective="spectral_norm", seconds=60,
           target={"modes": at_least(8), "high_quality": at_least(0.7)}),
    preset("ring", objective="relativistic", seconds=90,
           target={"modes": at_least(8), "high_quality": at_least(0.7)}),
    preset("grid", latent=2, layers=3, hidden=128, lr=2e-3, batch=256, steps=4_000, seconds=60,
           expect="known to lose modes, as every plain objective; with these larger nets each finds all 25 "
                  "in three runs, high_quality 0.66 (hinge) to 0.92 (minimax)"),
    preset("grid", objective="minimax"),
    preset("grid", objective="least_squares"),
    preset("grid", objective="hinge"),
    preset("grid", objective="wasserstein", seconds=90,
           expect="17 to 21 modes of 25, high_quality 0.21 to 0.23: clipped weights make a simple critic"),
    preset("grid", objective="spectral_norm", layers=2, limit=40.0, lr=1e-3, steps=5_000, seconds=120,
           target={"modes": at_least(25), "high_quality": at_least(0.7)}),
    preset("grid", objective="relativistic", limit=0.02, steps=6_000, seconds=90,
           target={"modes": at_least(25), "high_quality": at_least(0.7)})],
        systems=["GEN-56", "GEN-57", "GEN-63", "GEN-65", "GEN-68", "GEN-70", "GEN-79", "GEN-84", "MET-10"])
def gan(data: Images | Points = "digits",
        objective: Literal["non_saturating", "minimax", "least_squares", "hinge", "smoothed", "wasserstein",
                           "spectral_norm", "relativistic"] = "non_saturating", *,
        size: int | None = None, latent: int = 64, layers: int = 2, hidden: int = 512,
        limit: float | None = None, critic_steps: int | None = None, lr: float = 7e-4, batch: int = 64,
        steps: int = 10_000, seed: int = 0) -> Run:
    """GAN of perceptrons under one of its objectives, on images or points.

    Args:
        data: images or points by name, path or object.
        objective: wasserstein is WGAN with clipped weights; spectral_norm the hinge loss, of points the
            non-saturating one, with a normalised discriminator; relativistic R3GAN's loss, the surest of all.
        size: side in pixels that images are brought to.
        latent, layers, hidden: numbers that the generator reads; hidden layers; units of the widest.
        limit: the discriminator's largest weight (wasserstein), largest slope (spectral_norm) or the weight
            of its penalty (relativistic); None is 0.05, 10 or 1 for images, 0.1, 10 or 0.1 for points.
        critic_steps: the discriminator's updates for one of the generator; None is 3 for wasserstein, else 1.
    """
    if limit is not None and objective not in LIMITS:
        raise ValueError(f"the objective {objective} has no limit; {', '.join(LIMITS)} have one")
    source = open_data(data, "images", "points", size=size)
    held = limit if limit is not None else LIMITS.get(objective, {}).get(source.kind, 0.0)
    bounded = objectives.hinge if source.kind == "images" else objectives.non_saturating
    made = {"smoothed": objectives.smoothed(), "spectral_norm": bounded}
    game = made.get(objective) or getattr(objectives, objective)
    makes, judges = generator(source, latent, hidden, layers), critic(source, hidden, layers)
    judges = spectral_norm(judges, slope=held) if objective == "spectral_norm" else judges
    critic_steps = critic_steps or (3 if objective == "wasserstein" else 1)
    method = GAN(makes, judges, latent_dim=latent, objective=game, discriminator_steps=critic_steps,
                 penalty=slopes(source, held, r2=True) if objective == "relativistic" else None,
                 constrain=clip(held) if objective == "wasserstein" else None)
    return play(method, source, lr, critic_steps * batch, steps, seed)


@recipe(paper="Gulrajani et al. 2017", systems=["GEN-69", "GEN-84", "MET-10"], presets=[
    preset("digits", latent=32, hidden=256, lr=1e-3, steps=1_500, seconds=30,
           target={"frechet_ratio": at_most(0.05), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("mnist",
           target={"frechet_ratio": at_most(0.05), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("fashion", steps=7_000, seconds=1_200,
           target={"frechet_ratio": at_most(0.1), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("ring", latent=8, hidden=64, lr=1e-3, batch=128, steps=4_000, seconds=120,
           target={"modes": at_least(8), "high_quality": at_least(0.7)}),
    preset("grid", latent=2, layers=3, hidden=128, lr=2e-3, batch=256, steps=4_000, seconds=120,
           target={"modes": at_least(25), "high_quality": at_least(0.7)})])
def wgan_gp(data: Images | Points = "digits", *, size: int | None = None, latent: int = 64, layers: int = 2,
            hidden: int = 512, penalty: float | None = None, critic_steps: int = 3, lr: float = 7e-4,
            batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """WGAN with gradient penalty, of perceptrons: on a CPU the penalty of convolutions takes far longer.

    Args:
        data, size: images or points by name, path or object; side in pixels to bring images to.
        latent, layers, hidden: numbers that the generator reads; hidden layers; units of the widest.
        penalty: weight of the slope penalty; None is 10 for images and 0.1 for points.
        critic_steps: updates of the critic for one of the generator.
    """
    source = open_data(data, "images", "points", size=size)
    weight = penalty if penalty is not None else 10.0 if source.kind == "images" else 0.1
    _, scale = units(source) or (None, None)
    method = WGANGP(generator(source, latent, hidden, layers), critic(source, hidden, layers),
                    latent_dim=latent, critic_steps=critic_steps, penalty=weight, units=scale)
    return play(method, source, lr, critic_steps * batch, steps, seed)


@recipe(paper="Metz et al. 2017", systems=["GEN-80", "GEN-84"], presets=[
    preset("ring", latent=8, hidden=64, lr=1e-3, batch=128, steps=4_000, seconds=120,
           target={"modes": at_least(8), "high_quality": at_least(0.7)})])
def unrolled_gan(data: Images | Points = "ring", *, size: int | None = None, latent: int = 64,
                 hidden: int = 512, unroll: int = 5, inner_lr: float = 0.01, lr: float = 7e-4,
                 batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """Unrolled GAN: the generator looks some steps of the discriminator ahead, and so keeps every mode.

    Args:
        data, size: images or points by name, path or object; side in pixels to bring images to.
        latent, hidden: numbers that the generator reads; units of the widest of two hidden layers.
        unroll, inner_lr: steps that it looks ahead, learning rate of these steps.
    """
    source = open_data(data, "images", "points", size=size)
    method = UnrolledGAN(generator(source, latent, hidden), critic(source, hidden), latent_dim=latent,
                         unroll=unroll, inner_lr=inner_lr)
    return play(method, source, lr, batch, steps, seed)


@recipe(paper="Salimans et al. 2016", systems=["GEN-61", "GEN-84"], presets=[
    preset("ring", latent=8, hidden=64, lr=1e-3, batch=128, steps=4_000, target={"modes": at_least(2)},
           seconds=60, expect="3 to 6 modes of 8: a batch of one mode is seen, one of some modes is not")])
def minibatch_gan(data: Images | Points = "ring", *, size: int | None = None, latent: int = 64,
                  hidden: int = 512, kernels: int = 16, lr: float = 7e-4, batch: int = 64,
                  steps: int = 10_000, seed: int = 0) -> Run:
    """GAN whose discriminator sees how alike the examples of a batch are (minibatch discrimination).

    Args:
        data, size: images or points by name, path or object; side in pixels to bring images to.
        latent, hidden: numbers that the generator reads; units of the widest of two hidden layers.
        kernels: measures of likeness.
    """
    source = open_data(data, "images", "points", size=size)
    makes, judges = generator(source, latent, hidden), critic(source, hidden)
    features = widths(source, hidden, 2)[-1]
    judges[-1] = nn.Sequential(MinibatchDiscrimination(features, kernels), nn.Linear(features + kernels, 1))
    return play(GAN(makes, judges, latent_dim=latent), source, lr, batch, steps, seed, test_batch=batch)


@recipe(paper="Donahue et al. 2017; Dumoulin et al. 2017", systems=["GEN-82"], presets=[
    preset("moons", latent=2, hidden=64, lr=1e-3, batch=128, steps=6_000, seconds=90,
           target={"inversion_error": at_most(0.2)})])
def bigan(data: Images | Points = "moons", *, size: int | None = None, latent: int = 64, hidden: int = 512,
          gamma: float = 0.3, lr: float = 7e-4, batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """BiGAN of perceptrons: an encoder that inverts the generator, and how near it leads back to the latents.

    Args:
        data, size: images or points by name, path or object; side in pixels to bring images to.
        latent, hidden: numbers of the code; units of the widest of two hidden layers.
        gamma: weight of R1 and R2.
    """
    source = open_data(data, "images", "points", size=size)
    encoder = critic(source, hidden, outputs=latent, activation=nn.ReLU)
    method = BiGAN(generator(source, latent, hidden), encoder, critic(source, 2 * hidden, 3, beside=latent),
                   latent_dim=latent, penalty=slopes(source, gamma, r2=True, beside=latent))
    return play(method, source, lr, batch, steps, seed)
