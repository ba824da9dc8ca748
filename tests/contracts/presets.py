"""A tiny instance of every method with a batch it can learn: one line makes a new method subject to the contract."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from deepcanon.autoregressive.density import AutoregressiveDensity
from deepcanon.autoregressive.made import BernoulliMADE
from deepcanon.autoregressive.pixels import Continuous, LogisticMixture, Softmax, logit_normal
from deepcanon.diffusion.annealed import geometric
from deepcanon.diffusion.conditional import ConditionalDDPM
from deepcanon.diffusion.ddpm import DDPM
from deepcanon.diffusion.ncsn import NCSN
from deepcanon.diffusion.schedules import linear_schedule
from deepcanon.diffusion.score_matching import ScoreModel
from deepcanon.diffusion.score_sde import ScoreSDE
from deepcanon.energy.ebm import EBM
from deepcanon.energy.hopfield import Hopfield
from deepcanon.energy.langevin import langevin
from deepcanon.flows.dequantize import Dequantized, UniformNoise, VariationalNoise, noise_couplings
from deepcanon.flows.flow import Flow
from deepcanon.flows.glow import glow
from deepcanon.flows.iaf import iaf
from deepcanon.flows.maf import maf
from deepcanon.flows.nice import nice
from deepcanon.flows.realnvp import realnvp, realnvp_images
from deepcanon.flows.wavenet_distillation import Distillation
from deepcanon.foundations.ensembles import Ensemble, MonteCarloDropout, SharedTrunk
from deepcanon.foundations.linear import LinearClassifier
from deepcanon.foundations.snapshots import Snapshots
from deepcanon.gans.acgan import ACGAN
from deepcanon.gans.bigan import BiGAN
from deepcanon.gans.conditional import ConditionalGAN
from deepcanon.gans.cyclegan import CycleGAN
from deepcanon.gans.feature_matching import FeatureMatchingGAN
from deepcanon.gans.gan import GAN
from deepcanon.gans.historical import HistoricalAveraging
from deepcanon.gans.infogan import InfoGAN
from deepcanon.gans.objectives import relativistic
from deepcanon.gans.penalties import zero_centred
from deepcanon.gans.pix2pix import Pix2Pix
from deepcanon.gans.progressive import ProgressiveGAN
from deepcanon.gans.semi_supervised import SemiSupervisedGAN
from deepcanon.gans.unrolled import UnrolledGAN
from deepcanon.gans.wgan import WGANGP
from deepcanon.language.causal import LanguageModel
from deepcanon.layers.quantize import AveragedQuantizer, VectorQuantizer
from deepcanon.meta.maml import MAML
from deepcanon.nets.conditional import Joined
from deepcanon.nets.conv4 import Conv4
from deepcanon.nets.dcgan import critic, generator
from deepcanon.nets.gpt import GPT
from deepcanon.nets.image_transformer import ImageTransformer, local_1d
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.made import MADE
from deepcanon.nets.members import StackedMLPs
from deepcanon.nets.mlp import mlp
from deepcanon.nets.patchgan import Translator, judge
from deepcanon.nets.pixelcnn import GatedPixelCNN, PixelCNN
from deepcanon.nets.pixelrnn import PixelRNN, RowLSTM
from deepcanon.nets.progressive import GrowingDiscriminator, GrowingGenerator
from deepcanon.nets.resmlp import ResidualMLP
from deepcanon.nets.resnet import resnet_cifar
from deepcanon.nets.unet import UNet
from deepcanon.nets.wavenet import WaveNet
from deepcanon.rl.critics import Critics
from deepcanon.rl.dqn import DQN
from deepcanon.rl.ppo import PPO
from deepcanon.rl.sac import SAC
from deepcanon.ssl.byol import BYOL
from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.conditional import ConditionalVAE
from deepcanon.vae.denoising import masking
from deepcanon.vae.gumbel import GumbelVAE
from deepcanon.vae.hierarchical import HierarchicalVAE
from deepcanon.vae.iwae import IWAE
from deepcanon.vae.pretraining import Stage
from deepcanon.vae.prior import CodePrior
from deepcanon.vae.schedule import Scheduled, ramp
from deepcanon.vae.score_function import ScoreFunctionVAE
from deepcanon.vae.semi_supervised import SemiSupervisedVAE
from deepcanon.vae.sparse import Dictionary, l1
from deepcanon.vae.vae import VAE
from deepcanon.vae.variational import PerPointVI
from deepcanon.vae.vq_vae import VQVAE
from deepcanon.vision.classify import Classifier


@dataclass(frozen=True)
class Preset:
    """A method, its batch, and what to expect of it.

    Args:
        build: () -> method.
        batch: () -> batch.
        learns: the player whose loss falls when it alone is trained.
        verbs: name of a verb -> arguments to call it with.
        frozen: prefixes of the parameters that are never trained.
    """

    build: Callable[[], nn.Module]
    batch: Callable[[], tuple[Tensor, ...]]
    learns: str = ""
    verbs: dict[str, tuple] | None = None
    frozen: tuple[str, ...] = ()


def images(size: int, channels: int = 1, n: int = 16, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] whose class is the brightest quarter."""
    y = torch.arange(n) % classes
    x = 0.3 * torch.rand(n, channels, size, size)
    half = size // 2
    for i, label in enumerate(y.tolist()):
        x[i, :, half * (label // 2) : half * (label // 2 + 1), half * (label % 2) : half * (label % 2 + 1)] += 0.6
    return x, y


def transitions(n: int = 32) -> tuple[Tensor, ...]:
    """Observations, actions, rewards, next observations, terminations."""
    return torch.randn(n, 3), torch.randint(2, (n,)), torch.randn(n), torch.randn(n, 3), (torch.rand(n) < 0.3).float()


def rollout(steps: int = 8, worlds: int = 4) -> tuple[Tensor, ...]:
    """Observations, actions, rewards, next observations, terminations, ends; steps x worlds."""
    s, over = torch.randn(steps + 1, worlds, 3), (torch.rand(steps, worlds) < 0.2).float()
    return s[:-1], torch.randint(2, (steps, worlds)), torch.randn(steps, worlds), s[1:], over, over


def pushes(n: int = 32) -> tuple[Tensor, ...]:
    """Transitions under real actions."""
    s, _, r, s_next, terminated = transitions(n)
    return s, torch.rand(n, 1) * 2 - 1, r, s_next, terminated


def small_sac() -> SAC:
    """Two critics, one action in [-1, 1]."""
    return SAC(mlp(3, 16, 2), Critics(3, 1, 16), bounds=(-np.ones(1, np.float32), np.ones(1, np.float32)))


def flat_vae(beta: float | Scheduled = 1.0) -> VAE:
    """On 8x8 images."""
    return VAE(flat(64, 32, 8), picture(4, 32), latent_dim=4, beta=beta)


def picture(*dims: int) -> nn.Sequential:
    """A perceptron that ends in 8x8 images."""
    return nn.Sequential(mlp(*dims, 64), nn.Unflatten(1, (1, 8, 8)))


def stage() -> Stage:
    """The second of two layers on 8x8 images."""
    return Stage([Autoencoder(flat(64, 16), picture(16)), Autoencoder(mlp(16, 4), mlp(4, 16))], 1)


def sparse_autoencoder() -> Autoencoder:
    """Sixteen atoms of 8x8 images, and pixels masked."""
    decoder = nn.Sequential(Dictionary(16, 64), nn.Unflatten(1, (1, 8, 8)))
    return Autoencoder(nn.Sequential(flat(64, 16), nn.Softplus()), decoder, corrupt=masking(0.2), penalty=l1(1e-3))


def small_ebm() -> EBM:
    """On 8x8 images, sixteen chains."""
    net = nn.Sequential(nn.Flatten(), mlp(64, 32, 1, activation=nn.SiLU))
    return EBM(net, lambda n: torch.rand(n, 1, 8, 8), sampler=partial(langevin, steps=3, step_size=0.01), chains=16, alpha=0.1)


def small_vq_vae(quantizer: Callable[..., VectorQuantizer | AveragedQuantizer] = VectorQuantizer) -> VQVAE:
    """On 8x8 images, four positions, eight codes."""
    encoder = nn.Sequential(nn.Flatten(), mlp(64, 32, 8), nn.Unflatten(1, (2, 4)))
    return VQVAE(encoder, nn.Sequential(nn.Flatten(), mlp(8, 32, 64), nn.Unflatten(1, (1, 8, 8))), quantizer(8, 2, restart=0.1))


def small_prior() -> CodePrior:
    """Of the codes of an untrained VQ-VAE."""
    return CodePrior(small_vq_vae(), GPT(9, 4, num_layers=1, num_heads=2, embed_dim=16), shape=(4,), num_codes=8)


def quiet_gan() -> WGANGP:
    """On 8x8 images, one critic update for one of the generator."""
    return WGANGP(generator(4, image_size=8, width=4), critic(image_size=8, width=4), latent_dim=4, critic_steps=1)


def smooth_gan() -> GAN:
    """On 8x8 images, R3GAN's loss."""
    return GAN(generator(4, image_size=8, width=4), critic(image_size=8, width=4), latent_dim=4, objective=relativistic,
               penalty=zero_centred(1.0, 1.0))


def corners(n: int = 32) -> tuple[Tensor, Tensor]:
    """Three places in the plane, one a class."""
    y = torch.arange(n) % 3
    return torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]])[y] + 0.1 * torch.randn(n, 2), y


