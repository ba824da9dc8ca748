"""The class as a latent that is sometimes seen."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from deepcanon.engine.callbacks import evaluate
from deepcanon.nets.conditional import Joined
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.semi_supervised import SemiSupervisedVAE
from tests.contracts.presets import PRESETS


@pytest.fixture
def vae():
    return SemiSupervisedVAE(Joined(mlp(9, 8, 4), 3), Joined(mlp(5, 8, 6), 3), mlp(6, 8, 3), latent_dim=2, num_classes=3).double()


@pytest.mark.row("GEN-22")
def test_the_sum_over_classes_equals_draws_of_them(vae):
    x = torch.rand(1, 6, dtype=torch.float64).expand(5_000, 6)
    log_q = vae.classifier(x).log_softmax(1)
    expanded = vae.marginal(x, log_q)
    y = torch.distributions.Categorical(logits=log_q).sample()
    drawn = vae.joint(x, y) - log_q.gather(1, y[:, None]).squeeze(1)             # E[-log q(y|x)] = H
    error = 4 * ((expanded.var() + drawn.var()) / 5_000).sqrt()
    assert (expanded.mean() - drawn.mean()).abs() < error
    assert expanded.var() < drawn.var()


@pytest.mark.row("GEN-22")
def test_the_gradient_through_the_classes_equals_finite_differences(vae):
    x = torch.rand(4, 6, dtype=torch.float64)

    def bound(logits):
        torch.manual_seed(1)                                                     # the same draws of z
        return vae.marginal(x, logits.log_softmax(1))

    assert torch.autograd.gradcheck(bound, torch.randn(4, 3, dtype=torch.float64, requires_grad=True))


@pytest.mark.row("GEN-22")
def test_a_seen_class_gives_the_joint_bound(vae):
    x, y = torch.rand(5, 6, dtype=torch.float64), torch.tensor([0, 2, 1, 1, 0])
    torch.manual_seed(2)
    bound = vae.loss((x, y))["bound"]
    torch.manual_seed(2)
    every = vae.joint(x.repeat(3, 1), torch.arange(3).repeat_interleave(5)).view(3, 5)
    torch.testing.assert_close(bound, every[y, torch.arange(5)].mean())


@pytest.mark.row("GEN-22")
def test_the_loss_is_the_negative_bound_and_alpha_times_the_cross_entropy_of_the_labelled(vae):
    vae.alpha = 0.3
    x, y = torch.rand(5, 6, dtype=torch.float64), torch.tensor([0, -1, 1, -1, 2])
    torch.manual_seed(2)
    terms = vae.loss((x, y))
    torch.manual_seed(2)
    every = vae.joint(x.repeat(3, 1), torch.arange(3).repeat_interleave(5)).view(3, 5).T
    q = vae.classifier(x).softmax(1)
    unseen = (q * every).sum(1) + torch.special.entr(q).sum(1)  # sum_y q(y|x) (-L(x, y)) + H(q)
    bound = torch.where(y < 0, unseen, every[torch.arange(5), y]).mean()
    known = y >= 0
    classification = -q[known, y[known]].log().mean()
    torch.testing.assert_close(
        terms, {"loss": -bound + 0.3 * classification, "bound": bound, "classification": classification}
    )


class Shown(nn.Module):
    """A decoder that shows the class, and nothing else: logits far above or below 0."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(80.0))

    def forward(self, z, y):
        return self.scale * (one_hot(y, 3) - 0.5)


@pytest.mark.row("GEN-22")
def test_samples_are_of_the_classes_asked_for_or_of_each_in_turn():
    vae = SemiSupervisedVAE(nn.Identity(), Shown(), nn.Identity(), latent_dim=2, num_classes=3)
    assert torch.equal(vae.sample(5), one_hot(torch.tensor([0, 1, 2, 0, 1])).float())
    assert torch.equal(vae.sample(3, torch.tensor([2, 2, 0])), one_hot(torch.tensor([2, 2, 0])).float())


@pytest.mark.row("GEN-22")
def test_the_prediction_is_the_softmax_and_its_hits_are_counted(vae):
    x = torch.rand(6, 6, dtype=torch.float64)
    p = vae.predict(x)
    torch.testing.assert_close(p, vae.classifier(x).exp() / vae.classifier(x).exp().sum(1, keepdim=True))
    likeliest = p.argmax(1)
    y = torch.where(torch.arange(6) < 4, likeliest, (likeliest + 1) % 3)
    assert vae.metrics((x, y))["accuracy"].tolist() == [1, 1, 1, 1, 0, 0]


@pytest.mark.row("GEN-22")
def test_the_bound_lies_below_the_likelihood(vae):
    """log p(x), by the mean of p(x|y,z) over draws of the prior."""
    x = torch.rand(1, 6, dtype=torch.float64).round()
    z, y = torch.randn(60_000, 2, dtype=torch.float64), torch.arange(60_000) % 3
    exact = vae.decode(z, y).log_prob(x.expand(60_000, 6)).logsumexp(0) - math.log(60_000)
    bound = vae.metrics((x.expand(2_000, 6), torch.zeros(2_000, dtype=torch.int64)))["elbo"].mean()
    assert bound < exact


def test_bad_labels_are_refused(vae):
    x = torch.rand(4, 6, dtype=torch.float64)
    with pytest.raises(ValueError, match="y is missing"):
        vae.loss((x,))
    with pytest.raises(ValueError, match=r"labels in -1\.\.2, got some from 0 to 3"):
        vae.loss((x, torch.arange(4)))
    with pytest.raises(ValueError, match=r"labels in -1\.\.2, got some from 0 to 3"):
        vae.metrics((x, torch.arange(4)))
    vae.loss((x, torch.full((4,), -1)))["loss"].backward()                       # no label at all is allowed
    assert all(p.grad.isfinite().all() for p in vae.parameters())


def test_examples_without_a_label_do_not_count_in_the_accuracy_nor_other_labels_in_a_sample():
    vae = PRESETS["semi_supervised_vae"].build().eval()
    x, _ = PRESETS["semi_supervised_vae"].batch()
    right = vae.predict(x).argmax(1)
    y = torch.where(torch.arange(len(x)) % 2 == 0, right, -1)
    assert evaluate(vae, [(x, y)])["accuracy"] == 1.0
    with pytest.raises(ValueError, match=r"expected one label in 0..3 for each of 2 examples"):
        vae.sample(2, torch.tensor([0]))
