"""Claims about the latents of variational autoencoders: their weight, their meaning, what they decode to."""

import math
from functools import partial

import torch
from torch import Tensor

from deepcanon.claims.experiment import Finding, Numbers, above, below, claim, every, over_seeds
from deepcanon.claims.generative_problems import points, train
from deepcanon.data import images
from deepcanon.foundations.information import kl
from deepcanon.metrics.mean_discrepancy import gaussian as kernel, mmd, mmd_bound
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.denoising import masking
from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.restoration import inpaint
from deepcanon.vae.vae import VAE, kl_standard_normal, reparameterise

MIXTURES = 3                                                           # of two factors, for each seed


def trained(beta: float, seed: int) -> Numbers:
    """A VAE of two moons with this weight of the KL: what its code tells, and what it draws."""
    vae = VAE(mlp(2, 32, 4), mlp(2, 32, 2), latent_dim=2, beta=beta, likelihood=partial(gaussian, sigma=0.2))
    train(vae, points("moons", 2000), steps=300, seed=seed)
    data, new = points("moons", 1000), points("moons", 1000)
    with torch.no_grad():
        drawn = vae.decode(vae.prior(1000)).sample()
        rate = kl_standard_normal(*vae.posterior(data)).mean().item()
    error = (vae.reconstruct(data) - data).square().mean() / data.var(0).mean()
    return {"kl": rate, "error": error.item(), "mmd": mmd(drawn, new, kernel(0.5)).item()}


@claim("C-146", answer="no")
def without_its_kl_a_vae_generates_nothing() -> Finding:
    """A VAE that was trained with beta = 0 can be sampled from as it is.

    Two moons, training with beta 0 and 1, five seeds: the maximum mean discrepancy between 1,000 draws with
    codes from N(0, I) and as many new data, their difference, and the level that equal distributions exceed
    in one of twenty cases.
    """
    def experiment(seed: int) -> Numbers:
        without, full = (trained(beta, seed)["mmd"] for beta in (0.0, 1.0))
        return {"mmd_at_0": without, "mmd_at_1": full, "difference": without - full}

    means, ends = over_seeds(experiment)
    level = mmd_bound(1000)
    like_data = every(below(ends["mmd_at_0"], level), below(ends["difference"], 0.0))
    return Finding(means | {"level": level}, like_data,
                   "Nothing makes its codes N(0, I): it is a plain autoencoder.", ends)


@claim("C-147", answer="yes")
def masked_training_teaches_inpainting() -> Finding:
    """Training a VAE to restore images whose pixels are masked at random teaches it to inpaint.

    Digits of 8 x 8 pixels, 300 steps with half of the pixels masked, five seeds: the squared error on masked
    pixels of new digits in parts of that of the mean image, and of a VAE that was trained on whole images, by
    one reconstruction and by ten in turn.
    """
    x, test = (next(iter(images("digits", split=split, batch=1400)))[0].flatten(1)
               for split in ("train", "test"))

    def experiment(seed: int) -> Numbers:
        known, numbers = torch.rand_like(test) > 0.5, {}
        baseline = (x.mean(0) - test).square()[~known].mean()
        for name, corrupt in (("masked", masking(0.5)), ("whole", None)):
            vae = VAE(mlp(64, 64, 32), mlp(16, 64, 64), latent_dim=16, corrupt=corrupt,
                      likelihood=partial(gaussian, sigma=0.2))
            train(vae, x, steps=300, seed=seed)
            for steps in (1, 10):
                filled = inpaint(vae.reconstruct, test, known, steps=steps)
                error = (filled - test).square()[~known].mean() / baseline
                numbers[f"{name}_error" if steps == 1 else f"{name}_error_in_turn"] = error.item()
        return numbers

    means, ends = over_seeds(experiment)
    return Finding(means, below(ends["masked_error"], 1.0), "In one reconstruction: taken in turn, what is "
                   "filled in is no longer masked. There a VAE of whole images is the better one.", ends)