def told(outputs: int) -> Joined:
    """A perceptron on two numbers and one of three classes."""
    return Joined(mlp(5, 16, outputs), 3)


def growing_gan() -> ProgressiveGAN:
    """On 8x8 images, in the middle of its last fade."""
    gan = ProgressiveGAN(GrowingGenerator(4, 2, first=4, width=4), GrowingDiscriminator(2, first=4, width=4), latent_dim=4, num_stages=2,
                         stage_steps=1_000)
    gan.count += 1_250
    return gan


def two_domains() -> CycleGAN:
    """On 8x8 images."""
    return CycleGAN(*(Translator(width=4, blocks=1) for _ in range(2)), *(judge(width=4) for _ in range(2)))


def in_levels() -> tuple[Tensor, Tensor]:
    """Images of 256 levels."""
    x, y = images(8)
    return (255 * x).round() / 255, y


def small_ddpm() -> DDPM:
    """On 8x8 images, ten noise levels."""
    return DDPM(UNet(1, (8, 16), groups=4), (1, 8, 8), abar=linear_schedule(10))


def small_resmlp(condition_dim: int | None = None) -> ResidualMLP:
    """On 8x8 images; its last layers do not start at zero, so that a gradient reaches all others."""
    net = ResidualMLP((1, 8, 8), width=32, num_layers=1, time_dim=16, condition_dim=condition_dim)
    for p in net.parameters():
        if not p.any():
            nn.init.normal_(p, std=0.1)
    return net


