"""Judging models and music: one module per question, each with its conventions in its docstring.

Chapter: 9c (judging).
"""
