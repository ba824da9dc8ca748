"""The report: what its page says, its drawings and pictures, and that no folder can run anything in it."""

import ast
import base64
import csv
import io
import json
import math
from pathlib import Path

import pytest
import torch
from lxml import html
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from deepcanon import catalogue
from deepcanon.engine import Run
from deepcanon.engine.predictions import write_predictions
from deepcanon.engine.samples import write_samples
from deepcanon.report import (
    classifier_section,
    explain,
    groups_of,
    number,
    run_html,
    scales,
    shared_metrics,
    write_report,
)
from deepcanon.report.charts import chart, line
from deepcanon.report.data import data_of
from deepcanon.report.metrics import METRICS
from deepcanon.report.numbers import duration, spread

EVIL = "<script>alert(1)</script>"
DIGITS = {
    "kind": "images",
    "name": "digits",
    "shape": [1, 8, 8],
    "count": 1437,
    "test_count": 360,
    "classes": list("0123456789"),
    "sha256": "a",
}
MNIST = DIGITS | {"name": "mnist", "shape": [1, 28, 28], "count": 60_000, "test_count": 10_000, "sha256": "b"}
VAE_ROWS = [
    {"step": 10 * i, "seconds": 0.5 * i, "loss": 30.0 - i, "eval/elbo": -30.0 + i} for i in range(1, 6)
]


def make_run(
    folder: Path,
    label: str = "vae/digits",
    *,
    seed: int = 0,
    rows=VAE_ROWS,
    results=None,
    sources=(DIGITS,),
    **call,
) -> Path:
    """A run folder with these rows of metrics.csv; by default the results are those of the last row."""
    folder.mkdir(parents=True)
    record = {
        "format": 2,
        "recipe": label.partition("/")[0],
        "label": label,
        "arguments": {"lr": 0.01, "seed": seed},
        "seed": seed,
        "target": {},
        "command": f"deepcanon train {label}",
        "started": "2026-01-02T03:04:05+0000",
        "method": "VAE",
        "about": "About the method.",
        "likelihood": None,
        "parameters": 39504,
        "data": {},
        "sources": list(sources),
        "code": "c",
        "hardware": "a chip",
        "versions": {"deepcanon": "0.2.0", "torch": "2.13.0"},
        "commit": "abc",
    }
    (folder / "call.json").write_text(json.dumps(record | call))
    columns = list(dict.fromkeys(k for row in rows for k in row))
    with open(folder / "metrics.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    last = (
        {k.removeprefix("eval/"): v for k, v in rows[-1].items() if k not in ("step", "seconds")}
        if results is None
        else results
    )
    (folder / "result.json").write_text(
        json.dumps({"results": last, "steps": 50, "seconds": 2.5, "stopped": None})
    )
    return folder


def page(*folders: Path) -> html.HtmlElement:
    """The report on these folders."""
    return html.parse(
        str(write_report(folders, folders[0].parent / "report.html")), html.HTMLParser(encoding="utf-8")
    ).getroot()


def words(element) -> str:
    """The visible text of an element, without styles."""
    return " ".join(" ".join(element.xpath(".//text()[not(ancestor::style)]")).split())


def cells(table) -> dict[str, list[str]]:
    """Header of each row -> its cells."""
    return {
        words(row.find("th")): [words(td) for td in row.findall("td")]
        for row in table.xpath(".//tbody/tr")
        if row.find("th") is not None
    }


def heading(root, text: str):
    """The element after the heading of that text."""
    return next(h for h in root.iter("h2") if words(h).startswith(text)).getnext()


# one run


def test_one_run_shows_its_target_its_data_and_what_its_numbers_mean(tmp_path):
    root = page(
        make_run(
            tmp_path / "a",
            target={"elbo": [">=", -28.0]},
            published={"elbo": -24.5},
            source="Kingma 2014",
            expect="it works",
        )
    )
    said = words(root)
    assert root.findtext(".//h1") == "vae/digits"
    card = words(root.xpath("//div[@class='numbers']/section")[0])
    assert (
        card == "elbo ↑ (higher is better) -25 target ≥ -28 ✓ met lower bound of the log-likelihood "
        "of held-out data, in nats"
    )
    assert "The target is met." in said
    assert "Expected: it works" in said
    assert "Published: elbo -24.5 (Kingma 2014)" in said
    assert "digits: 1,437 images to train on, 360 to test on; 8×8 pixels, grey; 10 classes" in said
    assert "2026-01-02 · a chip · deepcanon 0.2.0, torch 2.13.0 · commit abc" in said
    assert "50 steps in 2.5 s, 20 steps a second" in said
    assert "39,504 parameters" in said
    assert "deepcanon train vae/digits" in said


