"""Gradient play circles outwards; the cures that are said to damp it do."""

import math

import pytest
import torch
from torch import nn

from deepcanon.gans.game import gradient_play, optimal_discriminator, value
from deepcanon.gans.gan import GAN
from deepcanon.gans.historical import HistoricalAveraging, RunningMean

START = torch.tensor([0.6], dtype=torch.float64), torch.tensor([-0.8], dtype=torch.float64)


def bilinear(x, y):
    return (x * y).sum()


@pytest.mark.row("GEN-84")
@pytest.mark.parametrize("lr", [0.1, 0.5])
def test_simultaneous_steps_lead_away_from_the_equilibrium_by_a_known_factor(lr):
    distance = gradient_play(bilinear, *START, lr=lr, steps=50).flatten(1).norm(dim=1)
    torch.testing.assert_close(distance[1:] / distance[:-1], torch.full((50,), math.sqrt(1 + lr**2), dtype=torch.float64))


@pytest.mark.row("GEN-84")
@pytest.mark.parametrize("alternate", [False, True])
@pytest.mark.parametrize("history", [0.0, 0.3])
def test_play_is_descent_of_one_and_ascent_of_the_other_drawn_to_the_mean_of_their_past(alternate, history):
    """f = x^2 y:  df/dx = 2 x y,  df/dy = x^2;  drawn by 2 w (theta - mean of theta up to now)."""
    path = gradient_play(
        lambda x, y: (x.square() * y).sum(), *START, lr=0.1, steps=3, alternate=alternate, history=history
    )
    xs, ys = [0.6], [-0.8]
    for _ in range(3):
        x, y = xs[-1], ys[-1]
        new = x - 0.1 * (2 * x * y + 2 * history * (x - sum(xs) / len(xs)))
        seen = new if alternate else x
        ys.append(y + 0.1 * (seen**2 - 2 * history * (y - sum(ys) / len(ys))))
        xs.append(new)
    assert path.shape == (4, 2, 1)
    torch.testing.assert_close(path[..., 0], torch.tensor([xs, ys], dtype=torch.float64).T)


@pytest.mark.row("GEN-58")
def test_ascent_of_the_discriminator_alone_ends_at_the_optimal_one():
    p, q = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]], dtype=torch.float64)
    path = gradient_play(
        lambda x, y: value(y.sigmoid(), p, q), torch.ones_like(p), torch.zeros_like(p), lr=2.0, steps=300
    )
    assert (path[:, 0] == 1).all()                                               # V does not depend on x
    torch.testing.assert_close(path[-1, 1].sigmoid(), optimal_discriminator(p, q))


@pytest.mark.row("GEN-84")
def test_alternate_steps_circle_for_ever():
    distance = gradient_play(bilinear, *START, lr=0.1, steps=500, alternate=True).flatten(1).norm(dim=1)
    assert 0.9 < distance.min() < distance.max() < 1.1


@pytest.mark.row("GEN-62")
def test_historical_averaging_damps_the_circles():
    def distance(history):
        return gradient_play(bilinear, *START, lr=0.1, steps=1_000, history=history)[-1].norm().item()

    assert distance(0.0) > 5
    assert distance(0.25) < 0.2


@pytest.mark.row("GEN-62")
def test_the_running_mean_is_the_mean_of_all_values():
    weights = [torch.nn.Parameter(torch.randn(3, 2)), torch.nn.Parameter(torch.randn(4))]
    mean, values = RunningMean(weights), []
    for _ in range(7):
        for p in weights:
            p.data = torch.randn_like(p)
        values.append([p.detach().clone() for p in weights])
        mean.add(weights)
    explicit = [torch.stack(column).mean(0) for column in zip(*values, strict=True)]
    for own, expected in zip(mean.means(), explicit, strict=True):
        torch.testing.assert_close(own, expected)
    expected = sum((p - m).square().sum() for p, m in zip(weights, explicit, strict=True))
    assert mean.distance(weights).item() == pytest.approx(expected.item(), rel=1e-5)


class Bilinear(torch.nn.Module):
    """min_x max_y x y as a method of two players."""

    def __init__(self):
        super().__init__()
        self.x, self.y = torch.nn.ParameterList([START[0].clone()]), torch.nn.ParameterList([START[1].clone()])

    def losses(self, batch):
        yield "y", -(self.x[0] * self.y[0]).sum()
        yield "x", (self.x[0] * self.y[0]).sum()


@pytest.mark.row("GEN-62")
def test_around_a_method_it_damps_its_players():
    method = HistoricalAveraging(Bilinear(), ("x", "y"), weight=0.25)
    for _ in range(1_000):
        for player, loss in method.losses(None):
            (weight,) = method.get_submodule(player).parameters()
            (gradient,) = torch.autograd.grad(loss, weight)
            with torch.no_grad():
                weight -= 0.1 * gradient
    assert torch.cat([method.method.x[0], method.method.y[0]]).norm() < 0.3


@pytest.mark.row("GEN-62")
def test_a_loss_is_drawn_by_the_weighted_distance_from_the_mean_after_the_updates():
    """x is moved to 3, 5 and 10: its losses are drawn to x_0, to 3, and to 4, the mean of 3 and 5."""
    method = HistoricalAveraging(Bilinear(), ("x", "y"), weight=0.5)
    x, y = method.method.x[0], method.method.y[0]
    for target, mean in ((3.0, x.item()), (5.0, 3.0), (10.0, 4.0)):
        for player, loss in method.losses(None):
            if player == "method.x":
                assert loss.item() == pytest.approx((x * y).item() + 0.5 * (x.item() - mean) ** 2)
                with torch.no_grad():
                    x.fill_(target)
            else:
                assert loss.item() == pytest.approx(-(x * y).item())             # y has not moved
    assert method.past["x"].means()[0].item() == pytest.approx(6)


@pytest.mark.row("GEN-62")
def test_samples_are_the_methods():
    gan = GAN(nn.Linear(2, 3), nn.Linear(3, 1), latent_dim=2)
    torch.manual_seed(1)
    x = HistoricalAveraging(gan).sample(4)
    torch.manual_seed(1)
    assert torch.equal(x, gan.sample(4))


@pytest.mark.row("GEN-62")
def test_losses_of_several_terms_are_drawn_too():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator = nn.Linear(1, 1)

        def losses(self, batch):
            loss = self.generator(batch[0]).mean()
            yield "generator", {"loss": loss, "l1": loss}

    method = HistoricalAveraging(Named(), ("generator",), weight=2.0)
    with torch.no_grad():
        method.method.generator.bias += 3.0
    ((player, terms),) = method.losses((torch.zeros(4, 1),))
    assert player == "method.generator"
    torch.testing.assert_close(terms["loss"] - terms["l1"], torch.tensor(18.0))


def test_a_player_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="Linear has no player 'critic'"):
        HistoricalAveraging(nn.Linear(1, 1), ("critic",))
