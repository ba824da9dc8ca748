"""Densities by change of variables."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.flows.actnorm import ActNorm as ActNorm
    from deepcanon.flows.dequantize import (
        Dequantized as Dequantized,
        UniformNoise as UniformNoise,
        VariationalNoise as VariationalNoise,
    )
    from deepcanon.flows.flow import (
        Chain as Chain,
        Flatten as Flatten,
        Flow as Flow,
        Logit as Logit,
        Reverse as Reverse,
    )
    from deepcanon.flows.functional import standard_normal as standard_normal
    from deepcanon.flows.glow_flow import Conv1x1 as Conv1x1, Conv1x1LU as Conv1x1LU, glow as glow
    from deepcanon.flows.iaf_flow import InverseAutoregressive as InverseAutoregressive, iaf as iaf
    from deepcanon.flows.maf_flow import MaskedAutoregressive as MaskedAutoregressive, maf as maf
    from deepcanon.flows.multiscale_flow import (
        OnHalf as OnHalf,
        Squeezed as Squeezed,
        multiscale as multiscale,
    )
    from deepcanon.flows.nice_flow import (
        AdditiveCoupling as AdditiveCoupling,
        Scaling as Scaling,
        nice as nice,
    )
    from deepcanon.flows.realnvp_flow import (
        AffineCoupling as AffineCoupling,
        MaskedCoupling as MaskedCoupling,
        checkerboard as checkerboard,
        realnvp as realnvp,
        realnvp_images as realnvp_images,
    )
    from deepcanon.flows.wavenet_distillation import Distillation as Distillation

attach(__name__)
