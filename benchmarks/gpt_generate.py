"""Greedy decoding with a cache beside transformers: GPT of 6 layers, 6 heads, 384 wide, 65 tokens, 1 prompt token and 256 new ones, batch 1 and 16.

    pip install transformers && python benchmarks/gpt_generate.py [--rounds 5] [--new 256]

Both have the same weights and must give the same tokens in float32. The contenders take turns; the median round counts. `ours_fast` decodes with a
bfloat16 copy of the weights where the processor computes in bfloat16 (then the share of equal tokens is written down), elsewhere it is `ours`.
"""

import argparse
from collections.abc import Callable

import torch
from record import entries, in_turns, rates, record
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from deepcanon.engine.loop import native_bf16
from deepcanon.language.causal import decode
from deepcanon.nets.gpt import GPT

SIZES = {"n_embd": 384, "n_layer": 6, "n_head": 6, "vocab_size": 65, "n_positions": 512}
TARGETS = {
    1: [("batch 1, fp32", "ours", "transformers", 1.2), ("batch 1, fast", "ours_fast", "transformers", 2.2)],
    16: [("batch 16, fp32", "ours", "transformers", 1.5), ("batch 16, fast", "ours_fast", "transformers", 1.8)],
}
NAMES = {"wte": "token", "wpe": "position", "ln_f": "norm", "h": "blocks", "ln_1": "norm1", "ln_2": "norm2", "attn": "attention", "c_attn": "qkv"}

Generate = Callable[[Tensor, int], Tensor]


def peer() -> GPT2LMHeadModel:
    """transformers' GPT-2 with weights large enough that the likeliest token changes from step to step."""
    model = GPT2LMHeadModel(GPT2Config(**SIZES, bos_token_id=None, eos_token_id=None)).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.08)
    return model


def same(model: GPT2LMHeadModel) -> GPT:
    """Our net with the peer's weights; its matrices are stored transposed."""
    net, state = GPT(65, 512, num_layers=6, num_heads=6, embed_dim=384).eval(), {}
    for block in net.blocks:
        block.gelu = nn.GELU("tanh")
    for key, value in model.transformer.state_dict().items():
        key = key.replace("attn.c_proj", "attn.out").replace("mlp.c_fc", "up").replace("mlp.c_proj", "down")
        own = ".".join(NAMES.get(part, part) for part in key.split("."))
        state[own] = value.T if value.ndim == 2 and own.startswith("blocks") else value
    net.load_state_dict(state | {"head.weight": model.lm_head.weight})
    return net


def with_transformers(model: GPT2LMHeadModel) -> Generate:
    def generate(prompt: Tensor, n: int) -> Tensor:
        mask = torch.ones_like(prompt)
        return model.generate(prompt, attention_mask=mask, max_new_tokens=n, min_new_tokens=n, do_sample=False, use_cache=True, pad_token_id=0)[:, 1:]

    return generate


def with_ours(net: GPT, dtype: torch.dtype | None = None) -> Generate:
    return lambda prompt, n: torch.stack(list(decode(net, prompt, n, temperature=0.0, dtype=dtype)), 1)


def side_by_side(contenders: dict[str, Generate], prompt: Tensor, new: int, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Tokens a second of each, and the share of its tokens that are those of transformers."""
    given: dict[str, Tensor] = {}
    turns = {name: lambda name=name, generate=generate: given.update({name: generate(prompt, new)}) for name, generate in contenders.items()}
    rate = rates(in_turns(turns, rounds), len(prompt) * new)
    return rate, {name: round((tokens == given["transformers"]).double().mean().item(), 4) for name, tokens in given.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--new", type=int, default=256)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = peer()
    net, bf16 = same(model), native_bf16(torch.device("cpu"))
    contenders = {"transformers": with_transformers(model), "ours": with_ours(net), "ours_fast": with_ours(net, torch.bfloat16 if bf16 else None)}
    lines, equal = [], {}
    for batch, targets in TARGETS.items():
        rate, equal[f"batch {batch}"] = side_by_side(contenders, torch.randint(65, (batch, 1)), args.new, args.rounds)
        lines += entries(rate, targets)
    record("gpt_generate", f"GPT, 6 layers, 384 wide, {args.new} new tokens", "tokens/s", lines, packages=("transformers",),
           equal_tokens=equal, rounds=args.rounds)


if __name__ == "__main__":
    main()
