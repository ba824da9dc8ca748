"""Models of text."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.language.causal import (
        LanguageModel as LanguageModel,
        Tokenizer as Tokenizer,
        perplexity as perplexity,
    )

attach(__name__)