def told_ddpm() -> ConditionalDDPM:
    """On 8x8 images of four classes."""
    return ConditionalDDPM(DDPM(small_resmlp(8), (1, 8, 8), abar=linear_schedule(10)), nn.Embedding(4, 8), embed_dim=8, drop=0.3)


def memory() -> Hopfield:
    """Of sixteen units, with other patterns in it than it learns."""
    return Hopfield(16).fit(2.0 * torch.randint(2, (4, 16)) - 1)


def flat(*dims: int) -> nn.Sequential:
    """A perceptron on images."""
    return nn.Sequential(nn.Flatten(), mlp(*dims))


def dropping() -> MonteCarloDropout:
    """On 8x8 images, three masks."""
    return MonteCarloDropout(nn.Sequential(nn.Flatten(), mlp(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 4)), 3)


def tasks(n: int = 2) -> tuple[Tensor, ...]:
    """Few-shot tasks: two images and two queries of each of four classes."""
    x, y = (t.unflatten(0, (n, 16)) for t in images(16, n=16 * n))
    return x[:, :8], y[:, :8], x[:, 8:], y[:, 8:]


def views(n: int = 16) -> tuple[Tensor, Tensor]:
    """Two noisy views of each image."""
    x, y = images(16, n=n)
    return torch.stack([x, x + 0.1 * torch.randn_like(x)], 1), y


