"""Runs of comparisons and proofs as commands: behind a launcher, several at once, or printed."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepcanon import cli, comparison, launching, proofs
from deepcanon.catalogue import recipe
from deepcanon.engine.run_options import options
from deepcanon.grammar import resolve

COMPARE = "compare mlp --data iris --width 4 8 --steps 5 --folder cmp"
PROVE = "prove mlp --data iris --seeds 2 --folder proof --out records"


def script(name: str, body: str) -> str:
    """A launcher in the working directory."""
    Path(name).write_text(f"#!/bin/sh\n{body}\n")
    Path(name).chmod(0o755)
    return f"{Path.cwd()}/{name}"


def command(line: str) -> int:
    return cli.main(shlex.split(line))


def test_each_run_is_a_command_behind_the_launcher(workplace, capsys):
    srun = script("srun", 'echo "$@" >> srun.log\nshift\nexec "$@"')
    assert command(f"{COMPARE} --jobs 2 --quiet --launcher '{srun} -n1'") == 0
    ran = sorted(Path("srun.log").read_text().splitlines())
    assert len(ran) == 2
    for line, width in zip(ran, (4, 8)):
        assert line == (
            f"-n1 {sys.executable} -m deepcanon train mlp --data iris --width {width} --steps 5 --seed 0 "
            f"--folder cmp/mlp-iris-width{width}-steps5-seed0 --quiet"
        )
    assert Path("cmp/report.html").exists()
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "cmp/report.html"
    assert "mlp-iris-width4-steps5: done" in said.err
    assert command(f"{COMPARE} --jobs 2 --quiet --launcher '{srun} -n1'") == 0
    assert len(Path("srun.log").read_text().splitlines()) == 2, "finished runs are not made again"


def test_a_dry_run_prints_commands_that_can_be_run_anywhere_and_the_same_line_collects(
    workplace, capsys, monkeypatch
):
    assert command(f"{COMPARE} --seeds 2 --minutes 1.5 --device cpu --dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert not Path("cmp").exists()
    assert lines == [
        f"deepcanon train mlp --data iris --width {width} --steps 5 --seed {seed} --minutes 1.5 "
        f"--folder cmp/mlp-iris-width{width}-steps5-seed{seed} --device cpu --quiet"
        for width in (4, 8)
        for seed in (0, 1)
    ]
    for line in lines[:3]:
        assert command(line.removeprefix("deepcanon ")) == 0
    capsys.readouterr()
    assert command(f"{COMPARE} --seeds 2 --minutes 1.5 --device cpu --dry-run") == 0
    assert capsys.readouterr().out.splitlines() == lines[3:]
    made = []
    plain = comparison.run_job
    monkeypatch.setattr(comparison, "run_job", lambda job: made.append(job.name) or plain(job))
    assert command(f"{COMPARE} --seeds 2 --minutes 1.5 --device cpu") == 0
    assert made == ["mlp-iris-width8-steps5, seed 1"]
    assert Path("cmp/report.html").exists()
    capsys.readouterr()
    assert command(f"{COMPARE} --seeds 2 --minutes 1.5 --device cpu --dry-run") == 0
    out, err = capsys.readouterr()
    assert (out, err.strip()) == (
        "",
        "every run has come back: the same command without --dry-run collects them",
    )


def test_a_proof_is_printed_and_collected(workplace, capsys, monkeypatch):
    assert command(f"{PROVE} --dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"deepcanon train mlp --data iris --seed {seed} --folder proof/mlp/iris/seed{seed} --quiet"
        for seed in (0, 1)
    ]
    assert not Path("proof").exists()
    for line in lines:
        assert command(line.removeprefix("deepcanon ")) == 0
    monkeypatch.setattr(proofs, "find_recipe", lambda name: pytest.fail("a finished run was made again"))
    assert command(PROVE) == 0
    record = json.loads(Path("records/mlp/iris.json").read_text())
    assert [run["seed"] for run in record["runs"]] == [0, 1]
    calls = [json.loads(Path(f"proof/mlp/iris/seed{seed}/call.json").read_text()) for seed in (0, 1)]
    results = [
        json.loads(Path(f"proof/mlp/iris/seed{seed}/result.json").read_text())["results"] for seed in (0, 1)
    ]
    assert [run["results"] for run in record["runs"]] == results
    assert {k: record[k] for k in ("versions", "commit", "hardware")} == {
        k: calls[0][k] for k in ("versions", "commit", "hardware")
    }
    assert record["command"] == "deepcanon prove mlp --data iris --seeds 2"


def test_a_run_that_fails_is_named_with_status_and_tail_and_the_others_go_on(workplace, capsys):
    srun = script(
        "srun",
        'case "$*" in *width4*) for i in $(seq 30); do echo "line $i"; done\n'
        'echo "node 7 is down" >&2; exit 3;; esac\n'
        "mkdir -p cmp/mlp-iris-width8-steps5-seed0; touch cmp/mlp-iris-width8-steps5-seed0/report.html",
    )
    assert command(f"{COMPARE} --launcher {srun}") == 1
    err = capsys.readouterr().err
    assert (
        "mlp-iris-width4-steps5 failed with status 3; cmp/mlp-iris-width4-steps5-seed0.log ends with:\n"
        in err
    )
    tail = err.partition("ends with:\n")[2].splitlines()[:12]
    assert tail == [*(f"    line {i}" for i in range(20, 31)), "    node 7 is down"]
    assert "mlp-iris-width8-steps5: done" in err
    assert err.splitlines()[-1] == (
        "deepcanon: 1 of 2 runs failed: mlp-iris-width4-steps5; the others are kept, the same command "
        "runs these again"
    )


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("exit 0", "ended without a finished run"),
        ("kill -9 $$", "was killed by SIGKILL"),
        ("exit 143", "failed with status 143"),
    ],
)
def test_how_a_command_ended_is_said(workplace, capsys, body, how):
    call = resolve(recipe("mlp").form, {"data": "iris"})
    job = launching.Job("one", call, 0, Path("runs/one"))
    assert launching.launch([job], [script("srun", body)]) == [job]
    assert f"one {how}; runs/one.log ends with:\n    (nothing was printed)\n" in capsys.readouterr().err


def test_no_more_runs_than_asked_for_are_made_at_once(workplace):
    srun = script("srun", "echo start >> log; sleep 0.2; echo end >> log")
    call = resolve(recipe("mlp").form, {"data": "iris"})
    for at_once in (1, 3):
        Path("log").write_text("")
        jobs = [launching.Job(f"run {i}", call, i, Path(f"runs/{at_once}/{i}")) for i in range(5)]
        assert launching.launch(jobs, [srun], at_once) == jobs
        events = [1 if word == "start" else -1 for word in Path("log").read_text().split()]
        assert max(sum(events[:i]) for i in range(len(events) + 1)) == at_once
    with pytest.raises(ValueError, match="expected 1 run or more at once"):
        launching.launch(jobs, [srun], 0)


def test_a_run_that_has_begun_is_resumed_and_one_of_another_call_is_refused(workplace, capsys):
    with options(quiet=True):
        assert (
            command("train mlp --data iris --width 4 --steps 5 --folder cmp/mlp-iris-width4-steps5-seed0")
            == 0
        )
    Path("cmp/mlp-iris-width4-steps5-seed0/report.html").unlink()
    capsys.readouterr()
    assert command(f"{COMPARE} --dry-run") == 0
    assert (
        capsys.readouterr().out.splitlines()[0] == "deepcanon resume cmp/mlp-iris-width4-steps5-seed0 --quiet"
    )
    assert command(COMPARE.replace("--steps 5", "--steps 6").replace("width 4", "width 3")) == 1
    assert "cmp is not empty" in capsys.readouterr().err
    for wrong, words in {
        "steps 6": "its steps is 5, expected 6",
        "lr 0.5": "its lr is",
        "data wine": "its data is iris, expected wine",
    }.items():
        call = (
            {"data": "iris", "width": 4, "steps": 5}
            | {k: type(v)(v) for k, v in [wrong.split()] if k}
            | ({"steps": 6} if wrong == "steps 6" else {"lr": 0.5} if wrong == "lr 0.5" else {})
        )
        job = launching.Job(
            "x", resolve(recipe("mlp").form, call), 0, Path("cmp/mlp-iris-width4-steps5-seed0")
        )
        with pytest.raises(ValueError, match=words):
            launching.launch([job])
    job = launching.Job(
        "x",
        resolve(recipe("mlp").form, {"data": "iris", "width": 4, "steps": 5}),
        1,
        Path("cmp/mlp-iris-width4-steps5-seed0"),
    )
    with pytest.raises(ValueError, match="its seed is 0, expected 1"):
        job.check()


def test_two_folders_of_one_name_are_two_runs(workplace):
    plan = comparison.planned(["mlp"], {"data": ["a/t.csv", "b/t.csv"]})
    assert [job.folder.name for job in comparison.jobs_of(plan, Path("cmp"))] == [
        "mlp-t.csv-seed0",
        "mlp-t.csv-2-seed0",
    ]


# signals


def stopped_by(number: signal.Signals, line: str, begun, ends: float = 30.0) -> subprocess.CompletedProcess:
    """A command that gets a signal when `begun()` holds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deepcanon", *shlex.split(line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not begun() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=ends)
    return subprocess.CompletedProcess(line, process.returncode, out, err)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_what_was_launched_and_says_how_to_go_on(workplace, number):
    srun = script(
        "srun", "echo $$ >> pids; trap 'echo saved >> saved; exit 143' TERM; while :; do sleep 0.05; done"
    )
    done = stopped_by(
        number,
        f"{COMPARE} --jobs 2 --launcher {srun}",
        lambda: Path("pids").exists() and len(Path("pids").read_text().split()) == 2,
    )
    assert done.returncode == 128 + number
    assert done.stderr.splitlines()[-2:] == [
        "continue the comparison with: deepcanon resume cmp",
        f"deepcanon: stopped by {number.name}",
    ]
    assert Path("saved").read_text().split() == ["saved"] * 2
    for pid in Path("pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


@pytest.mark.parametrize(
    ("line", "number", "folder", "words"),
    [
        (
            "train mlp --data iris --steps 1_000_000 --folder f",
            signal.SIGHUP,
            "f",
            "continue with: deepcanon resume f",
        ),
        (
            "compare mlp --data iris --width 4 8 --steps 1_000_000 --folder 'c c'",
            signal.SIGINT,
            "c c/*0",
            "continue the comparison with: deepcanon resume 'c c'",
        ),
        (
            "prove vae --data digits --seeds 2 --folder p",
            signal.SIGTERM,
            "p/vae/digits/seed0",
            "what is done is kept: the same command with --folder p goes on",
        ),
    ],
)
def test_a_signal_ends_a_command_by_one_line_and_128_and_its_number(workplace, line, number, folder, words):
    done = stopped_by(number, line, lambda: any(Path().glob(f"{folder}/metrics.csv")))
    assert done.returncode == 128 + number, done.stderr
    assert "Traceback" not in done.stderr
    assert any(line.endswith(words) for line in done.stderr.splitlines()), done.stderr
    assert f"stopped by {number.name} at step" in done.stderr
    assert list(Path().glob(f"{folder}/state/*.all")), "a checkpoint is kept"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGINT"])
def test_a_signal_before_or_between_the_runs_is_one_line_too(monkeypatch, capsys, name):
    number = signal.Signals[name]
    before = signal.getsignal(number)

    def dispatch(words):
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr(cli, "dispatch", dispatch)
    assert cli.main(["list"]) == 128 + number
    assert (
        capsys.readouterr().err
        == f"deepcanon: {'interrupted' if name == 'SIGINT' else f'stopped by {name}'}\n"
    )
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch, capsys):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr(cli, "dispatch", lambda words: os.kill(os.getpid(), signal.SIGHUP) or 0)
        assert cli.main(["list"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr().err == ""
