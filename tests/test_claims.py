"""The claims: how they are read, run, recorded, asked and shown; `tests/claims/` tests what they say."""

import ast
import builtins
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepcanon import cli
from deepcanon.claims import Finding, experiment, index, page
from deepcanon.claims.experiment import above, below, claim, every, over_seeds

ROOT = Path(__file__).parents[1]
KNOWN = index.statements()


@pytest.fixture
def run(capsys):
    """Run a command in this process: (status, stdout, stderr)."""
    def command(*words):
        status = cli.main(["claims", *words])
        return status, *capsys.readouterr()

    return command


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Statements read from a file of the test's own."""
    def write(text: str) -> dict[str, index.Statement]:
        (tmp_path / "area.py").write_text(text, encoding="utf-8")
        index.statements.cache_clear()
        return index.statements()

    monkeypatch.setattr(index, "FOLDER", tmp_path)
    yield write
    monkeypatch.undo()
    index.statements.cache_clear()


# reading

ONE = '''@claim("C-900", answer="no")
def f():
    """Two is
    odd.

    By
    division.
    """
'''


def test_a_statement_is_read_from_its_source(source):
    expected = index.Statement("C-900", "Two is odd.", "By division.", "no", "area", "f", 2)
    assert source(ONE) == {"C-900": expected}


@pytest.mark.parametrize(("text", "message"), [
    (ONE.replace('"C-900"', "ID"), r"area\.py:2: @claim takes one id and an answer, both literals"),
    (ONE.replace("C-900", "900"), r"2: expected @claim\('C-123', answer=\.\.\.\) with one of yes, no"),
    (ONE.replace('"no"', '"maybe"'), "with one of yes, no, contested"),
    (ONE.replace("answer", "reply"), "with one of yes, no, contested"),
    (ONE.replace("odd.", "odd"), "expected a docstring of the statement, one sentence, an empty line"),
    (ONE.replace("By\n    division.\n", ""), "and how it is checked"),
    (ONE + ONE.replace("f()", "g()"), r"area\.py:10: C-900 is also the id of f"),
])
def test_a_source_that_is_no_statement_is_refused(source, text, message):
    with pytest.raises(ValueError, match=message):
        source(text)


def test_statements_are_in_order_and_every_one_is_tested_and_recorded():
    assert list(KNOWN) == sorted(KNOWN)
    files = (ROOT / "tests" / "claims").glob("test_*.py")
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    named = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert not KNOWN.keys() - named, "no test in tests/claims/ names these"
    assert not [id for id in KNOWN if index.record(id) is None]
    assert not {file.stem for file in (ROOT / "results" / "claims").glob("*.json")} - KNOWN.keys()


def test_ids_and_areas_choose_each_statement_once():
    first, second = list(KNOWN)[:2]
    area = KNOWN[first].area
    assert [s.id for s in index.chosen([second.lower(), first, second])] == [second, first]
    assert [s.id for s in index.chosen([area])] == [s.id for s in KNOWN.values() if s.area == area]
    assert [s.id for s in index.chosen([first, "all"])] == list(KNOWN)


