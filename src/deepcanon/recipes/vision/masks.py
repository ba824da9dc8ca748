"""Runs of segmentation: a class for every pixel, or every object by itself, of known sets and of your own pictures."""

from typing import Literal

from torch import nn

from deepcanon.data import Masks, Source, augment_pairs, open_data
from deepcanon.engine import AdamW, Run, at_least, cosine, fit, preset, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.nets.fcn import FCN
from deepcanon.nets.segmentation_unet import SegmentationUNet
from deepcanon.nets.segnet import SegNet
from deepcanon.recipes.evaluation import evaluations, pictures
from deepcanon.vision.instances import InstanceSegmenter
from deepcanon.vision.semantic import Segmenter


@recipe(paper="Ronneberger et al. 2015; Badrinarayanan et al. 2017; Long et al. 2015",
        systems=["VIS-25", "VIS-27", "VIS-28", "VIS-29", "VIS-30", "MET-05"], presets=[
    preset("shapes", width=16, zoom=0.0, flip="both", light=0.1, lr=6e-3, batch=16, steps=600, target={"mean_iou": at_least(0.9)}, seconds=90),
    preset("camvid", width=16, lr=3e-3, steps=1_500, target={"mean_iou": at_least(0.45)}, seconds=1_800,
           published={"mean_iou": 0.6010}, source="Badrinarayanan et al. 2017, SegNet at 480 x 360 from VGG's weights"),
    preset("camvid", architecture="segnet", expect="fewer details than U-Net: places of maxima come back, values do not"),
    preset("camvid", architecture="fcn", expect="coarser than U-Net: the finest scores are at an eighth of the resolution"),
    preset("nuclei", zoom=0.3, flip="both", width=16, steps=300, target={"dice": at_least(0.88)}, seconds=600)])
def segment(data: Masks = "shapes", architecture: Literal["unet", "segnet", "fcn"] = "unet", *, size: int | None = None,
            width: int = 24, dice: float = 1.0, zoom: float = 0.25, flip: str = "sides", light: float = 0.3,
            lr: float = 3e-3, weight_decay: float = 0.01, ema: float = 0.99, batch: int = 8, steps: int = 2_000,
            fast: bool = True, seed: int = 0) -> Run:
    """U-Net, SegNet or FCN gives every pixel a class: streets, cells, your own pictures and masks.

    Args:
        data: images with masks by name, or a folder that holds `images` and `masks`.
        architecture: unet, segnet or fcn.
        size: side in pixels; None keeps pictures of one size of at most 256 a side, and stretches others to 128.
        width: channels at full resolution; they double to the fourth level.
        dice: weight of the soft Dice beside the cross-entropy.
        zoom: pictures are enlarged by up to 1 + 2 zoom, made smaller by 1 - zoom, and moved as far.
        flip: sides, both (up and down too) or none.
        light: strength of random changes of brightness, contrast and colour.
        lr, weight_decay, ema: peak learning rate of AdamW, its decay, decay of the averaged weights.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "masks", size=size)
    method = Segmenter(net_of(architecture, source, source.num_classes, width), dice_weight=dice)
    train = source.train(batch=batch, seed=seed, augment=augment_pairs.changes(zoom, flip, light))
    return fit(method, train, AdamW(lr, weight_decay=weight_decay, schedule=cosine(warmup=0.05)), steps=steps, seed=seed,
               bf16=fast, ema=ema, evaluate=evaluations(method, source), callbacks=pictures(source))


@recipe(paper="Ronneberger et al. 2015; Caicedo et al. 2019", systems=["VIS-26"], presets=[
    preset("shapes", steps=400, batch=16, zoom=0.0, light=0.1, expect="lines cut and join objects: the precision stays low"),
    preset("nuclei", steps=300, target={"dice": at_least(0.88)}, seconds=600)])
def segment_instances(data: Masks = "shapes", *, size: int | None = None, width: int = 16, dice: float = 1.0,
                      zoom: float = 0.3, flip: str = "both", light: float = 0.3, min_size: int = 10, lr: float = 3e-3,
                      weight_decay: float = 0.01, ema: float = 0.99, batch: int = 8, steps: int = 800, fast: bool = True,
                      seed: int = 0) -> Run:
    """A U-Net tells objects that touch apart, by their insides and borders: nuclei, grains, your own pictures.

    Args:
        data: images with masks that number objects, or of one label, whose connected parts are the objects.
        size: side in pixels; None keeps pictures of one size of at most 256 a side, and stretches others to 128.
        width, dice: channels at full resolution, weight of the soft Dice beside the cross-entropy.
        zoom: pictures are enlarged by up to 1 + 2 zoom, made smaller by 1 - zoom, and moved as far.
        flip: sides, both (up and down too) or none.
        light: strength of random changes of brightness, contrast and colour.
        min_size: pixels of the smallest object.
        lr, weight_decay, ema: peak learning rate of AdamW, its decay, decay of the averaged weights.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "masks", size=size, instances=True)
    method = InstanceSegmenter(net_of("unet", source, 3, width), dice_weight=dice, min_size=min_size)
    train = source.train(batch=batch, seed=seed, augment=augment_pairs.changes(zoom, flip, light, fill=-1))
    return fit(method, train, AdamW(lr, weight_decay=weight_decay, schedule=cosine(warmup=0.05)), steps=steps, seed=seed,
               bf16=fast, ema=ema, evaluate=evaluations(method, source), callbacks=pictures(source))


def net_of(architecture: str, source: Source, outputs: int, width: int) -> nn.Module:
    """The net of that name for the source's images."""
    net = {"unet": SegmentationUNet, "segnet": SegNet, "fcn": FCN}[architecture]
    widths = (width, 2 * width, 4 * width, 8 * width, 8 * width)
    return net(outputs, source.shape[0], widths=widths, standardize=Standardize(source.mean, source.std))
