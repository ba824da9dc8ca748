"""Densities by change of variables."""

from deepcanon.flows.dequantize import Dequantized, UniformNoise, VariationalNoise
from deepcanon.flows.flow import Chain, Flow

__all__ = ["Chain", "Dequantized", "Flow", "UniformNoise", "VariationalNoise"]
