"""`deepcanon data check`: the kind that a path is, and what would be read of it."""

import numpy as np
import pytest
from PIL import Image

from deepcanon import cli
from deepcanon.data.description import describe, likely_kind


@pytest.fixture
def files(workplace):
    (workplace / "photos" / "cat").mkdir(parents=True)
    (workplace / "letters").mkdir()
    for i in range(4):
        Image.new("RGB", (10, 8), (i, 0, 0)).save(workplace / "photos" / "cat" / f"{i}.png")
        (workplace / "letters" / f"{i}.txt").write_text(f"letter {i}, " * 40)
    (workplace / "photos" / "notes.doc").write_text("x")
    (workplace / "t.csv").write_text("size;ripe\n" + "".join(f"{i},5;{'yes' if i % 2 else 'no'}\n" for i in range(20)))
    np.save(workplace / "x.npy", np.zeros((20, 3)))
    return workplace


@pytest.mark.parametrize(("path", "kind"), [
    ("./photos", "images"), ("./letters", "text"), ("t.csv", "table"), ("x.npy", "arrays"), ("letters/0.txt", "text"), ("moons", "points"),
    ("digits", "images"), ("CartPole-v1", "env"), ("iris", "table"), ("pydoc", "text"), ("./maze.py:Maze", "env")])
def test_the_kind_of_a_path_is_found(files, path, kind):
    assert likely_kind(path) == kind


@pytest.mark.parametrize("path", ["./photos", "./letters", "t.csv", "x.npy", "moons", "digits", "CartPole-v1", "iris", "pydoc"])
def test_everything_can_be_checked(files, path, capsys):
    assert cli.main(["data", "check", path]) == 0
    out, err = capsys.readouterr()
    assert "kind" in out
    assert "Traceback" not in err


def test_what_is_left_out_and_how_values_are_read_is_told(files, capsys):
    described = describe("./photos")
    assert sum(described["count"].values()) == 4
    assert "notes.doc" in str(described)
    assert "table" in describe("t.csv")["kind"]
    assert cli.main(["data", "check", "t.csv", "--read", "separator=;", "--read", "decimal=,", "--target", "ripe"]) == 0
    assert "separator" in capsys.readouterr().out
    assert cli.main(["data", "check", "t.csv", "--read", "seperator=;"]) == 2
    assert "did you mean 'separator'?" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"unknown kind 'imges'; did you mean 'images'\?"):
        describe("./photos", "imges")
