"""The adversarial loop: whose gradient goes where, a target that is reached, and what is refused."""

import pytest
import scipy.stats
import torch
from torch import nn

from deepcanon.engine import Adam, Trainer, linear
from deepcanon.gans.gan import GAN, clip
from deepcanon.gans.objectives import minimax, wasserstein
from deepcanon.gans.penalties import zero_centred
from deepcanon.layers.instance_noise import InstanceNoise, fade
from deepcanon.nets.dcgan import critic, generator
from deepcanon.nets.perceptron import mlp
from tests.gans.updates import expected_source


class Gaussian:
    """Batches of N(mean, std^2)."""

    def __init__(self, mean, std, batch=128):
        self.mean, self.std, self.batch = mean, std, batch

    def at(self, step):
        return (self.mean + self.std * torch.randn(self.batch, 1),)


@pytest.mark.row("GEN-56")
def test_either_player_gains_by_its_own_step():
    """A step down its loss makes D tell data and fakes apart better, and makes G be found out less: the value moves up, then down."""
    gan = GAN(mlp(2, 8, 3).double(), mlp(3, 8, 1).double(), latent_dim=2, objective=minimax)
    x, z = torch.randn(64, 3, dtype=torch.float64), torch.randn(64, 2, dtype=torch.float64)

    def value():
        return (torch.log(gan.score(x).sigmoid()) + torch.log(1 - gan.score(gan.generator(z)).sigmoid())).mean()

    for player, sign in (("discriminator", 1), ("generator", -1)):
        weights = list(getattr(gan, player).parameters())
        before = value()
        loss = dict(gan.losses((x,)))[player]
        for w, g in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            with torch.no_grad():
                w -= 0.1 * g
        assert sign * (value() - before) > 0, player


@pytest.mark.row("GEN-56")
def test_a_gaussian_is_reached():
    gan = GAN(mlp(1, 16, 1), mlp(1, 32, 32, 1, activation=nn.SiLU), latent_dim=1, penalty=zero_centred(0.1))
    Trainer(gan, Gaussian(3.0, 0.5), Adam(5e-3, betas=(0.5, 0.9), schedule=linear()), total=700).run()
    x = gan.sample(4_000)
    assert x.mean().item() == pytest.approx(3.0, rel=0.1)
    assert x.std().item() == pytest.approx(0.5, rel=0.1)


@pytest.mark.row("GEN-56")
@pytest.mark.parametrize("penalty", [None, zero_centred(0.5)])
def test_the_losses_are_the_cross_entropies_of_every_share_of_the_batch(penalty):
    gan = GAN(
        mlp(2, 8, 3).double(), mlp(3, 8, 1).double(), latent_dim=2, penalty=penalty, discriminator_steps=2
    )
    x = torch.randn(7, 3, dtype=torch.float64)
    torch.manual_seed(1)
    taken = list(gan.losses((x,)))
    torch.manual_seed(1)
    assert [player for player, _ in taken] == ["discriminator", "discriminator", "generator"]
    for share, (_, loss) in zip((x[:4], x[4:]), taken[:2], strict=True):
        fake = gan.generator(torch.randn(len(share), 2, dtype=torch.float64)).detach()
        added = penalty(gan.discriminator, share, fake) if penalty else 0
        torch.testing.assert_close(
            loss, added + expected_source(gan.discriminator(share), gan.discriminator(fake))
        )
    fake = gan.generator(torch.randn(3, 2, dtype=torch.float64))
    torch.testing.assert_close(taken[2][1], -gan.discriminator(fake).sigmoid().log().mean())


@pytest.mark.row("GEN-56")
def test_samples_and_what_is_measured_of_them():
    gan, x = GAN(nn.Linear(2, 3, bias=False), mlp(3, 4, 1), latent_dim=2), torch.randn(4, 3)
    torch.manual_seed(1)
    sample = gan.sample(4)
    torch.manual_seed(1)
    expected = torch.randn(4, 2) @ gan.generator.weight.detach().T
    torch.testing.assert_close(sample, expected)
    torch.manual_seed(1)
    torch.testing.assert_close(gan.metrics((x,)), {"score_data": gan.discriminator(x)[:, 0],
                                                   "score_generated": gan.discriminator(expected)[:, 0]})


@pytest.mark.row("GEN-56")
def test_updates_of_the_discriminator_leave_the_generator_alone():
    gan = GAN(mlp(2, 6), mlp(6, 8, 1), latent_dim=2, discriminator_steps=3)
    updates = gan.losses((torch.randn(12, 6),))
    assert [next(updates)[0] for _ in range(3)] == ["discriminator"] * 3
    updates = gan.losses((torch.randn(12, 6),))
    next(updates)[1].backward()
    assert all(p.grad is None for p in gan.generator.parameters())


