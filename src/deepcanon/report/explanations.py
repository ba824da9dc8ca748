"""The page of explanations: each image with its maps, and what the net looks for; one file without
scripts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from markupsafe import Markup
from torch import Tensor

from deepcanon.engine.checkpoint import write_bytes
from deepcanon.report.pictures import Picture, embed

if TYPE_CHECKING:
    from deepcanon.explaining import Explained, Explanation

SIDE = 224  # pixels a side that a picture is embedded with at most
SIGNED, OVER = {"integrated_gradients", "occlusion"}, {"grad_cam", "attention_rollout"}
ABOUT = {
    "saliency": "how strongly the score reacts to each pixel: the absolute gradient",
    "smooth_grad": "the absolute gradient, averaged over noisy copies of the image",
    "integrated_gradients": "what each pixel adds to the score on the way from black; the sum is what it gains",
    "guided_backprop": "the gradient without negative signals at rectifiers; shows edges more than reasons",
    "deconvolution": "positive signals alone, carried back to the pixels",
    "grad_cam": "where the last maps speak for the class, over the image",
    "occlusion": "how far the score falls when a square there is covered",
    "attention_rollout": "which patches the class token is made of, through all attention layers",
}


class Shown(NamedTuple):
    """A picture with its caption."""

    caption: str
    picture: Picture


class Panel(NamedTuple):
    """One image: its name, what it is taken for, what is explained, the image and its maps."""

    name: str
    likeliest: str
    target: str
    pictures: list[Shown]


def write_explanation(found: Explanation, path: Path) -> Path:
    """The page, written to `path`."""
    import jinja2

    folder = Path(__file__).parent
    loader = jinja2.FileSystemLoader(folder)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    used = list(dict.fromkeys(name for image in found.images for name in image.maps))
    page = environment.get_template("explanations.html.jinja").render(
        title=f"Explanations of {Path(found.model).name}",
        style=Markup((folder / "page.css").read_text(encoding="utf-8")),
        panels=[panel(image) for image in found.images],
        count=found.count,
        layer=found.layer,
        methods=[(words(name), ABOUT[name]) for name in used],
        left_out=[words(line) for line in found.left_out],
        **of_the_net(found),
    )
    write_bytes(path, page.lstrip().encode())
    return path


def of_the_net(found: Explanation) -> dict[str, list]:
    """What the page shows of the net as a whole; an empty list for what there is not."""
    whole = found.whole
    regions = [Shown(name, strip(cuts)) for name, cuts in whole.get("regions", {}).items()]
    classes = [Shown(name, png(rgb(x))) for name, x in whole.get("class_pictures", {}).items()]
    filters = [Shown("first filters", grid(whole["filters"]))] if "filters" in whole else []
    points, clusters = whole.get("map", (None, None))
    maps = [drawn_map(points, clusters, found.targets)] if points is not None and clusters is not None else []
    return {"filters": filters, "classes": classes, "regions": regions, "maps": maps}


def panel(image: Explained) -> Panel:
    """One image and its maps as they are shown."""
    base = rgb(image.image)
    shown = [Shown("image", png(base))]
    for name, values in image.maps.items():
        shown.append(
            Shown(
                words(name),
                png(
                    over(base, values) if name in OVER else signed(values) if name in SIGNED else dark(values)
                ),
            )
        )
    likeliest = ", ".join(f"{name} {100 * p:.0f} %" for name, p in image.likeliest)
    return Panel(image.name, likeliest, image.target, shown)


def words(name: str) -> str:
    """A method's name as text."""
    return name.replace("_", " ")


# pictures, (H, W, 3) in [0, 1]


def rgb(x: Tensor) -> Tensor:
    """An image (C, H, W); of other channels than 3 their mean."""
    x = x.float().clamp(0, 1)
    return (x if len(x) == 3 else x.mean(0, keepdim=True).expand(3, -1, -1)).permute(1, 2, 0)


def scaled(values: Tensor) -> Tensor:
    """A map in [-1, 1]: divided by its 99.5th percentile, which a few outliers do not move."""
    peak = values.abs().flatten().quantile(0.995)
    return (values / peak).clamp(-1, 1) if peak > 0 else torch.zeros_like(values)


def coloured(values: Tensor, name: str) -> Tensor:
    """Values in [0, 1] in the colours of a map of matplotlib's."""
    import matplotlib

    return torch.from_numpy(matplotlib.colormaps[name](values.numpy())[..., :3]).float()


def dark(values: Tensor) -> Tensor:
    """A map without sign: white where nothing is, dark where much is."""
    return coloured(scaled(values), "Purples")


def signed(values: Tensor) -> Tensor:
    """A map with sign: red for, blue against, white where nothing is."""
    return coloured((scaled(values) + 1) / 2, "RdBu_r")


def over(base: Tensor, values: Tensor) -> Tensor:
    """A map over its image in grey."""
    weight = scaled(values)[..., None].clamp(min=0)
    return (1 - 0.7 * weight) * (0.3 + 0.7 * base.mean(2, keepdim=True)) + 0.7 * weight * coloured(
        weight[..., 0], "inferno"
    )


def png(picture: Tensor) -> Picture:
    """A picture (H, W, 3), embedded; large ones are made smaller."""
    from PIL import Image

    image = Image.fromarray((picture.clamp(0, 1) * 255).round().to(torch.uint8).numpy())
    image.thumbnail((SIDE, SIDE))
    image.save(buffer := io.BytesIO(), format="png", optimize=True)
    return Picture(embed(buffer.getvalue()), *image.size)


def grid(images: Tensor) -> Picture:
    """Small images (n, C, H, W) side by side, their pixels enlarged."""
    from deepcanon.engine.samples import grid as arranged

    return png_of(arranged(images), 448)


def strip(parts: list[Tensor]) -> Picture:
    """Regions of an image side by side, each in the upper left of a square."""
    side = max(max(p.shape[1:]) for p in parts)
    framed = [
        torch.nn.functional.pad(p.float(), (0, side - p.shape[2], 0, side - p.shape[1]), value=1.0)
        for p in parts
    ]
    return png_of((torch.cat([rgb(p) for p in framed], 1) * 255).round().to(torch.uint8), 448)


def png_of(picture: Tensor, width: int) -> Picture:
    """A picture (H, W, 3) of bytes, embedded, of that width at most."""
    from PIL import Image

    image = Image.fromarray(picture.numpy())
    image.thumbnail((width, width))
    image.save(buffer := io.BytesIO(), format="png", optimize=True)
    return Picture(embed(buffer.getvalue()), *image.size)


def drawn_map(points: Tensor, clusters: Tensor, labels: list[str]) -> Shown:
    """The map of the images, coloured by class, with its caption."""
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(dict.fromkeys(labels)):
        rows = torch.tensor([label == name for label in labels])
        axes.scatter(
            *points[rows].T.numpy(), s=18, color=f"C{i % 10}", marker="os^Dv"[i // 10 % 5], label=name[:20]
        )
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(buffer := io.BytesIO(), format="png", dpi=110, bbox_inches="tight")
    found, noise = int(clusters.max()) + 1, int((clusters < 0).sum())
    about = (
        f"{len(points)} images by the features of the last layer (t-SNE), coloured by the class that is "
        f"explained; HDBSCAN finds {found} clusters and leaves out {noise} images"
    )
    with Image.open(buffer) as drawn:
        return Shown(about, Picture(embed(buffer.getvalue()), *drawn.size))
