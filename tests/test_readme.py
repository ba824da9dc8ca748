"""What the README says is so."""

import re
from pathlib import Path

from deepcanon.proofs import table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_run(workplace, capsys):
    code = re.search(r"## Ten lines\n\n```python\n(.*?)```", README, re.DOTALL).group(1)
    names: dict = {}
    exec(code, names)
    assert names["pictures"].shape == (16, 1, 8, 8)
    assert names["run"].results["accuracy"] > 0.9
    assert "accuracy" in capsys.readouterr().out


def test_the_table_of_proofs_is_made_from_the_records():
    assert table(ROOT / "results") in README


def test_the_commands_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^    make (\w+)", README, re.MULTILINE)) <= targets
