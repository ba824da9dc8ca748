"""What files and objects say of their pixels, each kind with its right value; and every form in which
pictures can be given."""

import json
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from deepcanon.data import image_content, image_decode, images, recorded_metadata
from deepcanon.data.folder import decoded
from deepcanon.data.image_check import describe_images
from deepcanon.data.image_notices import collected, notices, say

RNG = np.random.default_rng(0)
RAMP = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
NOISE = RNG.integers(0, 256, (40, 60, 3), np.uint8)


def png(path, width, height, depth, colour, rows):
    """A PNG of any depth and colour type, written by hand."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def tiff(path, values, bits, photometric=1):
    """A grey TIFF of 16 bits or fewer a sample, written by hand; rows of 12 bits are packed, two values in
    three bytes."""
    height, width = values.shape
    if bits == 12:
        pairs = values.reshape(-1, 2).astype(np.uint32)
        joined = pairs[:, 0] << 12 | pairs[:, 1]
        data = b"".join(int(v).to_bytes(3, "big") for v in joined)
    else:
        data = values.astype("<u2").tobytes()
    entries = [
        (256, width),
        (257, height),
        (258, bits),
        (259, 1),
        (262, photometric),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(data)),
    ]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 8 + len(data))
        + data
        + struct.pack("<H", len(entries))
        + table
        + struct.pack("<I", 0)
    )


def fill(root, picture=None, many=6, **how):
    """Two classes of pictures."""
    for kind in ("a", "b"):
        (root / kind).mkdir(parents=True)
        for i in range(many):
            (picture or Image.fromarray(NOISE)).save(root / kind / f"{i}.png", **how)
    return root


# depth


def test_sixteen_bits_are_read_by_their_full_range(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "grey.png")
    Image.fromarray(RAMP).save(tmp_path / "grey.tif")
    Image.fromarray(RAMP.astype(np.int32)).save(tmp_path / "grey.pgm")
    triple = np.repeat(RAMP[..., None], 3, 2).astype(">u2").reshape(64, -1)
    png(tmp_path / "colour.png", 64, 64, 16, 2, [row.tobytes() for row in triple])
    for name in ("grey.png", "grey.tif", "grey.pgm", "colour.png"):
        x = decoded(tmp_path / name)
        assert (x.shape, x.dtype) == ((3, 64, 64), torch.uint8)
        assert torch.equal(x[0], torch.from_numpy((RAMP >> 8).astype(np.uint8)))
        assert (x == 255).float().mean().item() == pytest.approx(1 / 256)
        assert x.float().mean().item() == 127.5
    tiff(tmp_path / "inverted.tif", RAMP, 16, photometric=0)
    assert torch.equal(
        decoded(tmp_path / "inverted.tif", channels=1)[0],
        255 - torch.from_numpy((RAMP >> 8).astype(np.uint8)),
    )


def test_twelve_bits_are_read_by_the_bits_that_the_file_states(tmp_path):
    tiff(tmp_path / "12.tif", RAMP >> 4, 12)
    (tmp_path / "12.pgm").write_bytes(b"P5 64 64 4095\n" + (RAMP >> 4).astype(">u2").tobytes())
    for name in ("12.tif", "12.pgm"):
        x = decoded(tmp_path / name, channels=1)
        assert torch.equal(x[0], torch.from_numpy((RAMP >> 8).astype(np.uint8)))


def test_twelve_bits_in_sixteen_are_said(tmp_path):
    for i in range(8):
        (tmp_path / "scans" / "a").mkdir(parents=True, exist_ok=True)
        Image.fromarray(RAMP >> 4).save(tmp_path / "scans" / "a" / f"{i}.tif")
    with collected() as lines:
        assert images(tmp_path / "scans").content.x.max() == 15
    assert any(
        "of 16 bits, none with a value above 4095: read by the full range of 16 bits, they are dark" in line
        for line in lines
    )
    assert "scans: 8 pictures of more than 8 bits: kept in 256 levels" in lines


def test_floats_lie_in_0_to_1_or_are_refused_with_their_range(tmp_path):
    unit = RAMP.astype(np.float32) / 65535
    Image.fromarray(unit).save(tmp_path / "unit.tif")
    x = decoded(tmp_path / "unit.tif")
    assert torch.equal(x[1], torch.from_numpy(np.rint(unit * 255).astype(np.uint8)))
    for name, values, line in (
        ("wide", unit * 4000, "floats from 0 to 4000, expected 0 to 1"),
        ("signed", unit - 1, "floats from -1 to 0"),
        ("nan", np.where(unit > 0.5, np.nan, unit), "NaN or infinite"),
    ):
        Image.fromarray(np.asarray(values, np.float32)).save(tmp_path / f"{name}.tif")
        with pytest.raises(ValueError, match=line):
            decoded(tmp_path / f"{name}.tif")
    Image.fromarray(RAMP.astype(np.int32) * 7).save(tmp_path / "int.tif")
    with pytest.raises(
        ValueError, match="whole numbers from 0 to 458745 in 32 bits or with a sign, which state no range"
    ):
        decoded(tmp_path / "int.tif")


def test_few_bits_and_palettes(tmp_path):
    for depth, levels in (
        (1, [0, 0, 0, 255, 255, 0, 255, 255]),
        (2, [0, 85, 170, 255] * 2),
        (4, [17, 187] * 4),
    ):
        png(tmp_path / "few.png", 8, 1, depth, 0, [bytes([0b00011011] * depth)])
        assert decoded(tmp_path / "few.png", channels=1).flatten().tolist() == levels
    colours = Image.fromarray(NOISE).quantize(16)
    colours.save(tmp_path / "palette.png")
    assert torch.equal(
        decoded(tmp_path / "palette.png"), torch.from_numpy(np.array(colours.convert("RGB"))).permute(2, 0, 1)
    )


def test_colour_spaces_become_rgb(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 0, 0)).save(tmp_path / "cmyk.tif")
    assert decoded(tmp_path / "cmyk.tif")[:, 0, 0].tolist() == [255, 0, 255]
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    ImageCms.applyTransform(Image.new("RGB", (4, 4), (200, 40, 90)), to_lab).save(tmp_path / "lab.tif")
    assert (decoded(tmp_path / "lab.tif")[:, 0, 0].int() - torch.tensor([200, 40, 90])).abs().max() <= 4
    Image.new("RGB", (4, 4), (200, 40, 90)).convert("YCbCr").save(tmp_path / "y.tif")
    assert (decoded(tmp_path / "y.tif")[:, 0, 0].int() - torch.tensor([200, 40, 90])).abs().max() <= 2


def wide_profile():
    """An RGB profile whose red is the blue of sRGB: its columns are swapped, which no reader can overlook."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data = data.replace("sRGB built-in".encode("utf-16-be"), "swapped colo".encode("utf-16-be") + b"\0!")
    return bytes(data.replace(b"rXYZ", b"TEMP").replace(b"bXYZ", b"rXYZ").replace(b"TEMP", b"bXYZ"))


