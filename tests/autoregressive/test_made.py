"""MADE on binary data: an exact density, sampled number by number."""

import itertools

import pytest
import torch

from deepcanon.autoregressive.made import BernoulliMADE
from deepcanon.nets.made import MADE


def test_probabilities_of_all_binary_vectors_sum_to_one():
    method = BernoulliMADE(MADE(8, (16, 16)), (2, 4))
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8))).unflatten(1, (2, 4))
    assert abs(method.log_prob(x).exp().sum() - 1) < 1e-5


def test_samples_come_as_often_as_their_probability_says():
    method = BernoulliMADE(MADE(3, (8,)), (3,))
    for p in method.parameters():
        torch.nn.init.normal_(p)
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)))
    n = 20_000
    drawn = (method.sample(n) @ torch.tensor([4.0, 2.0, 1.0])).long().bincount(minlength=8) / n
    p = method.log_prob(x).exp().detach()
    assert ((drawn - p).abs() < 4 * (p * (1 - p) / n).sqrt() + 1e-9).all()
    assert not method.sample(1).is_inference()                                  # may be trained on


def test_it_learns_that_numbers_repeat():
    """x_2 = x_1, x_4 = x_3: two bits of four are free, 2 log 2 nats."""
    method = BernoulliMADE(MADE(4, (32,)), (4,))
    optimizer = torch.optim.Adam(method.parameters(), 2e-2)
    for _ in range(150):
        x = torch.randint(2, (128, 2)).float().repeat_interleave(2, 1)
        optimizer.zero_grad()
        loss = method.loss((x,))
        loss.backward()
        optimizer.step()
    assert 1.35 < loss.item() < 1.45
    assert torch.equal(method.metrics((x,))["nll"], -method.log_prob(x))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected a net of 1 parameter for each of 4 numbers, got 2 for each of 4"):
        BernoulliMADE(MADE(4, num_params=2), (2, 2))
    method = BernoulliMADE(MADE(4), (2, 2))
    with pytest.raises(ValueError, match=r"expected binary data of shape \(2, 2\), got \(2, 2\) with values in \[0.5, 0.5\]"):
        method.log_prob(torch.full((3, 2, 2), 0.5))
    with pytest.raises(ValueError, match=r"expected binary data of shape \(2, 2\), got \(4,\)"):
        method.log_prob(torch.zeros(3, 4))
