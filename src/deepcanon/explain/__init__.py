"""Seeing inside a net: what its filters, units and classes look for, and what in an image its answer rests
on."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.explain.attention_mask import (
        attention_gradient as attention_gradient,
        mask_gradient as mask_gradient,
    )
    from deepcanon.explain.attention_weights import (
        attention_maps as attention_maps,
        class_token_map as class_token_map,
        rollout as rollout,
    )
    from deepcanon.explain.class_activation import (
        enlarged as enlarged,
        grad_cam as grad_cam,
        last_maps as last_maps,
    )
    from deepcanon.explain.class_images import Prior as Prior, class_visualization as class_visualization
    from deepcanon.explain.clusters import density_clusters as density_clusters
    from deepcanon.explain.dreaming import dream as dream
    from deepcanon.explain.fast_style import FastStyle as FastStyle
    from deepcanon.explain.filters import (
        filter_images as filter_images,
        first_filters as first_filters,
        image_grid as image_grid,
    )
    from deepcanon.explain.functional import activations as activations
    from deepcanon.explain.gradients import (
        in_unit_range as in_unit_range,
        saliency as saliency,
        saliency_map as saliency_map,
        unit_gradient as unit_gradient,
    )
    from deepcanon.explain.inversion import invert_features as invert_features
    from deepcanon.explain.maximization import maximize as maximize
    from deepcanon.explain.occluding import occlusion as occlusion
    from deepcanon.explain.patches import Patches as Patches, cut as cut, top_patches as top_patches
    from deepcanon.explain.path_integral import integrated_gradients as integrated_gradients
    from deepcanon.explain.planted_frames import (
        background as background,
        framed as framed,
        planted as planted,
    )
    from deepcanon.explain.receptive_fields import (
        gradient_support as gradient_support,
        receptive_field as receptive_field,
    )
    from deepcanon.explain.relu_rules import (
        deconvolution as deconvolution,
        guided_backprop as guided_backprop,
    )
    from deepcanon.explain.sanity import (
        rank_correlation as rank_correlation,
        share_inside as share_inside,
        weight_randomization as weight_randomization,
    )
    from deepcanon.explain.smooth_gradients import smooth_grad as smooth_grad
    from deepcanon.explain.style_losses import (
        content_loss as content_loss,
        gram as gram,
        style_loss as style_loss,
    )
    from deepcanon.explain.style_transfer import transfer_style as transfer_style
    from deepcanon.explain.tsne import TSNE as TSNE

attach(__name__)
