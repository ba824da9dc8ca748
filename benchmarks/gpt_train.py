"""Training of a character GPT beside nanoGPT: 4 layers, 4 heads, 128 wide, context 64, batch 12, 65 characters, AdamW, gradient norm at most 1.

    git clone https://github.com/karpathy/nanoGPT && NANOGPT=./nanoGPT python benchmarks/gpt_train.py [--rounds 6] [--compile] [--script]

The contenders see the same random windows of Tiny Shakespeare and take turns; the median turn counts. `nanoGPT` and, with --compile,
`nanoGPT, compiled` (in bfloat16 autocast) run in nanoGPT's own loop; `ours` is the engine's step, log included, and `ours_fast` the same with the
compiled net, in bfloat16 where the processor computes in it.

--script: instead, one whole run of nanoGPT's `train.py` with the command of its README for a CPU, and one of the recipe `gpt` on
tinyshakespeare, processes from start to end; the losses of both on the whole validation part in windows side by side, and by
nanoGPT's estimate (20 random batches).
"""

import argparse
import contextlib
import io
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from record import earlier, entries, entry, in_turns, rates, record, trains
from torch import Tensor

from deepcanon import load
from deepcanon.data.texts import text
from deepcanon.engine.loop import Trainer, compile_nets, native_bf16
from deepcanon.engine.record import environment
from deepcanon.language.causal import LanguageModel
from deepcanon.nets.gpt import GPT
from deepcanon.recipes.language.causal import optimizer

TARGETS = [("training, fp32", "ours", "nanoGPT", 1.15), ("training, fast", "ours_fast", "nanoGPT, compiled", 1.0)]
WHOLE, WHOLE_TARGET, LOSS_TARGET = "whole script", 0.8, 1.88
CONTEXT, BATCH, VOCABULARY = 64, 12, 65
README = ("--device=cpu --compile=False --eval_iters=20 --log_interval=1 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 "
          "--max_iters=2000 --lr_decay_iters=2000 --dropout=0.0")

RECIPE = """
import sys
from deepcanon import recipes
from deepcanon.engine import options
with options(folder=sys.argv[1], quiet=True):
    recipes.gpt("tinyshakespeare")
"""

Step = Callable[[Tensor, Tensor], Tensor]


def nanogpt(fast: bool = False) -> Step:
    """nanoGPT's model in the lines of its training loop."""
    from model import GPT as NanoGPT, GPTConfig

    with contextlib.redirect_stdout(io.StringIO()):
        model = NanoGPT(GPTConfig(block_size=CONTEXT, vocab_size=VOCABULARY, n_layer=4, n_head=4, n_embd=128, dropout=0.0, bias=False))
        adamw = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    parameters, forward = list(model.parameters()), torch.compile(model) if fast else model

    def step(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16) if fast else contextlib.nullcontext():
            _, loss = forward(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adamw.step()
        adamw.zero_grad(set_to_none=True)
        return loss.detach()

    return step


def ours(fast: bool = False) -> Step:
    """The engine's step."""
    net, cpu = GPT(VOCABULARY, CONTEXT, num_layers=4, num_heads=4, embed_dim=128, bias=False), torch.device("cpu")
    method = LanguageModel(net, text("tinyshakespeare").tokenizer)
    if fast:
        compile_nets(method, ("net",), cpu)
    trainer = Trainer(method, None, optimizer(1e-3), total=1_000_000, clip_norm=1.0, bf16=fast and native_bf16(cpu))

    def step(x: Tensor, y: Tensor) -> Tensor:
        trainer.train_step((x, y))
        return trainer.log.pending["loss"][-1][1]

    return step


def side_by_side(rounds: int, steps: int, compiled: bool) -> tuple[list[dict], dict]:
    """Entries of the speed of training, and the last losses."""
    data = text("tinyshakespeare", context=CONTEXT, batch=BATCH)
    batches = [tuple(t.contiguous() for t in data.at(i)) for i in range((rounds + 1) * steps)]
    contenders = {"nanoGPT": nanogpt(), "ours": ours()}
    if compiled:
        contenders |= {"nanoGPT, compiled": nanogpt(fast=True), "ours_fast": ours(fast=True)}
    losses: dict[str, list[Tensor]] = {name: [] for name in contenders}
    seconds = in_turns({name: trains(step, batches, steps, losses[name]) for name, step in contenders.items()}, rounds)
    last = {name: round(values[-1].item(), 3) for name, values in losses.items()}
    return entries(rates(seconds, steps * BATCH * CONTEXT), TARGETS), {"last_loss": last, "rounds": rounds, "steps_a_turn": steps}


def whole_runs(nano: Path) -> tuple[list[dict], dict]:
    """The entry of the seconds of nanoGPT's script and of the recipe, each a process of its own, and the losses."""
    with tempfile.TemporaryDirectory() as name:
        work, folder = prepare(Path(name), nano), Path(name) / "ours"
        start = time.perf_counter()
        call([sys.executable, "train.py", "config/train_shakespeare_char.py", *README.split()], cwd=work)
        middle = time.perf_counter()
        call([sys.executable, "-c", RECIPE, str(folder)])
        seconds = {"nanoGPT": middle - start, "ours": time.perf_counter() - middle}
        models = {"nanoGPT": trained_nanogpt(work), "ours": load(folder)}
    losses = {name: measure(model) for name, model in models.items()}
    return [entry(WHOLE, seconds, "ours", "nanoGPT", WHOLE_TARGET, kind="seconds")], {"loss": losses, "target": {"loss": LOSS_TARGET}}


def prepare(folder: Path, nano: Path) -> Path:
    """A copy of nanoGPT with its data set as its `prepare.py` would write it."""
    work = shutil.copytree(nano, folder / "nanogpt", ignore=shutil.ignore_patterns(".git"))
    place = work / "data" / "shakespeare_char"
    for split, name in (("train", "train.bin"), ("val", "val.bin")):
        (place / name).write_bytes(text("tinyshakespeare", split=split).ids.short().numpy().tobytes())
    letters = text("tinyshakespeare").tokenizer.vocabulary
    numbers = {letter: i for i, letter in enumerate(letters)}
    (place / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(letters), "itos": dict(enumerate(letters)), "stoi": numbers}))
    return work


