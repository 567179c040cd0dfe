"""Exercises of notebook 2a: prices, contexts, backing off, mixing, and what a model may know.

Chapter: 2a (counting).
"""

from __future__ import annotations

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def bits_per_quarter(nats_per_token: float) -> float:
    """Return the price of a quarter note of four-part music on the grid of sixteenths."""
    return float(16 * nats_per_token / np.log(2))


def _bits_per_token(nats_per_token: float) -> float:
    """Mistake: the price of one token."""
    return float(nats_per_token / np.log(2))


def _bits_per_step(nats_per_token: float) -> float:
    """Mistake: the price of one step of four voices."""
    return float(4 * nats_per_token / np.log(2))


def _nats_per_quarter(nats_per_token: float) -> float:
    """Mistake: leave the unit nats."""
    return 16 * nats_per_token


def _bits_upside_down(nats_per_token: float) -> float:
    """Mistake: multiply by ln 2."""
    return float(16 * nats_per_token * np.log(2))


def context(token_ids: list[int], i: int, order: int) -> tuple[int, ...]:
    """Return what an n-gram looks at to predict token i: the order - 1 tokens before it, or as many as there are.

    Args:
        token_ids: one piece.
        i: index of the token to predict.
        order: tokens in a count, the predicted one among them.
    """
    return tuple(token_ids[max(0, i - order + 1) : i])


def _context_with_target(token_ids: list[int], i: int, order: int) -> tuple[int, ...]:
    """Mistake: let the context hold the token to predict."""
    return tuple(token_ids[max(0, i - order + 1) : i + 1])


def _context_too_long(token_ids: list[int], i: int, order: int) -> tuple[int, ...]:
    """Mistake: look at ``order`` tokens."""
    return tuple(token_ids[max(0, i - order) : i])


def _context_wraps(token_ids: list[int], i: int, order: int) -> tuple[int, ...]:
    """Mistake: forget that a negative index counts from the end."""
    return tuple(token_ids[i - order + 1 : i])


def _context_reversed(token_ids: list[int], i: int, order: int) -> tuple[int, ...]:
    """Mistake: the latest token first."""
    return context(token_ids, i, order)[::-1]


