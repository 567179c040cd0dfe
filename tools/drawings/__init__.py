"""The book's drawings: each is a function that computes its numbers and returns a ``pen.Drawing``."""
