"""Mini-batch gradients: the mean they share with the full gradient, the variance they do not."""

import itertools

import pytest
import torch

from deepcanon.foundations.minibatch import epoch, example_gradients, gradient

N, D = 24, 3


def nll(theta, x, y):
    """Of logistic regression, one example."""
    return torch.nn.functional.softplus(x @ theta) - y * (x @ theta)


@pytest.fixture
def data():
    torch.manual_seed(0)
    return torch.randn(N, D, dtype=torch.float64), torch.randint(2, (N,)).double()


@pytest.fixture
def theta():
    return torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)


@pytest.mark.row("FND-18")
def test_the_mean_of_an_epoch_is_the_full_gradient(data, theta):
    x, y = data
    full = gradient(nll, theta, x, y)
    leaf = theta.clone().requires_grad_()
    torch.stack([nll(leaf, *pair) for pair in zip(x, y)]).mean().backward()
    torch.testing.assert_close(full, leaf.grad)
    for batch in (1, 4, N):
        parts = [gradient(nll, theta, x[i], y[i]) for i in epoch(N, batch)]
        assert len(parts) == N // batch
        torch.testing.assert_close(torch.stack(parts).mean(0), full, atol=1e-7, rtol=0)


@pytest.mark.row("FND-18")
def test_all_batches_together_have_the_full_gradient_as_mean_and_a_variance_of_one_over_b(data, theta):
    full, each = gradient(nll, theta, *data), example_gradients(nll, theta, *data)
    variance = each.var(0, correction=0)
    for batch in (1, 2, 3):
        choices = torch.tensor(list(itertools.product(range(N), repeat=batch)))  # drawn with replacement
        estimates = each[choices].mean(1)
        torch.testing.assert_close(estimates.mean(0), full, atol=1e-8, rtol=0)
        torch.testing.assert_close(estimates.var(0, correction=0), variance / batch, atol=1e-8, rtol=0)
    assert (variance > 0).all()


@pytest.mark.row("FND-18")
def test_an_epoch_has_every_example_once_in_an_order_of_its_seed():
    parts = list(epoch(10, 4, torch.Generator().manual_seed(3)))
    assert [len(p) for p in parts] == [4, 4, 2]
    assert torch.cat(parts).sort().values.tolist() == list(range(10))
    assert torch.equal(torch.cat(parts), torch.cat(list(epoch(10, 4, torch.Generator().manual_seed(3)))))


@pytest.mark.row("FND-18")
def test_a_step_on_one_example_can_raise_the_loss_of_all(data, theta):
    def loss(theta):
        return torch.stack([nll(theta, *pair) for pair in zip(*data)]).mean()

    best = theta
    for _ in range(500):
        best = best - gradient(nll, best, *data)
    after = torch.stack([loss(best - 0.1 * g) for g in example_gradients(nll, best, *data)])
    assert (after > loss(best)).all()                                            # at the minimum every such step does
    assert loss(theta - 0.1 * gradient(nll, theta, *data)) < loss(theta)


@pytest.mark.row("FND-18")
@pytest.mark.parametrize("seed", range(5))
def test_noise_leaves_a_saddle_at_which_the_full_gradient_stays(seed):
    """L_i = x^2 - y^2 + y^4 / 4 + e_i'(x, y), the e_i of mean zero; the minima are at y = +-sqrt(2)."""
    def loss(point, noise):
        x, y = point
        return x**2 - y**2 + y**4 / 4 + noise @ point

    torch.manual_seed(seed)
    noise = torch.randint(-4, 5, (64, 2)).double() / 4
    noise = torch.cat([noise, -noise])                                           # in quarters, so that their mean is exactly zero
    still = noisy = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for batch in itertools.islice(itertools.chain.from_iterable(epoch(128, 1) for _ in itertools.count()), 200):
        still = still - 0.05 * gradient(loss, still, noise)
        noisy = noisy - 0.05 * gradient(loss, noisy, noise[batch])
    assert still[1] == 0
    assert noisy[1].abs().item() == pytest.approx(2**0.5, abs=0.5)


@pytest.mark.row("FND-18")
def test_small_batches_reach_a_loss_with_fewer_example_gradients():
    x = torch.randn(10_000, D, dtype=torch.float64)
    y = torch.bernoulli((x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)).sigmoid())
    level, used = 0.46, {}
    for batch in (100, 10_000):
        theta, indices = torch.zeros(D, dtype=torch.float64), itertools.chain.from_iterable(epoch(10_000, batch) for _ in itertools.count())
        used[batch] = 0
        while torch.nn.functional.binary_cross_entropy_with_logits(x @ theta, y) > level:
            i = next(indices)
            theta, used[batch] = theta - gradient(nll, theta, x[i], y[i]), used[batch] + batch
    assert used[100] < used[10_000] / 10


@pytest.mark.parametrize("batch", [0, 11])
def test_refuses_a_batch_that_is_empty_or_larger_than_the_data(batch):
    with pytest.raises(ValueError, match=f"a batch of 1 to 10 examples, got {batch}"):
        next(epoch(10, batch))
