"""Measures of what models produce: functions of tensors."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.metrics.calibration import (
        Reliability as Reliability,
        brier_score as brier_score,
        expected_calibration_error as expected_calibration_error,
        reliability as reliability,
    )
    from deepcanon.metrics.classes import (
        Modes as Modes,
        inception_score as inception_score,
        mode_coverage as mode_coverage,
    )
    from deepcanon.metrics.classification import (
        Confusion as Confusion,
        accuracy as accuracy,
        confusion as confusion,
        confusion_matrix as confusion_matrix,
    )
    from deepcanon.metrics.crowding import crowded as crowded, recalls as recalls
    from deepcanon.metrics.curves import (
        MeanAndInterval as MeanAndInterval,
        PowerLaw as PowerLaw,
        first_reaching as first_reaching,
        fit_power_law as fit_power_law,
        over_episodes as over_episodes,
    )
    from deepcanon.metrics.detection import (
        Detections as Detections,
        Objects as Objects,
        box_area as box_area,
        box_iou as box_iou,
        interpolated_precision as interpolated_precision,
        mean_average_precision as mean_average_precision,
    )
    from deepcanon.metrics.generation import (
        Gaussian as Gaussian,
        class_shares as class_shares,
        fid as fid,
        fit_gaussian as fit_gaussian,
        frechet_distance as frechet_distance,
    )
    from deepcanon.metrics.instances import (
        mask_iou as mask_iou,
        mean_precision as mean_precision,
        precision_at as precision_at,
    )
    from deepcanon.metrics.likelihood import bits_per_dim as bits_per_dim
    from deepcanon.metrics.mean_discrepancy import (
        kid as kid,
        mmd as mmd,
        mmd_bound as mmd_bound,
        mmd_squared as mmd_squared,
    )
    from deepcanon.metrics.neighbours import (
        knn_accuracy as knn_accuracy,
        knn_predict as knn_predict,
    )
    from deepcanon.metrics.precision_and_recall import (
        PrecisionRecall as PrecisionRecall,
        precision_recall as precision_recall,
    )
    from deepcanon.metrics.ranking import (
        Curve as Curve,
        auroc as auroc,
        average_precision as average_precision,
        fpr_at_tpr as fpr_at_tpr,
        roc_curve as roc_curve,
    )
    from deepcanon.metrics.robustness import (
        Groups as Groups,
        attack_success_rate as attack_success_rate,
        group_accuracy as group_accuracy,
        mean_corruption_error as mean_corruption_error,
        robust_accuracy as robust_accuracy,
        transfer_rate as transfer_rate,
    )
    from deepcanon.metrics.segmentation import (
        class_dice as class_dice,
        class_iou as class_iou,
        dice as dice,
        mean_iou as mean_iou,
        pixel_accuracy as pixel_accuracy,
        pixel_confusion as pixel_confusion,
    )
    from deepcanon.metrics.sequences import (
        Bleu as Bleu,
        bleu as bleu,
        edit_distance as edit_distance,
        word_error_rate as word_error_rate,
    )

attach(__name__)
