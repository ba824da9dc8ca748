"""A callback for tests: something done at one moment of a run."""


class At:
    """Does something after one step."""

    def __init__(self, at: int, act):
        self.at, self.act = at, act

    def step(self, trainer):
        if trainer.step == self.at:
            self.act(trainer)
