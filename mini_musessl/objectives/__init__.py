"""Objectives: what a network is asked to predict, one module each.

An objective is a function ``(model, batch) -> (loss, n_targets)``: it runs the model and returns the mean loss in nats
over the targets of the batch, and how many targets there were. The number is needed where batches are put together,
one after the other or from several processes: each counts as much as it has targets.

Beside the function stand an iterator that makes its batches from windows and a generator, such as ``masked_batches``,
and a report, such as ``measure_masked``: numbers by name, on given pieces.

Chapter: 4a (next token), 4b (masked), 4c (attributes), 4d (contrastive, order), 5d (next frame).
"""
