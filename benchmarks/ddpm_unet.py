"""Training and DDIM sampling of a diffusion UNet beside diffusers: 32x32x3, channels 32, 64, 64, 2 blocks a stage, attention at the middle stage.

    pip install diffusers && python benchmarks/ddpm_unet.py [--rounds 3] [--compile]

The nets have equal parameters and FLOPs (both are counted and written down), and the same loss, AdamW and batches of 64; the contenders take turns of
one step. `diffusers` has its default attention, heads 8 wide; `diffusers, one head` has one of 64 as ours has: a choice that leaves parameters and
FLOPs as they are. `ours` is the engine's step, log included; `ours_fast`, with --compile, the same with the compiled net, in bfloat16 where the
processor computes in it. The two sample in the same way.
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel
from record import entries, in_turns, rates, record
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deepcanon.diffusion import DDPM, ddim
from deepcanon.engine import AdamW
from deepcanon.engine.loop import Trainer, compile_nets, native_bf16
from deepcanon.nets.unet import UNet

SHAPE, LR, BATCH, SAMPLES, SAMPLING_STEPS = (3, 32, 32), 1e-4, 64, 16, 50
TARGET = 1.7                                                               # of the faster of ours and ours_fast


def diffusers_net(head_dim: int) -> UNet2DModel:
    """UNet2DModel of the work."""
    down, up = ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    return UNet2DModel(sample_size=32, in_channels=3, out_channels=3, layers_per_block=2, block_out_channels=(32, 64, 64),
                       attention_head_dim=head_dim, down_block_types=down, up_block_types=up)


def our_model() -> DDPM:
    """The UNet of the work in its method."""
    return DDPM(UNet(3, (32, 64, 64), blocks=2, attention=(1,), head_dim=64), SHAPE, sampler=ddim, steps=SAMPLING_STEPS)


def diffusers_step(net: UNet2DModel) -> Callable[[Tensor], None]:
    """The loop of diffusers' training example."""
    scheduler, optimizer = DDIMScheduler(1000), torch.optim.AdamW(net.parameters(), lr=LR)

    def step(x: Tensor) -> None:
        x = 2 * x - 1
        eps, t = torch.randn_like(x), torch.randint(1000, (len(x),))
        loss = F.mse_loss(net(scheduler.add_noise(x, eps, t), t).sample, eps)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def our_step(model: DDPM, bf16: bool = False) -> Callable[[Tensor], None]:
    """The engine's step."""
    trainer = Trainer(model, None, AdamW(LR), bf16=bf16)
    return lambda x: trainer.train_step((x,))


def our_sample(model: DDPM, bf16: bool = False) -> Tensor:
    """DDIM by our sampler."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return model.sample(SAMPLES)


@torch.no_grad()
def diffusers_sample(net: UNet2DModel) -> Tensor:
    """DDIM by diffusers' scheduler."""
    scheduler = DDIMScheduler(1000)
    scheduler.set_timesteps(SAMPLING_STEPS)
    x = torch.randn(SAMPLES, *SHAPE)
    for t in scheduler.timesteps:
        x = scheduler.step(net(x, t).sample, t, x).prev_sample
    return x


def count(net: nn.Module) -> dict[str, int]:
    """Parameters, and FLOPs of a forward pass of one image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.randn(1, *SHAPE), torch.tensor([1]))
    return {"parameters": sum(p.numel() for p in net.parameters()), "flops": counter.get_total_flops()}


def against_target(what: str, rate: dict[str, float]) -> list[dict]:
    """Ours and ours_fast beside diffusers; the target is the faster one's."""
    forms = {name: form for name, form in {"ours": "fp32", "ours_fast": "fast"}.items() if name in rate}
    best = max(forms, key=rate.__getitem__)
    return entries(rate, [(f"{what}, {form}", name, "diffusers", TARGET if name == best else None) for name, form in forms.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="measure the compiled net too; compiling takes minutes")
    args = parser.parse_args()
    torch.manual_seed(0)
    x, model = torch.rand(BATCH, *SHAPE), our_model()
    peers = {"diffusers": diffusers_net(8), "diffusers, one head": diffusers_net(64)}
    counts = {name: count(net) for name, net in {**peers, "ours": model.net}.items()}
    assert len({tuple(c.values()) for c in counts.values()}) == 1, counts
    steps = {name: diffusers_step(net) for name, net in peers.items()} | {"ours": our_step(model)}
    samplers = {"diffusers": lambda: diffusers_sample(peers["diffusers"]), "ours": lambda: our_sample(model)}
    if args.compile:
        fast, bf16 = our_model(), native_bf16(torch.device("cpu"))
        compile_nets(fast, ("net",), torch.device("cpu"))
        steps["ours_fast"], samplers["ours_fast"] = our_step(fast, bf16), lambda: our_sample(fast, bf16)
    training = rates(in_turns({name: lambda step=step: step(x) for name, step in steps.items()}, args.rounds), BATCH)
    sampling = rates(in_turns(samplers, args.rounds), SAMPLES)
    lines = [line for what, rate in (("training", training), (f"DDIM, {SAMPLING_STEPS} steps, batch {SAMPLES}", sampling))
             for line in against_target(what, rate)]
    lines += entries(training, [("training, fp32", "ours", "diffusers, one head", None)])
    record("ddpm_unet", f"diffusion UNet, 32x32x3, batch {BATCH}", "images/s", lines,
           packages=("diffusers",), **counts["ours"], rounds=args.rounds)


if __name__ == "__main__":
    main()
