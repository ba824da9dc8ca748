"""Sparse codes: dictionaries found again, and who is on how often."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.sparse import Dictionary, KSparse, Lifetime, l1, spike_and_slab
from tests.vae.training import train


def sparse_data(atoms, n=256, p=0.1):
    """Mixtures of few atoms with positive amounts."""
    amounts = (torch.rand(n, len(atoms)) < p) * (0.5 + torch.rand(n, len(atoms)))
    return amounts @ atoms


def overcomplete(weight, units=32, dim=24):
    return Autoencoder(nn.Sequential(nn.Linear(dim, units), nn.ReLU()), Dictionary(units, dim), penalty=l1(weight))


@pytest.mark.row("GEN-04")
def test_a_sparse_code_finds_the_atoms_of_the_data():
    atoms = F.normalize(torch.randn(12, 24), dim=1)
    method = train(overcomplete(0.02), lambda: (sparse_data(atoms),), 1_500, 0.01)
    cosine = (atoms @ method.decoder.atoms().detach().T).max(1).values
    assert cosine.min() > 0.95, cosine


@pytest.mark.row("GEN-04")
def test_more_units_are_off_the_larger_the_weight():
    atoms = F.normalize(torch.randn(12, 24), dim=1)
    x = sparse_data(atoms, 512)
    off = [(train(overcomplete(weight), lambda: (x,), 300, 0.01).encode(x) < 1e-3).float().mean().item() for weight in (0.0, 0.01, 0.1)]
    assert off[0] < off[1] < off[2]


@pytest.mark.row("GEN-04")
def test_the_penalty_is_the_weighted_sum_of_absolute_activations_an_example():
    h = torch.tensor([[[1.0, -2.0], [0.0, 3.0]], [[0.5, 0.5], [-1.0, 0.0]]])
    assert l1(0.1)(h).item() == pytest.approx(0.1 * (6 + 2) / 2)


@pytest.mark.row("GEN-04")
def test_a_dictionary_adds_up_atoms_of_length_one():
    decoder, h = Dictionary(3, 2), torch.tensor([[1.0, 0.0, -2.0], [0.0, 3.0, 1.0]])
    with torch.no_grad():
        decoder.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, -0.5], [2.0, 0.0]]))
        decoder.bias.copy_(torch.tensor([10.0, 20.0]))
    torch.testing.assert_close(decoder(h), torch.tensor([[10 + 0.6 - 2, 20 + 0.8], [10 + 1.0, 20 - 3.0]]))


@pytest.mark.row("GEN-05")
@pytest.mark.parametrize(("share", "batch"), [(0.05, 50), (0.1, 33), (0.5, 7)])
def test_every_unit_is_on_for_its_share_of_a_batch(share, batch):
    layer, h = Lifetime(share), torch.rand(batch, 20) + 0.1
    kept = layer(h)
    assert ((kept > 0).sum(0) == math.ceil(share * batch)).all()
    assert torch.equal(kept[kept > 0], h[kept > 0])
    assert kept.max(0).values.equal(h.max(0).values)
    assert torch.equal(layer.eval()(h), h)


@pytest.mark.row("GEN-05")
def test_spike_and_slab_has_the_stated_share_of_zeros():
    torch.manual_seed(0)
    h = spike_and_slab((100, 1_000), 0.2, sigma=3.0)
    assert (h == 0).float().mean().item() == pytest.approx(0.8, abs=4 * math.sqrt(0.2 * 0.8 / 1e5))
    assert h[h != 0].std().item() == pytest.approx(3.0, rel=0.03)
    assert spike_and_slab((5,), 1.0, like=torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_every_example_keeps_its_k_largest_activations():
    h = torch.randn(9, 20)
    kept = KSparse(4)(h)
    assert ((kept != 0).sum(1) == 4).all()
    torch.testing.assert_close(kept.sum(1), h.topk(4, 1).values.sum(1))


def test_gradients_reach_only_what_is_kept():
    h = torch.rand(6, 10, requires_grad=True)
    KSparse(3)(h).sum().backward()
    assert (h.grad.sum(1) == 3).all()


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match=r"a share of the batch in \(0, 1\], got 0\.0"):
        Lifetime(0.0)
    with pytest.raises(ValueError, match="one unit or more to stay on, got k=0"):
        KSparse(0)
    with pytest.raises(ValueError, match=r"a probability in \[0, 1\], got 2\.0"):
        spike_and_slab((3,), 2.0)
