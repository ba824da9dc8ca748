"""The command line: what it prints, how fast, what it makes of mistakes."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from deepcanon import catalogue, cli, errors
from deepcanon.catalogue import Parameter, RecipeInfo
from deepcanon.cli.compare import matching
from deepcanon.cli.flags import reading_options, recipe_parser, run_options
from deepcanon.grammar import Form, at_least, preset

LOOKING = [["--help"], ["list"], ["find", "wgan-gp"], ["show", "GEN-18"], ["show", "vae"], ["list", "GEN"], ["train", "vae", "--help"],
           ["claims", "--help"]]
VERBS = list(cli.VERBS)


def deepcanon(*words, **options):
    return subprocess.run([sys.executable, "-m", "deepcanon", *words], capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.fixture
def run(capsys):
    """Run a command in this process: (status, stdout, stderr)."""
    def command(*words):
        status = cli.main(list(words))
        return status, *capsys.readouterr()

    return command


def test_looking_around_imports_no_torch_and_is_quick():
    code = (f"import sys; from deepcanon import cli; statuses = [cli.main(words) for words in {LOOKING!r}]; "
            "assert statuses == [0] * len(statuses), statuses; assert 'torch' not in sys.modules and 'numpy' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", LOOKING[:4], ids=" ".join)
def test_looking_around_takes_a_moment(words):
    def seconds():
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert deepcanon(*words).returncode == 0
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime

    assert min(seconds() for _ in range(3)) < 0.6                                      # of the processor, 0.1 to 0.2 if nothing else is at work


def test_import_deepcanon_adds_nothing_to_import_torch():
    code = ("import sys, time; began = time.perf_counter(); import deepcanon; spent = time.perf_counter() - began; "
            "assert 'torch' not in sys.modules; assert spent < 0.2, spent")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr == ""


def test_a_pattern_names_every_recipe_that_it_fits_once():
    fitting = [name for name in catalogue.recipes() if name.endswith("_vae")]
    assert len(fitting) > 2
    assert [recipe.name for recipe in matching(["gumbel_vae", "*_vae"])] == ["gumbel_vae", *(n for n in fitting if n != "gumbel_vae")]
    with pytest.raises(errors.UsageError, match="no recipe '\\*_vea'"):
        matching(["*_vea"])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(run, verb):
    status, out, err = run(verb, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: deepcanon {verb}")
    assert max(map(len, out.splitlines())) <= 100


def test_help_names_every_verb_and_fits(run):
    for words in ([], ["--help"], ["-h"], ["help"]):
        status, out, err = run(*words)
        assert (status, err) == (0, "")
        assert all(re.search(rf"^  {verb} ", out, re.MULTILINE) for verb in VERBS)
        assert max(map(len, out.splitlines())) <= 100
    assert run("--version")[1].startswith("deepcanon 0.")


@pytest.mark.parametrize(("words", "status", "message"), [
    (["lst"], 2, "no verb 'lst'; did you mean 'list'?"),
    (["qqqq"], 2, "no verb 'qqqq'; see deepcanon --help"),
    (["--vers"], 2, "no flag '--vers'; did you mean '--version'?"),
    (["list", "GAN"], 2, "no area 'GAN'; did you mean 'GEN'?"),
    (["list", "--biult"], 2, "list has no flag '--biult'; did you mean '--built'?"),
    (["find"], 2, "find: WORDS is missing; see deepcanon find --help"),
    (["find", "qqqq"], 1, "nothing is like 'qqqq'; see `deepcanon list systems`"),
    (["show", "infogna"], 1, "nothing is called 'infogna'; did you mean GEN-74 (InfoGAN) or 'infogan'?"),
    (["train"], 2, "train: NAME is missing; see deepcanon train --help"),
    (["train", "lennet"], 2, "no recipe 'lennet'; did you mean 'lenet'?"),
    (["train", "vae", "--bta", "4"], 2, "train vae has no flag '--bta'; did you mean '--beta'?"),
    (["train", "--bta=4", "vae"], 2, "train vae has no flag '--bta'; did you mean '--beta'?"),
    (["train", "vae", "--beta", "four"], 2, "train vae: --beta: expected a number, got 'four'; see deepcanon train vae --help"),
    (["train", "vae", "--steps", "1.5"], 2,
     "train vae: --steps: expected a whole number, got '1.5'; see deepcanon train vae --help"),
    (["train", "vae", "--steps"], 2, "train vae: --steps: expected one argument; see deepcanon train vae --help"),
    (["train", "vae", "4"], 2, "train vae: unexpected '4'; see deepcanon train vae --help"),
    (["train", "vae", "--device", "cdua"], 2,
     "train vae: --device: expected auto or cpu or cuda, got 'cdua'; did you mean 'cuda'?; see deepcanon train vae --help"),
    (["compare", "vae", "lennet"], 2, "no recipe 'lennet'; did you mean 'lenet'?"),
    (["compare", "vae", "glow", "--bta", "4"], 2, "vae has no argument '--bta'; did you mean 'beta'?"),
    (["compare", "vae", "--beta", "1", "two"], 2, "compare: --beta: expected a number, got 'two'"),
    (["compare", "gan", "--objective", "hing"], 2, "compare: --objective: expected non_saturating or minimax or least_squares or hinge or "
     "smoothed or wasserstein or spectral_norm or relativistic, got 'hing'; did you mean 'hinge'?"),
    (["compare", "vae"], 1, "name two methods or more to compare, or several values of one argument"),
    (["prove", "vae", "--beta", "4"], 1, "a proof is of a call that the recipe states: data, variant and budget may be chosen, not beta"),
    (["prove", "vae", "--data", "digits", "mnist"], 2, "prove holds one call to its target: give one value an argument, or --all"),
    (["train", "vae", "--budget", "huge"], 1, "vae has no budget 'huge'; it has full"),
    (["train", "vae", "--data", "mnsit"], 1, None),
    (["prove", "lennet"], 2, "no recipe 'lennet'; did you mean 'lenet'?"),
    (["resume"], 2, "resume: FOLDER is missing; see deepcanon resume --help"),
    (["data"], 2, "data: list|get|where|check is missing; see deepcanon data --help"),
    (["data", "lits"], 2, "deepcanon data has no 'lits'; did you mean 'list'?"),
    (["data", "get"], 2, "deepcanon data get needs a name; see deepcanon data --help"),
])
def test_mistakes_are_one_line_with_the_nearest_word(run, words, status, message):
    found = run(*words)
    assert found == (status, "", f"deepcanon: {message}\n") if message else found[0] == status and found[2].count("\n") == 1


@pytest.mark.parametrize("words", [["data", "get", "mnsit"], ["data", "where", "mnsit"]])
def test_misspelt_data(run, words):
    status, out, err = run(*words)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "did you mean 'mnist'?" in err


@pytest.mark.parametrize("verb", ["resume", "evaluate", "sample"])
def test_what_is_no_run_folder_is_named(run, verb, tmp_path):
    for folder, message in [(tmp_path / "nowhere", "there is no run folder"), (tmp_path, "is not a run folder")]:
        status, out, err = run(verb, str(folder))
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert message in err
        assert str(folder) in err


def test_debug_shows_the_traceback():
    for words in (["--debug", "show", "infogna"], ["show", "--debug", "infogna"], ["show", "infogna", "--debug"]):
        with pytest.raises(ValueError, match="nothing is called 'infogna'"):
            cli.main(words)
    assert "Traceback" in deepcanon("show", "infogna", "--debug").stderr
    assert "Traceback" not in deepcanon("show", "infogna").stderr


@pytest.mark.parametrize(("error", "status", "line"), [
    (ValueError("expected images,\n  got text"), 1, "expected images, got text"),
    (FileNotFoundError(2, "No such file or directory", "photos"), 1, "photos: no such file or directory"),
    (OSError(28, "could not write a.csv (No space left on device)"), 1, "could not write a.csv (No space left on device)"),
    (KeyError("no column 'price'"), 1, "no column 'price'"),
    (FloatingPointError("the loss is nan"), 1, "the loss is nan"),
    (ModuleNotFoundError("no", name="onnxruntime"), 1, "this needs onnxruntime, which is not installed: pip install 'deepcanon[export]'"),
    (ModuleNotFoundError("no", name="gymnasium.envs"), 1, "this needs gymnasium, which is not installed: pip install 'deepcanon[rl]'"),
    (errors.UsageError("no verb"), 2, "no verb"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (KeyError("loss"), 1, "KeyError: loss; this looks like a bug in deepcanon: run again with --debug for the traceback"),
    (RuntimeError("shapes"), 1, "RuntimeError: shapes; this looks like a bug in deepcanon: run again with --debug for the traceback"),
])
def test_mistakes_and_bugs_are_told_apart(capsys, error, status, line):
    assert errors.report(error) == status
    assert capsys.readouterr().err == f"deepcanon: {line}\n"


def test_exits_keep_their_status(capsys):
    assert [errors.report(SystemExit(code)) for code in (None, 0, 143, "text")] == [0, 0, 143, 1]
    assert capsys.readouterr().err == "deepcanon: text\n"


def test_a_reader_that_goes_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "deepcanon", "list", "systems"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_list_shows_every_recipe_and_every_system(run):
    _, out, _ = run("list")
    assert sorted(line.split()[0] for line in out.splitlines()[1:]) == sorted(catalogue.recipes())
    _, out, _ = run("list", "systems")
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(catalogue.entries())
    assert len(run("list", "rl")[1].splitlines()) == 36
    assert len(run("list", "systems", "--built")[1].splitlines()) == 1 + sum(bool(e.where) for e in catalogue.entries().values())


def test_show_prints_equation_paper_file_presets_and_proofs(run, monkeypatch):
    vae = catalogue.entries()["GEN-18"]._replace(where="deepcanon.vae.vae:VAE", recipe="vae")
    proof = {"summary": {"elbo": {"mean": -24.25}}, "target": {"elbo": {}}, "runs": [{}, {}, {}], "passed": True, "seconds": 12.34,
             "hardware": "a small machine", "commit": "abc1234", "date": "2026-01-01"}
    monkeypatch.setattr(catalogue, "entries", lambda: {"GEN-18": vae})
    monkeypatch.setattr(catalogue, "proof", lambda name: json.loads(json.dumps(proof)) if name == "vae/digits" else None)
    _, out, _ = run("show", "GEN-18")
    assert "log p(x)" in out                                                           # the header of vae.py
    for name, value in [("paper", "Kingma & Welling 2014, arXiv 1312.6114"), ("file", r"\S*vae/vae\.py:\d+"),
                        ("import", "from deepcanon.vae.vae import VAE"), ("method", "vae VAE of .*"), ("others", ".*iwae.*"),
                        ("digits", "elbo >= -24; within 20 s of training on two cores measured elbo -24.25; 3 seeds, "
                                   "12.34 s each on a small machine, commit abc1234, 2026-01-01"),
                        ("mnist", "elbo >= -99.* not proven yet")]:
        assert re.search(rf"^{name} +{value}", re.sub(r"\n {4,}(?=\w)", " ", out), re.MULTILINE), f"{name}:\n{out}"
    _, out, _ = run("show", "vae")
    assert re.search(r"^data +images: a known name, a path or an object$", out, re.MULTILINE)
    assert re.search(r"^arguments +--data 'digits'", out, re.MULTILINE)
    assert re.search(r"^shows +GEN-\d+ ", out, re.MULTILINE)
    assert re.search(r"^train +deepcanon train vae$", out, re.MULTILINE)


def test_flags_follow_the_signature(tmp_path):
    kinds = {"width": "int", "lr": "float", "fast": "bool", "loss_kind": "Literal['hinge', 'log']", "depth": "int | None", "data": "Images | Table"}
    defaults = {"width": 1, "lr": 0.1, "fast": True, "loss_kind": "hinge", "depth": None, "data": "digits"}
    parameters = tuple(Parameter(n, t, repr(defaults[n]), "hidden units" if n == "width" else "") for n, t in kinds.items())
    form = Form("toy", defaults, {"loss_kind": ("hinge", "log")}, (preset("digits", "full"), preset("digits", target={"accuracy": at_least(0.9)})))
    parser = recipe_parser(RecipeInfo("toy", tmp_path, 1, parameters, "A toy.", form))

    def parsed(words):
        asked = parser.parse(words)
        return vars(asked), run_options(asked), reading_options(asked)

    common = {"folder": None, "device": "auto", "quiet": False, "minutes": None, "start_from": None, "track": ()}
    assert parsed([]) == ({"budget": ""}, common, {})
    words = ["--width", "3_000", "--lr", "1e-4", "--no-fast", "--loss-kind", "hinge", "--depth", "none", "--data", "./x", "--quiet",
             "--budget", "full", "--minutes", "2", "--from", "runs/x", "--track", "tensorboard", "--skip-unreadable"]
    asked, how, read = parsed(words)
    assert asked == {"budget": "full", "width": 3000, "lr": 1e-4, "fast": False, "loss_kind": "hinge", "depth": None, "data": "./x"}
    assert how == common | {"quiet": True, "minutes": 2.0, "start_from": Path("runs/x"), "track": ("tensorboard",)}
    assert read == {"skip_unreadable": True}
    assert parsed(["--loss_kind=log", "--fast", "--depth", "2"])[0] == {"budget": "", "loss_kind": "log", "fast": True, "depth": 2}
    shown = parser.format_help()
    assert re.search(r"--width INT +hidden units \(default 1\)", shown)
    assert re.search(r"--data NAME\|PATH", shown)
    assert re.search(r"^  digits +target accuracy >= 0.9$", shown, re.MULTILINE)
    with pytest.raises(errors.UsageError, match=r"--loss-kind: expected hinge or log, got 'hing'; did you mean 'hinge'\?"):
        parser.parse(["--loss-kind", "hing"])
    with pytest.raises(errors.UsageError, match="train toy has no flag '--dat'; did you mean '--data'"):
        parser.parse(["--dat", "x"])


def test_data_tells_what_is_here(run, monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPCANON_DATA", str(tmp_path))
    (tmp_path / "tinyshakespeare.txt").write_text("not the plays")
    status, out, _ = run("data", "list")
    assert status == 0
    assert re.search(r"^digits +images +embedded ", out, re.MULTILINE)
    assert re.search(r"^tinyshakespeare +text +here ", out, re.MULTILINE)
    assert run("data", "where", "tinyshakespeare") == (0, f"{tmp_path / 'tinyshakespeare.txt'}\n", "")
    assert run("data", "where", "digits") == (0, "digits is embedded: it needs no file\n", "")
    assert run("data", "get", "digits") == (0, "digits is embedded: nothing to fetch\n", "")
    status, _, err = run("data", "get", "tinyshakespeare")
    assert status == 1
    assert "is damaged or another file" in err


def test_a_run_from_training_to_samples(run, tmp_path):
    folder = str(tmp_path / "run")
    status, out, _ = run("train", "--quiet", "vae", "--steps", "3", "--folder", folder)
    assert (status, out) == (0, f"{folder}\n")
    status, out, err = run("train", "vae", "--steps", "3", "--folder", folder)
    assert (status, err.count("\n")) == (1, 1)
    assert err.endswith(f"continue it with: deepcanon resume {folder}\n")
    status, out, _ = run("resume", folder)
    assert status == 0
    assert re.search(r"^elbo +-\d+[.\d]*$", out, re.MULTILINE), "three steps are another call than the one with a target"
    status, evaluated, _ = run("evaluate", folder)
    assert status == 0
    assert re.search(r"^elbo +-\d", evaluated, re.MULTILINE)
    status, out, _ = run("sample", folder, "--n", "4", "--out", str(tmp_path / "four.png"))
    assert status == 0
    assert (tmp_path / "four.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("python", "flags"), [
    ("'Embarked' was taken for the target: set target= to another", "'Embarked' was taken for the target: set --target to another"),
    ("leave them out with skip_unreadable=True", "leave them out with --skip-unreadable"),
    ("set encoding= if that is wrong", "set --read encoding= if that is wrong"), ("set decimal=',' or '.'", "set --read decimal=',' or '.'"),
    ("set types={'zip code': 'category'} to keep it", "set --read 'types=zip code:category' to keep it"),
    ("pass names=[...] for a file without one", "pass --read names=... for a file without one"),
    ("resized to 32 x 32 (size=, fit=)", "resized to 32 x 32 (size=, --read fit=)"), ("pass size=28", "pass --size 28"),
    ("--read separator=; is no separator", "--read separator=; is no separator"), ("my_target=3.csv", "my_target=3.csv"),
])
def test_what_a_message_tells_to_write_is_told_as_flags(python, flags):
    assert errors.as_flags(python) == flags
    assert errors.as_flags(flags) == flags


def test_a_table_is_checked_in_words_and_its_notes_are_said_once(workplace):
    rows = "".join(f"{i},{'red' if i % 3 else 'blue'},{i if i % 4 else ''},{'yes' if i % 3 else 'no'}\n" for i in range(40))
    Path("t.csv").write_text(f"id,colour,n,y\n{rows}", encoding="utf-8")
    done = deepcanon("data", "check", "t.csv", cwd=workplace)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "classes no 14, yes 26" in lines
    assert "dropped id: numbers the rows" in lines
    assert "notes the target is the column 'y'; set --target to predict another" in lines
    assert lines[-5:] == ["column read as missing different", "id left out 40", "colour category 2", "n number 10 30", "y target 2"]
    assert not any("{" in line or "null" in line for line in lines)


def test_a_folder_with_a_broken_picture_is_checked_and_the_status_says_so(workplace):
    for name in ("a", "b"):
        (workplace / "photos" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 8)).save(workplace / "photos" / name / f"{i}.png")
    assert deepcanon("data", "check", "photos", cwd=workplace).returncode == 0
    (workplace / "photos" / "a" / "x.png").write_bytes(b"no picture")
    done = deepcanon("data", "check", "photos", cwd=workplace)
    assert done.returncode == 1
    assert "leave them out with --skip-unreadable" in " ".join(done.stdout.split())
    assert "left out unreadable: a/x.png" in " ".join(done.stdout.split())


def test_an_option_of_another_kind_is_refused_where_data_are_checked(workplace):
    (workplace / "t.txt").write_text("hello there " * 50)
    assert "'t.txt' is read as text, to which --read separator= does not apply; it is of a table" in deepcanon(
        "data", "check", "t.txt", "--read", "separator=;", cwd=workplace).stderr


def test_data_and_env_are_told_apart_and_a_budget_that_is_none_is_named():
    assert "train ppo takes --env and no --data: an environment" in deepcanon("train", "ppo", "--data", "digits").stderr
    assert "train vae takes --data and no --env: data" in deepcanon("train", "vae", "--env", "CartPole-v1").stderr
    assert "mlp has no budget 'huge': it has one set of presets" in deepcanon("train", "mlp", "--budget", "huge").stderr
    assert "--budget" not in deepcanon("train", "mlp", "--help").stdout


@pytest.mark.parametrize(("given", "expected"), [({}, cli.SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)])
def test_threads_that_wait_soon_sleep_unless_the_user_has_said_how_they_wait(given, expected, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["--version"]) == 0
    assert os.environ.get("GOMP_SPINCOUNT") == expected
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)


def test_nothing_loads_torch_before_it_is_said_how_threads_wait():
    code = "import sys, deepcanon.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
