"""Mini-batches and the mean of their gradients; what noise is good for is claim C-001."""

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
def test_the_gradient_of_each_example_is_its_residual_times_its_input(data, theta):
    x, y = data
    each = ((x @ theta).sigmoid() - y).unsqueeze(1) * x
    torch.testing.assert_close(example_gradients(nll, theta, x, y), each)
    torch.testing.assert_close(gradient(nll, theta, x[:5], y[:5]), each[:5].mean(0))


@pytest.mark.row("FND-18")
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_of_examples_drawn_with_replacement_the_variance_falls_as_one_over_the_batch(data, theta, batch):
    x, y = (part[:6] for part in data)
    each = example_gradients(nll, theta, x, y)
    drawn = [list(rows) for rows in itertools.product(range(6), repeat=batch)]       # every batch there is
    batches = torch.stack([gradient(nll, theta, x[rows], y[rows]) for rows in drawn])
    torch.testing.assert_close(batches.mean(0), each.mean(0), atol=1e-12, rtol=0)
    torch.testing.assert_close(batches.var(0, correction=0), each.var(0, correction=0) / batch)


@pytest.mark.row("FND-18")
def test_an_epoch_has_every_example_once_in_an_order_of_its_seed():
    parts = list(epoch(10, 4, torch.Generator().manual_seed(3)))
    assert [len(p) for p in parts] == [4, 4, 2]
    assert torch.cat(parts).sort().values.tolist() == list(range(10))
    assert torch.equal(torch.cat(parts), torch.cat(list(epoch(10, 4, torch.Generator().manual_seed(3)))))
    assert not torch.equal(torch.cat(parts), torch.cat(list(epoch(10, 4, torch.Generator().manual_seed(4)))))
    assert [len(p) for p in epoch(10, 10)] == [10]


@pytest.mark.parametrize("batch", [0, 11])
def test_refuses_a_batch_that_is_empty_or_larger_than_the_data(batch):
    with pytest.raises(ValueError, match=f"a batch of 1 to 10 examples, got {batch}"):
        next(epoch(10, batch))
