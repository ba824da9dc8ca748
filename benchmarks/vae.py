"""VAE training beside pythae: samples a second, 784-512-256-16 and the mirrored decoder, batch 128, Adam, Bernoulli likelihood.

    pip install pythae && python benchmarks/vae.py [--rounds 5] [--steps 60]

The contenders take turns of some steps on the same batches: pythae's model in a bare loop, with torch's Adam as it comes; ours as the engine steps
it, log included; ours with the recipes' fast switch (compiled nets, and bfloat16 where the CPU computes in it: elsewhere the engine keeps float32).
"""

import argparse
from collections.abc import Callable

import torch
from pythae.models import VAE as PythaeVAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from record import entries, in_turns, rates, record, trains
from torch import Tensor, nn

from deepcanon.data import images
from deepcanon.engine import Adam
from deepcanon.engine.loop import Trainer, compile_nets, native_bf16
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.vae import VAE

LR, BATCH, LATENT = 1e-3, 128, 16
TARGETS = [("training, fp32", "ours", "pythae", 1.7), ("training, fast", "ours_fast", "pythae", 2.5)]
Step = Callable[[Tensor], Tensor | float]


class Encoder(BaseEncoder):
    """784-512-256, then mean and log variance."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU())
        self.mean, self.log_var = nn.Linear(256, LATENT), nn.Linear(256, LATENT)

    def forward(self, x: Tensor) -> ModelOutput:
        h = self.hidden(x.flatten(1))
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_var(h))


class Decoder(BaseDecoder):
    """16-256-512-784, probabilities."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(LATENT, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 784), nn.Sigmoid())

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.net(z).view(-1, 1, 28, 28))


def pythae() -> Step:
    """The peer's model in the loop one writes by hand."""
    model = PythaeVAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce"), encoder=Encoder(), decoder=Decoder())
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model({"data": x}).loss
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def ours(fast: bool = False) -> Step:
    """The engine's step, log included."""
    encoder = nn.Sequential(nn.Flatten(), mlp(784, 512, 256, 2 * LATENT))
    decoder = nn.Sequential(mlp(LATENT, 256, 512, 784), nn.Unflatten(1, (1, 28, 28)))
    method, cpu = VAE(encoder, decoder, latent_dim=LATENT), torch.device("cpu")
    if fast:
        compile_nets(method, ("encoder", "decoder"), cpu)
    trainer = Trainer(method, None, Adam(LR), bf16=fast and native_bf16(cpu))

    def step(x: Tensor) -> Tensor | float:
        trainer.train_step((x,))
        return trainer.log.pending["loss"][-1][1]

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60, help="steps a turn")
    args = parser.parse_args()
    torch.manual_seed(0)
    data = images("digits", size=28, batch=BATCH)
    batches = [(torch.bernoulli(data.at(i)[0]),) for i in range(10)]
    steps = {"pythae": pythae(), "ours": ours(), "ours_fast": ours(fast=True)}
    losses: dict[str, list[Tensor | float]] = {name: [] for name in steps}
    seconds = in_turns({name: trains(step, batches, args.steps, losses[name]) for name, step in steps.items()}, args.rounds)
    record("vae", f"VAE 784-512-256-16 and its mirror, batch {BATCH}", "samples/s", entries(rates(seconds, args.steps * BATCH), TARGETS),
           packages=("pythae",), last_loss={name: round(float(values[-1]), 2) for name, values in losses.items()},
           rounds=args.rounds, steps_a_turn=args.steps)


if __name__ == "__main__":
    main()
