"""Accumulation gives the gradient of the whole batch, also where the parts count differently or have
another number of rows, or says that it does not; and evaluation is the mean over what counts.
"""

import copy
import warnings

import pytest
import torch

from deepcanon.engine import SGD, Trainer, evaluate
from deepcanon.engine.batches import map_tensors, split
from deepcanon.language.causal import LanguageModel
from deepcanon.layers import BatchNorm
from deepcanon.nets.gpt import GPT
from deepcanon.nets.perceptron import mlp
from deepcanon.vision import Classifier
from tests.contracts.presets import PRESETS
from tests.contracts.presets.language import Letters
from tests.engine.draws import EqualRows

ONE_LOSS = [name for name, preset in PRESETS.items() if not hasattr(preset.build(), "losses")]
REFUSED = {"hopfield", "semi_supervised_vae", "unet_masks", "instances"}                          # a loss of the whole batch
SAID = {"realnvp_images", "glow_varied", "vq_vae", "vq_vae_averaged", "resnet", "densenet", "fine-tuned", "segnet",
        "fcn", "captions_hard"}                                                # statistics of a batch
DRAWN = {"ddpm", "ddpm_of_a_thousand_levels", "score_sde", "told_ddpm", "ebm",
         "score_function_vae"}                                         # a part of a draw is no draw of a part


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LanguageModel(GPT(4, 16, num_layers=1, num_heads=2, embed_dim=16), Letters())


@pytest.fixture
def padded():
    """Four sentences of which 16, 8, 14 and 2 next tokens count."""
    tokens, following = torch.randint(4, (2, 4, 16), generator=torch.Generator().manual_seed(1))
    for row, length in enumerate((16, 8, 14, 2)):
        following[row, length:] = -100
    return tokens, following


def gradient(model, batch, parts):
    trainer = Trainer(copy.deepcopy(model), [0], SGD(0.0), total=1, accumulate=parts)
    trainer.train_step(batch)
    trainer.log.row(1)
    return torch.cat([p.grad.flatten() for p in trainer.method.parameters()]), trainer.log.history[-1]["loss"]


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_parts_that_count_differently_give_the_gradient_and_the_loss_of_the_whole(model, padded, parts):
    whole, loss = gradient(model, padded, 1)
    found, noted = gradient(model, padded, parts)
    torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-4)
    assert noted == pytest.approx(loss, rel=1e-5)


def test_parts_in_which_nothing_counts_add_nothing(model, padded):
    tokens, following = padded[0], padded[1].clone()
    following[2:] = -100
    whole, _ = gradient(model, (tokens, following), 1)
    found, _ = gradient(model, (tokens, following), 2)
    torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-4)


def accumulated(name: str, parts: int) -> dict[str, torch.Tensor]:
    """Gradients, numbers and buffers of one step in so many parts, of a batch that they do not divide."""
    torch.manual_seed(0)
    method, batch = PRESETS[name].build().double(), PRESETS[name].batch()
    batch = map_tensors(batch, lambda t: t.double() if t.is_floating_point() else t)
    trainer = Trainer(method, [0], SGD(0.0), total=1, accumulate=parts)
    with EqualRows():
        trainer.train_step(batch)
    trainer.log.row(1)
    numbers = {f"logged {k}": torch.tensor(v) for k, v in trainer.log.history[-1].items() if k != "seconds"}
    gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in method.named_parameters()}
    return gradients | dict(method.named_buffers()) | numbers


@pytest.mark.parametrize("name", [name for name in ONE_LOSS if name not in REFUSED | SAID | DRAWN])
def test_a_batch_in_three_parts_gives_gradient_numbers_and_state_of_the_whole(name):
    whole = accumulated(name, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = accumulated(name, 3)
    for key, value in whole.items():
        torch.testing.assert_close(found[key], value, atol=1e-9, rtol=1e-9, msg=lambda m, k=key: f"{k}: {m}")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_loss_of_the_whole_batch_is_refused(name):
    with pytest.raises(ValueError, match=r"accumulate=3 would change the loss of \w+, which is of the whole"):
        accumulated(name, 3)


@pytest.mark.parametrize("name", sorted(SAID))
def test_statistics_of_the_whole_batch_are_said_to_be_of_each_part(name):
    with pytest.warns(UserWarning, match=r"accumulate=3: (what \w+ measures of a whole|the batch norm)"):
        accumulated(name, 3)


@pytest.mark.parametrize("norm", [torch.nn.BatchNorm1d, BatchNorm])
def test_batch_normalization_is_said_to_be_over_each_part(norm):
    with pytest.warns(UserWarning, match="accumulate=2: the batch normalization of Classifier is over"):
        Trainer(Classifier(mlp(4, 4, 2, norm=norm)), [0], SGD(0.0), total=1, accumulate=2)


def test_a_batch_is_cut_by_its_rows():
    x, y = torch.arange(10).view(5, 2), torch.arange(5)
    pieces = split((x, {"y": y}), 3)
    assert [len(piece[0]) for piece in pieces] == [2, 2, 1]
    assert torch.equal(torch.cat([piece[1]["y"] for piece in pieces]), y)
    with pytest.raises(ValueError, match=r"cut by its rows, which are 5 of one tensor and of another \(4,\)"):
        split((x, y[:4]), 2)


def test_more_parts_than_rows_are_as_many_as_rows():
    method, batch = Classifier(mlp(4, 2)), (torch.randn(3, 4), torch.arange(3) % 2)
    trainer = Trainer(method, [0], SGD(0.0), total=1, accumulate=8)
    assert [len(part[0]) for part, _ in trainer.parts(batch)] == [1, 1, 1]


def test_an_evaluation_is_the_mean_over_tokens_not_over_sentences(model, padded):
    tokens, following = padded
    nll = -model.log_prob(tokens, following)
    measured = evaluate(model, [(tokens[:2], following[:2]), (tokens[2:], following[2:])])
    assert measured["nll"] == pytest.approx((nll.sum() / (following >= 0).sum()).item(), rel=1e-5)
    assert "weight" not in measured
