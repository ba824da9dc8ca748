"""Decoding of a sentence, word by word: greedily, or by a beam of the likeliest beginnings.

    score(y_1 ... y_t) = sum_u log p(y_u | y_<u)                a beam keeps the `width` best of all continuations

A beginning that has ended stays as it is and competes with the others. With as many beams as there are sentences the
likeliest is found. B sentences, K beams, V vocabulary.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]    # (words (N,), states (N, H)) -> logits (N, V), states


@torch.no_grad()
def beam_search(step: Step, h: Float[Tensor, "B H"], *, start: int, end: int, width: int = 1,
                longest: int = 20) -> Int[Tensor, "B T"]:
    """The likeliest sentence that a beam finds for each state; after `end` it is filled up with `end`.

    Args:
        step: (words, states) -> logits of the next words and new states, in rows of B K.
        h: the states before the first word.
        start, end: the numbers of the words before the first and after the last.
        width: K; 1 takes the likeliest word at each step.
        longest: T at most.

    Raises:
        ValueError: no beam, no word, or logits that are nan.
    """
    if width < 1 or longest < 1:
        raise ValueError(f"expected a beam of 1 or more and sentences of 1 word or more, got {width} and {longest}")
    B = len(h)
    h = h.repeat_interleave(width, 0)                                            # (B K, H)
    said = torch.full((B, width, 1), start, device=h.device)
    score = torch.full((B, width), -torch.inf, device=h.device)
    score[:, 0] = 0                                                              # the others begin as copies
    for _ in range(longest):
        logits, h = step(said[..., -1].flatten(), h)
        if logits.isnan().any():
            raise ValueError("the logits are nan: no word can be chosen")
        log_p = logits.float().log_softmax(-1).unflatten(0, (B, width))          # (B, K, V)
        ended = (said[..., -1] == end).unsqueeze(-1)
        only_end = torch.full_like(log_p, -torch.inf)
        only_end[..., end] = 0
        every = (score.unsqueeze(-1) + torch.where(ended, only_end, log_p)).flatten(1)
        score, best = every.topk(width, 1)                                       # (B, K), numbers k V + v
        beam, word = best // log_p.shape[-1], best % log_p.shape[-1]
        said = torch.cat([said.gather(1, beam.unsqueeze(-1).expand(-1, -1, said.shape[-1])), word.unsqueeze(-1)], -1)
        rows = (beam + width * torch.arange(B, device=h.device).unsqueeze(1)).flatten()
        h = h[rows]
        if (word == end).all():
            break
    return said[:, 0, 1:]
