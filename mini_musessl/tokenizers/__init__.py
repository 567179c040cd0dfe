"""Four ways to write music as a sequence of tokens, under one contract.

Chapter: 3b (tokens).
"""

from mini_musessl.tokenizers.contract import Loss, Tokenizer
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

__all__ = ["Loss", "Tokenizer", "VoiceGridTokens"]