def test_a_target_that_is_missed_is_said_in_words(tmp_path):
    root = page(make_run(tmp_path / "a", target={"elbo": [">=", -20.0], "nll": ["<=", 9.0]}))
    assert "0 of 2 targets are met." in words(root)
    cards = [words(card) for card in root.xpath("//div[@class='numbers']/section")]
    assert "target ≥ -20 ✗ not met" in cards[0]
    assert "nll ↓ (lower is better) missing target ≤ 9 ✗ not met" in cards[1]


def test_a_call_without_target_shows_none(tmp_path):
    root = page(make_run(tmp_path / "a"))
    assert (
        words(root.xpath("//div[@class='numbers']")[0])
        == "elbo ↑ (higher is better) -25 lower bound of the log-likelihood of held-out data, in nats"
    )
    assert "dotted" not in words(root)
    assert "met." not in words(root)


def test_evaluation_and_training_are_drawn_and_told_in_words(tmp_path):
    root = page(make_run(tmp_path / "a", target={"elbo": [">=", -28.0]}))
    labels = root.xpath("//svg[@role='img']/@aria-label")
    assert labels == [
        "elbo: elbo goes from -29 to -25 in 2.5 seconds; the target is -28.",
        "training loss: loss goes from 29 to 25 in 2.5 seconds.",
    ]
    assert "the target is dotted" in words(root)


def test_what_was_evaluated_at_the_end_only_is_not_drawn(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "eval/elbo"} for row in VAE_ROWS[:-1]] + VAE_ROWS[-1:]
    root = page(make_run(tmp_path / "a", rows=rows))
    assert len(root.xpath("//svg[@role='img']")) == 1
    assert "elbo ↑" in words(root)


def test_an_unknown_number_is_shown_bare(tmp_path):
    root = page(make_run(tmp_path / "a", rows=[{"step": 1, "seconds": 1, "eval/frobnication": 3}]))
    assert words(root.xpath("//div[@class='numbers']/section")[0]) == "frobnication 3"


def test_a_run_without_recipe_or_evaluation_has_a_page(tmp_path):
    folder = make_run(tmp_path / "a", rows=[{"step": 1, "seconds": 1.0, "loss": math.nan}], sources=())
    call = json.loads((folder / "call.json").read_text())
    (folder / "call.json").write_text(
        json.dumps({k: call[k] for k in ("format", "recipe", "arguments", "data", "code")})
    )
    assert page(folder).findtext(".//h1") == "vae"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("result.json", None, "is not finished: it has no result.json"),
        ("result.json", '{"results": {"elbo": "<b>"}}', "the result 'elbo' is not a number"),
        ("metrics.csv", "step,seconds,loss\n1,2,three\n", "is not a table of numbers"),
    ],
)
def test_a_folder_that_is_no_finished_run_is_refused(tmp_path, name, content, message):
    folder = make_run(tmp_path / "a")
    (folder / name).write_text(content) if content else (folder / name).unlink()
    with pytest.raises(ValueError, match=message):
        page(folder)


def test_no_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match="name a run folder or more"):
        write_report([], tmp_path / "report.html")


# several seeds


def seeds(root: Path, count: int = 3, label: str = "vae/digits", shift: float = 1.0, **call) -> list[Path]:
    """Runs that differ in the seed; the elbo of seed i is higher by i * shift."""
    return [
        make_run(
            root / f"{label.replace('/', '-')}-{i}",
            label,
            seed=i,
            rows=[row | {"eval/elbo": row["eval/elbo"] + i * shift} for row in VAE_ROWS],
            **call,
        )
        for i in range(count)
    ]


