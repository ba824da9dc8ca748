"""`linear` against `F.linear`, with the oneDNN route forced so that it is checked on every CPU."""

import copy
import inspect

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad

from deepcanon.layers import linear_map as module
from deepcanon.layers.linear_map import Linear, linear

bare = inspect.unwrap(linear)  # without the tests' check of shapes, which cannot be compiled


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """Takes the oneDNN route for any size and lists its products."""
    made = []

    def counted(x, weight, bias=None):
        made.append((tuple(x.shape), tuple(weight.shape)))
        return product(x, weight, bias)

    product = module.product
    monkeypatch.setattr(module, "product", counted)
    monkeypatch.setattr(module, "onednn_pays", lambda: True)
    monkeypatch.setattr(module, "SMALLEST_PRODUCT", 0)
    return made


def operands(*shape, inputs=48, outputs=40, bias=True, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(*s, generator=generator, dtype=dtype).requires_grad_() for s in ((*shape, inputs), (outputs, inputs), (outputs,)))
    return x, w, b if bias else None


def gradients(function, x, w, b):
    y = function(x, w, b)
    leaves = [t for t in (x, w, b) if t is not None]
    return y, *torch.autograd.grad(y.square().sum(), leaves)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(32,), (4, 8), (2, 3, 5)])
def test_forward_and_gradients_equal_torch(calls, shape, bias):
    x, w, b = operands(*shape, bias=bias)
    ours, torchs = gradients(linear, x, w, b), gradients(F.linear, x, w, b)
    assert len(calls) == 3                                                       # y, dx, dW
    for a, e in zip(ours, torchs):
        torch.testing.assert_close(a, e, atol=1e-5, rtol=1e-5)


def test_error_is_that_of_fp32():
    """Within sqrt(n) u |x| |w|, the bound of a sum of n products rounded to u = 2^-24 (Higham & Mary 2019); bfloat16 and TF32 are far outside."""
    x, w, b = (t.detach() for t in operands(256, inputs=512, outputs=384))
    exact = F.linear(x.double(), w.double(), b.double())
    bound = 513**0.5 * 2**-24 * F.linear(x.abs().double(), w.abs().double(), b.abs().double())
    assert ((linear(x, w, b).double() - exact).abs() <= bound).all()
    assert not ((F.linear(x.bfloat16(), w.bfloat16(), b.bfloat16()).double() - exact).abs() <= 16 * bound).all()


def test_only_needed_gradients_are_computed(calls):
    x, w, b = operands(16)
    linear(x.detach(), w, b).sum().backward()
    assert len(calls) == 2
    assert x.grad is None
    assert w.grad is not None


def test_gradient_of_gradient_equals_torch():
    x, w, b = operands(6)

    def penalty(function):
        (slope,) = torch.autograd.grad(function(x, w, b).tanh().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), (x, w, b))

    for a, e in zip(penalty(linear), penalty(F.linear)):
        torch.testing.assert_close(a, e, atol=1e-5, rtol=1e-5)


def test_gradcheck_in_float64_falls_back(calls):
    x, w, b = operands(3, inputs=5, outputs=4, dtype=torch.float64)
    assert torch.autograd.gradcheck(linear, (x, w, b))
    assert torch.autograd.gradgradcheck(linear, (x, w, b))
    assert calls == []


def test_function_transforms_fall_back(calls):
    x, w, b = (t.detach() for t in operands(6))
    for a, e in zip(torch.func.grad(lambda *t: linear(*t).square().sum(), argnums=(0, 1, 2))(x, w, b), gradients(F.linear, *operands(6))[1:]):
        torch.testing.assert_close(a, e, atol=1e-5, rtol=1e-5)
    weights = torch.stack([w, 2 * w])
    torch.testing.assert_close(torch.func.vmap(linear, (None, 0, None))(x, weights, b), torch.stack([F.linear(x, v, b) for v in weights]))
    torch.testing.assert_close(torch.func.jacrev(lambda t: linear(t, w, b).sum(0))(x)[0, 0], w[0])
    assert calls == []


def test_forward_mode_falls_back(calls):
    x, w, b = (t.detach() for t in operands(6))
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(linear(forward_ad.make_dual(x, torch.ones_like(x)), w, b)).tangent
    torch.testing.assert_close(tangent, F.linear(torch.ones_like(x), w))
    assert calls == []


def test_batched_gradients_equal_torch():
    x, w, b = operands(6)
    basis = torch.eye(6)[:, :, None].expand(6, 6, 40)
    ours, torchs = (torch.autograd.grad(f(x, w, b), x, basis, is_grads_batched=True)[0] for f in (linear, F.linear))
    torch.testing.assert_close(ours, torchs)


def test_autocast_compile_and_strided_inputs_fall_back(calls):
    x, w, b = operands(6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x, w, b).dtype == torch.bfloat16
    torch.testing.assert_close(linear(x.mT.contiguous().mT, w, b), F.linear(x, w, b))
    torch.testing.assert_close(torch.compile(bare, backend="eager", fullgraph=True)(x, w, b), F.linear(x, w, b))
    assert calls == []


def test_small_products_and_single_rows_stay_in_torch(calls, monkeypatch):
    x, w, b = operands(1)
    linear(x, w, b)
    monkeypatch.setattr(module, "SMALLEST_PRODUCT", 4_000_000)
    linear(*operands(16))
    assert calls == []


def test_a_torch_without_the_private_op_is_served(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(module, "product", lambda *_: torch.ops.mkldnn.no_such_op())
    monkeypatch.setattr(module.Path, "read_text", lambda _: "vendor_id : AuthenticAMD")
    assert module.onednn_pays.__wrapped__() is False


def test_layer_is_nn_linear_with_the_same_state():
    ours, theirs = Linear(48, 40), torch.nn.Linear(48, 40)
    theirs.load_state_dict(ours.state_dict())
    x, *_ = operands(9)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(copy.deepcopy(ours)(x), ours(x), atol=0, rtol=0)


def test_wrong_width_says_so():
    x, w, b = operands(6)
    with pytest.raises(RuntimeError, match="shapes"):
        bare(x[:, :-1].contiguous(), w, b)