def small_byol() -> BYOL:
    """On 16x16 images."""
    return BYOL(Conv4(width=8, running_statistics=True).body, projector=mlp(8, 16, 6), predictor=mlp(6, 16, 6))


class Letters:
    """a, b, c, d as 0, 1, 2, 3."""

    def encode(self, string: str) -> list[int]:
        return [ord(c) - ord("a") for c in string]

    def decode(self, numbers: Sequence[int]) -> str:
        return "".join(chr(ord("a") + n) for n in numbers)


def small_gpt() -> LanguageModel:
    """Two layers, four letters."""
    return LanguageModel(GPT(4, 8, num_layers=2, num_heads=2, embed_dim=16), Letters())


def sentences(n: int = 8) -> tuple[Tensor, Tensor]:
    """Runs through the alphabet from a random letter."""
    text = (torch.randint(4, (n, 1)) + torch.arange(9)) % 4
    return text[:, :-1].contiguous(), text[:, 1:].contiguous()


def points(n: int = 32) -> tuple[Tensor]:
    """Four numbers each, which hang together."""
    x = torch.randn(n, 4)
    return (torch.cat([x[:, :2], x[:, :2].square() + 0.3 * x[:, 2:]], 1),)


def levels(n: int = 16) -> tuple[Tensor]:
    """8x8 images of four levels."""
    return ((images(8, n=n)[0] * 3).round() / 3,)


def varied_glow() -> Dequantized:
    """On 8x8 images, their noise learned."""
    noise = VariationalNoise(noise_couplings((1, 8, 8), width=4, num_layers=2))
    return Dequantized(Flow(glow((1, 8, 8), num_steps=1, width=4), (1, 8, 8)), noise, levels=4)


def small_realnvp() -> Dequantized:
    """On 8x8 images."""
    return Dequantized(Flow(realnvp_images((1, 8, 8), width=4), (1, 8, 8)), UniformNoise(), levels=4)


def small_distillation() -> Distillation:
    """Of an untrained teacher."""
    return Distillation(Flow(iaf(4, hidden=(16,), num_layers=2), (4,)), Flow(maf(4, hidden=(16,), num_layers=1), (4,)))


def small_made() -> BernoulliMADE:
    """On 4x4 images."""
    return BernoulliMADE(MADE(16, (32,)), (1, 4, 4))


