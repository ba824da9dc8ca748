"""Entropy and divergences against scipy, closed forms and draws."""

import math

import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
import torch

from deepcanon.foundations.information import entropy, gaussian_entropy, gaussian_kl, jsd, kl


def dirichlet(*shape: int, outcomes: int = 6) -> torch.Tensor:
    return torch.distributions.Dirichlet(torch.full((outcomes,), 0.5, dtype=torch.float64)).sample(shape)


@pytest.mark.row("FND-49")
def test_entropy_equals_scipys_and_is_greatest_for_the_uniform_distribution():
    p = dirichlet(50)
    torch.testing.assert_close(entropy(p), torch.from_numpy(scipy.stats.entropy(p.numpy(), axis=1)))
    uniform = torch.full((6,), 1 / 6, dtype=torch.float64)
    assert entropy(uniform).item() == pytest.approx(math.log(6))
    assert (entropy(p) < math.log(6)).all()
    assert entropy(torch.eye(3)).tolist() == [0, 0, 0]                           # certain


@pytest.mark.row("FND-49")
def test_a_wider_gaussian_has_more_entropy():
    sigma = torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(gaussian_entropy(sigma), 0.5 * torch.log(2 * math.pi * math.e * sigma**2))
    torch.testing.assert_close(gaussian_entropy(sigma), torch.distributions.Normal(0.0, sigma).entropy())
    assert (gaussian_entropy(sigma).diff() > 0).all()
    draws = torch.distributions.Normal(torch.zeros_like(sigma), sigma)
    surprise = -draws.log_prob(draws.sample((20_000,)))                          # H = -E log p
    assert ((surprise.mean(0) - gaussian_entropy(sigma)).abs() < 4 * surprise.std(0) / 20_000**0.5).all()


@pytest.mark.row("FND-50")
def test_kl_equals_scipys():
    q, p = dirichlet(2, 50)
    torch.testing.assert_close(kl(q, p), torch.from_numpy(scipy.special.rel_entr(q.numpy(), p.numpy())).sum(1))
    torch.testing.assert_close(kl(q, p), -(q * p.log()).sum(1) - entropy(q))
    half, whole = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
    assert kl(whole, half).item() == pytest.approx(math.log(2))
    assert kl(half, whole).item() == math.inf


@pytest.mark.row("FND-50")
def test_kl_is_not_symmetric():
    q, p = dirichlet(2, 500)
    assert ((kl(q, p) - kl(p, q)).abs() > 1e-6).all()


@pytest.mark.row("FND-50")
@pytest.mark.parametrize("seed", range(5))
def test_gaussian_kl_equals_torchs_and_its_estimate_by_draws(seed):
    torch.manual_seed(seed)
    mean_q, mean_p = torch.randn(2, 4, dtype=torch.float64)
    sigma_q, sigma_p = 0.5 + torch.rand(2, 4, dtype=torch.float64)
    q, p = torch.distributions.Normal(mean_q, sigma_q), torch.distributions.Normal(mean_p, sigma_p)
    exact = gaussian_kl(mean_q, sigma_q, mean_p, sigma_p)
    torch.testing.assert_close(exact, torch.distributions.kl_divergence(q, p))
    x = q.sample((20_000,))
    ratio = q.log_prob(x) - p.log_prob(x)
    assert ((ratio.mean(0) - exact).abs() < 4 * ratio.std(0) / 20_000**0.5).all()


@pytest.mark.row("FND-51")
def test_jsd_equals_scipys_and_lies_between_zero_and_log_2():
    p, q = dirichlet(2, 50)
    theirs = [scipy.spatial.distance.jensenshannon(*pair) ** 2 for pair in zip(p.numpy(), q.numpy())]
    torch.testing.assert_close(jsd(p, q), torch.tensor(theirs, dtype=torch.float64))
    torch.testing.assert_close(jsd(p, q), jsd(q, p))
    assert ((jsd(p, q) > 0) & (jsd(p, q) < math.log(2))).all()
    assert jsd(p, p).abs().max() < 1e-12
    assert jsd(torch.tensor([0.4, 0.6, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.9, 0.1])).item() == pytest.approx(math.log(2))


@pytest.mark.row("FND-51")
def test_the_best_discriminators_value_is_twice_the_jsd_minus_log_4():
    data, fake = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]], dtype=torch.float64)
    best = data / (data + fake)
    value = (data * best.log() + fake * (1 - best).log()).sum().item()
    torch.testing.assert_close(best, torch.tensor([0.833333, 0.5, 0.25], dtype=torch.float64), atol=1e-6, rtol=0)
    assert jsd(data, fake).item() == pytest.approx(0.12510061, abs=1e-8)
    assert value == pytest.approx(-1.13609315, abs=1e-8)
    assert value == pytest.approx(2 * jsd(data, fake).item() - math.log(4))
    assert 2 * jsd(data, data).item() - math.log(4) == pytest.approx(-1.38629436, abs=1e-8)


@pytest.mark.parametrize(("p", "message"), [([0.5, 0.6], r"sums from 1\.1 to 1\.1"), ([1.5, -0.5], r"a least value of -0\.5")])
def test_refuses_what_is_no_distribution(p, message):
    good = torch.tensor([0.5, 0.5])
    for refuse in (entropy, lambda bad: kl(bad, good), lambda bad: kl(good, bad), lambda bad: jsd(bad, good)):
        with pytest.raises(ValueError, match=message):
            refuse(torch.tensor(p))


def test_refuses_other_outcomes_and_a_width_that_is_not_positive(annotations_unchecked):
    with pytest.raises(ValueError, match=r"one shape, got \(2,\) and \(3,\)"):
        kl(torch.ones(2) / 2, torch.ones(3) / 3)
    with pytest.raises(ValueError, match="positive standard deviations, got 0"):
        gaussian_entropy(torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="positive standard deviations, got -1"):
        gaussian_kl(torch.zeros(1), torch.ones(1), torch.zeros(1), -torch.ones(1))


def test_the_distance_of_almost_equal_distributions_is_a_number():
    p = torch.rand(2_000, 5)
    p = p / p.sum(1, keepdim=True)
    q = p * (1 + 1e-6 * torch.randn_like(p))
    q = q / q.sum(1, keepdim=True)
    assert jsd(p, q).sqrt().isfinite().all()
    assert jsd(p, q).sqrt().max() < 1e-3
