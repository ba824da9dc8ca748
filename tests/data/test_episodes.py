"""Few-shot tasks: what is in them, that their order is a function of (seed, step), that test classes are unseen, bad input."""

import io
import math
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from deepcanon.data import Sinusoids, arrays, episodes, images
from deepcanon.data.augment import affine, compose, crop, flip
from deepcanon.data.omniglot_drawings import archived, omniglot, unpacked


def numbered(classes: int = 8, examples: int = 6, side: int = 3):
    """One image an example, filled with its row number, the examples of all classes mixed."""
    y = torch.arange(classes * examples) % classes
    return arrays(torch.arange(len(y)).float().view(-1, 1, 1, 1).expand(-1, 1, side, side).contiguous(), y), y


def same(a, b):
    return all(torch.equal(s, t) for s, t in zip(a, b, strict=True))


@pytest.mark.row("MGL-02")
def test_a_task_has_n_classes_k_shots_and_other_queries_with_labels_of_its_own():
    data, y = numbered()
    tasks = episodes(data, ways=4, shots=2, queries=3, tasks=5)
    for step in range(10):
        xs, ys, xq, yq = tasks.at(step)
        assert (xs.shape, ys.shape, xq.shape, yq.shape) == ((5, 8, 1, 3, 3), (5, 8), (5, 12, 1, 3, 3), (5, 12))
        assert ys.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]] * 5
        assert yq.tolist() == [[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]] * 5
        for task in range(5):
            support, query = xs[task, :, 0, 0, 0].long(), xq[task, :, 0, 0, 0].long()
            assert not set(support.tolist()) & set(query.tolist())
            assert len(set(support.tolist() + query.tolist())) == 20
            true = [set(y[support[ys[task] == k]].tolist()) | set(y[query[yq[task] == k]].tolist()) for k in range(4)]
            assert all(len(kinds) == 1 for kinds in true)
            assert len(set.union(*true)) == 4


def test_every_class_and_example_is_drawn_equally_often():
    data, y = numbered(classes=5, examples=4)
    tasks = episodes(data, ways=2, queries=1, tasks=50, count=2_000)
    rows = torch.cat([torch.cat([t.support_x, t.query_x], 1)[..., 0, 0, 0].flatten() for t in tasks])
    counts = rows.long().bincount(minlength=len(y)).double()
    assert counts.sum() == 2_000 * 4
    assert ((counts - 400).abs() < 4 * math.sqrt(400)).all()


@pytest.mark.parametrize("make", [
    lambda seed: episodes("digits", ways=3, queries=2, tasks=4, rotations=True, seed=seed),
    lambda seed: episodes("digits", ways=3, queries=2, tasks=4, augment=crop(1), seed=seed),
    lambda seed: episodes("digits", ways=3, queries=2, tasks=4, per_class=compose(flip(), affine(degrees=30.0)), seed=seed),
    lambda seed: episodes("digits", ways=3, queries=2, tasks=4, per_class=flip(), augment=crop(1), seed=seed),
    lambda seed: Sinusoids(tasks=4, seed=seed)])
def test_tasks_are_a_function_of_seed_and_step_and_shards_join(make):
    data, again = make(3), make(3)
    forward = [data.at(step) for step in range(8)]
    for step in (7, 0, 4):
        assert same(again.at(step), forward[step])
    assert not same(make(4).at(4), forward[4])
    assert not same(forward[3], forward[4])
    for rank in range(2):
        assert same(make(3).shard(rank, 2).at(5), [t[rank::2] for t in forward[5]])
    assert len(data) == 150
    assert same(next(iter(data)), forward[0])


@pytest.mark.row("MGL-02")
def test_test_classes_are_unseen():
    train, test = episodes("digits"), episodes("digits", split="test")
    assert (train.classes, test.classes) == (list("01234"), list("56789"))
    assert train.data.count + test.data.count == 1_797
    x, y = images("digits", batch=2_000, shuffle=False).at(0)
    sevens = x[y == 7]
    assert (test.data.content.x[test.data.content.y == 2][: len(sevens)] / 16 == sevens).all()
    assert train.shape == (1, 8, 8)
    assert train.metadata["sha256"] != test.metadata["sha256"]
    assert train.to("cpu").metadata == train.metadata


