"""Average precision beside pycocotools, with crowds, ignored objects and area ranges; overlaps by hand and by
counting pixels.
"""

import contextlib
import inspect
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO as CocoSet
from pycocotools.cocoeval import COCOeval

from deepcanon.metrics.detection import (
    LARGE,
    MEDIUM,
    SMALL,
    Detections,
    Objects,
    box_area,
    box_iou,
    interpolated_precision,
    mean_average_precision,
)

K = 3


def objects(boxes, labels, **more) -> Objects:
    return Objects(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4), torch.tensor(labels, dtype=torch.int64), **more
    )


def found(boxes, scores, labels) -> Detections:
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(labels, dtype=torch.int64),
    )


def random_boxes(rng, n: int) -> np.ndarray:
    """Whole corners, so that both sides compute the same overlaps; some larger than 96 x 96, some smaller
    than 32 x 32.
    """
    low = rng.integers(0, 200, (n, 2))
    return np.concatenate([low, low + rng.integers(8, 140, (n, 2))], 1).astype(np.float32)


def random_case(seed: int, images: int = 12):
    """Objects with crowds and ignored ones; detections near them and elsewhere, with equal scores among
    them.
    """
    rng = np.random.default_rng(seed)
    there, seen = [], []
    for _ in range(images):
        n = rng.integers(0, 8)
        boxes, labels = random_boxes(rng, n), rng.integers(0, K, n)
        crowd, ignore = rng.random(n) < 0.2, rng.random(n) < 0.15
        near = np.concatenate(
            [
                boxes + rng.integers(-12, 13, boxes.shape),
                boxes + rng.integers(-30, 31, boxes.shape),
                random_boxes(rng, 4),
            ]
        )
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        kinds = np.concatenate([labels, labels, rng.integers(0, K, 4)])
        scores = np.round(rng.random(len(near)), 1)
        there.append(
            Objects(
                torch.from_numpy(boxes),
                torch.from_numpy(labels),
                torch.from_numpy(crowd),
                torch.from_numpy(ignore),
            )
        )
        seen.append(found(near.tolist(), scores.tolist(), kinds.tolist()))
    return seen, there


def cocos(seen: list[Detections], there: list[Objects], most: int = 100) -> COCOeval:
    """What pycocotools makes of the same."""
    annotations, results = [], []
    for i, (d, o) in enumerate(zip(seen, there), 1):
        none = torch.zeros(len(o.labels), dtype=torch.bool)
        for box, label, crowd, ignore in zip(
            o.boxes.tolist(),
            o.labels.tolist(),
            none if o.crowd is None else o.crowd,
            none if o.ignore is None else o.ignore,
        ):
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": label + 1,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(crowd),
                    "difficult": int(ignore),
                }
            )
        for box, score, label in zip(d.boxes.tolist(), d.scores.tolist(), d.labels.tolist()):
            results.append(
                {
                    "image_id": i,
                    "category_id": label + 1,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "score": score,
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = CocoSet()
        truth.dataset = {
            "images": [{"id": i + 1} for i in range(len(there))],
            "annotations": annotations,
            "categories": [{"id": k + 1, "name": str(k)} for k in range(K)],
        }
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.params.maxDets = [most]
        keep = judge._prepare

        def prepare():
            keep()
            for entry in (entry for entries in judge._gts.values() for entry in entries):
                entry["ignore"] = entry["iscrowd"] or entry["difficult"]  # it reads crowds alone

        judge._prepare = prepare
        judge.evaluate()
        judge.accumulate()
    return judge


@pytest.mark.row("MET-04")
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("area", "range"), list(enumerate([(0.0, 1e10), SMALL, MEDIUM, LARGE])))
def test_average_precision_is_pycocotools_with_crowds_and_area_ranges(seed, area, range):
    seen, there = random_case(seed)
    right = torch.from_numpy(cocos(seen, there).eval["precision"][:, :, :, area, 0].mean(1)).float()
    right = torch.where(right < 0, torch.nan, right)  # -1: no such object
    ours = mean_average_precision(seen, there, K, areas=range)
    torch.testing.assert_close(ours, right, atol=1e-6, rtol=0, equal_nan=True)


@pytest.mark.row("MET-04")
@pytest.mark.parametrize("most", [1, 3])
def test_few_detections_an_image_count_as_pycocotools_counts_them(most):
    seen, there = random_case(9)
    right = torch.from_numpy(cocos(seen, there, most).eval["precision"][:, :, :, 0, 0].mean(1)).float()
    torch.testing.assert_close(mean_average_precision(seen, there, K, most=most), right, atol=1e-6, rtol=0)


@pytest.mark.row("MET-04")
def test_ignored_objects_are_neither_found_nor_missed():
    there = [objects([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0], ignore=torch.tensor([False, True]))]
    once = found([[20, 0, 30, 10], [0, 0, 10, 10]], [0.9, 0.8], [0, 0])
    twice = found([[20, 0, 30, 10], [20, 0, 30, 10], [0, 0, 10, 10]], [0.9, 0.8, 0.7], [0, 0, 0])
    assert mean_average_precision([once], there, 1).eq(1).all()
    assert (
        mean_average_precision([twice], there, 1)[0, 0] == 0.5
    )  # the second is a false positive, a crowd's is not
    crowd = [objects([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0], crowd=torch.tensor([False, True]))]
    assert mean_average_precision([twice], crowd, 1).eq(1).all()


@pytest.mark.row("MET-04")
def test_known_values_of_average_precision():
    one, box = objects([[10, 10, 50, 50]], [0]), [[10, 10, 50, 50]]
    right, nothing = found(box, [0.9], [0]), found([], [], [])
    assert mean_average_precision([right, nothing], [one, one], 1)[0, 0] == pytest.approx(
        51 / 101
    )  # recalls 0, .01, ..., .5
    assert mean_average_precision([right, nothing], [one, one], 1, points=None)[0, 0] == pytest.approx(0.5)
    assert mean_average_precision([right, nothing], [one, one], 1, points=11)[0, 0] == pytest.approx(6 / 11)
    assert mean_average_precision([nothing, nothing], [one, one], 1).eq(0).all()
    two = mean_average_precision([right, right], [one, one], 2)
    assert two[:, 0].eq(1).all()
    assert two[:, 1].isnan().all()  # of a class without objects: none
    assert mean_average_precision([], [], 1).isnan().all()


@pytest.mark.row("MET-04")
def test_a_late_false_positive_changes_nothing_and_an_early_one_does():
    there = [objects([[0, 0, 10, 10], [20, 20, 40, 40]], [0, 0])]
    boxes = [[0, 0, 10, 10], [20, 20, 40, 40]]
    late = found([*boxes, [60, 60, 70, 70]], [0.9, 0.8, 0.1], [0, 0, 0])
    early = found([[60, 60, 70, 70], *boxes], [0.95, 0.9, 0.8], [0, 0, 0])
    assert mean_average_precision([late], there, 1)[0, 0] == 1
    assert mean_average_precision([early], there, 1)[0, 0] == pytest.approx(2 / 3)
    assert interpolated_precision(np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1]), 2, None) == pytest.approx(
        0.5 + 0.5 * 2 / 3
    )


