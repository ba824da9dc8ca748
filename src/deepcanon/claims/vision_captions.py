"""Claims about sentences for images."""

import torch
from torch import nn

from deepcanon.claims.experiment import Finding, above, claim, every, over_seeds
from deepcanon.data import arrays, captions, images
from deepcanon.data.caption_data import opened, words_of
from deepcanon.engine import Adam, evaluate, fit
from deepcanon.metrics.sequences import bleu
from deepcanon.nets.caption_decoder import AdditiveAttention, CaptionDecoder
from deepcanon.vision.caption import Captioner
from deepcanon.vision.classify import Classifier

FEATURES, SIDE = 32, 24


@claim("C-262", answer="yes")
def a_frozen_encoder_says_less() -> Finding:
    """A captioner whose CNN is frozen is worse than one trained end to end.

    A CNN learns to classify single digits at random places; then a decoder with soft attention learns captions
    of scenes of one to three digits from its maps, 240 steps, with the CNN frozen or trained on. Nats a word
    and BLEU on scenes of other digits.
    """
    test = opened("digit_captions", "test")
    references = [[" ".join(words_of(text)) for text in texts] for texts in test.texts]

    def experiment(seed: int) -> dict[str, float]:
        start = classifier_maps(seed).state_dict()
        found = {}
        for name in ("frozen", "trained"):
            encoder = maps()
            encoder.load_state_dict(start)
            encoder.requires_grad_(name == "trained")
            data = captions("digit_captions", batch=32, seed=seed)
            vocabulary = data.metadata["vocabulary"]
            decoder = CaptionDecoder(len(vocabulary), FEATURES, embed_dim=24, hidden_dim=48, attention=AdditiveAttention(FEATURES, 48, width=24))
            method = Captioner(encoder, decoder, vocabulary)
            fit(method, data, Adam(5e-3), steps=240)
            found[f"{name}_nll"] = evaluate(method, captions("digit_captions", split="test", batch=100))["nll"]
            found[f"{name}_bleu"] = bleu(method.generate(test.x.float() / 255, beam=1), references).score
        return found | {"nll_saved": found["frozen_nll"] - found["trained_nll"], "bleu_gained": found["trained_bleu"] - found["frozen_bleu"]}

    measured, ends = over_seeds(experiment)
    holds = every(above(ends["nll_saved"], 0.0), above(ends["bleu_gained"], 0.0))
    return Finding(measured, holds, "The features of another task do, less well; the difference is small here.", ends)


def maps() -> nn.Sequential:
    """Convolutions from 24 x 24 pixels to 6 x 6 places."""
    layers = [(1, 16, 1), (16, 24, 2), (24, FEATURES, 2)]
    return nn.Sequential(*(nn.Sequential(nn.Conv2d(c, width, 3, stride, 1), nn.GroupNorm(4, width), nn.ReLU()) for c, width, stride in layers))


def classifier_maps(seed: int) -> nn.Sequential:
    """The same, trained to tell which digit an image holds, wherever it lies; 100 steps."""
    digits = images("digits", shuffle=False, batch=1_500).at(0)
    generator = torch.Generator().manual_seed(seed)
    x = 0.15 * torch.rand(len(digits[0]), 1, SIDE, SIDE, generator=generator)
    for image, digit, (row, column) in zip(x, digits[0], torch.randint(3, (len(x), 2), generator=generator).tolist()):
        cell = image[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        cell.copy_(torch.maximum(cell, digit))
    encoder = maps()
    net = nn.Sequential(encoder, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(FEATURES, 10))
    fit(Classifier(net), arrays(x, digits[1], batch=32, seed=seed), Adam(5e-3), steps=100)
    return encoder
