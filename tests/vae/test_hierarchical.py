"""A chain of latents: the identity with finitely many values, and the bound with Gaussians."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal, kl_divergence

from deepcanon.nets.perceptron import mlp
from deepcanon.vae.evidence import elbo, log_evidence, posterior
from deepcanon.vae.hierarchical import HierarchicalVAE, log_normal
from deepcanon.vae.likelihoods import gaussian


@pytest.mark.row("GEN-24")
def test_with_discrete_latents_the_two_level_bound_is_the_bound_of_the_pair():
    top, middle, data = (torch.randn(*shape, dtype=torch.float64).log_softmax(-1) for shape in ((3,), (3, 4), (4, 5)))
    q1, q2 = (torch.randn(*shape, dtype=torch.float64).log_softmax(-1) for shape in ((5, 4), (4, 3)))
    log_joint = data.T[:, :, None] + middle.T[None] + top                        # log p(x, z1, z2), (5, 4, 3)
    log_q = q1[:, :, None] + q2                                                  # log q(z1|x) q(z2|z1)
    q = log_q.exp()
    energy, rate_1 = (q * data.T[:, :, None]).sum((1, 2)), (q * (q1[:, :, None] - middle.T[None])).sum((1, 2))
    rate_2 = (q1.exp() * (q2.exp() * (q2 - top)).sum(1)).sum(1)                  # KL(q(z2|z1) || p(z2))
    flat_joint, flat_q = log_joint.flatten(1), log_q.flatten(1)
    torch.testing.assert_close(energy - rate_1 - rate_2, elbo(flat_joint, flat_q), atol=1e-12, rtol=0)
    gap = (flat_q.exp() * (flat_q - posterior(flat_joint))).sum(1)
    torch.testing.assert_close(log_evidence(flat_joint), energy - rate_1 - rate_2 + gap, atol=1e-12, rtol=0)


@pytest.fixture
def chain():
    """z2 ~ N(0, 1), z1 = 2 z2 + e1, x = z1 + e0, with unit noise: p(x) = N(0, 6); the exact posteriors."""
    def net(weight, bias_log_var):
        layer = nn.Linear(1, 2).double()
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[weight], [0.0]]))
            layer.bias.copy_(torch.tensor([0.0, bias_log_var]))
        return layer

    inference = [net(5 / 6, math.log(5 / 6)), net(2 / 5, math.log(1 / 5))]       # of z1 given x, of z2 given z1
    return HierarchicalVAE(inference, [nn.Identity(), net(2.0, 0.0)], latent_dims=(1, 1), likelihood=gaussian)


@pytest.mark.row("GEN-24")
def test_at_the_exact_posterior_the_bound_is_the_likelihood(chain):
    x = torch.tensor([[-1.0], [0.3], [4.0]], dtype=torch.float64)
    draws = chain.elbo(x.repeat(20_000, 1)).view(-1, 3)
    exact = Normal(0, math.sqrt(6)).log_prob(x).squeeze(1)
    assert ((draws.mean(0) - exact).abs() < 4 * draws.std(0) / math.sqrt(20_000)).all()
    with torch.no_grad():
        chain.inference[1].bias += 0.5
    assert (chain.elbo(x.repeat(5_000, 1)).view(-1, 3).mean(0) < exact - 0.05).all()


@pytest.mark.row("GEN-24")
def test_the_bound_is_the_ratio_of_the_joint_densities_but_for_the_top_divergence():
    """With torch: log p(x, z_1, z_2|z_3) - log q(z_1, z_2|x) - KL(q(z_3|z_2) || p(z_3)) on three levels."""
    dims = (3, 2, 4)
    inference = [mlp(i, 2 * o).double() for i, o in zip((5, 3, 2), dims, strict=True)]
    generation = [mlp(i, o).double() for i, o in zip(dims, (5, 6, 4), strict=True)]
    vae, x = HierarchicalVAE(inference, generation, latent_dims=dims), torch.rand(6, 5, dtype=torch.float64)
    torch.manual_seed(1)
    bound = vae.elbo(x)
    torch.manual_seed(1)
    loss = vae.loss((x,))
    torch.testing.assert_close(loss, -bound.mean())
    torch.manual_seed(1)
    torch.testing.assert_close(vae.metrics((x,))["elbo"], bound)

    def normal(parameters):
        mu, log_var = parameters.tensor_split(2, 1)
        return Independent(Normal(mu, log_var.exp().sqrt()), 1)

    torch.manual_seed(1)
    z, q, below = [], [], x
    for net in inference:
        q.append(normal(net(below)))
        below = q[-1].mean + q[-1].stddev * torch.randn_like(q[-1].mean)
        z.append(below)
    p_x = Independent(Bernoulli(logits=generation[0](z[0]), validate_args=False), 1)
    prior = [normal(generation[1](z[1])), normal(generation[2](z[2]))]
    ratio = sum(
        p.log_prob(here) - posterior.log_prob(here) for p, posterior, here in zip(prior, q, z, strict=False)
    )
    top = kl_divergence(q[2], Independent(Normal(torch.zeros(6, 4).double(), 1.0), 1))
    torch.testing.assert_close(bound, p_x.log_prob(x) + ratio - top)


@pytest.mark.row("GEN-24")
def test_samples_come_from_the_top_down(chain):
    x = chain.sample(20_000)
    assert x.mean().abs() < 4 * math.sqrt(6 / 20_000)
    assert x.var().item() == pytest.approx(6, rel=0.05)


@pytest.mark.row("GEN-24")
def test_the_density_is_torchs():
    z, mu, log_var = torch.randn(3, 7, 4, dtype=torch.float64)
    expected = torch.stack([MultivariateNormal(m, v.exp().diag()).log_prob(a) for a, m, v in zip(z, mu, log_var, strict=True)])
    torch.testing.assert_close(log_normal(z, mu, log_var), expected)


def test_nets_and_levels_of_different_number_are_refused():
    with pytest.raises(ValueError, match="as many nets as levels, got 1, 1 and 2"):
        HierarchicalVAE([mlp(4, 2)], [mlp(1, 4)], latent_dims=(1, 1))
