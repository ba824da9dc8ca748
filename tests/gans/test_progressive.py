"""What fades in, and how the sides double."""

import pytest
import torch

from deepcanon.gans.progressive import ProgressiveGAN
from deepcanon.nets.progressive import GrowingDiscriminator, GrowingGenerator, double, halve
from tests.gans.updates import expected_source, played


@pytest.mark.row("GEN-76")
def test_the_ends_of_the_fade():
    net, z = GrowingGenerator(6, 3, first=2, width=8), torch.randn(4, 6)
    old = net(z, 1).logit()
    torch.testing.assert_close(net(z, 2, alpha=0.0).logit(), double(old), atol=1e-5, rtol=1e-4)
    h = net.blocks[0](net.first(z))
    for block in net.blocks[1:]:
        h = block(double(h))
    torch.testing.assert_close(net(z, 2, alpha=1.0).logit(), net.to_image[2](h), atol=1e-5, rtol=1e-4)
    between = net(z, 2, alpha=0.25).logit()
    torch.testing.assert_close(between, 0.75 * double(old) + 0.25 * net(z, 2).logit(), atol=1e-5, rtol=1e-4)


@pytest.mark.row("GEN-76")
def test_the_side_doubles_with_each_stage():
    generator, discriminator = GrowingGenerator(6, 3, first=2, width=8), GrowingDiscriminator(3, first=2, width=8)
    for stage, side in enumerate((2, 4, 8)):
        x = generator(torch.randn(4, 6), stage)
        assert x.shape == (4, 1, side, side)
        assert discriminator(x, stage).shape == (4,)


@pytest.mark.row("GEN-76")
def test_a_discriminator_without_its_new_block_is_the_old_one_on_halved_images():
    net, x = GrowingDiscriminator(3, first=2, width=8), torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(net(x, 2, alpha=0.0), net(halve(x), 1))


@pytest.mark.row("GEN-76")
def test_the_stages_follow_the_steps():
    gan = ProgressiveGAN(GrowingGenerator(6, 3, first=2, width=8), GrowingDiscriminator(3, first=2, width=8), latent_dim=6, num_stages=3,
                         stage_steps=4)
    seen = []
    for _ in range(14):
        seen.append(gan.progress())
        for _, loss in gan.losses((torch.rand(4, 1, 8, 8),)):
            assert loss.isfinite()
    assert seen[:4] == [(0, 1.0)] * 4
    assert seen[4:8] == [(1, 0.0), (1, 0.5), (1, 1.0), (1, 1.0)]
    assert seen[8:] == [(2, 0.0), (2, 0.5)] + [(2, 1.0)] * 4
    assert gan.sample(2).shape == (2, 1, 8, 8)


@pytest.mark.row("GEN-76")
@pytest.mark.parametrize(("count", "stage", "alpha"), [(0, 0, 1.0), (5, 1, 0.5), (9, 2, 0.5), (14, 2, 1.0)])
def test_the_losses_are_the_games_at_the_stage_with_the_slope_on_the_data(count, stage, alpha):
    """With the default penalty, half the mean squared gradient on what the stage sees of the data."""
    gan = ProgressiveGAN(
        GrowingGenerator(6, 3, first=2, width=8),
        GrowingDiscriminator(3, first=2, width=8),
        latent_dim=6,
        num_stages=3,
        stage_steps=4,
    ).double()
    gan.count.fill_(count)
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    taken = played(gan, x)
    assert list(taken) == ["discriminator", "generator"]
    assert gan.count == count + 1
    first, second = (gan.generator(torch.randn(4, 6, dtype=torch.float64), stage, alpha) for _ in range(2))
    seen = x
    for _ in range(2 - stage):
        seen = halve(seen)
    if alpha < 1:
        seen = alpha * seen + (1 - alpha) * double(halve(seen))
    seen.requires_grad_()
    real, fake = (gan.discriminator(u, stage, alpha) for u in (seen, first))
    (slope,) = torch.autograd.grad(real.sum(), seen, retain_graph=True)
    torch.testing.assert_close(
        taken["discriminator"], expected_source(real, fake) + slope.square().sum((1, 2, 3)).mean() / 2
    )
    torch.testing.assert_close(
        taken["generator"], -gan.discriminator(second, stage, alpha).sigmoid().log().mean()
    )


@pytest.mark.row("GEN-76")
def test_samples_are_those_of_the_stage():
    gan = ProgressiveGAN(
        GrowingGenerator(6, 2, first=2, width=8),
        GrowingDiscriminator(2, first=2, width=8),
        latent_dim=6,
        num_stages=2,
        stage_steps=4,
    )
    gan.count.fill_(5)
    torch.manual_seed(1)
    x = gan.sample(3)
    torch.manual_seed(1)
    torch.testing.assert_close(x, gan.generator(torch.randn(3, 6), 1, 0.5).detach())


@pytest.mark.row("GEN-76")
def test_the_data_are_halved_and_faded():
    gan = ProgressiveGAN(GrowingGenerator(6, 2, first=2, width=8), GrowingDiscriminator(2, first=2, width=8), latent_dim=6, num_stages=2,
                         stage_steps=4)
    x = torch.rand(3, 1, 4, 4)
    torch.testing.assert_close(gan.reduced(x, 0, 1.0), halve(x))
    assert torch.equal(gan.reduced(x, 1, 1.0), x)
    torch.testing.assert_close(gan.reduced(x, 1, 0.25), 0.75 * double(halve(x)) + 0.25 * x)
    with pytest.raises(ValueError, match="shape that the generator makes"):
        next(gan.losses((torch.rand(3, 1, 12, 12),)))
