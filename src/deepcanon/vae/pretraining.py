"""Greedy layerwise pretraining (Hinton & Salakhutdinov 2006; Bengio et al. 2007, "Greedy layer-wise training of deep networks").

    stage k:  min over f_k, g_k of ||h - g_k(f_k(h))||^2,      h = f_{k-1}(... f_1(x)),    f_1 ... f_{k-1} frozen
    then:     f = f_K o ... o f_1,    g = g_1 o ... o g_K,     and all weights are tuned together from there

    layers = [Autoencoder(f_1, g_1), Autoencoder(f_2, g_2)]
    for k in range(2):
        fit(Stage(layers, k), ...)
    fit(unrolled(layers), ...)

B batch, D shape of a data point, H shape of a code.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating
from deepcanon.vae.autoencoder import Autoencoder


@checked
class Stage(nn.Module):
    """The training of one layer on the codes of those below it, which it freezes.

    Args:
        layers: from the data upwards; each reconstructs the codes of the one before.
        k: number of the layer to train, from 0.

    Raises:
        ValueError: there is no layer of that number.
    """

    def __init__(self, layers: Sequence[Autoencoder], k: int):
        super().__init__()
        if not 0 <= k < len(layers):
            raise ValueError(f"expected a stage in 0..{len(layers) - 1}, got {k}")
        self.below = nn.Sequential(*(layer.encoder for layer in layers[:k])).requires_grad_(False)
        self.layer = layers[k]

    def loss(self, batch) -> dict[str, Tensor]:
        """That of the layer, on codes."""
        return self.layer.loss((self.codes(batch[0]),))

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return self.layer.metrics((self.codes(batch[0]),))

    @torch.no_grad()
    def codes(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *H"]:
        """What the frozen layers below make of the data; they neither drop anything nor move their statistics."""
        with evaluating(self.below):
            return self.below(x)

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *H"]:
        """The code of this stage."""
        return self.layer.encoder(self.codes(x))


def unrolled(layers: Sequence[Autoencoder]) -> Autoencoder:
    """One deep autoencoder of the layers' own nets, all of them trainable."""
    encoder, decoder = nn.Sequential(*(layer.encoder for layer in layers)), nn.Sequential(*(layer.decoder for layer in reversed(layers)))
    return Autoencoder(encoder, decoder).requires_grad_(True)