def test_several_seeds_are_one_line_with_a_band(tmp_path):
    root = page(*seeds(tmp_path, target={"elbo": [">=", -24.1]}))
    drawing = root.xpath("//svg[@role='img']")[0]
    assert "elbo goes from -28 to -24" in drawing.get("aria-label")
    styles = [element.get("style") for element in drawing.iter() if "--c0" in (element.get("style") or "")]
    assert sum(style.startswith("fill: none; stroke: var(--c0); stroke-width: 1.8") for style in styles) == 1
    assert styles.count("fill: var(--c0); fill-opacity: 0.18") == 1
    said = words(root)
    assert (
        "mean of 3 seeds, up to the time that all have reached; the band is from the lowest to the highest"
        in said
    )
    assert "-24.0 ± 1.0" in words(root.xpath("//div[@class='numbers']/section")[0])
    assert "The target is met." in said
    assert "seeds 0, 1, 2" in said


def test_a_line_is_the_mean_of_its_seeds_over_the_time_that_all_have_reached():
    curve = line("loss", [([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]), ([1.0, 3.0, 5.0], [5.0, 3.0, 1.0])])
    assert curve.x == [1.0, 2.0, 3.0]
    assert curve.mean == [4.0, 3.0, 2.0]
    assert curve.low == [3.0, 2.0, 1.0]
    assert curve.high == [5.0, 4.0, 3.0]
    assert curve.seeds == 2
    assert line("loss", [([], []), ([], [])]) is None
    assert line("loss", [([1.0], [2.0]), ([], [])]).mean == [2.0]


def test_a_spread_is_told_with_the_digits_that_it_leaves_standing():
    assert spread([0.9]) == "0.9"
    assert spread([0.90, 0.92]) == "0.910 ± 0.014"
    assert spread([1000.0, 1200.0, 1100.0]) == "1,100 ± 100"
    assert spread([0.5, 0.5]) == "0.5 ± 0"
    assert spread([1.0, math.nan]) == "nan ± nan"
    assert [number(v) for v in (0.00012346, 12345.6, math.inf)] == ["0.0001235", "12,346", "inf"]
    assert [duration(v) for v in (4.25, 750, 12_010)] == ["4.2 s", "12 min 30 s", "3 h 20 min"]


def test_bits_say_whether_they_are_a_bound(tmp_path):
    folder = make_run(
        tmp_path / "a", rows=[{"step": 1, "seconds": 1.0, "eval/bits_per_dim": 2.5}], likelihood="bound"
    )
    assert groups_of([folder])[0].shown("bits_per_dim") == "2.5 (bound)"


# several methods


def accuracy_run(root: Path, label: str, source: dict, value: float, seed: int = 0, **more) -> Path:
    rows = [
        {"step": i, "seconds": float(i), "loss": 1.0, "eval/accuracy": value * i / 3, "eval/nll": 1 - value}
        for i in (1, 2, 3)
    ]
    return make_run(
        root / f"{label.replace('/', '-')}-{seed}", label, rows=rows, sources=(source,), seed=seed, **more
    )


def test_methods_on_one_data_set_stand_on_one_scale_and_the_best_is_bold(tmp_path):
    root = page(
        accuracy_run(tmp_path, "lenet/digits", DIGITS, 0.9),
        accuracy_run(tmp_path, "resnet/digits", DIGITS, 0.95),
    )
    assert root.findtext(".//h1") == "lenet, resnet on digits"
    table = heading(root, "On the same data: digits").find("table")
    assert [words(th) for th in table.find("thead").iter("th")] == ["number", "lenet/digits", "resnet/digits"]
    rows = cells(table)
    assert next(v for k, v in rows.items() if k.startswith("accuracy ↑")) == ["0.9", "0.95"]
    assert (
        next(k for k in rows if k.startswith("nll"))
        == "nll ↓ (lower is better) negative log-likelihood of held-out data, in nats"
    )
    bold = [words(td) for td in table.xpath(".//td[contains(@class, 'best')]")]
    assert bold == ["0.95", number(1 - 0.95)]
    assert "One seed tells little" in words(root)
    shared = [label for label in root.xpath("//svg[@role='img']/@aria-label") if "lenet/digits" in label]
    assert (
        shared[0] == "accuracy: lenet/digits goes from 0.3 to 0.9 in 3 seconds; "
        "resnet/digits goes from 0.3167 to 0.95 in 3 seconds."
    )
    legend = heading(root, "On the same data").getnext().xpath(".//ul[@class='legend']")[0]
    assert [li.xpath("string()").split()[0] for li in legend] == ["lenet/digits", "resnet/digits"]
    assert (
        not heading(root, "On the same data")
        .getnext()
        .xpath(".//svg[@role='img']//*[contains(@id, 'legend')]")
    )


