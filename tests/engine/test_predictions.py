"""What a classifier says of held-out examples, as the run folder keeps it."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from deepcanon.engine.predictions import probabilities, write_predictions

CLASSES = ["cat", "dog", "<b>owl</b>"]


class Fixed(nn.Module):
    """Returns the rows of a table, one an example: x[:, 0, 0, 0] or x[:, 0] times 255 is the row's number."""

    def __init__(self, table: torch.Tensor):
        super().__init__()
        self.table = nn.Parameter(table)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        return self.table[(x.flatten(1)[:, 0] * 255).round().long()]


def numbered(n: int) -> torch.Tensor:
    """n images of 4 x 4 pixels, the i-th of brightness i / 255."""
    return torch.arange(n).float()[:, None, None, None].expand(n, 1, 4, 4) / 255


def batches(x: torch.Tensor, y: torch.Tensor, size: int = 4):
    return list(zip(x.split(size), y.split(size)))


def kept(folder: Path) -> dict:
    return json.loads((folder / "evaluation" / "predictions.json").read_text())


def logits(predicted: list[int], sure: list[float]) -> torch.Tensor:
    """Logits whose softmax gives `sure` to `predicted`, the rest shared by the other two classes."""
    p = torch.tensor([[s if k == c else (1 - s) / 2 for k in range(3)] for c, s in zip(predicted, sure)])
    return p.log() + 5.0


def test_predictions_probabilities_and_mistakes_are_kept_in_order(tmp_path):
    y, predicted = [0, 1, 2, 2, 1, 0], [0, 2, 2, 1, 0, 0]
    sure = [0.9, 0.7, 0.8, 0.95, 0.6, 0.5]
    write_predictions(
        tmp_path, Fixed(logits(predicted, sure)), batches(numbered(6), torch.tensor(y)), CLASSES
    )
    record = kept(tmp_path)
    assert record["classes"] == CLASSES
    assert record["y"] == y
    assert record["predicted"] == predicted
    assert record["probability"] == pytest.approx(sure, abs=1e-4)
    assert record["mistakes"] == [3, 1, 4]
    with Image.open(tmp_path / "evaluation" / "mistakes.png") as image:
        tile, gap = int(image.info["tile"]), int(image.info["gap"])
        corners = [(gap, gap), (gap + tile + 2 * gap, gap), (gap, gap + tile + 2 * gap)]
        assert [image.convert("L").getpixel(corner) for corner in corners] == [3, 1, 4]


def test_one_kind_of_mistake_does_not_fill_the_page(tmp_path):
    y = torch.tensor([0] * 10 + [1])
    predicted, sure = [1] * 10 + [2], [0.9 - 0.01 * i for i in range(10)] + [0.5]
    write_predictions(tmp_path, Fixed(logits(predicted, sure)), batches(numbered(11), y), CLASSES)
    assert kept(tmp_path)["mistakes"] == [0, 1, 2, 10]


def test_examples_that_are_no_images_have_no_picture(tmp_path):
    write_predictions(
        tmp_path,
        Fixed(logits([1, 1], [0.9, 0.9])),
        batches(torch.arange(2).float()[:, None] / 255, torch.tensor([0, 1])),
        CLASSES,
    )
    assert kept(tmp_path)["mistakes"] == [0]
    assert [p.name for p in (tmp_path / "evaluation").iterdir()] == ["predictions.json"]


def test_probabilities_are_taken_as_they_are_and_logits_are_normalised():
    p = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    assert torch.equal(probabilities(p, 2, 3), p)
    torch.testing.assert_close(probabilities(p[:1].log() - 3, 1, 3), p[:1])
    torch.testing.assert_close(
        probabilities(torch.tensor([[2.0, 1.0]]), 1, 2), torch.tensor([[2.0, 1.0]]).softmax(1)
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (torch.zeros(6, 2), r"expected predictions of shape \(4, 3\), one column a class, got \(4, 2\)"),
        (torch.zeros(6, 3, 2), r"got \(4, 3, 2\)"),
    ],
)
def test_predictions_of_another_shape_are_refused(tmp_path, table, message):
    with pytest.raises(ValueError, match=message):
        write_predictions(tmp_path, Fixed(table), batches(numbered(6), torch.zeros(6).long()), CLASSES)


def test_no_examples_are_refused(tmp_path):
    with pytest.raises(ValueError, match="there are no examples to predict"):
        write_predictions(tmp_path, Fixed(torch.zeros(1, 3)), [], CLASSES)
    assert not (tmp_path / "evaluation").exists()


def test_the_method_is_left_in_the_mode_in_which_it_was(tmp_path):
    method = Fixed(logits([0], [0.9])).train()
    seen = []
    method.predict = lambda x: (seen.append(method.training), method.table[:1])[1]
    write_predictions(tmp_path, method, batches(numbered(1), torch.tensor([0])), CLASSES)
    assert seen == [False]
    assert method.training