@pytest.mark.row("GEN-68")
def test_all_weights_lie_in_the_box_after_every_update():
    gan = GAN(mlp(2, 6), mlp(6, 8, 1), latent_dim=2, objective=wasserstein, constrain=clip(0.05), discriminator_steps=2)
    optimizer = torch.optim.SGD(gan.discriminator.parameters(), lr=1.0)
    for i, (player, loss) in enumerate(gan.losses((10 * torch.randn(12, 6),))):
        if i:
            assert all(p.abs().max() <= 0.05 for p in gan.discriminator.parameters())
        if player == "discriminator":
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@pytest.mark.row("GEN-68")
def test_the_critics_value_orders_generators_as_the_distance_does():
    """Data N(0, 1), generators N(shift, 1): W1 is the shift. A critic in a box has the slope K, unknown, so its value is K W1."""
    torch.manual_seed(0)
    shifts, values = [0.25, 0.5, 1.0, 2.0, 4.0], []
    start = mlp(1, 32, 1, activation=nn.Tanh).state_dict()
    for shift in shifts:
        gan = GAN(nn.Identity(), mlp(1, 32, 1, activation=nn.Tanh), latent_dim=1, objective=wasserstein, constrain=clip(0.1))
        gan.discriminator.load_state_dict(start)
        optimizer = torch.optim.RMSprop(gan.discriminator.parameters(), lr=5e-3)
        for _ in range(150):
            updates = gan.losses((shift + torch.randn(256, 1),))
            loss = next(updates)[1]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            gan.constrain(gan.discriminator)
        x = torch.randn(2_000, 1)
        values.append((gan.score(shift + x) - gan.score(x)).mean().item())
    assert scipy.stats.spearmanr(shifts, values).statistic == pytest.approx(1)


@pytest.mark.row("GEN-66")
def test_noise_makes_distant_points_overlap_so_that_the_divergence_has_a_slope():
    """Data at 0, the generator at a shift: on a line of bins the divergence is log 2 at any shift without noise, and grows with it under noise."""
    line = torch.linspace(-4, 6, 2_001, dtype=torch.float64)

    def divergence(shift, sigma):
        p, q = (torch.softmax(-(line - at).square() / (2 * sigma**2), 0) for at in (torch.zeros_like(shift), shift))
        m = (p + q) / 2
        return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).nansum() / 2

    shift = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    assert divergence(shift, 0.02).item() == pytest.approx(0.6931472, abs=1e-6)
    value = divergence(shift, 0.7)
    (slope,) = torch.autograd.grad(value, shift)
    assert value < 0.6
    assert slope > 0.1


@pytest.mark.row("GEN-66")
def test_the_noise_is_added_and_standard_normal_times_sigma():
    layer, x = InstanceNoise(0.3), torch.tensor([[2.0, -1.0]]).expand(20_000, 2)
    noise = (layer(x) - x) / 0.3
    assert scipy.stats.kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    assert torch.equal(layer.sigma, torch.tensor(0.3))


@pytest.mark.row("GEN-66")
def test_the_noise_layer_decays_and_rests_outside_training():
    layer, x = InstanceNoise(0.5, decay=0.9), torch.zeros(20_000)
    assert layer(x).std().item() == pytest.approx(0.5, rel=0.03)
    fade(nn.Sequential(layer))
    assert layer(x).std().item() == pytest.approx(0.45, rel=0.03)
    fade(layer)
    assert layer.state_dict()["sigma"].item() == pytest.approx(0.405)
    assert torch.equal(layer.eval()(x), x)


def test_images_of_another_size_or_range_are_refused():
    gan = GAN(generator(4, image_size=8, width=4), critic(image_size=8, width=4), latent_dim=4)
    with pytest.raises(ValueError, match=r"shape that the generator makes, \(1, 8, 8\), got \(1, 12, 12\)"):
        next(gan.losses((torch.rand(4, 1, 12, 12),)))
    with pytest.raises(ValueError, match=r"values in \[0, 1\], got some from"):
        next(gan.losses((2 * torch.rand(4, 1, 8, 8) + 1,)))


def test_fewer_examples_than_updates_are_refused():
    with pytest.raises(ValueError, match="5 examples or more"):
        next(GAN(mlp(2, 6), mlp(6, 1), latent_dim=2, discriminator_steps=5).losses((torch.randn(4, 6),)))


@pytest.mark.row("GEN-66")
def test_noise_is_one_for_all_calls_of_a_step_and_fades_after_it():
    seen = []

    class Watched(InstanceNoise):
        def forward(self, x):
            seen.append(float(self.sigma))
            return super().forward(x)

    gan = GAN(mlp(2, 4, 2), nn.Sequential(Watched(1.0, decay=0.5), mlp(2, 4, 1)), latent_dim=2)
    for _ in range(2):
        for _player, _loss in gan.losses((torch.randn(8, 2),)):
            pass
    assert seen == [1.0] * 4 + [0.5] * 4


@pytest.mark.parametrize("answer", [torch.zeros(8, 2), torch.zeros(7, 1), torch.zeros(8, 1, 1)])
def test_a_discriminator_gives_one_score_an_example(answer):
    class Fixed(nn.Module):
        def forward(self, x):
            return answer

    gan = GAN(mlp(2, 4, 2), Fixed(), latent_dim=2)
    with pytest.raises(ValueError, match=r"expected scores of shape \(8,\) or \(8, 1\), got"):
        next(gan.losses((torch.randn(8, 2),)))
