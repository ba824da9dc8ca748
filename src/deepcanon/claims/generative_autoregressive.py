"""Claims about models that make one part after another: their likelihoods, their calls, what they can see."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcanon.autoregressive.density import AutoregressiveDensity, decode
from deepcanon.autoregressive.made import BernoulliMADE
from deepcanon.autoregressive.pixels import LogisticMixture, Softmax
from deepcanon.claims.experiment import Finding, Numbers, above, below, claim, every, over_seeds
from deepcanon.claims.generative_problems import Calls, train
from deepcanon.data import images
from deepcanon.foundations.information import kl
from deepcanon.foundations.optimizers import Adam
from deepcanon.nets.made import MADE
from deepcanon.nets.perceptron import mlp
from deepcanon.nets.pixelcnn import GatedPixelCNN
from deepcanon.vae.vae import VAE


def held_out(likelihood: Softmax | LogisticMixture, x: Tensor, test: Tensor) -> float:
    """The lowest negative log-likelihood of new values during 150 steps of Adam on the parameters for x."""
    theta = nn.Parameter(torch.zeros(likelihood.size) + 0.1 * torch.randn(likelihood.size))
    optimizer, best = Adam([theta], 0.05), float("inf")
    for _ in range(150):
        optimizer.zero_grad()
        (-likelihood.log_prob(theta.expand(len(x), -1), x).mean()).backward()
        optimizer.step()
        with torch.no_grad():
            best = min(best, -likelihood.log_prob(theta.expand(len(test), -1), test).mean().item())
    return best


@claim("C-182", answer="yes")
def a_softmax_knows_no_neighbours() -> Finding:
    """A softmax over 256 pixel values does not know which of them are near each other; a mixture of logistics
    does.

    50 pixel values around two levels, 1,000 new ones, five seeds: the lowest held-out negative log-likelihood
    that each reaches in training, nats, and the lead of five logistics; then the lead after all values have
    been renamed by one random permutation.
    """
    def experiment(seed: int) -> Numbers:
        def draw(n: int) -> Tensor:
            return (80 + 90 * torch.randint(2, (n,)) + 12 * torch.randn(n)).round().clamp(0, 255).long()

        x, test, renamed, numbers = draw(50), draw(1000), torch.randperm(256), {}
        for name, order in (("", torch.arange(256)), ("_renamed", renamed)):
            for kind, likelihood in (("softmax", Softmax(1, 256)), ("logistics", LogisticMixture(1, 5, 256))):
                numbers[f"{kind}{name}"] = held_out(likelihood, order[x, None] / 255, order[test, None] / 255)
            numbers[f"lead{name}"] = numbers[f"softmax{name}"] - numbers[f"logistics{name}"]
        return numbers

    means, ends = over_seeds(experiment)
    uses = every(above(ends["lead"], 0.0), below(ends["lead_renamed"], 0.2))
    return Finding(means, uses, "Renaming changes nothing for a softmax but the noise of its start.", ends)


@claim("C-183", answer="yes")
def autoregressive_models_are_likely_and_slow() -> Finding:
    """Autoregressive models have the best likelihoods and are slow to sample from.

    Digits of 8 x 8 binary pixels, 300 steps of a masked autoencoder for distributions (MADE) and of a VAE,
    five seeds: negative log-likelihood of new digits, exact and by 50 importance samples, and what the first
    gains, in nats; steps that follow one another in a sample, and calls of the VAE's decoder for one.
    """
    x, test = ((next(iter(images("digits", split=split, batch=1400)))[0].flatten(1) > 0.5).float()
               for split in ("train", "test"))

    def experiment(seed: int) -> Numbers:
        made = BernoulliMADE(MADE(64, (128,)), (64,))
        vae, numbers = VAE(mlp(64, 64, 32), mlp(16, 64, 64), latent_dim=16), {}
        for method in (made, vae):
            train(method, x, steps=300, batch=100, seed=seed)
        with torch.no_grad():
            numbers["autoregressive_nll"] = -made.log_prob(test).mean().item()
            numbers["vae_nll"] = -vae.log_prob(test, samples=50).mean().item()
            numbers["autoregressive_steps"] = float(len(made.net.unroll(1).known))
            calls = Calls(vae.decoder)
            vae.sample(1)
        gain = numbers["vae_nll"] - numbers["autoregressive_nll"]
        return numbers | {"vae_calls": calls.count, "gain": gain}

    means, ends = over_seeds(experiment)
    slow = means["autoregressive_steps"] >= 10 * means["vae_calls"]
    return Finding(means, every(above(ends["gain"], 0.0), slow),
                   "Beside a VAE of about its size, on small digits.", ends)


@claim("C-184", answer="yes")
def far_pixels_act_through_near_ones() -> Finding:
    """A PixelCNN is trained in parallel and generates one pixel after another; pixels outside of its
    neighbourhood have an influence only through those between.

    Rows of six binary pixels, each the same as the one before with probability 0.9, a net that reads the
    pixel before: its calls for a likelihood and for a sample; the slopes of its output at the fourth pixel in
    the first and in the third; and the mutual information of first and fourth in 2,000 samples, in nats, with
    that of shuffled ones, five seeds.
    """
    def experiment(seed: int) -> Numbers:
        flips = (torch.rand(1000, 6) < torch.tensor([0.5, *5 * [0.1]])).long()
        x = (flips.cumsum(1) % 2).float()[:, None, None]                         # (B, 1, 1, 6)
        net = GatedPixelCNN(1, 2, width=8, dilations=(), first=3)
        model = AutoregressiveDensity(net, Softmax(1, 2), shape=(1, 1, 6))
        train(model, x, steps=150, lr=0.03, seed=seed)
        calls = Calls(net)
        model.log_prob(x)
        numbers = {"likelihood_calls": calls.count}
        outputs = decode(net, 1, (1, 1, 6))
        next(outputs)
        for _ in range(5):
            outputs.send(torch.zeros(1, 1))
        numbers["sample_calls"] = calls.count - 1
        row = x[:1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(row)[0, :, 0, 3].abs().sum(), row)
        drawn = model.sample(2000).flatten(1).long()
        shuffled = drawn[torch.randperm(2000), 3]
        return numbers | {"slope_in_first": slope[0, 0, 0, 0].abs().item(),
                          "slope_in_third": slope[0, 0, 0, 2].abs().item(),
                          "information": information(drawn[:, 0], drawn[:, 3]),
                          "information_shuffled": information(drawn[:, 0], shuffled)}

    means, ends = over_seeds(experiment)
    counted = means["likelihood_calls"] == 1 and means["sample_calls"] == 6
    unseen = means["slope_in_first"] == 0 < means["slope_in_third"]
    return Finding(means, every(counted and unseen, above(ends["information"], 0.02)), intervals=ends)


def information(a: Tensor, b: Tensor) -> float:
    """Mutual information of two samples of bits, nats."""
    joint = torch.bincount(2 * a + b, minlength=4).double().view(2, 2) / len(a)
    return kl(joint.flatten(), torch.outer(joint.sum(1), joint.sum(0)).flatten()).item()


@claim("C-260", answer="yes")
def masked_autoencoders_can_generate() -> Finding:
    """New data can be drawn from a masked autoencoder.

    Two bits that are equal with probability 0.9, a net trained to fill in either or both when masked, five
    seeds: total variation between the distribution of the data and that of filling both in at once, and of
    filling in one, then the other.
    """
    joint = torch.tensor([[0.45, 0.05], [0.05, 0.45]])
    pairs = torch.cartesian_prod(torch.arange(2), torch.arange(2))
    masks = torch.tensor([[1, 0], [0, 1], [1, 1]])                               # 1: to be filled in

    def experiment(seed: int) -> Numbers:
        net = mlp(6, 32, 4)

        def log_p(tokens: Tensor) -> Tensor:
            return net(F.one_hot(tokens, 3).float().flatten(-2)).unflatten(-1, (2, 2)).log_softmax(-1)

        hidden = torch.where(masks[:, None].bool(), 2, pairs)                    # (3, 4, 2)
        optimizer = Adam(net.parameters(), 0.01)
        for _ in range(300):
            right = log_p(hidden).gather(3, pairs.expand(3, 4, 2)[..., None])[..., 0]              # (3, 4, 2)
            loss = -(right * masks[:, None] * joint.flatten()[:, None]).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            first, second = log_p(torch.tensor([2, 2])).exp()
            then = torch.stack([log_p(torch.tensor([bit, 2]))[1].exp() for bit in (0, 1)])
        drawn = {"at_once": torch.outer(first, second), "in_turn": first[:, None] * then}
        return {f"distance_{name}": (p - joint).abs().sum().item() / 2 for name, p in drawn.items()}

    means, ends = over_seeds(experiment)
    return Finding(means, below(ends["distance_in_turn"], 0.05), "If it fills in one part after another: all "
                   "at once, each part is drawn without regard for the others.", ends)
