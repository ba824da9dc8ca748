"""Selective search (Uijlings, van de Sande, Gevers & Smeulders 2013): regions that may hold an object.

    start    segments of a graph of pixels (Felzenszwalb & Huttenlocher 2004): an edge of weight w joins two
             segments a, b if w <= min(Int(a) + k / |a|, Int(b) + k / |b|), Int the largest weight inside
    then     the two most similar neighbours become one, until one is left; every region's box is a proposal
    s(a, b)  = sum_i min(c_a_i, c_b_i) + sum_i min(t_a_i, t_b_i)
               + [1 - (|a| + |b|) / |image|] + [1 - (|box| - |a| - |b|) / |image|]

Nothing is learned. c are histograms of colour, t of the directions of edges: what two regions have in common.
The last terms join small regions first, then such as fill their box.
H x W pixels, N regions.
"""

import hashlib

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.vision.detections import checked_images

BINS, DIRECTIONS = 16, 8


def selective_search(
    image: Float[Tensor, "C H W"], *, k: float = 0.4, least: int = 20, smallest: int = 4
) -> Float[Tensor, "N 4"]:
    """Boxes of regions, those of the largest first, each once.

    Args:
        image: in [0, 1].
        k: of the first segments: larger ones with a larger k.
        least: pixels that a first segment has at least, if it has a neighbour to join.
        smallest: side in pixels below which a box is left out.

    Raises:
        ValueError: no image of finite numbers, or k below 0.
    """
    checked_images(image[None])
    if not k >= 0:
        raise ValueError(f"expected k of 0 or more, got {k}")
    image = image.float()
    regions = Regions(image, segments(image, k=k, least=least))
    while regions.merge():
        pass
    boxes = torch.tensor(regions.boxes[::-1], dtype=torch.float32)
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) >= smallest).all(1)]
    first = {}
    for row, box in enumerate(map(tuple, boxes.tolist())):
        first.setdefault(box, row)
    return boxes[list(first.values())].to(image.device)


class RememberedSearch:
    """Selective search that keeps what it found in each picture; what is kept is not saved."""

    def __init__(self):
        self.found: dict[bytes, Tensor] = {}

    def __call__(self, image: Tensor) -> Tensor:
        key = hashlib.sha256(image.cpu().contiguous().numpy().data).digest()
        if key not in self.found:
            self.found[key] = selective_search(image)
        return self.found[key]

    def __getstate__(self) -> dict:
        return {"found": {}}


