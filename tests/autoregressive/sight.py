"""What a net's output at a position depends on, by its gradients, and what it answers when it is fed a position at a time."""

import itertools

import torch
from torch import Tensor, nn


def before(*size: int) -> Tensor:
    """Whether position j comes before position i in raster order, (i, j)."""
    n = torch.Size(size).numel()
    return torch.ones(n, n, dtype=torch.bool).tril(-1)


def seen_from(net: nn.Module, shape: tuple[int, ...], draws: int = 3) -> Tensor:
    """Whether the output at position i depends on the values at position j, (i, j), at random inputs."""
    seen = []
    for _ in range(draws):
        x = torch.rand(1, *shape, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(lambda x: net(x).flatten(2).sum((0, 1)), x)
        seen.append(jacobian[:, 0].flatten(2).abs().sum(1) > 1e-12)
    return torch.stack(seen).any(0)


def drawn(net: nn.Module, x: Tensor, *y: Tensor) -> Tensor:
    """The outputs (n, P, *S) of `net.decode`, answered with the values of x (n, C, *S)."""
    outputs = net.decode(len(x), tuple(x.shape[2:]), *y)
    answers = [next(outputs)]
    answers += [outputs.send(x[:, :, *i]) for i in itertools.islice(itertools.product(*map(range, x.shape[2:])), x[0, 0].numel() - 1)]
    return torch.stack(answers, -1).view(len(x), -1, *x.shape[2:])
