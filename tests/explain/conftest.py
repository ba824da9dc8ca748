"""Nets that are trained once for all tests of a worker, and calls as a user makes them."""

import jaxtyping
import pytest

from tests.explain.nets import trained


@pytest.fixture(scope="session")
def net():
    """Knows the digits."""
    return trained(0)


@pytest.fixture(scope="session")
def other_net():
    """Knows the digits as well, from other weights and of another width."""
    return trained(1, width=12)


@pytest.fixture
def annotations_unchecked(monkeypatch):
    """What a user meets, whose calls are not checked against the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
