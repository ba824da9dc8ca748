"""The data protocol: order as a function of (seed, step), shards, devices, metadata, bad input."""

import json

import numpy as np
import pytest
import torch

from deepcanon.data import arrays, images, recorded_metadata, text
from deepcanon.data.augment import binarize, compose, crop, flip
from deepcanon.data.order import Order, mix

SOURCES = {
    "images": lambda **more: images("digits", batch=32, **more),
    "augmented": lambda **more: images("digits", batch=32, augment=compose(crop(1), flip(), binarize), **more),
    "text": lambda **more: text("pydoc", context=16, batch=8, **more),
    "arrays": lambda **more: arrays(torch.arange(100.0).view(50, 2), torch.arange(50) % 5, batch=8, **more),
}


@pytest.fixture(params=SOURCES)
def source(request):
    return SOURCES[request.param]


def same(a, b):
    return all(torch.equal(s, t) for s, t in zip(a, b, strict=True))


def test_a_batch_is_a_function_of_seed_and_step(source):
    data, again = source(seed=3), source(seed=3)
    forward = [data.at(step) for step in range(60)]
    for step in (59, 0, 31, 7):
        assert same(again.at(step), forward[step])
    assert not same(source(seed=4).at(7), forward[7])
    assert not same(forward[0], forward[len(data) % 60])


def test_shards_together_are_the_joined_batch(source):
    whole, parts = source(seed=1), [source(seed=1).shard(rank, 3) for rank in range(3)]
    for step in (0, 5, len(whole) + 1):
        joined = [torch.empty_like(t) for t in whole.at(step)]
        for rank, part in enumerate(parts):
            for mine, all_ranks in zip(part.at(step), joined, strict=True):
                all_ranks[rank::3] = mine
        assert same(joined, whole.at(step))


def test_an_epoch_has_each_row_once():
    order = Order(103, 10, shuffle=True, seed=0)
    epochs = [torch.cat([order.rows(e * order.batches + i) for i in range(order.batches)]) for e in range(2)]
    assert order.batches == 10
    for rows in epochs:
        assert len(rows.unique()) == 100
    assert not torch.equal(*epochs)


def test_seeds_of_near_pairs_are_unrelated():
    seeds = {mix(seed, number) for seed in range(100) for number in range(-100, 100)}
    assert len(seeds) == 20_000
    assert len({seed & 0xFFFFFFFF for seed in seeds}) > 19_990        # torch's CPU generator reads the low 32 bits
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_one_pass_over_the_test_split_is_in_order_and_complete():
    test = images("digits", split="test", batch=100)
    assert [len(y) for _, y in test] == [100, 100, 100, 60]
    assert test.at(0)[0].shape == (100, 1, 8, 8)
    assert same(next(iter(test)), test.at(len(test)))
    assert torch.cat([y for _, y in test]).tolist() == torch.cat([y for _, y in images("digits", split="test", batch=7)]).tolist()


def test_digits_are_scaled_to_one():
    x = torch.cat([x for x, _ in images("digits", batch=1437)])
    assert x.dtype == torch.float32
    assert x.min() == 0
    assert x.max() == 1
    assert torch.equal(x * 16, (x * 16).round())


def test_bytes_are_scaled_to_one_exactly_at_the_ends():
    x, _ = arrays(torch.arange(256, dtype=torch.uint8).view(256, 1), batch=256, shuffle=False).at(0)
    torch.testing.assert_close(x.view(-1), torch.arange(256) / 255, atol=1e-7, rtol=0)
    assert x[0] == 0
    assert x[255] == 1


def test_another_size():
    small, large = images("digits", split="test"), images("digits", split="test", size=32)
    assert large.shape == (1, 32, 32)
    expected = torch.nn.functional.interpolate(small.at(0)[0], (32, 32), mode="bilinear")
    torch.testing.assert_close(large.at(0)[0], expected, atol=0.51 / 255, rtol=0)


def test_a_smaller_set_than_a_batch():
    data = arrays(torch.zeros(5, 2), torch.arange(5), batch=128)
    assert len(data) == 1
    assert sorted(data.at(0)[1].tolist()) == [0, 1, 2, 3, 4]


