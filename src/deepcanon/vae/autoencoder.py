"""Autoencoder (Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks").

    L = 1/D ||x - g(f(c(x)))||^2 + penalty(f(c(x))),      h = f(c(x)) the code,    x' = g(h)

    bottleneck    dim h < dim x; for linear f, g the best h spans the principal subspace (Baldi & Hornik 1989)
    denoising     c damages x, by noise or masking: `vae.denoising` (Vincent et al. 2008)
    sparse        a penalty on h, or a last layer of f that leaves few units on: `vae.sparse`
    convolutional by the nets: `nets.conv_coder` (Masci et al. 2011)

f is the encoder, g the decoder. Nothing says how codes are distributed: what is decoded from random codes is
not like the data.
B batch, D shape of a data point, H shape of a code.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.contract import checked


@checked
class Autoencoder(nn.Module):
    """An encoder and a decoder that reconstruct the data, whole from damaged ones if there is a corruption.

    Args:
        encoder: f, (B, *D) -> (B, *H).
        decoder: g, (B, *H) -> (B, *D).
        corrupt: c, x -> what the encoder sees of it; None: all.
        penalty: h -> what is added to the loss.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *,
                 corrupt: Callable[[Tensor], Tensor] | None = None,
                 penalty: Callable[[Tensor], Tensor] | None = None):
        super().__init__()
        self.encoder, self.decoder, self.corrupt, self.penalty = encoder, decoder, corrupt, penalty

    def loss(self, batch) -> dict[str, Tensor]:
        """Mean squared error of a value, and the penalty if there is one."""
        x = batch[0]                                                             # (B, *D)
        h = self.encoder(self.corrupt(x) if self.corrupt else x)
        reconstruction = self.error(x, h).mean()
        if self.penalty is None:
            return {"loss": reconstruction}
        penalty = self.penalty(h)
        return {"loss": reconstruction + penalty, "reconstruction": reconstruction, "penalty": penalty}

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Mean squared error of a value; with a corruption also `restored_mse` and `damaged_mse`."""
        x = batch[0]
        mse = {"mse": self.error(x, self.encoder(x))}
        if self.corrupt is None:
            return mse
        damaged = self.corrupt(x)
        return mse | {"restored_mse": self.error(x, self.encoder(damaged)),
                      "damaged_mse": squared_error(x, damaged)}

    def error(self, x: Float[Tensor, "B *D"], h: Float[Tensor, "B *H"]) -> Float[Tensor, "B"]:
        """1/D ||x - g(h)||^2.

        Raises:
            ValueError: the decoder's output is not of the shape of x.
        """
        decoded = self.decoder(h)
        if decoded.shape != x.shape:
            raise ValueError(f"expected a decoder output of the shape of the data, {tuple(x.shape)}, "
                             f"got {tuple(decoded.shape)}")
        return squared_error(x, decoded)

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *H"]:
        """The code f(x)."""
        return self.encoder(x)

    @torch.no_grad()
    def decode(self, h: Float[Tensor, "B *H"]) -> Float[Tensor, "B *D"]:
        """g(h)."""
        return self.decoder(h)

    @torch.no_grad()
    def reconstruct(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """g(f(x)); of damaged x, what it was before."""
        return self.decoder(self.encoder(x))


def squared_error(x: Float[Tensor, "B *D"], y: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
    """1/D ||x - y||^2."""
    return (x - y).square().flatten(1).mean(1)
