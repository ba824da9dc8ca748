"""Autoencoders, and latent variable models trained on a bound of their likelihood."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.vae.autoencoder import Autoencoder as Autoencoder, squared_error as squared_error
    from deepcanon.vae.conditional import ConditionalVAE as ConditionalVAE, kl_normal as kl_normal
    from deepcanon.vae.convolutional import image_decoder as image_decoder, image_encoder as image_encoder
    from deepcanon.vae.denoising import gaussian_noise as gaussian_noise, masking as masking
    from deepcanon.vae.evidence import elbo as elbo, log_evidence as log_evidence, posterior as posterior
    from deepcanon.vae.gumbel_vae import (
        GumbelVAE as GumbelVAE,
        gumbel as gumbel,
        gumbel_max as gumbel_max,
        gumbel_softmax as gumbel_softmax,
        kl_uniform as kl_uniform,
    )
    from deepcanon.vae.hierarchical import HierarchicalVAE as HierarchicalVAE
    from deepcanon.vae.iwae import IWAE as IWAE
    from deepcanon.vae.likelihoods import (
        bernoulli as bernoulli,
        categorical as categorical,
        discretized_logistic as discretized_logistic,
        gaussian as gaussian,
        gaussian_learned as gaussian_learned,
        logistic_mixture as logistic_mixture,
    )
    from deepcanon.vae.pretraining import Stage as Stage, unrolled as unrolled
    from deepcanon.vae.prior import CodePrior as CodePrior
    from deepcanon.vae.restoration import greyscale as greyscale, inpaint as inpaint, restorer as restorer
    from deepcanon.vae.schedule import (
        Scheduled as Scheduled,
        cooling as cooling,
        cycle as cycle,
        ramp as ramp,
    )
    from deepcanon.vae.score_function import ScoreFunctionVAE as ScoreFunctionVAE
    from deepcanon.vae.semi_supervised import SemiSupervisedVAE as SemiSupervisedVAE
    from deepcanon.vae.sparse import (
        Dictionary as Dictionary,
        KSparse as KSparse,
        Lifetime as Lifetime,
        l1 as l1,
        spike_and_slab as spike_and_slab,
    )
    from deepcanon.vae.vae import (
        VAE as VAE,
        kl_standard_normal as kl_standard_normal,
        reparameterise as reparameterise,
    )
    from deepcanon.vae.variational import (
        PerPointVI as PerPointVI,
        amortization_gap as amortization_gap,
        bound as bound,
        refine as refine,
    )
    from deepcanon.vae.vq_vae import VQVAE as VQVAE

attach(__name__)