def test_different_data_are_never_put_on_one_scale(tmp_path):
    folders = [
        accuracy_run(tmp_path, "lenet/digits", DIGITS, 0.9),
        accuracy_run(tmp_path, "resnet/digits", DIGITS, 0.95),
        accuracy_run(tmp_path, "lenet/mnist", MNIST, 0.99),
    ]
    groups = groups_of(folders)
    assert [([g.name for g in scale.groups], scale.metrics) for scale in scales(groups)] == [
        (["lenet/digits", "resnet/digits"], ["accuracy", "nll"])
    ]
    table = heading(page(*folders), "On the same data: digits").find("table")
    assert "lenet/mnist" not in words(table)
    assert scales(groups)[0].data == "digits"
    assert shared_metrics(groups_of([folders[0], folders[2]])) == []


@pytest.mark.parametrize("change", [{"name": "mine"}, {"sha256": "other"}, {"shape": [1, 28, 28]}])
def test_data_of_another_name_content_or_shape_are_other_data(tmp_path, change):
    folders = [
        accuracy_run(tmp_path, "a/x", DIGITS, 0.9),
        accuracy_run(tmp_path, "b/x", DIGITS | change, 0.9),
    ]
    assert scales(groups_of(folders)) == []


def test_environments_are_never_put_on_one_scale(tmp_path):
    def agent(label: str, env: str) -> Path:
        rows = [{"step": 1, "seconds": 1.0, "eval/return": 100.0}]
        return make_run(
            tmp_path / label.replace("/", "-"),
            label,
            rows=rows,
            sources=({"kind": "env", "name": env, "actions": 2},),
        )

    ppo, dqn, sac = (
        agent("ppo/cartpole", "CartPole-v1"),
        agent("dqn/cartpole", "CartPole-v1"),
        agent("sac/pendulum", "Pendulum-v1"),
    )
    assert shared_metrics(groups_of([ppo, sac])) == []
    assert [[g.name for g in s.groups] for s in scales(groups_of([ppo, dqn, sac]))] == [
        ["ppo/cartpole", "dqn/cartpole"]
    ]


def test_runs_that_record_no_data_share_a_scale_only_when_their_arguments_name_the_same(tmp_path):
    def run(name: str, **arguments) -> Path:
        return make_run(tmp_path / name, name, sources=(), arguments=arguments)

    assert shared_metrics(groups_of([run("a"), run("b")])) == []
    assert shared_metrics(groups_of([run("c", env="CartPole-v1"), run("d", env="Pendulum-v1")])) == []
    assert shared_metrics(groups_of([run("e", env="CartPole-v1"), run("f", env="CartPole-v1")])) == ["elbo"]


def test_calls_of_one_label_are_told_apart_by_their_arguments(tmp_path):
    folders = [
        make_run(tmp_path / f"{lr}-{seed}", arguments={"lr": lr, "width": 8, "seed": seed}, seed=seed)
        for lr in (0.1, 0.2)
        for seed in (0, 1)
    ]
    groups = groups_of(folders)
    assert [(g.name, len(g.runs)) for g in groups] == [("vae/digits lr=0.1", 2), ("vae/digits lr=0.2", 2)]


def test_real_data_stand_once_beside_what_every_method_makes(tmp_path):
    folders = [*seeds(tmp_path, 1), *seeds(tmp_path, 1, "gan/digits")]
    for folder in folders:
        write_samples(folder / "samples" / "real", torch.zeros(4, 1, 8, 8))
        write_samples(folder / "samples" / "0000050", torch.ones(4, 1, 8, 8))
    gallery = heading(page(*folders), "Real data and what the methods make")
    assert [words(c) for c in gallery.iter("figcaption")] == ["real", "vae/digits", "gan/digits"]


# pictures


def embedded(img) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(img.get("src").removeprefix("data:image/png;base64,"))))


