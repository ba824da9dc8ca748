"""Runs of language models."""

from deepcanon.data.texts import Text, text
from deepcanon.engine import AdamW, Factory, Run, Samples, at_most, cosine, fit, minimize, recipe
from deepcanon.language.causal import LanguageModel
from deepcanon.nets.gpt import GPT


@recipe(target={"nll": at_most(1.88)}, seconds=75, published={"nll": 1.88}, source="nanoGPT, README, its CPU setting", paper="Radford et al. 2019",
        rows=["LLM-01"])
def gpt_shakespeare(context: int = 64, layers: int = 4, heads: int = 4, width: int = 128, lr: float = 3e-3, batch: int = 12, steps: int = 1_400,
                    fast: bool = True, seed: int = 0) -> Run:
    """A GPT of 0.8 M parameters writes like Shakespeare, by characters; nats a character on the whole validation part."""
    train, val = windows("tinyshakespeare", context, batch, seed)
    method = gpt(train, layers, heads, width)
    return fit(method, train, optimizer(lr), steps=steps, seed=seed, clip_norm=1.0, bf16=fast, evaluate=val, callbacks=[Samples(passage)])


@recipe(target={"nll": at_most(1.50)}, seconds=600, published={"nll": 1.4697}, source="nanoGPT, README", paper="Radford et al. 2019", rows=["LLM-01"])
def gpt_shakespeare_full(context: int = 256, dropout: float = 0.2, lr: float = 1e-3, batch: int = 64, steps: int = 5_000, fast: bool = True,
                         seed: int = 0) -> Run:
    """A GPT of 10.6 M parameters writes like Shakespeare: sized for a GPU; the best weights on validation are kept beside the last."""
    train, val = windows("tinyshakespeare", context, batch, seed)
    method = gpt(train, 6, 6, 384, dropout)
    return fit(method, train, optimizer(lr), steps=steps, seed=seed, clip_norm=1.0, bf16=fast, compile=("net",) if fast else (), evaluate=val,
               evaluate_every=250, callbacks=[minimize("nll"), Samples(passage, every=1_000)])


@recipe(target={"nll": at_most(1.65)}, seconds=30, paper="Radford et al. 2019", rows=["LLM-01"])
def gpt_pydoc(context: int = 64, layers: int = 2, heads: int = 4, width: int = 96, lr: float = 4e-3, batch: int = 12, steps: int = 1_000,
              seed: int = 0) -> Run:
    """A small GPT writes like Python's documentation, by characters; no download."""
    train, val = windows("pydoc", context, batch, seed)
    method = gpt(train, layers, heads, width)
    return fit(method, train, optimizer(lr), steps=steps, seed=seed, clip_norm=1.0, evaluate=val, callbacks=[Samples(passage)])


@recipe(paper="Radford et al. 2019", rows=["LLM-01"])
def gpt_text(data: str = "pydoc", context: int = 64, layers: int = 4, width: int = 128, lr: float = 3e-3, batch: int = 12, steps: int = 2_000,
             fast: bool = True, seed: int = 0) -> Run:
    """A GPT learns to continue your own text file, by characters."""
    train, val = windows(data, context, batch, seed)
    method = gpt(train, layers, 4, width)
    return fit(method, train, optimizer(lr), steps=steps, seed=seed, clip_norm=1.0, bf16=fast, evaluate=val, callbacks=[Samples(passage)])


def windows(source: str, context: int, batch: int, seed: int) -> tuple[Text, Text]:
    """Random windows of the training part; all windows of the validation part, side by side."""
    return text(source, context=context, batch=batch, seed=seed), text(source, context=context, batch=64, split="val")


def gpt(data: Text, layers: int, heads: int, width: int, dropout: float = 0.0) -> LanguageModel:
    """The language model of this text's characters, without biases as nanoGPT sets it."""
    tokenizer = data.tokenizer
    net = GPT(len(tokenizer.vocabulary), data.context, num_layers=layers, num_heads=heads, embed_dim=width, dropout=dropout, bias=False)
    return LanguageModel(net, tokenizer)


def optimizer(lr: float) -> Factory:
    """AdamW as nanoGPT sets it, down to a tenth of the rate."""
    return AdamW(lr, betas=(0.9, 0.99), weight_decay=0.1, schedule=cosine(warmup=0.05, final=0.1))


def passage(method: LanguageModel) -> str:
    """500 characters from the first of the vocabulary, at temperature 0.8."""
    return method.sample(method.tokenizer.decode([0]), 500, temperature=0.8)[0]
