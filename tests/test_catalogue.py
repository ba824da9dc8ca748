"""The catalogue: its ids, and what is read from a house made for the test (one method, one recipe, one proof)."""

import json
from collections import Counter

import pytest

import deepcanon
from deepcanon import catalogue, recipes, search

CANON = """
[GEN-18]
name = "Variational autoencoder (VAE)"
kind = "core"
paper = "Kingma & Welling 2014, arXiv 1312.6114"
where = "deepcanon.vae.vae:VAE.loss"
recipe = "vae_toy"

[GEN-26]
name = "VQ-VAE"
kind = "core"

[GEN-69]
name = "WGAN-GP (gradient penalty)"
kind = "core"

[MET-10]
name = "Fréchet inception distance (FID)"
kind = "core"
"""
METHOD = '''"""Variational autoencoder.    log p(x) >= ELBO(x)"""


class VAE:
    x = 1

    def loss(self, batch): ...
'''
RECIPE = '''"""Toy runs."""
import a_module_that_does_not_exist


@recipe(paper="K 2014", systems=["GEN-18"], presets=[
    preset("digits", target={"elbo": at_least(-99.0), "kl": at_most(3)}, seconds=60, published={"elbo": -98.5}, source="Table 1"),
    preset("mnist", latent=24), preset("mnist", "full", latent=40, target={"elbo": at_least(-90.0)}),
    preset("digits", form="deep", expect="collapses")])
def vae_toy(data: Images | Points = "digits", form: Literal["flat", "deep"] = "flat", *, latent: int = 16, name: str | None = None,
            fast: bool = True, seed: int = 0) -> Run:
    """VAE on digits.

    More about it.

    Args:
        data: images or points.
        form, latent: shape of the net, numbers
            of a code.
        name, fast: said of both.
        seed: of all.
    """
    return fit(source)


def helper(x): ...
'''


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A package folder with one method and one recipe in place of the real one."""
    package = tmp_path / "src" / "deepcanon"
    for file, content in {"canon.toml": CANON, "vae/vae.py": METHOD, "vae/__init__.py": '"""VAEs."""', "recipes/vaes/toy.py": RECIPE}.items():
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text(content, encoding="utf-8")
    monkeypatch.setattr(catalogue, "PACKAGE", package)
    caches = [catalogue.entries, catalogue.recipes, search._scores]
    for cached in caches:
        cached.cache_clear()
    yield package
    for cached in caches:
        cached.cache_clear()


def test_the_catalogue_has_every_system_once():
    entries = catalogue.entries()
    assert Counter(e.area for e in entries.values()) == {
        "FND": 57, "VIS": 35, "SEQ": 75, "LLM": 28, "GEN": 85, "SSL": 20, "ROB": 55, "RL": 35, "MGL": 12, "EXP": 15, "MET": 23}
    assert Counter(e.kind for e in entries.values()) == {"core": 342, "mentioned": 98}
    assert len({e.name for e in entries.values()}) == 440
    assert all(e.id == f"{e.area}-{number:02d}" for area in catalogue.AREAS
               for number, e in enumerate((e for e in entries.values() if e.area == area), 1))


def test_a_recipe_is_read_without_running_its_file(house):
    recipe = catalogue.recipe("vae_toy")
    assert list(catalogue.recipes()) == ["vae_toy"]
    assert (recipe.file, recipe.module, recipe.family) == (house / "recipes" / "vaes" / "toy.py", "deepcanon.recipes.vaes.toy", "vaes")
    assert recipe.form.defaults == {"data": "digits", "form": "flat", "latent": 16, "name": None, "fast": True, "seed": 0}
    assert recipe.form.variants == {"form": ("flat", "deep")}
    assert recipe.summary == "VAE on digits."
    assert (recipe.paper, recipe.systems, recipe.kinds, recipe.data) == ("K 2014", ("GEN-18",), ("images", "points"), ("digits", "mnist"))
    assert {p.name: p.note for p in recipe.parameters} == {
        "data": "images or points", "form": "shape of the net", "latent": "numbers of a code", "name": "said of both", "fast": "said of both",
        "seed": "of all"}
    assert catalogue.recipes_of(catalogue.entries()["GEN-18"]) == [recipe]


def test_the_calls_of_a_recipe_are_those_that_have_presets(house):
    calls = {call.name: call for call in catalogue.calls(catalogue.recipe("vae_toy"))}
    assert list(calls) == ["vae_toy/digits", "vae_toy/mnist", "vae_toy/mnist-full", "vae_toy/digits-deep"]
    first = calls["vae_toy/digits"]
    assert ({k: str(b) for k, b in first.target.items()}, first.seconds) == ({"elbo": ">= -99", "kl": "<= 3"}, 60)
    assert (first.published, first.source) == ({"elbo": -98.5}, "Table 1")
    assert calls["vae_toy/mnist-full"].arguments["latent"] == 40
    assert (calls["vae_toy/digits-deep"].expect, calls["vae_toy/digits-deep"].target) == ("collapses", {})


def test_the_catalogue_and_the_function_mean_the_same_by_a_recipe():
    for name, info in catalogue.recipes().items():
        assert getattr(recipes, name).form == info.form, name


@pytest.mark.parametrize(("argument", "default"), [("presets=[preset('digits', target={'elbo': threshold})]", "1"), ("presets=PRESETS", "1"),
                                                   ("paper=PAPER", "1"), ("paper='P'", "DEFAULT")])
def test_a_recipe_that_cannot_be_read_is_named(house, argument, default):
    (house / "recipes" / "bad.py").write_text(f'"""Bad."""\n\n@recipe({argument})\ndef bad(x: int = {default}): ...\n')
    with pytest.raises(ValueError, match=r"bad\.py:3: the arguments of @recipe and its defaults must be literals"):
        catalogue.recipes()


def test_unknown_recipes_suggest_the_nearest(house):
    with pytest.raises(ValueError, match=r"no recipe 'vae_tyo'; did you mean 'vae_toy'\?"):
        catalogue.recipe("vae_tyo")
    with pytest.raises(AttributeError, match=r"did you mean 'vae_toy'\?"):
        recipes.vae_tyo  # noqa: B018 (the attribute is the test)
    assert dir(recipes) == ["vae_toy"]
    assert catalogue.nearest("qqqq", ["vae_toy"]) is None


def test_a_proof_is_found_in_the_repository_or_in_the_package(house):
    assert catalogue.proof("vae_toy/digits") is None
    for folder in (house / "results", house.parents[1] / "results"):
        (folder / "vae_toy").mkdir(parents=True)
        (folder / "vae_toy" / "digits.json").write_text(json.dumps({"place": folder.parent.name}))
        assert catalogue.proof("vae_toy/digits") == {"place": folder.parent.name}


def test_an_object_is_located_in_the_source(house):
    assert catalogue.locate("deepcanon.vae.vae:VAE") == (house / "vae" / "vae.py", 4)
    assert catalogue.locate("deepcanon.vae.vae:VAE.loss") == (house / "vae" / "vae.py", 7)
    assert catalogue.locate("deepcanon.vae:VAE")[0] == house / "vae" / "__init__.py"
    assert catalogue.header(house / "vae" / "vae.py") == "Variational autoencoder.    log p(x) >= ELBO(x)"


@pytest.mark.parametrize("query", ["GEN-18", "gen-18", "vae", "VAE", "vae.vae", "variational autoencoder", "Variational Autoencoder (VAE)"])
def test_a_system_is_found_by_any_of_its_names(house, query):
    assert search.resolve(query) == catalogue.entries()["GEN-18"]


def test_a_recipe_is_found_by_its_name(house):
    assert search.resolve("vae_toy") == catalogue.recipe("vae_toy")


@pytest.mark.parametrize(("query", "first"), [
    ("wgan-gp", "GEN-69"), ("wgangp", "GEN-69"), ("gradient penlty", "GEN-69"), ("vqvae", "GEN-26"), ("frechet", "MET-10"), ("autoenc", "GEN-18")])
def test_search_forgives(house, query, first):
    assert search.find(query)[0] == catalogue.entries()[first]


def test_search_in_the_real_catalogue():
    def first(query):
        return search.label(search.find(query)[0])

    assert first("vae") == "GEN-18 (Variational autoencoder (VAE))"
    assert first("batchnorm").startswith(("FND-28", "ROB-20"))
    assert first("dqn") == "RL-32 (Deep Q-network (DQN))"
    assert first("pixl cnn") == "'pixelcnn'"


def test_what_is_not_there_suggests_or_says_so(house):
    with pytest.raises(ValueError, match=r"nothing is called 'variatonal'; did you mean GEN-18 \(Variational autoencoder \(VAE\)\)\?"):
        search.resolve("variatonal")
    with pytest.raises(ValueError, match="nothing is called 'qqqq'; see `deepcanon list systems`"):
        search.resolve("qqqq")
    with pytest.raises(ValueError, match="nothing to look for in '!!'"):
        search.find("!!")
    assert search.find("qqqq") == []


def test_the_package_is_lazy_and_says_what_it_lacks():
    assert {"data", "fit", "load", "recipes", "resume"} <= set(dir(deepcanon))
    assert not hasattr(deepcanon, "nothing_of_this_name")
    with pytest.raises(AttributeError, match="module 'deepcanon' has no attribute 'vea'"):
        deepcanon.vea  # noqa: B018 (the attribute is the test)


def test_several_arguments_are_explained_in_one_line():
    doc = "What.\n\nArgs:\n    a, b: of a, more of it; of b.\n    c, d: of c, of d.\n    e, f: of both,\n        in two lines, that is.\n"
    notes = catalogue.argument_notes(doc)
    assert notes == {"a": "of a, more of it", "b": "of b", "c": "of c", "d": "of d", **dict.fromkeys("ef", "of both, in two lines, that is")}
