"""The networks: attention, the Transformer over tokens, over frames, and the encoder."""
