"""What metrics are given: certain classes, few examples."""

import pytest
import torch

from deepcanon.metrics.classes import inception_score
from deepcanon.metrics.generation import fid


def test_equal_sets_of_fewer_examples_than_features_are_at_a_distance_of_zero_or_more():
    for seed in range(8):
        x = torch.randn(5, 20, generator=torch.Generator().manual_seed(seed))
        assert 0 <= fid(x, x.flip(0)) < 1e-6


def test_the_score_of_certain_classes_is_their_number():
    logits = torch.full((6, 3), -torch.inf)
    logits[torch.arange(6), torch.arange(6) % 3] = 0
    assert inception_score(logits).item() == pytest.approx(3)
