"""Objectives: what a network is asked to predict, one module each, with the same three roles.

``x_batches(pieces, ...)`` draws batches without end; ``x_loss(model, batch)`` returns the mean loss in nats, to be
differentiated, and the number of targets, by which batches are weighted where several are put together;
``evaluate_x(model, pieces, ...)`` returns numbers by name, baselines among them. Settings of a loss are fixed with
``functools.partial``. The next token has its batches in ``batches`` and its evaluation in ``evaluation.likelihood``.

Chapter: 4a (next token), 4b (masked), 4c (attributes), 4d (contrastive, order), 5d (next frame).
"""
