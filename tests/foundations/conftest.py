"""What the tests of the learning basics share."""

import jaxtyping
import pytest


@pytest.fixture
def unchecked(monkeypatch):
    """What a user meets, whose calls are not checked against the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
