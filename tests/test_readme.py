"""What the README and the pages beside it say is so."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepcanon import catalogue, cli
from deepcanon.cli.compare import add_launch_options, separate
from deepcanon.cli.flags import Parser, add_run_options, recipe_parser
from deepcanon.data import images
from deepcanon.nets.lenet import LeNet
from deepcanon.proofs import DOZEN, table
from deepcanon.vision import Classifier

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")}


def block(title: str) -> str:
    """The Python code below a heading."""
    return re.search(rf"## {title}\n\n```python\n(.*?)```", README, re.DOTALL).group(1)


def test_the_three_lines_run_on_a_folder_of_pictures(workplace, capsys):
    rng = np.random.default_rng(0)
    for k, name in enumerate(("cat", "dog")):
        (workplace / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 90, (20, 24, 3), dtype=np.uint8)
            pixels[..., k] += 120
            Image.fromarray(pixels).save(workplace / "photos" / name / f"{i}.png")
    code = block("Your own data in three lines").replace('resnet("./photos")', 'resnet("./photos", steps=4)')
    assert "steps=4" in code
    exec(code, {})
    assert "Classifier" in capsys.readouterr().out


def test_the_ten_lines_run(workplace, capsys):
    names: dict = {}
    exec(block("Ten lines"), names)
    assert names["pictures"].shape == (16, 1, 8, 8)
    assert names["run"].results["accuracy"] > 0.9
    assert "accuracy" in capsys.readouterr().out


def test_the_best_weights_are_kept_as_is_shown(workplace):
    code = re.search(r"```python\n(.*?)```", PAGES["runs.md"], re.DOTALL).group(1)
    method, batches, held_out = Classifier(LeNet()), images("digits", size=28), images("digits", split="test", size=28)
    names = {"method": method, "batches": batches, "held_out": held_out}
    exec(code.replace("epochs=50", "epochs=1").replace("evaluate_every=200", "evaluate_every=4"), names)
    assert names["run"].results["accuracy"] == max(row.get("eval/accuracy", 0) for row in names["run"].history)


def test_the_tables_of_proofs_are_made_from_the_records():
    assert table(ROOT / "results") in PAGES["results.md"]
    assert table(ROOT / "results", DOZEN) in README


def test_the_commands_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^    make (\w+)", README, re.MULTILINE)) <= targets


COMMANDS = sorted({line.split("  ")[0].strip() for text in (README, *PAGES.values())
                   for line in re.findall(r"^    (deepcanon .*)$", text, re.MULTILINE)})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_is_understood(command):
    verb, *words = shlex.split(command)[1:]
    assert verb in cli.VERBS
    if verb == "train":
        recipe = catalogue.recipe(words.pop(0))
        recipe_parser(recipe).parse([word for word in words if word])
    if verb in ("compare", "prove"):
        parser = Parser(verb, "", "")
        parser.add_argument("names", nargs="+")
        parser.add_argument("--seeds")
        add_run_options(parser)
        add_launch_options(parser)
        own, values = separate(words, parser)
        for name in parser.parse(own).names:
            assert values.keys() <= catalogue.recipe(name).form.defaults.keys(), name


def test_links_lead_somewhere():
    for name, text in {"README.md": README, **PAGES}.items():
        home = ROOT if name == "README.md" else ROOT / "docs"
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert link.startswith("http") or (home / link).exists(), f"{name}: {link}"
