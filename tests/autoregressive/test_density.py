"""The chain rule as a density: it sums to one over all images, and draws follow it."""

import itertools
import math

import pytest
import torch
from torch import nn

from deepcanon.autoregressive.density import AutoregressiveDensity, decode
from deepcanon.autoregressive.pixels import Continuous, LogisticMixture, Softmax, beta
from deepcanon.nets.pixelcnn import GatedPixelCNN, PixelCNN


def all_images(levels: int, *shape: int) -> torch.Tensor:
    """Every image of that shape, (K^D, *shape)."""
    grid = itertools.product(*[torch.arange(levels) / (levels - 1)] * math.prod(shape))
    return torch.tensor(list(grid)).view(-1, *shape).double()


def sharp(net: nn.Module) -> nn.Module:
    """Weights large enough that the pixels depend strongly on each other."""
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.6)
    return net.double()


def binary_3x3(net) -> AutoregressiveDensity:
    return AutoregressiveDensity(sharp(net), Softmax(1, 2), shape=(1, 3, 3))


NETS = {
    "plain": lambda **more: PixelCNN(1, 2, width=8, num_layers=2),
    "gated": lambda **more: GatedPixelCNN(1, 2, width=6, first=3, dilations=(1, 1), **more),
}


@pytest.mark.row("GEN-28", "GEN-30")
@pytest.mark.parametrize("name", NETS)
def test_probabilities_of_all_binary_3x3_images_sum_to_one(name):
    method, x = binary_3x3(NETS[name]()), all_images(2, 1, 3, 3)
    with torch.no_grad():
        log_p = method.log_prob(x)
    assert len(x) == 512
    assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    assert log_p.std() > 0.3


@pytest.mark.row("GEN-28", "GEN-33")
@pytest.mark.parametrize("likelihood", [Softmax(2, 3), LogisticMixture(2, 3, 3)], ids=["softmax", "logistic mixture"])
def test_probabilities_of_all_images_of_three_levels_and_two_channels_sum_to_one(likelihood):
    net = GatedPixelCNN(2, likelihood.size, width=4, first=3, dilations=(1,))
    method = AutoregressiveDensity(sharp(net), sharp(likelihood), shape=(2, 2, 1))
    with torch.no_grad():
        assert method.log_prob(all_images(3, 2, 2, 1)).exp().sum().item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.row("GEN-28")
def test_the_terms_of_the_chain_do_not_see_what_follows():
    """d log p_i / d x_j = 0 for j > i, and for j = i in the parameters of p_i."""
    method = binary_3x3(NETS["gated"]())
    x = torch.rand(1, 1, 3, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: method.net(x).log_softmax(1)[0, 1].flatten(), x).view(9, 9)
    assert torch.equal(jacobian.abs() > 0, torch.ones(9, 9, dtype=torch.bool).tril(-1))


@pytest.mark.row("GEN-30")
def test_the_parallel_likelihood_is_the_sequential_one():
    method, x = binary_3x3(NETS["gated"]()), all_images(2, 1, 3, 3)[::37]
    steps, log_p = decode(method.net, len(x), method.shape), 0
    output = next(steps)
    for i, j in itertools.product(range(3), range(3)):
        log_p = log_p + output.log_softmax(1).gather(1, x[:, :, i, j].long()).squeeze(1)
        if (i, j) != (2, 2):
            output = steps.send(x[:, :, i, j])
    with torch.no_grad():
        torch.testing.assert_close(log_p, method.log_prob(x))


@pytest.mark.row("GEN-28")
@pytest.mark.parametrize("name", NETS)
def test_draws_follow_the_density(name):
    method, x = binary_3x3(NETS[name]()), all_images(2, 1, 3, 3)
    p = method.log_prob(x).exp().detach()
    n = 20_000
    code = (method.sample(n).flatten(1).long() * 2 ** torch.arange(8, -1, -1)).sum(1)
    count = code.bincount(minlength=512)
    often = p > 5 / n
    chi_square = ((count - n * p).square() / (n * p))[often].sum()
    assert chi_square < often.sum() + 5 * math.sqrt(2 * often.sum())


@pytest.mark.row("GEN-28")
def test_a_net_that_cannot_decode_draws_the_same():
    class Bare(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x)

    method = binary_3x3(NETS["gated"]())
    bare = AutoregressiveDensity(Bare(method.net), method.likelihood, shape=method.shape)
    torch.manual_seed(1)
    first = method.sample(50)
    torch.manual_seed(1)
    assert torch.equal(bare.sample(50), first)