def test_samples_stand_beside_real_data_at_a_readable_size(tmp_path):
    folder = make_run(tmp_path / "a")
    write_samples(folder / "samples" / "real", torch.zeros(64, 1, 8, 8))
    for step in range(10, 60, 10):
        write_samples(folder / "samples" / f"{step:07d}", torch.full((64, 1, 8, 8), step / 100))
    root = page(folder)
    shown = heading(root, "Real data and what the method makes")
    assert [words(c) for c in shown.iter("figcaption")] == ["real", "made"]
    for img, pixel in zip(shown.iter("img"), (0, round(0.5 * 255))):
        assert img.get("alt")
        assert int(img.get("width")) / 8 >= 48
        assert embedded(img).size == (int(img.get("width")), int(img.get("height")))
        assert embedded(img).convert("L").getpixel((40, 40)) == pixel
        assert "min-width: 360px" in img.get("style")
    earlier = root.xpath("//details[summary='earlier in training']")[0]
    assert [words(c) for c in earlier.iter("figcaption")] == [
        f"made after {step} steps" for step in (10, 20, 40)
    ]


def test_a_text_is_shown_as_it_is(tmp_path):
    folder = make_run(tmp_path / "a")
    write_samples(folder / "samples" / "0000050", f"To be {EVIL}\n  or not")
    root = page(folder)
    assert root.xpath("string(//pre[@class='sample'])") == f"To be {EVIL}\n  or not\n"


def test_a_file_that_is_no_picture_is_left_out(tmp_path):
    folder = make_run(tmp_path / "a")
    (folder / "samples").mkdir()
    (folder / "samples" / "0000050.png").write_text("<svg onload='alert(1)'>")
    root = page(folder)
    assert not root.xpath("//img")
    assert "makes" not in words(root)


def test_what_an_evaluation_wrote_of_test_images_and_classes_is_shown(tmp_path):
    folder = make_run(tmp_path / "a", "yolo/cells")
    write_samples(folder / "evaluation" / "detections", torch.rand(2, 3, 8, 8))
    write_samples(folder / "evaluation" / "words_0", torch.rand(1, 3, 8, 8))
    (folder / "evaluation" / "classes.csv").write_text(f'class,objects,ap50\n"red, {EVIL}",5,0.25\nblue,11,1.0000\n')
    root = page(folder)
    shown = heading(root, "On the test images")
    assert [words(caption) for caption in shown.iter("figcaption")] == ["detections", "words"]
    assert len(shown.xpath(".//img")) == 2
    table = heading(root, "Classes")
    assert cells(table) == {f"red, {EVIL}": ["5", "0.25"], "blue": ["11", "1.0000"]}
    assert [th.get("class") for th in table.xpath(".//thead//th")] == [None, "n", "n"]
    assert "classes" in words(page(folder, make_run(tmp_path / "b", "yolo/other")))


# classifiers


class Table(torch.nn.Module):
    """Says of the example of brightness i / 255 what row i says."""

    def __init__(self, rows: torch.Tensor):
        super().__init__()
        self.rows = torch.nn.Parameter(rows)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        return self.rows[(x.flatten(1)[:, 0] * 255).round().long()]


def classified(folder: Path, classes: list[str], n: int = 200) -> tuple[list[int], list[int]]:
    """Predictions on n examples, the last class never predicted; the true and the predicted classes."""
    k, generator = len(classes), torch.Generator().manual_seed(0)
    y = torch.arange(n) % k
    logits = torch.randn(n, k, generator=generator) + 3 * torch.nn.functional.one_hot(y, k)
    logits[:, -1] = -9
    x = torch.arange(n).float()[:, None, None, None].expand(n, 1, 4, 4) / 255
    write_predictions(folder, Table(logits), list(zip(x.split(50), y.split(50))), classes)
    return y.tolist(), logits.argmax(1).tolist()


def test_the_table_of_the_classes_is_that_of_scikit_learn(tmp_path):
    y, predicted = classified(make_run(tmp_path / "a"), ["a", "b", "c", "d"])
    classes = classifier_section(tmp_path / "a")
    expected = precision_recall_fscore_support(y, predicted, labels=range(4), zero_division=math.nan)
    found = {row.name: (row.precision, row.recall, row.f1, row.count) for row in classes.rows}
    for i, name in enumerate("abcd"):
        precision, recall, f1, count = (column[i] for column in expected)
        assert found[name] == pytest.approx((precision, recall, f1, count), nan_ok=True)
    assert classes.rows[0].name == "d"
    assert [row.f1 for row in classes.rows] == sorted(row.f1 for row in classes.rows)
    assert classes.confusion.tolist() == confusion_matrix(y, predicted).tolist()
    assert classes.wrong == sum(a != b for a, b in zip(y, predicted))
    matrix = confusion_matrix(y, predicted)
    names = "abcd"
    for true, taken, count, share in classes.confused:
        assert count == matrix[names.index(true), names.index(taken)]
        assert share == pytest.approx(count / matrix[names.index(true)].sum())
    assert [c[2] for c in classes.confused] == sorted((c[2] for c in classes.confused), reverse=True)
    assert classifier_section(tmp_path) is None


