"""One picture, from a file or in memory, to uint8 (C, H, W).

What the file says of its pixels is honoured, or refused by name:

    depth           16 bits are read by their full range (v >> 8), or by the fewer that a TIFF states
    floats          must lie in 0..1
    transparency    is laid on white
    orientation     EXIF's is applied
    frames          the first one
    colour          palettes, CMYK, YCbCr and LAB become RGB; RGB and CMYK with a colour profile become sRGB
"""

import io
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "GIF", "WEBP", "PPM", "TIFF", "JPEG2000", "AVIF")
LARGE = 2**24  # pixels; pictures larger than this are decoded one at a time
WHITE_IS_ZERO = 0  # TIFF's PhotometricInterpretation
BITS, PHOTOMETRIC, ORIENTATION = 258, 262, 274

_one_large_at_a_time = threading.Lock()


class Look(NamedTuple):
    """What the header of a picture says."""

    size: tuple[int, int]  # width and height, upright
    mode: str  # Pillow's
    bits: int  # of a sample
    grey: bool
    alpha: bool
    frames: int = 1
    turned: bool = False  # by its EXIF orientation
    profile: str = ""  # or sRGB, other, damaged


def looked_at(source: Any) -> Look:
    """The header of a picture; nothing is decoded.

    Raises:
        ValueError: the file is not a picture that can be read, or has too many pixels.
    """
    with opened(source) as picture:
        turned = orientation(picture)
        width, height = picture.size
        several = (
            getattr(picture, "is_animated", False) and picture.format != "MPO"
        )  # whose others are previews
        frames = getattr(picture, "n_frames", 1) if several else 1
        return Look(
            size=(height, width) if turned in (5, 6, 7, 8) else (width, height),
            mode=picture.mode,
            bits=depth(picture),
            grey=is_grey(picture),
            alpha=picture.has_transparency_data,
            frames=frames,
            turned=turned in range(2, 9),
            profile=profile_kind(picture.info.get("icc_profile")),
        )


def decoded(
    source: Any, size: int | None = None, fit: str = "crop", channels: int = 3, must_be_grey: bool = False
) -> Tensor:
    """A picture as uint8 (channels, H, W).

    Args:
        source: a path, a Pillow image, an array (H, W) or (H, W, C), or the bytes of a file.
        size: resize to size x size pixels; None: as it is.
        fit: `crop` takes the middle square first, `pad` adds black borders, `stretch` keeps no proportions.
        channels: 3 for RGB, 1 for grey.
        must_be_grey: refuse a picture in colour.

    Raises:
        ValueError: says why the picture cannot be read.
    """
    with opened(source) as picture:
        if must_be_grey and not is_grey(picture):
            raise ValueError(
                "it is in colour, and the others that were looked at are grey: pass channels=3 or channels=1"
            )
        large = picture.width * picture.height > LARGE
        with _one_large_at_a_time if large else nullcontext():
            result = reduced(picture, size, fit, "L" if channels == 1 else "RGB", fresh=picture is not source)
    x = np.array(result)
    return torch.from_numpy(x[None] if x.ndim == 2 else x.transpose(2, 0, 1).copy())


@contextmanager
def opened(source: Any) -> Iterator["Picture"]:
    """An image that Pillow has opened, its header read.

    What goes wrong with it, here or in the block, becomes a ValueError with the reason alone.
    """
    pillow = pil()
    try:
        if isinstance(source, pillow.Image):
            within_limit(source.size)
            yield source
        elif isinstance(source, np.ndarray):
            yield pillow.fromarray(source)
        else:
            if not isinstance(source, bytes):
                regular(source)
            with pillow.open(
                io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats()
            ) as picture:
                within_limit(picture.size)
                yield picture
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many types on damaged files
        raise ValueError(plain(error)) from None


def plain(error: Exception) -> str:
    """The reason in a few words, without the path."""
    kind, text = type(error).__name__, " ".join(str(error).split())
    if kind == "UnidentifiedImageError":
        return "not an image in a known format"
    if kind in ("DecompressionBombError", "DecompressionBombWarning"):
        return text.partition(", could be")[0].replace("Image size", "too large:")
    return text if isinstance(error, ValueError | OSError | SyntaxError) and text else f"{kind}: {text}"


def regular(path: str | os.PathLike) -> None:
    """Refuse empty files and what is not a regular file before opening it: a pipe would wait for ever."""
    reason = why_not(os.stat(path))
    if reason:
        raise ValueError(reason)


def why_not(status: os.stat_result) -> str:
    """Why something cannot be a picture: it is no regular file, or is empty; "" when it may be one."""
    if not stat.S_ISREG(status.st_mode):
        kinds = {
            stat.S_IFIFO: "pipe",
            stat.S_IFSOCK: "socket",
            stat.S_IFDIR: "folder",
            stat.S_IFCHR: "device",
            stat.S_IFBLK: "device",
        }
        return f"a {kinds.get(stat.S_IFMT(status.st_mode), 'special file')}, not a file"
    return "" if status.st_size else "empty (0 bytes)"


def within_limit(size: tuple[int, int]) -> None:
    """Refuse a picture with more pixels than Pillow's limit."""
    most = pil().MAX_IMAGE_PIXELS
    if most is not None and size[0] * size[1] > most:
        raise ValueError(
            f"too large: {size[0]:,} x {size[1]:,} is {size[0] * size[1]:,} pixels, "
            f"the limit is {most:,} (PIL.Image.MAX_IMAGE_PIXELS)"
        )


