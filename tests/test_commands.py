"""Printed commands: pasted into a shell, each makes the call again and nothing else, whatever the values hold."""

import html
import io
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from deepcanon import catalogue, cli, comparison, proofs, runs
from deepcanon.catalogue import choices_of
from deepcanon.cli.flags import split_union
from deepcanon.commands import flag_words, reading_words, resume_line
from deepcanon.data.kinds import KINDS
from deepcanon.data.source import current_reading, reading
from deepcanon.engine import Adam, fit, options
from deepcanon.engine.log import Log
from deepcanon.engine.record import as_markdown, card, command
from deepcanon.engine.run_options import current_options
from deepcanon.grammar import resolve
from deepcanon.report import groups_of, write_report
from tests.engine.shapes import build

NASTY = [
    "x;touch PWNED",
    "a b",
    "a  b",
    "it's",
    '"q"',
    "$(touch PWNED)",
    "`touch PWNED`",
    "-x",
    "--seed",
    "--seed=3",
    "line\nbreak",
    "ünï",
    "*",
    "~",
    "#c",
    "\\",
    "a|b",
    "<script>",
    "size=28",
    "&& touch PWNED",
    "!1",
    "%s",
    "{x}",
    "./ x",
]
RECIPES = catalogue.recipes()


@pytest.fixture
def again(monkeypatch):
    """What the command line makes of a line: the call of `train`, with what is in force around it."""

    def call(line):
        words, found = shlex.split(line), []

        def train(name, arguments, budget=""):
            found.append((name, arguments, budget, current_reading(), current_options()))
            raise SystemExit(0)

        monkeypatch.setattr(runs, "train", train)
        assert words[0] == "deepcanon"
        assert cli.main(words[1:]) == 0, line
        return found[0]

    return call


def values_of(parameter):
    """Values of an argument that are not its default, at least one of each type that it has."""
    kinds, default = split_union(parameter.type), parameter.default
    found = [not eval(default)] if kinds == ["bool"] else []
    for kind in kinds:
        found += {
            "int": [3, 1_000_000],
            "float": [-1e-05, 1e300, 0.1, 7.0],
            "str": NASTY,
            "None": [None],
        }.get(kind, [])
        found += NASTY if kind in KINDS else list(choices_of(kind))
    return [value for value in found if repr(value) != default]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_printed_call_of_a_recipe_is_understood_as_the_same_call(again, recipe):
    values = {p.name: values_of(p) for p in recipe.parameters if p.name != "seed"} | {"seed": [3, -1]}
    for i in range(max(map(len, values.values()))):
        given = {name: some[i % len(some)] for name, some in values.items() if some}
        line = command(resolve(recipe.form, given))
        name, arguments, budget, read, _ = again(line)
        assert (name, arguments, budget, read) == (recipe.name, given, "", {}), line
        assert {k: type(v) for k, v in arguments.items()} == {k: type(v) for k, v in given.items()}
    for budget in filter(None, recipe.form.budgets):
        data = next(p.data for p in recipe.form.presets if p.budget == budget)
        assert again(command(resolve(recipe.form, {recipe.form.data: data}, budget)))[:3] == (
            recipe.name,
            {recipe.form.data: data},
            budget,
        )


def test_what_is_in_force_around_a_call_is_printed_and_read_again(again):
    how = {
        "separator": ";",
        "decimal": ",",
        "missing": ["none", "a,b", "?", ""],
        "types": {"zip, code": "category", "n": "number"},
        "names": ['say "x"', "y"],
        "encoding": "latin-1",
        "skip_unreadable": True,
        "channels": 1,
    }
    call = resolve(RECIPES["mlp"].form, {"data": "my;file.csv"})
    with reading(**how), options(minutes=1.5, start_from=Path("runs/it's")):
        line = command(call)
    name, arguments, _, read, chosen = again(line)
    assert (name, arguments, read) == ("mlp", {"data": "my;file.csv"}, how)
    assert (chosen.minutes, chosen.start_from) == (1.5, Path("runs/it's"))
    assert "--read" not in command(call)
    assert reading_words({"skip_unreadable": False}) == []


