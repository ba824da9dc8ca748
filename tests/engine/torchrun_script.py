"""A user's own script, started by `torchrun`: python -m torch.distributed.run --nproc-per-node 2 torchrun_script.py FOLDER STEPS [resume] [fail]."""

import os
import sys
import time
from pathlib import Path

import torch

from deepcanon.engine import Adam, fit, options
from tests.engine.shapes import build


class Slow:
    """Leaves time to be interrupted, and says which process is at work."""

    def start(self, trainer):
        (folder / f"pid{trainer.rank}").write_text(str(os.getpid()))

    def step(self, trainer):
        time.sleep(0.02)
        if "fail" in sys.argv and trainer.rank == 1 and trainer.step == 3:
            raise ValueError("this rank fails")
        if trainer.step == 10:
            (folder / f"begun{trainer.rank}").touch()


folder, steps, resume = Path(sys.argv[1]), int(sys.argv[2]), "resume" in sys.argv
folder.mkdir(exist_ok=True)
torch.set_num_threads(1)
method, data = build("wgan_gp")
with options(folder=folder / "run", resume=resume):
    run = fit(method, data, Adam(1e-3), steps=steps, callbacks=[Slow()])
print(f"rank {os.environ['RANK']} made {run.steps} steps")