def test_nothing_is_read_before_the_first_access(monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPCANON_DATA", str(tmp_path))
    (tmp_path / "tinyshakespeare.txt").write_text("not the text")
    data = text("tinyshakespeare")
    with pytest.raises(ValueError, match="damaged or another file"):
        data.at(0)


@pytest.mark.parametrize("name", ["images", "text"])
def test_facts_are_json_and_serve_where_the_data_is_not(name, monkeypatch):
    data = SOURCES[name]()
    metadata = json.loads(json.dumps({data.key: data.metadata}))
    assert len(data.metadata["sha256"]) == 64
    def opened(*args):
        raise AssertionError("a file was opened")

    monkeypatch.setattr("deepcanon.data.pictures.named", opened)
    monkeypatch.setattr("deepcanon.data.texts.numbered", opened)
    with recorded_metadata(metadata):
        elsewhere = SOURCES[name]()
    assert len(elsewhere) == len(data)
    assert elsewhere.count == data.count
    if name == "images":
        assert (elsewhere.shape, elsewhere.classes) == ((1, 8, 8), [str(d) for d in range(10)])
    else:
        assert elsewhere.tokenizer.encode("help") == data.tokenizer.encode("help")


def test_to_a_device_gives_the_same_batches(source):
    assert same(source().to("cpu").at(3), source().at(3))
    assert source().to("meta").device.type == "meta"


@pytest.mark.parametrize(("x", "y", "line"), [
    (torch.zeros(3, 2), torch.zeros(4, dtype=torch.int64), "as many rows of x as of y"),
    (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), "at least one"),
    (torch.tensor([[0.0], [float("nan")]]), torch.tensor([0, 1]), "x is NaN or infinite in 1 of 2 rows, first in row 1"),
    (torch.zeros(2, 1), torch.tensor([1.0, float("inf")]), "y is NaN or infinite in 1 of 2 rows, first in row 1"),
    (torch.zeros(2, 1), torch.tensor([0, 3]), "label 3 of row 1 is out of range: expected 0 to 1"),
    (torch.zeros(2, 1), torch.tensor([-1, 0]), "label -1 of row 0 is out of range"),
    (torch.zeros(2, 1), torch.zeros(2, 2, dtype=torch.int64), r"expected labels \(N,\)"),
    (torch.zeros(2, 1, dtype=torch.complex64), None, "expected x as numbers or bytes"),
])
def test_bad_arrays_are_refused_in_one_line(x, y, line):
    with pytest.raises(ValueError, match=line):
        arrays(x, y, classes=["cat", "dog"])


def test_arrays_take_numpy_and_values_to_predict():
    data = arrays(np.arange(6.0).reshape(3, 2), np.array([0.5, 1.5, 2.5]), batch=3, shuffle=False)
    x, y = data.at(0)
    assert x.dtype == y.dtype == torch.float32
    assert y.tolist() == [0.5, 1.5, 2.5]
    assert data.classes == []


@pytest.mark.parametrize(("call", "line"), [
    (lambda: images("minst"), "unknown data set 'minst'; did you mean 'mnist'?"),
    (lambda: images("tinyshakespeare"), "unknown data set 'tinyshakespeare'"),
    (lambda: text("tinyshakespear"), "did you mean 'tinyshakespeare'?"),
    (lambda: images("digits", split="val"), "split must be 'train' or 'test', got 'val'"),
    (lambda: images("digits", batch=0), "batch must be at least 1, got 0"),
    (lambda: images("digits", size=0), "size must be at least 1"),
    (lambda: images("digits").shard(2, 2), "rank must be in 0..1, got 2"),
    (lambda: text("pydoc", split="test"), "split must be 'train' or 'val'"),
    (lambda: text("pydoc", context=0), "at least 1"),
])
def test_bad_calls_are_refused_in_one_line(call, line):
    with pytest.raises(ValueError, match=line) as error:
        call()
    assert "\n" not in str(error.value)
