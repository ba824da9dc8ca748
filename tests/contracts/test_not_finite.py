"""A nan or an infinity in the data reaches the loss, which the engine watches, or is refused: never unseen."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from deepcanon.engine import players
from deepcanon.layers import labels
from tests.contracts.presets import PRESETS

WORST = [math.nan, math.inf, -math.inf]
READS_NO_DATA = {"distillation"}                                         # but draws of its student
OF_NO_DATA = {"score_generated", "inversion_error", "kl"}                # metrics of generated points


@pytest.fixture(params=[name for name in PRESETS if name not in READS_NO_DATA], name="preset")
def _preset(request):
    torch.manual_seed(0)
    return PRESETS[request.param]


def damaged(things: tuple, worst: float) -> Iterator[tuple]:
    """Copies of them, with this value at the start, the middle or the end of a tensor of real numbers."""
    for i, thing in enumerate(things):
        if isinstance(thing, torch.Tensor) and thing.is_floating_point():
            for place in (0, thing.numel() // 2, -1):
                bad = thing.clone()
                bad.view(-1)[place] = worst
                yield (*things[:i], bad, *things[i + 1:])


def is_seen(compute: Callable, *arguments) -> bool:
    """Whether one of the tensors that it gives is not finite, or it refuses in one line."""
    try:
        found = compute(*arguments)
        return not all(value.isfinite().all() for value in (found if isinstance(found, list) else [found]))
    except ValueError as error:
        return "\n" not in str(error)


def losses(method, batch) -> list[torch.Tensor]:
    """Those of one step, without any update."""
    return [loss["loss"] if isinstance(loss, dict) else loss for _, loss in players(method, batch)]


def metric(method, batch, name: str) -> torch.Tensor:
    """One of its metrics."""
    with torch.no_grad():
        return method.metrics(batch)[name]


@pytest.mark.parametrize("worst", WORST)
def test_what_is_not_finite_is_seen_in_the_loss(preset, worst):
    method = preset.build()
    for batch in damaged(preset.batch(), worst):
        assert is_seen(losses, method, batch)


@pytest.mark.parametrize("worst", WORST)
def test_what_is_not_finite_is_seen_in_every_metric_of_its_example(preset, worst):
    method = preset.build().eval()
    if hasattr(method, "metrics"):
        for name in method.metrics(preset.batch()).keys() - OF_NO_DATA:
            for batch in damaged(preset.batch(), worst):
                assert is_seen(metric, method, batch, name), name


@pytest.mark.parametrize("worst", WORST)
def test_what_is_not_finite_is_seen_in_what_a_verb_makes_of_it(preset, worst):
    method = preset.build().eval()
    for verb, arguments in (preset.verbs or {}).items():
        for bad in damaged(arguments, worst):
            assert is_seen(getattr(method, verb), *bad), verb


@pytest.mark.parametrize("worst", WORST)
@pytest.mark.parametrize("name", ["dqn", "ppo", "sac"])
def test_an_agent_refuses_to_act_on_what_is_not_finite(name, worst):
    agent, observation = PRESETS[name].build(), np.array([worst, 0.0, 0.0], np.float32)
    with pytest.raises(ValueError, match="expected finite numbers to choose an action by, got"):
        agent.act(observation)
    if name == "ppo":
        with pytest.raises(ValueError, match="expected finite numbers to choose an action by, got"):
            agent.acts(observation[None], rng=np.random.default_rng(0))


def test_a_hit_of_logits_that_are_no_numbers_is_none():
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0], [math.nan, 0.0], [0.0, -math.inf]])
    hits = labels.correct(logits, torch.tensor([1, 1, 0, 0]))
    assert torch.equal(hits.nan_to_num(9.0), torch.tensor([1.0, 0.0, 9.0, 1.0]))
