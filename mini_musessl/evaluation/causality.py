"""Causality: a black-box test that a model does not see the future.

A loss can be too good. A model that is given the chord that sounds now, or whose mask lets the future through, is not
better: it solves another task. This test looks into no model; it changes the music and watches the numbers.

Chapter: 2a (the leak), 8b (the chorale benchmark).
"""

import numpy as np
from jaxtyping import Float, Int

from mini_musessl.evaluation.likelihood import evaluate_likelihood, token_log_probs
from mini_musessl.tokenizers.voice_grid import TOKENS
from mini_musessl.voices import REST, SATB

#: How far a sum of probabilities, or a logarithm that must not move, may be off: networks count in float32.
TOLERANCE = 1e-4
#: Every symbol of the benchmark, as a pitch.
SYMBOLS = np.array([REST, *range(TOKENS.lowest_pitch, TOKENS.highest_pitch + 1)])


def check_causality(model: object, generator: np.random.Generator, n_steps: int = 40, n_places: int = 4) -> None:
    """Check on random music that the benchmark can score a model; raise an error that names the fault if not.

    At random places the probabilities of all symbols sum to 1, and a change moves no logarithm before it. The
    beginning of a piece is scored alike whatever its length. Pieces are scored alike alone, together and in any order.

    Args:
        model: as for ``likelihood.evaluate_likelihood``.
        n_steps: length of the random music, at least 8; more than the context of a network, to test its windows.
        n_places: how many tokens are tried with every symbol, the four voices in turn from the bass.
    """
    music = _random_music(n_steps, generator)
    for place, step in enumerate(generator.permutation(np.arange(1, n_steps))[:n_places].tolist()):
        _check_place(model, music, step, voice=3 - place % 4)
    _check_length(model, music, n_kept=n_steps // 2)
    _check_company(model, [music, _random_music(n_steps // 2, generator), _random_music(n_steps - 3, generator)])


def _random_music(n_steps: int, generator: np.random.Generator) -> Int[np.ndarray, "n_steps 4"]:
    """Return pitches of which most are held, some of them rests; the second half repeats the first, as in chorales."""
    pitch = generator.choice(SYMBOLS, size=(n_steps, 4))
    is_held = generator.random((n_steps, 4)) < 0.6
    for step in range(1, n_steps):
        pitch[step] = np.where(is_held[step], pitch[step - 1], pitch[step])
    half = n_steps // 2
    pitch[half : 2 * half] = pitch[:half]
    return pitch


def try_every_symbol(
    model: object, music: Int[np.ndarray, "n_steps 4"], step: int, voice: int
) -> Float[np.ndarray, "47 n_steps 4"]:
    """Put every symbol at one place of a piece, and return the log-probabilities of the tokens of each version."""
    versions = np.repeat(music[None], len(SYMBOLS), axis=0)
    versions[:, step, voice] = SYMBOLS
    return -np.array(evaluate_likelihood(model, list(versions)).nats)


def _check_place(model: object, music: np.ndarray, step: int, voice: int) -> None:
    """Try every symbol at one place: nothing before it may move, and their probabilities must sum to 1."""
    log_probs = try_every_symbol(model, music, step, voice)
    before = log_probs.reshape(len(SYMBOLS), -1)[:, : 4 * step + voice]
    moved = np.flatnonzero(~np.isclose(before, before[0], rtol=0, atol=TOLERANCE).all(axis=0))
    if moved.size:
        raise ValueError(
            f"A model must not see what comes later; changing the {SATB[voice]} of step {step} changes what this one "
            f"says of the {SATB[moved[-1] % 4]} of step {moved[-1] // 4}. Is it told the chord, or is its mask shifted?"
        )
    total = float(np.exp(log_probs[:, step, voice]).sum())
    if not abs(total - 1) < TOLERANCE * len(SYMBOLS):
        raise ValueError(
            f"The probabilities of the {len(SYMBOLS)} symbols must sum to 1; for the {SATB[voice]} of step {step} they "
            f"sum to {total:.4f}. Does the model see the token that it is to predict, or forget to normalise?"
        )


def _check_length(model: object, music: np.ndarray, n_kept: int) -> None:
    """Score a piece and its beginning: the end must not show."""
    whole, cut = token_log_probs(model, music)[:n_kept], token_log_probs(model, music[:n_kept])
    if not np.allclose(whole, cut, rtol=0, atol=TOLERANCE):
        raise ValueError(
            "A model must not know how long a piece is; this one scores the same beginning otherwise when the piece "
            f"ends at step {n_kept}. Is something measured from the end, or averaged over the whole piece?"
        )


def _check_company(model: object, pieces: list[np.ndarray]) -> None:
    """Score pieces alone, together and backwards: company, order and padding must not show."""
    alone = [-token_log_probs(model, piece) for piece in pieces]
    for order in (slice(None), slice(None, None, -1)):
        together = evaluate_likelihood(model, pieces[order]).nats[order]
        if not all(np.allclose(*pair, rtol=0, atol=TOLERANCE) for pair in zip(alone, together, strict=True)):
            raise ValueError(
                "A piece must be scored alike alone and beside others; this model scores it otherwise. Does padding "
                "reach its sums, or does it keep something from one piece to the next?"
            )
