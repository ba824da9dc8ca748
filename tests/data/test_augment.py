"""Each augmentation against Pillow, a closed form or a direct computation, and the laws of its parameters."""

import colorsys
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from deepcanon.data import augment

pytestmark = pytest.mark.row("FND-41")

EVERY = {
    "crop": augment.crop(3),
    "flip": augment.flip(),
    "affine": augment.affine(degrees=20.0, translate=0.1, scale=(0.8, 1.2), shear=10.0),
    "elastic": augment.elastic(8.0, 2.0),
    "bicubic": augment.compose(augment.affine(degrees=20.0, interpolation="bicubic"), augment.elastic(8.0, 2.0, interpolation="bicubic")),
    "resized_crop": augment.resized_crop(12),
    "blur": augment.blur(p=0.5),
    "jitter": augment.jitter(0.4, 0.4, 0.4, 0.1, p=0.8),
    "greyscale": augment.greyscale(0.2),
    "erase": augment.erase(),
    "cutout": augment.cutout(4),
    "binarize": augment.binarize,
}
EVERY["compose"] = augment.compose(*EVERY.values())


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(batch=6, channels=3, height=12, width=12):
    return torch.rand(batch, channels, height, width, generator=generator(9))


@pytest.mark.parametrize("name", EVERY)
def test_same_seed_same_pictures_and_values_in_range(name):
    x = pictures(64)
    before = x.clone()
    a, b, c = (EVERY[name](x, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(x, before)
    assert a.shape == x.shape
    assert a.min() >= 0
    assert a.max() <= 1 + 1e-6


def test_composed_changes_follow_one_another_and_share_the_random_numbers():
    x, (crop, flip) = pictures(), (augment.crop(2, size=7), augment.flip())
    numbers = generator(3)
    step_by_step = flip(crop(x, numbers), numbers)
    assert torch.equal(augment.compose(crop, flip)(x, generator(3)), step_by_step)
    assert not torch.equal(augment.compose(flip, crop)(x, generator(3)), step_by_step)
    assert torch.equal(augment.compose()(x, generator(3)), x)


def test_views_are_independent_changes_of_the_same_images():
    x, flip, numbers = pictures(200), augment.flip(), generator(3)
    expected = torch.stack([flip(x, numbers), flip(x, numbers), flip(x, numbers)], 1)
    assert torch.equal(augment.views(flip, 3)(x, generator(3)), expected)
    assert not torch.equal(expected[:, 0], expected[:, 1])


@pytest.mark.parametrize("name", ["crop", "affine", "elastic", "resized_crop", "blur", "jitter", "erase", "cutout", "binarize"])
def test_each_image_draws_its_own_parameters(name):
    out = EVERY[name](pictures(1).expand(32, 3, 12, 12), generator())
    assert len({o.numpy().tobytes() for o in out}) > 8


def test_crop_is_a_window_of_the_padded_image_and_reaches_every_place():
    x = pictures(400, 1, 5, 7)
    padded, out = F.pad(x, [1] * 4, value=0.5), augment.crop(1, fill=0.5)(x, generator())
    places = [[(i, j) for i in range(3) for j in range(3) if torch.equal(padded[n, :, i : i + 5, j : j + 7], out[n])] for n in range(400)]
    assert all(len(found) == 1 for found in places)
    assert len({found[0] for found in places}) == 9
    assert augment.crop(0, size=4)(x, generator()).shape == (400, 1, 4, 4)
    with pytest.raises(ValueError, match="a window of 8 x 8 does not fit"):
        augment.crop(1, size=8)(x, generator())


def test_resized_crop_to_another_size():
    assert augment.resized_crop(7)(pictures(), generator()).shape == (6, 3, 7, 7)


def test_flip_is_exact_and_takes_half():
    x = pictures(2000, 1, 3, 3)
    out = augment.flip()(x, generator())
    flipped = (out == x.flip(-1)).flatten(1).all(1)
    assert ((out == x).flatten(1).all(1) ^ flipped).all()
    assert abs(flipped.float().mean() - 0.5) < 4 * 0.5 / math.sqrt(2000)
    assert torch.equal(augment.flip(0.0)(x, generator()), x)
    assert torch.equal(augment.flip(1.0)(x, generator()), x.flip(-1))


def still(x, angle=0.0, zoom=1.0, slant=0.0, shift=(0.0, 0.0)):
    n = len(x)
    return augment.warp(x, torch.full((n,), angle), torch.full((n,), zoom), torch.full((n,), slant), torch.tensor(shift).expand(n, 2))


def test_affine_identity_quarter_turns_and_whole_pixel_shifts():
    x = pictures(2, 3, 8, 8)
    torch.testing.assert_close(still(x), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(still(x, angle=math.pi / 2), x.rot90(-1, (2, 3)), atol=1e-5, rtol=0)           # clockwise
    torch.testing.assert_close(still(x, angle=math.pi), x.flip(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(still(x, shift=(0.25, -0.125)), F.pad(x, (2, -2, -1, 1)), atol=1e-5, rtol=0)    # 2 right, 1 up
    torch.testing.assert_close(augment.affine()(x, generator()), x, atol=1e-5, rtol=0)


def test_affine_equals_pillow():
    x = pictures(1, 1, 9, 13)
    angle, zoom, slant, shift = 0.3, 1.2, 0.2, (0.1, -0.05)
    matrix = np.eye(3)
    matrix[:2, :2] = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) @ [[1, math.tan(slant)], [0, 1]]
    middle, moved = np.array([6.5, 4.5]), np.array([6.5 + 13 * shift[0], 4.5 + 9 * shift[1]])
    matrix[:2, 2] = moved - matrix[:2, :2] @ middle
    back, picture = np.linalg.inv(matrix)[:2].ravel(), Image.fromarray(x[0, 0].numpy())
    reference = picture.transform((13, 9), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    ours = still(x, angle, zoom, slant, shift)[0, 0]
    reach = still(torch.ones_like(x), angle, zoom, slant, shift)[0, 0] > 0.999                                # Pillow does not fade at the border
    assert reach.sum() > 60
    torch.testing.assert_close(ours[reach], torch.from_numpy(np.array(reference))[reach], atol=1e-4, rtol=0)


def test_bicubic_is_cubic_convolution_and_keeps_the_detail_that_bilinear_blurs():
    def kernel(d: np.ndarray) -> np.ndarray:                                     # Keys 1981, with a = -0.75
        d = np.abs(d)
        return np.where(d <= 1, 1.25 * d**3 - 2.25 * d**2 + 1, np.where(d < 2, -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3, 0.0))

    def shifted(x: np.ndarray, right: float) -> np.ndarray:
        place = np.arange(x.shape[-1])
        return x @ kernel(place[:, None] + right - place)

    x = pictures(2, 1, 16, 20)
    n, (right, down) = len(x), (0.3, -1.4)
    zero, shift = torch.zeros(n), torch.tensor([right / 20, down / 16]).expand(n, 2)
    ours = augment.warp(x, zero, zero + 1, zero, shift, "bicubic")
    expected = shifted(shifted(x.double().numpy(), right).swapaxes(2, 3), down).swapaxes(2, 3).clip(0, 1)
    torch.testing.assert_close(ours.double(), torch.from_numpy(expected), atol=1e-4, rtol=0)

    half = torch.tensor([0.5 / 20, 0.5 / 16]).expand(n, 2)
    sharp, dull = (augment.warp(x, zero, zero + 1, zero, half, mode)[..., 2:-2, 2:-2].var() for mode in ("bicubic", "bilinear"))
    assert sharp > 1.5 * dull


def test_elastic_equals_scipy():
    x, height, width = pictures(3, 2, 14, 20), 14, 20
    noise = 2 * torch.rand(3, 2, height, width, generator=generator(4)) - 1
    moved = augment.elastic(20.0, 3.0)(x, generator(4))
    for picture, field, out in zip(x.double().numpy(), noise.double().numpy(), moved):
        right, down = (20.0 * gaussian_filter(part, 3.0, mode="mirror", radius=9) for part in field)
        rows, columns = np.mgrid[:height, :width]
        for channel, of in zip(picture, out):
            expected = map_coordinates(channel, [rows + down, columns + right], order=1, mode="grid-constant")
            torch.testing.assert_close(of.double(), torch.from_numpy(expected), atol=1e-4, rtol=0)
    torch.testing.assert_close(augment.elastic(0.0)(x, generator()), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("box", [(0, 0, 12, 12), (3, 2, 7, 5), (5, 0, 1, 12), (0, 4, 12, 3)])
@pytest.mark.parametrize("size", [12, 5])
def test_resized_crop_equals_pillow(box, size):
    x = pictures(1, 1)
    top, left, height, width = (torch.tensor([float(v)]) for v in box)
    ours = augment.resample(x, augment.interpolation(top, height, size, 12), augment.interpolation(left, width, size, 12))[0, 0]
    cut = Image.fromarray(x[0, 0, box[0] : box[0] + box[2], box[1] : box[1] + box[3]].numpy())
    torch.testing.assert_close(ours, torch.from_numpy(np.array(cut.resize((size, size), Image.Resampling.BILINEAR))), atol=1e-5, rtol=0)


def test_boxes_follow_the_law_of_area_and_aspect():
    x = torch.empty(4000, 1, 96, 96)
    top, left, height, width = augment.boxes(x, generator(), (0.2, 0.5), (0.5, 2.0))
    area, aspect = height * width / 96**2, (width / height).log()
    assert 0.19 < area.min() < area.max() < 0.51
    assert abs(area.mean() - 0.35) < 0.01
    assert abs(aspect.mean()) < 0.03
    assert abs(aspect.std() - 2 * math.log(2) / math.sqrt(12)) < 0.02
    assert (top >= 0).all()
    assert (top + height <= 96).all()
    assert (left + width <= 96).all()
    assert (top + height == 96).any()


def test_boxes_that_never_fit_are_the_largest_in_the_middle():
    top, left, height, width = augment.boxes(torch.empty(3, 1, 10, 40), generator(), (1.0, 1.0), (1.0, 2.0))
    assert [top[0], left[0], height[0], width[0]] == [0, 10, 10, 20]


def test_blur_kernel_sums_to_one_and_equals_direct_convolution():
    x, sigma = pictures(3, 2, 9, 14), torch.tensor([[0.3], [1.0], [2.0]])
    half = augment.gaussian(sigma, 4)
    kernel = torch.cat([half.flip(1)[:, :-1], half], 1)                                                       # (3, 9)
    torch.testing.assert_close(kernel.sum(1), torch.ones(3))
    torch.testing.assert_close(kernel[1] / kernel[1, 4], torch.exp(-0.5 * torch.arange(-4.0, 5).square()))
    ours = augment.resample(x, augment.convolution(half, 9), augment.convolution(half, 14))
    for n in range(3):
        plane = torch.outer(kernel[n], kernel[n]).expand(2, 1, 9, 9)
        direct = F.conv2d(F.pad(x[n : n + 1], [4] * 4, mode="reflect"), plane, groups=2)
        torch.testing.assert_close(ours[n : n + 1], direct, atol=1e-6, rtol=1e-5)


def test_what_is_not_blurred_is_left_alone():
    x = pictures(200)
    out = augment.blur(p=0.5)(x, generator())
    alone = torch.isclose(out, x, atol=1e-6).flatten(1).all(1)
    assert 60 < alone.sum() < 140
    torch.testing.assert_close(augment.blur(p=0.0)(x, generator()), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.25, 0.4])
def test_hue_equals_the_definition(turn):
    x = pictures(2, 3, 4, 4)
    x[0, :, 0] = 0.3                                                                                          # grey pixels
    x[0, 0, 1], x[0, 1, 1], x[0, 2, 1] = 0.9, 0.9, 0.1                                                        # two channels tie
    ours = augment.rotate_hue(x, torch.full((2, 1, 1, 1), turn))
    for pixel, changed in zip(x.permute(0, 2, 3, 1).reshape(-1, 3), ours.permute(0, 2, 3, 1).reshape(-1, 3), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*pixel.tolist())
        torch.testing.assert_close(changed, torch.tensor(colorsys.hsv_to_rgb((h + turn) % 1, s, v)), atol=2e-6, rtol=0)


def test_colours_equal_pillow():
    from PIL import ImageEnhance

    levels = (pictures(1) * 255).round()
    picture = Image.fromarray(levels[0].permute(1, 2, 0).to(torch.uint8).numpy())
    for ours, theirs in ((augment.brighten, "Brightness"), (augment.sharpen, "Contrast"), (augment.saturate, "Color")):
        for factor in (0.4, 1.0, 1.6):
            expected = np.array(getattr(ImageEnhance, theirs)(picture).enhance(factor), np.float32).transpose(2, 0, 1)
            got = ours(levels / 255, torch.full((1, 1, 1, 1), factor))[0] * 255
            torch.testing.assert_close(got, torch.from_numpy(expected), atol=1.7, rtol=0)                     # Pillow rounds to whole levels twice
    expected = torch.from_numpy(np.array(picture.convert("L"), np.float32))
    torch.testing.assert_close(augment.grey(levels)[0, 0], expected, atol=1.0, rtol=0)


def test_jitter_of_nothing_is_the_image_and_grey_images_have_no_hue():
    x = pictures()
    torch.testing.assert_close(augment.jitter(0.5, 0.5, 0.5, 0.2, p=0.0)(x, generator()), x, atol=1e-6, rtol=0)
    one = pictures(channels=1)
    torch.testing.assert_close(augment.jitter(saturation=0.9, hue=0.5)(one, generator()), one, atol=1e-6, rtol=0)
    factor = augment.jitter(brightness=0.4)(torch.full((4000, 1, 1, 1), 0.5), generator()).flatten() / 0.5
    assert 0.6 <= factor.min() < 0.61
    assert 1.39 < factor.max() <= 1.4
    assert abs(factor.mean() - 1) < 0.02


def test_colours_need_one_or_three_channels():
    with pytest.raises(ValueError, match="expected images of 1 or 3 channels, got"):
        augment.greyscale()(pictures(channels=4), generator())


def test_erase_fills_one_box_and_cutout_one_square():
    x = 0.5 + pictures(300, 2, 16, 16) / 2
    gone = augment.erase(p=1.0, scale=(0.1, 0.3))(x, generator()) == 0
    assert torch.equal(gone[:, 0], gone[:, 1])
    rows, columns = gone[:, 0].any(2), gone[:, 0].any(1)
    assert torch.equal(gone[:, 0], rows[:, :, None] & columns[:, None, :])
    assert gone[:, 0].flatten(1).sum(1).min() > 0.08 * 256
    assert gone[:, 0].flatten(1).sum(1).max() < 0.32 * 256
    area = (augment.cutout(4)(x, generator())[:, 0] == 0).flatten(1).sum(1)
    assert area.max() == 16
    assert area.min() >= 4


def test_binarize_draws_bernoulli_values():
    p = torch.tensor([0.0, 0.001, 0.3, 0.999, 1.0]).repeat(40_000, 1)
    mean = augment.binarize(p, generator()).mean(0)
    assert mean[0] == 0
    assert mean[4] == 1
    error = (p[0] * (1 - p[0]) / 40_000).sqrt() * 4 + 2**-16
    assert ((mean - p[0]).abs() <= error).all()
    assert augment.binarize(pictures(), generator()).unique().tolist() == [0, 1]
