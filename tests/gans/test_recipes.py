"""What the runs of adversarial networks are made of and measure, and some steps of each kind, on embedded data and on a user's."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import deepcanon
from deepcanon import catalogue, recipes
from deepcanon.data import open_data, points
from deepcanon.data.toys import density
from deepcanon.engine import options
from deepcanon.gans import objectives
from deepcanon.gans.gan import GAN
from deepcanon.gans.penalties import in_units, zero_centred
from deepcanon.gans.wgan import WGANGP
from deepcanon.grammar import resolve
from deepcanon.layers.spectral import Scale
from deepcanon.recipes import judge
from deepcanon.recipes.gans import classes, nets, translation
from deepcanon.recipes.joint import Joint

FEW = {
    "gan": {"steps": 2}, "wgan_gp": {"steps": 2}, "unrolled_gan": {"steps": 2, "unroll": 2}, "minibatch_gan": {"steps": 2},
    "bigan": {"steps": 2}, "conditional_gan": {"steps": 2}, "acgan": {"steps": 2}, "infogan": {"steps": 2},
    "semi_supervised_gan": {"steps": 5, "hidden": 16}, "dcgan": {"steps": 2, "width": 4},
    "progressive_gan": {"steps": 4, "stage_steps": 2, "width": 4}, "biggan": {"steps": 2, "width": 8},
    "pix2pix": {"steps": 2, "width": 4}, "cyclegan": {"steps": 2, "width": 4},
}
OF_CLASSES = {"conditional_gan", "acgan", "biggan", "semi_supervised_gan"}
OF_POINTS = ["gan", "wgan_gp", "unrolled_gan", "minibatch_gan", "bigan", "infogan"]
QUALITY = {"frechet_distance", "precision", "recall", "class_min", "class_max", "seconds_per_1000"}
MEASURED = {
    "gan": QUALITY | {"frechet_ratio"}, "wgan_gp": QUALITY | {"frechet_ratio", "distance"}, "dcgan": QUALITY | {"frechet_ratio"},
    "conditional_gan": QUALITY | {"conditional_accuracy"}, "biggan": QUALITY | {"conditional_accuracy", "truncation_gain"},
    "acgan": QUALITY | {"conditional_accuracy", "verdict_accuracy"}, "infogan": QUALITY | {"nmi", "information"},
    "bigan": QUALITY | {"frechet_ratio", "inversion_error"}, "progressive_gan": QUALITY | {"frechet_ratio"},
    "semi_supervised_gan": QUALITY | {"accuracy", "supervised_accuracy", "accuracy_gain"}, "pix2pix": {"l1"},
    "cyclegan": {"cycle", "l1", "class_there", "class_back"},
}


@pytest.fixture(autouse=True)
def quick_judge(monkeypatch, tmp_path):
    """A judge that is hardly trained, and few draws."""
    monkeypatch.setattr(judge, "STEPS", 2)
    monkeypatch.setattr(judge, "DRAWS", 40)
    monkeypatch.setattr(judge, "DRAWN", dict.fromkeys(judge.DRAWN, 40))
    monkeypatch.setattr(judge, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def photos(workplace) -> str:
    """A folder of twelve pictures of two classes, 12 x 10 pixels."""
    rng = np.random.default_rng(0)
    for name in ("apple", "pear"):
        (workplace / "photos" / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(0, 256, (10, 12, 3), dtype=np.uint8)).save(workplace / "photos" / name / f"{i}.png")
    return "./photos"


def few(name: str, **arguments):
    """A short run, whose numbers are finite."""
    with options(quiet=True):
        run = getattr(recipes, name)(**FEW[name] | arguments)
    assert run.results
    assert all(math.isfinite(value) for value in run.results.values()), run.results
    return run


def same_again(run) -> None:
    """The folder gives the method back, to the bit."""
    again, saved = deepcanon.load(run.folder).state_dict(), run.method.state_dict()
    assert again.keys() == saved.keys()
    assert all(torch.equal(again[name], saved[name]) for name in saved)


@pytest.mark.parametrize(("name", "arguments"), [
    *(("gan", {"data": data, "objective": o}) for data in ("digits", "ring") for o in catalogue.recipe("gan").form.variants["objective"]),
    ("gan", {"data": "grid"}), ("wgan_gp", {"data": "grid"}), ("wgan_gp", {"data": "digits"}), ("unrolled_gan", {"data": "digits"}),
    ("minibatch_gan", {"data": "digits"}), ("bigan", {}), ("bigan", {"data": "digits"}), ("infogan", {}), ("infogan", {"data": "digits"}),
    ("conditional_gan", {"data": "ring", "discriminator": "projection"}), ("conditional_gan", {"discriminator": "projection"}),
    ("acgan", {"data": "digits"}), ("dcgan", {"size": 64, "gamma": 0.0}), ("dcgan", {"gamma": 0.0}), ("cyclegan", {"other": "digits"}),
    ("pix2pix", {"other": "digits"}),
])
def test_a_few_steps_of_each_variant(name, arguments, workplace, embedded_only):
    few(name, **arguments)


@pytest.mark.parametrize("name", FEW)
def test_a_few_steps_on_the_default_data(name, workplace, embedded_only):
    same_again(few(name))


@pytest.mark.parametrize("name", FEW)
def test_a_few_steps_on_a_folder_of_small_pictures(name, photos):
    run = few(name, data=photos)
    assert MEASURED.get(name, QUALITY) <= run.results.keys()
    same_again(run)


@pytest.mark.parametrize("name", ["gan", "dcgan", "pix2pix"])
def test_a_few_steps_on_an_array_of_pictures(name, workplace):
    few(name, data=np.random.default_rng(0).integers(0, 256, (20, 14, 10), dtype=np.uint8))


@pytest.mark.parametrize("name", OF_POINTS)
def test_a_few_steps_on_points_of_a_file(name, workplace):
    x = np.random.default_rng(0).normal(size=(60, 3)) * [100, 1, 0.01] + [500, 0, 7]
    np.savetxt("points.csv", x, delimiter=",", header="a,b,c", comments="")
    run = few(name, data="points.csv")
    assert "mmd" in run.results
    assert run.method.sample(5).shape == (5, 3)
    same_again(run)


@pytest.mark.parametrize("name", ["conditional_gan", "acgan"])
def test_a_few_steps_on_points_with_classes(name, workplace):
    x = np.random.default_rng(0).normal(size=(60, 3)) * [100, 1, 0.01]
    run = few(name, data=(x, np.where(x[:, 0] > 0, "near", "far")))
    assert run.method.num_classes == 2
    assert {"conditional_accuracy", "mmd"} <= run.results.keys()
    with pytest.raises(ValueError, match="two classes or more"):
        few(name, data=x)


def test_points_and_their_classes_are_a_pair():
    x = np.arange(40.0).reshape(20, 2)
    train = points((x, ["b", "a"] * 10), batch=20, shuffle=False)
    rows, y = train.at(0)
    assert train.classes == ["a", "b"]
    assert torch.equal(y, 1 - (rows[:, 0] / 2).long() % 2)
    with pytest.raises(ValueError, match="expected a class for each of 20 rows, got 3"):
        points((x, [0, 1, 2])).at(0)
    with pytest.raises(ValueError, match=r"expected the classes of points as \(N,\), got \(20, 2\)"):
        points((x, x))


@pytest.mark.parametrize("name", sorted(OF_CLASSES))
def test_pictures_without_classes_are_refused_where_classes_are_needed(name, workplace):
    with pytest.raises(ValueError, match="two classes or more"):
        few(name, data=np.zeros((20, 12, 12), np.uint8))


def test_the_settings_are_those_that_the_records_were_made_with():
    form = catalogue.recipe("gan").form
    grid = resolve(form, {"data": "grid", "objective": "spectral_norm"})
    settings = {"latent": 2, "layers": 2, "hidden": 128, "limit": 40.0, "lr": 1e-3, "batch": 256, "steps": 5_000}
    assert grid.arguments.items() >= settings.items()
    assert {name: str(bound) for name, bound in grid.target.items()} == {"modes": ">= 25", "high_quality": ">= 0.7"}
    mnist = resolve(form, {"data": "mnist", "objective": "hinge"})
    assert mnist.arguments.items() >= {"latent": 64, "hidden": 512, "lr": 7e-4, "batch": 64, "steps": 10_000}.items()
    assert not mnist.target
    assert "0.07 (hinge)" in mnist.expect
    assert all(call.target or call.expect for call in catalogue.calls(catalogue.recipe("gan")))


def test_an_objective_brings_its_own_game(workplace):
    made = {o: few("gan", data="ring", objective=o).method for o in catalogue.recipe("gan").form.variants["objective"]}
    assert made["minimax"].objective is objectives.minimax
    assert made["spectral_norm"].objective is objectives.non_saturating
    assert isinstance(made["spectral_norm"].discriminator[-1][-1], Scale)
    assert made["wasserstein"].discriminator_steps == 3
    made["wasserstein"].constrain(clipped := torch.nn.Linear(20, 20))
    assert clipped.weight.abs().max().item() == pytest.approx(0.1)
    assert made["relativistic"].penalty is not None
    assert made["non_saturating"].penalty is None
    assert few("gan", objective="spectral_norm").method.objective is objectives.hinge
    with pytest.raises(ValueError, match="the objective hinge has no limit"):
        few("gan", objective="hinge", limit=1.0)


# points of a user: columns of any scale


@pytest.fixture
def measurements():
    """Points of two columns, one of which has a hundred times the other's scale, and both of which are far from 0."""
    return torch.randn(2_000, 2) * torch.tensor([100.0, 1.0]) + torch.tensor([5_000.0, -30.0])


