"""Several answers in place of one: the mean of the probabilities of several models, or of one model in several keys."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int

from mini_musessl.evaluation.likelihood import token_log_probs
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS
from mini_musessl.voices import REST

LOWEST_ID, LOWEST_PITCH = 1, 36


class Ensemble:
    """Answers with the mean of the probabilities that its members give, each asked in several keys.

    It is scored like any model (``evaluate_likelihood``), and costs as much as all its answers together: it is no
    single model and stands in no ranking of single models. What it is worth tells how much of a model's loss is chance
    of its training, and what a student can learn (``distillation``).

    Asked in one key it is a model like its members. In several keys its number is not the likelihood of a causal model:
    which keys are asked depends on the range of the whole piece, so the answer at a step knows a little of the pitches
    that are still to come, and the probabilities of all symbols of a cell need not sum to 1. That is a small advantage
    over a model that does not look ahead, and no comparison with one should rest on a difference as small.

    Args:
        models: at least one, each as ``token_log_probs`` takes it.
        semitones: the keys; a piece is asked in those that keep its pitches inside the vocabulary, 0 always among
            them. In another key a member may give some probability to pitches that lie beyond the vocabulary in the
            piece's own key; it counts as lost.
    """

    def __init__(self, models: Sequence[object], semitones: Iterable[int] = (0,)) -> None:
        self.models, self.semitones = list(models), sorted({0, *semitones})

    def token_log_probs(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4"]:
        """Return the natural logarithm of the mean probability of each symbol that came."""
        sounding = ids[ids > 0]
        lowest, highest = (sounding.min(), sounding.max()) if sounding.size else (LOWEST_ID, LOWEST_ID)
        keys = [key for key in self.semitones if lowest + key >= LOWEST_ID and highest + key < N_SYMBOLS]
        pitches = [np.where(ids > 0, ids - LOWEST_ID + LOWEST_PITCH + key, REST) for key in keys]
        answers = [token_log_probs(model, moved) for model in self.models for moved in pitches]
        return np.logaddexp.reduce(answers, axis=0) - np.log(len(answers))
