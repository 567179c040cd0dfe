"""Objectives: what a network is asked to predict, one module each.

Chapter: 4a (next token).
"""
