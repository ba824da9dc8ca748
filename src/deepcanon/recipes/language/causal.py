"""Runs of causal language models."""

from deepcanon.data import Tokens, open_data
from deepcanon.engine import AdamW, Factory, Run, Samples, at_most, cosine, fit, minimize, preset, recipe
from deepcanon.language.causal import LanguageModel
from deepcanon.nets.gpt import GPT


@recipe(paper="Radford et al. 2019", systems=["LLM-01"], presets=[
    preset("pydoc", layers=2, width=96, lr=4e-3, steps=1_000, fast=False, target={"nll": at_most(1.65)}, seconds=30),
    preset("tinyshakespeare", steps=1_400, target={"nll": at_most(1.88)}, seconds=75,
           published={"nll": 1.88}, source="nanoGPT, README, its CPU setting"),
    preset("tinyshakespeare", "full", context=256, layers=6, heads=6, width=384, dropout=0.2, lr=1e-3, batch=64, steps=5_000,
           target={"nll": at_most(1.50)}, seconds=600, published={"nll": 1.4697}, source="nanoGPT, README")])
def gpt(data: Tokens = "pydoc", *, context: int = 64, layers: int = 4, heads: int = 4, width: int = 128, dropout: float = 0.0,
        lr: float = 3e-3, batch: int = 12, steps: int = 2_000, fast: bool = True, seed: int = 0) -> Run:
    """A GPT goes on writing like a text, by characters; nats a character on the part that it did not read.

    Args:
        data: a text by name, file, folder or object.
        context: characters that the model sees.
        layers, heads, width: blocks, attention heads in each, numbers of an embedding.
        dropout: share of activations that are dropped in training.
        fast: bfloat16 where the processor has it; a model of 6 layers or more is compiled too.
    """
    source = open_data(data, "text")
    train, val = source.train(context=context, batch=batch, seed=seed), source.test(context=context, batch=64)
    net = GPT(len(source.vocabulary), context, num_layers=layers, num_heads=heads, embed_dim=width, dropout=dropout, bias=False)
    method, large = LanguageModel(net, train.tokenizer), layers >= 6
    kept = [minimize("nll"), Samples(passage, every=1_000)] if large else [Samples(passage)]
    return fit(method, train, optimizer(lr), steps=steps, seed=seed, clip_norm=1.0, bf16=fast, compile=("net",) if fast and large else (),
               evaluate=val, evaluate_every=250 if large else None, callbacks=kept)


def optimizer(lr: float) -> Factory:
    """AdamW as nanoGPT sets it, down to a tenth of the rate."""
    return AdamW(lr, betas=(0.9, 0.99), weight_decay=0.1, schedule=cosine(warmup=0.05, final=0.1))


def passage(method: LanguageModel) -> str:
    """500 characters from the first of the vocabulary, at temperature 0.8."""
    return method.sample(method.tokenizer.decode([0]), 500, temperature=0.8)[0]
