"""Models of text."""

from deepcanon.language.causal import LanguageModel

__all__ = ["LanguageModel"]
