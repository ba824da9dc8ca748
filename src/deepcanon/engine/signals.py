"""Signals that end a run after the step in hand, with a checkpoint: Ctrl-C, the end of a terminal, and what clusters send before they take a
machine away.
"""

import contextlib
import signal
import threading
from typing import Any

SIGNALS = tuple(name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))


@contextlib.contextmanager
def interruptible(trainer: Any):
    """Inside the block, a signal is noted as `trainer.signal`; a second Ctrl-C ends the process at once.

    A signal that the process was started to ignore, as SIGHUP under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number, frame):
        if trainer.signal == "SIGINT" == signal.Signals(number).name:
            raise KeyboardInterrupt
        trainer.signal = signal.Signals(number).name

    numbers = [number for number in map(signal.Signals.__getitem__, SIGNALS) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
