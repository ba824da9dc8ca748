"""Statements of textbooks about layers and regularisation, put to the test."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcanon.data import images


def descend(gradient, w: Tensor, lr: float, steps: int) -> Tensor:
    for _ in range(steps):
        w = w - lr * gradient(w)
    return w


def test_xavier_weights_change_the_start_only_while_weight_decay_and_dropout_change_the_minimum():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(60, d, generator=generator, dtype=torch.float64) for d in (4, 1))

    def loss_gradient(w: Tensor) -> Tensor:
        return 2 / 60 * x.T @ (x @ w - y)

    zero, xavier = torch.zeros(4, 1, dtype=torch.float64), nn.init.xavier_uniform_(torch.empty(4, 1, dtype=torch.float64), generator=generator)
    least = torch.linalg.lstsq(x, y).solution
    assert torch.allclose(descend(loss_gradient, zero, 0.2, 500), least, atol=1e-9)
    assert torch.allclose(descend(loss_gradient, xavier, 0.2, 500), least, atol=1e-9)

    decayed = descend(lambda w: loss_gradient(w) + 0.6 * w, zero, 0.2, 500)
    assert decayed.norm() < 0.9 * least.norm()

    w, p = xavier.requires_grad_(), 0.3                                          # dropout: on average, decay by the inputs' own squares
    dropped = F.dropout(x.repeat(40_000, 1, 1), p) @ w
    mean = torch.autograd.grad((dropped - y).square().mean(), w)[0]
    extra = 2 * p / (1 - p) * x.square().mean(0).unsqueeze(1) * w.detach()
    assert torch.allclose(mean, loss_gradient(w.detach()) + extra, atol=0.02)
    assert extra.norm() > 0.2


def convolution() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(144, 25), nn.ReLU(), nn.Linear(25, 10))


def scattered(split: str, seed: int) -> tuple[Tensor, Tensor]:
    """300 digits, each somewhere on an empty field of 12 x 12 pixels."""
    x, y = next(iter(images("digits", split=split, batch=300, shuffle=False)))
    places = torch.randint(5, (len(x), 2), generator=torch.Generator().manual_seed(seed)).tolist()
    return torch.stack([F.pad(digit, (left, 4 - left, top, 4 - top)) for digit, (left, top) in zip(x, places, strict=True)]), y


def accuracy(make, order: Tensor) -> float:
    """Mean over two starts, with the pixels in this order."""
    (x, y), (test_x, test_y), right = scattered("train", 0), scattered("test", 1), []
    for seed in range(2):
        torch.manual_seed(seed)
        net = make()
        optimizer = torch.optim.Adam(net.parameters(), 0.01, fused=True)
        for _ in range(80):
            optimizer.zero_grad()
            F.cross_entropy(net(x.flatten(1)[:, order].view_as(x)), y).backward()
            optimizer.step()
        with torch.no_grad():
            right.append((net(test_x.flatten(1)[:, order].view_as(test_x)).argmax(1) == test_y).float().mean().item())
    return sum(right) / 2


def test_a_convolution_beats_a_perceptron_of_its_size_on_pictures_and_not_on_shuffled_pixels():
    sizes = [sum(p.numel() for p in net().parameters()) for net in (convolution, perceptron)]
    assert abs(sizes[0] - sizes[1]) < 0.02 * sizes[1]
    in_place, shuffled = torch.arange(144), torch.randperm(144, generator=torch.Generator().manual_seed(0))
    gain, gain_shuffled = (accuracy(convolution, order) - accuracy(perceptron, order) for order in (in_place, shuffled))
    assert gain > 0.05
    assert gain_shuffled < 0.02


def test_pooling_works_on_sequences_and_volumes_as_well():
    x = torch.tensor([1.0, 3.0, 2.0, 0.0])
    assert F.max_pool1d(x.view(1, 1, 4), 2).flatten().tolist() == [3.0, 2.0]
    assert F.max_pool3d(x.view(1, 1, 1, 2, 2), (1, 2, 2)).item() == 3.0


def test_average_pooling_is_linear_and_max_pooling_is_not():
    a, b = torch.randn(2, 3, 2, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    average, largest = (lambda x: F.avg_pool2d(x, 2)), (lambda x: F.max_pool2d(x, 2))
    assert torch.allclose(average(2 * a - 3 * b), 2 * average(a) - 3 * average(b), atol=1e-12)
    assert (largest(a + b) - largest(a) - largest(b)).abs().max() > 0.5
    assert (largest(a + b) <= largest(a) + largest(b) + 1e-12).all()
