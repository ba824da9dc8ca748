"""Diffusion models and scores: schedules, training losses, samplers, likelihoods, guidance."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.diffusion.annealed import annealed_langevin as annealed_langevin, geometric as geometric
    from deepcanon.diffusion.conditional import ConditionalDDPM as ConditionalDDPM
    from deepcanon.diffusion.ddpm import (
        DDPM as DDPM,
        Prediction as Prediction,
        data as data,
        noise as noise,
        velocity as velocity,
    )
    from deepcanon.diffusion.divergence import hutchinson as hutchinson
    from deepcanon.diffusion.guidance import (
        classifier_free as classifier_free,
        classifier_guided as classifier_guided,
        inpaint as inpaint,
    )
    from deepcanon.diffusion.ncsn import NCSN as NCSN
    from deepcanon.diffusion.noise_levels import (
        dpm_solver_3m as dpm_solver_3m,
        karras as karras,
        karras_levels as karras_levels,
        of_levels as of_levels,
        of_sde as of_sde,
    )
    from deepcanon.diffusion.samplers import ancestral as ancestral, ddim as ddim, dpm_solver as dpm_solver
    from deepcanon.diffusion.schedules import (
        cosine_schedule as cosine_schedule,
        from_beta as from_beta,
        linear_schedule as linear_schedule,
    )
    from deepcanon.diffusion.score_matching import (
        ScoreModel as ScoreModel,
        denoising as denoising,
        implicit as implicit,
        sliced as sliced,
    )
    from deepcanon.diffusion.score_sde import ScoreSDE as ScoreSDE
    from deepcanon.diffusion.sde import (
        SDE as SDE,
        heun as heun,
        predictor_corrector as predictor_corrector,
        reverse_sde as reverse_sde,
        ve as ve,
        vp as vp,
    )

attach(__name__)
