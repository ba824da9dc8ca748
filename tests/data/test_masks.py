"""Images with masks: what values mean, which files belong together, sizes, splits, and augmentation of both."""

import numpy as np
import pytest
import torch
from PIL import Image

from deepcanon.data import augment_pairs, describe, masks, open_data
from deepcanon.data.image_notices import collected
from deepcanon.data.mask_files import nearest


def save(folder, name: str, values, mode: str = "L", suffix: str = "png", **how) -> None:
    """A picture of these values; of mode P with a palette of colours."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    values = np.asarray(values)
    picture = Image.fromarray(values.astype(np.uint16)) if mode == "I;16" else Image.fromarray(values.astype(np.uint8), mode=mode)
    if mode == "P":
        picture.putpalette([(37 * k + c) % 256 for k in range(256) for c in (0, 80, 160)])
    picture.save(folder / f"{name}.{suffix}", **how)


def folder_of(root, values, mode: str = "L", count: int = 10, size: int = 4) -> str:
    """A folder of `count` images and masks, the first mask with the given values; its path."""
    for i in range(count):
        save(root, f"images/{i}", np.full((size, size), 20 * i))
        save(root, f"masks/{i}", np.resize(np.asarray(values), (size, size)), mode)
    return str(root)


def whole(source, **how):
    return masks(source, split=None, shuffle=False, batch=100, **how)


# what values mean


@pytest.mark.row("VIS-25")
@pytest.mark.parametrize(("values", "mode", "labels", "classes"), [
    ([0, 3, 254, 255], "L", [0, 0, 1, 1], ["background", "object"]),                 # black and white with soft edges
    ([0, 255], "L", [0, 1], ["background", "object"]),
    ([0, 65535], "I;16", [0, 1], ["background", "object"]),
    ([0, 1, 15, 255], "P", [0, 1, 15, 255], [str(k) for k in range(16)]),            # indices of a palette
    ([0, 255], "P", [0, 1], ["background", "object"]),                               # else there would be one class
    ([0, 1, 2, 255], "L", [0, 1, 2, 255], ["0", "1", "2"]),
    ([0, 1, 1, 0], "L", [0, 1, 1, 0], ["0", "1"])])
def test_what_the_values_of_a_mask_mean(tmp_path, values, mode, labels, classes):
    data = whole(folder_of(tmp_path, values, mode))
    x, y = data.at(0)
    assert y.dtype == torch.int64
    assert y[0].flatten()[: len(values)].tolist() == labels
    assert data.classes == classes
    assert x.shape == (10, 1, 4, 4)                                                  # every image is grey
    assert x[3].unique().item() == pytest.approx(60 / 255)


@pytest.mark.parametrize(("values", "mode", "message"), [
    ([0, 85, 170, 255], "L", r"masks/0\.png has the values 170, which are no labels \(grey masks hold labels from 0 on, or are"),
    ([0, 1, 200], "L", r"masks/0\.png has the values 200, which are no labels"),
    ([3, 1000], "I;16", r"masks/0\.png has the values 1000, which are no labels"),
    ([0], "L", "expected masks with two labels or more, got only 0")])
def test_values_that_are_no_labels_are_named(tmp_path, values, mode, message):
    with pytest.raises(ValueError, match=message):
        whole(folder_of(tmp_path, values, mode)).at(0)


def test_names_of_the_labels(tmp_path):
    folder = folder_of(tmp_path, [0, 1, 2, 255])
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n\n")
    assert whole(folder).classes == ["sky", "road", "car"]
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    with pytest.raises(ValueError, match=r"has the values 2, which are no labels \(.*classes\.txt names 2 labels; 255 is ignored\)"):
        whole(folder).classes  # noqa: B018
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\nsign\n")
    with collected() as lines:
        whole(folder).at(0)
    assert any("no pixel has the labels sign" in line for line in lines)


def test_a_mask_in_colour_is_refused_and_a_grey_one_in_rgb_is_read(tmp_path):
    folder = folder_of(tmp_path, [0, 1])
    save(tmp_path, "masks/3", np.stack([np.eye(4)] * 3, -1), "RGB")
    assert whole(folder).at(0)[1][3].tolist() == np.eye(4).tolist()
    save(tmp_path, "masks/3", np.stack([np.eye(4), np.eye(4), 0 * np.eye(4)], -1), "RGB")
    with pytest.raises(ValueError, match=r"masks/3\.png is in colour; a mask is a palette or grey picture"):
        whole(folder).at(0)


# sizes


def test_labels_are_never_mixed(tmp_path):
    assert nearest(torch.tensor([[0, 2]]), 1, 4).tolist() == [[0, 0, 2, 2]]
    folder = folder_of(tmp_path, [0, 2])
    x, y = whole(folder, size=7).at(0)
    assert x.shape[2:] == y.shape[1:] == (7, 7)
    assert y.unique().tolist() == [0, 2]


def test_images_and_masks_are_resized_to_the_same_places(tmp_path):
    pixels = np.zeros((40, 30), np.uint8)
    pixels[10:30, 0:15] = 255
    for i in range(5):
        save(tmp_path, f"images/{i}", pixels)
        save(tmp_path, f"masks/{i}", pixels // 255)
    x, y = whole(str(tmp_path), size=20).at(0)
    assert ((x[:, 0] > 0.5) == (y == 1)).all()
    assert y[0].sum() == 100
    kept = whole(str(tmp_path), size=None).at(0)
    assert kept[0].shape == (5, 1, 40, 30)


def test_several_sizes_are_brought_to_one_and_said(tmp_path):
    folder = folder_of(tmp_path, [0, 1])
    save(tmp_path, "images/3", np.zeros((6, 9)))
    save(tmp_path, "masks/3", np.ones((6, 9)))
    with collected() as lines:
        assert whole(folder).shape == (1, 128, 128)
    assert any("10 images of 2 sizes, each stretched to 128 x 128" in line for line in lines)
    with pytest.raises(ValueError, match=r"images/3\.png is 9 x 6 pixels but .*images/0\.png is 4 x 4; pass size="):
        whole(folder, size=None).at(0)


def test_a_mask_of_another_size_is_refused_by_name(tmp_path):
    folder = folder_of(tmp_path, [0, 1])
    save(tmp_path, "masks/3", np.ones((4, 5)))
    with pytest.raises(ValueError, match=r"masks/3\.png: 5 x 4 pixels, its image has 4 x 4"):
        whole(folder).at(0)


def test_an_image_that_is_turned_needs_an_upright_mask(tmp_path):
    folder = folder_of(tmp_path, [0, 1])
    exif = Image.Exif()
    exif[274] = 6
    save(tmp_path, "images/3", np.zeros((4, 5)), exif=exif)
    save(tmp_path, "masks/3", np.ones((4, 5)))
    with pytest.raises(ValueError, match=r"masks/3\.png: 5 x 4 pixels, its image has 4 x 5 when upright"):
        whole(folder).at(0)
    save(tmp_path, "masks/3", np.ones((5, 4)))
    assert whole(folder, size=4).at(0)[1][3].all()


# which belong together


def test_pairs_are_by_name_and_what_is_alone_is_said(tmp_path):
    folder = folder_of(tmp_path, [0, 1])
    save(tmp_path, "images/lonely", np.zeros((4, 4)))
    save(tmp_path, "masks/widow", np.zeros((4, 4)))
    (tmp_path / "images" / "notes.txt").write_text("x")
    (tmp_path / "masks" / "4.png").rename(tmp_path / "masks" / "4_mask.png")
    Image.open(tmp_path / "images" / "5.png").save(tmp_path / "images" / "5.bmp")
    (tmp_path / "images" / "5.png").unlink()
    with collected() as lines:
        assert whole(folder).count == 10
    for part in ("1 file left out, images without a mask: images/lonely", "1 file left out, masks without an image: masks/widow",
                 "1 file left out, not pictures: images/notes.txt"):
        assert any(part.replace("images/lonely", "lonely").replace("masks/widow", "widow") in line for line in lines), (part, lines)


@pytest.mark.parametrize("form", ["{split}/images/{i}", "images/{split}/{i}", "{split}_img/{i}"])
def test_folders_of_splits(tmp_path, form):
    for split, count in (("train", 4), ("test", 3), ("val", 2)):
        for i in range(count):
            save(tmp_path, form.format(split=split, i=i), np.full((4, 4), i))
            save(tmp_path, form.format(split=split, i=i).replace("images", "masks").replace("_img", "_annot"), np.eye(4))
    assert [masks(str(tmp_path), split=s).count for s in ("train", "test", "val")] == [4, 3, 2]


def test_a_folder_without_splits_is_split_by_name(tmp_path):
    folder = folder_of(tmp_path, [0, 1], count=40)
    train, test = masks(folder), masks(folder, split="test")
    assert train.count + test.count == 40
    assert 3 <= test.count <= 13
    assert test.metadata["sha256"] != train.metadata["sha256"]


@pytest.mark.parametrize(("missing", "error", "message"), [
    ("masks", FileNotFoundError, r"has no folder of masks \(expected .*masks with pictures in it"),
    ("images", FileNotFoundError, r"has no folder of images"),
    (".", FileNotFoundError, "there is no folder")])
def test_what_is_not_there(tmp_path, missing, error, message):
    root = tmp_path / "cells"
    folder_of(root, [0, 1])
    (root / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(error, match=message):
        masks(str(root)).at(0)


def test_names_that_do_not_meet(tmp_path):
    save(tmp_path, "images/a", np.zeros((4, 4)))
    save(tmp_path, "masks/b", np.zeros((4, 4)))
    with pytest.raises(ValueError, match="no image has a mask of its name: the images are a, the masks are b"):
        masks(str(tmp_path)).at(0)


def test_a_damaged_image_and_a_damaged_mask_are_named(tmp_path):
    folder = folder_of(tmp_path, [0, 1])
    (tmp_path / "images" / "2.png").write_bytes(b"no picture")
    (tmp_path / "masks" / "5.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"2 files \(images/2\.png: not an image in a known format; masks/5\.png: not an image"):
        masks(folder).at(0)


# objects


def test_objects_of_numbered_and_of_black_and_white_masks(tmp_path):
    two = np.zeros((4, 4))
    two[0, 0], two[3, 2:] = 7, 9
    numbered = whole(folder_of(tmp_path / "a", two.flatten()), instances=True)
    assert numbered.at(0)[1][0].unique().tolist() == [0, 7, 9]
    assert numbered.classes == ["object"]
    plain = whole(folder_of(tmp_path / "b", 255 * (two.flatten() > 0)), instances=True)
    assert plain.at(0)[1][0].unique().tolist() == [0, 1, 2]
    one_label = whole(folder_of(tmp_path / "c", two.flatten() > 0), instances=True)
    assert torch.equal(one_label.at(0)[1], plain.at(0)[1])
    deep = whole(folder_of(tmp_path / "d", 40 * two.flatten(), "I;16"), instances=True)
    assert deep.at(0)[1][0].unique().tolist() == [0, 280, 360]


# arrays and known sets


def test_arrays():
    x, y = np.random.default_rng(0).integers(0, 256, (20, 6, 8, 3), dtype=np.uint8), np.arange(960).reshape(20, 6, 8) % 3
    source = open_data((x, y), "masks")
    assert (source.shape, source.classes, source.count + source.test_count) == ((3, 6, 8), ["0", "1", "2"], 20)
    assert source.mean == pytest.approx(0.5, abs=0.05)
    both = masks((x, y), split=None, shuffle=False, batch=20)
    assert torch.equal(both.at(0)[1], torch.from_numpy(y))
    torch.testing.assert_close(both.at(0)[0], torch.from_numpy(x).permute(0, 3, 1, 2) / 255)
    assert torch.equal(masks((x / 255.0, y), split=None, shuffle=False, batch=20).at(0)[0], both.at(0)[0])
    assert masks((x[..., 0], y), channels=3).shape == (3, 6, 8)


@pytest.mark.parametrize(("x", "y", "message"), [
    (np.zeros((4, 6, 8, 3)), np.zeros((4, 6, 7), int), r"expected images .* and masks \(N, H, W\), got \(4, 6, 8, 3\) and \(4, 6, 7\)"),
    (np.zeros((4, 6, 8, 3)) - 1, np.zeros((4, 6, 8), int), r"expected images in \[0, 1\] or uint8, got values from -1 to -1"),
    (np.full((4, 6, 8), np.nan), np.zeros((4, 6, 8), int), "nan|finite"),
    (np.zeros((4, 6, 8), np.int32), np.zeros((4, 6, 8), int), "expected images as uint8 or real numbers"),
    (np.zeros((4, 6, 8)), np.zeros((4, 6, 8)), "expected masks of whole numbers from 0 on"),
    (np.zeros((4, 6, 8)), np.zeros((4, 6, 8), int) - 1, "expected masks of whole numbers from 0 on"),
    (np.zeros((4, 6, 8)), np.zeros((4, 6, 8), int), "expected masks with two labels or more, got only 0")])
def test_arrays_that_are_none(x, y, message):
    with pytest.raises(ValueError, match=message):
        masks((x, y)).at(0)


@pytest.mark.row("VIS-25")
def test_shapes_are_the_same_each_time(embedded_only):
    train, test = masks("shapes", shuffle=False, batch=400), masks("shapes", split="test", batch=100)
    (x, y), (_, held_out) = train.at(0), test.at(0)
    assert (x.shape, len(held_out), train.classes) == ((400, 3, 64, 64), 100, ["background", "circle", "square", "line"])
    assert train.metadata["sha256"] == "e0ec011dd4c6e10794a8e746b00e2e4f36b0b0763d720ed8c5a63d663fd3b066"
    shares = torch.bincount(y.flatten()) / y.numel()
    assert shares[0] > 0.8
    assert (shares[1:] > 0.02).all()
    numbered = masks("shapes", shuffle=False, batch=400, instances=True).at(0)[1]
    assert torch.equal(numbered > 0, y > 0)
    with pytest.raises(ValueError, match="shapes has the splits train and test, got 'val'"):
        masks("shapes", split="val").at(0)


def test_a_set_that_is_not_there_says_where_to_put_it(embedded_only):
    for name in ("camvid", "nuclei"):
        with pytest.raises(FileNotFoundError, match=rf"{name} cannot be fetched: put {name}\.npz, with the arrays .* DEEPCANON_DATA"):
            masks(name).at(0)


def test_packed_sets(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x, mask = rng.integers(0, 256, (9, 8, 8, 3), dtype=np.uint8), rng.integers(0, 4, (9, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "camvid.npz", x=x, mask=mask, split=["train"] * 4 + ["val"] * 2 + ["test"] * 3, classes=["sky", "road", "car", "void"])
    np.savez(tmp_path / "nuclei.npz", x=x, instances=mask, name=[f"n{i}" for i in range(9)])
    monkeypatch.setenv("DEEPCANON_DATA", str(tmp_path))
    camvid = masks("camvid", shuffle=False)
    assert (camvid.count, camvid.classes) == (4, ["sky", "road", "car"])
    assert torch.equal(camvid.at(0)[1], torch.from_numpy(np.where(mask[:4] == 3, 255, mask[:4]).astype(np.int64)))
    assert [masks("camvid", split=s).count for s in ("val", "test", None)] == [2, 3, 9]
    nuclei = [masks("nuclei", split=s) for s in ("train", "test")]
    assert sum(part.count for part in nuclei) == 9
    assert nuclei[0].classes == ["background", "nucleus"]
    assert set(nuclei[0].at(0)[1].unique().tolist()) == {0, 1}
    assert masks("nuclei", instances=True).at(0)[1].max() == 3
    with pytest.raises(ValueError, match="camvid has labels and no objects"):
        masks("camvid", instances=True).at(0)


@pytest.mark.parametrize(("how", "message"), [
    ({"split": "all"}, "split must be 'train', 'test', 'val' or None, got 'all'"),
    ({"size": 0}, "size must be a number of pixels of 1 or more"),
    ({"size": "big"}, "got 'big'"),
    ({"channels": 4}, "channels must be 1 or 3, got 4")])
def test_arguments_that_cannot_be_meant(how, message):
    with pytest.raises(ValueError, match=message):
        masks("shapes", **how)
    with pytest.raises(ValueError, match="unknown data set 'shape'; did you mean 'shapes'"):
        masks("shape")
    with pytest.raises(ValueError, match="expected a known name, a folder, or a pair of arrays"):
        masks(3)


# batches and augmentation


def test_batches_are_a_function_of_seed_and_step_and_split_over_ranks():
    augment = augment_pairs.compose(augment_pairs.flip(), augment_pairs.zoom())
    data = masks("shapes", batch=6, seed=3, augment=augment)
    x, y = data.at(5)
    again = masks("shapes", batch=6, seed=3, augment=augment).to("cpu").at(5)
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    for rank in (0, 1):
        part = data.shard(rank, 2).at(5)
        assert torch.equal(part[0], x[rank::2])
        assert torch.equal(part[1], y[rank::2])
    assert not torch.equal(masks("shapes", batch=6, seed=4, augment=augment).at(5)[0], x)
    assert len(data) == len(list(data)) == 66
    with pytest.raises(ValueError, match=r"rank must be in 0\.\.1, got 2"):
        data.shard(2, 2)
    keys = {masks("shapes", **how).key for how in ({}, {"size": 12}, {"channels": 1}, {"instances": True}, {"split": "test"})}
    assert len(keys) == 5
    assert data.key == "masks:shapes:train"
    taken = data.take([7, 7, 2])
    assert (taken.count, taken.key != data.key) == (3, True)


def coordinates(n: int = 8, side: int = 16):
    """Images whose brightness is the label of the mask, which counts 4 x 4 squares."""
    y = (torch.arange(side)[:, None] // 4 * 4 + torch.arange(side) // 4).expand(n, side, side).clone()
    return y[:, None].float() / 15, y


@pytest.mark.parametrize("change", [augment_pairs.flip(1.0), augment_pairs.flip(), augment_pairs.flip(1.0, vertical=True),
                                    augment_pairs.zoom((0.5, 2.0)), augment_pairs.window(9),
                                    augment_pairs.compose(augment_pairs.flip(), augment_pairs.zoom(shift=0.5))])
def test_image_and_mask_are_changed_alike(change):
    x, y = coordinates()
    new_x, new_y = change(x, y, torch.Generator().manual_seed(0))
    assert new_y.dtype == torch.int64
    assert new_x.shape[2:] == new_y.shape[1:]
    assert not torch.equal(new_x[..., :9, :9], x[..., :9, :9])
    inside = new_y != 255
    assert set(new_y[inside].tolist()) <= set(range(16))
    same = ((15 * new_x[:, 0] - new_y).abs() < 1e-3)[inside].float().mean()
    assert same > (0.99 if inside.all() else 0.5)                                    # edges of squares are interpolated
    assert not new_x[:, 0][~inside].gt(0.6).any()


def test_each_image_draws_its_own_and_the_fill_is_as_asked():
    x, y = coordinates()
    _, new_y = augment_pairs.zoom((0.5, 0.6), fill=-1)(x, y, torch.Generator().manual_seed(0))
    assert (new_y == -1).any()
    assert not (new_y == 255).any()
    assert not torch.equal(new_y[0], new_y[1])
    identity = augment_pairs.zoom((1.0, 1.0), shift=0.0)(x, y, torch.Generator().manual_seed(0))
    assert torch.equal(identity[1], y)
    torch.testing.assert_close(identity[0], x)
    flipped = augment_pairs.flip(1.0)(x, y, torch.Generator().manual_seed(0))
    assert torch.equal(flipped[1], y.flip(-1))
    assert torch.equal(augment_pairs.flip(1.0, vertical=True)(x, y, torch.Generator())[0], x.flip(-2))
    colour = augment_pairs.images_only(lambda x, generator: x / 2)(x, y, torch.Generator())
    assert torch.equal(colour[0], x / 2)
    assert torch.equal(colour[1], y)


def test_changes_of_a_run_are_the_ones_that_are_asked_for():
    x, y = coordinates()
    generator = torch.Generator().manual_seed(0)
    still = augment_pairs.changes(0.0, "none", 0.0)(x, y, generator)
    torch.testing.assert_close(still[0], x)
    assert torch.equal(still[1], y)
    sides = augment_pairs.changes(0.0, "sides", 0.0)(x, y, generator)[1]
    assert {bool(torch.equal(a, b)) for a, b in zip(sides, y)} == {True, False}
    assert all(torch.equal(a.sort(1).values, b.sort(1).values) for a, b in zip(sides, y))       # rows stay
    both = augment_pairs.changes(0.0, "both", 0.0)(x, y, generator)[1]
    assert not all(torch.equal(a.sort(1).values, b.sort(1).values) for a, b in zip(both, y))
    _, labels = augment_pairs.changes(0.4, "none", 0.0, fill=-1)(x, y, generator)
    assert (labels == -1).any()
    assert augment_pairs.changes(0.4, "none", 0.0)(x, y, generator)[1].max() == 255
    same, again = (change(x, y, torch.Generator().manual_seed(1)) for change in
                   (augment_pairs.changes(0.4, "none", 0.0), augment_pairs.zoom((1 - 0.4, 1 + 2 * 0.4), shift=0.4)))
    assert torch.equal(same[1], again[1])
    lit = augment_pairs.changes(0.0, "none", 0.5)(x, y, generator)
    assert torch.equal(lit[1], y)
    assert not torch.allclose(lit[0], x)
    for move, turn in ((1.0, "none"), (-0.1, "none"), (0.2, "up")):
        with pytest.raises(ValueError, match=r"expected flip as sides, both or none and zoom in \[0, 1\), got"):
            augment_pairs.changes(move, turn, 0.0)


def test_a_window_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"a window of 17 x 17 does not fit into images \(8, 1, 16, 16\)"):
        augment_pairs.window(17)(*coordinates(), torch.Generator())


# what would be read


def test_what_would_be_read(tmp_path):
    folder = folder_of(tmp_path, [0, 0, 1, 255])
    save(tmp_path, "masks/widow", np.zeros((4, 4)))
    about = describe(folder)
    assert (about["kind"], about["pairs"], about["shape"], about["classes"]) == ("masks", 10, [1, 4, 4], ["0", "1"])
    assert about["share_of_pixels"] == {"0": "50.00 %", "1": "25.00 %", "ignored": "25.00 %"}
    assert about["left_out"] == {"masks without an image": ["widow"]}
    assert sum(about["splits"].values()) == 10
    save(tmp_path, "masks/3", np.ones((4, 5)))
    assert "masks/3.png: 5 x 4 pixels" in describe(folder, "masks")["problems"][0]
    assert describe("shapes")["classes"][3] == "line"
