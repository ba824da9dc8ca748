"""Claims about sentences for images."""

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("VIS-33")
def test_a_frozen_encoder_says_less():
    m = measured("C-262", "confirmed")
    assert m["nll_saved"] == pytest.approx(m["frozen_nll"] - m["trained_nll"])
    assert m["bleu_gained"] == pytest.approx(m["trained_bleu"] - m["frozen_bleu"])
    assert m["frozen_bleu"] > 0.3                                                    # it does learn
