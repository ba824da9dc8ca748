import pytest
import torch

from deepcanon.layers.checks import classes, finite, of_shape, on_levels, shaped, unit

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(("check", "message"), [
    (lambda: shaped(torch.zeros(5, 1, 8, 8), (3, 8, 8)), r"expected data of shape \(B, 3, 8, 8\), got \(5, 1, 8, 8\)"),
    (lambda: of_shape("rewards", torch.zeros(5, 1), (5,)), r"^expected rewards of shape \(5,\), got \(5, 1\)$"),
    (lambda: of_shape("rewards", torch.zeros(()), (5,)), r"^expected rewards of shape \(5,\), got \(\)$"),
    (lambda: finite(torch.tensor([0.0, NAN, INF])), "expected finite values, got 2 of 3 that are nan or inf"),
    (lambda: unit(torch.tensor([-1.0, 2.0])), r"expected values in \[0, 1\], got some from -1 to 2"),
    (lambda: unit(torch.tensor([0.5, NAN])), r"expected values in \[0, 1\], got some from nan to nan"),
    (lambda: unit(torch.tensor([0, 255], dtype=torch.uint8)), r"floating-point values in \[0, 1\], got torch.uint8; divide 8-bit images by 255"),
    (lambda: on_levels(torch.tensor([0.0, 0.3]), 3), r"on the 3 levels 0, 1/2, \.\.\., 1, got others between"),
    (lambda: on_levels(torch.tensor([0.0, 1.5]), 3), r"expected values in \[0, 1\]"),
    (lambda: classes(torch.tensor([0, 3]), 3), r"expected one label in 0\.\.2 for each example, got torch.int64 \(2,\) from 0 to 3"),
    (lambda: classes(torch.tensor([0, -1]), 3), "from -1 to 0"),
    (lambda: classes(torch.tensor([0, 1]), 3, 5), r"for each of 5 examples, got torch.int64 \(2,\)"),
    (lambda: classes(torch.tensor([0.0, 1.0]), 3), "got torch.float32"),
])
def test_data_that_cannot_be_meant_is_refused(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_data_pass_as_they_are():
    x, y = torch.rand(4, 2), torch.tensor([0, 2, 1, 1])
    assert shaped(x, (2,)) is x
    assert of_shape("x", x, (4, 2)) is x
    assert finite(x) is x
    assert unit(x) is x
    assert classes(y, 3, 4) is y
    v = (x * 255).round() / 255
    assert on_levels(v, 256) is v