def test_colour_profiles_are_applied(tmp_path):
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    red.save(
        tmp_path / "plain.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )
    red.save(tmp_path / "swapped.png", icc_profile=wide_profile())
    red.save(tmp_path / "damaged.png", icc_profile=b"no profile" * 20)
    assert decoded(tmp_path / "plain.png")[:, 0, 0].tolist() == [255, 0, 0]
    assert (decoded(tmp_path / "swapped.png")[:, 0, 0].int() - torch.tensor([0, 0, 255])).abs().max() <= 2
    assert decoded(tmp_path / "damaged.png")[:, 0, 0].tolist() == [255, 0, 0]
    fill(tmp_path / "photos", red, icc_profile=b"no profile" * 20)
    assert "photos: 12 pictures with a damaged colour profile: its colours are taken as sRGB" in described(
        tmp_path / "photos"
    )


def described(source, **how):
    """The notices of a source."""
    with collected() as lines:
        images(source, **how).at(0)
    return lines


# orientation, transparency, frames


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path, turn, kind):
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"turned.{kind}"
    Image.fromarray(NOISE).save(path, exif=exif)
    with Image.open(path) as raw:
        upright = np.array(ImageOps.exif_transpose(raw).convert("RGB"))
    assert torch.equal(decoded(path), torch.from_numpy(upright).permute(2, 0, 1))


