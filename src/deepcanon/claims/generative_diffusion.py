"""Claims about diffusion models and scores: their likelihoods, their targets, and what a sample costs."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, Numbers, below, claim, every, over_seeds
from deepcanon.claims.generative_problems import Calls
from deepcanon.diffusion.ddpm import DDPM
from deepcanon.diffusion.divergence import exact
from deepcanon.diffusion.ncsn import NCSN
from deepcanon.diffusion.samplers import ancestral, ddim, forward_variance, posterior_mean, posterior_variance
from deepcanon.diffusion.schedules import linear_schedule, strided
from deepcanon.diffusion.score_matching import implicit, score_of
from deepcanon.diffusion.sde import log_prob, vp
from deepcanon.diffusion.variational_bound import bound_terms, log_bin
from deepcanon.flows.flow import Flow
from deepcanon.flows.maf_flow import maf
from deepcanon.gans.gan import GAN
from deepcanon.metrics.generation import fid
from deepcanon.nets.perceptron import mlp

VARIANCE = 0.09


def shrink(x: Tensor, a2: Tensor) -> Tensor:
    """E[x_0 | x] of N(0, VARIANCE) data at a share a^2 of the data's variance, a x_0 + sqrt(1 - a^2) eps."""
    return a2.sqrt() * VARIANCE / (a2 * VARIANCE + 1 - a2) * x


def bound_excess(T: int, x: Tensor) -> float:
    """The variational bound of a diffusion model with a linear denoiser, less its exact -log p, nats.

    Every step of such a model is Gaussian, so that the model is: its variance follows from step to step.
    """
    abar = linear_schedule(T)

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        return shrink(x, abar[t][:, None])

    variance = torch.ones((), dtype=torch.float64)
    for t in range(T, 0, -1):
        one = torch.ones((), dtype=torch.float64)
        scale = posterior_mean(one, shrink(one, abar[t]), abar[t], abar[t - 1])
        variance = scale.square() * variance + forward_variance(abar[t], abar[t - 1])
    nll = -log_bin(x, torch.zeros_like(x), variance.sqrt())[:, 0]
    return (bound_terms(denoise, x, abar).sum(0) - nll).mean().item()


