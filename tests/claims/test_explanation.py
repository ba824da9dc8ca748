"""Claims about looking into nets: each number against what it must be."""

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("EXP-04")
def test_guided_signals_lie_in_the_pattern():
    m = measured("C-063", "confirmed")
    assert m["accuracy"] > 0.9
    assert m["guided"] > m["gradient"] > 16 / 256                                # more than an even spread
    assert m["lead"] == pytest.approx(m["guided"] - m["gradient"])


@pytest.mark.row("EXP-06")
def test_on_the_probability_the_own_logit_gains_less():
    m = measured("C-064", "confirmed")
    assert m["probability_others"] < 0
    assert m["own_lost"] == pytest.approx(m["logit_own"] - m["probability_own"])
    assert m["logit_own"] > m["probability_own"] > 0


@pytest.mark.row("EXP-05")
def test_a_penalty_keeps_an_image_at_the_size_of_the_weights():
    m = measured("C-065", "confirmed")
    for unit in ("linear", "relu"):
        for steps in (100, 1_000):
            assert m[f"{unit}_free_{steps}"] == pytest.approx((0.1 + 0.1 * steps) * m["weights"])
        assert m[f"{unit}_penalised_1000"] == pytest.approx(m["weights"])        # w / (2 lam)


@pytest.mark.row("EXP-08")
def test_a_gram_matrix_stays_when_places_are_traded():
    m = measured("C-066", "confirmed")
    assert m["gram_change"] < 1e-12
    assert m["feature_change"] > 1


@pytest.mark.row("EXP-12")
def test_moons_are_clusters_by_density():
    m = measured("C-067", "confirmed")
    assert m["kmeans"] < 0.6
    assert (m["dbscan"], m["hdbscan"]) == (1, 1)


@pytest.mark.row("EXP-11")
def test_neighbours_are_kept_and_far_distances_are_not():
    m = measured("C-068", "confirmed")
    assert m["tsne_trustworthiness"] > 0.95 > m["pca_trustworthiness"]
    assert m["tsne_far"] < m["pca_far"]
