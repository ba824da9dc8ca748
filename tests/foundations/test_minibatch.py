"""Mini-batches and the mean of their gradients; what noise is good for is claim C-001."""


import pytest
import torch

from deepcanon.foundations.minibatch import epoch, gradient

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
def test_an_epoch_has_every_example_once_in_an_order_of_its_seed():
    parts = list(epoch(10, 4, torch.Generator().manual_seed(3)))
    assert [len(p) for p in parts] == [4, 4, 2]
    assert torch.cat(parts).sort().values.tolist() == list(range(10))
    assert torch.equal(torch.cat(parts), torch.cat(list(epoch(10, 4, torch.Generator().manual_seed(3)))))


@pytest.mark.parametrize("batch", [0, 11])
def test_refuses_a_batch_that_is_empty_or_larger_than_the_data(batch):
    with pytest.raises(ValueError, match=f"a batch of 1 to 10 examples, got {batch}"):
        next(epoch(10, batch))
