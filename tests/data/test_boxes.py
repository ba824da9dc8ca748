"""Pictures with boxes: COCO, Pascal VOC and YOLO files, what is wrong with them, frames, sizes, changes, and
scenes of digits.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepcanon.data import boxes, describe_boxes, objects_in, open_data, recorded_sources
from deepcanon.data.box_augment import crop, cut_boxes, in_turn, mirror, mirrored, on_pictures, zoomed
from deepcanon.data.box_coco import as_coco
from deepcanon.data.box_content import turn
from deepcanon.data.box_index import annotations, has_boxes, split_of
from deepcanon.data.box_scenes import SIDE, covered, digit_scenes
from deepcanon.data.description import likely_kind
from deepcanon.data.image_notices import collected
from deepcanon.metrics.detection import Detections, mean_average_precision


def picture(
    path, width: int = 20, height: int = 10, orientation: int = 1, bright=(), mode: str = "RGB"
) -> None:
    """A dark picture with bright boxes, `width` x `height` in its file."""
    pixels = np.zeros((height, width), np.uint8)
    for x0, y0, x1, y1 in bright:
        pixels[y0:y1, x0:x1] = 255
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels).convert(mode)
    exif = Image.Exif()
    exif[274] = orientation
    image.save(path, exif=exif)


def coco(folder, images: dict, entries: list[dict], ids=(1, 7, 90), name: str = "boxes.json") -> str:
    """A file: images name -> (width, height), their ids from 5; annotations as they are."""
    listed = [
        {"id": 5 + i, "file_name": file, "width": size[0], "height": size[1]}
        for i, (file, size) in enumerate(images.items())
    ]
    named = [{"id": i, "name": f"kind {i}"} for i in reversed(ids)]
    content = {
        "images": listed,
        "annotations": [{"id": i, **entry} for i, entry in enumerate(entries)],
        "categories": named,
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / name).write_text(json.dumps(content))
    return f"./{Path(folder).name}/{name}"


def entry(image: int = 5, category: int = 7, bbox=(2, 1, 4, 3), **more) -> dict:
    return {"image_id": image, "category_id": category, "bbox": list(bbox), **more}


def many(workplace, count: int = 12, **more) -> str:
    """A sound file of some pictures with a box each."""
    for i in range(count):
        picture(workplace / "c" / f"{i}.png", **more)
    return coco(
        workplace / "c",
        {f"{i}.png": (20, 10) for i in range(count)},
        [entry(5 + i, (1, 7, 90)[i % 3]) for i in range(count)],
    )


def test_coco_is_read_with_gaps_in_its_category_ids(workplace):
    path = many(workplace)
    with collected() as lines:
        data = boxes(path, split=None, batch=12)
        x, corners, labels = data.at(0)
    assert x.shape == (12, 1, 10, 20) or x.shape == (12, 3, 10, 20)
    assert corners[0].tolist() == [[2, 1, 6, 4]]
    assert labels[:3].tolist() == [[0], [1], [2]]
    assert data.classes == ["kind 1", "kind 7", "kind 90"]
    assert data.metadata["category_ids"] == [1, 7, 90]
    assert any("category ids 1, 7, 90 are read as classes 1 to 3, and written back" in line for line in lines)
    train, test = boxes(path), boxes(path, split="test")
    assert train.count + test.count == 12
    assert test.count >= 1
    assert sorted(p for d in (train, test) for p in [d.count]) == sorted([train.count, test.count])


def test_perfect_detections_of_a_file_are_perfect_even_of_annotation_zero(workplace):
    data = boxes(many(workplace), split=None, batch=12)
    objects = objects_in(data)
    right = [Detections(there.boxes, torch.ones(len(there.labels)), there.labels) for there in objects]
    assert mean_average_precision(right, objects, 3).eq(1).all()


def test_detections_are_written_with_the_numbers_of_the_file():
    found = [[((80.0, 30.0, 120.0, 70.0), 0.5, 2)], []]
    written = json.loads(
        as_coco(["a.png", "b.png"], [(200, 100), (50, 60)], found, ["x", "y", "z"], [1, 7, 90])
    )
    assert written["annotations"] == [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 90,
            "bbox": [80, 30, 40, 40],
            "area": 1600,
            "iscrowd": 0,
            "score": 0.5,
        }
    ]
    assert written["images"][1] == {"id": 2, "file_name": "b.png", "width": 50, "height": 60}
    assert [c["id"] for c in written["categories"]] == [1, 7, 90]


def test_crowds_are_not_trained_on_and_are_evaluated(workplace):
    picture(workplace / "c" / "a.png")
    picture(workplace / "c" / "b.png")
    path = coco(
        workplace / "c", {"a.png": (20, 10), "b.png": (20, 10)}, [entry(), entry(iscrowd=1), entry(6, 1)]
    )
    data = boxes(path, split=None, batch=2)
    _, corners, labels = data.at(0)
    assert labels.tolist() == [[1, -1], [0, -1]]
    assert corners[0, 1].eq(0).all()
    first, second = objects_in(data)
    assert first.crowd.tolist() == [False, True]
    assert first.boxes.tolist() == [[2, 1, 6, 4]] * 2
    assert second.labels.tolist() == [0]


def test_boxes_are_clipped_or_dropped_and_counted(workplace):
    for name in "abc":
        picture(workplace / "c" / f"{name}.png")
    wild = [
        entry(bbox=(-4, -4, 8, 8)),
        entry(bbox=(15, 5, 9, 9)),
        entry(6, bbox=(3, 3, 0, 4)),
        entry(6, bbox=(30, 3, 4, 4)),
        entry(7),
        entry(7, bbox=(0, 0, 20.0005, 10)),
    ]
    path = coco(workplace / "c", {f"{name}.png": (20, 10) for name in "abc"}, wild)
    with collected() as lines:
        _, corners, labels = boxes(path, split=None, batch=3).at(0)
    assert corners[0].tolist() == [[0, 0, 4, 4], [15, 5, 20, 10]]
    assert labels.tolist() == [[1, 1], [-1, -1], [1, 1]]
    assert "boxes: 2 boxes left the picture: clipped (a.png)" in lines
    assert "boxes: 2 boxes without area inside the picture: dropped (b.png)" in lines
    described = describe_boxes(path)
    assert described["without_boxes"] == 1
    assert described["problems"] == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_raw_boxes_of_turned_pictures_are_turned_as_the_picture_is(workplace, orientation):
    """The bright box of the file is where the box is after turning."""
    picture(workplace / "c" / "a.jpg", 40, 24, orientation, bright=[(8, 0, 16, 8)])
    picture(workplace / "c" / "b.jpg", 40, 24, orientation)
    raw = coco(workplace / "c", {"a.jpg": (40, 24), "b.jpg": (40, 24)}, [entry(bbox=(8, 0, 8, 8)), entry(6)])
    sideways = orientation >= 5
    x, corners, _ = boxes(raw, split=None, batch=2).at(0)
    assert tuple(x.shape[2:]) == ((40, 24) if sideways else (24, 40))
    pixels = x[0].mean(0) > 0.5
    rows, columns = (torch.nonzero(pixels.any(axis))[:, 0] for axis in (1, 0))
    seen = [columns[0].item(), rows[0].item(), columns[-1].item() + 1, rows[-1].item() + 1]
    upright = turn((8.0, 0.0, 16.0, 8.0), (40, 24), orientation)
    assert list(upright) == seen
    if sideways:
        assert corners[0, 0].tolist() == seen  # the declared size is that of the raw picture
        there = coco(
            workplace / "c", {"a.jpg": (24, 40), "b.jpg": (24, 40)}, [entry(bbox=(1, 2, 3, 4)), entry(6)]
        )
        assert boxes(there, split=None, batch=2).at(0)[1][0, 0].tolist() == [1, 2, 4, 6]


def test_orientation_six_by_hand_and_declared_sizes(workplace):
    assert turn((0.0, 0.0, 1.0, 1.0), (4, 2), 6) == (1, 0, 2, 1)
    picture(workplace / "c" / "a.jpg", 4, 2, 6)
    picture(workplace / "c" / "b.jpg", 4, 2, 6)
    path = coco(
        workplace / "c",
        {"a.jpg": (5, 2), "b.jpg": (4, 2)},
        [entry(bbox=(0, 0, 1, 1)), entry(6, bbox=(0, 0, 1, 1))],
    )
    with pytest.raises(ValueError, match=r"a\.jpg: the annotations say 5 x 2 pixels, the picture has 2 x 4"):
        boxes(path).at(0)
    path = coco(
        workplace / "c",
        {"a.jpg": (0, 0), "b.jpg": (4, 2)},
        [entry(bbox=(0, 0, 1, 1)), entry(6, bbox=(0, 0, 1, 1))],
    )
    with collected() as lines:
        _, corners, _ = boxes(path, split=None).at(0)
    assert corners.tolist() == [[[0, 0, 1, 1]], [[1, 0, 2, 1]]]
    assert any("1 picture turned upright, with boxes drawn on the raw one (b.jpg)" in line for line in lines)
    assert any(
        "of no declared size: boxes are read as drawn on the upright one (a.jpg)" in line for line in lines
    )


def test_pictures_of_several_sizes_become_squares_with_their_boxes(workplace):
    picture(workplace / "c" / "a.png", 40, 20, bright=[(8, 4, 24, 16)])
    picture(workplace / "c" / "b.png", 20, 40, bright=[(4, 8, 16, 24)])
    path = coco(
        workplace / "c",
        {"a.png": (40, 20), "b.png": (20, 40)},
        [entry(bbox=(8, 4, 16, 12)), entry(6, bbox=(4, 8, 12, 16))],
    )
    for fit, expected in (
        ("pad", [[16, 28, 48, 52], [28, 16, 52, 48]]),
        ("stretch", [[16, 16, 48, 64], [16, 16, 64, 48]]),
        ("crop", [[0, 16, 56, 64], [16, 0, 64, 56]]),
    ):
        x, corners, _ = boxes(path, split=None, size=80, fit=fit).at(0)
        assert x.shape[2:] == (80, 80)
        assert corners[:, 0].tolist() == expected
        for image, (x0, y0, x1, y1) in zip(x, expected):
            inside = image[:, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2]
            assert inside.min() > 0.9
            assert image.sum() == pytest.approx(image.shape[0] * (y1 - y0) * (x1 - x0), rel=0.1)
    assert boxes(path, split=None).shape[1:] == (256, 256)
    with pytest.raises(ValueError, match="pictures of 2 sizes; pass size= to bring all to one size"):
        boxes(path, size=None).at(0)


BAD = {
    "empty": ("", "is empty"),
    "no json": ("{", "is not JSON"),
    "a list": ("[]", "is not in COCO's form: expected the lists images, annotations"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_files_that_are_not_cocos_are_refused_by_name(workplace, content, message):
    picture(workplace / "c" / "a.png")
    (workplace / "c" / "boxes.json").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        boxes("./c/boxes.json").at(0)
    assert "boxes.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "boxes.json has no annotations"),
        ([entry(99)], "annotation 0 is of image 99, which is not among its images"),
        ([entry(category=8)], "annotation 0 has category 8, which is not among its categories"),
        ([entry(bbox=(1, 2, 3))], r"annotation 0 has bbox \[1, 2, 3\], expected \[x, y, width, height\]"),
        ([entry(bbox=(1, 2, float("nan"), 3))], "annotation 0 has bbox"),
        ([entry(bbox=(1, 2, -3, 3))], "of a width or height below 0"),
        (
            [entry(bbox=(0.1, 0.2, 0.5, 0.5)), entry(bbox=(0, 0, 1, 1))],
            r"all boxes lie in 0\.\.1, expected pixels \(annotation 0 has",
        ),
        ([{"image_id": 5, "category_id": 7}], "annotation 0 has no bbox"),
    ],
)
def test_annotations_that_cannot_be_meant_are_refused(workplace, entries, message):
    picture(workplace / "c" / "a.png")
    with pytest.raises(ValueError, match=message) as error:
        boxes(coco(workplace / "c", {"a.png": (20, 10)}, entries)).at(0)
    assert "boxes.json" in str(error.value)


def test_annotations_of_pictures_that_are_not_there(workplace):
    path = many(workplace)
    os.remove("c/3.png")
    (workplace / "c" / "4.png").write_bytes(b"no picture")
    with pytest.raises(
        ValueError,
        match=r"2 pictures of the annotations cannot be read: 3.png: no such picture, 4.png: not an image",
    ):
        boxes(path).at(0)
    with collected() as lines:
        assert boxes(path, split=None, skip_unreadable=True).count == 10
    assert any(
        "left out, as they cannot be read: 3.png: no such picture, 4.png: not an image" in line
        for line in lines
    )
    assert describe_boxes(path)["problems"]
    for name in range(12):
        Path(f"c/{name}.png").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="none of the 12 annotated pictures is there"):
        boxes(path).at(0)


def test_splits_of_coco_files_by_name_and_folder(workplace):
    for split, names in (("train", "ab"), ("val", "c")):
        for name in names:
            picture(workplace / "c" / f"{split}2017" / f"{name}.png")
        coco(
            workplace / "c" / "annotations",
            {f"{name}.png": (20, 10) for name in names},
            [entry(5 + i) for i in range(len(names))],
            name=f"instances_{split}2017.json",
        )
    assert [boxes("./c", split=split).count for split in ("train", "test")] == [2, 1]
    coco(
        workplace / "c" / "annotations",
        {"c.png": (20, 10)},
        [entry()],
        ids=(7,),
        name="instances_test2017.json",
    )
    with pytest.raises(ValueError, match="has other categories than"):
        boxes("./c").at(0)
    coco(workplace / "d", {"c.png": (20, 10)}, [entry()], name="one.json")
    coco(workplace / "d", {"c.png": (20, 10)}, [entry()], name="two.json")
    with pytest.raises(
        ValueError, match=r"cannot tell the splits of one.json, two.json; name them train, val, test"
    ):
        boxes("./d").at(0)
    assert split_of("a/valid/labels/1.txt") == "val"
    assert split_of("photos/1.txt") is None


VOC = (
    "<annotation><filename>{name}</filename><size><width>20</width><height>10</height></size>"
    "{objects}</annotation>"
)
OBJECT = (
    "<object><name>{name}</name><difficult>{hard}</difficult>"
    "<bndbox><xmin>3</xmin><ymin>2</ymin><xmax>6</xmax><ymax>4</ymax></bndbox></object>"
)

SHARES = "".join(
    f"<{side}>{v}</{side}>" for side, v in {"xmin": 0.1, "ymin": 0.2, "xmax": 0.6, "ymax": 0.9}.items()
)
SHARES = f"<object><name>cat</name><bndbox>{SHARES}</bndbox></object>"


def voc(
    workplace,
    names="abcdef",
    objects: str = OBJECT.format(name="cat", hard=0) + OBJECT.format(name="ant", hard=1),
) -> str:
    for name in names:
        picture(workplace / "v" / "JPEGImages" / f"{name}.jpg")
        (workplace / "v" / "Annotations").mkdir(parents=True, exist_ok=True)
        (workplace / "v" / "Annotations" / f"{name}.xml").write_text(
            VOC.format(name=f"{name}.jpg", objects=objects)
        )
    return "./v"


def test_voc_counts_from_one_and_difficult_objects_are_ignored(workplace):
    data = boxes(voc(workplace), split=None, batch=6)
    _, corners, labels = data.at(0)
    assert corners[0].tolist() == [[2, 1, 6, 4], [0, 0, 0, 0]]
    assert labels[0].tolist() == [1, -1]
    assert data.classes == ["ant", "cat"]
    assert objects_in(data)[0].ignore.tolist() == [False, True]
    assert data.metadata["paths"][0] == "JPEGImages/a.jpg"
    lists = workplace / "v" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\nc\n")
    (lists / "val.txt").write_text("d  1\ne -1\n")
    with collected() as lines:
        assert [boxes("./v", split=split).count for split in ("train", "test")] == [3, 2]
    assert any("1 picture" in line and "in no list of ImageSets/Main" in line for line in lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("<annotation>", "is not XML"),
        ("<html></html>", "it begins <html>, expected <annotation>"),
        (
            '<!DOCTYPE a [<!ENTITY b "c">]><annotation></annotation>',
            "has a document type, which annotations have not",
        ),
        (VOC.format(name="a.jpg", objects=OBJECT.format(name="", hard=0)), "has an object without a name"),
        (
            VOC.format(
                name="a.jpg", objects=OBJECT.format(name="cat", hard=0).replace("<xmin>3<", "<xmin>x<")
            ),
            "expected numbers for xmin",
        ),
        (
            VOC.format(
                name="a.jpg", objects=OBJECT.format(name="cat", hard=0).replace("<xmin>3<", "<xmin>9<")
            ),
            "with xmin <= xmax",
        ),
        (VOC.format(name="a.jpg", objects=SHARES), r"all corners lie in 0\.\.1, expected pixels"),
        (
            VOC.format(name="a.jpg", objects=OBJECT.format(name="cat", hard=0)).replace(
                "<width>20<", "<width>wide<"
            ),
            "expected whole numbers",
        ),
    ],
)
def test_xml_that_cannot_be_meant_is_refused_by_name(workplace, content, message):
    voc(workplace, "ab")
    (workplace / "v" / "Annotations" / "a.xml").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        boxes("./v").at(0)
    assert "a.xml" in str(error.value)


def yolo(workplace, line: str = "1 0.5 0.5 0.2 0.4", names: str = "names: [dog, 'big cat']\nnc: 2\n") -> str:
    for split, files in (("train", "abc"), ("val", "d")):
        for name in files:
            picture(workplace / "y" / "images" / split / f"{name}.png", 200, 100)
            (workplace / "y" / "labels" / split).mkdir(parents=True, exist_ok=True)
            (workplace / "y" / "labels" / split / f"{name}.txt").write_text(line + "\n")
    (workplace / "y" / "data.yaml").write_text(names)
    return "./y"


@pytest.mark.parametrize(
    "names",
    [
        "names: [dog, 'big cat']\nnc: 2\n",
        "nc: 2  # classes\nnames:\n  0: dog\n  1: big cat\ntrain: x\n",
        'names:\n- dog\n- "big cat"\n',
    ],
)
def test_yolo_by_hand_and_the_names_of_its_classes(workplace, names):
    data = boxes(yolo(workplace, names=names))
    _, corners, labels = data.at(0)
    torch.testing.assert_close(corners[0], torch.tensor([[80.0, 30.0, 120.0, 70.0]]))
    assert labels.tolist() == [[1]] * 3
    assert data.classes == ["dog", "big cat"]
    assert boxes("./y", split="test").count == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "1 146.07 30 40 40",
            "line 1: 146.07 is no share of a side, expected numbers from 0 to 1: are these pixels?",
        ),
        ("1 0.5 0.5 -0.2 0.4", "line 1: -0.2 is no share"),
        ("1 0.5 0.5 nan 0.4", "line 1: nan is no share"),
        ("0 0.5 0.5 0.2 0.4\n2 0.5 0.5 0.2 0.4", "line 2: class 2 is none of 0..1"),
        ("1.5 0.5 0.5 0.2 0.4", "class 1.5 is none of 0..1"),
        ("-1 0.5 0.5 0.2 0.4", "class -1 is none"),
        ("1 0.5 0.5 0.2", "expected five numbers .*, got 4"),
        ("dog 0.5 0.5 0.2 0.4", "got 'dog 0.5"),
    ],
)
def test_lines_of_yolo_that_cannot_be_meant_are_refused_by_file_and_line(workplace, line, message):
    with pytest.raises(ValueError, match=message) as error:
        boxes(yolo(workplace, line)).at(0)
    assert ".txt" in str(error.value)


def test_small_overshoots_and_missing_files_of_yolo(workplace):
    path = yolo(workplace, "1 0.9 0.5 0.2000009 1.0000005")
    with collected() as lines:
        _, corners, _ = boxes(path).at(0)
    assert corners[0, 0].tolist() == pytest.approx([160, 0, 200, 100], abs=1e-3)
    assert not any("clipped" in line for line in lines)
    os.remove("y/labels/train/a.txt")
    with collected() as lines:
        _, _, labels = boxes("./y", shuffle=False).at(0)
    assert labels.tolist() == [[-1], [1], [1]]
    assert any(
        "1 pictures without a .txt file are read as without objects: images/train/a.png" in line
        for line in lines
    )
    os.remove("y/images/train/b.png")
    with pytest.raises(ValueError, match=r"labels/train/b.txt: no such picture"):
        boxes("./y").at(0)
    with pytest.raises(ValueError, match="says nc: 3 and names 2 classes"):
        boxes(yolo(workplace, names="names: [a, b]\nnc: 3\n")).at(0)
    with pytest.raises(ValueError, match="has no list of names that can be read"):
        boxes(yolo(workplace, names="nc: 3\n")).at(0)
    os.remove("y/data.yaml")
    assert boxes("./y").classes == ["0", "1"]


def test_the_kind_of_a_folder_is_told_by_its_files(workplace):
    many(workplace), voc(workplace), yolo(workplace)
    for path in ("c", "c/boxes.json", "v", "y"):
        assert has_boxes(Path(path))
        assert likely_kind(f"./{path}") == "boxes"
    (workplace / "plain").mkdir()
    picture(workplace / "plain" / "cat" / "a.png")
    (workplace / "plain" / "cat" / "a.txt").write_text("a cat on a mat")
    assert likely_kind("./plain") == "images"
    (workplace / "plain" / "cat" / "a.txt").write_text("")
    with pytest.raises(ValueError, match="no boxes in 1 picture"):
        annotations("./plain")
    (workplace / "plain" / "cat" / "a.txt").unlink()
    with pytest.raises(
        ValueError,
        match=r"plain has no annotations of boxes: expected a COCO .json file, Pascal VOC .xml files or YOLO",
    ):
        annotations("./plain")
    with pytest.raises(FileNotFoundError, match="there is no folder nowhere"):
        annotations("nowhere")
    (workplace / "a.csv").write_text("x")
    with pytest.raises(ValueError, match=r"a\.csv is no folder and no COCO .json file"):
        annotations("a.csv")


def test_names_that_are_not_known_and_sizes_of_known_sets_are_refused(embedded_only):
    with pytest.raises(ValueError, match="unknown data set 'digit_scene'; did you mean 'digit_scenes'"):
        boxes("digit_scene")
    with pytest.raises(ValueError, match="digit_scenes has a size and channels of its own"):
        boxes("digit_scenes", size=32)
    with pytest.raises(
        FileNotFoundError, match=r"bccd needs bccd\.npz in the folder that DEEPCANON_DATA names"
    ):
        boxes("bccd").at(0)


def test_blood_cells_are_read_from_their_arrays(workplace, monkeypatch):
    x = np.zeros((3, 8, 16, 3), np.uint8)
    np.savez(
        workplace / "bccd.npz",
        x=x,
        boxes=np.array([[1, 2, 5, 6], [0, 0, 4, 4], [2, 2, 9, 7]], np.float32),
        box_image=np.array([0, 2, 0], np.int32),
        box_label=np.array([1, 0, 2], np.uint8),
        classes=np.array(["RBC", "WBC", "Platelets"]),
        split=np.array(["train", "val", "test"]),
    )
    monkeypatch.setenv("DEEPCANON_DATA", str(workplace))
    train, test = boxes("bccd", shuffle=False), boxes("bccd", split="test")
    assert train.at(0)[2].tolist() == [[1, 2], [-1, -1]]
    assert train.at(0)[1][0].tolist() == [[1, 2, 5, 6], [2, 2, 9, 7]]
    assert test.at(0)[0].shape == (1, 3, 8, 16)
    assert test.at(0)[2].tolist() == [[0]]


# changes of pictures with their boxes


def test_flips_and_crops_by_hand():
    box = torch.tensor([[[2.0, 1.0, 5.0, 4.0]]])
    assert mirror(box, 10).tolist() == [[[5, 1, 8, 4]]]
    assert mirror(mirror(box, 10), 10).tolist() == box.tolist()
    assert mirror(box, 10, axis=1).tolist() == [[[2, 6, 5, 9]]]
    window = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    inside, labels = cut_boxes(box, torch.tensor([[3]]), window)
    assert (inside.tolist(), labels.tolist()) == ([[[2, 1, 4, 4]]], [[3]])
    dropped, labels = cut_boxes(box, torch.tensor([[3]]), window, least=0.7)
    assert (dropped.tolist(), labels.tolist()) == ([[[0, 0, 0, 0]]], [[-1]])
    moved, _ = cut_boxes(box, torch.tensor([[3]]), torch.tensor([[1.0, 2.0, 6.0, 6.0]]))
    assert moved.tolist() == [[[1, 0, 4, 2]]]
    assert cut_boxes(box, torch.tensor([[3]]), torch.tensor([[6.0, 6.0, 9.0, 9.0]]))[1].tolist() == [[-1]]


def bright(n: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures whose only box is bright."""
    x, corners = torch.zeros(n, 1, 40, 60), torch.zeros(n, 2, 4)
    for i in range(n):
        corners[i, 0] = torch.tensor([5.0 + 4 * i, 6 + 2 * i, 21 + 4 * i, 18 + 2 * i])
        x0, y0, x1, y1 = corners[i, 0].long().tolist()
        x[i, :, y0:y1, x0:x1] = 1
    return x, corners, torch.tensor([[2, -1]]).expand(n, 2)


