"""What all tests share: one thread a worker, shapes and types checked against the annotations, a folder of their own."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import jaxtyping
from jaxtyping import install_import_hook

UNANNOTATED = {"engine", "recipes", "integrations"}                    # no shapes in their signatures; and they are timed
ROOMS = [p.name for p in (Path(__file__).parents[1] / "src" / "deepcanon").iterdir() if (p / "__init__.py").is_file()]
install_import_hook([f"deepcanon.{room}" for room in ROOMS if room not in UNANNOTATED], "beartype.beartype")

import numpy  # noqa: E402 (the hook first)
import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def reproducible():
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)
    numpy.random.seed(0)  # noqa: NPY002 (the global stream is meant)


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """The test's own empty folder, as working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def embedded_only(monkeypatch):
    """Only the data that come with the package and its dependencies."""
    monkeypatch.delenv("DEEPCANON_DATA", raising=False)


@pytest.fixture
def annotations_unchecked(monkeypatch):
    """What a user meets, whose calls are not checked against the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
