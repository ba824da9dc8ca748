"""Every method in types of 16 bits: brought to one whole, and under autocast.

A number rounded to nearest is off by half of eps of it at most, eps = 2^-7 in bfloat16 and 2^-10 in float16.
Losses are held to eight eps, sixteen roundings that all go one way, of their size, or of 1 where they are
smaller: they are sums of terms of that size which cancel.
"""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from deepcanon.engine import players
from tests.contracts.presets import PRESETS

KINDS = [torch.bfloat16, torch.float16]
ROUNDINGS = 16


@pytest.fixture(params=PRESETS, name="preset")
def _preset(request):
    torch.manual_seed(0)
    return PRESETS[request.param]


def cast(things: tuple, dtype: torch.dtype) -> tuple:
    """The tensors of real numbers among them in this type."""
    return tuple(t.to(dtype) if isinstance(t, Tensor) and t.is_floating_point() else t for t in things)


def step(method, batch: tuple, *, autocast: bool = False) -> dict[str, float]:
    """The losses of a step without any update, their gradients seen to be finite."""
    torch.manual_seed(0)
    found, losses = {}, players(method, batch)
    while True:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            player, loss = next(losses, (None, None))
        if player is None:
            return found
        loss = loss["loss"] if isinstance(loss, dict) else loss
        method.zero_grad()
        loss.backward()
        assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None), player
        found[player] = float(loss.detach())


def close(ours: dict[str, float], right: dict[str, float], dtype: torch.dtype) -> None:
    """Equal up to the roundings of the type."""
    assert ours.keys() == right.keys()
    for player, loss in ours.items():
        scale = max(abs(right[player]), 1.0)
        assert abs(loss - right[player]) <= ROUNDINGS * torch.finfo(dtype).eps / 2 * scale, (player, loss)


@pytest.mark.parametrize("dtype", KINDS)
def test_losses_in_16_bits_are_those_in_32_and_gradients_finite(preset, dtype):
    method, batch = preset.build(), preset.batch()
    right = step(copy.deepcopy(method), batch)
    close(step(method.to(dtype), cast(batch, dtype)), right, dtype)


def test_losses_under_autocast_are_those_in_32_bits_and_gradients_finite(preset):
    method, batch = preset.build(), preset.batch()
    right = step(copy.deepcopy(method), batch)
    close(step(method, batch, autocast=True), right, torch.bfloat16)


@pytest.mark.parametrize("dtype", KINDS)
def test_verbs_and_metrics_in_16_bits_are_finite(preset, dtype):
    method = preset.build().to(dtype).eval()
    for verb, arguments in (preset.verbs or {}).items():
        assert getattr(method, verb)(*cast(arguments, dtype)).isfinite().all(), verb
    if hasattr(method, "metrics"):
        with torch.no_grad():
            for name, value in method.metrics(cast(preset.batch(), dtype)).items():
                assert value.isfinite().all(), name


@pytest.mark.parametrize("dtype", KINDS)
def test_no_buffer_is_rounded(preset, dtype):
    method = preset.build()
    step(method, preset.batch())                                         # statistics are no round numbers now
    before = {name: b.clone() for name, b in method.named_buffers() if b.is_floating_point()}
    after = dict(method.to(dtype).named_buffers())
    assert [name for name, b in before.items() if not torch.equal(after[name].to(b), b)] == []


def test_agents_act_in_16_bits():
    observation = np.zeros(3, np.float32)
    for name in ("dqn", "ppo", "sac"):
        for dtype in KINDS:
            assert np.isfinite(PRESETS[name].build().to(dtype).act(observation)).all()
