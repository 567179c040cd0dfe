"""The networks, and their configurations: over tokens, over frames, and over frames with hidden cells."""

from mini_musessl.network.encoder import EncoderConfig, FrameEncoder, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig

__all__ = [
    "EncoderConfig",
    "FrameConfig",
    "FrameEncoder",
    "FrameTransformer",
    "MaskedTransformer",
    "MusicTransformer",
    "TransformerConfig",
]
