"""What a trained run is good for: predictions, exports, fine-tuning, folders of one's own methods, comparisons that go on, runs on objects."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from torch import nn

import deepcanon
from deepcanon import comparison as comparing
from deepcanon.data.source import reading
from deepcanon.data.tables import encode_rows
from deepcanon.engine import SGD, Adam, fit, options
from deepcanon.engine.checkpoint import read_json, write_json
from deepcanon.exporting import export
from deepcanon.foundations.regression import Regressor
from deepcanon.nets.perceptron import mlp
from deepcanon.predictions import picture_names, predict
from deepcanon.runs import continue_text, evaluate_folder, resume


def photographs(root: Path, classes=("apple", "lime", "plum"), n: int = 20) -> str:
    """A folder of pictures whose class is their colour."""
    rng = np.random.default_rng(len(classes))
    for k, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 90, (12, 12, 3), dtype=np.uint8)
            pixels[..., k % 3] += 120
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return str(root)


def small(data: str, steps: int = 60, **arguments):
    """A classifier that has seen its pictures for a moment."""
    with options(quiet=True):
        return deepcanon.recipes.mlp(data, width=16, steps=steps, **arguments)


def test_predictions_are_the_methods_own_with_class_names_and_pictures_of_the_least_certain(workplace):
    run = small(photographs(workplace / "photos"))
    new = workplace / "new"
    new.mkdir()
    for name in ("apple", "lime"):
        Image.open(workplace / "photos" / name / "3.png").save(new / f"{name}.png")
    found = predict(run.folder, [str(new), str(workplace / "photos" / "plum" / "5.png")])
    with open(found.path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["example"] for row in rows] == [str(new / "apple.png"), str(new / "lime.png"), str(workplace / "photos" / "plum" / "5.png")]
    assert [row["label"] for row in rows] == ["apple", "lime", "plum"]
    for row in rows:
        p = [float(row[name]) for name in ("apple", "lime", "plum")]
        assert sum(p) == pytest.approx(1, abs=2e-4)
        assert float(row["probability"]) == max(p)
    x = torch.from_numpy(np.array(Image.open(new / "lime.png"))).permute(2, 0, 1)[None] / 255
    assert float(rows[1]["lime"]) == pytest.approx(run.method.predict(x)[0, 1].item(), abs=1e-4)
    width, height = Image.open(found.path.parent / "least_certain.png").size
    assert width > 300
    assert height > 100
    assert run.method.classes == deepcanon.load(run.folder).classes == ["apple", "lime", "plum"]


def test_examples_stand_in_the_order_given_and_files_of_one_name_in_two_folders_are_told_apart(workplace):
    run = small(photographs(workplace / "photos", n=4), steps=1)
    one, two, three = "photos/plum/2.png", "photos/apple", "photos/lime"
    found = predict(run.folder, [one, two, "photos/plum/1.png", "photos/plum/0.png", three])
    assert found.names == [one, *(f"{two}/{i}.png" for i in range(4)), "photos/plum/1.png", "photos/plum/0.png",
                           *(f"{three}/{i}.png" for i in range(4))]
    assert picture_names(found.names[-3:]) == ["1", "2", "3"]
    assert picture_names(["photos/plum/2.png", "../photos/lime/2.png"]) == ["photos_plum_2.png", "photos_lime_2.png"]


def test_rows_of_a_table_are_predicted_as_they_were_learned(workplace):
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"a": rng.normal(size=120), "kind": rng.choice(["x", "y"], 120)})
    frame["label"] = np.where(frame.a + (frame.kind == "x") > 0.5, "high", "low")
    frame.to_csv("all.csv", index=False)
    run = small("all.csv", steps=400)
    frame.drop(columns="label").head(40).to_csv("new.csv", index=False)
    found = predict(run.folder, "new.csv")
    with open(found.path, newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert np.mean(np.array(labels) == frame.label.head(40).to_numpy()) > 0.9
    frame.drop(columns=["label", "a"]).to_csv("short.csv", index=False)
    with pytest.raises(ValueError, match="'a'"):
        predict(run.folder, "short.csv")


def test_what_predicts_nothing_says_what_it_can_do(workplace):
    with options(quiet=True):
        run = deepcanon.recipes.vae("digits", steps=2)
    with pytest.raises(ValueError, match=r"holds a VAE, which predicts nothing from images or a table; in Python it has sample, reconstruct, encode"):
        predict(run.folder, "x.png")


@pytest.mark.parametrize("to", ["torch", "onnx", "folder"])
def test_an_export_gives_the_methods_own_outputs(workplace, to):
    run = small(photographs(workplace / "photos", n=8))
    path = export(run.folder, to)
    x = torch.rand(5, 3, 12, 12)
    expected = run.method.predict(x)
    if to == "onnx":
        import onnxruntime

        found = torch.from_numpy(onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})[0])
    else:
        found = torch.export.load(path / "model.pt2" if to == "folder" else path).module()(x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    if to == "folder":
        code = ("import sys, torch; sys.modules['deepcanon'] = None; model = torch.export.load('model.pt2').module(); e = torch.load('example.pt'); "
                "torch.testing.assert_close(model(e['x']), e['y'])")
        assert subprocess.run([sys.executable, "-c", code], cwd=path, capture_output=True, text=True, check=False).stderr == ""
        assert json.loads((path / "classes.json").read_text()) == ["apple", "lime", "plum"]
        assert len((path / "README.md").read_text().splitlines()) == 6


@pytest.mark.parametrize("to", ["torch", "onnx", "folder"])
def test_an_export_is_of_the_method_as_it_is_used_not_as_it_is_trained(workplace, to):
    with options(quiet=True):
        gan = deepcanon.recipes.gan("digits", steps=3)
    assert any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in gan.method.generator.modules())
    export(gan.folder, to)


def test_an_exported_folder_of_a_table_says_what_its_columns_are(workplace):
    rows = "\n".join(f"{'red' if i % 3 else 'blue'},{i if i % 4 else ''},{'yes' if i % 3 else 'no'}" for i in range(60))
    (workplace / "t.csv").write_text(f"colour,n,y\n{rows}\n", encoding="utf-8")
    run = small("t.csv", steps=1, target="y")
    folder = export(run.folder)
    columns = json.loads((folder / "columns.json").read_text())
    assert [c["column"] for c in columns] == ["colour=blue", "colour=red", "n", "n is missing"]
    raw = [1.0, 0.0, 8.0, 0.0]
    x = torch.tensor([[(value - c["mean"]) / c["std"] for value, c in zip(raw, columns)]])
    torch.testing.assert_close(x, encode_rows(deepcanon.engine.record.read_call(run.folder)["sources"][0], {"colour": ["blue"], "n": [8.0]}))
    assert "columns.json" in (folder / "README.md").read_text()


def test_an_export_that_differs_is_refused(workplace, monkeypatch):
    run = small(photographs(workplace / "photos", n=8))
    loaded = torch.export.load

    class Shifted:
        def __init__(self, path):
            self.module = lambda: lambda x: loaded(path).module()(x) + 1e-3

    monkeypatch.setattr(torch.export, "load", Shifted)
    with pytest.raises(ValueError, match=r"differ from the method's by 0\.001, more than 1e-05; it was removed"):
        export(run.folder, "torch")
    assert not (Path(run.folder) / "export" / "model.pt2").exists()
    with options(quiet=True):
        ebm = deepcanon.recipes.ebm("eight_gaussians", steps=1, chain_steps=1)
    with pytest.raises(ValueError, match=r"^EBM cannot be exported"):
        export(ebm.folder)


def test_fine_tuning_takes_every_weight_but_the_head_of_other_classes(workplace, capsys):
    first = small(photographs(workplace / "fruit"))
    with options(start_from=first.folder):
        same = deepcanon.recipes.mlp(str(workplace / "fruit"), width=16, steps=0)
    for name, value in first.method.state_dict().items():
        assert torch.equal(value, same.method.state_dict()[name])
    assert "weights" in capsys.readouterr().err
    other = photographs(workplace / "cars", classes=("bus", "car", "van"))
    with options(start_from=first.folder):
        tuned = deepcanon.recipes.mlp(other, width=16, steps=0)
    a, b = first.method.state_dict(), tuned.method.state_dict()
    assert torch.equal(a["net.1.0.weight"], b["net.1.0.weight"])
    assert not torch.equal(a["net.1.2.weight"], b["net.1.2.weight"])               # as many classes, but others
    assert "new: net.1.2.bias, net.1.2.weight" in capsys.readouterr().err
    four = photographs(workplace / "four", classes=("a", "b", "c", "d"))
    with options(start_from=first.folder, quiet=True):
        assert len(deepcanon.recipes.mlp(four, width=16, steps=0).method.state_dict()["net.1.2.bias"]) == 4
    with options(start_from=first.folder, quiet=True), pytest.raises(ValueError, match="holds a Classifier, which this run cannot start from"):
        deepcanon.recipes.vae("digits", steps=1)
    with options(start_from=first.folder, quiet=True), pytest.raises(ValueError, match=r"of .* weights of .* fit this method"):
        deepcanon.recipes.mlp("digits", width=64, steps=1)


def test_a_run_that_starts_from_another_has_no_target(workplace):
    with options(quiet=True):
        first = deepcanon.recipes.linear("digits")
        assert read_json(first.folder / "call.json")["target"] == {"accuracy": [">=", 0.89]}
        with options(start_from=first.folder):
            second = deepcanon.recipes.linear("digits")
    assert read_json(second.folder / "call.json")["target"] == {}


def own() -> Regressor:
    return Regressor(mlp(3, 8, 1))


def rows(n: int = 64):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    return [(x, x.sum(1))] * 4


def test_a_method_of_ones_own_has_a_folder_and_comes_back(workplace):
    run = fit(own(), rows(), Adam(1e-2), steps=5, folder="mine")
    assert run.folder == workplace / "mine"
    again = deepcanon.load("mine", own())
    assert all(torch.equal(a, b) for a, b in zip(run.method.state_dict().values(), again.state_dict().values()))
    with pytest.raises(ValueError, match=r"mine holds a Regressor that no recipe has built: deepcanon\.load\(folder, method\)"):
        deepcanon.load("mine")
    with pytest.raises(ValueError, match="mine holds a run already"):
        fit(own(), rows(), Adam(1e-2), steps=5, folder="mine")
    with pytest.raises(ValueError, match="does not fit Regressor"):
        deepcanon.load("mine", Regressor(mlp(4, 8, 1)))
    late = fit(own(), rows(), SGD(1e-2), steps=2)
    assert late.folder is None
    assert late.save("saved") == Path("saved")
    assert torch.equal(deepcanon.load("saved", own()).net[0].weight, late.method.net[0].weight)
    assert (Path("saved") / "metrics.csv").read_text().startswith("step,seconds,loss")
    with pytest.raises(ValueError, match="saved holds a run already"):
        late.save("saved")


def test_a_comparison_goes_on_where_it_stopped(workplace, monkeypatch, capsys):
    calls = []
    plain = comparing.run_job

    def interrupted(job):
        calls.append(job.folder.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return plain(job)

    monkeypatch.setattr(comparing, "run_job", interrupted)
    values = {"data": ["iris"], "width": [4, 8], "steps": [10]}
    with options(quiet=True):
        with pytest.raises(KeyboardInterrupt):
            comparing.compare(["mlp"], values, out="cmp")
        before = (Path("cmp") / calls[0] / "result.json").stat().st_mtime_ns
        report = comparing.compare(["mlp"], values, out="cmp")
        assert calls == [calls[0], calls[1], calls[1]]
        assert "continue the comparison with: deepcanon resume cmp" in capsys.readouterr().err
        assert (Path("cmp") / calls[0] / "result.json").stat().st_mtime_ns == before
        assert report == Path("cmp/report.html")
        comparing.resume("cmp")
        assert len(calls) == 3
        with pytest.raises(ValueError, match="cmp holds another comparison"):
            comparing.compare(["mlp"], values | {"width": [4, 9]}, out="cmp")
        with pytest.raises(ValueError, match="name two methods or more"):
            comparing.compare(["mlp"], {"data": ["iris"]}, out="one")
        with pytest.raises(ValueError, match="mlp has no argument 'depth'"):
            comparing.compare(["mlp", "linear"], {"depth": [1]}, out="two")


def test_a_run_whose_data_are_gone_says_where_they_were_looked_for(workplace):
    run = small(photographs(workplace / "photos", n=4), steps=1)
    with options(quiet=True):
        near = deepcanon.recipes.mlp("photos", width=4, steps=1)
    (near.folder / "result.json").unlink()
    (workplace / "photos").rename(workplace / "moved")
    with pytest.raises(FileNotFoundError, match=f"^{run.folder} was trained on '{workplace}/photos', which is not found: put the data back"):
        evaluate_folder(run.folder)
    x = torch.rand(3, 3, 12, 12)
    assert torch.equal(deepcanon.load(near.folder).predict(x), near.method.eval().predict(x))
    for use in (evaluate_folder, resume):
        with pytest.raises(FileNotFoundError, match=f"^{near.folder} was trained on 'photos', which is not found in {workplace}: put the data"):
            use(near.folder)
    (workplace / "moved").rename(workplace / "photos")
    assert evaluate_folder(near.folder).keys() == {"accuracy", "nll"}


def test_an_option_of_another_kind_of_data_is_refused(workplace):
    photos = photographs(workplace / "photos", n=4)
    with pytest.raises(ValueError, match=r"^'.*photos' is read as images, to which target= does not apply; it is of a table$"):
        small(photos, target="x", steps=1)
    with reading(separator=";"), pytest.raises(ValueError, match=r"images, to which separator= does not apply; it is of a table$"):
        small(photos, steps=1)
    with reading(fit="pad"), pytest.raises(ValueError, match=r"^'iris' is read as a table, to which fit= does not apply; it is of images or boxes$"):
        small("iris", steps=1)


def test_a_run_on_an_object_is_resumed_with_the_object(workplace):
    x = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    data = (x.mul(255).to(torch.uint8).numpy(), np.arange(60) % 3)
    with options(quiet=True):
        whole = deepcanon.recipes.mlp(data, width=8, steps=12)
    with options(quiet=True, folder=Path("parts")):
        deepcanon.recipes.mlp(data, width=8, steps=12)
    (Path("parts") / "result.json").unlink()
    with options(quiet=True):
        with pytest.raises(ValueError, match=r"which no file holds: deepcanon\.resume\('parts', data=\.\.\.\)"):
            resume("parts")
        again = resume("parts", data=data)
    assert all(torch.equal(a, b) for a, b in zip(whole.method.state_dict().values(), again.method.state_dict().values()))
    assert isinstance(deepcanon.load("parts"), nn.Module)


def test_folders_of_an_older_version_say_which(workplace):
    write_json(Path("old/call.json"), {"recipe": "vae_digits", "arguments": {}, "data": {}, "code": "", "versions": {"deepcanon": "0.1.0"}})
    with pytest.raises(ValueError, match=r"old was made by deepcanon 0\.1\.0, whose recipe 'vae_digits' this version does not have; open it with"):
        deepcanon.load("old")


def test_a_language_model_goes_on_from_a_prompt(workplace):
    with options(quiet=True):
        run = deepcanon.recipes.gpt("pydoc", layers=1, width=16, heads=2, context=16, steps=2, fast=False)
    text = continue_text(run.folder, "The ", 20)
    assert text.startswith("The ")
    assert len(text) == 24
    assert continue_text(run.folder, "The ", 20) == text
    with pytest.raises(ValueError, match="the prompt is empty"):
        continue_text(run.folder, "")


def test_images_of_another_size_are_told_which_size_fits(workplace):
    with options(quiet=True):
        first = deepcanon.recipes.mlp("digits", width=64, steps=1)
    folder = photographs(workplace / "fruit")
    with options(quiet=True, start_from=first.folder), pytest.raises(ValueError, match="its images had 8 x 8 pixels, these have 12 x 12: --size 8"):
        deepcanon.recipes.mlp(folder, width=64, steps=1)


def test_regression_says_how_much_is_explained(workplace):
    x = np.random.default_rng(0).normal(size=(200, 3))
    frame = pandas.DataFrame(x, columns=list("abc")).assign(y=x @ [1.0, -2.0, 0.5] + 3)
    with options(quiet=True):
        good = deepcanon.recipes.linear(frame, target="y", steps=400)
        none = deepcanon.recipes.linear(frame, target="y", steps=0)
    assert good.results["r2"] > 0.99
    assert good.results["r2"] == pytest.approx(1 - good.results["mse"] / frame.y.var(), abs=0.02)
    assert abs(none.results["r2"]) < 1