def test_players_work_in_the_units_of_the_columns(measurements, workplace):
    source = open_data(measurements.numpy(), "images", "points")
    drawn = nets.generator(source, 4, 16)(torch.randn(500, 4))
    train = source.train(batch=source.count).at(0)[0]
    assert torch.allclose(drawn.mean(0), train.mean(0), atol=0.5 * 100, rtol=0.02)
    judges = nets.critic(source, 16, beside=1)
    standard = judges[0](torch.cat([train, torch.full((len(train), 1), 3.0)], 1))
    assert torch.allclose(standard[:, :2].std(0, correction=0), torch.ones(2), atol=1e-3)
    assert torch.allclose(standard[:, :2].mean(0), torch.zeros(2), atol=1e-3)
    assert (standard[:, 2] == 3).all()
    slope = torch.tensor([3.0, 4.0]) / train.std(0, correction=0)
    assert nets.slopes(source, 2.0)(lambda u: u @ slope, train, train).item() == pytest.approx(2 * 25, rel=1e-3)
    assert nets.units(open_data("ring", "points")) is None
    constant = open_data(torch.cat([measurements, torch.ones(2_000, 1)], 1).numpy(), "images", "points")
    assert nets.critic(constant, 16)(constant.test().at(0)[0]).isfinite().all()