def reduced(picture: "Picture", size: int | None, fit: str, mode: str, fresh: bool) -> "Picture":
    """The picture decoded, upright, in 8 bits, at its size, in mode L or RGB; only a fresh one is changed."""
    from PIL import ImageOps

    top, profile = highest(picture), picture.info.get("icc_profile")
    inverted = tags(picture).get(PHOTOMETRIC) == WHITE_IS_ZERO
    if size and fresh:
        picture.draft(None, (2 * size, 2 * size))  # JPEG decodes to a half, a quarter or an eighth at once
    if fresh:
        ImageOps.exif_transpose(picture, in_place=True)
    else:
        picture = ImageOps.exif_transpose(picture)
    eight = in_eight_bits(picture, top, inverted)
    if size:
        eight = resized(eight, size, fit)
    eight = on_white(eight)
    if profile and eight.mode in ("RGB", "CMYK") and profile_kind(profile) == "other":
        eight = in_srgb(eight, profile)
    return eight if eight.mode == mode else eight.convert("RGB").convert(mode)


def resized(picture: "Picture", size: int, fit: str) -> "Picture":
    """At size x size pixels: the middle square, the whole with black borders, or stretched."""
    from PIL import ImageOps

    how = pil().Resampling.BILINEAR
    if fit == "pad":
        black = {"L": 0, "RGB": (0, 0, 0)}.get(picture.mode, (0, 0, 0, 255))  # also of RGBA and CMYK
        return ImageOps.pad(picture, (size, size), how, color=black)
    if fit == "crop":
        side = min(picture.size)
        left, top = ((extent - side) // 2 for extent in picture.size)
        picture = picture.crop((left, top, left + side, top + side))
    return picture.resize((size, size), how)


def in_eight_bits(picture: "Picture", top: int | None, inverted: bool) -> "Picture":
    """A picture of any depth in a mode of 8 bits a sample: L, RGB, RGBA, CMYK."""
    mode = picture.mode
    if mode[0] in "IF":
        if "transparency" in picture.info:
            raise ValueError(f"a transparent value in a picture of mode {mode} is not supported")
        values = np.asarray(picture)
        values = float_levels(values) if mode == "F" else whole_levels(values, top)
        return pil().fromarray(255 - values if inverted else values)
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture if mode in ("L", "RGB", "CMYK") else picture.convert("L" if mode == "1" else "RGB")


def whole_levels(values: np.ndarray, top: int | None) -> np.ndarray:
    """0..top in 256 levels; ValueError when the range is not known or exceeded."""
    low, high = int(values.min()), int(values.max())
    if top is None:
        raise ValueError(
            f"whole numbers from {low} to {high} in 32 bits or with a sign, which state no range: "
            "save it in 8 or 16 bits"
        )
    if low < 0 or high > top:
        raise ValueError(f"values from {low} to {high}, but the file states 0 to {top}")
    return (values.astype(np.uint32) * 256 // (top + 1)).astype(np.uint8)


def float_levels(values: np.ndarray) -> np.ndarray:
    """0..1 in 256 levels; ValueError names another range."""
    if not np.isfinite(values).all():
        raise ValueError("floats that are NaN or infinite")
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError(f"floats from {values.min():g} to {values.max():g}, expected 0 to 1")
    return np.rint(values * 255).astype(np.uint8)


def on_white(picture: "Picture") -> "Picture":
    """Transparency laid on white."""
    if picture.mode != "RGBA":
        return picture
    white = pil().new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return white.convert("RGB")


def orientation(picture: "Picture") -> int:
    """EXIF's orientation, 1 to 8, as far as the header tells."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1  # Pillow would decode the whole file to look behind the pixels
    return picture.getexif().get(ORIENTATION, 1)


def tags(picture: "Picture") -> dict[int, Any]:
    """The tags of a TIFF; none for other formats."""
    return dict(getattr(picture, "tag_v2", {})) if picture.format == "TIFF" else {}


def depth(picture: "Picture") -> int:
    """Bits of a sample, as far as the header tells."""
    stated = tags(picture).get(BITS)
    if stated:
        return int(stated[0] if isinstance(stated, tuple) else stated)
    return {"1": 1, "F": 32}.get(picture.mode, 16 if picture.mode[0] == "I" else 8)


def highest(picture: "Picture") -> int | None:
    """The highest value that whole numbers of more than 8 bits can have; None when the file does not tell."""
    if picture.mode == "I" and picture.format == "TIFF":
        return None
    return 2 ** min(depth(picture), 16) - 1


def is_grey(picture: "Picture") -> bool:
    """Whether a picture can hold no colour, by its mode or its palette."""
    if picture.mode == "P" and picture.palette is not None:
        colours = np.frombuffer(picture.palette.tobytes(), np.uint8)
        stride = len(picture.palette.mode)
        colours = colours[: len(colours) // stride * stride].reshape(-1, stride)[:, :3]
        return bool((colours == colours[:, :1]).all())
    return picture.mode in ("1", "L", "LA", "La", "F") or picture.mode[0] == "I"


@lru_cache(maxsize=256)
def profile_kind(profile: bytes | None) -> str:
    """Of a colour profile: "" when there is none, "sRGB", "other", or "damaged"."""
    if not profile:
        return ""
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return "damaged"
    return "sRGB" if "srgb" in name.lower() else "other"


def in_srgb(picture: "Picture", profile: bytes) -> "Picture":
    """The colours of a profile as sRGB; a profile of another colour space than the picture's is ignored."""
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space: str = getattr(source.profile, "xcolor_space", "")
    if space.strip() != picture.mode:
        return picture
    converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return converted or picture


def pil() -> Any:
    """Pillow's Image module; ModuleNotFoundError says what to install."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise ModuleNotFoundError('images of your own need Pillow: pip install "deepcanon[vision]"') from None
    return Image


@cache
def formats() -> list[str]:
    """The formats that are read, as far as this Pillow knows them."""
    pil().init()
    return [name for name in FORMATS if name in pil().OPEN]
