"""DeepCanon: the deep-learning canon as one working PyTorch library.

    import deepcanon
    run = deepcanon.recipes.vae(beta=4)                 # the same call as `deepcanon train vae --beta 4`
    vae = deepcanon.load(run.folder)

Names are imported when they are first used, so that `import deepcanon` costs nothing beyond torch, and the catalogue not even that.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepcanon import data, engine, recipes
    from deepcanon.engine import Run, fit
    from deepcanon.runs import load, resume

__version__ = "0.2.0"
__all__ = ["Run", "__version__", "data", "engine", "fit", "load", "recipes", "resume"]

HOME = {"Run": "engine", "fit": "engine", "load": "runs", "resume": "runs"}


def __getattr__(name: str):
    if name in HOME:
        return getattr(importlib.import_module(f"deepcanon.{HOME[name]}"), name)
    try:
        return importlib.import_module(f"deepcanon.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"deepcanon.{name}":
            raise
        raise AttributeError(f"module 'deepcanon' has no attribute '{name}'") from None


def __dir__() -> list[str]:
    return sorted(__all__)
