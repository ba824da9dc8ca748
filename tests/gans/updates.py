"""What a generator of losses yields, for tests of their values."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits


def played(method, *batch):
    """{player: loss} of one step without updates; the random numbers then begin again as they did for it."""
    torch.manual_seed(1)
    taken = dict(method.losses(batch))
    torch.manual_seed(1)
    return taken


def expected_source(real, fake):
    """The cross-entropy of calling scores of data 1 and scores of generated points 0, each averaged."""
    return sum(
        binary_cross_entropy_with_logits(s, torch.full_like(s, label))
        for s, label in ((real, 1.0), (fake, 0.0))
    )
