"""Draws by noise and argmax, their relaxation, and a VAE of categorical codes."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import chisquare, kstest
from torch import nn
from torch.distributions import Categorical, kl_divergence

from deepcanon.nets.perceptron import mlp
from deepcanon.vae.gumbel_vae import GumbelVAE, gumbel, gumbel_max, gumbel_softmax, kl_uniform
from deepcanon.vae.schedule import Scheduled, cooling

LOGITS = torch.tensor([0.5, -1.0, 2.0, 0.0])


@pytest.mark.row("GEN-25")
def test_the_noise_has_gumbels_density():
    draws = gumbel(torch.zeros(20_000, dtype=torch.float64))
    assert kstest(draws.numpy(), lambda x: torch.exp(-torch.exp(-torch.as_tensor(x))).numpy()).pvalue > 1e-3


@pytest.mark.row("GEN-25")
def test_the_largest_noisy_logit_is_a_draw_of_the_softmax():
    counts = torch.bincount(gumbel_max(LOGITS.expand(20_000, 4)), minlength=4)
    assert chisquare(counts.numpy(), 20_000 * LOGITS.double().softmax(0).numpy()).pvalue > 1e-3


@pytest.mark.row("GEN-25")
def test_a_cold_draw_is_one_hot():
    z = gumbel_softmax(LOGITS.expand(1_000, 4), 1e-4)
    assert (z.max(1).values > 0.999).float().mean() > 0.99
    torch.testing.assert_close(z.sum(1), torch.ones(1_000))


@pytest.mark.row("GEN-25")
@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_relaxed_draws_have_the_statistics_of_torchs(temperature):
    ours, theirs = (f(LOGITS.double().expand(20_000, 4), temperature) for f in (gumbel_softmax, lambda x, t: F.gumbel_softmax(x, t)))
    for power in (1, 2):
        a, b = ours**power, theirs**power
        assert ((a.mean(0) - b.mean(0)).abs() < 4 * ((a.var(0) + b.var(0)) / 20_000).sqrt()).all()


@pytest.mark.row("GEN-25")
def test_divergence_from_the_uniform_law_is_log_k_less_the_entropy():
    logits = torch.randn(5, 7, dtype=torch.float64)
    q = Categorical(logits=logits)
    torch.testing.assert_close(kl_uniform(logits), math.log(7) - q.entropy())
    torch.testing.assert_close(kl_uniform(logits), kl_divergence(q, Categorical(logits=torch.zeros_like(logits))))


@pytest.mark.row("GEN-25")
def test_the_bound_is_that_of_the_enumerated_codes():
    vae = GumbelVAE(mlp(6, 8, 6), mlp(6, 8, 6), num_codes=2, num_values=3).double()
    x = torch.rand(1, 6, dtype=torch.float64)
    log_q = vae.posterior(x).log_softmax(-1)[0]                                  # (2, 3)
    codes = torch.tensor(list(itertools.product(range(3), repeat=2)))            # all nine
    log_q = log_q[0, codes[:, 0]] + log_q[1, codes[:, 1]]
    log_joint = vae.decode(codes).log_prob(x.expand(9, 6)) - 2 * math.log(3)
    exact = (log_q.exp() * (log_joint - log_q)).sum()
    draws = vae.elbo(x.expand(20_000, 6))
    assert (draws.mean() - exact).abs() < 4 * draws.std() / math.sqrt(20_000)
    assert exact < log_joint.logsumexp(0)


def test_verbs_and_a_temperature_that_cools():
    vae = GumbelVAE(mlp(6, 8, 12), mlp(12, 8, 6), num_codes=4, num_values=3, temperature=Scheduled(cooling(1.0, 0.5, 10)))
    x = torch.rand(5, 6)
    for _ in range(10):
        vae.loss((x,))
    assert vae.temperature.eval()().item() == pytest.approx(0.5 + 0.5 / math.e)
    assert vae.encode(x).shape == (5, 4)
    assert vae.reconstruct(x).shape == vae.sample(5).shape == (5, 6)


def test_an_encoder_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"of shape \(5, 12\), got \(5, 6\)"):
        GumbelVAE(mlp(6, 6), mlp(12, 6), num_codes=4, num_values=3).loss((torch.rand(5, 6),))


@pytest.mark.row("GEN-25")
def test_the_loss_is_the_cross_entropy_of_a_relaxed_draw_and_the_divergence_from_the_uniform_law():
    vae = GumbelVAE(mlp(6, 8, 12), mlp(12, 8, 6), num_codes=4, num_values=3, temperature=0.7).double()
    x = torch.rand(5, 6, dtype=torch.float64)
    torch.manual_seed(1)
    terms = vae.loss((x,))
    torch.manual_seed(1)
    logits = vae.encoder(x).view(5, 4, 3)
    z = F.softmax((logits - torch.empty_like(logits).exponential_().log()) / 0.7, -1)
    reconstruction = F.binary_cross_entropy_with_logits(vae.decoder(z.view(5, 12)), x, reduction="sum") / 5
    kl = (math.log(3) - Categorical(logits=logits).entropy()).sum(1).mean()
    torch.testing.assert_close(
        terms, {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}
    )


class Shown(nn.Module):
    """A decoder that shows the one-hot code: logits far above or below 0."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(80.0))

    def forward(self, z):
        return self.scale * (z - 0.5)


@pytest.mark.row("GEN-25")
def test_samples_are_decoded_codes_all_of_which_are_equally_likely():
    vae = GumbelVAE(nn.Identity(), Shown(), num_codes=2, num_values=3)
    codes = vae.sample(9_000).view(-1, 2, 3)
    assert (codes.sum(2) == 1).all()
    counts = (3 * codes[:, 0].argmax(1) + codes[:, 1].argmax(1)).bincount(minlength=9)
    assert chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.row("GEN-25")
def test_the_code_is_the_likeliest_one_and_its_picture_the_mean():
    vae = GumbelVAE(nn.Identity(), Shown(), num_codes=2, num_values=3)
    x = torch.tensor([[0.1, 0.9, 0.2, 0.6, 0.1, 0.5]])
    assert vae.encode(x).tolist() == [[1, 0]]
    torch.testing.assert_close(vae.reconstruct(x), torch.tensor([[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]]))
