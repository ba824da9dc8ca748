"""t-SNE against its formulas and scikit-learn, and clusters of an embedding."""

import math

import pytest
import torch
from sklearn.cluster import DBSCAN, HDBSCAN, KMeans
from sklearn.datasets import make_blobs, make_moons
from sklearn.manifold import TSNE as PeerTSNE
from sklearn.metrics import adjusted_rand_score

from deepcanon.explain import TSNE, density_clusters
from deepcanon.explain.tsne import (
    conditional_probabilities,
    joint_probabilities,
    kernel,
    kl_divergence,
    kl_gradient,
    squared_distances,
    start,
)
from tests.explain.nets import digits


def entropy(p: torch.Tensor) -> torch.Tensor:
    return torch.special.entr(p).sum(1)


@pytest.mark.row("EXP-11")
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("perplexity", [2.0, 15.0, 80.0])
def test_the_search_reaches_the_perplexity(scale, perplexity):
    x = scale * torch.randn(100, 6)
    x[50:] *= 30  # sparse points beside dense ones
    p = conditional_probabilities(squared_distances(x), perplexity)
    assert (entropy(p).exp() - perplexity).abs().max() < 1e-4
    torch.testing.assert_close(p.sum(1), torch.ones(100, dtype=torch.float64))
    assert (p.diagonal() == 0).all()
    nearest = squared_distances(x).fill_diagonal_(math.inf).argmin(1)
    assert torch.equal(p.argmax(1), nearest)


@pytest.mark.row("EXP-11")
def test_probabilities_are_a_symmetric_distribution():
    p = joint_probabilities(torch.randn(40, 5), 10.0)
    torch.testing.assert_close(p, p.T)
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    c = conditional_probabilities(squared_distances(x := torch.randn(20, 3).double()), 5.0)
    torch.testing.assert_close(joint_probabilities(x, 5.0), (c + c.T) / 40)


@pytest.mark.row("EXP-11")
def test_the_divergence_and_its_gradient():
    p = joint_probabilities(torch.randn(15, 4).double(), 5.0)
    y = torch.randn(15, 2).double().requires_grad_()
    w = 1 / (1 + torch.cdist(y, y).square())
    w = w - w.diagonal().diag()
    q = w / w.sum()
    expected = sum(p[i, j] * (p[i, j] / q[i, j]).log() for i in range(15) for j in range(15) if i != j)
    torch.testing.assert_close(kl_divergence(p, y), expected)
    (autograd,) = torch.autograd.grad(expected, y)
    torch.testing.assert_close(kl_gradient(p, y), autograd)
    step, y = 1e-6, y.detach()
    for i, axis in [(0, 0), (7, 1)]:
        offset = torch.zeros_like(y)
        offset[i, axis] = step
        difference = (kl_divergence(p, y + offset) - kl_divergence(p, y - offset)) / (2 * step)
        assert difference.item() == pytest.approx(kl_gradient(p, y)[i, axis].item(), abs=1e-6)
    torch.testing.assert_close(kernel(y), w.detach())


@pytest.mark.row("EXP-11")
def test_separated_gaussians_stay_apart():
    y = torch.arange(150) % 3
    x = torch.randn(150, 10) + 8 * torch.eye(10)[y]
    for dim in (2, 3):
        method = TSNE(dim, perplexity=20.0, steps=300)
        found = method.fit(x)
        assert found.shape == (150, dim)
        nearest = squared_distances(found).fill_diagonal_(math.inf).argmin(1)
        assert (y[nearest] == y).float().mean() > 0.98
        torch.testing.assert_close(found.mean(0), torch.zeros(dim), atol=1e-3, rtol=0)
        assert method.kl == pytest.approx(kl_divergence(joint_probabilities(x, 20.0), found).item(), rel=1e-3)


@pytest.mark.row("EXP-11")
def test_the_divergence_is_within_a_twentieth_of_scikit_learns():
    x = digits("test")[0].flatten(1)
    method = TSNE(perplexity=30.0)
    method.fit(x)
    peer = PeerTSNE(
        perplexity=30.0,
        method="exact",
        init="pca",
        learning_rate=max(len(x) / 48, 50),
        max_iter=1000,
        random_state=0,
    )
    peer.fit_transform(x.numpy())
    assert method.kl < 1.05 * peer.kl_divergence_
    assert method.kl > 0.8 * peer.kl_divergence_