@pytest.mark.parametrize(
    ("augment", "always"),
    [
        (mirrored(1.0), True),
        (mirrored(0.5, upside_down=True), False),
        (zoomed(0.6, 1.4), False),
        (in_turn(mirrored(), zoomed(0.8, 1.0), on_pictures(lambda x, g: x * 0.9)), False),
    ],
)
def test_boxes_move_with_what_they_hold(augment, always):
    x, corners, labels = bright()
    y, moved, kept = augment(x, corners, labels, torch.Generator().manual_seed(0))
    assert y.shape == x.shape
    assert (kept[:, 1] == -1).all()
    assert (kept[:, 0] == 2).sum() >= 4
    for image, box, label in zip(y, moved[:, 0], kept[:, 0]):
        if label == 2:
            rows, columns = (torch.nonzero((image[0] > 0.45).any(axis))[:, 0] for axis in (1, 0))
            seen = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()
            assert (seen - box).abs().max() <= 1
    again = augment(x, corners, labels, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(again, (y, moved, kept)))
    others = [augment(x, corners, labels, torch.Generator().manual_seed(seed))[1] for seed in range(1, 4)]
    assert always or not all(torch.equal(other, moved) for other in others)


def test_a_window_that_is_the_picture_changes_nothing():
    x, corners, labels = bright()
    y, moved, kept = crop(x, corners, labels, torch.tensor([[0.0, 0.0, 60.0, 40.0]]).expand(6, 4))
    torch.testing.assert_close(y, x)
    assert torch.equal(moved, corners)
    assert torch.equal(kept, labels)