def segments(image: Float[Tensor, "C H W"], *, k: float = 0.4, least: int = 20) -> Int[Tensor, "H W"]:
    """The number of the segment of each pixel, 0, 1, ..."""
    height, width = image.shape[1:]
    weight, a, b = edges(image)
    order = weight.argsort(stable=True)
    a, b, weight = (v[order].tolist() for v in (a, b, weight))
    parent, size, inside = list(range(height * width)), [1] * (height * width), [0.0] * (height * width)

    def root(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(i, j, w):
        i, j = (i, j) if size[i] >= size[j] else (j, i)
        parent[j], size[i], inside[i] = i, size[i] + size[j], w

    for i, j, w in zip(a, b, weight, strict=True):
        i, j = root(i), root(j)
        if i != j and w <= min(inside[i] + k / size[i], inside[j] + k / size[j]):
            join(i, j, w)
    for i, j, w in zip(a, b, weight, strict=True):
        i, j = root(i), root(j)
        if i != j and min(size[i], size[j]) < least:
            join(i, j, max(w, inside[i], inside[j]))
    roots = torch.tensor([root(i) for i in range(height * width)])
    return roots.unique(return_inverse=True)[1].view(height, width)


def edges(image: Float[Tensor, "C H W"]) -> tuple[Tensor, Tensor, Tensor]:
    """Every pixel with its eight neighbours, each pair once: the distance of their colours, and their
    numbers.
    """
    height, width = image.shape[1:]
    number = torch.arange(height * width).view(height, width)
    pairs = [
        (number[:, :-1], number[:, 1:]),
        (number[:-1], number[1:]),
        (number[:-1, :-1], number[1:, 1:]),
        (number[1:, :-1], number[:-1, 1:]),
    ]
    a, b = (torch.cat([part.flatten() for part in side]) for side in zip(*pairs, strict=True))
    flat = image.detach().cpu().flatten(1)
    return (flat[:, a] - flat[:, b]).norm(dim=0), a, b


class Regions:
    """The regions of an image while they are joined, with their boxes, sizes, histograms and neighbours."""

    def __init__(self, image: Tensor, number: Int[Tensor, "H W"]):
        self.total = number.numel()
        count = int(number.max()) + 1
        self.sizes: list[int] = number.flatten().bincount(minlength=count).tolist()
        self.looks = list(histograms(image, number, count))
        self.boxes = boxes_of(number, count)
        self.near: dict[int, set[int]] = {i: set() for i in range(count)}
        self.likeness: dict[tuple[int, int], float] = {}
        across = [(number[:, :-1], number[:, 1:]), (number[:-1], number[1:])]
        pairs = torch.cat([torch.stack([a.flatten(), b.flatten()], 1) for a, b in across])
        for i, j in pairs[pairs[:, 0] != pairs[:, 1]].sort(1).values.unique(dim=0).tolist():
            self.meet(i, j)

    def meet(self, i: int, j: int) -> None:
        """Note that two regions are neighbours, i < j."""
        self.near[i].add(j)
        self.near[j].add(i)
        self.likeness[i, j] = self.similarity(i, j)

    def similarity(self, i: int, j: int) -> float:
        """s(i, j)."""
        common = float(torch.minimum(self.looks[i], self.looks[j]).sum())
        both = self.sizes[i] + self.sizes[j]
        x0, y0, x1, y1 = joined(self.boxes[i], self.boxes[j])
        return common + (1 - both / self.total) + (1 - ((x1 - x0) * (y1 - y0) - both) / self.total)

    def merge(self) -> bool:
        """Join the two neighbours that are most alike; False where there are none."""
        if not self.likeness:
            return False
        i, j = max(self.likeness, key=self.likeness.__getitem__)
        new, size = len(self.sizes), self.sizes[i] + self.sizes[j]
        self.looks.append((self.looks[i] * self.sizes[i] + self.looks[j] * self.sizes[j]) / size)
        self.boxes.append(joined(self.boxes[i], self.boxes[j]))
        self.sizes.append(size)
        self.near[new] = set()
        around = (self.near[i] | self.near[j]) - {i, j}
        for old in (i, j):
            for other in self.near.pop(old):
                self.likeness.pop((min(old, other), max(old, other)), None)
                if other in self.near:
                    self.near[other].discard(old)
        for other in sorted(around):
            self.meet(other, new)
        return True


def histograms(
    image: Float[Tensor, "C H W"], number: Int[Tensor, "H W"], count: int
) -> Float[Tensor, "N bins"]:
    """Of each region the shares of its colours and of the directions of its edges; each of the two kinds sums
    to 1.
    """
    image = image.detach().cpu()
    kinds = [(channel.clamp(0, 1) * BINS).long().clamp(max=BINS - 1) for channel in image]
    grey = F.pad(image.mean(0)[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    dx, dy = grey[1:-1, 2:] - grey[1:-1, :-2], grey[2:, 1:-1] - grey[:-2, 1:-1]
    turn = ((torch.atan2(dy, dx) / torch.pi + 1) / 2 * DIRECTIONS).long().clamp(max=DIRECTIONS - 1)
    kinds_bins = [(kind, BINS, len(kinds), torch.ones_like(grey[1:-1, 1:-1])) for kind in kinds]
    parts = []
    for kind, bins, shares, weight in [*kinds_bins, (turn, DIRECTIONS, 1, torch.hypot(dx, dy))]:
        table = (
            torch.zeros(count * bins)
            .index_add_(0, (number * bins + kind).flatten(), weight.flatten())
            .view(count, bins)
        )
        parts.append(table / table.sum(1, keepdim=True).clamp(min=1e-12) / shares)
    return torch.cat(parts, 1)


def boxes_of(number: Int[Tensor, "H W"], count: int) -> list[tuple[int, int, int, int]]:
    """The box of each segment."""
    height, width = number.shape
    y, x = (v.flatten() for v in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    flat = number.flatten()

    def ends(values: Tensor, how: str) -> list[int]:
        start = torch.full((count,), max(height, width) if how == "amin" else -1)
        return start.scatter_reduce(0, flat, values, how).tolist()

    corners = zip(ends(x, "amin"), ends(y, "amin"), ends(x + 1, "amax"), ends(y + 1, "amax"), strict=True)
    return list(corners)


def joined(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The box of two boxes."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
