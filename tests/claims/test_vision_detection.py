"""Claims about detection: each number against its closed form."""

import pytest

from tests.claims.verdicts import measured


def test_one_pass_takes_a_fraction_of_the_multiplications_of_all_windows():
    m = measured("C-056", "confirmed")
    assert m["windows"] == 21**2
    assert m["difference"] < 1e-5
    window = 28**2 * 16 * 75 + 10**2 * 32 * 400 + 128 * 800 + 10 * 128
    once = 108**2 * 16 * 75 + 50**2 * 32 * 400 + 21**2 * (128 * 800 + 10 * 128)
    assert m["multiplications_apart"] == 21**2 * window
    assert m["multiplications_once"] == once
    assert m["ratio"] == pytest.approx(441 * window / once)