@claim("C-161", answer="no")
def a_diffusion_model_has_a_bound() -> Finding:
    """Normalizing flows and diffusion models both have a tractable likelihood.

    The integral of a random flow's density over the plane; a diffusion model of numbers of N(0, 0.09),
    rounded to 256 values, with a linear denoiser, whose density is known: its variational bound less the
    exact negative log-likelihood, for 10 and 100 steps, five seeds; and the error of the probability flow's
    likelihood for the same data, in nats.
    """
    line = torch.linspace(-12, 12, 401, dtype=torch.float64)
    with torch.no_grad():
        flow = Flow(maf(2, hidden=(16,), num_layers=2), (2,)).double()
        total = flow.log_prob(torch.cartesian_prod(line, line)).exp().sum() * (line[1] - line[0]) ** 2

    def experiment(seed: int) -> Numbers:
        x = VARIANCE**0.5 * torch.randn(10_000, 1, dtype=torch.float64)
        levels = ((x.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
        return {f"excess_of_{T}_steps": bound_excess(T, levels) for T in (10, 100)}

    means, ends = over_seeds(experiment)
    sde, x = vp(), torch.linspace(-0.6, 0.6, 13, dtype=torch.float64)[:, None]
    estimate = log_prob(lambda x, t: shrink(x, sde.scale(t)[:, None].square()), x, sde, sde.times(200, 1e-5),
                        divergence=exact)
    right = torch.distributions.Normal(0.0, VARIANCE**0.5).log_prob(x)[:, 0]
    measured = means | {"flow_integral": total.item(), "ode_error": (estimate - right).abs().max().item()}
    tight = below(ends["excess_of_100_steps"], 1e-3)
    return Finding(measured, every(abs(measured["flow_integral"] - 1) < 1e-3, tight),
                   "Training gives a diffusion model a bound. The probability flow of the same scores has a "
                   "likelihood, up to the error of its steps.", ends)


@claim("C-169", answer="yes")
def scores_need_no_partition_function() -> Finding:
    """A model can be fitted by score matching without its partition function.

    An energy of a net on 200 points, and the same plus 7, whose log Z is 7 less: the largest change of the
    implicit loss and of its gradient, the norm of this gradient, and the change of the mean energy.
    """
    net, x = mlp(2, 16, 1, activation=nn.Tanh).double(), torch.randn(200, 2, dtype=torch.float64)
    losses, gradients, energies = [], [], []
    for constant in (0.0, 7.0):
        def energy(x: Tensor, constant=constant) -> Tensor:
            return net(x)[:, 0] + constant

        loss = implicit(score_of(energy), x).mean()
        flat = torch.autograd.grad(loss, [p for p in net.parameters() if p.ndim > 1])
        losses.append(loss.item())
        gradients.append(torch.cat([g.flatten() for g in flat]))
        energies.append(energy(x).mean().item())
    measured = {"loss_change": abs(losses[1] - losses[0]), "energy_change": energies[1] - energies[0],
                "gradient_change": (gradients[1] - gradients[0]).abs().max().item(),
                "gradient": gradients[0].norm().item()}
    same = max(measured["loss_change"], measured["gradient_change"]) < 1e-12
    return Finding(measured, same and measured["gradient"] > 0)


@claim("C-170", answer="yes")
def noise_and_score_are_one() -> Finding:
    """Denoising diffusion only changes the noise schedule of a noise-conditional score network: both predict
    the same.

    A score network's net, and the same net in a diffusion model at the times with its noise levels: how far
    eps = -sqrt(1 - abar) score is from the diffusion model's prediction, once x is rescaled by sqrt(abar),
    and the largest difference of their denoised points; the levels' least and largest ratio in 1,000 steps of
    the linear schedule, which would be equal in a geometric one.
    """
    abar = linear_schedule(1000)[1:]
    sigmas = ((1 - abar) / abar).sqrt()
    body = nn.Sequential(nn.Flatten(), mlp(2, 32, 2, activation=nn.Tanh), nn.Unflatten(1, (2, 1, 1)))

    class Timeless(nn.Module):
        """The body, whatever the time."""

        def __init__(self):
            super().__init__()
            self.body = body

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return self.body(x)

    net, t = Timeless(), torch.arange(1, 1001)
    diffusion, scores = DDPM(net, (2, 1, 1)), NCSN(net, (2, 1, 1), sigmas=sigmas.flip(0), bounded=False)
    a, s = diffusion.scales(t)
    x = torch.randn(1000, 2, 1, 1)
    with torch.no_grad():
        eps = diffusion.answer(a * x, t)
        score_at_x_t = scores.score(x, sigmas.float()) / a             # lengths are a times as large there
        denoised = diffusion.predict.x_0(eps, a * x, a, s)
        difference = (denoised - scores.denoise(x, sigmas.float())).abs() / sigmas.view(-1, 1, 1, 1)
    ratios = sigmas[1:] / sigmas[:-1]
    measured = {"noise_gap": (eps + s * score_at_x_t).abs().max().item(),
                "denoised_gap": difference.max().item(),
                "least_ratio": ratios.min().item(), "largest_ratio": ratios.max().item()}
    return Finding(measured, max(measured["noise_gap"], measured["denoised_gap"]) < 1e-3,
                   "The prediction is the same; the papers' samplers and weights of the levels differ.")


def mixture_denoiser(abar: Tensor, centres: Tensor, deviation: float):
    """E[x_0 | x_t] of an equal mixture of round Gaussians."""
    def denoise(x: Tensor, t: Tensor) -> Tensor:
        a2 = abar[t[0]].to(x)
        a, width = a2.sqrt(), a2 * deviation**2 + 1 - a2
        weights = (-torch.cdist(x, a * centres).square() / (2 * width)).softmax(1)                 # (B, K)
        return weights @ centres + a * deviation**2 / width * (x - a * (weights @ centres))

    return denoise


@claim("C-261", answer="yes")
def diffusion_takes_many_calls() -> Finding:
    """It is expensive to draw from a diffusion model.

    Eight Gaussians on a circle and their exact denoiser: its calls for a sample with 1,000 ancestral steps
    and with DDIM in 50 and 5, and those of a GAN's generator; the Frechet distance of 2,000 draws of each
    sampler to as many data, and of other data to them, five seeds.
    """
    angle = torch.arange(8) * math.pi / 4
    centres, abar = torch.stack([angle.cos(), angle.sin()], 1), linear_schedule(1000)
    samplers = {1000: partial(ancestral, variance=posterior_variance), 50: ddim, 5: ddim}

    def data() -> Tensor:
        return centres[torch.randint(8, (2000,))] + 0.1 * torch.randn(2000, 2)

    def experiment(seed: int) -> Numbers:
        numbers, real = {}, data()
        for steps, sampler in samplers.items():
            exact, calls = mixture_denoiser(abar, centres, 0.1), []
            x = sampler(lambda x, t, exact=exact, calls=calls: calls.append(t) or exact(x, t),
                        torch.randn(2000, 2), abar, strided(1000, steps))
            numbers |= {f"calls_{steps}": float(len(calls)), f"distance_{steps}": fid(x, real).item()}
        generator = mlp(2, 8, 2)
        gan, calls = GAN(generator, mlp(2, 8, 1), latent_dim=2), Calls(generator)
        gan.sample(2000)
        return numbers | {"calls_gan": calls.count, "distance_of_data": fid(data(), real).item()}

    means, ends = over_seeds(experiment)
    return Finding(means, means["calls_1000"] / means["calls_gan"] >= 100,
                   "A twentieth of the calls does almost as well with DDIM.", ends)
