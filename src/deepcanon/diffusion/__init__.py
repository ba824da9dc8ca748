"""Diffusion models: schedules, the training loss, samplers, the variational bound."""

from deepcanon.diffusion.ddpm import DDPM, Prediction, data, noise, velocity
from deepcanon.diffusion.samplers import ancestral, ddim, dpm_solver
from deepcanon.diffusion.schedules import cosine_schedule, linear_schedule

__all__ = ["DDPM", "Prediction", "ancestral", "cosine_schedule", "data", "ddim", "dpm_solver", "linear_schedule", "noise", "velocity"]
