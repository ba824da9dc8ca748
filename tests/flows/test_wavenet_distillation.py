"""Distillation of densities, on Gaussians whose divergence is known."""

import math

import pytest
import torch
from torch import nn

from deepcanon.flows.flow import Chain, Flow, Reverse
from deepcanon.flows.iaf_flow import InverseAutoregressive
from deepcanon.flows.maf_flow import MaskedAutoregressive
from deepcanon.flows.wavenet_distillation import Distillation


class Affine(nn.Module):
    """m linear in the numbers before, alpha constant: an autoregressive flow of this net is a Gaussian."""

    def __init__(self, dim: int, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.slope = nn.Parameter(0.5 * torch.randn(dim, dim, generator=generator, dtype=torch.float64))
        self.mean = nn.Parameter(torch.randn(dim, generator=generator, dtype=torch.float64))
        self.alpha = nn.Parameter(0.3 * torch.randn(dim, generator=generator, dtype=torch.float64))
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        return torch.stack([x @ self.slope.tril(-1).T + self.mean, self.alpha.expand_as(x)], 1)

    @torch.no_grad()
    def gaussian(self, *, inverse: bool) -> torch.distributions.MultivariateNormal:
        """MAF: z = e^-a x - A x - b; IAF: x = e^-a z - A z - b."""
        change = torch.diag((-self.alpha).exp()) - self.slope.tril(-1)
        if inverse:
            return torch.distributions.MultivariateNormal(-self.mean, change @ change.T)
        back = torch.linalg.inv(change)
        return torch.distributions.MultivariateNormal(back @ self.mean, back @ back.T)


@pytest.fixture
def pair() -> tuple[Affine, Affine, Distillation]:
    teacher, student = Affine(3, 1), Affine(3, 2)
    return teacher, student, Distillation(Flow(InverseAutoregressive(student, 3), (3,)), Flow(MaskedAutoregressive(teacher, 3), (3,)))


@pytest.mark.row("GEN-42")
def test_the_divergence_of_gaussians_is_the_closed_form(pair):
    teacher, student, method = pair
    exact = torch.distributions.kl_divergence(student.gaussian(inverse=True), teacher.gaussian(inverse=False))
    draws = method.divergence(40_000).detach()
    assert abs(draws.mean() - exact) < 4 * draws.std() / math.sqrt(len(draws))


@pytest.mark.row("GEN-42")
def test_training_brings_the_student_to_the_teacher(pair):
    teacher, student, method = pair
    before = {name: p.clone() for name, p in teacher.named_parameters()}
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], 3e-2)
    batch = (torch.zeros(256, 3),)
    for step in range(300):
        for group in optimizer.param_groups:
            group["lr"] = 3e-2 * (1 - step / 300)
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()
    exact = torch.distributions.kl_divergence(student.gaussian(inverse=True), teacher.gaussian(inverse=False))
    assert exact < 0.01
    assert all(torch.equal(p, before[name]) for name, p in teacher.named_parameters())


@pytest.mark.row("GEN-42")
def test_sampling_and_a_training_step_take_one_pass_of_each_net(pair):
    teacher, student, method = pair
    teacher.passes = student.passes = 0
    method.sample(10)
    assert (teacher.passes, student.passes) == (0, 1)
    method.loss((torch.zeros(10, 3),))
    assert (teacher.passes, student.passes) == (1, 2)


@pytest.mark.row("GEN-42")
def test_the_loss_is_the_mean_difference_of_the_log_densities_at_draws_of_the_student(pair):
    teacher, student, method = pair
    torch.manual_seed(1)
    loss, measured = method.loss((torch.zeros(6, 3),)), method.metrics((torch.zeros(6, 3),))["kl"]
    torch.manual_seed(1)
    for value in (loss, measured):
        x = method.student.transform.inverse(torch.empty(6, 3, dtype=torch.float64).normal_())[0]
        difference = student.gaussian(inverse=True).log_prob(x) - teacher.gaussian(inverse=False).log_prob(x)
        torch.testing.assert_close(value, difference.mean() if value is loss else difference)
    torch.manual_seed(1)
    drawn = method.sample(4)
    torch.manual_seed(1)
    torch.testing.assert_close(drawn, method.student.sample(4))


@pytest.mark.row("GEN-42")
def test_layers_of_both_can_be_chained():
    student = Flow(Chain(InverseAutoregressive(Affine(3, 3), 3), Reverse(), InverseAutoregressive(Affine(3, 4), 3)), (3,))
    method = Distillation(student, Flow(MaskedAutoregressive(Affine(3, 1), 3), (3,)))
    assert method.metrics((torch.zeros(7, 3),))["kl"].shape == (7,)
    assert not any(p.requires_grad for p in method.teacher.parameters())
