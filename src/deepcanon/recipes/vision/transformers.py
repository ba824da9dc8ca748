"""Runs of vision transformers, on small images."""

from torch import nn

from deepcanon.data import Images, Source, open_data
from deepcanon.engine import AdamW, Run, at_least, cosine, fit, preset, recipe, starts_from
from deepcanon.layers.norm import Standardize
from deepcanon.nets.swin import Swin
from deepcanon.nets.vit import ViT, fitting_patch
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count, square
from deepcanon.recipes.vision.distortions import distortion
from deepcanon.recipes.vision.tuning import classifier, rates


@recipe(paper="Dosovitskiy et al. 2021", systems=["VIS-31"], presets=[
    preset("digits", size=16, patches=4, depth=3, distort="affine", smoothing=0.0, lr=0.003, steps=1_500,
           target={"accuracy": at_least(0.95)}, seconds=60),
    preset("fashion", distort="flip", batch=128, steps=4_000, target={"accuracy": at_least(0.88)}, seconds=900)])
def vit(data: Images = "digits", *, size: int | None = None, patches: int = 8, width: int = 64, depth: int = 6,
        heads: int = 4, dropout: float = 0.0, distort: str = "photo", smoothing: float = 0.05, lr: float | None = None,
        batch: int = 64, steps: int | None = None, tune: str = "all", fast: bool = True, seed: int = 0) -> Run:
    """A vision transformer tells classes of images apart.

    Args:
        data: labelled images by name, folder, table of paths or object.
        size: side in pixels that images are brought to; of your own, None keeps small ones of one size, else 32.
        patches: most patches a side; their side in pixels follows.
        width, depth, heads, dropout: of the transformer.
        distort: of training images: photo, crop, shift, flip, affine, elastic, erase or none.
        smoothing: of the labels.
        lr: peak learning rate of AdamW; None is 0.002, or 0.0005 from another run.
        steps: training steps; None is 3,000, or 600 from another run.
        tune: what learns from another run: all, last, head, or a factor by which rates fall towards the input.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "images", size=size)
    side, standardize = square(source), Standardize(source.mean, source.std)
    net = ViT(class_count(source), image_size=side, patch=fitting_patch(side, patches), in_channels=source.shape[0],
              embed_dim=width, num_layers=depth, num_heads=heads, dropout=dropout, standardize=standardize)
    return trained(net, source, tune, smoothing, distort, lr, batch, steps, fast, seed)


@recipe(paper="Liu et al. 2021", systems=["VIS-32"], presets=[
    preset("digits", size=16, patches=8, distort="affine", smoothing=0.0, lr=0.003, steps=600,
           target={"accuracy": at_least(0.95)}, seconds=60),
    preset("fashion", distort="flip", batch=128, steps=4_000)])
def swin(data: Images = "digits", *, size: int | None = None, patches: int = 16, window: int = 4, width: int = 32,
         heads: int = 2, stages: int = 2, distort: str = "photo", smoothing: float = 0.05, lr: float | None = None,
         batch: int = 64, steps: int | None = None, tune: str = "all", fast: bool = True, seed: int = 0) -> Run:
    """A Swin transformer, with attention in shifted windows, tells classes of images apart.

    Args:
        data: labelled images by name, folder, table of paths or object.
        size: side in pixels that images are brought to; of your own, None keeps small ones of one size, else 32.
        patches: most patches a side in the first stage; their side in pixels follows.
        window: side of the windows, in patches.
        width, heads: of the first stage; both double from stage to stage.
        stages: of two blocks each.
        distort: of training images: photo, crop, shift, flip, affine, elastic, erase or none.
        smoothing: of the labels.
        lr: peak learning rate of AdamW; None is 0.002, or 0.0005 from another run.
        steps: training steps; None is 3,000, or 600 from another run.
        tune: what learns from another run: all, last, head, or a factor by which rates fall towards the input.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "images", size=size)
    side, standardize = square(source), Standardize(source.mean, source.std)
    net = Swin(class_count(source), image_size=side, patch=fitting_patch(side, patches), in_channels=source.shape[0],
               embed_dim=width, depths=[2] * stages, num_heads=[heads * 2**i for i in range(stages)], window=window,
               standardize=standardize)
    return trained(net, source, tune, smoothing, distort, lr, batch, steps, fast, seed)


def trained(net: nn.Module, source: Source, tune: str, smoothing: float, distort: str, lr: float | None, batch: int,
            steps: int | None, fast: bool, seed: int) -> Run:
    """The run of a transformer: AdamW, a warm-up, then along a cosine."""
    lr = (0.0005 if starts_from() else 0.002) if lr is None else lr
    total = (600 if starts_from() else 3_000) if steps is None else steps
    method = classifier(net, tune, smoothing=smoothing)
    optimizer = rates(AdamW(lr, weight_decay=0.05, schedule=cosine(warmup=0.1)), net, tune)
    train = source.train(batch=batch, seed=seed, augment=distortion(distort, source))
    return fit(method, train, optimizer, steps=total, seed=seed, bf16=fast, clip_norm=1.0,
               evaluate=evaluations(method, source), evaluate_every=max(1, total // 5))