def test_no_value_of_a_printed_line_is_run_by_a_shell(tmp_path):
    (tmp_path / "deepcanon").write_text("#!/bin/sh\nprintf '%s\\n--\\n' \"$@\"\n")
    (tmp_path / "deepcanon").chmod(0o755)
    form = RECIPES["vae"].form
    lines = [
        line
        for text in NASTY
        for line in (command(resolve(form, {"data": text})), resume_line(text), resume_line(f"runs/{text}"))
    ]
    done = subprocess.run(
        ["sh", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert {p.name for p in tmp_path.iterdir()} == {"deepcanon"}
    words = done.stdout.split("\n--\n")[:-1]
    expected = [
        word
        for text in NASTY
        for word in (
            "train",
            "vae",
            *flag_words("data", text),
            "resume",
            f"./{text}" if text.startswith("-") else text,
            "resume",
            f"runs/{text}",
        )
    ]
    assert words == expected


def test_a_folder_of_any_name_is_named_so_that_it_can_be_gone_on_with(workplace, capsys):
    for folder in ("x;touch PWNED", "it's size=28", "a  b"):
        assert (
            cli.main(["train", "mlp", "--data", "iris", "--steps", "1", "--quiet", "--folder", folder]) == 0
        )
        capsys.readouterr()
        assert (
            cli.main(["train", "mlp", "--data", "iris", "--steps", "1", "--quiet", "--folder", folder]) == 1
        )
        line = capsys.readouterr().err.strip().partition("continue it with: ")[2]
        assert shlex.split(line) == ["deepcanon", "resume", folder]
    with pytest.raises(SystemExit), comparison.continued(Path("x;touch PWNED")):
        raise SystemExit(143)
    assert shlex.split(capsys.readouterr().err.partition("with: ")[2]) == [
        "deepcanon",
        "resume",
        "x;touch PWNED",
    ]


def test_card_and_report_hold_the_line_that_makes_the_run_again(workplace, again, capsys):
    name = "a;touch PWNED `x` <script>.csv"
    Path(name).write_text("a;y\n" + "".join(f"{i % 7};{'no' if i % 2 else 'yes'}\n" for i in range(60)))
    words = [
        "train",
        "mlp",
        "--data",
        name,
        "--steps",
        "2",
        "--read",
        "separator=;",
        "--folder",
        "run",
        "--minutes",
        "1",
    ]
    assert cli.main(words) == 0
    text = Path("run/card.md").read_text()
    line = re.search(r"^```sh\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)[1]
    page = html.unescape(
        re.search(r"<pre>(deepcanon.*?)</pre>", Path("run/report.html").read_text(), re.DOTALL)[1]
    )
    assert page == line
    recipe, arguments, _, read, chosen = again(line)
    assert (recipe, arguments, read, chosen.minutes) == (
        "mlp",
        {"data": name, "steps": 2},
        {"separator": ";"},
        1,
    )
    assert "<script>" not in text.replace(line, "")
    assert "<script>" not in Path("run/report.html").read_text()


@pytest.mark.parametrize("flag", [True, False])
def test_the_record_of_a_proof_holds_the_line_that_proves_it_again(workplace, monkeypatch, flag):
    data = "deepcanon train; 'x'"
    call = resolve(RECIPES["vae"].form, {"data": data})
    made = {"versions": {}, "commit": "", "hardware": ""}
    record = proofs.summary(call, [{"seed": 0, "results": {"elbo": 1.0}, "seconds": 1.0}], made)
    found = []

    def prove(name, seeds, budget, **how):
        found.append((name, seeds, budget, how["data"]))
        raise SystemExit(0)

    monkeypatch.setattr(proofs, "prove", prove)
    assert cli.main(shlex.split(record["command"])[1:]) == 0
    assert found == [("vae", 1, "", data)]
    given = {"data": "digits", "muon": flag}
    words = shlex.split(command(resolve(RECIPES["pixelcnn"].form, given)).replace("train", "prove"))
    assert words[-1] == ("--muon" if flag else "--no-muon")


def test_truth_values_are_flags_of_a_comparison_too(monkeypatch):
    found = []
    monkeypatch.setattr(
        comparison, "compare", lambda names, values, **how: found.append(values) or Path("report.html")
    )
    for words in ("--muon --width 4 8", "--no-muon --width 4 8", "--muon true no --width 4 8"):
        assert cli.main(["compare", "pixelcnn", *words.split()]) == 0
    assert [values["muon"] for values in found] == [[True], [False], [True, False]]


# what a run says of itself, in Markdown, HTML and on a terminal

NAMES = [
    "$\\frac{a$",
    "[/bold]",
    "<script>alert(1)</script>",
    "a|b",
    "{{7*7}}",
    "`x`",
    "**b**",
    "__init__",
    "&lt;",
    "a_b",
]


def test_names_of_numbers_are_escaped_wherever_they_are_shown(workplace, capsys, monkeypatch):
    method, data = build("vae")

    def numbers(_):
        return {name: float(i) for i, name in enumerate(NAMES)}

    for folder in ("one", "two"):
        fit(method, data, Adam(1e-3), steps=3, evaluate=[numbers], evaluate_every=1, folder=folder)
    text = Path("one/card.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert "<script>" not in text
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [3] * len(rows)
    for shown in (
        "\\$\\\\frac{a\\$",
        "\\[/bold\\]",
        "a\\|b",
        "\\`x\\`",
        "\\*\\*b\\*\\*",
        "\\_\\_init\\_\\_",
        "&amp;lt;",
        "| a_b |",
    ):
        assert shown in text
    page = write_report([Path("one"), Path("two")], Path("report.html")).read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    comparison.print_table(groups_of([Path("one"), Path("two")]))
    printed = capsys.readouterr().out
    assert "[/bold]" in printed
    assert "<script>" in printed.replace("\n", "")


def test_the_bar_shows_a_loss_of_any_name(monkeypatch):
    bars = []
    monkeypatch.setattr("deepcanon.engine.log.sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(
        "rich.progress.Progress",
        lambda *columns, **how: (
            bars.append(Progress(*columns, **how | {"console": Console(file=io.StringIO())})) or bars[-1]
        ),
    )
    method, _ = build("vae")
    for name in ("[/bold]", "[red]"):
        trainer = type("Trainer", (), {"method": method, "total": 3, "step": 1, "stop": ""})()
        log = Log()
        with log.open(trainer):
            log.add(name, next(method.parameters()).sum(), 0)
            log._draw(1)
            bars[-1].refresh()
            assert f"{name} " in "".join(str(cell) for cell in log._shown())


def test_a_card_of_any_command_keeps_it_whole():
    line = "deepcanon train mlp --data 'a\n```\nb'"
    call = {
        "method": "M",
        "recipe": "mlp",
        "versions": {"deepcanon": "0", "torch": "0"},
        "commit": "c",
        "hardware": "h",
        "command": line,
        "data": {},
    }
    text = card(call, {"results": {}, "steps": 1, "seconds": 1.0})
    assert f"````sh\n{line}\n````" in text
    assert as_markdown("3 < 4 & 5 <= 6") == "3 < 4 & 5 <= 6"