def call(command: list[str], cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def trained_nanogpt(work: Path) -> torch.nn.Module:
    """The checkpoint that the script kept, its best by its own estimate."""
    from model import GPT as NanoGPT, GPTConfig

    kept = torch.load(work / "out-shakespeare-char" / "ckpt.pt", weights_only=True)
    model = NanoGPT(GPTConfig(**kept["model_args"]))
    model.load_state_dict(kept["model"])
    return model.eval()


@torch.no_grad()
def measure(model: torch.nn.Module) -> dict[str, float]:
    """Nats a character on the whole validation part, and by nanoGPT's estimate: 20 batches of 12 random windows."""
    val = text("tinyshakespeare", context=CONTEXT, batch=BATCH, split="val")

    def nll(x: Tensor, y: Tensor) -> Tensor:
        logits = model.net(x) if isinstance(model, LanguageModel) else model(x, y.contiguous())[0]
        return F.cross_entropy(logits.mT, y, reduction="none").mean(1)

    starts = torch.randint(len(val.ids) - CONTEXT, (20 * BATCH,), generator=torch.Generator().manual_seed(0))
    windows = val.ids.unfold(0, CONTEXT + 1, 1)[starts].long()
    whole = torch.cat([nll(x, y) for x, y in val])
    return {"whole": round(whole.mean().item(), 4), "estimate": round(nll(windows[:, :-1], windows[:, 1:]).mean().item(), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=25, help="steps a turn")
    parser.add_argument("--compile", action="store_true", help="the fast contenders as well")
    parser.add_argument("--script", action="store_true", help="whole runs")
    args = parser.parse_args()
    nano = Path(os.environ.get("NANOGPT", "nanoGPT")).resolve()
    if not (nano / "model.py").exists():
        parser.error(f"no nanoGPT in {nano}: git clone https://github.com/karpathy/nanoGPT and set NANOGPT to it")
    sys.path.insert(0, str(nano))
    torch.manual_seed(0)
    part, (new, details) = ("script", whole_runs(nano)) if args.script else ("training", side_by_side(args.rounds, args.steps, args.compile))
    old = earlier("gpt_train")                                                  # the other part is kept as it was measured
    lines = sorted([e for e in old["entries"] if (e["what"] == WHOLE) != args.script] + new, key=lambda e: e["what"])
    parts = {key: old["details"][key] for key in ("training", "script") if key in old["details"]}
    parts[part] = details | environment() | {"date": time.strftime("%Y-%m-%d")}
    record("gpt_train", "character GPT, 4 layers, 128 wide, context 64, batch 12", "tokens/s", lines, **parts)


if __name__ == "__main__":
    main()
