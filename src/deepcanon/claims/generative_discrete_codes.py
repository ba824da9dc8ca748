"""Claims about discrete codes: vector quantization, the Gumbel trick, and the prior of the codes."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, Numbers, above, below, claim, over_seeds
from deepcanon.claims.generative_problems import points, train
from deepcanon.layers.quantize import VectorQuantizer
from deepcanon.metrics.mean_discrepancy import gaussian as kernel, mmd, mmd_bound
from deepcanon.nets.gpt import GPT
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.gumbel_vae import GumbelVAE, gumbel_max
from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.prior import CodePrior
from deepcanon.vae.vq_vae import VQVAE

CODES = 8


def level_rows(n: int) -> Tensor:
    """Rows of three numbers near one of four levels, the same for all three, (n, 1, 3)."""
    return torch.randint(4, (n, 1, 1)) / 1.5 - 1 + 0.05 * torch.randn(n, 1, 3)


@claim("C-155", answer="no")
def codes_need_a_prior_of_their_own() -> Finding:
    """After a VQ-VAE is trained, new data are drawn by taking its codes uniformly.

    Rows of three numbers near one of four levels, a code of 8 values for each number, five seeds: the maximum
    mean discrepancy to 1,000 new rows of what is decoded from uniform codes and from those of an
    autoregressive prior that was learned afterwards; and the level that equal distributions exceed in one of
    twenty cases.
    """
    def experiment(seed: int) -> Numbers:
        x, new = level_rows(2000), level_rows(1000).flatten(1)
        quantizer = VectorQuantizer(CODES, 2, restart=0.2)
        vq = VQVAE(nn.Conv1d(1, 2, 1), nn.Conv1d(2, 1, 1), quantizer, likelihood=partial(gaussian, sigma=0.1))
        train(vq, x, steps=300, lr=0.02, seed=seed)
        net = GPT(CODES + 1, 3, num_layers=1, num_heads=2, embed_dim=16)
        prior = train(CodePrior(vq, net, shape=(3,), num_codes=CODES), x, steps=150, lr=0.02, seed=seed)
        uniform = vq.decode(torch.randint(CODES, (1000, 3))).mean.detach()
        return {f"mmd_{name}": mmd(rows.flatten(1), new, kernel(0.5)).item()
                for name, rows in (("uniform", uniform), ("learned", prior.sample(1000)),
                                   ("reconstructed", vq.reconstruct(level_rows(1000))))}

    means, ends = over_seeds(experiment)
    level = mmd_bound(1000)
    return Finding(means | {"level": level}, below(ends["mmd_uniform"], level),
                   "Which codes go together is learned in a second stage.", ends)


@claim("C-156", answer="yes")
def dictionaries_scale_to_many_values() -> Finding:
    """For latents of many values, some 10^3, a dictionary of vectors is better than the Gumbel-softmax trick.

    Points of two spirals, one code of 8 and of 1,000 values, 200 steps of a VQ-VAE and of a relaxed VAE with
    nets of the same widths, five seeds: squared error of reconstruction in parts of the variance of the data,
    and the error of the relaxation less that of the dictionary at 1,000 values.
    """
    def experiment(seed: int) -> Numbers:
        x, test, numbers = points("spirals", 2000), points("spirals", 1000), {}
        likelihood = partial(gaussian, sigma=0.1)
        for values in (8, 1000):
            encoder = mlp(2, 32, 2).append(nn.Unflatten(1, (2, 1)))
            decoder = mlp(2, 32, 2).insert(0, nn.Flatten())
            dictionary = VQVAE(encoder, decoder, VectorQuantizer(values, 2), likelihood=likelihood)
            relaxed = GumbelVAE(mlp(2, 32, values), mlp(values, 32, 2), num_codes=1, num_values=values,
                                likelihood=likelihood)
            for name, method in (("dictionary", dictionary), ("gumbel", relaxed)):
                train(method, x, steps=200, batch=64, seed=seed)
                error = (method.reconstruct(test) - test).square().mean() / test.var(0).mean()
                numbers[f"{name}_error_at_{values}"] = error.item()
        return numbers | {"gain": numbers["gumbel_error_at_1000"] - numbers["dictionary_error_at_1000"]}

    means, ends = over_seeds(experiment)
    return Finding(means, above(ends["gain"], 0.0), intervals=ends)


@claim("C-157", answer="yes")
def commitment_sets_two_rates() -> Finding:
    """The weight beta of a VQ-VAE lets encodings and codes learn at different rates.

    100 vectors and their codes, beta 0.25, 1 and 4: the ratio of the gradient in the vectors to that in the
    codes, from the quantization loss of the library's quantizer.
    """
    measured = {}
    for beta in (0.25, 1.0, 4.0):
        quantizer = VectorQuantizer(100, 3, beta=beta).double()
        z = (quantizer.codebook.detach() + 0.01 * torch.randn(100, 3).double()).requires_grad_()
        quantized = quantizer(z)
        to_z, to_codes = torch.autograd.grad(quantized.loss.sum(), (z, quantizer.codebook))
        measured[f"ratio_at_{beta:g}"] = (to_z.norm() / to_codes.norm()).item()
    as_weighted = all(abs(measured[f"ratio_at_{beta:g}"] - beta) < 1e-6 for beta in (0.25, 1.0, 4.0))
    return Finding(measured, as_weighted)


@claim("C-158", answer="yes")
def the_largest_with_gumbel_noise_is_a_draw() -> Finding:
    """To add Gumbel noise to logits and take the largest is to draw from their softmax.

    Five logits, 50,000 draws, five seeds: the chi-square statistic of the counts, 4 on average if the
    statement holds, and that with normal noise of the same variance; for two logits the probability of the
    first by an integral, and its distance from the softmax.
    """
    logits = torch.tensor([1.0, 0.0, -1.0, 0.5, 2.0], dtype=torch.float64)
    expected = 50_000 * logits.softmax(0)

    def chi_square(draws: Tensor) -> float:
        return ((torch.bincount(draws, minlength=5) - expected).square() / expected).sum().item()

    def experiment(seed: int) -> Numbers:
        rows = logits.expand(50_000, 5)
        normal = rows + math.pi / math.sqrt(6) * torch.randn(50_000, 5)
        return {"chi_square": chi_square(gumbel_max(rows)), "chi_square_normal": chi_square(normal.argmax(1))}

    means, ends = over_seeds(experiment)
    g = torch.linspace(-6, 60, 200_001, dtype=torch.float64)           # the noise of the first
    first = torch.trapezoid((-g - (-g).exp() - (-g - logits[0] + logits[1]).exp()).exp(), g).item()
    measured = means | {"integral": first, "integral_gap": abs(first - logits[:2].softmax(0)[0].item())}
    draws = 5 * means["chi_square"] < 45.3                             # exceeded once in a thousand times
    return Finding(measured, draws and measured["integral_gap"] < 1e-9, intervals=ends)
