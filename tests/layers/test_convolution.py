"""Convolution as a matrix product: torch's numbers in one, two and three dimensions, sizes, strides, and
what shifts.
"""

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.layers.convolution import convolve, output_size, parameter_count, same_padding, windows
from deepcanon.layers.norm import Standardize

TORCH = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@pytest.fixture
def as_a_user(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.row("VIS-01", "VIS-04")
def test_the_worked_example_of_3_to_4_channels():
    x, conv = torch.rand(1, 3, 15, 15), nn.Conv2d(3, 4, 3, 2, 1)
    y = convolve(x, conv.weight, conv.bias, stride=2, padding=1)
    assert y.shape == (1, 4, 8, 8)
    assert parameter_count(3, 4, (3, 3)) == 112 == sum(p.numel() for p in conv.parameters())
    torch.testing.assert_close(y, conv(x))


@pytest.mark.row("VIS-01")
@pytest.mark.parametrize(("padding", "size"), [(0, 14), (1, 15), (2, 16)])
def test_the_worked_example_of_sizes(padding, size):
    assert output_size(32, 5, 2, padding) == size
    assert convolve(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 5, 5), stride=2, padding=padding).shape == (
        1,
        1,
        size,
        size,
    )
    assert (parameter_count(3, 1, (5, 5)), parameter_count(3, 10, (5, 5))) == (76, 760)


@pytest.mark.row("VIS-01", "VIS-07")
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_values_and_gradients_are_torchs(axes, stride, padding):
    torch.manual_seed(0)
    tensors = [torch.randn(2, 3, *(7, 6, 8)[:axes]), torch.randn(4, 3, *(3, 2, 3)[:axes]), torch.randn(4)]
    x, w, b = (t.double().requires_grad_() for t in tensors)
    ours, theirs = convolve(x, w, b, stride=stride, padding=padding), TORCH[axes](x, w, b, stride, padding)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn_like(ours)
    for mine, reference in zip(
        torch.autograd.grad(ours, (x, w, b), upstream), torch.autograd.grad(theirs, (x, w, b), upstream)
    ):
        torch.testing.assert_close(mine, reference)


@pytest.mark.row("VIS-01")
def test_a_stride_and_a_border_an_axis():
    x, w = torch.randn(2, 3, 9, 7), torch.randn(5, 3, 3, 2)
    torch.testing.assert_close(
        convolve(x, w, stride=(2, 1), padding=(0, 1)), F.conv2d(x, w, None, (2, 1), (0, 1))
    )


@pytest.mark.row("VIS-01")
def test_a_shifted_input_gives_a_shifted_output():
    torch.manual_seed(0)
    x, w = torch.zeros(1, 2, 10, 10), torch.randn(3, 2, 3, 3)
    x[..., 3:6, 3:6] = torch.randn(2, 3, 3)
    shifted = convolve(x.roll((1, 2), (2, 3)), w)
    torch.testing.assert_close(shifted, convolve(x, w).roll((1, 2), (2, 3)))


@pytest.mark.row("VIS-04")
@pytest.mark.parametrize("stride", [2, 3])
def test_a_strided_convolution_is_every_sth_place_of_the_dense_one(stride):
    torch.manual_seed(0)
    x, w = (
        torch.randint(-9, 9, shape).float() for shape in ((2, 3, 11, 11), (4, 3, 3, 3))
    )  # whole numbers: no rounding
    assert torch.equal(convolve(x, w, stride=stride), convolve(x, w)[..., ::stride, ::stride])


@pytest.mark.row("VIS-07")
def test_a_video_convolution_of_one_frame_is_that_of_each_frame():
    torch.manual_seed(0)
    video, w = torch.randn(2, 3, 4, 6, 6), torch.randn(5, 3, 3, 3)  # four frames
    frames = torch.stack([convolve(video[:, :, t], w) for t in range(4)], 2)
    torch.testing.assert_close(convolve(video, w.unsqueeze(2)), frames)


@pytest.mark.row("VIS-07")
def test_a_temporal_convolution_sees_its_window_of_steps():
    impulse = torch.zeros(1, 1, 9)
    impulse[..., 4] = 1
    seen = convolve(impulse, torch.tensor([[[1.0, 2.0, 3.0]]]), padding=1)
    torch.testing.assert_close(seen[0, 0], torch.tensor([0.0, 0, 0, 3, 2, 1, 0, 0, 0]))


@pytest.mark.row("VIS-02")
@pytest.mark.parametrize("kernel", [1, 3, 5, 11])
def test_half_a_kernel_of_padding_keeps_the_size(kernel):
    assert same_padding(kernel) == (kernel - 1) // 2
    assert output_size(28, kernel, 1, same_padding(kernel)) == 28


@pytest.mark.row("VIS-02")
def test_the_padding_of_centred_images_is_the_mean_pixel():
    centre = Standardize([0.2, 0.4, 0.6], [0.1, 0.2, 0.3])
    mean = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    w = torch.randn(2, 3, 3, 3)
    torch.testing.assert_close(centre(mean), torch.zeros(1, 3, 4, 4))
    border = torch.zeros(1, 3, 6, 6) * centre.std + centre.mean  # zeros of padding, in pixels
    torch.testing.assert_close(border[..., :4, :4], mean)
    torch.testing.assert_close(convolve(centre(mean), w, padding=1), torch.zeros(1, 2, 4, 4))


def test_windows_are_a_view():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    seen = windows(x, (2, 2), (2, 2))
    assert seen.shape == (1, 1, 2, 2, 2, 2)
    assert seen[0, 0, 1, 0].tolist() == [[8, 9], [12, 13]]
    assert seen.data_ptr() == x.data_ptr()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_types_stay_and_empty_batches_pass(dtype):
    x, w = torch.rand(2, 3, 6, 6, dtype=dtype), torch.rand(4, 3, 3, 3, dtype=dtype)
    assert convolve(x, w, padding=1).dtype == dtype
    assert convolve(x[:0], w).shape == (0, 4, 4, 4)
    torch.testing.assert_close(convolve(x.transpose(2, 3), w), convolve(x.transpose(2, 3).contiguous(), w))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: convolve(torch.rand(1, 1, 8, 8), torch.rand(4, 3, 3, 3)),
            r"expected x as \(B, 3, 2 axes of places\)",
        ),
        (lambda: convolve(torch.rand(1, 3, 8), torch.rand(4, 3, 3, 3)), r"got \(1, 3, 8\)"),
        (
            lambda: convolve(torch.rand(1, 3, 2, 2), torch.rand(4, 3, 3, 3)),
            "a window of 3 does not fit into 2 places",
        ),
        (
            lambda: convolve(torch.rand(1, 3, 4, 4), torch.rand(4, 3, 3, 3), stride=(1, 2, 3)),
            "expected one value or 2, one an axis",
        ),
        (lambda: output_size(8, 3, 0), "expected kernel and stride of 1 or more"),
        (lambda: output_size(8, 0), "expected kernel and stride of 1 or more"),
        (lambda: output_size(8, 3, 1, -1), "padding of 0 or more"),
        (lambda: same_padding(4), "no padding of both sides keeps the size under an even kernel, got 4"),
    ],
)
def test_mistakes_are_one_line(call, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        call()