def test_a_classifiers_page_shows_classes_confusions_and_mistakes(tmp_path):
    folder = make_run(tmp_path / "a", "lenet/mine")
    y, predicted = classified(folder, ["cat", EVIL, "dog", "owl"])
    root = page(folder)
    assert not list(root.iter("script"))
    table = cells(root.xpath("//section[h3='Classes, the worst first']/table")[0])
    assert next(iter(table)) == "owl"
    assert table["owl"] == ["–", "0.000", "0.000", "50"]
    assert EVIL in table
    heat = root.xpath("//table[starts-with(@class, 'heat')]")[0]
    rows = [[int(words(td) or 0) for td in row.findall("td")] for row in heat.xpath("./tbody/tr")]
    assert rows == confusion_matrix(y, predicted).tolist()
    assert [th.get("title") for th in heat.xpath("./thead//th")] == ["cat", EVIL, "dog", "owl"]
    mistakes = root.xpath("//ul[@class='mistakes']/li")
    record = json.loads((folder / "evaluation" / "predictions.json").read_text())
    assert len(mistakes) == len(record["mistakes"]) > 5
    names = record["classes"]
    for li, i in zip(mistakes, record["mistakes"]):
        assert (
            words(li) == f"{names[y[i]]} , taken for {names[predicted[i]]} "
            f"probability {record['probability'][i]:.3f}, no. {i}"
        )
        assert embedded(li.find("img")).convert("L").getpixel((0, 0)) == i
        assert embedded(li.find("img")).convert("L").getextrema() == (i, i)
    assert (
        f"{sum(a != b for a, b in zip(y, predicted))} of 200 held-out examples are classified wrongly."
        in words(root)
    )


def test_a_matrix_of_many_classes_is_numbered_and_of_too_many_is_left_out(tmp_path):
    classified(many := make_run(tmp_path / "a", "signs/mine"), [f"sign {i}" for i in range(43)])
    heat = page(many).xpath("//table[@class='heat']")[0]
    assert [words(th) for th in heat.xpath("./thead//th")] == [str(i) for i in range(1, 44)]
    assert words(heat.xpath("./tbody/tr/th")[42]) == "43 sign 42"
    classified(more := make_run(tmp_path / "b" / "b", "letters/mine"), [f"letter {i}" for i in range(61)])
    root = page(more)
    assert not root.xpath("//table[starts-with(@class, 'heat')]")
    assert root.xpath("//h3[.='Most frequent confusions']")


@pytest.mark.parametrize(
    "change",
    [
        {"y": [0, 9]},
        {"y": [0, -1]},
        {"predicted": [0]},
        {"probability": ["x", 1]},
        {"mistakes": [7]},
        {"y": [], "predicted": []},
    ],
)
def test_damaged_predictions_are_refused(tmp_path, change):
    folder = make_run(tmp_path / "a")
    record = {
        "classes": ["a", "b"],
        "y": [0, 1],
        "predicted": [1, 1],
        "probability": [0.5, 0.5],
        "mistakes": [0],
    }
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "predictions.json").write_text(json.dumps(record))
    assert classifier_section(folder).wrong == 1
    (folder / "evaluation" / "predictions.json").write_text(json.dumps(record | change))
    with pytest.raises(ValueError, match=r"predictions.json is not a record of predictions"):
        classifier_section(folder)


# what a stranger's folder says