@claim("C-148", answer="yes")
def a_larger_beta_disentangles() -> Finding:
    """A larger weight beta of the KL makes each latent of a VAE stand for one factor of the data.

    Points of six numbers, bent mixtures of two independent factors of different widths; VAEs with beta 0.05
    and 4 on three mixtures, five seeds: the mutual-information gap of the codes' means, by how much more the
    best latent tells of a factor than the next does, in parts of the factor's entropy, and that of draws of
    the codes; what the larger beta gains for the means.
    """
    def gaps(seed: int) -> Numbers:
        factors = torch.rand(2000, 2) - 0.5
        mixed = (factors * torch.tensor([4.0, 2.0])) @ torch.linalg.qr(torch.randn(6, 2)).Q.T
        x, numbers = mixed + 0.3 * mixed.sin(), {}
        for beta in (0.05, 4.0):
            vae = VAE(mlp(6, 32, 4), mlp(2, 32, 6), latent_dim=2, beta=beta,
                      likelihood=partial(gaussian, sigma=0.2))
            train(vae, x, steps=300, lr=0.02, batch=256, seed=seed)
            with torch.no_grad():
                mu, log_var = vae.posterior(x)
            numbers[f"gap_at_{beta:g}"] = information_gap(mu, factors)
            numbers[f"gap_of_draws_at_{beta:g}"] = information_gap(reparameterise(mu, log_var), factors)
        return numbers | {"gain": numbers["gap_at_4"] - numbers["gap_at_0.05"]}

    def experiment(seed: int) -> Numbers:
        several = [gaps(seed) for _ in range(MIXTURES)]
        return {name: sum(numbers[name] for numbers in several) / MIXTURES for name in several[0]}

    means, ends = over_seeds(experiment)
    return Finding(means, above(ends["gain"], 0.0), "Of the means: the codes themselves are drawn with the "
                   "more noise the larger beta is, and tell less of either factor.", ends)


def information_gap(codes: Tensor, factors: Tensor, bins: int = 20) -> float:
    """Mean over factors of I(best latent) - I(next latent), in parts of log `bins`, the factor's entropy."""
    def information(a: Tensor, b: Tensor) -> Tensor:
        ranks = [(bins * v.argsort().argsort()) // len(v) for v in (a, b)]
        joint = torch.bincount(bins * ranks[0] + ranks[1], minlength=bins**2).double() / len(a)
        return kl(joint, torch.full_like(joint, 1 / bins**2))

    table = torch.stack([torch.stack([information(z, f) for z in codes.T]) for f in factors.T])
    best, second = table.topk(2, 1).values.unbind(1)
    return ((best - second).mean() / math.log(bins)).item()


@claim("C-151", answer="yes")
def the_kl_must_be_neither_small_nor_large() -> Finding:
    """If the KL of a VAE is too small its code is ignored; if it is too large reconstructions are good and
    samples are not.

    Two moons, training with beta 0.001, 1 and 100, five seeds: KL in nats, reconstruction error in parts of
    the variance of the data, and the maximum mean discrepancy between draws and new data.
    """
    def experiment(seed: int) -> Numbers:
        numbers = {}
        for beta in (0.001, 1.0, 100.0):
            numbers |= {f"{name}_at_{beta:g}": value for name, value in trained(beta, seed).items()}
        return numbers | {"gain_in_error": numbers["error_at_1"] - numbers["error_at_0.001"],
                          "loss_in_samples": numbers["mmd_at_0.001"] - numbers["mmd_at_1"]}

    means, ends = over_seeds(experiment)
    ignored = every(below(ends["kl_at_100"], 0.05), above(ends["error_at_100"], 0.95))
    garbage = every(above(ends["gain_in_error"], 0.0), above(ends["loss_in_samples"], 0.0))
    return Finding(means, every(ignored, garbage), "beta sets the KL: a large weight makes it small.", ends)
