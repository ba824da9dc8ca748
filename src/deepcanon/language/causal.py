"""Causal language model (Shannon 1948; Bengio et al. 2003, JMLR 3): text as a chain of next tokens.

    log p(x_1 .. x_T) = sum_t log p(x_t | x_1 .. x_{t-1}),      L = -1/T sum_t log p(x_t | x_<t) nats a token,      perplexity = exp(L)

Sampling draws x_{t+1} ~ softmax(logits / temperature), on request from the k likeliest tokens (Fan et al. 2018, arXiv 1805.04833) or from the fewest
that hold the mass p (Holtzman et al. 2020, arXiv 1904.09751). Temperature 0 takes the likeliest: greedy decoding.
B batch, T tokens read, V vocabulary, n new tokens.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deepcanon.layers.checks import of_shape
from deepcanon.layers.contract import checked


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token numbers and back."""

    def encode(self, string: str) -> list[int]: ...
    def decode(self, numbers: Sequence[int]) -> str: ...


@runtime_checkable
class Network(Protocol):
    """What a language model asks of its network, as `GPT` has it."""

    context: int

    def __call__(self, tokens: Tensor) -> Tensor: ...
    def decoder(self, dtype: torch.dtype | None = None) -> Any: ...


@checked(rows=False)
class LanguageModel(nn.Module):
    """A network of next-token logits, trained by cross-entropy, that continues text.

    Beyond its context the model forgets: when its window is full it keeps the later half, reads that anew from position 0 and goes on, so that a
    token is drawn given the last context / 2 to context tokens, never more. Within the context, decoding is exact.

    The sampling options `how` of the verbs are those of `decode`.

    Args:
        net: tokens (B, T) -> logits (B, T, V), with `context` and `decoder(dtype)`: a `GPT`.
        tokenizer: text to token numbers and back, for the verbs on text.
    """

    def __init__(self, net: Network, tokenizer: Tokenizer):
        super().__init__()
        self.net, self.tokenizer = net, tokenizer

    def loss(self, batch) -> Float[Tensor, ""]:
        """Mean nats a token. A batch is (tokens, next tokens), (B, T) each; the next token is -100 where it does not count.

        The mean is that of the tokens that count, 0 where none does.

        Raises:
            ValueError: next tokens of another shape or type, or a token that is not in the vocabulary.
        """
        tokens, following = batch
        return -self.log_prob(tokens, following).sum() / counted(following).sum().clamp(min=1)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Nats and bits a token (a character, when the tokens are characters), the mean over each sequence, and its weight: the tokens that count."""
        nll = -self.log_prob(*batch).sum(1) / counted(batch[1]).sum(1).clamp(min=1)
        return {"nll": nll, "bits_per_token": nll / math.log(2), "weight": self.weight(batch, sequences=True)}

    def weight(self, batch, sequences: bool = False) -> Float[Tensor, "*B"]:
        """How many next tokens count, in the batch or in each sequence: what the mean loss is taken over."""
        return counted(batch[1]).sum(1 if sequences else None).float()

    def log_prob(self, tokens: Int[Tensor, "B T"], following: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """log p(next token | tokens up to here) in nats; 0 where the next token is -100. Raises ValueError as `loss`."""
        of_shape("next tokens", following, tokens.shape)
        if following.dtype not in (torch.int32, torch.int64):
            raise ValueError(f"expected integer next tokens, got {following.dtype}")
        try:
            logits = self.net(tokens)                                            # (B, T, V)
            of_shape("logits", logits, (*tokens.shape, logits.shape[-1]))
            return -F.cross_entropy(logits.flatten(0, 1), following.flatten().long(), reduction="none").view_as(following)
        except IndexError:
            raise ValueError(f"expected tokens in the vocabulary, got {spread(tokens)}, and next tokens {spread(following)}") from None

    def stream(self, prompt: str, n: int, **how) -> Iterator[str]:
        """The prompt's continuation, one piece of text for each of n tokens, as they come."""
        for column in decode(self.net, self.rows([prompt]), n, **how):
            yield self.text(column)

    def sample(self, prompts: str | Sequence[str], n: int, **how) -> list[str]:
        """Each prompt with n tokens more. Prompts may differ in length; all are continued together."""
        rows = self.rows([prompts] if isinstance(prompts, str) else prompts)
        ends = (rows >= 0).sum(1).tolist()
        return [self.text(row[: end + n]) for row, end in zip(self.extend(rows, n, **how), ends)]

    def generate(self, prompts: str | Sequence[str], n: int, **how) -> list[str]:
        """Each prompt with its n likeliest next tokens, chosen greedily one after the other."""
        return self.sample(prompts, n, temperature=0.0, **how)

    def extend(self, tokens: Int[Tensor, "B T"], n: int, **how) -> Int[Tensor, "B T+{n}"]:
        """The rows with n tokens more. A row that is shorter ends in -1, which is drawn too."""
        start = given(tokens)
        return torch.cat([tokens[:, :start], *(column[:, None] for column in decode(self.net, tokens, n, **how))], 1)

    def rows(self, prompts: Sequence[str]) -> Int[Tensor, "B T"]:
        """The prompts' tokens, on the network's device; shorter rows end in -1."""
        device = next(self.parameters()).device
        encoded = [torch.tensor(self.tokenizer.encode(prompt), dtype=torch.long, device=device) for prompt in prompts]
        return nn.utils.rnn.pad_sequence(encoded, batch_first=True, padding_value=-1)

    def text(self, tokens: Int[Tensor, "T"]) -> str:
        return self.tokenizer.decode(tokens.tolist())


