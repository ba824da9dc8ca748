"""Hard attention: one place is looked at for each word, drawn by its weight (Xu et al. 2015, arXiv 1502.03044, section 4.1).

    s_t ~ p_t,   z_t = v_{s_t},    grad E[-log p(y | s)] = E[-grad log p(y | s) - sum_t A_t grad log p_t(s_t)]
    A_t = sum_{u >= t} (log p(y_u | y_<u, s) - b)              what follows a choice, above the usual

For a share of the images, drawn each time, the mean z = sum_i p_ti v_i is used instead, as the paper does: it has an
exact gradient. Drawing has none; the score-function estimator has it in expectation (Williams 1992, REINFORCE). b is a running
average of log p a word, which takes variance and no bias; the entropy of p_t, weighted, keeps the choice open.
B batch, T words, L places.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deepcanon.layers.checks import examples
from deepcanon.layers.contract import checked
from deepcanon.layers.joint import batch_sum
from deepcanon.layers.precision import Float32Buffers, widened
from deepcanon.vision.caption import FILL, Caption, Captioner, valid_words, word_nll


@checked(rows=False)
class HardCaptioner(Float32Buffers, nn.Module):
    """A captioner whose decoder draws places while it learns, and takes the likeliest in use.

    Args:
        captioner: its decoder has an attention; made with `pick=likeliest_place`, which is how it is used.
        entropy_weight: of the entropy of the choice, in nats.
        mean_share: the share of the images that learn by the mean; 0 draws for all.
        decay: of the running average b.
    """

    baseline: Tensor

    def __init__(self, captioner: Captioner, *, entropy_weight: float = 0.01, mean_share: float = 0.5,
                 decay: float = 0.9):
        super().__init__()
        if captioner.decoder.attention is None or captioner.pick is not likeliest_place:
            raise ValueError("hard attention needs a decoder with attention and a captioner with pick=likeliest_place")
        self.captioner, self.entropy_weight, self.mean_share, self.decay = captioner, entropy_weight, mean_share, decay
        self.register_buffer("baseline", torch.tensor(0.0))

    def loss(self, batch, places: Int[Tensor, "B T"] | None = None) -> dict[str, Float[Tensor, ""]]:
        """Nats a word, less the weighted entropy, with the estimator's gradient; `nll` and `entropy` in nats a word.

        Args:
            batch: images and word numbers.
            places: s for every image, where they are not drawn.
        """
        x, words = examples(batch)
        features = self.captioner.features(x)
        mean = torch.rand(len(x), device=x.device) < (self.mean_share if places is None else 0)      # (B,)
        pick = Places(places, mean)
        told = self.captioner.decoder(features, valid_words(words, len(x), len(self.captioner.vocabulary)), pick)
        mask, log_prob = words != FILL, -word_nll(told.logits, words)                # (B, T)
        log_p = widened(told.weights).clamp(min=1e-30).log()
        chosen = (log_p * told.used).sum(-1)                                         # log p_t(s_t)
        score = (chosen - chosen.detach()) * ~mean.unsqueeze(1)                      # 0, with its gradient
        entropy = -(widened(told.weights) * log_p).sum(-1)
        advantage = to_go((log_prob.detach() - self.baseline) * mask)
        n = mask.sum().clamp(min=1)
        terms = -log_prob - (advantage * score + self.entropy_weight * entropy) * mask
        if self.training:
            self.follow(log_prob.detach(), mask)
        return {"loss": terms.sum() / n, "nll": -log_prob.detach().sum() / n, "entropy": (entropy.detach() * mask).sum() / n}

    @torch.no_grad()
    def follow(self, log_prob: Tensor, mask: Tensor) -> None:
        """Move the average towards this batch."""
        mean = batch_sum(log_prob.sum()) / batch_sum(mask.sum()).clamp(min=1)
        self.baseline.lerp_(mean.to(self.baseline.dtype), 1 - self.decay)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Nats a word, looking at the likeliest place, and the words of each sentence."""
        return self.captioner.metrics(batch)

    def weight(self, batch) -> Float[Tensor, ""]:
        """How many words are predicted."""
        return self.captioner.weight(batch)

    @torch.no_grad()
    def generate(self, x: Float[Tensor, "B C H W"], *, beam: int = 3, longest: int = 20) -> list[str]:
        """A caption for each image, looking at the likeliest place for each word."""
        return self.captioner.generate(x, beam=beam, longest=longest)

    @torch.no_grad()
    def look(self, x: Float[Tensor, "B C H W"], *, beam: int = 3, longest: int = 20) -> list[Caption]:
        """The same, with the place of each word."""
        return self.captioner.look(x, beam=beam, longest=longest)


class Places:
    """Which place is used at each step, drawn by its weight or as given, and all of them where the mean is; a `Pick`."""

    def __init__(self, given: Int[Tensor, "B T"] | None = None, mean: Bool[Tensor, "B"] | None = None):
        self.given, self.mean, self.step = given, mean, 0

    def __call__(self, weights: Float[Tensor, "B L"]) -> Float[Tensor, "B L"]:
        drawn = self.given[:, self.step] if self.given is not None else weights.float().multinomial(1).squeeze(1)
        self.step += 1
        place = F.one_hot(drawn, weights.shape[1]).to(weights.dtype)
        return place if self.mean is None else torch.where(self.mean.unsqueeze(1), weights, place)


def likeliest_place(weights: Float[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """All weight at the place that has most."""
    return F.one_hot(weights.argmax(1), weights.shape[1]).to(weights.dtype)


def to_go(x: Float[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """sum_{u >= t} x_u for every t."""
    return x.flip(1).cumsum(1).flip(1)
