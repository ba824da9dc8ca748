"""Diffusion models and scores: schedules, training losses, samplers, likelihoods, guidance."""

from deepcanon.diffusion.annealed import annealed_langevin, geometric
from deepcanon.diffusion.conditional import ConditionalDDPM
from deepcanon.diffusion.ddpm import DDPM, Prediction, data, noise, velocity
from deepcanon.diffusion.guidance import classifier_free, classifier_guided, inpaint
from deepcanon.diffusion.ncsn import NCSN
from deepcanon.diffusion.samplers import ancestral, ddim, dpm_solver
from deepcanon.diffusion.schedules import cosine_schedule, linear_schedule
from deepcanon.diffusion.score_matching import ScoreModel, denoising, implicit, sliced
from deepcanon.diffusion.score_sde import ScoreSDE
from deepcanon.diffusion.sde import heun, predictor_corrector, reverse_sde, ve, vp

__all__ = [
    "DDPM", "NCSN", "ConditionalDDPM", "Prediction", "ScoreModel", "ScoreSDE", "ancestral", "annealed_langevin", "classifier_free",
    "classifier_guided", "cosine_schedule", "data", "ddim", "denoising", "dpm_solver", "geometric", "heun", "implicit", "inpaint", "linear_schedule",
    "noise", "predictor_corrector", "reverse_sde", "sliced", "ve", "velocity", "vp",
]
