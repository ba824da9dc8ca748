"""The prior over codes: on codes whose law is known, and as a sampler."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Distribution

from deepcanon.nets.gpt import GPT
from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.prior import CodePrior

K, P = 4, 8


class Given(nn.Module):
    """An autoencoder whose data are its codes."""

    def encode(self, x):
        return x

    def decode(self, codes) -> Distribution:
        return gaussian(nn.functional.one_hot(codes, K).double())

    def metrics(self, batch):
        return {}


def prior(layers: int = 1, width: int = 24) -> CodePrior:
    return CodePrior(Given(), GPT(K + 1, P, num_layers=layers, num_heads=2, embed_dim=width), shape=(P,), num_codes=K)


def markov(n: int) -> tuple[torch.Tensor, float]:
    """n chains of a Markov law that starts in equilibrium, and the law's nats a chain: H(v_1) + (P - 1) H(v_t | v_{t-1})."""
    step = torch.tensor([[0.8, 0.1, 0.05, 0.05], [0.1, 0.1, 0.7, 0.1], [0.05, 0.05, 0.1, 0.8], [0.3, 0.6, 0.05, 0.05]])
    still = torch.linalg.matrix_power(step, 100)[0]
    codes = [torch.multinomial(still, n, replacement=True)]
    for _ in range(P - 1):
        codes.append(torch.multinomial(step[codes[-1]], 1).squeeze(1))
    entropy = torch.special.entr(step).sum(1)
    return torch.stack(codes, 1), (torch.special.entr(still).sum() + (P - 1) * still @ entropy).item()


def mmd(x, y):
    """Maximum mean discrepancy of codes (biased), under the kernel exp(-number of differing positions)."""
    def kernel(a, b):
        return torch.exp(-(a[:, None] != b).sum(-1).double()).mean()

    return (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)).clamp(min=0).sqrt()


@pytest.mark.row("GEN-27")
def test_codes_of_a_markov_law_are_learned_to_their_entropy_and_drawn():
    method = prior()
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-2)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 400)
        optimizer.zero_grad()
        method.loss((markov(128)[0],)).backward()
        optimizer.step()
    test, entropy = markov(20_000)
    with torch.no_grad():
        assert -method.log_prob(test).mean().item() == pytest.approx(entropy, rel=0.02)
    learned, uniform, law = (mmd(codes, test[:1_000]) for codes in (method.draw(1_000), torch.randint(K, (1_000, P)), markov(1_000)[0]))
    assert learned < 1.3 * law < 2 * law < uniform                               # no further from the law than another draw of it


@pytest.mark.row("GEN-27")
def test_probabilities_of_all_codes_sum_to_one():
    method = CodePrior(Given(), GPT(4, 3, num_layers=2, num_heads=2, embed_dim=8).double(), shape=(3,), num_codes=3)
    every = torch.cartesian_prod(*[torch.arange(3)] * 3)
    with torch.no_grad():
        torch.testing.assert_close(method.log_prob(every).exp().sum().item(), 1.0, atol=1e-9, rtol=0)


@pytest.mark.row("GEN-27")
def test_draws_follow_the_probabilities():
    method = CodePrior(Given(), GPT(4, 2, num_layers=1, num_heads=2, embed_dim=8), shape=(2,), num_codes=3)
    nn.init.normal_(method.net.token.weight, std=1.0)
    every, n = torch.cartesian_prod(torch.arange(3), torch.arange(3)), 40_000
    with torch.no_grad():
        p = method.log_prob(every).exp()
    drawn = method.draw(n)
    share = (drawn[:, 0] * 3 + drawn[:, 1]).bincount(minlength=9) / n
    assert ((share - p).abs() < 4.5 * (p * (1 - p) / n).sqrt()).all()


@pytest.mark.row("GEN-27")
def test_a_code_sees_only_those_before_it():
    method, codes = prior(layers=2), torch.randint(K, (2, P))
    other = codes.clone()
    other[:, 5] = (other[:, 5] + 1) % K
    before = nn.functional.pad(codes[:, :-1], (1, 0), value=K)
    changed = nn.functional.pad(other[:, :-1], (1, 0), value=K)
    with torch.no_grad():
        same = (method.net(before) - method.net(changed)).abs().amax((0, 2)) < 1e-6
    assert same.tolist() == [True] * 6 + [False] * 2


@pytest.mark.row("GEN-27")
def test_the_autoencoder_is_frozen_and_the_loss_is_in_nats_a_position():
    method = prior()
    codes = markov(16)[0]
    torch.testing.assert_close(method.loss((codes,)), -method.log_prob(codes).mean() / P)
    with torch.no_grad():
        torch.testing.assert_close(method.metrics((codes,))["prior_bits"], -method.log_prob(codes) / math.log(2))
    linear = CodePrior(nn.Linear(2, 2), GPT(K + 1, P, num_layers=1, num_heads=2, embed_dim=8), shape=(P,), num_codes=K)
    assert not any(p.requires_grad for p in linear.autoencoder.parameters())


@pytest.mark.row("GEN-27")
def test_samples_are_the_pictures_of_drawn_codes_in_raster_order():
    method = CodePrior(Given(), GPT(K + 1, P, num_layers=1, num_heads=2, embed_dim=8), shape=(2, 4), num_codes=K)
    torch.manual_seed(1)
    codes = method.draw(3)
    torch.manual_seed(1)
    x = method.sample(3)
    assert x.shape == (3, 2, 4, K)
    assert torch.equal(x.argmax(-1)[:, 0], codes[:, :4])
    assert torch.equal(x.argmax(-1)[:, 1], codes[:, 4:])
    assert torch.equal(method.encode(codes.view(3, 2, 4)), codes)


@pytest.mark.row("GEN-27")
def test_the_probability_is_the_product_of_the_softmax_at_each_position():
    method, codes = prior(), torch.randint(K, (5, P))
    with torch.no_grad():
        p = method.net(torch.cat([torch.full((5, 1), K), codes[:, :-1]], 1))[..., :K].softmax(-1)
        terms = p.gather(2, codes[..., None]).log()
        torch.testing.assert_close(method.log_prob(codes), terms.sum((1, 2)))


def test_codes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="9 positions do not fit the network's context of 8"):
        CodePrior(Given(), GPT(K + 1, P, num_layers=1, num_heads=2, embed_dim=8), shape=(3, 3), num_codes=K)
    with pytest.raises(ValueError, match=r"expected codes of shape \(8,\) for each example, got \(5,\)"):
        prior().loss((torch.zeros(2, 5, dtype=torch.long),))
