"""Layers that two networks or more share: tensors in, tensors out."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.layers.adaptive_conv import AdaptiveConv2d as AdaptiveConv2d
    from deepcanon.layers.cache import KVCache as KVCache, empty_cache as empty_cache
    from deepcanon.layers.causal import (
        AboveConv2d as AboveConv2d,
        BeforeConv2d as BeforeConv2d,
        MaskedConv2d as MaskedConv2d,
    )
    from deepcanon.layers.components import connected_components as connected_components
    from deepcanon.layers.contract import checked as checked
    from deepcanon.layers.convolution import convolve as convolve, output_size as output_size, windows as windows
    from deepcanon.layers.dot_product_attention import (
        CrossAttention as CrossAttention,
        SelfAttention as SelfAttention,
        attention as attention,
    )
    from deepcanon.layers.dropout import Dropout as Dropout
    from deepcanon.layers.ema import ema_ as ema_
    from deepcanon.layers.embedding import rotary as rotary, sinusoidal as sinusoidal
    from deepcanon.layers.eval_blur import EvalBlur as EvalBlur
    from deepcanon.layers.instance_noise import InstanceNoise as InstanceNoise, fade as fade
    from deepcanon.layers.joint import (
        apart as apart,
        batch_mean as batch_mean,
        batch_moments as batch_moments,
        batch_rows as batch_rows,
        batch_stack as batch_stack,
        batch_sum as batch_sum,
        joining as joining,
    )
    from deepcanon.layers.labels import (
        correct as correct,
        cross_entropy as cross_entropy,
        labelled_cross_entropy as labelled_cross_entropy,
        partly_labelled as partly_labelled,
    )
    from deepcanon.layers.levels import PixelEmbedding as PixelEmbedding
    from deepcanon.layers.likelihoods import (
        Beta as Beta,
        DiscretizedLogistic as DiscretizedLogistic,
        Kumaraswamy as Kumaraswamy,
        Levels as Levels,
        LogitNormal as LogitNormal,
    )
    from deepcanon.layers.linear_map import Linear as Linear, OneDNNLinear as OneDNNLinear, linear as linear
    from deepcanon.layers.local_response import LocalResponseNorm as LocalResponseNorm
    from deepcanon.layers.max_unpool import (
        Pooled as Pooled,
        pool_with_places as pool_with_places,
        unpool as unpool,
    )
    from deepcanon.layers.minibatch_discrimination import MinibatchDiscrimination as MinibatchDiscrimination
    from deepcanon.layers.modes import evaluating as evaluating
    from deepcanon.layers.norm import (
        BatchNorm as BatchNorm,
        BatchNorm1d as BatchNorm1d,
        BatchNorm2d as BatchNorm2d,
        GroupNorm as GroupNorm,
        InstanceNorm as InstanceNorm,
        LayerNorm as LayerNorm,
        Standardize as Standardize,
        normalize as normalize,
        standardize as standardize,
    )
    from deepcanon.layers.pooling import (
        average_pool as average_pool,
        global_average_pool as global_average_pool,
        max_pool as max_pool,
    )
    from deepcanon.layers.precision import (
        Float32Buffers as Float32Buffers,
        narrowed as narrowed,
        typed_as as typed_as,
        widened as widened,
    )
    from deepcanon.layers.quantize import (
        AveragedQuantizer as AveragedQuantizer,
        Quantized as Quantized,
        VectorQuantizer as VectorQuantizer,
    )
    from deepcanon.layers.spectral import SpectralNorm as SpectralNorm, spectral_norm as spectral_norm
    from deepcanon.layers.transposed_conv import (
        TransposedConv2d as TransposedConv2d,
        bilinear_upsampling as bilinear_upsampling,
    )
    from deepcanon.layers.virtual_batch_norm import (
        VirtualBatchNorm as VirtualBatchNorm,
        WithReference as WithReference,
    )

attach(__name__)
