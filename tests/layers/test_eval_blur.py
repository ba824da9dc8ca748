"""The blur has the variance asked for, which is that of bilinear sampling."""

import pytest
import torch

from deepcanon.data.augment import affine
from deepcanon.layers.eval_blur import EvalBlur


def spread(x: torch.Tensor) -> torch.Tensor:
    """Variance along the columns of images (B, 1, H, W) taken for densities."""
    row = x.sum((1, 2)) / x.sum((1, 2, 3))[:, None]
    place = torch.arange(row.shape[1], dtype=x.dtype)
    return row @ place.square() - (row @ place).square()


def impulse(n: int = 1) -> torch.Tensor:
    """A white pixel in the middle of n black images."""
    x = torch.zeros(n, 1, 9, 9, dtype=torch.float64)
    x[..., 4, 4] = 1
    return x


@pytest.mark.parametrize("variance", [0.0, 1 / 6, 0.25, 0.5])
def test_an_impulse_gets_the_variance_along_both_axes(variance):
    x = impulse()
    y = EvalBlur(variance).eval()(x)
    for way in (y, y.mT):
        torch.testing.assert_close(spread(way), torch.tensor([variance], dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(y.sum(), x.sum())


def test_training_sees_what_is_there():
    x = torch.rand(2, 3, 5, 7)
    assert EvalBlur().train()(x) is x
    assert not torch.equal(EvalBlur().eval()(x), x)


def test_a_flat_image_stays_flat_to_its_border():
    torch.testing.assert_close(EvalBlur(0.4).eval()(torch.full((2, 3, 5, 7), 0.3)), torch.full((2, 3, 5, 7), 0.3))


def test_bilinear_shifts_blur_by_a_sixth_of_a_squared_pixel_in_the_mean():
    """f (1 - f) at an offset f; over 20,000 shifts within 1 %, five times its standard error."""
    shifted = affine(translate=1 / 9)(impulse(20_000), torch.Generator().manual_seed(0))
    assert spread(shifted).mean().item() == pytest.approx(1 / 6, rel=0.01)


@pytest.mark.parametrize("variance", [-0.1, 0.6, float("nan")])
def test_what_is_no_low_pass_is_refused(variance):
    with pytest.raises(ValueError, match=r"expected a variance in \[0, 1/2\] squared pixels"):
        EvalBlur(variance)