def test_a_map_starts_from_principal_components():
    x = torch.randn(30, 5) * torch.tensor([1.0, 5.0, 1.0, 3.0, 1.0])
    y = start(x, 2, None)
    assert y[:, 0].std().item() == pytest.approx(1e-4, rel=1e-3)
    centred = x - x.mean(0)
    assert torch.corrcoef(torch.stack([y[:, 0], centred[:, 1]]))[0, 1].abs() > 0.95
    assert torch.corrcoef(torch.stack([y[:, 1], centred[:, 3]]))[0, 1].abs() > 0.9
    noise = [start(torch.randn(30, 1), 2, torch.Generator().manual_seed(i)) for i in (0, 0, 1)]
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[0], noise[2])


def test_equal_points_and_sixteen_bits_are_mapped():
    x = torch.zeros(20, 3)
    x[10:] = 1.0
    found = TSNE(perplexity=4.0, steps=100).fit(x)
    assert found.isfinite().all()
    assert TSNE(perplexity=4.0, steps=50).fit(torch.randn(20, 3).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            torch.rand(30, 4),
            r"expected points \(N, D\), more than the perplexity of 30 and at most 10,000, got \(30, 4\)",
        ),
        (torch.rand(40), r"got \(40,\)"),
        (torch.full((40, 2), torch.nan), "expected finite values"),
    ],
)
def test_points_that_are_none_are_refused(x, message, annotations_unchecked):
    with pytest.raises(ValueError, match=message):
        TSNE().fit(x)
    for settings in ({"dim": 0}, {"perplexity": 1.0}, {"steps": 0}, {"rate": 0.0}):
        with pytest.raises(
            ValueError, match="expected dim and steps of 1 or more, perplexity above 1 and rate above 0, got"
        ):
            TSNE(**settings)


@pytest.mark.row("EXP-12")
def test_moons_are_found_by_density_and_not_by_means():
    x, y = make_moons(400, noise=0.05, random_state=0)
    points = torch.from_numpy(x)
    by_radius = density_clusters(points, radius=0.2)
    assert adjusted_rand_score(y, by_radius) == 1
    assert adjusted_rand_score(y, density_clusters(points, least=10)) == 1
    assert adjusted_rand_score(y, KMeans(2, n_init=10, random_state=0).fit_predict(x)) < 0.6
    for radius, least in [(0.2, 5), (0.05, 3), (0.1, 12)]:
        found = density_clusters(points, radius=radius, least=least)
        assert found.tolist() == DBSCAN(eps=radius, min_samples=least).fit_predict(x).tolist()
    assert found.dtype == torch.int64
    assert torch.equal(density_clusters(points.clone().requires_grad_(), radius=0.1, least=12), found)


def agreement(y, found: torch.Tensor) -> float:
    """The adjusted Rand index; each noise point is a cluster of its own, so that noise alone is none."""
    single = torch.where(found < 0, found.max() + 1 + torch.arange(len(found)), found)
    return adjusted_rand_score(y, single)


@pytest.mark.row("EXP-12")
def test_unequal_densities_need_no_radius():
    """Two dense clusters side by side and a wide one: a radius that keeps the two apart tears the wide one
    to pieces."""
    x, y = make_blobs(
        [150, 150, 150], centers=[[0, 0], [0.5, 0], [25, 0]], cluster_std=[0.05, 0.05, 4.0], random_state=0
    )
    points = torch.from_numpy(x)
    best = max(
        agreement(y, density_clusters(points, radius=radius)) for radius in torch.logspace(-2, 1, 60).tolist()
    )
    found = density_clusters(points, least=15)
    assert agreement(y, found) > 0.9
    assert agreement(y, found) > best + 0.1
    assert found.tolist() == HDBSCAN(min_cluster_size=15, copy=True).fit_predict(x).tolist()


def test_clusters_that_are_none_are_refused(annotations_unchecked):
    for least, radius in [(1, None), (21, None), (5, 0.0), (5, -1.0)]:
        with pytest.raises(ValueError, match=r"expected least in 2\.\.20 and a radius above 0, got"):
            density_clusters(torch.rand(20, 2), least=least, radius=radius)
    with pytest.raises(ValueError, match=r"expected points \(N, D\), got \(20,\)"):
        density_clusters(torch.rand(20))
    with pytest.raises(ValueError, match="expected finite values"):
        density_clusters(torch.full((20, 2), torch.inf))