@pytest.mark.row("GEN-32")
def test_a_class_conditional_density_sums_to_one_for_each_class_and_draws_each():
    method = binary_3x3(NETS["gated"](condition=nn.Embedding(3, 6)))
    nn.init.normal_(method.net.condition.weight, std=3.0)
    x, n = all_images(2, 1, 3, 3), 10_000
    laws = []
    for label in range(3):
        with torch.no_grad():
            laws.append(method.log_prob(x, torch.full((512,), label)))
        p = laws[-1].exp()
        assert p.sum().item() == pytest.approx(1.0, abs=1e-12)
        drawn = method.sample(n, torch.full((n,), label)).flatten(1).mean(0)
        torch.testing.assert_close(drawn, (p[:, None] * x.flatten(1)).sum(0), atol=4.5 * 0.5 / math.sqrt(n), rtol=0)
    assert (laws[0] - laws[1]).abs().max() > 0.1


@pytest.mark.row("GEN-32")
def test_what_is_told_apart_by_class_is_learned_by_class():
    """Class k is always row k white: after training each class draws its own, as often as it should."""
    torch.manual_seed(0)
    y = torch.arange(3).repeat(8)
    x = nn.functional.one_hot(y, 3).view(24, 1, 3, 1).expand(-1, -1, -1, 3).float()
    net = GatedPixelCNN(1, 2, width=8, first=3, dilations=(1,), condition=nn.Embedding(3, 8))
    method = AutoregressiveDensity(net, Softmax(1, 2), shape=(1, 3, 3))
    optimizer = torch.optim.Adam(method.parameters(), lr=2e-2)
    for _ in range(60):
        loss = method.loss((x, y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    assert (method.sample(300, y.repeat(13)[:300]) == x.repeat(13, 1, 1, 1)[:300]).flatten(1).all(1).double().mean() > 0.9


@pytest.mark.row("GEN-28")
def test_bits_per_dim():
    method, x = binary_3x3(NETS["gated"]()), all_images(2, 1, 3, 3)[:7]
    torch.testing.assert_close(method.metrics((x,))["bits_per_dim"], -method.log_prob(x) / math.log(2) / 9)
    torch.testing.assert_close(method.loss((x, None)), -method.log_prob(x).mean() / math.log(2) / 9)


@pytest.mark.row("GEN-28")
def test_bits_are_the_cross_entropy_of_the_pixels_levels_in_base_two():
    net = GatedPixelCNN(2, 6, width=4, first=3, dilations=(1,)).double()
    method, x = (
        AutoregressiveDensity(net, Softmax(2, 3), shape=(2, 3, 2)),
        torch.randint(3, (5, 2, 3, 2)).double() / 2,
    )
    logits = net(x).view(5, 2, 3, 3, 2).movedim(2, 1)                            # (B, K, C, H, W)
    bits = nn.functional.cross_entropy(logits, (2 * x).long(), reduction="none").mean((1, 2, 3)) / math.log(2)
    torch.testing.assert_close(method.metrics((x,))["bits_per_dim"], bits)
    torch.testing.assert_close(method.loss((x,)), bits.mean())


@pytest.mark.parametrize(("x", "message"), [
    (torch.zeros(2, 1, 4, 3), r"expected data of shape \(B, 1, 3, 3\), got \(2, 1, 4, 3\)"),
    (torch.full((2, 1, 3, 3), 1.5), r"expected values in \[0, 1\], got some from 1.5 to 1.5"),
    (torch.full((2, 1, 3, 3), math.nan), r"expected finite values, got 18 of 18 that are nan or inf in x"),
    (torch.full((2, 1, 3, 3), 0.25), r"expected values on the 2 levels 0, 1/1, ..., 1, got others between")])
def test_bad_data_are_refused_in_words(x, message):
    with pytest.raises(ValueError, match=message):
        binary_3x3(NETS["gated"]()).log_prob(x.double())


def test_missing_labels_are_refused_in_words():
    method, x = binary_3x3(NETS["gated"](condition=nn.Embedding(3, 6))), torch.zeros(2, 1, 3, 3).double()
    for call in (lambda: method.sample(2), lambda: method.log_prob(x), lambda: method.loss((x,))):
        with pytest.raises(ValueError, match="the model is conditional: it needs the labels y"):
            call()


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a likelihood of 3 channels, got one of 1"):
        AutoregressiveDensity(nn.Identity(), Softmax(1, levels=2), shape=(3, 3, 3))
    method = AutoregressiveDensity(nn.Identity(), Softmax(1, levels=2), shape=(1, 3, 3))
    with pytest.raises(ValueError, match=r"expected the net's output of shape \(4, 2, 3, 3\), got \(4, 1, 3, 3\)"):
        method.log_prob(torch.zeros(4, 1, 3, 3))
    with pytest.raises(ValueError, match="expected y for each of 3 draws, got 5"):
        method.sample(3, torch.zeros(5))


def test_a_density_in_place_of_levels_gives_a_bound():
    assert AutoregressiveDensity(nn.Identity(), Continuous(beta), shape=(1, 3, 3)).likelihood_is == "bound"
    assert AutoregressiveDensity(nn.Identity(), Softmax(), shape=(1, 3, 3)).likelihood_is == "exact"
