"""Measures of what models produce: functions of tensors."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.metrics.classes import (
        Modes as Modes,
        inception_score as inception_score,
        mode_coverage as mode_coverage,
    )
    from deepcanon.metrics.generation import (
        Gaussian as Gaussian,
        class_shares as class_shares,
        fid as fid,
        fit_gaussian as fit_gaussian,
        frechet_distance as frechet_distance,
    )
    from deepcanon.metrics.likelihood import bits_per_dim as bits_per_dim
    from deepcanon.metrics.mean_discrepancy import (
        kid as kid,
        mmd as mmd,
        mmd_bound as mmd_bound,
        mmd_squared as mmd_squared,
    )
    from deepcanon.metrics.precision_and_recall import (
        PrecisionRecall as PrecisionRecall,
        precision_recall as precision_recall,
    )

attach(__name__)
