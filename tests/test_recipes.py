"""Every recipe on every kind of data that it takes: a few steps on the user's own files, finite numbers, and the same method back from the folder."""

import json
import math
import pickle
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image

import deepcanon
from deepcanon import catalogue, recipes
from deepcanon.data import box_batches, box_scenes
from deepcanon.engine import options
from deepcanon.recipes import evaluation, judge

RECIPES = catalogue.recipes()
FEW = {"steps": 3, "prior_steps": 2, "student_steps": 2, "vae_steps": 2, "test_tasks": 2, "stage_steps": 2, "env_steps": 256,
       "epochs": 1, "vae_epochs": 1, "warmup": 40, "batch": 8, "size": 16, "members": 2, "every": 2, "chains": 4, "chain_steps": 2,
       "levels": 3, "burn_in": 1, "draws": 1, "units": 60, "tasks": 2, "evaluate_every": 10_000,
       "importance_samples": 0, "likelihood_of": 2, "sampling_steps": 2, "context": 16, "moments": 16, "num_envs": 2, "horizon": 16,
       "limit": None, "proposals": 8, "pictures": 4}
LABELLED = {"conditional_gan", "acgan"}                 # methods that need the class of a point


class Walk(gymnasium.Env):
    """A walk on a line to its end, with numbered steps."""

    observation_space = gymnasium.spaces.Box(-4, 4, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = 0.0, 0
        return self.seen(), {}

    def seen(self):
        return np.array([self.x, self.t / 8], np.float32)

    def step(self, action):
        self.x, self.t = self.x + float(np.sign(np.sum(action) - (self.action_space.n // 2 if hasattr(self.action_space, "n") else 0))), self.t + 1
        return self.seen(), -abs(self.x - 2), abs(self.x) >= 3, self.t >= 8, {}


class Push(Walk):
    """The same with a real force."""

    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)


@pytest.fixture
def own(workplace):
    """Files of a user, one of each kind: kind -> path or object."""
    rng = np.random.default_rng(0)
    for name, hue in (("apple", 0), ("pear", 1)):
        (workplace / "photos" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 120, (18 + i % 3, 20, 3), dtype=np.uint8)
            pixels[..., hue] += 100
            Image.fromarray(pixels).save(workplace / "photos" / name / f"{i}.png")
    x = rng.normal(size=(80, 2))
    np.savetxt(workplace / "points.csv", np.concatenate([x, x.sum(1, keepdims=True)], 1), delimiter=",", header="a,b,c", comments="")
    rows = [f"{v:.2f},{'red' if v > 0 else 'blue'},{w:.2f},{'yes' if v + w > 0 else 'no'}" for v, w in x]
    (workplace / "table.csv").write_text("\n".join(["size,colour,weight,ripe", *rows]))
    (workplace / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 60)
    np.save(workplace / "sounds.npy", rng.integers(0, 256, (40, 1, 24)).astype(np.float32))
    for i in range(12):
        pixels = rng.integers(0, 120, (16, 16, 3), dtype=np.uint8)
        (workplace / "scans" / "images").mkdir(parents=True, exist_ok=True)
        (workplace / "scans" / "masks").mkdir(exist_ok=True)
        pixels[4:12, i % 8 : i % 8 + 8] += 100
        Image.fromarray(pixels).save(workplace / "scans" / "images" / f"{i}.png")
        Image.fromarray((pixels[..., 0] > 119).astype(np.uint8)).save(workplace / "scans" / "masks" / f"{i}.png")
    (workplace / "photos" / "captions.csv").write_text("file,caption\n" + "".join(
        f"{name}/{i}.png,{text}\n" for i in range(20) for name, text in (("apple", "a red apple"), ("pear", '"a green pear, here"'))))
    return {"images": "./photos", "points": "points.csv", "table": "table.csv", "text": "text.txt", "arrays": "sounds.npy",
            "env": Walk, "boxes": own_boxes(), "masks": "./scans", "captions": "./photos"}


def own_boxes() -> str:
    """Pictures with a red or a green square, as COCO has them."""
    rng, images, entries = np.random.default_rng(0), [], []
    Path("squares").mkdir()
    for i in range(16):
        pixels, (x, y), side = rng.integers(0, 60, (32, 40, 3), dtype=np.uint8), rng.integers(0, 18, 2), 8 + i % 5
        pixels[y : y + side, x : x + side, i % 2] = 250
        Image.fromarray(pixels).save(f"squares/{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 40, "height": 32})
        entries.append({"id": i, "image_id": i, "category_id": 3 + 4 * (i % 2), "bbox": [int(x), int(y), side, side]})
    content = {"images": images, "annotations": entries, "categories": [{"id": 3, "name": "red"}, {"id": 7, "name": "green"}]}
    Path("squares/boxes.json").write_text(json.dumps(content))
    return "./squares"


@pytest.fixture(autouse=True)
def quick_judge(monkeypatch, tmp_path):
    """A judge that is hardly trained, and few draws: what it says is not the matter here."""
    monkeypatch.setattr(judge, "STEPS", 2)
    monkeypatch.setattr(judge, "DRAWS", 48)
    monkeypatch.setattr(judge, "ASKED", 24)
    monkeypatch.setattr(evaluation, "DRAWN", 60)
    monkeypatch.setattr(evaluation, "COMPARED", 40)
    monkeypatch.setattr(judge, "DRAWN", dict.fromkeys(judge.DRAWN, 48))
    monkeypatch.setattr(judge, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(box_scenes, "COUNTS", {"train": 16, "test": 4})
    box_batches.known.cache_clear()
    yield
    box_batches.known.cache_clear()


def few(name: str, *without: str) -> dict:
    """The settings of a short run, as far as the recipe has them as numbers; parts of a run, such as a warm-up, stay."""
    defaults = RECIPES[name].form.defaults
    settings = {k: v for k, v in FEW.items() if k in defaults and not isinstance(defaults[k], str | float) and k not in without}
    return settings | ({"steps": 40} if name == "mcmc" else {})


def ran(name: str, *without: str, **arguments):
    """A short run, without some of those settings, its record, and the checks that every run must pass."""
    with options(quiet=True):
        run = getattr(recipes, name)(**few(name, *without) | arguments)
    call = json.loads((run.folder / "call.json").read_text())
    assert run.results, "a run without a number"
    assert all(math.isfinite(v) for v in run.results.values()), run.results
    assert not {"fid", "fid_ratio", "named", "asked_for", "class_accuracy", "gain"} & run.results.keys()
    assert call["recipe"] == name
    assert not call["target"], "a changed call keeps no target"
    return run, call


def same_method(run) -> None:
    """The folder gives the method back, to the bit, and so does pickle."""
    again, saved = deepcanon.load(run.folder).state_dict(), run.method.state_dict()
    assert again.keys() == saved.keys()
    assert all(torch.equal(again[k], saved[k]) for k in saved)
    pickled = pickle.loads(pickle.dumps(run.method)).state_dict()
    assert all(torch.equal(pickled[k], saved[k]) for k in saved)


@pytest.mark.parametrize(("name", "kind"), [(r.name, kind) for r in RECIPES.values() for kind in r.kinds])
def test_a_recipe_takes_the_users_own_data(name, kind, own):
    data = Push if name == "sac" else own[kind]
    argument = RECIPES[name].form.data
    if name == "maml":
        data = own_characters(own)
    if kind == "points" and name in LABELLED:
        data = (np.loadtxt(data, delimiter=",", skiprows=1), ["red", "blue"] * 40)
    run, call = ran(name, *([] if kind == "images" else ["size"]), **{argument: data})
    if call["sources"]:
        assert call["sources"][0]["kind"] == kind
    same_method(run)


def own_characters(own) -> str:
    """A folder of twelve classes, enough for tasks of five that were never seen."""
    rng = np.random.default_rng(0)
    for k in range(30):
        for i in range(18):
            path = f"characters/{k:02d}/{i}.png"
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (20, 20), dtype=np.uint8)).save(path)
    return "./characters"


EMBEDDED = {"digits", "pydoc", "iris", "ring", "moons", "two_gaussians", "eight_gaussians", "ten_gaussians", "grid", "CartPole-v1", "Pendulum-v1",
            "random_patterns", "toy_densities", "sinusoids", "resonance", "digit_scenes", "shapes", "digit_captions"}


@pytest.mark.parametrize("name", [r.name for r in RECIPES.values() if r.form.defaults.get(r.form.data) in EMBEDDED])
def test_a_recipe_runs_on_its_default_data(name, workplace, embedded_only):
    run, call = ran(name, "size")
    assert call["label"].startswith(f"{name}/")
    same_method(run)


@pytest.mark.parametrize("name", list(RECIPES))
def test_wrong_data_are_refused_in_one_line(name, workplace):
    form = RECIPES[name].form
    assert form.data, "a recipe without a data argument"
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        getattr(recipes, name)(**few(name) | {form.data: "./nothing/here"})
    assert "nothing" in str(error.value)
    assert "\n" not in str(error.value)