@pytest.mark.row("GEN-79")
def test_a_penalty_in_units_is_that_of_standard_columns():
    w, unit = torch.tensor([3.0, 4.0]), torch.tensor([100.0, 1.0])
    x = torch.randn(7, 2) * unit
    assert in_units(zero_centred(2.0), unit)(lambda u: (u / unit) @ w, x, x) == pytest.approx(25)
    assert zero_centred(2.0)(lambda u: (u / unit) @ w, x, x) == pytest.approx(0.03**2 + 16, rel=1e-4)


@pytest.mark.row("GEN-69")
def test_the_slope_of_a_critic_is_measured_in_units():
    unit = torch.tensor([100.0, 1.0])
    critic = torch.nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[3.0, 4.0]]) / unit)
    x = torch.randn(5, 2) * unit
    method = WGANGP(torch.nn.Linear(1, 2), critic, latent_dim=1, units=unit)
    assert method.slope_penalty(x, x).item() == pytest.approx((5 - 1) ** 2, rel=1e-4)


def test_a_column_of_a_hundred_times_the_scale_is_learned_like_the_other(measurements, workplace):
    run = few("gan", data=measurements.numpy(), objective="relativistic", hidden=32, latent=4, lr=5e-3, batch=128, steps=300)
    x = run.method.eval().sample(2_000)
    spread = (x.std(0) / measurements.std(0)).tolist()
    assert 0.5 < min(spread) < max(spread) < 1.6
    assert ((x.mean(0) - measurements.mean(0)) / measurements.std(0)).abs().max() < 0.5


# what is measured


class Drawn(torch.nn.Module):
    """Points at the Gaussian of their class or code, or anywhere."""

    num_codes, num_classes = 10, 10

    def __init__(self, sure: bool):
        super().__init__()
        self.sure, self.scale = sure, torch.nn.Parameter(torch.ones(1))

    def sample(self, n, c=None):
        k = c.flip(0) if self.sure and c is not None else torch.randint(10, (n,))
        return density("ten_gaussians").centres[k] + 0.05 * torch.randn(n, 2)

    def information(self, x, c):
        return torch.tensor(math.log(10) if self.sure else 0.0)


@pytest.mark.row("GEN-74")
def test_the_mutual_information_is_one_for_a_code_that_names_the_mode_and_zero_for_none():
    measure = classes.code_information(open_data("ten_gaussians", "points"))
    assert measure(Drawn(True))["nmi"] == pytest.approx(1, abs=1e-9)
    assert measure(Drawn(True))["information"] == pytest.approx(2.3026, abs=1e-4)
    assert measure(Drawn(False))["nmi"] < 0.02


@pytest.mark.row("GEN-71")
def test_conditional_accuracy_counts_what_is_at_its_gaussian():
    measure = classes.condition_measure(open_data("ten_gaussians", "points"))
    turned = SimpleNamespace(sample=lambda n, y: density("ten_gaussians").centres[torch.where(y < 4, y, 0)],
                             parameters=lambda: iter([torch.ones(1)]))
    assert measure(turned)["conditional_accuracy"] == pytest.approx(0.4)


