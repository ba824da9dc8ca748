"""Learning-rate schedules against torch's schedulers, those of transformers, and values by hand."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

from deepcanon.engine import constant, cosine, linear, step_decay, warmup

T = 100


def rise(optimizer, w):
    """1 / w, 2 / w, ..., 1."""
    return LinearLR(optimizer, start_factor=1 / w, total_iters=w - 1)


def after(w, shape):
    return lambda optimizer: SequentialLR(optimizer, [rise(optimizer, w), shape(optimizer)], milestones=[w])


def from_a_tenth(w, shape):
    """s + (1 - s) t / w for t < w, with s = 0.1."""

    def make(optimizer):
        rise = LinearLR(optimizer, start_factor=0.1, total_iters=w)
        return SequentialLR(optimizer, [rise, shape(optimizer)], milestones=[w])

    return make


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
    "warmup from 0": (warmup(10, start=0), lambda o: get_constant_schedule_with_warmup(o, 10)),
    "warmup from 0.1": (warmup(10, start=0.1), lambda o: LinearLR(o, start_factor=0.1, total_iters=10)),
    "linear from 0": (linear(warmup=20, start=0), lambda o: get_linear_schedule_with_warmup(o, 20, T)),
    "cosine from 0": (cosine(warmup=0.2, start=0), lambda o: get_cosine_schedule_with_warmup(o, 20, T)),
    "step from 0.1": (step_decay((0.25, 0.5), gamma=0.5, warmup=20, start=0.1),
                      from_a_tenth(20, lambda o: MultiStepLR(o, [20, 40], 0.5))),
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
def test_a_warm_up_from_zero_reaches_the_peak_in_equal_parts_and_decays_to_the_end():
    schedule = cosine(warmup=4, final=0.2, start=0)
    values = [schedule(t, 12) for t in (0, 1, 2, 3, 4, 6, 8, 10, 12)]
    root = 2**-0.5
    assert values == pytest.approx([0, 0.25, 0.5, 0.75, 1, 0.6 + 0.4 * root, 0.6, 0.6 - 0.4 * root, 0.2])
    assert [warmup(4)(t, 12) for t in (0, 1, 2, 3, 4, 12)] == [0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.row("FND-26")
def test_a_run_of_unknown_length_may_warm_up_for_a_number_of_steps():
    assert [warmup(4)(t, None) for t in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert [warmup(4, start=0.2)(t, None) for t in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert constant()(7, None) == 1
    for needs_the_length in (warmup(0.1), linear(), cosine(warmup=4), step_decay()):
        with pytest.raises(ValueError, match="this schedule needs a run of known length"):
            needs_the_length(0, None)


@pytest.mark.row("FND-26")
def test_a_step_after_the_end_keeps_the_last_rate():
    ends = [shape(final=0.3)(t, T) for shape in (linear, cosine) for t in (T, T + 5)]
    assert ends == pytest.approx([0.3] * 4)
    assert [warmup(0.25)(t, 10) for t in range(4)] == [0.4, 0.8, 1, 1]           # over 2.5 steps
    assert linear(warmup=T - 1)(T - 1, T) == 1                                   # one step is left: the peak


@pytest.mark.row("FND-26")
@pytest.mark.parametrize(("make", "complaint"), [
    (lambda: warmup(0), "expected a warm-up of 1 step or more, or of a part of the run, got 0: use constant()"),
    (lambda: warmup(math.nan), "expected a warm-up of 0 steps or more, got nan"),
    (lambda: cosine(warmup=5, start=1.5),
     "expected a start of the warm-up as a part of the peak rate in [0, 1], got 1.5"),
    (lambda: warmup(5, start=-0.1),
     "expected a start of the warm-up as a part of the peak rate in [0, 1], got -0.1"),
    (lambda: linear(start=0.0), "start=0.0 is of a warm-up, and there is none: give warmup too"),
    (lambda: linear(final=-0.1), "expected a final factor of 0 or more, got -0.1"),
    (lambda: step_decay((0.5, 1.0)), "expected milestones as fractions of the run in (0, 1), got (0.5, 1.0)"),
    (lambda: step_decay((0.0, 0.5)), "expected milestones as fractions of the run in (0, 1), got (0.0, 0.5)"),
    (lambda: step_decay(gamma=0.0), "expected a gamma above 0, got 0.0"),
    (lambda: cosine()(0, 0), "a schedule needs a run of 1 step or more, got 0"),
    (lambda: linear(warmup=0.1)(0, 0), "a schedule needs a run of 1 step or more, got 0"),
    (lambda: step_decay(warmup=5)(0, 5), "the warm-up of 5 steps leaves nothing of a run of 5 steps"),
])
def test_a_schedule_of_zero_length_is_refused(make, complaint):
    with pytest.raises(ValueError) as error:                                     # noqa: PT011 (the whole text is compared)
        make()
    assert str(error.value) == complaint
