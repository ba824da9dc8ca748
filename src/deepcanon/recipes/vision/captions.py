"""Runs of captioning: sentences for known sets and for your own pictures with captions."""

import math
from typing import Literal

from torch import nn

from deepcanon.data import Captions, augment, open_data
from deepcanon.engine import AdamW, Run, at_least, cosine, fit, preset, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.nets.caption_decoder import AdditiveAttention, CaptionDecoder, conv_maps
from deepcanon.recipes.evaluation import evaluations
from deepcanon.vision.caption import Captioner
from deepcanon.vision.hard_attention import HardCaptioner, likeliest_place

SMALLEST = 8                                            # places a side of the map that is looked at, at most


@recipe(paper="Vinyals et al. 2015; Xu et al. 2015", systems=["VIS-33", "VIS-34", "VIS-35"], presets=[
    preset("digit_captions", steps=300, target={"bleu": at_least(0.85)}, seconds=60),
    preset("digit_captions", attention="none", expect="a mean over the image mixes up which digit is where"),
    preset("digit_captions", attention="hard", expect="the score function is noisy: slower than soft attention"),
    preset("flickr8k", size=64, min_count=3, hidden=192, dropout=0.5, flip=True, steps=500,
           expect="800 photographs are few: fluent sentences, seldom of what is seen")])
def caption(data: Captions = "digit_captions", attention: Literal["soft", "none", "hard"] = "soft", *, size: int | None = None,
            min_count: int = 1, width: int = 32, hidden: int = 128, dropout: float = 0.1, coverage: float = 0.0,
            entropy: float = 0.02, flip: bool = False, lr: float = 3e-3, batch: int = 32, steps: int = 1_500,
            beam: int = 3, seed: int = 0) -> Run:
    """A CNN and an RNN say in words what a picture shows, looking at a place of it for each word.

    Args:
        data: pictures with captions by name, or a folder with `captions.csv`.
        attention: soft (a weighted mean of places), hard (one place, learned by REINFORCE) or none.
        size: side in pixels; None keeps pictures of one size of at most 128 a side, and resizes others to 64.
        min_count: how often a word stands in the training captions at least.
        width: channels of the first layer; they double where the map is halved, to four times as many.
        hidden, dropout: units of the RNN, the share of them that is left out.
        coverage: weight of looking at every place alike over a sentence, for soft attention.
        entropy: weight of keeping the choice open, for hard attention.
        flip: learn from mirror images too; not where captions say left and right.
        lr, beam: peak learning rate of AdamW, width of the search for the likeliest sentence.
    """
    source = open_data(data, "captions", size=size, min_count=min_count)
    halvings = max(1, math.ceil(math.log2(max(source.shape[1:]) / SMALLEST)))
    encoder, features = conv_maps(source.shape[0], width, halvings, standardize=Standardize(source.mean, source.std))
    attend = AdditiveAttention(features, hidden) if attention != "none" else None
    decoder = CaptionDecoder(len(source.vocabulary), features, hidden_dim=hidden, attention=attend, dropout=dropout)
    pick = likeliest_place if attention == "hard" else None
    method: nn.Module = Captioner(encoder, decoder, source.vocabulary, coverage=coverage, pick=pick)
    if attention == "hard":
        method = HardCaptioner(method, entropy_weight=entropy)  # pyright: ignore[reportArgumentType]
    train = source.train(batch=batch, seed=seed, augment=augment.flip() if flip else None)
    return fit(method, train, AdamW(lr, weight_decay=0.01, schedule=cosine(warmup=0.05)), steps=steps, seed=seed, clip_norm=1.0,
               evaluate=evaluations(method, source, beam=beam))