def test_the_class_of_points_of_an_unknown_density_is_that_of_the_nearest_in_units_of_the_columns():
    data = SimpleNamespace(at=lambda step: (torch.tensor([[0.0, 0.0], [1.0, 100.0]]), torch.tensor([0, 1])))
    source = SimpleNamespace(kind="points", name="own", shape=(2,), record=None, count=2, train=lambda **how: data)
    asked = torch.tensor([[0.1, 40.0], [0.9, 20.0], [0.2, 90.0]])                  # deviations 0.5 and 50
    assert classes.reader(source)(asked).tolist() == [0, 1, 1]


@pytest.mark.row("GEN-77")
def test_truncation_gain_is_what_truncated_latents_add():
    class Unsure(Drawn):
        def sample(self, n, y, truncation=None):
            return density("ten_gaussians").centres[y if truncation else torch.where(y < 7, y, 0)]

    measured = classes.condition_measure(open_data("ten_gaussians", "points"), threshold=0.5)(Unsure(True))
    assert measured == pytest.approx({"conditional_accuracy": 0.7, "truncation_gain": 0.3})


@pytest.mark.row("GEN-73")
def test_the_verdict_is_that_of_the_methods_own_classifier():
    class Named(Drawn):
        def predict(self, x):
            return torch.eye(10)[torch.zeros(len(x), dtype=torch.long)]

    assert classes.condition_measure(open_data("ten_gaussians", "points"))(Named(True))["verdict_accuracy"] == pytest.approx(0.1)


# translation


class Known(torch.nn.Module):
    """The true map, and its inverse."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def translate(self, x):
        return translation.turned_negative(x, 20.0)

    def translate_back(self, y):
        return translation.turned(1 - y, -20.0)


@pytest.mark.row("GEN-83")
def test_the_true_map_keeps_every_class():
    measured = translation.classes_kept(open_data("digits", "images"), 20.0)(Known())
    assert measured["l1"] == 0
    assert min(measured["class_there"], measured["class_back"]) > 0.9


@pytest.mark.row("GEN-83")
def test_translations_that_look_like_the_other_kind_are_near_it(quick_judge):
    digits = open_data("digits", "images")
    measure = translation.nearness(digits, digits)
    same = SimpleNamespace(translate=lambda x: x, translate_back=lambda y: 1 - y, parameters=lambda: iter([torch.ones(1)]))
    measured = measure(same)
    assert measured["frechet_there"] < 0.1 * measured["frechet_back"]


@pytest.mark.row("GEN-72")
def test_images_of_two_sources_are_paired_by_order(workplace):
    x = np.arange(20, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    a, b = (open_data(images, "images", size=8) for images in (x, x + 100))
    train, test = translation.paired(a, b, batch=4, seed=3)
    for part, rows in ((train, {i for i in range(20) if i % 5}), (test, {0, 5, 10, 15})):
        pairs = [(round(u[0, 0, 0].item() * 255), round(v[0, 0, 0].item() * 255)) for x, y in part for u, v in zip(x, y)]
        assert {u for u, _ in pairs} == rows
        assert all(v == u + 100 for u, v in pairs)
    with pytest.raises(ValueError, match="expected 20 images in other, one for each in data, got 10"):
        translation.paired(a, open_data(x[:10], "images", size=8), batch=4, seed=3)


def test_sources_without_pairs_are_cut_to_one_length():
    x, y = translation.alongside((torch.rand(5, 1, 8, 8), torch.zeros(5)), (torch.rand(3, 1, 8, 8), torch.zeros(3)))
    assert len(x) == len(y) == 3


def test_two_folders_are_recorded(photos):
    run = few("cyclegan", data=photos, other="digits", size=8)
    call = json.loads((run.folder / "call.json").read_text())
    assert [source["name"] for source in call["sources"]] == [photos, "digits"]
    assert [source["shape"] for source in call["sources"]] == [[3, 8, 8], [3, 8, 8]]
    same_again(run)


def test_joint_batches_are_sharded_moved_and_recorded():
    digits = open_data("digits", "images")
    a, b = digits.train(batch=10), digits.train(batch=20, seed=1)
    joint = Joint(lambda a, b: (torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])), a, b)
    x, y = joint.at(3)
    assert x.shape == (30, 1, 8, 8)
    assert torch.equal(y[:10], a.at(3)[1])
    assert len(joint) == len(list(joint)) == len(b)
    assert torch.equal(joint.shard(0, 2).to("cpu").at(3)[0], torch.cat([a.shard(0, 2).at(3)[0], b.shard(0, 2).at(3)[0]]))
    assert joint.metadata == {"parts": [a.metadata, b.metadata]}


@pytest.mark.row("GEN-56")
def test_an_untrained_generator_is_what_a_run_is_compared_with(workplace):
    assert few("gan", steps=0).results["frechet_ratio"] == pytest.approx(1, rel=0.2)
    assert isinstance(few("gan").method, GAN)
