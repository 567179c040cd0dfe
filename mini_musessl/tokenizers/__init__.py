"""Four ways to write music as a sequence of tokens, one file each, and what they share. Chapter: 3b (tokens)."""
