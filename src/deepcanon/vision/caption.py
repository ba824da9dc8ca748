"""Captioning: an image in, a sentence out (Vinyals et al. 2015, arXiv 1411.4555; Xu et al. 2015, arXiv 1502.03044).

    v = CNN(x),     L = -1/N sum_t log p(y_t | y_<t, v) + w mean_i (1 - sum_t p_ti)^2

N words are predicted, the end of each sentence among them. The second term, for attention, asks that every place is
looked at about once over a sentence (Xu et al., equation 14). B batch, C channels, H x W pixels, T words, L places.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.layers.checks import examples, finite
from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import typed_as, widened
from deepcanon.nets.caption_decoder import START, CaptionDecoder, Pick, Told
from deepcanon.vision.caption_search import beam_search

FILL, END = 0, 2


class Caption(NamedTuple):
    """The words of a sentence and, for each, the weights of the places (h, w) of the image's map."""

    words: list[str]
    weights: Float[Tensor, "T h w"]


@checked(rows=False)
class Captioner(nn.Module):
    """A convolutional encoder and a recurrent decoder, trained on (image, word numbers) pairs.

    Args:
        encoder: (B, C, H, W) -> maps (B, D, h, w).
        decoder: says the words; with its own attention or none.
        vocabulary: the word of each number; number 0 fills up, 1 starts, 2 ends, 3 is any other word.
        coverage: w.
        pick: weights of the places -> those that are used; None uses them as they are.
    """

    def __init__(self, encoder: nn.Module, decoder: CaptionDecoder, vocabulary: Sequence[str], *, coverage: float = 0.0,
                 pick: Pick | None = None):
        super().__init__()
        if len(vocabulary) != decoder.vocab_size:
            raise ValueError(f"expected a vocabulary of {decoder.vocab_size} words, got {len(vocabulary)}")
        self.encoder, self.decoder, self.vocabulary = encoder, decoder, list(vocabulary)
        self.coverage, self.pick = coverage, pick

    def loss(self, batch) -> dict[str, Float[Tensor, ""]]:
        """The loss, and `nll` in nats a word. Raises ValueError for words of another type or outside the vocabulary."""
        _, words = examples(batch)
        told, mask = self.told(batch), words != FILL
        nll = word_nll(told.logits, words).sum() / mask.sum().clamp(min=1)
        uneven = (1 - (told.weights * mask.unsqueeze(-1)).sum(1)).square().mean()
        return {"loss": nll + self.coverage * uneven if self.coverage else nll, "nll": nll.detach()}

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Nats a word of each sentence, and its weight: its words, the end among them."""
        _, words = examples(batch)
        nll = word_nll(self.told(batch).logits, words).sum(1)
        return {"nll": nll / (words != FILL).sum(1).clamp(min=1), "weight": self.weight(batch, sentences=True)}

    def weight(self, batch, sentences: bool = False) -> Float[Tensor, "*B"]:
        """How many words are predicted, in the batch or in each sentence."""
        return (batch[1] != FILL).sum(1 if sentences else None).float()

    @torch.no_grad()
    def generate(self, x: Float[Tensor, "B C H W"], *, beam: int = 3, longest: int = 20) -> list[str]:
        """A caption for each image, by a beam of that width; 1 is greedy."""
        return [" ".join(caption.words) for caption in self.look(x, beam=beam, longest=longest)]

    @torch.no_grad()
    def look(self, x: Float[Tensor, "B C H W"], *, beam: int = 3, longest: int = 20) -> list[Caption]:
        """A caption for each image, with where the decoder looked for each word."""
        with evaluating(self):
            sides, features = self.maps(x).shape[2:], self.features(x)
            rows = features.repeat_interleave(beam, 0)
            words = beam_search(lambda said, h: self.decoder.step(rows, said, h, self.pick)[:2], self.decoder.start(features),
                                start=START, end=END, width=beam, longest=longest)
            weights = self.decoder(features, words, self.pick).used.unflatten(-1, sides)         # (B, T, h, w)
        counts = (words != END).cumprod(1).sum(1).tolist()
        return [Caption([self.vocabulary[k] for k in row[:n]], w[:n]) for row, n, w in zip(words.tolist(), counts, weights)]

    def told(self, batch) -> Told:
        """What the decoder says of a batch, each word given the true ones before it."""
        x, words = examples(batch)
        return self.decoder(self.features(x), valid_words(words, len(x), len(self.vocabulary)), self.pick)

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B L D"]:
        """v, of the places in reading order."""
        return self.maps(x).flatten(2).transpose(1, 2)

    def maps(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Those of the encoder. Raises ValueError for what is no image of numbers."""
        if x.ndim != 4 or not x.is_floating_point():
            raise ValueError(f"expected images (B, C, H, W) of real numbers in [0, 1], got {x.dtype} {tuple(x.shape)}")
        return typed_as(self.decoder, self.encoder(finite(x)))


def word_nll(logits: Float[Tensor, "B T V"], words: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """-log p of every word, in nats; 0 where the sentence is filled up."""
    return F.cross_entropy(widened(logits).transpose(1, 2), words, ignore_index=FILL, reduction="none")


def valid_words(words: Int[Tensor, "B T"], n: int, vocab_size: int) -> Int[Tensor, "B T"]:
    """words. Raises ValueError for other types or shapes, or numbers outside the vocabulary."""
    if words.ndim != 2 or len(words) != n or words.dtype != torch.int64 or not words.shape[1]:
        raise ValueError(f"expected word numbers int64 ({n}, T), got {words.dtype} {tuple(words.shape)}")
    if words.min() < 0 or words.max() >= vocab_size:
        raise ValueError(f"expected word numbers in 0..{vocab_size - 1}, got {words.min()}..{words.max()}")
    return words
