"""Learning-rate schedules against torch's schedulers."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR

from deepcanon.engine import constant, cosine, linear, step_decay, warmup

T = 100


def rise(optimizer, w):
    """1 / w, 2 / w, ..., 1."""
    return LinearLR(optimizer, start_factor=1 / w, total_iters=w - 1)


def after(w, shape):
    return lambda optimizer: SequentialLR(optimizer, [rise(optimizer, w), shape(optimizer)], milestones=[w])


SCHEDULES = {
    "constant": (constant(), lambda o: ConstantLR(o, factor=1.0)),
    "warmup": (warmup(10), lambda o: rise(o, 10)),
    "a part": (warmup(0.1), lambda o: rise(o, 10)),
    "linear": (linear(), lambda o: LinearLR(o, 1.0, 0.0, T)),
    "linear, warmup": (linear(warmup=20, final=0.1), after(20, lambda o: LinearLR(o, 1.0, 0.1, T - 20))),
    "cosine": (cosine(), lambda o: CosineAnnealingLR(o, T)),
    "cosine, final": (cosine(final=0.1), lambda o: CosineAnnealingLR(o, T, eta_min=0.1 * 0.3)),
    "cosine, warmup": (cosine(warmup=20), after(20, lambda o: CosineAnnealingLR(o, T - 20))),
    "step": (step_decay(), lambda o: MultiStepLR(o, [50, 75], 0.1)),
    "step, warmup": (step_decay((0.25, 0.5), gamma=0.5, warmup=20), after(20, lambda o: MultiStepLR(o, [20, 40], 0.5))),
}


@pytest.mark.row("FND-26")
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_torchs(name):
    schedule, make = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler, rates = make(optimizer), []
    for _ in range(T):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert [0.3 * schedule(t, T) for t in range(T)] == pytest.approx(rates, abs=1e-12)


@pytest.mark.row("FND-26")
def test_the_ends_are_the_peak_and_the_final_rate():
    for shape in (linear, cosine):
        schedule = shape(warmup=10, final=0.2)
        assert [schedule(t, T) for t in (0, 9, 10, T)] == pytest.approx([0.1, 1.0, 1.0, 0.2])
        assert schedule(55, T) == pytest.approx(0.6)                             # half-way
    assert [step_decay()(t, T) for t in (49, 50, 74, 75)] == pytest.approx([1, 0.1, 0.1, 0.01])


@pytest.mark.row("FND-26")
@pytest.mark.parametrize(("make", "complaint"), [
    (lambda: warmup(0), "expected a warm-up of 1 step or more, or of a part of the run, got 0: use constant()"),
    (lambda: warmup(math.nan), "expected a warm-up of 0 steps or more, got nan"),
    (lambda: cosine()(0, 0), "a schedule needs a run of 1 step or more, got 0"),
    (lambda: linear(warmup=0.1)(0, 0), "a schedule needs a run of 1 step or more, got 0"),
    (lambda: step_decay(warmup=5)(0, 5), "the warm-up of 5 steps leaves nothing of a run of 5 steps"),
])
def test_a_schedule_of_zero_length_is_refused(make, complaint):
    with pytest.raises(ValueError) as error:                                     # noqa: PT011 (the whole text is compared)
        make()
    assert str(error.value) == complaint
