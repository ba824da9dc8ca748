"""Runs of detectors: what is measured, what is written, what new pictures get."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deepcanon import recipes
from deepcanon.box_predictions import Boxes, boxes_csv, own_pixels, plan_of, predict_boxes
from deepcanon.data import box_batches, box_scenes, open_data
from deepcanon.data.box_augment import cut_boxes
from deepcanon.engine import options
from deepcanon.engine.box_pictures import boxes_grid
from deepcanon.metrics.crowding import crowded, recalls
from deepcanon.metrics.detection import Detections, Objects
from deepcanon.nets.maps import residual_maps
from deepcanon.predictions import predict
from deepcanon.recipes.vision import detection
from deepcanon.recipes.vision.detection_quality import DetectionQuality
from deepcanon.vision import region_search
from deepcanon.vision.region_search import selective_search


def dets(boxes, scores, labels) -> Detections:
    corners = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    return Detections(
        corners, torch.tensor(scores, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
    )


@pytest.mark.row("VIS-20")
def test_crowded_objects_share_a_cell_of_seven_by_seven():
    boxes = torch.tensor([[0.0, 0, 20, 20], [4, 4, 18, 18], [40, 0, 60, 20], [60, 60, 70, 70]])
    cells = ((boxes[:, :2] + boxes[:, 2:]) / 2 / torch.tensor([20.0, 10.0])).floor().tolist()
    assert cells == [[0, 1], [0, 1], [2, 1], [3, 6]]
    assert crowded(boxes, (70, 140)).tolist() == [True, True, False, False]
    there = Objects(boxes, torch.tensor([0, 1, 0, 1]))
    found = dets([[0, 0, 20, 20], [4, 4, 18, 18], [41, 0, 60, 20]], [0.9, 0.8, 0.7], [0, 0, 0])
    assert recalls([found], [there], (70, 140)) == {"crowded_recall": 0.5, "apart_recall": 0.5}
    assert recalls([found], [Objects(boxes[2:], torch.tensor([0, 1]))], (70, 140)) == {"apart_recall": 0.5}


class Knows(nn.Module):
    """A detector that knows what is in the pictures it is shown in order."""

    def __init__(self, answers):
        super().__init__()
        self.answers, self.place, self.weight = answers, 0, nn.Parameter(torch.zeros(1))

    def detect(self, x):
        found = self.answers[self.place : self.place + len(x)]
        self.place = (self.place + len(x)) % len(self.answers)
        return found


@pytest.mark.row("MET-04")
def test_a_detector_is_measured_on_the_test_part(monkeypatch, embedded_only, tmp_path):
    monkeypatch.setattr(box_scenes, "COUNTS", {"train": 8, "test": 6})
    box_batches.known.cache_clear()
    source = open_data("digit_scenes", "boxes")
    objects = box_batches.objects_in(source.test())
    right = [Detections(there.boxes, torch.ones(len(there.labels)), there.labels) for there in objects]
    quality = DetectionQuality(source)
    measured = quality(Knows(right))
    assert measured["map50"] == measured["map"] == 1
    assert {v for k, v in measured.items() if k.endswith("recall")} == {1.0}
    half = [Detections(*(part[:0] for part in d)) if i % 2 else d for i, d in enumerate(right)]
    assert 0 < quality(Knows(half))["map50"] < 1
    shifted = [d._replace(boxes=d.boxes + torch.tensor([3.0, 0, 3, 0])) for d in right]
    worse = quality(Knows(shifted))
    assert worse["map"] < worse["map50"]
    quality.write(tmp_path, Knows(right))
    rows = list(csv.DictReader((tmp_path / "evaluation" / "classes.csv").open()))
    assert [row["class"] for row in rows] == list("0123456789")
    assert sum(int(row["objects"]) for row in rows) == sum(len(there.labels) for there in objects)
    assert {row["ap50"] for row in rows if int(row["objects"])} == {"1.0000"}
    assert Image.open(tmp_path / "evaluation" / "detections.png").width > 500
    box_batches.known.cache_clear()


def test_a_test_part_without_objects_is_named(monkeypatch):
    source = SimpleNamespace(name="mine", num_classes=2, shape=(1, 8, 8))
    quality = DetectionQuality(source)
    nothing = Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    monkeypatch.setattr(quality, "detections", lambda method: ([dets([], [], [])], [nothing]))
    with pytest.raises(ValueError, match="mine: the test part holds no object"):
        quality(None)


@pytest.mark.parametrize("side", [32, 96, 160, 250])
@pytest.mark.parametrize("large", [False, True])
def test_maps_have_a_stride_of_eight(side, large):
    net = residual_maps(2, 4, large=large)
    assert net(torch.zeros(1, 2, side, side)).shape == (1, 16, -(-side // 8), -(-side // 8))
    with pytest.raises(ValueError, match="expected a width of 1 or more, got 0"):
        residual_maps(2, 0)


def test_changes_of_pictures_go_by_name():
    source = SimpleNamespace()
    assert detection.changes(source, "none") is None
    x, boxes, labels = (
        torch.rand(4, 1, 16, 16),
        torch.tensor([[[2.0, 2.0, 9.0, 8.0]]]).repeat(4, 1, 1),
        torch.zeros(4, 1, dtype=torch.int64),
    )
    for name in ("zoom", "photo", "turned"):
        y, moved, kept = detection.changes(source, name)(x, boxes, labels, torch.Generator().manual_seed(0))
        assert y.shape == x.shape
        assert not torch.equal(moved, boxes)
        assert set(kept.flatten().tolist()) <= {0, -1}
    with pytest.raises(ValueError, match="expected distort as one of none, zoom, photo, turned, got 'flip'"):
        detection.changes(source, "flip")
    assert cut_boxes(boxes, labels, torch.tensor([[0.0, 0, 16, 16]]).expand(4, 4))[0].equal(boxes)


def test_the_search_is_remembered_and_not_saved(monkeypatch):
    calls = []
    monkeypatch.setattr(
        region_search, "selective_search", lambda image: calls.append(1) or selective_search(image)
    )
    search, image = region_search.RememberedSearch(), torch.rand(1, 12, 12)
    assert torch.equal(search(image), search(image.clone()))
    search(image * 0.5)
    assert len(calls) == 2
    assert search.__getstate__() == {"found": {}}


# new pictures


SOURCE = {"kind": "boxes", "shape": [3, 32, 32], "classes": ["red", "green"], "category_ids": [3, 7]}


@pytest.mark.parametrize(
    ("shape", "size", "seen", "expected"),
    [
        ([3, 32, 32], (64, 32), [8, 12, 16, 20], [16, 8, 32, 24]),  # below a black border of 8
        ([3, 32, 32], (32, 32), [8, 12, 16, 20], [8, 12, 16, 20]),
        ([3, 24, 32], (64, 96), [8, 12, 16, 24], [16, 48, 32, 96]),  # stretched to 32 x 24
        ([3, 32, 32], (64, 32), [0, 0, 32, 32], [0, 0, 64, 32]),
    ],
)  # clipped to the picture
def test_boxes_come_back_in_the_pixels_of_the_picture(shape, size, seen, expected):
    plan = plan_of(SOURCE | {"shape": shape}, size)
    assert own_pixels(dets([seen], [0.5], [1]), size, plan).boxes.tolist() == [expected]


@pytest.mark.row("VIS-24")
def test_what_is_found_in_files_is_written_as_table_coco_and_pictures(workplace):
    for name, (width, height) in {"a": (64, 32), "b": (32, 32)}.items():
        Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(f"{name}.png")
    method = Knows([dets([[8, 12, 16, 20], [0, 8, 4, 12]], [0.9, 0.4], [1, 0]), dets([], [], [])])
    found = predict_boxes(method, SOURCE, [["a.png", "b.png"]], workplace / "out" / "boxes.csv")
    assert found.sizes == [(64, 32), (32, 32)]
    rows = list(csv.reader((workplace / "out" / "boxes.csv").open()))
    assert rows == [
        ["picture", "label", "score", "x0", "y0", "x1", "y1"],
        ["a.png", "green", "0.9000", "16.0", "8.0", "32.0", "24.0"],
        ["a.png", "red", "0.4000", "0.0", "0.0", "8.0", "8.0"],
    ]
    written = json.loads((workplace / "out" / "boxes.json").read_text())
    assert [(e["category_id"], e["bbox"]) for e in written["annotations"]] == [
        (7, [16, 8, 16, 16]),
        (3, [0, 0, 8, 8]),
    ]
    assert [i["file_name"] for i in written["images"]] == ["a.png", "b.png"]
    pixels = np.asarray(Image.open(workplace / "out" / "a.png").convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 10  # boxes are drawn
    assert (workplace / "out" / "b.png").exists()
    (workplace / "c.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"c\.png cannot be read: not an image"):
        predict_boxes(method, SOURCE, ["c.png"], workplace / "out" / "boxes.csv")


def test_boxes_below_the_least_score_are_not_drawn():
    x, none = torch.zeros(1, 1, 40, 40), dets([], [], [])
    faint, sure = dets([[5, 5, 30, 30]], [0.2], [0]), dets([[5, 5, 30, 30]], [0.9], [0])
    assert boxes_grid(x, [faint], ["a"]) == boxes_grid(x, [none], ["a"]) != boxes_grid(x, [sure], ["a"])
    table = boxes_csv(Boxes(["p"], [(40, 40)], [none], ["a"], None))
    assert table.strip() == "picture,label,score,x0,y0,x1,y1"


@pytest.mark.row("VIS-15")
def test_a_run_is_applied_to_new_files(workplace):
    rng, images, entries = np.random.default_rng(0), [], []
    for i in range(12):
        pixels = rng.integers(0, 60, (32, 32, 3), dtype=np.uint8)
        pixels[8:20, 4 + i : 16 + i, i % 2] = 250
        Image.fromarray(pixels).save(f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 32, "height": 32})
        entries.append({"id": i, "image_id": i, "category_id": 3 + 4 * (i % 2), "bbox": [4 + i, 8, 12, 12]})
    content = {
        "images": images,
        "annotations": entries,
        "categories": [{"id": 3, "name": "red"}, {"id": 7, "name": "green"}],
    }
    (workplace / "boxes.json").write_text(json.dumps(content))
    with options(quiet=True):
        run = recipes.localize("./boxes.json", width=8, steps=40, batch=8, distort="none", ema=0.9)
    assert {"accuracy", "iou", "localized", "map50"} <= run.results.keys()
    found = predict(run.folder, ["0.png", "1.png"])
    assert isinstance(found, Boxes)
    assert found.names == ["0.png", "1.png"]
    x = (
        torch.stack([torch.from_numpy(np.array(Image.open(name))).permute(2, 0, 1) for name in found.names])
        / 255
    )
    for ours, right in zip(found.found, run.method.detect(x)):
        torch.testing.assert_close(ours.boxes, right.boxes)
        torch.testing.assert_close(ours.scores, right.scores)
        assert torch.equal(ours.labels, right.labels)
    assert (run.folder / "predictions" / "predictions.json").exists()
    assert (run.folder / "evaluation" / "classes.csv").exists()