def test_listing_asking_and_helping_import_no_torch():
    words = [["claims"], ["claims", "--help"], ["claims", "--quiz"], ["claims", "--quiz", "optimization"]]
    code = (f"import sys; from deepcanon import cli; assert [cli.main(w) for w in {words!r}] == [0] * 4; "
            "assert 'torch' not in sys.modules and 'numpy' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# findings

def test_a_finding_has_a_verdict():
    assert [Finding({"x": 1.0}, holds).verdict for holds in (True, False, None)] == list(index.VERDICTS)


@pytest.mark.parametrize(("build", "message"), [
    (lambda: Finding({"x": float("nan")}, True), "expected finite numbers"),
    (lambda: Finding({"x": 1.0}, True, intervals={"x": (0.0, float("inf"))}), "expected finite numbers"),
    (lambda: Finding({"x": 1.0}, 1), "expected holds to be True, False or None, got 1"),
    (lambda: Finding({"x": 1.0}, True, intervals={"y": (0.0, 1.0)}), "of numbers that were not measured: y"),
])
def test_a_finding_that_is_none_is_refused(build, message, monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        build()


def test_seeds_give_a_mean_and_students_interval():
    import torch

    means, ends = over_seeds(lambda seed: {"seed": float(seed), "draw": torch.rand(()).item()})
    assert means["seed"] == 2
    half = 2.776445 * (2.5 / 5) ** 0.5                                 # t_{0.975, 4}, s^2 = 2.5
    assert ends["seed"] == pytest.approx((2 - half, 2 + half), abs=1e-5)
    draws = []
    for seed in range(5):
        torch.manual_seed(seed)
        draws.append(torch.rand(()).item())
    assert means["draw"] == pytest.approx(sum(draws) / 5)


def test_an_interval_decides_or_does_not():
    assert [above((1.0, 2.0), level) for level in (0.5, 1.5, 2.5)] == [True, None, False]
    assert [below((1.0, 2.0), level) for level in (0.5, 1.5, 2.5)] == [False, None, True]
    assert [every(True, True), every(True, None), every(None, False)] == [True, None, False]


def test_an_experiment_starts_from_one_seed_and_is_quiet():
    import torch

    from deepcanon.engine.run_options import current_options

    @claim("C-900", answer="yes")
    def draw() -> Finding:
        how = current_options()
        return Finding({"draw": torch.rand(()).item()}, how.quiet and how.device == "cpu")

    torch.manual_seed(5)
    assert draw() == draw()
    assert draw().holds


# the command

def test_the_list_has_every_statement_and_its_verdict(run):
    status, out, err = run()
    assert (status, err) == (0, "")
    lines = out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(KNOWN)
    for line, statement in zip(lines, KNOWN.values()):
        assert statement.text in line
        assert f"  {index.record(statement.id)['verdict']}  " in line


def test_one_statement_is_shown_measured_and_recorded(run, tmp_path):
    status, out, err = run("c-013", "--record", "--out", str(tmp_path))
    assert (status, err) == (0, "")
    assert out.startswith(f"C-013  {KNOWN['C-013'].text}\n")
    assert out.index("in units of the rate") < out.index("verdict")
    path = tmp_path / "C-013.json"
    for words in ("verdict +refuted", "course +true", "uncorrected +3.162", f"record +{path}"):
        assert re.search(f"^{words}$", out, re.MULTILINE)
    record = json.loads(path.read_bytes())
    assert record.keys() == {"id", "statement", "area", "answer", "verdict", "measured", "intervals", "note",
                             "seconds", "cpu_seconds", "command", "date", "versions", "commit", "hardware"}
    assert (record["verdict"], record["measured"]["corrected"]) == ("refuted", pytest.approx(1))


def test_intervals_stand_beside_their_numbers():
    record = {"measured": {"gain": 0.5, "steps": 12_345.6, "same": 1.0}, "note": "So it is.",
              "intervals": {"gain": [0.25, 0.75], "same": [1.0, 1.0]}}
    assert index.numbers(record) == {"gain": "0.5 (0.25 to 0.75)", "steps": "12,346", "same": "1"}
    assert page.measured(record) == "gain = 0.5 (0.25 to 0.75); steps = 12,346; same = 1. So it is."


def test_several_are_counted_and_one_that_fails_does_not_stop_the_others(run, monkeypatch):
    right = experiment.measure

    def measure(id: str):
        if id == "C-005":
            raise RuntimeError("no\nluck")
        return right(id)

    status, out, err = run("C-013", "C-006")
    assert (status, out.splitlines()[-1]) == (0, "2 refuted.")
    monkeypatch.setattr(experiment, "measure", measure)
    status, out, err = run("C-013", "C-005", "C-049")
    assert (status, err) == (1, "deepcanon: C-005 failed: RuntimeError: no luck\n")
    assert out.splitlines()[-1] == "1 confirmed, 1 refuted, 1 failed."
    status, out, err = run("C-005")
    assert (status, err.count("\n")) == (1, 1)
    assert "RuntimeError: no luck; raised in " in err


@pytest.mark.parametrize(("words", "message"), [
    (["C-13"], "no claim or area 'C-13'; did you mean 'C-013'?"),
    (["optimisation"], "no claim or area 'optimisation'; did you mean 'optimization'?"),
    (["qqqq"], "no claim or area 'qqqq'; see deepcanon claims"),
    (["--record"], "claims: --record needs the ids or areas to measure, and no --quiz"),
    (["C-013", "--record", "--quiz"], "claims: --record needs the ids or areas to measure, and no --quiz"),
])
def test_mistakes_are_one_line(run, words, message):
    assert run(*words) == (2, "", f"deepcanon: {message}\n")


def test_a_quiz_in_a_pipe_tells_no_verdict(run):
    status, out, _ = run("--quiz", "C-013", "C-012")
    assert (status, out) == (0, f"C-013  {KNOWN['C-013'].text}\n\nC-012  {KNOWN['C-012'].text}\n\n")


def test_a_quiz_asks_and_tells_after_the_answer(run, monkeypatch):
    replies, prompts = iter(["t", "True", "", "q"]), []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return next(replies)

    monkeypatch.setattr(builtins, "input", ask)
    monkeypatch.setattr("deepcanon.cli.claims.on_terminal", lambda: True)
    status, out, _ = run("--quiz", "C-013", "C-012", "C-006", "C-011", "C-010")
    assert (status, len(prompts)) == (0, 4)
    assert out.count("refuted") == 2                                   # C-013 and C-006
    assert out.count("confirmed") == 1
    assert KNOWN["C-011"].text in out
    assert KNOWN["C-010"].text not in out
    assert out.splitlines()[-1] == "1 of 2 as measured."


def test_a_quiz_ends_with_its_input_and_counts_what_is_decided(run, monkeypatch):
    replies = iter(["t"])

    def ask(prompt: str) -> str:
        try:
            return next(replies)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(builtins, "input", ask)
    monkeypatch.setattr("deepcanon.cli.claims.on_terminal", lambda: True)
    undecided = index.record("C-013") | {"verdict": index.OPEN}
    monkeypatch.setattr(index, "record", lambda id: undecided)
    status, out, err = run("--quiz", "C-013", "C-012", "C-006")
    assert (status, err) == (0, "")
    assert index.OPEN in out
    assert "as measured" not in out
    assert KNOWN["C-006"].text not in out


# the page

def test_the_page_is_made_from_the_records():
    text = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert page.START + page.table() + "\n" + page.END in text


def test_the_page_keeps_what_is_around_the_tables(tmp_path):
    file = tmp_path / "claims.md"
    file.write_text(f"# Before\n{page.START}old\n{page.END}\nafter\n", encoding="utf-8")
    page.write_page(file)
    assert file.read_text(encoding="utf-8") == f"# Before\n{page.START}{page.table()}\n{page.END}\nafter\n"
    file.write_text("# Before\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no place for the verdicts"):
        page.write_page(file)