# scenes of digits, batches and sources


def test_digit_scenes_are_the_same_every_time_and_differ_by_split(embedded_only):
    first = digit_scenes("test", 30)
    again, train = digit_scenes("test", 30), digit_scenes("train", 30)
    assert all(np.array_equal(a.picture, b.picture) and a[1:] == b[1:] for a, b in zip(first, again))
    assert not np.array_equal(first[0].picture, train[0].picture)
    counts = [len(scene.boxes) for scene in first + train]
    assert min(counts) >= 2
    assert max(counts) == 6
    assert {label for scene in first + train for label in scene.labels} == set(range(10))
    for scene in first:
        assert all(0 <= x0 < x1 <= SIDE and 0 <= y0 < y1 <= SIDE for x0, y0, x1, y1 in scene.boxes)
        assert all(scene.picture[y0:y1, x0:x1].max() > 60 for x0, y0, x1, y1 in scene.boxes)
    shares = [
        np.tril(covered(np.array(scene.boxes), np.array(scene.boxes)), -1).max() for scene in first + train
    ]
    assert max(shares) <= 0.33
    overlapping = [share > 0 for share in shares]
    assert 0.15 < sum(overlapping) / len(overlapping) < 0.45


def test_shards_are_the_rows_of_the_batch_with_its_changes(embedded_only):
    whole = boxes("digit_scenes", batch=8, augment=in_turn(mirrored(), zoomed(0.7)))
    parts = [whole.shard(rank, 2).at(3) for rank in range(2)]
    for i, tensor in enumerate(whole.at(3)):
        assert torch.equal(torch.stack([parts[0][i], parts[1][i]], 1).flatten(0, 1), tensor)
    assert torch.equal(whole.at(3)[0], whole.at(3)[0])
    assert not torch.equal(whole.at(3)[0], whole.at(4)[0])
    with pytest.raises(ValueError, match=r"rank must be in 0\.\.1, got 2"):
        whole.shard(2, 2)
    few = whole.take([3, 5])
    assert few.count == len(objects_in(few)) == 2
    assert len(whole) == 500


def test_a_source_of_boxes_says_how_large_they_are(embedded_only):
    source = open_data("digit_scenes", "boxes")
    assert source.shape == (1, 96, 96)
    assert (source.count, source.test_count, source.num_classes) == (4000, 400, 10)
    assert source.box_sizes == sorted(source.box_sizes)
    assert 8 < source.box_sizes[0] < 16 < source.box_sizes[2] < 32
    y = source.train(shuffle=False).content.y
    sides = (y[..., 2:4] - y[..., :2])[y[..., 4] >= 0]
    assert source.box_sizes[1] == pytest.approx(sides.prod(1).sqrt().median().item(), abs=0.01)
    assert source.box_ratios[1] == pytest.approx((sides[:, 1] / sides[:, 0]).median().item(), abs=0.01)
    with recorded_sources([source.metadata]):
        again = open_data("digit_scenes", "boxes")
    assert again.metadata == source.metadata
    with pytest.raises(ValueError, match="'digit_scenes' is read as boxes; this method takes images"):
        open_data("digit_scenes", "images")
