"""Accuracy under attacks, corruptions and by group, against tables made by hand and a linear model whose best attack is known."""

import pytest
import torch

from deepcanon.metrics import attack_success_rate, group_accuracy, mean_corruption_error, robust_accuracy, transfer_rate


def rows(*texts):
    return torch.tensor([[c == "1" for c in text] for text in texts])


@pytest.mark.row("MET-12")
def test_each_example_counts_at_its_worst():
    clean, attacked = rows("1111111100", "1111000000")
    assert robust_accuracy(torch.stack([clean, attacked])) == pytest.approx(0.4)
    assert attack_success_rate(clean, attacked) == pytest.approx(0.5)
    assert robust_accuracy(rows("1011", "0111", "1111")) == 0.5


@pytest.mark.row("MET-12")
def test_the_best_attack_on_a_linear_model():
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(400, 5, generator=generator), torch.randn(5, generator=generator)
    y = ((x @ w + torch.randn(400, generator=generator)) > 0).float() * 2 - 1

    def right(eps):
        return ((x - eps * y[:, None] * w.sign()) @ w * y) > 0                    # the worst x in a box of eps

    clean = right(0.0)
    assert robust_accuracy(torch.stack([clean, right(0.0)])) == clean.double().mean().item()
    accuracies = [robust_accuracy(torch.stack([clean, right(eps)])) for eps in (0.0, 0.05, 0.1, 0.2, 0.4)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > accuracies[-1]
    margin = (x @ w * y) - 0.2 * w.abs().sum()
    assert accuracies[3] == pytest.approx((margin > 0).double().mean().item())


@pytest.mark.row("MET-12")
def test_transfer_is_counted_where_it_can_happen():
    fooled, right, attacked = rows("11110", "11011", "01010")
    assert transfer_rate(fooled, right, attacked) == pytest.approx(1 / 3)       # examples 0, 1, 3; of them 0 is fooled
    with pytest.raises(ValueError, match="expected an example that is right without the attack, got none"):
        transfer_rate(*rows("00", "11", "00"))


@pytest.mark.row("MET-13")
def test_the_baseline_scores_a_hundred_and_a_table_by_hand():
    baseline = torch.tensor([[0.2, 0.4], [0.5, 0.5]])
    assert mean_corruption_error(baseline, baseline) == pytest.approx(100)
    assert mean_corruption_error(torch.tensor([[0.1, 0.2], [0.5, 1.0]]), baseline) == pytest.approx((50 + 150) / 2)
    relative = mean_corruption_error(torch.tensor([[0.2, 0.3], [0.5, 0.9]]), baseline, clean=0.1, baseline_clean=0.2)
    assert relative == pytest.approx(100 * (0.3 / 0.2 + 1.2 / 0.6) / 2)


@pytest.mark.row("MET-13")
def test_a_difficult_corruption_weighs_no_more_than_an_easy_one():
    error, baseline = torch.tensor([[0.05], [0.9]]), torch.tensor([[0.1], [0.9]])
    assert mean_corruption_error(error, baseline) == pytest.approx(75)


@pytest.mark.row("MET-14")
def test_groups_of_a_table():
    right, group = torch.tensor([1, 1, 0, 1, 0, 0, 1]).bool(), torch.tensor([0, 0, 0, 0, 1, 1, 3])
    found = group_accuracy(right, group)
    assert found.count.tolist() == [4, 2, 0, 1]
    torch.testing.assert_close(found.accuracy, torch.tensor([0.75, 0.0, torch.nan, 1.0], dtype=torch.float64), equal_nan=True)
    assert found.worst == 0
    assert found.overall == pytest.approx(4 / 7)
    assert group_accuracy(right[:4], group[:4], num_groups=3).worst == 0.75


def test_tables_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="expected a baseline with errors, got none for corruption 1"):
        mean_corruption_error(torch.full((2, 2), 0.5), torch.tensor([[0.5, 0.5], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="errors on clean images of both"):
        mean_corruption_error(torch.full((2, 2), 0.5), torch.full((2, 2), 0.5), clean=0.1)
    with pytest.raises(ValueError, match="expected errors as shares"):
        mean_corruption_error(torch.full((2, 2), 50.0), torch.full((2, 2), 0.5))
    with pytest.raises(ValueError, match=r"expected groups in 0 ... 1, got 0 to 2"):
        group_accuracy(torch.ones(2).bool(), torch.tensor([0, 2]), num_groups=2)
