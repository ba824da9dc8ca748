"""Convolutional encoder and decoder."""

import torch

from deepcanon.nets.conv_coder import conv_decoder, conv_encoder


def test_every_halving_of_the_image_is_undone():
    x = torch.rand(3, 2, 24, 16)
    for widths, side in (((8,), (12, 8)), ((4, 8), (6, 4)), ((4, 6, 8), (3, 2))):
        z = conv_encoder(2, widths, 5)(x)
        assert z.shape == (3, 5, *side)
        assert conv_decoder(2, widths, 5)(z).shape == x.shape


def test_a_code_sees_and_paints_a_neighbourhood_only():
    torch.manual_seed(0)
    encoder, decoder = conv_encoder(1, (8, 8), 3), conv_decoder(1, (8, 8), 3)
    x = torch.rand(1, 1, 64, 64, requires_grad=True)
    encoder(x)[0, :, 0, 0].sum().backward()
    assert x.grad[0, 0].abs().sum(0).nonzero().max() == 14                       # two 3x3 reach code 2, it columns up to 6, these up to 14
    z = torch.rand(1, 3, 16, 16, requires_grad=True)
    decoder(z)[0, 0, 0, 0].backward()
    assert z.grad[0].abs().sum((0, 1)).nonzero().max() == 3                # pixel 0 is painted by code 0, three 3x3 reach code 3
