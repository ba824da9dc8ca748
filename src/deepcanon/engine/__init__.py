"""The engine: one training loop for every method, with checkpoints, exact resume, logging and ranks."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.engine.callbacks import (
        EMA as EMA,
        Best as Best,
        EarlyStopping as EarlyStopping,
        Evaluate as Evaluate,
        Until as Until,
        evaluate as evaluate,
        maximize as maximize,
        minimize as minimize,
    )
    from deepcanon.engine.calls import recipe as recipe
    from deepcanon.engine.clipping import clip_norm as clip_norm, clip_value as clip_value
    from deepcanon.engine.log import Log as Log
    from deepcanon.engine.loop import Trainer as Trainer, fit as fit, players as players
    from deepcanon.engine.optimizers import (
        SGD as SGD,
        Adagrad as Adagrad,
        Adam as Adam,
        AdamW as AdamW,
        Factory as Factory,
        Muon as Muon,
        RMSprop as RMSprop,
    )
    from deepcanon.engine.parallel import shard as shard, share_weights as share_weights
    from deepcanon.engine.run import Run as Run
    from deepcanon.engine.run_options import options as options, starts_from as starts_from
    from deepcanon.engine.samples import Samples as Samples
    from deepcanon.engine.schedules import (
        constant as constant,
        cosine as cosine,
        linear as linear,
        step_decay as step_decay,
        warmup as warmup,
    )
    from deepcanon.engine.seeds import seed_everything as seed_everything
    from deepcanon.engine.trackers import (
        MLflow as MLflow,
        TensorBoard as TensorBoard,
        WandB as WandB,
        tracker as tracker,
    )
    from deepcanon.grammar import at_least as at_least, at_most as at_most, preset as preset

attach(__name__)
