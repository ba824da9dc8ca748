"""VQ-VAE, an autoencoder whose code is discrete (van den Oord et al. 2017, arXiv 1711.00937).

    L = -log p(x | z_q) + ||sg(z_e) - z_q||^2 + beta ||z_e - sg(z_q)||^2
    z_e = encoder(x),    z_q the nearest code at each position

The decoder's gradient passes z_q straight to the encoder. The posterior is one code with certainty and the
prior uniform, so that KL = P log K is constant: the code is P log2 K bits long. Which codes go together is
learned afterwards (`deepcanon.vae.prior`).
B batch, D shape of a data point, Z dimension of a code, S shape of the P positions, K codes.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from deepcanon.layers.contract import checked
from deepcanon.layers.joint import batch_sum
from deepcanon.layers.precision import typed_as
from deepcanon.layers.quantize import AveragedQuantizer, VectorQuantizer, nearest
from deepcanon.vae.likelihoods import check, gaussian, log_likelihood


@checked
class VQVAE(nn.Module):
    """A vector-quantized autoencoder with any encoder, decoder, quantizer and likelihood.

    Args:
        encoder: (B, *D) -> (B, Z, *S), a vector for each position.
        decoder: (B, Z, *S) -> the parameters of p(x|z).
        quantizer: vectors (..., Z) -> vectors, codes, loss; its codebook learns by gradient or by averages.
        likelihood: decoder output -> distribution over data points (B, *D), see `deepcanon.vae.likelihoods`.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module,
                 quantizer: VectorQuantizer | AveragedQuantizer, *,
                 likelihood: Callable[[Tensor], Distribution] = gaussian):
        super().__init__()
        self.encoder, self.decoder, self.quantizer, self.likelihood = encoder, decoder, quantizer, likelihood

    def loss(self, batch) -> dict[str, Tensor]:
        """Reconstruction in nats an example; squared distances of codebook and commitment over all positions.

        Raises:
            ValueError: data of another shape than the decoder's output, or outside the likelihood's support.
        """
        x = batch[0]                                                             # (B, *D)
        q, codes, distance = self.quantizer(self.vectors(x))
        reconstruction = -log_likelihood(self.likelihood(self.decoder(q.movedim(-1, 1))), x).mean()
        quantization = distance.flatten(1).sum(1).mean()
        count = batch_sum(codes.flatten().bincount(minlength=self.quantizer.num_codes))
        used = count.to(reconstruction) / count.sum()
        perplexity = torch.special.entr(used).sum().exp()            # how many codes the batch uses
        return {"loss": reconstruction + quantization, "reconstruction": reconstruction,
                "quantization": quantization, "perplexity": perplexity}

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Mean squared error of a value, and the length of the code."""
        x, codes = batch[0], self.encode(batch[0])
        bits = codes[0].numel() * math.log2(self.quantizer.num_codes)
        p = self.decode(codes)
        error = (p.mean - check(p, x)).square().flatten(1).mean(1)
        return {"mse": error, "bits": torch.full_like(error, bits)}

    def vectors(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *S Z"]:
        """z_e, with the dimension of the codes last."""
        return self.encoder(x).movedim(1, -1)

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *D"]) -> Int[Tensor, "B *S"]:
        """The number of the code at each position."""
        return nearest(self.vectors(x), self.quantizer.codebook)

    def decode(self, codes: Int[Tensor, "B *S"]) -> Distribution:
        """p(x|z) of these codes; its `mean` is their picture."""
        q = typed_as(self.decoder, self.quantizer.codebook[codes])               # (B, *S, Z)
        return self.likelihood(self.decoder(q.movedim(-1, 1)))

    @torch.no_grad()
    def reconstruct(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """The mean of p(x|z) at the codes of x."""
        return self.decode(self.encode(x)).mean
