"""Accumulation gives the gradient of the whole batch, also where the parts count differently, and evaluation the mean over what counts."""

import copy

import pytest
import torch

from deepcanon.engine import SGD, Trainer, evaluate
from deepcanon.language.causal import LanguageModel
from deepcanon.nets.gpt import GPT
from tests.contracts.presets.language import Letters


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LanguageModel(GPT(4, 16, num_layers=1, num_heads=2, embed_dim=16), Letters())


@pytest.fixture
def padded():
    """Four sentences of which 16, 8, 14 and 2 next tokens count."""
    tokens, following = torch.randint(4, (2, 4, 16), generator=torch.Generator().manual_seed(1))
    for row, length in enumerate((16, 8, 14, 2)):
        following[row, length:] = -100
    return tokens, following


def gradient(model, batch, parts):
    trainer = Trainer(copy.deepcopy(model), [0], SGD(0.0), total=1, accumulate=parts)
    trainer.train_step(batch)
    trainer.log.row(1)
    return torch.cat([p.grad.flatten() for p in trainer.method.parameters()]), trainer.log.history[-1]["loss"]


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_that_count_differently_give_the_gradient_and_the_loss_of_the_whole(model, padded, parts):
    whole, loss = gradient(model, padded, 1)
    found, noted = gradient(model, padded, parts)
    torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-4)
    assert noted == pytest.approx(loss, rel=1e-5)


def test_parts_in_which_nothing_counts_add_nothing(model, padded):
    tokens, following = padded[0], padded[1].clone()
    following[2:] = -100
    whole, _ = gradient(model, (tokens, following), 1)
    found, _ = gradient(model, (tokens, following), 2)
    torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-4)


def test_an_evaluation_is_the_mean_over_tokens_not_over_sentences(model, padded):
    tokens, following = padded
    nll = -model.log_prob(tokens, following)
    measured = evaluate(model, [(tokens[:2], following[:2]), (tokens[2:], following[2:])])
    assert measured["nll"] == pytest.approx((nll.sum() / (following >= 0).sum()).item(), rel=1e-5)
    assert "weight" not in measured
