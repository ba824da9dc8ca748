"""What the page on several processes and machines says is so: its commands are understood, its code runs, its
script saves and is queued again.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from deepcanon import catalogue
from deepcanon.cli.flags import recipe_parser
from deepcanon.engine.checkpoint import read_json, read_weights

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (torchrun .*)$", PAGE, re.MULTILINE)
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}


def block(heading: str) -> str:
    """The Python code below a heading."""
    return re.search(rf"## {heading}.*?```python\n(.*?)```", PAGE, re.DOTALL).group(1)


def started(*words: str, cwd: Path, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        words,
        cwd=cwd,
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def test_the_page_shows_commands():
    assert len(COMMANDS) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_understood(command):
    asked = get_args_parser().parse_args(shlex.split(command)[1:])
    if not asked.module:
        assert asked.training_script == "train.py"
        return
    assert asked.training_script == "deepcanon"
    verb, *words = asked.training_script_args
    if verb == "train":
        recipe_parser(catalogue.recipe(words.pop(0))).parse(words)
    else:
        assert (verb, len(words)) == ("resume", 1)


def test_two_machines_make_one_run(tmp_path):
    words = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes",
        "2",
        "--nproc-per-node",
        "1",
        "--rdzv-backend",
        "c10d",
        "--rdzv-id",
        "one",
        "--rdzv-endpoint",
        f"127.0.0.1:{free_port()}",
        "--local-addr",
        "127.0.0.1",
        "-m",
        "deepcanon",
        "train",
        "lenet",
        "--data",
        "digits",
        "--steps",
        "4",
        "--folder",
        "run",
    ]
    machines = [started(*words, cwd=tmp_path) for _ in range(2)]
    said = "".join(ended(machine) for machine in machines)
    assert said.count("report.html") == 1, said
    assert sorted(file.suffix for file in (tmp_path / "run" / "state").iterdir()) == [
        ".all",
        ".rank0",
        ".rank1",
    ]


def test_the_sharded_script_of_the_page_leaves_whole_weights(tmp_path):
    (tmp_path / "train.py").write_text(block("Nets that do not fit: sharding"))
    ended(
        started(
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            "train.py",
            cwd=tmp_path,
        )
    )
    run = tmp_path / "runs" / "sharded"
    assert len(list((run / "state" / "000000020.parts").glob("*.distcp"))) == 2
    weights = read_weights(run / "weights.safetensors")
    assert sum(w.numel() for name, w in weights.items()) >= read_json(run / "call.json")["parameters"]


def test_the_lightning_code_of_the_page_trains(workplace, capsys):
    exec(block("Lightning"), {})
    accuracy = float(re.search(r"tensor\((.*?)\)", capsys.readouterr().out).group(1))
    assert accuracy > 0.15


@pytest.fixture
def cluster(tmp_path) -> dict[str, str]:
    """A cluster of one machine: `srun` starts two tasks and sends them SIGUSR1 once they train, `scontrol`
    notes what it is asked."""
    tools = {
        "deepcanon": f'exec {sys.executable} -m deepcanon "$@"',
        "scontrol": 'echo "$@" >> scontrol.txt; [ "$1" = show ] && echo 127.0.0.1; true',
        "srun": """shift
            export SLURM_NTASKS=2
            for rank in 0 1; do SLURM_PROCID=$rank SLURM_LOCALID=$rank "$@" & pids+=($!); done
            if [ ! -e signalled ]; then
                while ! grep -q . run/metrics.csv 2> /dev/null; do sleep 0.05; done
                touch signalled; kill -USR1 "${pids[@]}"
            fi
            for pid in "${pids[@]}"; do wait $pid; one=$?; [ $one -gt ${status:-0} ] && status=$one; done
            exit ${status:-0}""",
    }
    (tmp_path / "bin").mkdir()
    for name, body in tools.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "RUN": "run",
        "SLURM_JOB_ID": str(int(free_port()) - 20_000),
        "SLURM_JOB_NODELIST": "node[1-2]",
    }


def test_the_script_for_slurm_saves_before_its_time_is_up_and_is_queued_again(cluster, tmp_path):
    script = (ROOT / "docs" / "slurm.sh").read_text()
    assert "#SBATCH --signal=USR1@600" in script
    assert "#SBATCH --requeue" in script
    given = "gpt --data novel.txt"
    assert given in script
    (tmp_path / "job.sh").write_text(script.replace(given, "lenet --data digits --steps 400"))
    first = started("bash", "job.sh", cwd=tmp_path, **cluster)
    said, _ = first.communicate(timeout=120)
    assert first.returncode == 138, said
    assert (tmp_path / "scontrol.txt").read_text().splitlines()[-1] == f"requeue {cluster['SLURM_JOB_ID']}"
    assert not (tmp_path / "run" / "result.json").exists()

    ended(started("bash", "job.sh", cwd=tmp_path, **cluster))
    assert read_json(tmp_path / "run" / "result.json")["steps"] == 400
    assert (tmp_path / "scontrol.txt").read_text().count("requeue") == 1
