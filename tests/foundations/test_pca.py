"""Principal components against the singular vectors, scikit-learn, and a linear autoencoder."""

import pytest
import sklearn.decomposition
import torch
from sklearn.datasets import load_digits
from torch import nn

from deepcanon.foundations.pca import PCA


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(100, 7, dtype=torch.float64) @ torch.randn(7, 7, dtype=torch.float64) + 5


@pytest.mark.row("FND-55")
@pytest.mark.parametrize("components", [1, 3, 7])
def test_components_are_the_leading_right_singular_vectors_and_scikit_learns(x, components):
    ours, theirs = PCA.fit(x, components), sklearn.decomposition.PCA(components, svd_solver="full").fit(x)
    leading = torch.linalg.svd(x - x.mean(0)).Vh[:components]
    torch.testing.assert_close((ours.components * leading).sum(1).abs(), torch.ones(components, dtype=torch.float64))
    flip = (ours.components * torch.from_numpy(theirs.components_)).sum(1).sign()
    torch.testing.assert_close(ours.components, flip.unsqueeze(1) * torch.from_numpy(theirs.components_))
    torch.testing.assert_close(ours.variances, torch.from_numpy(theirs.explained_variance_))
    torch.testing.assert_close(ours.encode(x), flip * torch.from_numpy(theirs.transform(x)))
    torch.testing.assert_close(ours.reconstruct(x), torch.from_numpy(theirs.inverse_transform(theirs.transform(x))))


@pytest.mark.row("FND-55")
def test_the_reconstruction_error_is_the_sum_of_the_discarded_eigenvalues():
    x = torch.from_numpy(load_digits().data[:300])
    eigenvalues = torch.linalg.eigvalsh(x.T.cov()).flip(0)
    for components in (2, 10, 40):
        pca = PCA.fit(x, components)
        error = (x - pca.reconstruct(x)).square().sum() / (len(x) - 1)
        torch.testing.assert_close(error, eigenvalues[components:].sum())
        torch.testing.assert_close(error, pca.residual)


@pytest.mark.row("FND-55")
def test_the_code_is_uncorrelated_and_the_plane_is_kept(x):
    pca = PCA.fit(x, 3)
    torch.testing.assert_close(pca.encode(x).T.cov(), pca.variances.diag())
    torch.testing.assert_close(pca.reconstruct(pca.reconstruct(x)), pca.reconstruct(x))
    torch.testing.assert_close(pca.components @ pca.components.T, torch.eye(3, dtype=torch.float64))
    assert (pca.components.amax(1) == pca.components.abs().amax(1)).all()        # the same sign on every machine


@pytest.mark.row("FND-55")
def test_a_linear_autoencoder_learns_the_same_plane(x):
    pca, encoder, decoder = PCA.fit(x, 2), nn.Linear(7, 2).double(), nn.Linear(2, 7).double()
    optimizer = torch.optim.LBFGS([*encoder.parameters(), *decoder.parameters()], max_iter=500, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (decoder(encoder(x)) - x).square().sum() / (len(x) - 1)
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(closure().detach(), pca.residual, rtol=1e-5, atol=0)
    torch.testing.assert_close(decoder(encoder(x)).detach(), pca.reconstruct(x), atol=0.02, rtol=0)


@pytest.mark.parametrize(("shape", "components"), [((5, 3), 4), ((2, 9), 3), ((5, 3), 0), ((1, 3), 1)])
def test_refuses_more_components_than_the_data_have(shape, components):
    with pytest.raises(ValueError, match=r"1 to min\(N, D\) components"):
        PCA.fit(torch.zeros(shape), components)


def test_data_of_another_width_are_refused_and_not_broadcast():
    pca = PCA.fit(torch.randn(10, 3), 2)
    with pytest.raises(ValueError, match=r"expected 3 channels along axis 1, got shape \(5, 1\)"):
        pca.encode(torch.zeros(5, 1))
    with pytest.raises(ValueError, match="expected finite values"):
        PCA.fit(torch.full((4, 2), torch.nan), 1)