def test_nothing_that_a_folder_says_becomes_markup(tmp_path):
    evil = DIGITS | {"name": EVIL, "classes": [EVIL, "b"]}
    rows = [
        {"step": i, "seconds": float(i), EVIL: 1.0 * i, f"eval/{EVIL}": 1.0 * i, "eval/$x^$": 1.0 * i}
        for i in (1, 2, 3)
    ]
    folders = [
        make_run(
            tmp_path / name,
            f"{name}{EVIL}",
            rows=rows,
            sources=(evil,),
            method=EVIL,
            about=EVIL,
            command=EVIL,
            hardware=EVIL,
            commit=EVIL,
            expect=EVIL,
            published={EVIL: 1.0},
            source=EVIL,
            target={EVIL: [">=", 1.0]},
            arguments={EVIL: EVIL, "n": name},
            versions={EVIL: EVIL},
        )
        for name in "ab"
    ]
    for shown in ([folders[0]], folders):
        root = page(*shown)
        assert not list(root.iter("script"))
        assert EVIL in words(root)
        assert not [a for element in root.iter() for a in element.attrib if a.startswith("on")]


def test_the_page_stands_alone(tmp_path):
    folder = make_run(tmp_path / "a")
    write_samples(folder / "samples" / "0000050", torch.zeros(4, 1, 8, 8))
    root = page(folder)
    assert all(src.startswith("data:image/png;base64,") for src in root.xpath("//@src"))
    assert not root.xpath("//link | //iframe | //object | //embed | //@href[starts-with(., 'http')]")
    assert "url(" not in root.findtext(".//style")
    assert root.xpath("//meta[@name='viewport']")


def test_every_cell_of_a_stacked_table_says_what_it_is(tmp_path):
    root = page(*seeds(tmp_path, 2), *seeds(tmp_path, 2, "gan/digits"))
    stacked = root.xpath("//table[contains(@class, 'stack')]//td")
    assert stacked
    assert all(td.get("data-label") or "whole" in td.get("class", "") for td in stacked)


# drawings


def test_a_drawing_takes_the_colours_of_the_page_and_has_no_title_or_legend():
    lines = [line("a", [([1.0, 2.0], [3.0, 4.0])], 0), line("b", [([1.0, 2.0], [3.0, 1.0])], 9)]
    drawing = str(chart(lines, 'a "quoted" <label>', goal=(">=", 3.5)))
    assert "#0a0c" not in drawing
    assert {"var(--c0)", "var(--c1)", "var(--soft)", "var(--line)"} <= {
        f"var({v.partition(')')[0]})" for v in drawing.split("var(")[1:]
    }
    root = html.fromstring(drawing)
    assert root.get("aria-label").startswith(
        'a "quoted" <label>: a goes from 3 to 4 in 2 seconds; b goes from 3 to 1 in 2 seconds'
    )
    texts = [words(t) for t in root.iter("text")]
    assert texts[-1] == "seconds of training" or "seconds of training" in texts
    assert all(
        t.replace("−", "-").replace(".", "").lstrip("-").isdigit()
        for t in texts
        if t != "seconds of training"
    )


def test_two_drawings_of_one_page_share_no_ids():
    lines = [line("a", [([1.0, 2.0], [3.0, 4.0])])]
    first, second = (
        set(html.fromstring(str(chart(lines, label))).xpath("//clipPath/@id | //clippath/@id"))
        for label in ("one", "two")
    )
    assert first
    assert not first & second


def test_early_values_do_not_dwarf_the_rest():
    from deepcanon.report.charts import limits

    low, high = limits(
        [line("loss", [([float(i) for i in range(100)], [1e6, 1e5] + [1.0 + 0.01 * i for i in range(98)])])],
        None,
    )
    assert high < 3
    assert low < 1.0 < 1.97 < high
    assert limits([line("loss", [([0.0, 1.0], [5.0, 5.0])])], None) == (4.75, 5.25)
    assert limits([line("loss", [([0.0, 1.0], [5.0, 6.0])])], (">=", 10.0))[1] > 10


# what the names mean


def test_every_number_of_the_committed_results_is_explained():
    results = [
        json.loads(path.read_text())
        for path in sorted(Path(catalogue.PACKAGE).parents[1].glob("results/**/*.json"))
    ]
    named = {
        name
        for result in results
        if "summary" in result
        for name in [*result["summary"], *result.get("target", {})]
    }
    assert len(named) > 50
    assert sorted(name for name in named if not explain(name).phrase) == []


