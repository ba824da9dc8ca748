"""Presets of the family language."""

from collections.abc import Sequence

import torch
from torch import Tensor

from deepcanon.language.causal import LanguageModel
from deepcanon.nets.gpt import GPT
from tests.contracts.presets.common import Preset


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


PRESETS = {
    "gpt": Preset(small_gpt, sentences),
}
