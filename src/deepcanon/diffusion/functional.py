"""What the diffusion models share: their doors, and the shapes of what is one number an example."""

from jaxtyping import Float
from torch import Tensor

from deepcanon.layers.checks import shaped, unit
from deepcanon.layers.precision import widened


def centred(x: Float[Tensor, "B *D"], shape: tuple[int, ...]) -> Float[Tensor, "B *D"]:
    """Images from [0, 1] to [-1, 1], in float32 or float64.

    Raises:
        ValueError: another shape, a value outside [0, 1].
    """
    return 2 * widened(unit(shaped(x, shape))) - 1


def ends_in_noise(abar: Float[Tensor, "L"]) -> Float[Tensor, "L"]:
    """The schedule, refused if it is none or leaves data at its end, where samples begin in pure noise.

    Raises:
        ValueError: abar that does not fall from 1, or ends above 0.05.
    """
    if not (abar[0] == 1 and (abar.diff() < 0).all() and abar[-1] >= 0):
        raise ValueError("expected a schedule abar that falls from 1 towards 0")
    if abar[-1] > 0.05:
        raise ValueError(f"the schedule does not end in noise: abar_T = {abar[-1]:.3g} of the data's variance is left after T = {len(abar) - 1} "
                         "steps, expected 0.05 or less; take more steps, or cosine_schedule(T)")
    return abar


def falling(sigmas: Float[Tensor, "L"]) -> Float[Tensor, "L"]:
    """Noise levels for data of deviation about 1, refused if they do not fall or do not begin in noise.

    Raises:
        ValueError: one level, levels that do not fall, or begin below 3.
    """
    if len(sigmas) < 2 or not ((sigmas.diff() < 0).all() and sigmas[-1] > 0 and sigmas[0].isfinite()):
        raise ValueError(f"expected two noise levels or more that fall and stay above 0, got {[round(s, 4) for s in sigmas.tolist()]}")
    if sigmas[0] < 3:
        raise ValueError(f"the schedule does not begin in noise: its largest level is {sigmas[0]:.3g}, expected 3 or more for data of deviation 1")
    return sigmas


def pad(values: Float[Tensor, "B"], like: Float[Tensor, "B *D"]) -> Float[Tensor, "B *ones"]:
    """One number an example, as (B, 1, ..., 1)."""
    return values.view(-1, *[1] * (like.ndim - 1))
