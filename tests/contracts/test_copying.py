"""Methods, optimizers, schedules and callable parts: copied, pickled or saved, they go on alike."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from deepcanon.diffusion.ddpm import data, noise, velocity
from deepcanon.diffusion.guidance import classifier_free
from deepcanon.diffusion.score_matching import score_of
from deepcanon.diffusion.sde import ve, vp
from deepcanon.energy import gibbs_sampling, mcmc
from deepcanon.engine import optimizers, schedules
from deepcanon.foundations import backprop, optimizers as written
from deepcanon.gans import gan, objectives, penalties
from deepcanon.layers.spectral import spectral_norm
from deepcanon.metrics import mean_discrepancy
from deepcanon.nets.perceptron import mlp
from deepcanon.vae import denoising, schedule, sparse
from tests.contracts.losses import losses
from tests.contracts.presets import PRESETS


def saved(thing):
    """Written by torch.save and read back."""
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def places(method: nn.Module) -> set[int]:
    """Where in memory its weights and buffers lie."""
    return {t.data_ptr() for t in method.state_dict().values()}


WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing)), "save": saved}


@pytest.fixture(params=WAYS, name="copied")
def _copied(request):
    return WAYS[request.param]


@pytest.mark.parametrize("name", PRESETS)
def test_a_copy_of_a_method_has_its_losses_and_is_apart_from_it(name):
    method, batch = PRESETS[name].build(), PRESETS[name].batch()
    losses(method, batch)                                                # copied in the midst of its work
    copies = [copied(method) for copied in WAYS.values()]
    expected = losses(method, batch, seed=1)
    for again in copies:
        assert not places(again) & places(method)
        for player, loss in losses(again, batch, seed=1).items():
            assert torch.equal(loss, expected[player]), player


WRITTEN = [written.GradientDescent, written.Momentum, written.HeavyBall, written.Nesterov, written.AdaGrad,
           written.RMSProp, written.Adam]
BUILT = [optimizers.Adam, optimizers.AdamW, optimizers.SGD, optimizers.Adagrad, optimizers.RMSprop,
         optimizers.Muon]


def go_on(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One step on a fixed batch."""
    optimizer.zero_grad()
    net(torch.arange(12.0).view(4, 3)).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("build", [*WRITTEN, *(lambda params, make=make: make()(params) for make in BUILT)],
                         ids=[f"{make.__module__}.{make.__name__}" for make in [*WRITTEN, *BUILT]])
def test_a_copied_optimizer_goes_on_with_its_copied_net(build, copied):
    net = spectral_norm(mlp(3, 4, 2))
    optimizer = build(net.parameters())
    go_on(net, optimizer)
    net_too, optimizer_too = copied((net, optimizer))
    go_on(net, optimizer), go_on(net_too, optimizer_too)
    for p, q in zip(net.parameters(), net_too.parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("make", [written.AdaGrad, written.RMSProp, written.Adam])
def test_a_copied_optimizer_keeps_its_root(make, copied):
    assert copied(make(mlp(2, 1).parameters(), root=written.eps_inside)).root is written.eps_inside


FACTORS = {"constant": schedules.constant(), "warmup": schedules.warmup(3),
           "linear": schedules.linear(0.1, 0.2), "cosine": schedules.cosine(2),
           "step_decay": schedules.step_decay()}


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("make", BUILT)
def test_a_copied_factory_builds_the_same_optimizer_with_the_same_rates(name, make, copied):
    factory = make(0.3, schedule=FACTORS[name])
    again = copied(factory)
    assert (again.build, again.lr, again.options, again.decay_vectors) == (
        factory.build, factory.lr, factory.options, factory.decay_vectors)
    assert all(again.schedule(step, 10) == factory.schedule(step, 10) for step in range(10))


T, A, B = torch.tensor(3), torch.randn(5), torch.randn(5)
PARTS = {
    **{f"objective {name}": (part, (A, B)) for name, objective in vars(objectives).items()
       if isinstance(objective, objectives.Objective) for part in objective},
    "smoothed": (objectives.smoothed(0.8).discriminator, (A, B)),
    "towards_one": (penalties.towards_one(2.0, penalties.at_data), (torch.sin, A[:, None], B[:, None])),
    "zero_centred": (penalties.zero_centred(1.0, 2.0), (torch.sin, A[:, None], B[:, None])),
    "in_units": (penalties.in_units(penalties.zero_centred(), torch.tensor([2.0])),
                 (torch.sin, A[:, None], B[:, None])),
    **{f"prediction {i}{j}": (part, (A, B, A, B)) for i, predict in enumerate((noise, data, velocity))
       for j, part in enumerate(predict)},
    **{f"{sde.__name__} {name}": (getattr(sde(), name), (A.sigmoid(),)) for sde in (vp, ve)
       for name in ("scale", "noise", "drift", "diffusion")},
    "score_of": (score_of(torch.sin), (A,)),
    "classifier_free": (classifier_free(torch.add, torch.sub, 0.5), (A, B)),
    "ramp": (schedule.ramp(0.0, 2.0, 5), (T,)), "cycle": (schedule.cycle(0.0, 2.0, 5), (T,)),
    "cooling": (schedule.cooling(2.0, 0.0, 5), (T,)),
    "l1": (sparse.l1(0.1), (A[:, None],)),
    "gaussian_noise": (denoising.gaussian_noise(0.1), (A,)), "masking": (denoising.masking(0.5), (A,)),
    "random_walk": (mcmc.random_walk(0.5), (A,)),
    "ising": (gibbs_sampling.ising(1 - torch.eye(2), torch.ones(2)), (torch.ones(3, 2), 1)),
    "gaussian": (gibbs_sampling.gaussian(torch.zeros(2), torch.eye(2)), (torch.ones(3, 2), 1)),
    "gaussian kernel": (mean_discrepancy.gaussian(0.5), (A[:, None], B[:, None])),
    "polynomial kernel": (mean_discrepancy.polynomial(), (A[:, None], B[:, None])),
    **{f"backprop {name}": (part, (A,) * n) for name, function in vars(backprop).items()
       if name in ("ADD", "MULTIPLY", "SQUARED_ERROR") for part, n in zip(function, (2, 3), strict=True)},
    "backprop RELU": (backprop.RELU.pull, (A, B)),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_copied_part_gives_what_it_gave(name, copied):
    part, arguments = PARTS[name]
    again, values = copied(part), []
    for function in (part, again):
        torch.manual_seed(0)
        value = function(*arguments)
        value = value.sample() if isinstance(value, torch.distributions.Distribution) else value
        values.append(value if isinstance(value, tuple) else (value,))
    assert all(torch.equal(a, b) for a, b in zip(*values, strict=True))


def test_a_copied_constraint_clips_too(copied):
    net = mlp(2, 8, 1)
    copied(gan.clip(0.01))(net)
    assert all((p.abs() <= 0.01).all() for p in net.parameters())


def test_a_copied_agent_acts_by_its_own_weights(copied):
    agent, observation = PRESETS["sac"].build(), torch.zeros(3).numpy()
    first = agent.act(observation)
    again = copied(agent)
    assert again.net.layers is None                                      # no view of the weights of the first
    assert again.act(observation) == first
    with torch.no_grad():
        again.actor[-1].bias.fill_(9.0)
    assert again.act(observation) != first
    assert agent.act(observation) == first
