"""How surprising hidden cells of whole pieces are to a model that sees the others.

Chapter: 4b (masking).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from mini_musessl.evaluation.chorale_ids import N_SYMBOLS
from mini_musessl.evaluation.scoring import Scores
from mini_musessl.generation.whole_pieces import score_cells
from mini_musessl.masked_transformer import MaskedTransformer

#: Cells, of all draws together, that a network is asked about at once.
N_CELLS_AT_ONCE = 2**16


def score_hidden(
    model: object, ids: Int[np.ndarray, "n_steps 4"], is_hidden: Bool[np.ndarray, "n_draws n_steps 4"]
) -> Scores:
    """Score the hidden cells of one piece, each by itself, from the cells that are not hidden.

    Args:
        model: a MaskedTransformer over the 47 symbols of the benchmark, or any object with a method
            ``cell_log_probs(ids, is_hidden)`` that answers with the natural logarithms of the probabilities of all
            symbols, (n_steps, 4, 47).
        ids: the whole piece.
        is_hidden: several draws of what is hidden in it, each asked by itself.

    Returns:
        Scores of the shape of ``is_hidden``; those of cells that are not hidden are 0 and False.

    Raises:
        ValueError: a network of another vocabulary, or answers that are no logarithms of probabilities.
        TypeError: a model of another kind.
        FloatingPointError: the scores of a network are not numbers.

    Chapter: 4b.
    """
    if isinstance(model, MaskedTransformer):
        _check_symbols(model)
        n_draws = max(1, N_CELLS_AT_ONCE // ids.size)
        parts = [is_hidden[row : row + n_draws] for row in range(0, len(is_hidden), n_draws)]
        return Scores.join([_ask_network(model, ids, part) for part in parts])
    if not hasattr(model, "cell_log_probs"):
        raise TypeError(
            "A model that fills must be a MaskedTransformer or have a method cell_log_probs(ids, is_hidden); found "
            f"{type(model).__name__}. For a class, make an object of it first."
        )
    answers = [_ask(model, ids, each) for each in is_hidden]
    return Scores(np.stack([each.nats for each in answers]), np.stack([each.is_first_choice for each in answers]))


def check_hidden_cells(
    pieces: Sequence[np.ndarray], hidden: Sequence[ArrayLike]
) -> list[Bool[np.ndarray, "n_draws n_steps 4"]]:
    """Return what is hidden in each piece, or refuse what does not fit the pieces.

    Args:
        pieces: ids, (n_steps, 4) each.
        hidden: should be bool (n_draws, n_steps, 4) for each piece, something hidden in each draw.

    Raises:
        ValueError: another number of pieces, another shape, no draws, or a draw that hides nothing.
        TypeError: not True and False.

    Chapter: 4b.
    """
    if len(hidden) != len(pieces):
        raise ValueError(f"What is hidden must be said of each piece, {len(pieces)}; found {len(hidden)}.")
    arrays = [np.asarray(each) for each in hidden]
    for index, (ids, is_hidden) in enumerate(zip(pieces, arrays, strict=True)):
        if is_hidden.dtype != np.bool_:
            raise TypeError(f"What is hidden must be True or False; piece {index} has {is_hidden.dtype}.")
        if is_hidden.ndim != 3 or is_hidden.shape[1:] != ids.shape or len(is_hidden) == 0:
            raise ValueError(
                f"What is hidden must have the shape (n_draws, {ids.shape[0]}, {ids.shape[1]}) for piece {index}; "
                f"found {is_hidden.shape}. Draw it for these pieces, with infilling.draw_hidden."
            )
        if not is_hidden.any(axis=(1, 2)).all():
            raise ValueError(f"Each draw must hide something, to be asked for; one of piece {index} hides nothing.")
    return arrays


def _check_symbols(model: MaskedTransformer) -> None:
    """Refuse a network over other symbols."""
    size, n_voices = model.config.vocabulary_size, model.config.n_voices
    if size != N_SYMBOLS or n_voices != 4:
        raise ValueError(
            f"The benchmark has {N_SYMBOLS} symbols, rest and pitches 36 to 81, in 4 voices; this network has {size} "
            f"in {n_voices}."
        )


def _ask_network(model: MaskedTransformer, ids: np.ndarray, is_hidden: np.ndarray) -> Scores:
    """Ask a network about some draws at once."""
    frames, hides = torch.from_numpy(ids).expand(is_hidden.shape), torch.from_numpy(is_hidden)
    logits = score_cells(model, frames, hides)[hides]
    targets = frames[hides]
    chosen = logits.log_softmax(dim=-1).gather(-1, targets[:, None])[:, 0].double().numpy()
    if np.isnan(chosen).any():
        raise FloatingPointError(
            "The scores of a network must be finite numbers; found some that are not. Did training diverge? Train "
            "again with a smaller learning_rate."
        )
    return _spread(is_hidden, -chosen, (logits.argmax(dim=-1) == targets).numpy())


def _ask(model: object, ids: np.ndarray, is_hidden: np.ndarray) -> Scores:
    """Ask a model through its own method, and check what it says."""
    answer = np.asarray(model.cell_log_probs(ids, is_hidden), np.float64)
    if answer.shape != (*ids.shape, N_SYMBOLS):
        raise ValueError(
            f"cell_log_probs must answer with one number a symbol, shape {(*ids.shape, N_SYMBOLS)}; found "
            f"{answer.shape}."
        )
    sums = np.exp(answer[is_hidden]).sum(axis=1)
    if not (np.abs(sums - 1) < 1e-3).all():
        raise ValueError(
            "cell_log_probs must answer with logarithms of probabilities, which sum to 1 over the symbols of a cell; "
            f"found sums from {sums.min():.3g} to {sums.max():.3g}."
        )
    targets = ids[is_hidden]
    chosen = np.take_along_axis(answer[is_hidden], targets[:, None], axis=1)[:, 0]
    return _spread(is_hidden, -chosen, answer[is_hidden].argmax(axis=1) == targets)


def _spread(is_hidden: np.ndarray, nats: np.ndarray, is_first_choice: np.ndarray) -> Scores:
    """Put the scores of hidden cells where those cells are."""
    scores = Scores(np.zeros(is_hidden.shape), np.zeros(is_hidden.shape, bool))
    scores.nats[is_hidden], scores.is_first_choice[is_hidden] = nats, is_first_choice
    return scores
