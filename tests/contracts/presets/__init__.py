"""A tiny instance of every method with a batch it can learn, one file a family: one line makes a new method subject to the contract."""

from tests.contracts.presets import (
    autoregressive,
    diffusion,
    energy,
    explain,
    flows,
    foundations,
    gans,
    language,
    meta,
    rl,
    ssl,
    vae,
    vision,
)
from tests.contracts.presets.common import Preset

FAMILIES = (autoregressive, diffusion, energy, explain, flows, foundations, gans, language, meta, rl, ssl, vae,
            vision)
PRESETS = {name: preset for family in FAMILIES for name, preset in family.PRESETS.items()}

__all__ = ["PRESETS", "Preset"]
