"""Data as iterables of batches: `at(step)` is a pure function of (seed, step)."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.data import (
        augment as augment,
        augment_pairs as augment_pairs,
        box_augment as box_augment,
        downloads as downloads,
        sets as sets,
    )
    from deepcanon.data.batches import (
        Batches as Batches,
        StackedBatches as StackedBatches,
        arrays as arrays,
        batches_of as batches_of,
    )
    from deepcanon.data.box_batches import boxes as boxes, objects_in as objects_in
    from deepcanon.data.box_check import describe_boxes as describe_boxes
    from deepcanon.data.caption_data import captions as captions, describe_captions as describe_captions
    from deepcanon.data.description import describe as describe
    from deepcanon.data.env_checks import Environment as Environment
    from deepcanon.data.env_classic import CartPole as CartPole, Pendulum as Pendulum
    from deepcanon.data.environments import (
        action_bounds as action_bounds,
        describe_env as describe_env,
        env as env,
        env_metadata as env_metadata,
    )
    from deepcanon.data.experience import Experience as Experience, after as after, anneal as anneal
    from deepcanon.data.few_shot import Episodes as Episodes, Sinusoids as Sinusoids, episodes as episodes
    from deepcanon.data.image_check import describe_images as describe_images
    from deepcanon.data.joint_batches import JointBatches as JointBatches
    from deepcanon.data.kinds import (
        Arrays as Arrays,
        Boxes as Boxes,
        Captions as Captions,
        Env as Env,
        Images as Images,
        Masks as Masks,
        Points as Points,
        Table as Table,
        Tokens as Tokens,
    )
    from deepcanon.data.mask_data import (
        describe_masks as describe_masks,
        masks as masks,
    )
    from deepcanon.data.metadata import (
        recorded_metadata as recorded_metadata,
        recorded_sources as recorded_sources,
    )
    from deepcanon.data.notices import DataNotice as DataNotice
    from deepcanon.data.pictures import images as images
    from deepcanon.data.point_sets import describe_points as describe_points, points as points
    from deepcanon.data.rollouts import Rollouts as Rollouts
    from deepcanon.data.source import Source as Source, open_data as open_data
    from deepcanon.data.tables import (
        describe_table as describe_table,
        encode_rows as encode_rows,
        table as table,
    )
    from deepcanon.data.texts import Text as Text, describe_text as describe_text, text as text
    from deepcanon.data.toys import Mixture as Mixture, toy as toy
    from deepcanon.data.vector_envs import (
        Environments as Environments,
        SequentialEnvs as SequentialEnvs,
        VectorEnv as VectorEnv,
        envs as envs,
    )

attach(__name__)
