"""What becomes of wrong and of unusual calls of every method, without the checks of annotations that tests have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from deepcanon.layers import checked
from deepcanon.vae import VAE
from tests.contracts.presets import PRESETS


def test_random_calls_are_right_or_refused_in_our_words():
    root = Path(__file__).parents[2]
    script = [
        sys.executable,
        "-m",
        "tests.contracts.inputs",
        "--calls",
        "300",
        "--seed",
        "0",
        "--show",
        "silent",
    ]
    surroundings = {"cwd": root, "env": os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"}, "timeout": 300}
    done = subprocess.run(script, capture_output=True, text=True, **surroundings)
    *silent, counts = done.stdout.splitlines()
    found = json.loads(counts)
    assert silent == []
    assert found["barred"] == 0
    assert found["right"] >= 30
    assert found["ours"] >= 0.98 * (found["ours"] + found["torch"])


@checked
class Sum(nn.Module):
    """A method of one parameter."""

    def __init__(
        self, width: int, scale: float = 1.0, shape: tuple[int, ...] = (2,), name: str | None = None
    ):
        super().__init__()
        self.width, self.scale, self.shape, self.name = width, scale, shape, name
        self.weight = nn.Parameter(torch.ones(width))

    def loss(self, batch):
        """Of rows of this width."""
        return self.scale * (batch[0] @ self.weight).mean()

    def sample(self, n: int):
        """n zeros."""
        return torch.zeros(n)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"width": -1}, ValueError, "Sum: expected width of 0 or more, got -1"),
        ({"width": 2.5}, TypeError, "Sum: expected width to be a whole number, got 2.5"),
        ({"width": None}, TypeError, "Sum: expected width to be a whole number, got None"),
        ({"width": 2, "scale": float("nan")}, ValueError, "Sum: expected a finite scale, got nan"),
        ({"width": 2, "scale": "1"}, TypeError, "Sum: expected scale to be a number, got '1'"),
        (
            {"width": 2, "shape": (0, 3)},
            ValueError,
            r"Sum: expected shape to be whole numbers above 0, got \(0, 3\)",
        ),
        ({"width": 2, "shape": 3}, TypeError, "Sum: expected shape to be a tuple of whole numbers, got 3"),
    ],
)
def test_a_constructor_refuses_numbers_without_meaning(options, error, words):
    with pytest.raises(error, match=f"^{words}$"):
        Sum(**options)


def test_a_constructor_takes_numbers_of_numpy_and_whole_ones_for_real_ones():
    method = Sum(np.int64(2), np.float32(0.5), torch.Size([3]))
    assert method.loss((torch.ones(4, 2),)) == 1.0
    assert Sum(2, 3).loss((torch.ones(4, 2),)) == 6.0


@pytest.mark.parametrize(
    ("batch", "error", "words"),
    [
        (
            torch.ones(4, 2),
            ValueError,
            r"expected a batch, a tuple of tensors \(x, ...\), got \(4, 2\) float32",
        ),
        ((), ValueError, r"expected a batch, a tuple of tensors \(x, ...\), got nothing"),
        ({"x": torch.ones(4, 2)}, ValueError, r"expected a batch, a tuple of tensors \(x, ...\), got dict"),
        (([1.0, 2.0],), TypeError, "expected a batch of tensors, got list as entry 0"),
        ((torch.ones(4, 2), 3.0), TypeError, "expected a batch of tensors, got float as entry 1"),
        (
            (torch.ones(0, 2),),
            ValueError,
            r"expected one example or more, as many in each entry of the batch, got shapes \(0, 2\)",
        ),
        ((torch.ones(6, 2), torch.ones(1)), ValueError, r".*got shapes \(6, 2\), \(1,\)"),
        (
            (torch.ones(4, 2) / 0,),
            ValueError,
            "expected finite values, got 8 of 8 that are nan or inf in entry 0 of the batch",
        ),
        (
            (torch.ones(4, 2, dtype=torch.complex64),),
            TypeError,
            "expected real numbers, got torch.complex64 as entry 0 of the batch",
        ),
        ((torch.ones(4, 3),), ValueError, r"Sum.loss fails on \(4, 3\) float32: size mismatch.*"),
        (
            (torch.ones(4, 2).byte(),),
            ValueError,
            "expected floating-point values, got torch.uint8; divide 8-bit images by 255",
        ),
    ],
)
def test_a_loss_refuses_what_is_no_batch_and_says_what_it_was_given(batch, error, words):
    with pytest.raises(error, match=f"^(Sum.loss: )?{words}$"):
        Sum(2).loss(batch)


def test_large_finite_values_whose_sum_overflows_are_no_infinity():
    huge = torch.tensor([3e38, 3e38, -3e38])
    assert huge.sum().isinf() or huge.flip(0).sum().isinf()
    assert Sum(1).loss((torch.ones(3, 1), huge)) == Sum(1).loss((torch.ones(3, 1), huge.flip(0))) == 1


def test_counts_of_a_verb_are_whole_numbers():
    with pytest.raises(TypeError, match=r"^Sum.sample: expected n to be a whole number, got 2.5$"):
        Sum(2).sample(2.5)
    with pytest.raises(ValueError, match=r"^Sum.sample: expected n of 0 or more, got -1$"):
        Sum(2).sample(n=-1)


def test_errors_of_a_machine_or_of_a_backward_pass_stay_as_they_are():
    @checked
    class Failing(nn.Module):
        def loss(self, batch):
            if batch[0].sum() > 0:
                raise RuntimeError("CUDA out of memory")
            x = batch[0].requires_grad_()
            y = x.exp().sum()
            y.backward()
            return y.backward()

    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        Failing().loss((torch.ones(1),))
    with pytest.raises(RuntimeError, match="second time"):
        Failing().loss((torch.zeros(1),))


def test_a_net_of_another_size_is_told_with_its_shapes():
    vae = VAE(nn.Sequential(nn.Flatten(), nn.Linear(64, 8)), nn.Linear(4, 64), latent_dim=4)
    with pytest.raises(
        ValueError, match=r"VAE.loss fails on \(2, 1, 7, 7\) float32: mat1 and mat2"
    ) as caught:
        vae.loss((torch.rand(2, 1, 7, 7),))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_verbs_refuse_what_is_no_tensor():
    vae = PRESETS["vae"].build()
    with pytest.raises((TypeError, ValueError), match="expected x to be a tensor, got list"):
        vae.encode([[1.0]])


@checked
class Labelled(nn.Module):
    def loss(self, batch):
        x, y = batch
        return (x.sum(1) - y.float()).mean()


def test_labels_that_are_missing_are_named_where_they_are_needed():
    assert Sum(2, 3).loss((torch.ones(4, 2), None)) == 6.0
    with pytest.raises(ValueError, match=r"^Labelled.loss: expected a tensor as entry 1 of the batch, got None$"):
        Labelled().loss((torch.ones(4, 2), None))


@checked(rows=False)
class Named(nn.Module):
    def loss(self, batch):
        x, y = batch
        if len(y) != len(x):
            raise ValueError(f"expected {len(x)} rewards, got {len(y)}")
        return x.sum() + y.sum()


def test_a_method_that_names_its_entries_speaks_first():
    with pytest.raises(ValueError, match=r"^expected 4 rewards, got 3$"):
        Named().loss((torch.ones(4, 2), torch.ones(3)))
    with pytest.raises(ValueError, match="nan or inf in entry 1"):
        Named().loss((torch.ones(4, 2), torch.ones(3) / 0))