def test_the_upright_size_counts(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    fill(tmp_path / "photos", Image.fromarray(NOISE[:4, :2]), exif=exif)
    assert images(tmp_path / "photos").shape == (3, 2, 4)
    assert describe_images(tmp_path / "photos")["done"]["turned upright"] == 12


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparency_is_laid_on_white(tmp_path, mode):
    clear = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, 2, 2))
    path = tmp_path / "photos" / "a" / "0.png"
    path.parent.mkdir(parents=True)
    half = Image.fromarray(np.array([[0, 0, 9, 9]] * 2, np.uint8))
    for i in range(8):
        (
            half.save(path.with_name(f"{i}.png"), transparency=9)
            if mode == "L"
            else clear.convert(mode).save(path.with_name(f"{i}.png"))
        )
    assert decoded(path)[:, 0].tolist() == [[0, 0, 255, 255]] * 3
    lines = described(path.parent.parent)
    assert "photos: 8 pictures with transparency: laid on white" in lines
    Image.new("RGBA", (1, 1), (255, 0, 0, 128)).save(tmp_path / "half.png")
    assert decoded(tmp_path / "half.png").flatten().tolist() == [255, 127, 127]


def test_the_first_of_several_frames(tmp_path):
    (tmp_path / "films" / "a").mkdir(parents=True)
    first, second = (Image.new("RGB", (5, 5), colour) for colour in ("red", "blue"))
    for kind in ("gif", "tif", "webp", "png"):
        for i in range(3):
            first.save(tmp_path / "films" / "a" / f"{kind}{i}.{kind}", save_all=True, append_images=[second])
        assert (
            decoded(tmp_path / "films" / "a" / f"{kind}0.{kind}")[:, 2, 2].int() - torch.tensor([255, 0, 0])
        ).abs().max() <= 3
    assert "films: 12 pictures with several frames: the first is taken" in described(tmp_path / "films")


# size and channels


def test_size_takes_the_middle_square_pads_or_stretches(tmp_path):
    picture = np.zeros((8, 24, 3), np.uint8)
    picture[:, 8:16] = 200
    Image.fromarray(picture).save(tmp_path / "wide.png")
    assert (decoded(tmp_path / "wide.png", 4) == 200).all()
    padded = decoded(tmp_path / "wide.png", 12, "pad")[0]
    assert (padded[:4] == 0).all()
    assert (padded[8:] == 0).all()
    assert (padded[5:7, 5:7] == 200).all()
    assert (padded[5:7, :3] == 0).all()
    stretched = decoded(tmp_path / "wide.png", 12, "stretch")[0]
    assert (stretched[:, 5:7] == 200).all()
    assert (stretched[:, :3] == 0).all()


def test_auto_keeps_small_pictures_of_one_size_and_resizes_others(tmp_path):
    fill(tmp_path / "small")
    lines = described(tmp_path / "small")
    assert images(tmp_path / "small").shape == (3, 40, 60)
    assert lines == []
    fill(tmp_path / "large", Image.fromarray(NOISE.repeat(2, 0)))
    assert described(tmp_path / "large") == [
        "large: 12 images of 60 x 80 pixels, the middle square of each resized to 32 x 32 (size=, fit=)"
    ]
    assert images(tmp_path / "large").shape == (3, 32, 32)
    Image.fromarray(NOISE[:30]).save(tmp_path / "small" / "a" / "other.png")
    assert described(tmp_path / "small", fit="pad") == [
        "small: 13 images of 2 sizes, each with black borders resized to 32 x 32 (size=, fit=)"
    ]
    assert images(tmp_path / "small", size=7, fit="stretch").at(0)[0].shape[1:] == (3, 7, 7)
    with pytest.raises(ValueError, match=r"small: .* is 60 x 30 pixels but .* is 60 x 40; pass size="):
        images(tmp_path / "small", size=None).at(0)


