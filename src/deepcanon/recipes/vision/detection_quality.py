"""What is measured of a detector on held-out pictures.

    map50               mean over the classes of the average precision at an IoU of 0.5
    map                 the same, mean over IoU 0.5, 0.55, ..., 0.95, as COCO has it
    crowded_recall      share of crowded objects that are found: those whose centre is in one cell of a 7 x 7
        grid with another's
    apart_recall        that of all others
"""

from pathlib import Path
from typing import Any

import torch

from deepcanon.data.box_batches import objects_in
from deepcanon.data.source import Source
from deepcanon.engine.checkpoint import write_bytes
from deepcanon.metrics.crowding import recalls
from deepcanon.metrics.detection import Detections, Objects, mean_average_precision

SHOWN = 12


class DetectionQuality:
    """An evaluation of a method with `detect`, which writes a table of the classes and pictures when the run
    ends.
    """

    def __init__(self, source: Source):
        self.source = source

    def __call__(self, method: Any) -> dict[str, float]:
        found, objects = self.detections(method)
        precision = mean_average_precision(found, objects, self.source.num_classes)          # (T, K)
        if precision.isnan().all():
            raise ValueError(f"{self.source.name}: the test part holds no object")
        mean = precision.nanmean(1)
        shares = recalls(found, objects, self.source.shape[1:])
        return {"map50": mean[0].item(), "map": mean.mean().item(), **shares}

    def detections(self, method: Any) -> tuple[list[Detections], list[Objects]]:
        """What is found in every test picture, and what is there."""
        device, test = next(method.parameters()).device, self.source.test()
        found = [d for x, *_ in test for d in method.detect(x.to(device))]
        return [Detections(*(part.cpu() for part in d)) for d in found], objects_in(test)

    def write(self, folder: Path, method: Any) -> None:
        """evaluation/classes.csv with the average precisions of each class, and evaluation/detections.png."""
        from deepcanon.engine.box_pictures import boxes_grid

        found, objects = self.detections(method)
        precision = mean_average_precision(found, objects, self.source.num_classes)
        labels = torch.cat([there.labels for there in objects])
        counts = labels.bincount(minlength=self.source.num_classes).tolist()
        rows = [f'"{name}",{count},{p[0]:.4f},{p.mean():.4f}'
                for name, count, p in zip(self.source.classes, counts, precision.T, strict=True)]
        table, x = "\n".join(["class,objects,ap50,ap", *rows, ""]), self.source.test(batch=SHOWN).at(0)[0]
        write_bytes(folder / "evaluation" / "classes.csv", table.encode())
        grid = boxes_grid(x, found[: len(x)], self.source.classes)
        write_bytes(folder / "evaluation" / "detections.png", grid)
