"""Runs of flows made of couplings: NICE, Real NVP, Glow."""

from deepcanon.data import Images, Points, open_data
from deepcanon.engine import Run, at_most, preset, recipe
from deepcanon.flows.flow import Chain, Logit
from deepcanon.flows.glow_flow import glow as glow_layers
from deepcanon.flows.nice_flow import nice as nice_layers
from deepcanon.flows.realnvp_flow import realnvp as point_layers, realnvp_images as image_layers
from deepcanon.recipes.densities import density_run, dequantized, vectors
from deepcanon.recipes.inputs import SIDE, halved, size_of
from deepcanon.recipes.optimizers import adam


@recipe(paper="Dinh et al. 2015", systems=["GEN-37"], presets=[
    preset("digits", width=128, steps=500, target={"bits_per_dim": at_most(2.5)}, seconds=30)])
def nice(data: Images = "digits", *, size: int | None = None, width: int = 256, layers: int = 6,
         lr: float = 2e-3, batch: int = 128, steps: int = 1_000, seed: int = 0) -> Run:
    """NICE, a flow of additive couplings, on images: held-out bits a value, as a bound.

    Args:
        data: images by name or path or as an object.
        width, layers: units of the two hidden layers of a coupling, couplings in a row.
    """
    source = open_data(data, "images", size=size)
    flow = nice_layers(size_of(source), hidden=(width, width), num_layers=layers)
    return density_run(vectors(source, flow), source, adam(lr), batch=batch, steps=steps, seed=seed)


@recipe(paper="Dinh et al. 2017", systems=["GEN-36", "GEN-38"], presets=[
    preset("moons", lr=5e-3, batch=256, steps=1_500, target={"kl": at_most(0.05)}, seconds=30),
    preset("digits", width=32, batch=64, target={"bits_per_dim": at_most(2.2)}, seconds=60),
    preset("mnist", width=32, lr=5e-3, steps=3_000, variational=True, muon=True,
           target={"bits_per_dim": at_most(1.3)}, seconds=1_200, published={"bits_per_dim": 1.06},
           source="Grathwohl et al. 2019, arXiv 1810.01367, Table 2")])
def realnvp(data: Images | Points = "digits", *, size: int | None = None, width: int = 64, layers: int = 8,
            variational: bool = False, muon: bool = False, lr: float = 2e-3, batch: int = 32,
            steps: int = 800, seed: int = 0) -> Run:
    """Real NVP, a flow of affine couplings, on images (bits a value, as a bound) or points (nats, exact).

    Args:
        data, size: images or points by name or path or as an object, side of images (32 for your own).
        width, layers: units or feature maps inside a coupling, couplings of points (images have twelve).
        variational, muon: learn the noise between levels of images, train with Muon in place of Adam.
    """
    source = open_data(data, "images", "points", size=size, side=SIDE)
    if source.kind == "points":
        method = vectors(source, point_layers(size_of(source), hidden=(width, width), num_layers=layers))
    else:
        flow = Chain(Logit(), image_layers(halved(source, 2), width=width))
        method = dequantized(source, flow, source.shape, variational=variational)
    return density_run(method, source, adam(lr, muon=muon), batch=batch, steps=steps, seed=seed)


@recipe(paper="Kingma & Dhariwal 2018", systems=["GEN-39"], presets=[
    preset("digits", width=32, batch=64, target={"bits_per_dim": at_most(2.3)}, seconds=60),
    preset("mnist", flow_steps=6, lr=5e-3, steps=3_000, variational=True, muon=True,
           target={"bits_per_dim": at_most(1.3)}, seconds=1_200, published={"bits_per_dim": 1.05},
           source="Grathwohl et al. 2019, arXiv 1810.01367, Table 2")])
def glow(data: Images = "digits", *, size: int | None = None, flow_steps: int = 4, width: int = 48,
         variational: bool = False, muon: bool = False, lr: float = 2e-3, batch: int = 32, steps: int = 800,
         seed: int = 0) -> Run:
    """Glow, a flow with learned mixtures of the channels, on images: held-out bits a value, as a bound.

    Args:
        data, size: images by name or path or as an object, side in pixels (32 for your own unless given).
        flow_steps, width: couplings at each of two scales, feature maps inside a coupling.
        variational, muon: learn the noise between levels of images, train with Muon in place of Adam.
    """
    source = open_data(data, "images", size=size, side=SIDE)
    flow = Chain(Logit(), glow_layers(halved(source, 2), num_steps=flow_steps, width=width))
    method = dequantized(source, flow, source.shape, variational=variational)
    return density_run(method, source, adam(lr, muon=muon), batch=batch, steps=steps, seed=seed)