def test_pictures_that_are_read_with_other_channels_are_named(tmp_path):
    for name, pixels in (("grey", NOISE[..., 0]), ("colour", NOISE)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    with collected() as lines:
        assert images(tmp_path, split=None, channels=3).shape[0] == 3
    assert f"{tmp_path.name}: 1 grey picture, read as colour: grey.png" in lines
    with collected() as lines:
        assert images(tmp_path, split=None, channels=1).shape[0] == 1
    assert f"{tmp_path.name}: 1 colour picture, read as grey: colour.png" in lines
    with collected() as lines:
        assert images(tmp_path / "grey.png", split=None, channels=1).shape[0] == 1
    assert not any("read as" in line for line in lines)


def test_grey_pictures_have_one_channel_unless_some_are_in_colour(tmp_path):
    grey = Image.fromarray(NOISE[..., 0])
    fill(tmp_path / "grey", grey)
    assert described(tmp_path / "grey") == ["grey: every picture is grey: 1 channel (channels=)"]
    x = images(tmp_path / "grey").content.x
    assert torch.equal(x[0, 0], torch.from_numpy(NOISE[..., 0]))
    assert torch.equal(images(tmp_path / "grey", channels=3).content.x, x.expand(-1, 3, -1, -1))
    grey.convert("P").save(tmp_path / "grey" / "a" / "palette.png")
    assert images(tmp_path / "grey").shape[0] == 1
    Image.fromarray(NOISE).save(tmp_path / "grey" / "b" / "colour.png")
    assert images(tmp_path / "grey").shape[0] == 3
    assert images(tmp_path / "grey", split="test").shape[0] == 3
    assert images(tmp_path / "grey", channels=1).shape[0] == 1


def test_a_sample_of_very_many_decides_and_what_differs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(image_content, "LOOKED_AT", 3)
    fill(tmp_path / "photos", Image.fromarray(NOISE[..., 0]), many=10)
    assert "photos: 3 of 20 pictures were looked at to decide this" in described(tmp_path / "photos")
    Image.fromarray(NOISE).save(tmp_path / "photos" / "a" / "5.png")
    with pytest.raises(
        ValueError, match=r"a/5.png: it is in colour, and the others that were looked at are grey"
    ):
        [images(tmp_path / "photos", split=split).at(0) for split in ("train", "test")]
    Image.fromarray(NOISE[:9, :, 0]).save(tmp_path / "photos" / "a" / "5.png")
    with pytest.raises(ValueError, match=r"a/5.png: 60 x 9 pixels, the others are 60 x 40; pass size="):
        [images(tmp_path / "photos", split=split).at(0) for split in ("train", "test")]


# what would fill the memory


def test_too_many_pixels_are_refused_by_the_header_without_memory(tmp_path):
    program = f"""
import resource, sys
from pathlib import Path
from PIL import Image
from deepcanon.data import images
big = Image.new("1", (16_000, 11_000))
for i in range(8):
    big.save(Path({str(tmp_path)!r}) / f"{{i}}.png")
del big
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    images({str(tmp_path)!r}).at(0)
except ValueError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert (
        "8 images (0.png: too large: 16,000 x 11,000 is 176,000,000 pixels, the limit is 89,478,485"
        in said[0]
    )
    assert int(said[1]) < 100


@pytest.mark.parametrize(("large", "most"), [(10, 1), (10**6, 4)])
def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch, large, most):
    fill(tmp_path / "photos")
    reduced, active, seen = image_decode.reduced, [], []

    def watched(*arguments, **how):
        active.append(1)
        seen.append(len(active))
        time.sleep(0.02)
        active.pop()
        return reduced(*arguments, **how)

    monkeypatch.setattr(image_decode, "reduced", watched)
    monkeypatch.setattr(image_decode, "LARGE", large)
    assert images(tmp_path / "photos", split=None).count == 12
    assert max(seen) == most


def test_large_photographs_are_reduced_while_they_are_decoded(tmp_path):
    Image.new("RGB", (3_000, 2_000), (10, 200, 30)).save(tmp_path / "0.jpg")
    x = images(tmp_path, size=16, split=None).content.x
    assert (x.float().mean((0, 2, 3)) - torch.tensor([10.0, 200.0, 30.0])).abs().max() < 3


def test_too_many_pixels_for_pillow_itself(tmp_path):
    png(tmp_path / "bomb.png", 60_000, 60_000, 1, 0, [])
    with pytest.raises(ValueError, match=r"bomb.png: too large: .*3600000000 pixels"):
        images(tmp_path / "bomb.png", split=None).at(0)


# other forms of a source


@pytest.fixture
def listed(tmp_path):
    """Ten pictures in a folder, and a table beside them of their paths, classes and splits."""
    (tmp_path / "all").mkdir()
    for i in range(10):
        Image.new("RGB", (5, 5), (i, i, i)).save(tmp_path / "all" / f"{i}.png")
    return pd.DataFrame(
        {
            "File": [f"all/{i}.png" for i in range(10)],
            "species": range(10),
            "Label": ["owl", "fox"] * 5,
            "split": ["train", "train", "valid", "test", "test"] * 2,
        }
    )


def reds(data):
    return sorted(int(v) for x, _ in data for v in (x[:, 0, 0, 0] * 255).round())


def test_a_table_of_paths_classes_and_splits(listed, tmp_path):
    for name, separator in (("a.csv", ","), ("b.csv", ";"), ("c.tsv", "\t")):
        listed.to_csv(tmp_path / name, index=False, sep=separator)
        parts = {split: images(tmp_path / name, split=split) for split in ("train", "val", "test")}
        assert [reds(data) for data in parts.values()] == [[0, 1, 5, 6], [2, 7], [3, 4, 8, 9]]
        assert parts["train"].classes == ["fox", "owl"]
        for x, y in parts["test"]:
            assert torch.equal((x[:, 0, 0, 0] * 255).round().long() % 2, 1 - y)
    assert (
        "a.csv: paths from column File, classes from column Label, splits from column split; not used: "
        "species"
        in described(tmp_path / "a.csv")
    )
    listed.drop(columns="split").to_csv(tmp_path / "d.csv", index=False)
    train, test = (images(tmp_path / "d.csv", split=split) for split in ("train", "test"))
    assert sorted(reds(train) + reds(test)) == list(range(10))
    assert test.content.y.unique().tolist() == [0, 1]


def test_a_frame_of_paths(listed, workplace):
    listed["File"] = [str(workplace / name) for name in listed["File"]]
    assert reds(images(listed, split="test")) == [3, 4, 8, 9]
    assert images(listed).key != images(listed.iloc[:8]).key


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"File": None}, "has no column of paths .path, file, .*; it has species, Label, split"),
        ({"Label": ["owl"] * 9 + [""]}, "column 'Label' is empty in row 10"),
        ({"split": ["train"] * 9 + ["later"]}, "split 'later' in row 10 is none of train"),
        ({"split": ["train"] * 10}, "no picture falls into the test split"),
        (
            {"File": ["all/0.png"] * 10},
            "all/0.png is owl in row 1 and fox in row 2, expected one class a picture",
        ),
        ({"File": [f"all/{i}.png" for i in range(1, 11)]}, "all/10.png: there is no such file"),
    ],
)
def test_bad_tables_of_paths_are_refused_in_one_line(listed, tmp_path, change, line):
    for name, values in change.items():
        listed = listed.drop(columns=name) if values is None else listed.assign(**{name: values})
    listed.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(ValueError, match=line) as error:
        images(tmp_path / "bad.csv").at(0)
    assert "\n" not in str(error.value)


def test_files_to_predict_are_in_order_with_their_paths(listed, tmp_path):
    one = images(tmp_path / "all" / "7.png", split=None)
    assert (one.count, one.classes, one.metadata["paths"]) == (1, [], [str(tmp_path / "all" / "7.png")])
    assert one.at(0)[1].tolist() == [0]
    several = images([str(tmp_path / "all" / f"{i}.png") for i in (3, 1, 2)], split=None, batch=3)
    assert (several.at(0)[0][:, 0, 0, 0] * 255).round().tolist() == [3, 1, 2]
    assert [Path(p).name for p in several.metadata["paths"]] == ["3.png", "1.png", "2.png"]
    everything = images(tmp_path / "all", split=None)
    assert everything.metadata["paths"] == [f"{i}.png" for i in range(10)]
    assert reds(everything) == list(range(10))
    digits = images("digits", split=None)
    assert digits.count == 1_797
    assert torch.equal(digits.content.x[:1437], images("digits").content.x)


@pytest.mark.parametrize(
    ("source", "error", "line"),
    [
        ("photos.zip", ValueError, "photos.zip is an archive: unpack it"),
        ("x.npz", ValueError, "load it with numpy.load"),
        ("drawing.svg", ValueError, "no image that is read"),
        ("pipe.png", ValueError, "pipe.png: a pipe, not a file"),
        ("missing.png", FileNotFoundError, "there is no file missing.png"),
        ("missing.csv", FileNotFoundError, "there is no file missing.csv"),
    ],
)
def test_files_that_are_no_pictures_are_refused(workplace, source, error, line):
    os.mkfifo("pipe.png")
    for name in ("photos.zip", "x.npz", "drawing.svg"):
        Path(name).write_text("x")
    with pytest.raises(error, match=line):
        images(source, split=None).at(0)


BYTES = RNG.integers(0, 256, (50, 9, 7, 3), np.uint8)
Y = np.arange(50) % 5


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (BYTES, BYTES),
        (BYTES.transpose(0, 3, 1, 2), BYTES),
        (torch.from_numpy(BYTES).permute(0, 3, 1, 2), BYTES),
        (BYTES[..., 0], BYTES[..., :1]),
        (BYTES[..., :1], BYTES[..., :1]),
        (BYTES[..., 0] > 99, (BYTES[..., :1] > 99) * 255),
        (BYTES[..., 0].astype(np.uint16) * 257, BYTES[..., :1]),
        (BYTES.astype(np.float32) / 255, BYTES),
        (BYTES / 255.0, BYTES),
        (np.concatenate([BYTES, np.zeros_like(BYTES[..., :1])], -1), np.full_like(BYTES, 255)),
    ],
)
def test_arrays_of_every_layout_and_type(x, expected):
    every = images((x, Y), split=None, batch=50)
    assert torch.equal(
        every.content.x,
        torch.from_numpy(np.ascontiguousarray(expected.transpose(0, 3, 1, 2)).astype(np.uint8)),
    )
    assert every.at(0)[1].tolist() == Y.tolist()
    train, test = images((x, Y), batch=40), images((x, Y), split="test")
    assert train.content.y.bincount().tolist() == [8] * 5
    assert test.content.y.bincount().tolist() == [2] * 5
    rows = {bytes(row.numpy().data) for row in every.content.x}
    assert {bytes(row.numpy().data) for data in (train, test) for row in data.content.x} == rows
    assert images(x, split=None).classes == []


def test_each_class_of_two_rows_is_in_both_splits():
    sizes = [1, 2, 3, 4, 14, 24]
    y = np.repeat(np.arange(6), sizes)
    x = np.arange(len(y), dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    assert images((x, y), split="test").content.y.bincount(minlength=6).tolist() == [0, 1, 1, 1, 3, 5]
    assert images((x, y)).content.y.bincount().tolist() == [1, 1, 2, 3, 11, 19]
    with collected() as lines:
        images((x, y)).at(0)
    assert "the array: no test pictures of 0" in lines


def test_labels_are_words_or_any_whole_numbers():
    assert images((BYTES, np.array(["b", "a"] * 25))).classes == ["a", "b"]
    gaps = images((BYTES, np.where(Y == 4, 90, Y)), split=None, batch=50)
    assert gaps.classes == ["0", "1", "2", "3", "90"]
    assert gaps.at(0)[1].tolist() == Y.tolist()
    large = images((BYTES.repeat(9, 1), Y))
    assert large.shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (BYTES.astype(np.float32), "floats from 0 to 255, expected 0 to 1"),
        (BYTES.astype(np.int64), "int64 from 0 to 255 does not say what is white"),
        (BYTES / 127.5 - 1, "floats from -1 to 1, expected 0 to 1"),
        (np.full((4, 5, 5), np.nan), "NaN or infinite"),
        (BYTES[0], r"shape \(9, 7, 3\) looks like one picture"),
        (np.zeros((5, 3, 8, 3), np.uint8), "both the second and the last dimension"),
        (np.zeros((5, 8, 8, 2), np.uint8), "neither the second nor the last dimension"),
        (np.zeros((5, 8), np.uint8), "got an array of shape"),
        ((BYTES, Y[:9]), "expected as many labels as pictures, got 9 and 50"),
        ((BYTES, np.eye(50)), "is no class"),
        ((BYTES, Y + 0.5), "label 0.5 of row 0"),
        ([], "an empty list"),
        ([1, 2], "one with int"),
        (iter([1]), "expected pictures as a path, an array"),
        ({"left": BYTES}, "expected a dict of pictures"),
        ({"train": BYTES, "training": BYTES}, "expected a dict of pictures by split"),
        ({"train": (BYTES, Y), "test": (BYTES, Y + 1)}, "class 5 only in test, not in train"),
    ],
)
def test_objects_that_are_no_pictures_are_refused_in_one_line(source, line):
    with pytest.raises(ValueError, match=line) as error:
        images(source).at(0)
    assert "\n" not in str(error.value)


def test_a_dict_by_split(listed, tmp_path):
    data = {
        "train": (BYTES[:30], Y[:30]),
        "validation": (BYTES[30:40], Y[30:40]),
        "test": (BYTES[40:], Y[40:]),
    }
    for split, rows in (("train", slice(0, 30)), ("val", slice(30, 40)), ("test", slice(40, 50))):
        part = images(data, split=split, shuffle=False)
        assert torch.equal(part.content.x, torch.from_numpy(BYTES[rows]).permute(0, 3, 1, 2))
        assert part.content.y.tolist() == Y[rows].tolist()
    assert images({"train": (BYTES, Y)}, split="test").count == 10
    fill(tmp_path / "one")
    fill(tmp_path / "two", many=2)
    folders = {"train": tmp_path / "one", "test": str(tmp_path / "two")}
    assert (images(folders).count, images(folders, split="test").count) == (12, 4)


class Pairs(torch.utils.data.Dataset):
    """A data set of torch's form."""

    def __init__(self, make, classes=None):
        self.make = make
        if classes:
            self.classes = classes

    def __len__(self):
        return 50

    def __getitem__(self, row):
        if row >= 50:
            raise IndexError(row)
        return self.make(BYTES[row]), int(Y[row])


@pytest.mark.parametrize(
    "make",
    [
        Image.fromarray,
        torch.from_numpy,
        lambda x: x.transpose(2, 0, 1),
        lambda x: torch.from_numpy(x).permute(2, 0, 1).float() / 255,
    ],
)
def test_a_torch_data_set(make):
    data = images(Pairs(make, list("abcde")), split=None, batch=50)
    assert torch.equal(data.content.x, torch.from_numpy(BYTES).permute(0, 3, 1, 2))
    assert data.at(0)[1].tolist() == Y.tolist()
    assert data.classes == list("abcde")
    half = images(torch.utils.data.Subset(Pairs(make, list("abcde")), range(20)))
    assert (half.count, half.classes) == (15, list("abcde"))
    with pytest.raises(ValueError, match=r"row 0: floats from -.* expected 0 to 1"):
        images(Pairs(lambda x: torch.from_numpy(x).float() / 100 - 1)).at(0)


class ClassLabel:
    """A feature that names its classes, as Hugging Face's."""

    names = ("owl", "fox", "elk", "cat", "dog")


class Columns:
    """A data set of Hugging Face's form."""

    def __init__(self, rows):
        self.rows, self.column_names, self.features = (
            rows,
            ["id", "img", "kind"],
            {"id": None, "img": None, "kind": ClassLabel()},
        )

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        if isinstance(key, str):
            return [int(Y[row]) for row in self.rows]
        return {"id": key, "img": Image.fromarray(BYTES[self.rows[key]]), "kind": int(Y[self.rows[key]])}


def test_a_hugging_face_data_set():
    data = images({"train": Columns(range(40)), "test": Columns(range(40, 50))}, split="test")
    assert torch.equal(data.content.x, torch.from_numpy(BYTES[40:]).permute(0, 3, 1, 2))
    assert data.content.y.tolist() == Y[40:].tolist()
    assert data.classes == list(ClassLabel.names)
    assert images(Columns(range(50)), split="test").content.y.bincount().tolist() == [2] * 5


def test_pictures_in_a_list_are_left_as_they_are():
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures = [Image.fromarray(row) for row in BYTES]
    pictures[3].info["exif"] = exif.tobytes()
    x = images(pictures, split=None, size=7).content.x
    assert x.shape == (50, 3, 7, 7)
    assert pictures[3].size == (7, 9)


# what is recorded and said


def test_metadata_serve_where_the_files_are_not(tmp_path):
    data = images(fill(tmp_path / "photos"), size=8)
    metadata = json.loads(json.dumps({data.key: data.metadata}))
    assert {k: data.metadata[k] for k in ("shape", "classes", "levels")} == {
        "shape": [3, 8, 8],
        "classes": ["a", "b"],
        "levels": 256,
    }
    assert len(data.metadata["sha256"]) == 64
    assert [images("digits", size=size).metadata["levels"] for size in (None, 9)] == [17, 256]
    os.rename(tmp_path / "photos", tmp_path / "gone")
    with recorded_metadata(metadata):
        assert images(tmp_path / "photos", size=8).shape == (3, 8, 8)
    keys = [
        images(tmp_path / "photos", **how).key
        for how in ({}, {"size": 8}, {"size": None}, {"fit": "pad"}, {"channels": 1}, {"split": "test"})
    ]
    assert len(set(keys)) == 6
    assert images("digits").key == "images:digits:train"
    assert images("digits", size=16, split="test").key == "images:digits:test:16"


def test_named_sets_in_other_channels():
    x = images("digits").content.x
    assert torch.equal(images("digits", channels=3).content.x, x.expand(-1, 3, -1, -1))
    assert images("digits", channels=1).content.x is x


def test_a_notice_is_printed_once_and_can_be_collected(capsys):
    say("a line of this test")
    say("a line of this test")
    assert capsys.readouterr().err == "a line of this test\n"
    with collected() as lines:
        say("a line of this test")
    assert (lines, capsys.readouterr().err) == (["a line of this test"], "")
    assert notices.count("a line of this test") == 1


def test_a_source_is_described_without_decoding(tmp_path):
    fill(tmp_path / "photos", Image.fromarray(NOISE), many=9)
    Image.new("RGBA", (100, 20)).save(tmp_path / "photos" / "a" / "clear.png")
    Image.fromarray(RAMP).save(tmp_path / "photos" / "b" / "deep.png")
    (tmp_path / "photos" / "b" / "empty.png").touch()
    (tmp_path / "photos" / "notes.txt").write_text("x")
    description = json.loads(json.dumps(describe_images(tmp_path / "photos")))
    assert (description["kind"], description["name"], description["count"]["train"] + description["count"]["test"]) == (
        "images",
        "photos",
        20,
    )
    assert sum(description["classes"][split]["a"] for split in ("train", "test")) == 10
    assert description["sizes"] == {"min": [60, 20], "median": [60, 40], "max": [100, 64], "different": 3}
    assert description["modes"] == {"RGB, 8 bits": 18, "RGBA, 8 bits": 1, "I;16, 16 bits": 1}
    assert [line.partition(":")[2] for line in description["problems"]] == [
        " cannot be read: 1 image (b/empty.png: empty (0 bytes)); mend or remove them, or leave them out "
        "with skip_unreadable=True"
    ]
    assert description["left_out"] == {
        "unreadable": {"b/empty.png": "empty (0 bytes)"},
        "not images": ["notes.txt"],
        "in no split": [],
    }
    assert description["done"] == {
        "turned upright": 0,
        "laid on white": 1,
        "first of several frames": 0,
        "to 8 bits": 1,
        "to sRGB": 0,
        "shape": [3, 32, 32],
        "size": 32,
        "fit": "crop",
    }
    assert "photos: 1 picture with transparency: laid on white" in description["notices"]
    one = describe_images(tmp_path / "photos" / "a" / "clear.png", size=None)
    assert (one["sizes"]["max"], one["problems"]) == (
        [100, 20],
        [
            f"{tmp_path / 'photos' / 'a' / 'clear.png'}: no picture falls into the test split (1 picture "
            f"in all); make folders train and test, or add pictures"
        ],
    )


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ({"size": "large"}, "size must be a number of pixels, 'auto' or None, got 'large'"),
        ({"size": 0}, "size must be at least 1"),
        ({"fit": "squash"}, "fit must be one of crop, pad, stretch, got 'squash'"),
        ({"channels": 2}, "channels must be 1 or 3, got 2"),
        ({"split": "holdout"}, "split must be 'train', 'test', 'val' or None"),
        ({"split": "val"}, "split must be 'train' or 'test', got 'val'"),
    ],
)
def test_bad_arguments_are_refused_at_once(how, line):
    with pytest.raises(ValueError, match=line):
        images("digits", **how)
