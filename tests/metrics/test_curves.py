"""Power laws, sample efficiency, intervals over episodes, and what a frozen representation knows."""

import math

import pytest
import torch
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier

from deepcanon.metrics import first_reaching, fit_power_law, knn_accuracy, knn_predict, over_episodes
from deepcanon.ssl.linear_probe import probe


@pytest.mark.row("MET-20")
def test_a_power_law_is_found():
    x = torch.tensor([1e3, 1e4, 1e5, 1e6])
    law = fit_power_law(x, 5 * x**-0.3)
    assert (law.scale, law.exponent, law.r_squared) == pytest.approx((5, 0.3, 1), rel=1e-4)
    assert law(1e7) == pytest.approx(5 * 1e7**-0.3, rel=1e-4)


@pytest.mark.row("MET-20")
def test_a_noisy_power_law_equals_scipys_regression():
    generator = torch.Generator().manual_seed(0)
    x = torch.logspace(2, 6, 20, dtype=torch.float64)
    loss = 3 * x**-0.2 * (0.3 * torch.randn(20, generator=generator, dtype=torch.float64)).exp()
    law, line = fit_power_law(x, loss), stats.linregress(x.log(), loss.log())
    assert (law.exponent, math.log(law.scale), law.r_squared) == pytest.approx((-line.slope, line.intercept, line.rvalue**2))
    assert law.r_squared < 0.95


@pytest.mark.row("MET-20")
def test_what_is_needed_for_a_goal():
    x, score = torch.tensor([10.0, 20.0, 40.0]), torch.tensor([0.5, 0.7, 0.9])
    assert first_reaching(x, score, 0.8) == pytest.approx(30)
    assert first_reaching(x, score, 0.4) == 10
    assert first_reaching(x, score, 0.7) == pytest.approx(20)
    assert first_reaching(x, score, 0.95) is None


@pytest.mark.row("MET-19")
def test_the_interval_over_episodes():
    values = torch.tensor([0.4, 0.6, 0.8, 0.6])
    found = over_episodes(values)
    assert found.mean == pytest.approx(0.6)
    assert found.half_width == pytest.approx(1.96 * math.sqrt(0.08 / 3) / 2)


@pytest.mark.row("MET-19")
def test_random_features_are_at_chance_and_the_interval_holds_it_nineteen_times_in_twenty():
    generator = torch.Generator().manual_seed(0)

    def episode():                                                               # 5 classes, 1 shot, 15 queries each
        support, query = torch.randn(5, 8, generator=generator), torch.randn(75, 8, generator=generator)
        nearest = torch.cdist(query, support).argmin(1)
        return (nearest == torch.arange(5).repeat(15)).double().mean()

    found = [over_episodes(torch.stack([episode() for _ in range(100)])) for _ in range(60)]
    assert sum(f.mean for f in found) / 60 == pytest.approx(0.2, abs=0.005)
    held = sum(abs(f.mean - 0.2) <= f.half_width for f in found)
    assert 50 <= held <= 60
    assert all(0.006 < f.half_width < 0.013 for f in found)                      # of a mean of 75 draws, 0.0091


@pytest.mark.row("MET-21")
def test_features_that_are_the_classes_are_read_and_noise_is_at_chance():
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(4, (400,), generator=generator)
    train, test = slice(0, 200), slice(200, 400)
    for z, expected, tolerance in ((torch.eye(4)[y], 1.0, 0), (torch.randn(400, 4, generator=generator), 0.25, 4 * math.sqrt(0.25 * 0.75 / 200))):
        neighbours = knn_accuracy(z[test], y[test], z[train], y[train])
        probed = probe(lambda x: x, [(z[train], y[train])], [(z[test], y[test])])
        assert abs(neighbours - expected) <= tolerance
        assert abs(float(probed) - expected) <= tolerance


@pytest.mark.row("MET-21")
def test_with_equal_votes_the_neighbours_are_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    train, z, y = torch.randn(150, 6, generator=generator), torch.randn(40, 6, generator=generator), torch.randint(3, (150,), generator=generator)
    reference = KNeighborsClassifier(7, metric="cosine").fit(train, y).predict_proba(z)
    torch.testing.assert_close(knn_predict(z, train, y, k=7, temperature=1e6), torch.as_tensor(reference, dtype=torch.float32), atol=1e-5, rtol=0)


@pytest.mark.row("MET-21")
def test_nearer_neighbours_weigh_more():
    train, y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]]), torch.tensor([0, 1, 1])
    z = torch.tensor([[1.0, 0.1]])
    cosine = torch.nn.functional.normalize(z, dim=1) @ torch.nn.functional.normalize(train, dim=1).T
    weights = (cosine / 0.5).softmax(1)
    torch.testing.assert_close(knn_predict(z, train, y, k=3, temperature=0.5), torch.stack([weights[:, 0], weights[:, 1:].sum(1)], 1))
    assert knn_predict(z, train, y, k=1, num_classes=4).tolist() == [[1, 0, 0, 0]]


def test_what_cannot_be_measured_is_refused():
    for call, message in [
        (lambda: fit_power_law(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 2.0])), "two different x or more"),
        (lambda: fit_power_law(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])), "all above 0"),
        (lambda: first_reaching(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 2.0]), 1.5), "expected rising x"),
        (lambda: over_episodes(torch.tensor([0.5])), r"two episodes or more, got \(1,\)"),
        (lambda: knn_predict(torch.rand(2, 3), torch.rand(4, 3), torch.zeros(4).long(), k=5), r"expected k in 1 ... 4"),
        (lambda: knn_predict(torch.rand(2, 3), torch.rand(4, 3), torch.zeros(4).long(), k=1, temperature=0.0), "temperature above 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
