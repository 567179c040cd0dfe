"""Four ways to write music as a sequence of tokens, under one contract.

Chapter: 3b (tokens).
"""

from mini_musessl.tokenizers.base import RoundTrip, Tokenizer, compare_grids, compare_notes, compare_pieces
from mini_musessl.tokenizers.compound import CompoundWords
from mini_musessl.tokenizers.midi_like import MidiLike
from mini_musessl.tokenizers.remi import Remi
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

__all__ = [
    "CompoundWords",
    "MidiLike",
    "Remi",
    "RoundTrip",
    "Tokenizer",
    "VoiceGridTokens",
    "compare_grids",
    "compare_notes",
    "compare_pieces",
]