def counted(following: Int[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
    """Which next tokens count."""
    return following != -100


def spread(tokens: Int[Tensor, "B T"]) -> str:
    """The least and the greatest token, -100 aside."""
    tokens = tokens[counted(tokens)]
    return f"{tokens.min()}..{tokens.max()}" if len(tokens) else "none"


@torch.inference_mode()
def decode(
    net: Network,
    tokens: Int[Tensor, "B T"],
    n: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
) -> Iterator[Int[Tensor, "B"]]:
    """The columns that follow those given in full, until n after the last, one at a time.

    Args:
        net: the network; `LanguageModel` says what happens beyond its context.
        tokens: at least one a row. Shorter rows end in -1, which is drawn.
        n: columns after the last given.
        temperature: divides the logits; 0 takes the likeliest token.
        top_k, top_p: draw from the k likeliest tokens; from the fewest that hold the mass p.
        generator: of the draws; torch's global one when None.
        dtype: of the copy of the weights that is used; torch.bfloat16 is faster where the processor computes in it, and rounds.

    Raises:
        ValueError: an empty prompt, options that make no sense, or logits that are nan.
    """
    (B, T), start = tokens.shape, given(tokens)
    check(temperature, top_k, top_p)
    window, decoder = net.context, net.decoder(dtype)
    seen = torch.cat([tokens, tokens.new_full((B, n), -1)], 1)                                            # (B, T + n)
    state, first = decoder.start(B), max(0, start - window)
    end = first                                                                                           # the state has read first .. end - 1
    for t in range(start, T + n):
        if t - first > window:
            state, first = decoder.start(B), t - max(1, window // 2)
            end = first
        logits, state = decoder(seen[:, end:t], state)
        end = t
        if t == start and logits.isnan().any():
            raise ValueError("the network's logits are nan: no token can be drawn")
        drawn = draw(logits, temperature, top_k, top_p, generator)
        seen[:, t] = torch.where(seen[:, t] < 0, drawn, seen[:, t]) if t < T else drawn
        yield seen[:, t].clone()


def draw(
    logits: Float[Tensor, "B V"],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "B"]:
    """A token for each row of logits."""
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = truncate(logits.float() / temperature, top_k, top_p).softmax(-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)


def truncate(logits: Float[Tensor, "B V"], top_k: int | None = None, top_p: float | None = None) -> Float[Tensor, "B V"]:
    """The logits of the k likeliest tokens, and of those the fewest that hold the mass p; -inf for all others."""
    if top_k is not None and top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -math.inf)
    if top_p is not None and top_p < 1:
        likeliest = logits.softmax(-1).sort(descending=True)
        outside = likeliest.values.cumsum(-1) - likeliest.values >= top_p                                 # the tokens before hold p already
        logits = logits.masked_fill(outside.scatter(1, likeliest.indices, outside), -math.inf)
    return logits


def perplexity(log_prob: Float[Tensor, "*N"], counted: Bool[Tensor, "*N"] | None = None) -> Float[Tensor, ""]:
    """exp of the mean nats a token, that is prod_t p_t^(-1/N), over the N tokens that count (not padding).

    Raises:
        ValueError: a mask of another shape, or no token that counts.
    """
    if counted is not None:
        log_prob = log_prob[of_shape("the mask", counted, log_prob.shape).bool()]
    if log_prob.numel() == 0:
        raise ValueError("expected one token or more that counts, got none")
    return (-log_prob.mean()).exp()


def given(tokens: Tensor) -> int:
    """How many columns of (B, T) every row has: at least one, and -1 at the ends of rows only."""
    if tokens.ndim != 2 or tokens.is_floating_point():
        raise ValueError(f"expected integer tokens (B, T), got {tokens.dtype} {tuple(tokens.shape)}")
    present = tokens >= 0
    if tokens.shape[1] == 0 or not present[:, 0].all():
        raise ValueError("a prompt is empty: give at least one token to continue")
    if (present[:, 1:] & ~present[:, :-1]).any():
        raise ValueError("-1 may stand at the end of a row only")
    return int(present.sum(1).min())


def check(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """The sampling options make sense."""
    if temperature < 0:
        raise ValueError(f"expected a temperature of 0 or more, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"expected top_k of 1 or more, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"expected top_p in (0, 1], got {top_p}")
