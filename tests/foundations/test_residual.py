"""Residual connections: the identity in the Jacobian, and what it does for gradients and training at depth 50."""

import pytest
import torch
from torch import nn

from deepcanon.data import images
from deepcanon.engine import SGD, fit, options
from deepcanon.nets.perceptron import mlp
from deepcanon.nets.resnet import Residual
from deepcanon.vision.classify import Classifier


def jacobian(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """d net(x) / dx."""
    result = torch.autograd.functional.jacobian(net, x)
    assert isinstance(result, torch.Tensor)
    return result


def tower(skip: bool, blocks: int = 50, width: int = 16) -> nn.Sequential:
    """Blocks F(x) + x, or F(x) alone."""
    branches = (nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(blocks))
    return nn.Sequential(*(Residual(branch) if skip else branch for branch in branches))


@pytest.mark.row("FND-53")
def test_the_jacobian_is_that_of_the_branch_plus_the_identity():
    branch, x = mlp(6, 16, 6, activation=nn.Tanh).double(), torch.randn(6, dtype=torch.float64)
    torch.testing.assert_close(jacobian(Residual(branch), x) - jacobian(branch, x), torch.eye(6, dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.row("FND-53")
@pytest.mark.parametrize("seed", range(5))
def test_gradients_reach_the_first_of_fifty_blocks(seed):
    norms = {}
    for skip in (True, False):
        torch.manual_seed(seed)
        net = tower(skip)
        net(torch.randn(8, 16)).square().mean().backward()
        norms[skip] = next(net.parameters()).grad.norm()
    assert norms[True] > 1_000 * norms[False]


@pytest.mark.row("FND-53")
@pytest.mark.parametrize("seed", range(5))
def test_fifty_blocks_train_with_skips_and_not_without(seed):
    """Claim: residual connections keep dH/dx near I and allow deeper nets. True."""
    losses = {}
    for skip in (True, False):
        torch.manual_seed(seed)
        method = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 16), tower(skip), nn.Linear(16, 10)))
        with options(quiet=True):
            losses[skip] = fit(method, images("digits", batch=64, seed=seed), SGD(0.02), steps=60, seed=seed, clip_norm=1.0).history[-1]["loss"]
    assert losses[True] < losses[False] - 0.5
    assert losses[False] > 2.2                                                   # log 10 = 2.30: nothing learned