@pytest.mark.row("MET-04")
def test_a_detection_takes_one_object_and_an_object_one_detection():
    there = [objects([[0, 0, 10, 10], [0, 0, 10, 12]], [0, 0])]
    both = found([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8], [0, 0])
    assert mean_average_precision([both], there, 1, thresholds=[0.5])[0, 0] == 1
    double = found([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8], [0, 0])
    single = [objects([[0, 0, 10, 10]], [0]), objects([[0, 0, 10, 10]], [0])]
    assert mean_average_precision([double, found([], [], [])], single, 1)[0, 0] == pytest.approx(51 / 101)


@pytest.mark.row("MET-03")
def test_overlap_by_hand():
    cases = json.loads((Path(__file__).parents[1] / "vision" / "worked_boxes.json").read_text())
    for case in cases:
        a, b = (
            torch.tensor([[x, y, x + w, y + h]], dtype=torch.float32) for x, y, w, h in (case["a"], case["b"])
        )
        assert box_iou(a, b).item() == pytest.approx(case["iou"], abs=1e-6)
        assert box_iou(b, a).item() == pytest.approx(case["iou"], abs=1e-6)


@pytest.mark.row("MET-03")
def test_overlap_is_that_of_counted_pixels():
    rng = np.random.default_rng(0)
    low, side = rng.integers(0, 20, (30, 2)), rng.integers(1, 15, (30, 2))
    boxes, masks = np.concatenate([low, low + side], 1), np.zeros((30, 40, 40), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes):
        mask[y0:y1, x0:x1] = True
    flat = masks.reshape(30, -1).astype(float)
    both = flat @ flat.T
    union = flat.sum(1)[:, None] + flat.sum(1) - both
    ours = box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes))
    torch.testing.assert_close(ours, torch.from_numpy(both / union).float())
    inside = box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes), torch.arange(30) < 10)
    torch.testing.assert_close(inside[:, :10], torch.from_numpy(both / flat.sum(1)[:, None]).float()[:, :10])
    torch.testing.assert_close(inside[:, 10:], ours[:, 10:])


@pytest.mark.row("MET-03")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_areas_do_not_overflow_and_empty_boxes_have_no_overlap(dtype):
    box = torch.tensor([[0, 0, 300, 300]], dtype=dtype)
    assert box_area(box).item() == pytest.approx(90_000, rel=0.01)
    assert box_iou(box, box).item() == 1
    flat = torch.tensor([[5, 5, 5, 5]], dtype=dtype)
    assert box_iou(flat, flat).item() == 0
    assert box_iou(flat[:0], box).shape == (0, 1)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (torch.zeros(3), r"expected boxes \(N, 4\), got \(3,\)"),
        (torch.zeros(2, 5), r"expected boxes \(N, 4\), got \(2, 5\)"),
        (torch.tensor([[0.0, 0.0, torch.nan, 1.0]]), "expected finite boxes"),
        (torch.tensor([[5.0, 0.0, 1.0, 1.0]]), "x0 <= x1 and y0 <= y1"),
    ],
)
def test_what_are_no_boxes_are_refused(boxes, message):
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(box_iou)(boxes, torch.ones(1, 4))


def test_what_no_detections_are_is_refused():
    one = objects([[0, 0, 1, 1]], [0])
    for seen, message in (
        ([], "expected detections of each of 1 images, got 0"),
        ([found([[0, 0, 1, 1]], [0.5], [3])], r"expected labels in 0..0, got 3..3"),
        ([found([[0, 0, 1, 1]], [float("nan")], [0])], "expected one finite score a detection"),
        ([found([[0, 0, 1, 1]], [0.5], [-1])], r"expected labels in 0..0, got -1..-1"),
    ):
        with pytest.raises(ValueError, match=message):
            mean_average_precision(seen, [one], 1)