def test_every_metric_of_every_method_is_explained():
    names = set()
    for path in sorted(catalogue.PACKAGE.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name == "metrics":
                given = [
                    node.value
                    for node in ast.walk(function)
                    if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
                ]
                names |= {
                    key.value for entries in given for key in entries.keys if isinstance(key, ast.Constant)
                }
    assert {"accuracy", "nll", "elbo", "mse"} <= names
    weight = {"weight"}  # how much an example counts, no measurement
    assert sorted(name for name in names - weight if not explain(name).phrase) == []


def test_every_target_of_every_recipe_is_explained():
    names = {
        name
        for recipe in catalogue.recipes().values()
        for preset in recipe.form.presets
        for name in preset.target
    }
    assert names
    assert sorted(name for name in names if not explain(name).phrase) == []


def test_directions_and_units():
    better = {
        name: explain(name).better
        for name in ("accuracy", "nll", "frechet_distance", "return", "modes", "entropy")
    }
    assert better == {
        "accuracy": "up",
        "nll": "down",
        "frechet_distance": "down",
        "return": "up",
        "modes": "up",
        "entropy": None,
    }
    assert (explain("accuracy").arrow, explain("nll").arrow, explain("entropy").arrow) == ("↑", "↓", "")
    assert explain("nll").text == "negative log-likelihood of held-out data, in nats"
    assert explain("generator/l1") == explain("l1") == METRICS["l1"]
    assert explain("nonsense") == ("", None, "")


def test_phrases_are_plain_and_short():
    for name, metric in METRICS.items():
        assert 10 <= len(metric.phrase) <= 95, name
        assert metric.phrase[0] != metric.phrase[0].upper() or metric.phrase.startswith(
            ("Kullback", "Frechet", "Wasserstein")
        ), name
        assert not metric.phrase.endswith("."), name


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            {"sources": [{"kind": "text", "name": "pydoc", "count": 5000, "vocabulary": list("abc")}]},
            "5,000 tokens; 3 different tokens",
        ),
        (
            {"sources": [{"kind": "images", "name": "x", "shape": [3, 32, 24], "count": 7}]},
            "7 images; 32×24 pixels, colour",
        ),
        (
            {"sources": [{"kind": "points", "name": "x", "shape": [2], "count": 7, "classes": ["0"]}]},
            "7 points; 2 numbers each; 1 classes",
        ),
        (
            {"sources": [], "data": {"images:digits:train": {"shape": [1, 8, 8], "count": 9}}},
            "9 images; 8×8 pixels, grey",
        ),
        ({"data": {"mixed": {"sources": [{"count": 3, "shape": [2, 2]}]}}}, "3 examples; 2×2 numbers each"),
    ],
)
def test_data_are_described_in_a_line(call, line):
    assert data_of(call)[0].text == line


def test_many_class_names_are_cut():
    assert (
        data_of({"sources": [{"name": "x", "classes": [str(i) for i in range(100)]}]})[0].classes[-1] == "…"
    )


# notebooks


def test_a_run_in_a_notebook_is_a_table_with_a_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = make_run(tmp_path / f"runs {EVIL.replace('/', '')}" / "a")
    run = Run(
        torch.nn.Linear(1, 1),
        {"elbo": -25.0, "loss": 25.0, EVIL: 1.0},
        VAE_ROWS,
        seconds=2.5,
        steps=50,
        folder=folder,
    )
    root = html.fromstring(run_html(run))
    assert not root.xpath("//a | //script")
    write_report([folder], folder / "report.html")
    root = html.fromstring(run_html(run))
    assert not root.xpath("//script")
    rows = {words(tr.find("th")): [words(td) for td in tr.findall("td")] for tr in root.iter("tr")}
    assert rows["elbo"] == ["-25 ↑", "lower bound of the log-likelihood of held-out data, in nats"]
    assert rows["loss"] == ["25", "what training minimises"]
    assert rows[EVIL] == ["1", ""]
    from urllib.parse import unquote

    link = root.xpath("//a")[0]
    assert Path(unquote(link.get("href"))).resolve() == folder / "report.html"
    assert "Linear : 50 steps in 2.5 s" in words(root)
    assert run._repr_html_() == run_html(run)


def test_a_run_without_folder_has_no_link():
    assert "<a" not in run_html(Run(torch.nn.Linear(1, 1), {"loss": 1.0}))
