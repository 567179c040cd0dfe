"""Judging models and music: one module a question, each with its conventions in its docstring.

Chapter: 9c (judging).
"""