def test_rotations_are_further_classes():
    x = torch.arange(9.0).view(1, 1, 3, 3) + 10 * torch.arange(10).view(-1, 1, 1, 1)
    data = arrays(x, torch.arange(10) // 5)
    tasks = episodes(data, ways=8, shots=1, queries=4, tasks=3, rotations=True).at(0)
    pictures = torch.cat([tasks.support_x.unflatten(1, (8, 1)), tasks.query_x.unflatten(1, (8, 4))], 2)                  # (3, 8, 5, 1, 3, 3)
    for task in pictures:
        found = set()
        for one in task:
            turn = next(k for k in range(4) if torch.equal(one[0].rot90(-k, (-2, -1)) % 10, x[0]))
            found.add((turn, int(one[0].min()) // 50))
            assert all(torch.equal(p.rot90(-turn, (-2, -1)) % 10, x[0]) for p in one)
        assert len(found) == 8


def test_what_is_drawn_per_class_is_the_same_for_all_its_examples():
    x = torch.arange(9.0).view(1, 1, 3, 3) + 10 * torch.arange(40).view(-1, 1, 1, 1)
    data = arrays(x.expand(-1, 2, -1, -1).contiguous(), torch.arange(40) // 5)
    tasks = episodes(data, ways=8, shots=2, queries=3, tasks=20, per_class=flip()).at(0)
    pictures = torch.cat([tasks.support_x.unflatten(1, (8, 2)), tasks.query_x.unflatten(1, (8, 3))], 2)                  # (20, 8, 5, 2, 3, 3)
    plain, mirrored = ((pictures % 10 == one).all(-1).all(-1).all(-1) for one in (x[0], x[0].flip(-1)))                  # (20, 8, 5)
    assert (plain.all(2) | mirrored.all(2)).all()
    assert 50 < mirrored.all(2).sum() < 110                                      # of 160 classes


def test_a_folder_of_your_own_is_split_by_class(workplace):
    for name in ("train/cat", "train/dog", "test/owl", "test/fox", "test/elk"):
        (workplace / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (5, 4), (10 * i, 0, 0)).save(workplace / name / f"{i}.png")
    test = episodes("./", ways=3, queries=2, tasks=2, split="test", size=4)
    assert test.classes == ["elk", "fox", "owl"]
    assert test.at(0).query_x.shape == (2, 6, 3, 4, 4)
    assert episodes("./", ways=2).classes == ["cat", "dog"]
    with pytest.raises(ValueError, match="class 'cat' has 3 examples, fewer than the 6 of a task: 1 shots and 5 queries"):
        episodes("./", ways=2).at(0)


def test_a_folder_without_splits_keeps_one_class_in_five_for_the_test(workplace):
    for i in range(20):
        (workplace / f"class{i}").mkdir()
        Image.new("RGB", (4, 4)).save(workplace / f"class{i}" / "1.png")
    train, test = episodes("./").classes, episodes("./", split="test").classes
    assert sorted(train + test) == sorted(f"class{i}" for i in range(20))
    assert 0 < len(test) < 10


def test_two_classes_of_a_folder_are_one_for_training_and_one_for_the_test(workplace):
    for name, size in (("a/deeper", (4, 4)), ("b", (90, 70))):
        (workplace / "own" / name).mkdir(parents=True)
        Image.new("L", size).save(workplace / "own" / name / "1.png")
    train, test = (episodes("./own", split=split, ways=1) for split in ("train", "test"))
    assert sorted(train.classes + test.classes) == ["a", "b"]
    assert train.shape == test.shape == (1, 32, 32)


@pytest.fixture
def alphabets(tmp_path, monkeypatch):
    """242 characters of the eight alphabets' names, 20 drawings of each, in the packed form; every drawing is the number of its character in bits."""
    sizes = {"Balinese": 24, "Early_Aramaic": 22, "Greek": 24, "Japanese_katakana": 47, "Korean": 40, "Latin": 26, "Sanskrit": 42, "Tagalog": 17}
    character = np.repeat(np.arange(242), 20).astype(np.uint16)
    bits = np.zeros((4_840, 1_379), np.uint8)
    bits[:, 0] = character % 256
    np.savez(tmp_path / "omniglot8-105px.npz", bits=bits, character=character, alphabets=np.array(list(sizes)),
             alphabet=np.repeat(np.repeat(np.arange(8), list(sizes.values())), 20).astype(np.uint8))
    monkeypatch.setenv("DEEPCANON_DATA", str(tmp_path))
    return tmp_path / "omniglot8-105px.npz"


@pytest.mark.row("MGL-02")
def test_the_alphabets_of_the_test_tasks_are_unseen_in_training(alphabets):
    train, test = omniglot("train"), omniglot("test")
    seen, unseen = ({name.partition(" ")[0] for name in content.metadata["classes"]} for content in (train, test))
    assert unseen == {"Sanskrit", "Tagalog"}
    assert not seen & unseen
    assert (len(train.metadata["classes"]), len(test.metadata["classes"])) == (183, 59)
    assert (train.y.bincount() == 20).all()
    assert (test.y.bincount() == 20).all()
    assert test.metadata["classes"][0] == "Sanskrit 1"
    assert test.x.shape == (59 * 20, 1, 105, 105)
    assert test.x[20, 0, 0, :8].tolist() == [1, 0, 1, 1, 1, 0, 0, 0]  # 184 in bits
    assert episodes("omniglot", ways=20, tasks=2, rotations=True).at(0).support_x.shape == (2, 20, 1, 28, 28)


def test_the_archives_hold_the_same_drawings(alphabets):
    whole = unpacked(alphabets)

    def archive(top: str, characters: list[int]) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as written:
            for c in characters:
                alphabet, number = whole.names[c].replace("Japanese_katakana", "Japanese_(katakana)").split(" ")
                for i in range(20 * c, 20 * c + 20):
                    picture = io.BytesIO()
                    Image.fromarray(255 * (1 - whole.x[i].numpy())).convert("1").save(picture, "PNG")
                    written.writestr(f"{top}/{alphabet}/character{int(number):02}/{c:04}_{i - 20 * c + 1:02}.png", picture.getvalue())
        return content.getvalue()

    drawings = archived([archive("small1", [0, 1, 24]), archive("small2", [24, 100])])
    rows = torch.cat([torch.arange(20 * c, 20 * c + 20) for c in (0, 1, 24, 100)])
    assert drawings.names == [whole.names[c] for c in (0, 1, 24, 100)]
    assert torch.equal(drawings.x, whole.x[rows])
    assert torch.equal(drawings.character, torch.arange(4).repeat_interleave(20))


def test_a_damaged_omniglot_is_named(alphabets):
    np.savez(alphabets, bits=np.zeros((3, 5), np.uint8), character=np.zeros(3), alphabet=np.zeros(3), alphabets=np.array(["Greek"]))
    with pytest.raises(ValueError, match=r"omniglot8-105px\.npz: expected bits as uint8 \(4840, 1379\), found uint8 \(3, 5\)"):
        episodes("omniglot", size=27).at(0)


def test_sinusoids_are_sines():
    tasks = Sinusoids(shots=40, queries=3, tasks=50)
    x, y, xq, _ = tasks.at(1)
    assert (x.shape, xq.shape) == ((50, 40, 1), (50, 3, 1))
    assert (x.abs() <= 5).all()
    waves = torch.cat([x.sin(), x.cos()], 2)  # A sin(x - phi) is in their span
    fit = torch.linalg.lstsq(waves, y).solution
    torch.testing.assert_close(waves @ fit, y, atol=1e-4, rtol=0)
    amplitude = fit.norm(dim=1)
    assert ((amplitude > 0.099) & (amplitude < 5.001)).all()
    assert (fit[:, 1] <= 1e-4).all()  # phi in [0, pi]: -A sin(phi)


@pytest.mark.parametrize(("call", "line"), [
    (lambda: episodes("omniglott"), "unknown data set 'omniglott'; did you mean 'omniglot'?"),
    (lambda: episodes("digits", ways=0), "ways must be at least 1, got 0"),
    (lambda: episodes("digits", split="val"), "split must be 'train' or 'test', got 'val'"),
    (lambda: episodes("digits", ways=6).at(0), "a task of 6 ways needs as many classes, the data has 5"),
    (lambda: episodes(numbered(examples=3)[0], shots=3, queries=1).at(0), "class '0' has 3 examples, fewer than the 4 of a task"),
    (lambda: episodes(arrays(torch.zeros(9, 2), torch.zeros(9))).at(0), "need one class an example"),
    (lambda: episodes(arrays(torch.zeros(9, 1, 2, 3), torch.zeros(9).long()), ways=1, rotations=True).at(0), "rotations need square images"),
    (lambda: episodes("digits").shard(2, 2), "rank must be in 0..1, got 2"),
    (lambda: Sinusoids(shots=0), "shots, queries, tasks and count must be at least 1"),
])
def test_bad_tasks_are_refused_in_one_line(call, line):
    with pytest.raises(ValueError, match=line) as error:
        call()
    assert "\n" not in str(error.value)
