"""Claims about losses and divergences."""

import torch
import torch.nn.functional as F
from torch import Tensor

from deepcanon.claims.experiment import Finding, below, claim, every, over_seeds
from deepcanon.foundations.information import gaussian_kl, kl
from deepcanon.foundations.linear import LinearClassifier
from deepcanon.foundations.losses import cross_entropy, squared_error
from deepcanon.foundations.optimizers import Adam, GradientDescent
from deepcanon.layers.linear_map import Linear
from deepcanon.nets.perceptron import mlp


@claim("C-030", answer="no")
def a_loss_must_be_differentiable() -> Finding:
    """Loss functions are not part of the computation graph and need not be differentiable.

    A linear classifier of three Gaussian classes, 100 steps of descent on the share of wrong labels, whose
    gradient is zero, and on the cross-entropy: the largest gradient met and the accuracy at the end.
    """
    y = torch.arange(300) % 3
    x = torch.randn(300, 2) + 3 * torch.tensor([[0.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])[y]

    def wrong(scores: Tensor) -> Tensor:
        return (0 * scores.sum(1) + (scores.argmax(1) != y)).mean()    # its gradient is defined, and 0

    def likelihood(scores: Tensor) -> Tensor:
        return cross_entropy(scores, y).mean()

    measured = {}
    for name, loss in (("zero_one", wrong), ("cross_entropy", likelihood)):
        net, largest = LinearClassifier(2, 3), 0.0
        optimizer = GradientDescent(net.parameters(), 0.5)
        for _ in range(100):
            optimizer.zero_grad()
            loss(net.scores(x)).backward()
            gradients = [p.grad for p in net.parameters() if p.grad is not None]
            largest = max(largest, *(g.abs().max().item() for g in gradients))
            optimizer.step()
        accuracy = net.metrics((x, y))["accuracy"].mean().item()
        measured |= {f"{name}_gradient": largest, f"{name}_accuracy": accuracy}
    trains = measured["zero_one_accuracy"] > 0.5
    return Finding(measured, trains, "It is the last node of the graph: backpropagation begins at its slope.")


@claim("C-031", answer="yes")
def cross_entropy_is_of_a_softmax() -> Finding:
    """Cross-entropy is computed from the vector that a softmax puts out.

    Random logits of 5 classes: how far the cross-entropy of the logits is from -log softmax(l)_y, and its
    gradient from softmax(l) - onehot(y).
    """
    logits, y = torch.randn(200, 5, dtype=torch.float64, requires_grad=True), torch.randint(5, (200,))
    loss, p = cross_entropy(logits, y), logits.softmax(1)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    measured = {"difference": (loss + p.log()[range(200), y]).abs().max().item(),
                "gradient_difference": (gradient - p + F.one_hot(y, 5)).abs().max().item()}
    return Finding(measured, max(measured.values()) < 1e-12)


@claim("C-032", answer="no")
def losses_may_act_on_different_outputs() -> Finding:
    """All losses that are used in one step of stochastic gradient descent must act on the same output vector.

    A trunk with a head for the class and one for a box, 200 steps of Adam on the sum of cross-entropy and
    squared error, five seeds: both losses after training, in parts of those before.
    """
    def experiment(seed: int) -> dict[str, float]:
        trunk, label, box = mlp(5, 32, 32), Linear(32, 3), Linear(32, 4)
        x = torch.randn(128, 5)
        y, target = x[:, :3].argmax(1), torch.cat([x[:, :2] - 1, x[:, :2] + 1], 1)
        optimizer = Adam([*trunk.parameters(), *label.parameters(), *box.parameters()], 0.01)
        history = []
        for _ in range(200):
            hidden = trunk(x).relu()
            class_loss = cross_entropy(label(hidden), y).mean()
            box_loss = squared_error(box(hidden), target).mean()
            optimizer.zero_grad()
            (class_loss + box_loss).backward()
            optimizer.step()
            history.append((class_loss.item(), box_loss.item()))
        (first_class, first_box), (last_class, last_box) = history[0], history[-1]
        return {"class_loss_left": last_class / first_class, "box_loss_left": last_box / first_box}

    means, ends = over_seeds(experiment)
    both = every(below(ends["class_loss_left"], 0.5), below(ends["box_loss_left"], 0.5))
    return Finding(means, None if both is None else not both,
                   "Their sum is differentiated, and each reaches the parts that its output used.", ends)


@claim("C-050", answer="yes")
def kl_is_a_divergence() -> Finding:
    """The Kullback-Leibler divergence is never negative, and zero if and only if the two distributions agree.

    10,000 pairs of discrete distributions of 6 outcomes drawn from a Dirichlet, and 10,000 pairs of
    Gaussians: the least divergence, the largest of a distribution from itself, and that of a uniform one from
    one with 0.3 in place of its first 1/6.
    """
    dirichlet = torch.distributions.Dirichlet(torch.full((6,), 0.5, dtype=torch.float64))
    q, p = dirichlet.sample((2, 10_000))
    m_q, m_p = torch.randn(2, 10_000, dtype=torch.float64)
    s_q, s_p = 0.1 + torch.rand(2, 10_000, dtype=torch.float64)
    uniform = torch.full((6,), 1 / 6, dtype=torch.float64)
    moved = torch.tensor([0.3, *[0.14] * 5], dtype=torch.float64)
    measured = {"least": kl(q, p).min().item(), "itself": kl(q, q).abs().max().item(),
                "least_of_gaussians": gaussian_kl(m_q, s_q, m_p, s_p).min().item(),
                "gaussian_itself": gaussian_kl(m_q, s_q, m_q, s_q).abs().max().item(),
                "uniform_from_moved": kl(uniform, moved).item()}
    zero = max(measured["itself"], measured["gaussian_itself"]) < 1e-12
    return Finding(measured, zero and min(measured["least"], measured["least_of_gaussians"]) > 0)
