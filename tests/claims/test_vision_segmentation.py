"""Claims about labelling pixels."""

import pytest
import torch

from deepcanon.claims.vision_segmentation import Lines
from tests.claims.verdicts import measured


@pytest.mark.row("VIS-29", "VIS-30")
def test_skips_keep_what_a_bottleneck_loses():
    m = measured("C-057", "confirmed")
    assert m["lead"] == pytest.approx(m["unet"] - m["bottleneck"])
    assert m["lead_over_segnet"] == pytest.approx(m["unet"] - m["segnet"])
    assert m["unet"] > 0.8
    assert m["bottleneck"] < m["segnet"]


def test_lines_are_thin_and_the_same_each_time():
    x, y = Lines(0, 64).at(None)
    assert torch.equal(x, Lines(0, 64).at(None)[0])
    assert x.shape == (64, 1, 32, 32)
    assert 0.03 < y.float().mean() < 0.12
    assert torch.equal(Lines(0, 64).at(5)[1], y[16:32])
    thick = torch.nn.functional.avg_pool2d(y[:, None].float(), 3, 1, 1)[:, 0]
    assert (thick[y == 1] < 0.8).float().mean() > 0.97
    assert x[:, 0][y == 1].mean() - x[:, 0][y == 0].mean() == pytest.approx(0.3, abs=0.01)
