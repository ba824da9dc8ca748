"""What stays in float32 when a net is brought to a type of 16 bits, `net.bfloat16()` or `net.half()`.

bfloat16 keeps 8 significant bits of a number, float16 11 of them and nothing above 65,504. That is enough for
weights and activations. It is not enough for a noise schedule (abar_1 = 0.9999 becomes 1, 1 - abar_1 0),
for a running average (a step below 1/512 of it is lost), for a time in the hundreds, or for the variance of
large numbers. So these stay in float32, arithmetic with them is done in float32, and a net gets its own type.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

SIXTEEN_BITS = (torch.bfloat16, torch.float16)


class Float32Buffers(nn.Module):
    """A module whose own buffers of real numbers stay in float32, or float64, whatever type it is brought to.

    Devices change as for any module. Named before the class whose buffers they are, if there is one.
    """

    def _apply(self, fn, recurse=True):
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, buffer in self._buffers.items():
            old = before[name]
            if buffer is not None and old is not None and buffer.dtype in SIXTEEN_BITS:
                self._buffers[name] = old.to(buffer.device)
        return self


def widened(x: Shaped[Tensor, "*D"]) -> Shaped[Tensor, "*D"]:
    """x, in float32 if its type has 16 bits."""
    return x.float() if x.dtype in SIXTEEN_BITS else x


def narrowed(y: Float[Tensor, "*E"], like: Shaped[Tensor, "*D"]) -> Float[Tensor, "*E"]:
    """y, in the type of `like` if that has 16 bits: the way back from `widened`."""
    return y.to(like.dtype) if like.dtype in SIXTEEN_BITS else y


def typed_as(net: nn.Module, x: Float[Tensor, "*D"]) -> Float[Tensor, "*D"]:
    """x in the type of the net's weights; as it is for a net without any."""
    weight = next(net.parameters(), None)
    return x if weight is None else x.to(weight.dtype)