def witten_bell(counts: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Return probabilities after a context by Witten and Bell's rule.

    Args:
        counts: (n_symbols,), how often each symbol followed the context.
        shorter: (n_symbols,), the answer of the next shorter context.
    """
    n_kinds = np.count_nonzero(counts)
    if n_kinds == 0:
        return shorter
    return (counts + n_kinds * shorter) / (counts.sum() + n_kinds)


def _add_one(counts: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Mistake: add one to every count and forget the shorter context."""
    return (counts + 1) / (counts.sum() + len(counts))


def _weight_by_total(counts: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Mistake: weigh the shorter context by the number of sightings."""
    total = counts.sum()
    return (counts + total * shorter) / (2 * total) if total else shorter


def _backoff_only_when_unseen(counts: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Mistake: trust a context as soon as it was seen."""
    return counts / counts.sum() if counts.sum() else shorter


def _not_normalised(counts: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Mistake: divide by the sightings alone."""
    return (counts + np.count_nonzero(counts) * shorter) / max(counts.sum(), 1)


def _unseen_is_empty(counts: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Mistake: a context never seen divides nothing by nothing."""
    n_kinds = np.count_nonzero(counts)
    with np.errstate(invalid="ignore"):
        return (counts + n_kinds * shorter) / np.float64(counts.sum() + n_kinds)


def mixture_nats(p: np.ndarray, q: np.ndarray, share: float) -> float:
    """Return the mean nats of a model that believes one of two others.

    Args:
        p: (n_tokens,), the probabilities that the first gave to what came.
        q: the same of the second.
        share: how far the first is believed, 0 to 1.
    """
    return float(-np.log(share * p + (1 - share) * q).mean())


def _mixture_of_losses(p: np.ndarray, q: np.ndarray, share: float) -> float:
    """Mistake: mix the losses."""
    return float(-(share * np.log(p) + (1 - share) * np.log(q)).mean())


def _mixture_of_means(p: np.ndarray, q: np.ndarray, share: float) -> float:
    """Mistake: take the mean of the probabilities before the logarithm."""
    return float(-np.log((share * p + (1 - share) * q).mean()))


def _mixture_best(p: np.ndarray, q: np.ndarray, share: float) -> float:
    """Mistake: believe at each token the one that was right."""
    return float(-np.log(np.maximum(p, q)).mean())


def _mixture_swapped(p: np.ndarray, q: np.ndarray, share: float) -> float:
    """Mistake: give the first the share of the second."""
    return mixture_nats(q, p, share)


def steps_held(pitch: np.ndarray) -> np.ndarray:
    """Return at each step for how many steps the voice has held its note before; 0 at the first step.

    Args:
        pitch: (n_steps,), one voice.
    """
    held = np.zeros(len(pitch), int)
    for step in range(1, len(pitch)):
        goes_on = step > 1 and pitch[step - 1] == pitch[step - 2]
        held[step] = held[step - 1] + 1 if goes_on else 1
    return held


def _held_with_present(pitch: np.ndarray) -> np.ndarray:
    """Mistake: look at the present note."""
    held = np.zeros(len(pitch), int)
    for step in range(1, len(pitch)):
        held[step] = held[step - 1] + 1 if pitch[step] == pitch[step - 1] else 0
    return held


def _held_whole_note(pitch: np.ndarray) -> np.ndarray:
    """Mistake: the length of the whole note before, from the future too."""
    starts = np.flatnonzero(np.r_[True, pitch[1:] != pitch[:-1]])
    lengths = np.diff(np.r_[starts, len(pitch)])
    return np.r_[0, np.repeat(lengths, lengths)[:-1]]


def _held_from_zero(pitch: np.ndarray) -> np.ndarray:
    """Mistake: count a note that has sounded once as not held."""
    return (steps_held(pitch) - 1).clip(min=0)


def _held_since_beginning(pitch: np.ndarray) -> np.ndarray:
    """Mistake: never begin anew."""
    return np.arange(len(pitch))


def first_leak(before: np.ndarray, after: np.ndarray, changed: int) -> int:
    """Return the first token whose probability moved although it stands before the token that was changed, or -1.

    Args:
        before: (n_tokens,), logarithms of the probabilities of a piece.
        after: the same, when one token of the piece was changed.
        changed: index of that token.
    """
    moved = np.flatnonzero(~np.isclose(before[:changed], after[:changed]))
    return int(moved[0]) if len(moved) else -1


def _leak_counts_target(before: np.ndarray, after: np.ndarray, changed: int) -> int:
    """Mistake: take the changed token itself for a leak."""
    return first_leak(before, after, changed + 1)


def _leak_anywhere(before: np.ndarray, after: np.ndarray, changed: int) -> int:
    """Mistake: take what comes later for a leak too."""
    return first_leak(before, after, len(before))


def _leak_exact(before: np.ndarray, after: np.ndarray, changed: int) -> int:
    """Mistake: ask for equality to the last bit."""
    moved = np.flatnonzero(before[:changed] != after[:changed])
    return int(moved[0]) if len(moved) else -1


def _leak_last(before: np.ndarray, after: np.ndarray, changed: int) -> int:
    """Mistake: return the last."""
    moved = np.flatnonzero(~np.isclose(before[:changed], after[:changed]))
    return int(moved[-1]) if len(moved) else -1


EXERCISES = (
    Exercise(
        id="2a.1",
        title="What a quarter note costs",
        minutes=5,
        task=(
            "Write `bits_per_quarter(nats_per_token)`. A step is a sixteenth and holds four tokens. Return what a "
            "quarter note of all four voices costs, in bits."
        ),
        hint="How many tokens are in a quarter? One bit is $\\ln 2$ nats, so there are more bits than nats.",
        cases=lambda: ((1.0,), (0.5,), (float(np.log(47)),)),
        solution=bits_per_quarter,
        mistakes=(
            Mistake(_bits_per_token, "That is the price of one token; a quarter holds four steps of four tokens."),
            Mistake(_bits_per_step, "That is the price of one sixteenth; a quarter has four of them."),
            Mistake(_nats_per_quarter, "These are nats. Divide by ln 2 to get bits."),
            Mistake(_bits_upside_down, "A bit is smaller than a nat, so there are more bits: divide by ln 2."),
        ),
        fact="at one nat a token a quarter costs {outputs[0]} bits.",
        tolerance=1e-9,
    ),
    Exercise(
        id="2a.2",
        title="What an n-gram looks at",
        minutes=5,
        task=(
            "Write `context(token_ids, i, order)`: the tuple of tokens that an n-gram of this order looks at to "
            "predict `token_ids[i]`. Near the beginning it is shorter."
        ),
        hint="An order of 3 counts triples: two tokens, and the one that followed. What does a slice from -1 mean?",
        cases=lambda: (
            ([5, 6, 7, 8, 9], 3, 3),
            ([5, 6, 7, 8, 9], 1, 4),
            ([5, 6, 7, 8, 9], 0, 3),
            ([5, 6, 7, 8, 9], 4, 1),
        ),
        solution=context,
        mistakes=(
            Mistake(
                _context_with_target,
                "Your context holds the token that is to be predicted: for {input} you give {found}. That model would "
                "look perfect, and know nothing.",
            ),
            Mistake(_context_too_long, "You look at `order` tokens; one of an n-gram's tokens is the one it predicts."),
            Mistake(
                _context_wraps,
                "Near the beginning your slice starts at a negative index, which counts from the end: for {input} you "
                "give {found}. Start at `max(0, ...)`.",
            ),
            Mistake(_context_reversed, "The tokens are right and in the wrong order: keep the order of the piece."),
        ),
        fact="before the fourth token of the first example stand {outputs[0]}.",
    ),
    Exercise(
        id="2a.3",
        title="How far to trust a context",
        minutes=10,
        task=(
            "Write `witten_bell(counts, shorter)`. `counts[x]` says how often symbol `x` followed a context, "
            "`shorter[x]` what the next shorter context expects. Return the probabilities of all symbols by the "
            "rule of section 3. A context that was never seen leaves `shorter` as it is."
        ),
        hint="$s$ is the number of symbols whose count is not 0. Check that the answer sums to 1.",
        cases=lambda: (
            (np.array([3, 1, 0, 0]), np.array([0.1, 0.2, 0.3, 0.4])),
            (np.array([0, 0, 9]), np.array([0.5, 0.25, 0.25])),
            (np.array([0, 0]), np.array([0.7, 0.3])),
        ),
        solution=witten_bell,
        mistakes=(
            Mistake(
                _add_one,
                "You add one to every count. Then a symbol that was never seen is as likely after any context; the "
                "shorter context knows better.",
            ),
            Mistake(
                _weight_by_total,
                "You weigh the shorter context by the number of sightings: then no context is ever trusted more than "
                "half. Weigh it by the number of different symbols.",
            ),
            Mistake(
                _backoff_only_when_unseen,
                "You forget the shorter context as soon as the longer was seen once: for {input} some symbols become "
                "impossible, and the first of them to come costs infinitely many nats.",
            ),
            Mistake(
                _not_normalised,
                "Your probabilities sum to more than 1: the weight of the shorter context is missing below.",
            ),
            Mistake(_unseen_is_empty, "A context that was never seen divides 0 by 0. Return `shorter` as it is."),
        ),
        fact="after the first context they are {outputs[0]}.",
        tolerance=1e-9,
    ),
    Exercise(
        id="2a.4",
        title="Believe two models",
        minutes=10,
        task=(
            "Two models gave the probabilities `p` and `q` to the tokens that came (two arrays). Write "
            "`mixture_nats(p, q, share)`: the mean nats a token of a model that believes the first with weight "
            "`share` and the second with the rest. *Project:* mix the n-gram of section 3 with the counts of "
            "section 5. Does it help?"
        ),
        hint="A mixture is a mixture of probabilities. Where does the logarithm go?",
        cases=lambda: (
            (np.array([0.5, 0.1, 0.9]), np.array([0.5, 0.4, 0.1]), 0.5),
            (np.array([0.5, 0.1, 0.9]), np.array([0.25, 0.8, 0.6]), 0.75),
        ),
        solution=mixture_nats,
        mistakes=(
            Mistake(
                _mixture_of_losses,
                "You mix the losses: that multiplies probabilities, and the products of two models sum to less than 1. "
                "Mix first, then take the logarithm.",
            ),
            Mistake(
                _mixture_of_means,
                "You take the mean over tokens before the logarithm. Each token is paid for separately: logarithm "
                "first, then the mean.",
            ),
            Mistake(
                _mixture_best,
                "You believe whichever model turned out right. Before the token comes nobody knows which that is.",
            ),
            Mistake(_mixture_swapped, "`share` belongs to the first model; you give it to the second."),
        ),
        fact="for the first example {outputs[0]} nats.",
        tolerance=1e-9,
    ),
    Exercise(
        id="2a.5",
        title="How long has it been held?",
        minutes=15,
        task=(
            "Write `steps_held(pitch)` for one voice: an integer for each step, saying for how many steps the "
            "voice has been singing the note that it sang *before* this step. It is 0 at the first step, where "
            "there is none, and at least 1 after it. The present note must not matter."
        ),
        hint="At step 3 you may look at steps 0, 1 and 2.",
        cases=lambda: (
            (np.array([60, 60, 60, 62, 62, 64]),),
            (np.array([60, 62, 62, 62, 62, 60, 60]),),
            (np.array([67]),),
        ),
        solution=steps_held,
        mistakes=(
            Mistake(
                _held_with_present,
                "You look at the present note: a 0 says that the voice moves now, which is what the model is to guess. "
                "A leak.",
            ),
            Mistake(
                _held_whole_note,
                "You give the length of the whole note while it still sounds: its end lies in the future. A leak.",
            ),
            Mistake(_held_from_zero, "A note that sounded for one step has been held for 1, not 0. You are one short."),
            Mistake(_held_since_beginning, "You count from the beginning of the piece; count from that of the note."),
        ),
        fact="in the first example it reads {outputs[0]}.",
    ),
    Exercise(
        id="2a.6",
        title="Catch a leak",
        minutes=10,
        task=(
            "A model scored a piece: `before` holds the logarithm of each token's probability. Then token "
            "`changed` of the piece was replaced by another, and the model scored it again: `after`. Write "
            "`first_leak(before, after, changed)`: the index of the first token that stands before the changed one "
            "and whose number moved nevertheless; -1 if there is none. Differences of the size of rounding do not "
            "count."
        ),
        hint="`np.isclose` knows about rounding. May the number of the changed token itself move?",
        cases=lambda: (
            (np.array([-1.0, -2.0, -3.0, -4.0, -5.0]), np.array([-1.0, -2.5, -3.5, -1.0, -9.0]), 3),
            (np.array([-1.0, -2.0, -3.0, -4.0]), np.array([-1.0, -2.0, -0.5, -0.1]), 2),
            (np.array([-1.0, -2.0, -3.0, -4.0]), np.array([-1.0, -2.0, -3.0, -0.1]), 2),
            (np.array([-1.0, -2.0, -3.0]), np.array([-1.0 + 1e-12, -2.0, -0.5]), 2),
        ),
        solution=first_leak,
        mistakes=(
            Mistake(
                _leak_counts_target,
                "The number of the changed token itself may move: another token came, and it has another probability.",
            ),
            Mistake(_leak_anywhere, "What comes after the change may move: the model has seen the change by then."),
            Mistake(
                _leak_exact,
                "You ask for equality to the last bit; a network that adds in another order differs there without "
                "seeing anything. Use `np.isclose`.",
            ),
            Mistake(_leak_last, "You give the last token that moved; the first was asked for."),
        ),
        fact="in the first example token {outputs[0]} has seen the future.",
    ),
)
