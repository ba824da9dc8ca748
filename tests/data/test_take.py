"""A part of the data, and several data read together."""

import pytest
import torch

from deepcanon.data import arrays, images, recorded_metadata
from deepcanon.data.batches import StackedBatches


def digits(seed: int = 0, batch: int = 16):
    """Scikit-learn's digits."""
    return images("digits", batch=batch, seed=seed)


def test_takes_the_named_rows_as_often_as_they_are_named():
    x, y = torch.arange(20.0).view(10, 2), torch.arange(10)
    part = arrays(x, y, batch=3, shuffle=False).take([7, 7, 0, 2])
    assert part.count == 4
    assert torch.equal(torch.cat([labels for _, labels in part]), torch.tensor([7, 7, 0, 2]))
    assert torch.equal(part.at(0)[0], x[[7, 7, 0]])


def test_a_part_keeps_scale_classes_and_order_of_its_own():
    part = digits().take(range(100))
    whole, _ = images("digits", batch=100, shuffle=False).at(0)
    assert (part.classes, part.shape, part.count, len(part)) == (digits().classes, (1, 8, 8), 100, 6)
    assert torch.equal(part.at(3)[0], part.at(3)[0])
    seen = torch.cat([x for x, _ in images("digits", batch=100).take(range(100))])
    assert torch.equal(seen.flatten(1).sort(0).values, whole.flatten(1).sort(0).values)


def test_parts_have_facts_of_their_own(monkeypatch, tmp_path):
    one, other = digits().take(range(50)), digits().take(range(50, 100))
    assert len({one.key, other.key, digits().key}) == 3
    assert one.metadata["sha256"] != other.metadata["sha256"]
    metadata = {"images:mnist:train:" + one.key.rpartition(":")[2]: one.metadata}
    monkeypatch.setenv("DEEPCANON_DATA", str(tmp_path))
    with recorded_metadata(metadata):
        assert images("mnist").take(range(50)).count == 50                      # no file is there, none is opened


def test_together_stacks_what_each_gives():
    sources = [digits(seed).take(range(100 + seed, 300)) for seed in range(3)]
    together = StackedBatches(sources)
    x, y = together.at(5)
    assert (x.shape, y.shape) == ((3, 16, 1, 8, 8), (3, 16))
    for j, source in enumerate(sources):
        assert torch.equal(x[j], source.at(5)[0])
        assert torch.equal(y[j], source.at(5)[1])
    assert len(list(together)) == len(together) == min(map(len, sources))
    halves = [together.shard(rank, 2).at(5)[0] for rank in range(2)]
    assert torch.equal(torch.stack(halves, 2).flatten(1, 2), x)
    assert torch.equal(together.to("cpu").at(5)[0], x)
    assert [metadata["count"] for metadata in together.metadata["sources"]] == [200, 199, 198]


@pytest.mark.parametrize(("build", "message"), [
    (lambda: digits().take([]), "one row number or more"),
    (lambda: digits().take([-1]), "each 0 or more"),
    (lambda: digits().take([5_000]).at(0), r"images:digits:train has the rows 0\.\.1436, got row 5000"),
    (lambda: StackedBatches([]), "one source or more"),
])
def test_refuses_rows_that_are_not_there(build, message):
    with pytest.raises(ValueError, match=message):
        build()
