"""Muon against the singular value decomposition, torch's own form and Adam, and through the engine."""

import pytest
import torch
from torch import nn

from deepcanon.data import arrays
from deepcanon.engine import Muon, cosine, fit
from deepcanon.engine.muon import Muon as Optimizer, orthogonal
from deepcanon.vision.classify import Classifier


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 12), nn.ReLU(), nn.Linear(12, 3))


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (9, 4)])
def test_it_is_the_polynomial_of_the_singular_values_and_near_the_orthogonal_factor(shape):
    u = torch.randn(3, *shape, dtype=torch.float64)
    U, S, Vh = torch.linalg.svd(u, full_matrices=False)
    s = S / S.norm(dim=1, keepdim=True)
    for _ in range(5):
        s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
    turned = orthogonal(u)
    torch.testing.assert_close(turned, U * s[:, None] @ Vh, atol=1e-6, rtol=0)
    values = torch.linalg.svdvals(turned)
    assert values.min() > 0.6
    assert values.max() < 1.25


@pytest.mark.parametrize("shape", [(16, 16), (8, 24), (24, 8)])
def test_steps_are_torchs_but_for_its_bfloat16(shape):
    """torch's own takes matrices alone and orthogonalises in bfloat16, of which a number has eight bits."""
    torch.manual_seed(0)
    a = nn.Parameter(torch.randn(shape))
    b = nn.Parameter(a.detach().clone())
    ours = Optimizer([a], lr=0.01, weight_decay=0.1)
    theirs = torch.optim.Muon([b], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    start = a.detach().clone()
    for _ in range(10):
        a.grad = torch.randn(shape)
        b.grad = a.grad.clone()
        ours.step()
        theirs.step()
    assert (a - b).norm() < 0.02 * (a - start).norm()


def test_a_kernel_is_the_matrix_of_its_outputs_by_all_else():
    kernel, matrix = nn.Parameter(torch.randn(6, 3, 3, 3)), nn.Parameter(torch.empty(6, 27))
    matrix.data = kernel.data.flatten(1).clone()
    kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)
    kernel.grad = torch.randn_like(kernel)
    matrix.grad = kernel.grad.flatten(1).clone()
    for p in (kernel, matrix):
        Optimizer([p]).step()
    torch.testing.assert_close(kernel.flatten(1), matrix)


def test_matrices_of_one_shape_are_turned_together_as_each_alone():
    together = [nn.Parameter(torch.randn(4, 6)) for _ in range(3)]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    for p, q in zip(together, alone):
        p.grad = torch.randn(4, 6)
        q.grad = p.grad.clone()
    Optimizer(together).step()
    for q in alone:
        Optimizer([q]).step()
    for p, q in zip(together, alone):
        torch.testing.assert_close(p, q)


def test_vectors_take_adams_steps():
    a = nn.Parameter(torch.randn(7, dtype=torch.float64))
    b = nn.Parameter(a.detach().clone())
    ours, theirs = Optimizer([a], lr=0.01), torch.optim.Adam([b], lr=0.01, betas=(0.9, 0.99))
    for _ in range(50):
        for p, optimizer in ((a, ours), (b, theirs)):
            p.grad = (p - 1).detach() ** 3
            optimizer.step()
    torch.testing.assert_close(a, b)


def test_it_trains_through_the_engine_and_decays_matrices_alone():
    x, y = torch.rand(64, 1, 4, 4), torch.arange(64) % 3
    x[:, 0, 0, :3] += torch.nn.functional.one_hot(y, 3)
    method = Classifier(net())
    fit(method, arrays(x, y, batch=16, seed=0), Muon(0.02, schedule=cosine()), steps=100)
    assert method.metrics((x, y))["accuracy"].mean() == 1
    groups = Muon(0.02, weight_decay=0.01)(method.parameters()).param_groups
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]
    assert [{p.ndim > 1 for p in group["params"]} for group in groups] == [{True}, {False}]


def test_a_momentum_that_never_forgets_is_refused():
    with pytest.raises(ValueError, match=r"expected a momentum in \[0, 1\), got 1.0"):
        Muon(momentum=1.0)(net().parameters())
