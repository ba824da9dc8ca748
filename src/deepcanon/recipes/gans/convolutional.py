"""Runs of adversarial networks of convolutions, for images whose sides can be halved several times."""

from deepcanon.data import Images, open_data
from deepcanon.engine import Adam, Run, at_least, at_most, fit, preset, recipe
from deepcanon.gans.conditional import ConditionalGAN
from deepcanon.gans.gan import GAN
from deepcanon.gans.objectives import hinge
from deepcanon.gans.penalties import zero_centred
from deepcanon.gans.progressive import ProgressiveGAN
from deepcanon.nets import dcgan as nets
from deepcanon.nets.biggan import BigDiscriminator, BigGenerator
from deepcanon.nets.progressive import GrowingDiscriminator, GrowingGenerator
from deepcanon.recipes.evaluation import evaluations, pictures
from deepcanon.recipes.gans.classes import condition_measure
from deepcanon.recipes.gans.nets import play
from deepcanon.recipes.inputs import SIDE, class_count, halved


@recipe(paper="Radford et al. 2016", systems=["GEN-59", "MET-10"], presets=[
    preset("digits", latent=32, width=16, lr=1e-3, steps=1_500, seconds=120,
           target={"frechet_ratio": at_most(0.2), "class_min": at_least(0.02)}),
    preset("cifar10", "full", size=64, latent=100, width=64, gamma=0.0, lr=2e-4, batch=128, steps=50_000,
           fast=True)])
def dcgan(data: Images = "digits", *, size: int | None = None, latent: int = 64, width: int = 32,
          gamma: float = 1.0, lr: float = 5e-4, batch: int = 64, steps: int = 10_000, fast: bool = False,
          seed: int = 0) -> Run:
    """DCGAN, kept steady by R1; without it and at 64 pixels as in the paper.

    Args:
        data: images by name, folder, file or object.
        size: side in pixels, a multiple of 4; None is 32 for your own images.
        latent, width: numbers that the generator reads, channels of its last hidden layer.
        gamma: weight of R1; 0 at 64 pixels is the paper's net, with batch normalisation in the discriminator.
        fast: compiled nets in bfloat16 where the processor has it.
    """
    source = open_data(data, "images", size=size, side=SIDE)
    channels, _, side = halved(source, 2)
    speed = {"bf16": fast, "compile": ("generator", "discriminator") if fast else ()}
    if gamma == 0 and side == 64:
        method = GAN(nets.generator64(latent, channels=channels, width=width),
                     nets.discriminator64(channels=channels, width=width), latent_dim=latent)
        return fit(method, source.train(batch=batch, seed=seed), Adam(lr, betas=(0.5, 0.999)), steps=steps,
                   seed=seed, evaluate=evaluations(method, source, ratio=True),
                   callbacks=pictures(source, every=1_000), **speed)
    method = GAN(nets.generator(latent, channels=channels, image_size=side, width=width),
                 nets.critic(channels=channels, image_size=side, width=width), latent_dim=latent,
                 penalty=zero_centred(gamma) if gamma else None)
    return play(method, source, lr, batch, steps, seed, **speed)


@recipe(paper="Karras et al. 2018", systems=["GEN-76", "MET-10"], presets=[
    preset("digits", latent=32, stages=3, stage_steps=600, steps=3_500, seconds=240,
           target={"frechet_ratio": at_most(0.2), "class_min": at_least(0.02)})])
def progressive_gan(data: Images = "digits", *, size: int | None = None, latent: int = 64, width: int = 32,
                    stages: int = 4, stage_steps: int = 1_500, gamma: float = 0.1, lr: float = 2e-3,
                    batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """Progressive GAN: both players begin with small images and grow, stage by stage, to the full size.

    Args:
        data: images by name, folder, file or object.
        size: side in pixels, a multiple of 2^(stages - 1); None is 32 for your own images.
        latent, width: numbers that the generator reads, channels of every layer.
        stages, stage_steps: how many sizes, each twice the one before; steps at each.
        gamma: weight of R1.
    """
    source = open_data(data, "images", size=size, side=SIDE)
    channels, _, side = halved(source, stages - 1)
    form = {"channels": channels, "first": side // 2 ** (stages - 1), "width": width}
    method = ProgressiveGAN(GrowingGenerator(latent, stages, **form), GrowingDiscriminator(stages, **form),
                            latent_dim=latent, num_stages=stages, stage_steps=stage_steps,
                            penalty=zero_centred(gamma))
    return play(method, source, lr, batch, steps, seed, betas=(0.0, 0.99))


@recipe(paper="Brock et al. 2019", systems=["GEN-77", "MET-10"], presets=[
    preset("digits", steps=1_500, seconds=300,
           target={"conditional_accuracy": at_least(0.8), "truncation_gain": at_least(0.0)})])
def biggan(data: Images = "digits", *, size: int | None = None, latent: int = 48, width: int = 32,
           threshold: float = 0.5, lr: float = 1e-3, batch: int = 64, steps: int = 10_000,
           seed: int = 0) -> Run:
    """Small BigGAN of images with classes: it draws the class asked for, more surely with truncated latents.

    Args:
        data: images of two classes or more, by name, folder, file or object.
        size: side in pixels, which is halved twice, three times from 32 on; None is 32 for your own images.
        latent, width: numbers that the generator's first layer and blocks share; channels of its last block.
        threshold: largest number of a truncated latent.
    """
    source = open_data(data, "images", size=size, side=SIDE)
    classes, blocks = class_count(source), max(2, source.shape[-1].bit_length() - 3)
    channels, _, side = halved(source, blocks)
    widths = [width * 2**i for i in range(blocks)]
    makes = BigGenerator(latent, classes, channels=channels, image_size=side, widths=[*widths[::-1], width])
    method = ConditionalGAN(makes, BigDiscriminator(classes, channels=channels, widths=widths),
                            latent_dim=latent, num_classes=classes, objective=hinge)
    return play(method, source, lr, batch, steps, seed, betas=(0.0, 0.99),
                measure=condition_measure(source, threshold))