def coarse(levels: int = 4, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Images of 4 x 4 pixels on few levels."""
    x, y = images(4, channels)
    return (x * (levels - 1)).round() / (levels - 1), y


def density(net: nn.Module, likelihood: nn.Module | None = None, channels: int = 1) -> AutoregressiveDensity:
    """Of images on four levels, by a net of four outputs a pixel unless it has those of a likelihood."""
    return AutoregressiveDensity(net, likelihood or Softmax(1, 4), shape=(channels, 4, 4))


def sounds() -> tuple[Tensor, Tensor]:
    """Sixteen moments on four levels."""
    x, y = coarse()
    return x.flatten(2), y


PRESETS = {
    "maml": Preset(lambda: MAML(Conv4(4, width=4)), tasks, verbs={"predict": tuple(t[0] for t in tasks()[:3])}),
    "byol": Preset(small_byol, views, verbs={"encode": (images(16)[0],)}, frozen=("teacher",)),
    "linear": Preset(lambda: LinearClassifier(64, 4), lambda: images(8, n=15), verbs={"predict": (images(8)[0],), "templates": (1, 8, 8)}),
    "lenet": Preset(lambda: Classifier(LeNet(4, image_size=16, widths=(4, 8, 32, 16))), lambda: images(16), verbs={"predict": (images(16)[0],)}),
    "resnet": Preset(lambda: Classifier(resnet_cifar(8, 4, in_channels=3, width=4)), lambda: images(12, 3), verbs={"predict": (images(12, 3)[0],)}),
    "vae": Preset(flat_vae, lambda: images(8), verbs={"sample": (3,), "log_prob": (images(8)[0], 5), "encode": (images(8)[0],)}),
    "vae_with_a_schedule": Preset(lambda: flat_vae(Scheduled(ramp(0.0, 1.0, 20))), lambda: images(8), verbs={"sample": (3,)}),
    "autoencoder": Preset(lambda: Autoencoder(flat(64, 32, 4), picture(4, 32)), lambda: images(8),
                          verbs={"encode": (images(8)[0],), "reconstruct": (images(8)[0],), "decode": (torch.randn(3, 4),)}),
    "sparse_autoencoder": Preset(sparse_autoencoder, lambda: images(8), verbs={"reconstruct": (images(8)[0],)}),
    "pretraining": Preset(stage, lambda: images(8), verbs={"encode": (images(8)[0],)}, frozen=("below",)),
    "conditional_vae": Preset(lambda: ConditionalVAE(Joined(mlp(68, 32, 8), 4), Joined(picture(8, 32), 4), latent_dim=4), lambda: images(8),
                              verbs={"sample": (3, torch.arange(3))}),
    "conditional_vae_prior": Preset(lambda: ConditionalVAE(Joined(mlp(68, 32, 8), 4), Joined(picture(8, 32), 4), latent_dim=4,
                                                           prior=nn.Embedding(4, 8)), lambda: images(8), verbs={"sample": (3, torch.arange(3))}),
    "semi_supervised_vae": Preset(lambda: SemiSupervisedVAE(Joined(mlp(68, 32, 8), 4), Joined(picture(8, 32), 4), flat(64, 4), latent_dim=4,
                                                            num_classes=4), lambda: images(8), verbs={"sample": (3,), "predict": (images(8)[0],)}),
    "gumbel_vae": Preset(lambda: GumbelVAE(flat(64, 32, 12), picture(12, 32), num_codes=4, num_values=3), lambda: images(8),
                         verbs={"sample": (3,), "encode": (images(8)[0],), "reconstruct": (images(8)[0],)}),
    "iwae": Preset(lambda: IWAE(flat_vae(), samples=5), lambda: images(8), verbs={"sample": (3,), "log_prob": (images(8)[0], 5)}),
    "hierarchical_vae": Preset(lambda: HierarchicalVAE([flat(64, 32, 8), mlp(4, 8, 4)], [picture(4, 32), mlp(2, 8, 8)], latent_dims=(4, 2)),
                               lambda: images(8), verbs={"sample": (3,)}),
    "score_function_vae": Preset(lambda: ScoreFunctionVAE(flat(64, 32, 4), picture(4, 32), latent_dim=4), lambda: images(8), verbs={"sample": (3,)}),
    "per_point_vi": Preset(lambda: PerPointVI(picture(4, 32), num_points=16, latent_dim=4), lambda: (images(8)[0], torch.arange(16)),
                           learns="decoder", verbs={"sample": (3,)}),
    "wgan_gp": Preset(quiet_gan, lambda: images(8), learns="critic", verbs={"sample": (3,)}),
    "gan": Preset(smooth_gan, lambda: images(8), learns="discriminator", verbs={"sample": (3,)}),
    "conditional_gan": Preset(lambda: ConditionalGAN(told(2), told(1), latent_dim=2, num_classes=3), corners, learns="discriminator",
                              verbs={"sample": (3,)}),
    "acgan": Preset(lambda: ACGAN(told(2), mlp(2, 16, 4), latent_dim=2, num_classes=3), corners, learns="discriminator",
                    verbs={"sample": (3,), "predict": (corners()[0],)}),
    "infogan": Preset(lambda: InfoGAN(told(2), mlp(2, 16, 1), mlp(2, 16, 3), latent_dim=2, num_codes=3), corners, learns="discriminator",
                      verbs={"sample": (3,), "encode": (corners()[0],)}),
    "bigan": Preset(lambda: BiGAN(mlp(2, 16, 2), mlp(2, 16, 2), mlp(4, 16, 1), latent_dim=2), corners, learns="discriminator",
                    verbs={"sample": (3,), "encode": (corners()[0],)}),
    "feature_matching": Preset(lambda: FeatureMatchingGAN(mlp(2, 16, 2), mlp(2, 16, 1), latent_dim=2), corners, learns="discriminator",
                               verbs={"sample": (3,)}),
    "historical_averaging": Preset(lambda: HistoricalAveraging(GAN(mlp(2, 16, 2), mlp(2, 16, 1), latent_dim=2)), corners,
                                   learns="method.discriminator", verbs={"sample": (3,)}),
    "unrolled_gan": Preset(lambda: UnrolledGAN(mlp(2, 16, 2), mlp(2, 16, 1), latent_dim=2, unroll=2), corners, learns="discriminator",
                           verbs={"sample": (3,)}),
    "semi_supervised_gan": Preset(lambda: SemiSupervisedGAN(mlp(2, 16, 2), mlp(2, 16, 3), latent_dim=2), corners, learns="classifier",
                                  verbs={"sample": (3,), "predict": (corners()[0],), "probabilities": (corners()[0],)}),
    "progressive_gan": Preset(growing_gan, lambda: images(8), learns="discriminator", verbs={"sample": (3,)}),
    "pix2pix": Preset(lambda: Pix2Pix(Translator(width=4, blocks=1), judge(2, width=4)), lambda: (images(8)[0], 1 - images(8)[0]),
                      learns="generator", verbs={"predict": (images(8)[0],)}),
    "cyclegan": Preset(two_domains, lambda: (images(8)[0], 1 - images(8)[0]), learns="translators",
                       verbs={"translate": (images(8)[0],), "translate_back": (images(8)[0],)}),
    "ddpm": Preset(small_ddpm, lambda: images(8), verbs={"sample": (3,)}),
    "gpt": Preset(small_gpt, sentences),
    "dqn": Preset(lambda: DQN(mlp(3, 16, 2)), transitions, learns="q", frozen=("target",)),
    "ppo": Preset(lambda: PPO(mlp(3, 16, 2), mlp(3, 16, 1), gamma=0.5, epochs=1, minibatch=32), rollout),
    "sac": Preset(small_sac, pushes, learns="critic", frozen=("target",)),
    "ensemble": Preset(lambda: Ensemble(StackedMLPs([flat(64, 8, 4) for _ in range(3)])), lambda: images(8), verbs={"predict": (images(8)[0],)}),
    "shared_trunk": Preset(lambda: SharedTrunk(flat(64, 8), [mlp(8, 8, 4), mlp(8, 4)]), lambda: images(8), verbs={"predict": (images(8)[0],)}),
    "mc_dropout": Preset(dropping, lambda: images(8), verbs={"predict": (images(8)[0],)}),
    "snapshots": Preset(lambda: Snapshots(flat(64, 8, 4), every=9), lambda: images(8), learns="net", frozen=("kept",)),
    "ebm": Preset(small_ebm, lambda: images(8), verbs={"sample": (3,)}),
    "vq_vae": Preset(small_vq_vae, lambda: images(8), verbs={"encode": (images(8)[0],), "reconstruct": (images(8)[0],)}),
    "vq_vae_averaged": Preset(lambda: small_vq_vae(AveragedQuantizer), lambda: images(8), verbs={"reconstruct": (images(8)[0],)}),
    "vq_prior": Preset(small_prior, lambda: images(8), verbs={"sample": (3,)}, frozen=("autoencoder",)),
    "nice": Preset(lambda: Flow(nice(4, hidden=(16,)), (4,)), points, verbs={"sample": (3,), "encode": points()}),
    "realnvp": Preset(lambda: Flow(realnvp(4, hidden=(16,)), (4,)), points, verbs={"sample": (3,), "encode": points()}),
    "maf": Preset(lambda: Flow(maf(4, hidden=(16,), num_layers=2), (4,)), points, verbs={"sample": (3,), "encode": points()}),
    "iaf": Preset(lambda: Flow(iaf(4, hidden=(16,), num_layers=2), (4,)), points, verbs={"sample": (3,), "encode": points()}),
    "realnvp_images": Preset(small_realnvp, levels, verbs={"sample": (3,)}),
    "glow_varied": Preset(varied_glow, levels, verbs={"sample": (3,)}),
    "distillation": Preset(small_distillation, points, verbs={"sample": (3,)}, frozen=("teacher",)),
    "made": Preset(small_made, lambda: (images(4)[0].round(),), verbs={"sample": (3,)}),
    "pixelcnn_plain": Preset(lambda: density(PixelCNN(1, 4, width=8, num_layers=1)), coarse, verbs={"sample": (3,)}),
    "pixelcnn": Preset(lambda: density(GatedPixelCNN(1, 4, width=8, first=3, dilations=(1,))), coarse, verbs={"sample": (3,)}),
    "pixelcnn_of_a_class": Preset(lambda: density(GatedPixelCNN(1, 4, width=8, first=3, dilations=(1,), condition=nn.Embedding(4, 8))), coarse,
                                  verbs={"sample": (3, torch.arange(3))}),
    "pixelcnn_logistic": Preset(lambda: density(GatedPixelCNN(2, 12, width=8, first=3, dilations=(1,)), LogisticMixture(2, 2, 4), 2),
                                lambda: coarse(channels=2), verbs={"sample": (3,)}),
    "pixelcnn_logit_normal": Preset(lambda: density(GatedPixelCNN(1, 2, width=8, first=3, dilations=(1,)), Continuous(logit_normal, levels=4)),
                                    coarse, verbs={"sample": (3,)}),
    "pixelrnn": Preset(lambda: density(PixelRNN(1, 4, width=8, num_layers=1)), coarse, verbs={"sample": (3,)}),
    "pixelrnn_rows": Preset(lambda: density(PixelRNN(1, 4, RowLSTM, width=8, num_layers=1)), coarse, verbs={"sample": (3,)}),
    "image_transformer": Preset(lambda: density(ImageTransformer(1, 4, local_1d((4, 4), 4, 4), size=(4, 4), embed_dim=8, num_heads=2, num_layers=1)),
                                coarse, verbs={"sample": (3,)}),
    "wavenet": Preset(lambda: AutoregressiveDensity(WaveNet(1, 4, width=8, dilations=(1, 2), skip=8), Softmax(1, 4), shape=(1, 16)), sounds,
                      verbs={"sample": (3,)}),
    "hopfield": Preset(memory, lambda: (2.0 * torch.randint(2, (8, 16)) - 1,), verbs={"reconstruct": (torch.ones(2, 16),)}),
    "score": Preset(lambda: ScoreModel(mlp(3, 16, 3, activation=nn.Tanh)), lambda: (torch.randn(16, 3),)),
    "ncsn": Preset(lambda: NCSN(small_resmlp(), (1, 8, 8), sigmas=geometric(5.0, 0.1, 4)), lambda: images(8), verbs={"sample": (3,)}),
    "score_sde": Preset(lambda: ScoreSDE(small_resmlp(), (1, 8, 8), levels=256, steps=4), in_levels, verbs={
        "sample": (3,), "encode": in_levels()[:1], "bits_per_dim": in_levels()[:1]}),
    "told_ddpm": Preset(told_ddpm, lambda: images(8), verbs={"sample": (3, torch.tensor([0, 1, 2]))}),
}
