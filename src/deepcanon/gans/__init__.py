"""Generators trained against an adversary."""

from deepcanon.gans.wgan import WGANGP

__all__ = ["WGANGP"]
