"""What the two players of a generative adversarial network minimise, from their scores a = D(x) of data and b = D(G(z)) of generated points.

    objective        discriminator                           generator               who
    minimax          -log s(a) - log(1 - s(b))               log(1 - s(b))           Goodfellow et al. 2014, arXiv 1406.2661
    non_saturating   -log s(a) - log(1 - s(b))               -log s(b)               the same
    swapped          -log s(a) - log(1 - s(b))               -log s(b) - log(1-s(a)) the same; a tells where D will have learned from G
    smoothed         -r log s(a) - (1 - r) log(1 - s(a))     -log s(b)               Salimans et al. 2016, arXiv 1606.03498
                     - log(1 - s(b))
    least_squares    (a - 1)^2 + b^2                         (b - 1)^2               Mao et al. 2017, arXiv 1611.04076
    hinge            max(0, 1 - a) + max(0, 1 + b)           -b                      Lim & Ye 2017, arXiv 1705.02894
    wasserstein      b - a                                   -b                      Arjovsky et al. 2017, arXiv 1701.07875
    relativistic     -log s(a - b)                           -log s(b - a)           Jolicoeur-Martineau 2019, arXiv 1807.00734

s is the logistic sigmoid, D a real number. -log s(a) = softplus(-a) and -log(1 - s(a)) = softplus(a) never overflow.
B batch.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import softplus


class Objective(NamedTuple):
    """Both losses of each pair, (a (B,), b (B,)) -> (B,)."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


def source(a: Tensor, b: Tensor) -> Tensor:
    """-log s(a) - log(1 - s(b)): data are real, fakes are not."""
    return softplus(-a) + softplus(b)


def one_sided(a: Tensor, b: Tensor, *, r: float) -> Tensor:
    """-r log s(a) - (1 - r) log(1 - s(a)) - log(1 - s(b))."""
    return r * softplus(-a) + (1 - r) * softplus(a) + softplus(b)


def called_fake(a: Tensor, b: Tensor) -> Tensor:
    """log(1 - s(b))."""
    return -softplus(b)


def called_real(a: Tensor, b: Tensor) -> Tensor:
    """-log s(b)."""
    return softplus(-b)


def exchanged(a: Tensor, b: Tensor) -> Tensor:
    """-log s(b) - log(1 - s(a)): fakes are real, data are not."""
    return softplus(-b) + softplus(a)


def apart(a: Tensor, b: Tensor, *, real: float, fake: float) -> Tensor:
    """(a - real)^2 + (b - fake)^2."""
    return (a - real).square() + (b - fake).square()


def near(a: Tensor, b: Tensor, *, goal: float) -> Tensor:
    """(b - goal)^2."""
    return (b - goal).square()


def margins(a: Tensor, b: Tensor) -> Tensor:
    """max(0, 1 - a) + max(0, 1 + b)."""
    return (1 - a).relu() + (1 + b).relu()


def difference(a: Tensor, b: Tensor) -> Tensor:
    """b - a."""
    return b - a


def raised(a: Tensor, b: Tensor) -> Tensor:
    """-b."""
    return -b


def real_above_fake(a: Tensor, b: Tensor) -> Tensor:
    """-log s(a - b)."""
    return softplus(b - a)


def fake_above_real(a: Tensor, b: Tensor) -> Tensor:
    """-log s(b - a)."""
    return softplus(a - b)


def smoothed(r: float = 0.9) -> Objective:
    """One-sided label smoothing: data are called real with r < 1, so that D = r p / (p + p_G) at best; the fakes' label stays 0.

    Raises:
        ValueError: a label that is not in (0, 1].
    """
    if not 0 < r <= 1:
        raise ValueError(f"expected a smoothed label in (0, 1], got {r}")
    return Objective(partial(one_sided, r=r), called_real)


def squares(real: float = 1.0, fake: float = 0.0, goal: float = 1.0) -> Objective:
    """Squared distances from the scores wanted of data and of fakes by the discriminator, and of fakes by the generator."""
    return Objective(partial(apart, real=real, fake=fake), partial(near, goal=goal))


minimax = Objective(source, called_fake)
non_saturating = Objective(source, called_real)
swapped = Objective(source, exchanged)
least_squares = squares()
hinge = Objective(margins, raised)
wasserstein = Objective(difference, raised)
relativistic = Objective(real_above_fake, fake_above_real)
