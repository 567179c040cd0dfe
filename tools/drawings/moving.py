"""The figures that move: their data, how they stand still, and what they say (notebooks 4b, 5a, 5b, 7a).

book/assets/moving.js puts sliders in the place of these drawings. It computes what it shows from ``data``; the
``_says`` functions compute the same sentences with the library, for the stills and for tests/test_moving_figures.py.
"""

import functools
import itertools
import json
import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import torch

from drawings.attention import NAMES, PHRASES
from drawings.music import chorale, system
from drawings.pen import BLUE, ORANGE, SKY, Drawing
from mini_musessl import masking
from mini_musessl.generation.sampling import keep_top_p
from mini_musessl.network.attention import position_angles, rotate
from mini_musessl.plotting import pitch_name
from mini_musessl.training import checkpoints

STEP, VOICE = 8, 0  # the moment of BWV 355 at which the temperature is turned
RATES = (10, 25, 50, 75)  # per cent
N_SEEDS = 6
WIDTH, PAIRS = 16, (0, 1, 2)  # of a head, and those of its pairs of features that are drawn
#: What there is to name a hidden cell by.
CLUES = {
    "cells": "Most can be named by copying the note that is held next door.",
    "spans": "To name them, there is the voice before and after, and what is seen of the others at the same steps.",
    "bars": "To name them, there is what comes before and after, and nothing at the same steps.",
    "voices": "To name them, there is what the other voices sing at the same steps, and nothing of the voice itself.",
    "notes": "To name them, there are the notes before and after, and what is seen of the other voices.",
}


def fixed(value: float, digits: int = 2) -> str:
    """Write a number as moving.js does: halves are rounded up, so that both languages agree on them."""
    return f"{round(float(value) + 1e-9, digits) + 0:.{digits}f}".replace("-", "\u2212")


# --- Temperature: one distribution of the shipped network


@functools.cache
def next_note_logits() -> torch.Tensor:
    """Return the scores of the shipped network for one voice at one step."""
    frames = torch.from_numpy(chorale().pitch.astype(np.int64) - 35)[None]
    with torch.no_grad():
        return checkpoints.load("chorale-frame")[0](frames)[0, STEP, VOICE].double()


def temperature_says(temperature: float, top_p: float) -> str:
    """Say how even the distribution is, and what top-p keeps."""
    scaled = next_note_logits() / temperature
    probs = scaled.softmax(-1)
    entropy = -float((probs * probs.clamp_min(1e-300).log2()).sum())
    is_kept = keep_top_p(scaled, top_p).isfinite()
    name, n, kept = pitch_name(35 + int(probs.argmax())), int(is_kept.sum()), float(probs[is_kept].sum())
    return (
        f"Temperature {fixed(temperature)}: {name}, the likeliest, has the probability {fixed(probs.max())}; the "
        f"entropy is {fixed(entropy)} bits. Top-p {fixed(top_p)} keeps {n} of {len(probs)} symbols, which "
        f"hold {fixed(kept)} of the probability."
    )


def temperature() -> Drawing:
    """The likeliest next notes at temperature 1."""
    probs = next_note_logits().softmax(-1)
    order = probs.argsort(descending=True, stable=True)[:10].tolist()
    pen = Drawing(
        "The next note at a temperature",
        f"""Bars for the ten likeliest notes of the soprano on the third beat of BWV 355, by the shipped network, and
        one bar for all other symbols. {temperature_says(1, 1)}""",
        276,
    )
    bars = [(pitch_name(35 + i), float(probs[i])) for i in order]
    bars.append(("others", 1 - sum(p for _, p in bars)))
    pen.note(20, 28, "temperature 1.00, top-p 1.00", kind="strong")
    for row in range(5):
        y = 236 - 45 * row
        pen.line((56, y), (640, y), kind="faint", width=1)
        pen.text(48, y + 4, fixed(row / 4), 12, "end", kind="soft")
    for column, (name, p) in enumerate(bars):
        x = 62 + 53 * column
        pen.box(x, 236 - 180 * p, 42, 180 * p, colour=BLUE, strength=0.55, corner=0)
        pen.text(x + 21, 230 - 180 * p, fixed(p), 12)
        pen.text(x + 21, 256, name, 13, kind="strong")
    return pen


# --- The sharpness of attention: the look-up of notebook 5a with a factor


@functools.cache
def tune_scores() -> tuple[str, torch.Tensor, torch.Tensor]:
    """Return the tune, the score of each place from the third on, and the values there."""
    tune = "".join(PHRASES)
    one_hot = torch.eye(len(NAMES), dtype=torch.float64)[[NAMES.index(note) for note in tune]]
    keys = torch.cat((one_hot[:-2], one_hot[1:-1]), dim=1)
    return tune, keys @ torch.cat((one_hot[-2], one_hot[-1])), one_hot[2:]


def sharpness_says(factor: float) -> str:
    """Say the weight of a place by how well it fits, and what the weighted mean says."""
    _, scores, values = tune_scores()
    weights = (factor * scores).softmax(-1)
    whole, half, none = (weights[scores == score] for score in (2, 1, 0))
    share = (weights @ values)[NAMES.index("D")]
    return (
        f"Factor {fixed(factor, 1)}: each of the {len(whole)} places that fit fully has the weight {fixed(whole[0])}, "
        f"each of the {len(half)} that fit by half {fixed(half[0])}, each of the other {len(none)} {fixed(none[0])}. "
        f"D has {fixed(share)} of the weighted mean."
    )


def sharpness() -> Drawing:
    """The weights of the places of the tune at a factor of 1, and the weighted mean."""
    tune, scores, values = tune_scores()
    weights = scores.softmax(-1)
    pen = Drawing(
        "How sharp is attention?",
        f"""A tune of {len(tune)} notes. The query is its last two notes, E E; a bar above each place says how much it
        weighs. Below, how much of each note is in the weighted mean. {sharpness_says(1)}""",
        268,
    )
    pen.note(20, 28, "factor 1.0: weight of each place", kind="strong")
    wide = 23
    for i, note in enumerate(tune):
        x = 20 + wide * i
        is_query = i >= len(tune) - 2
        pen.label(x + 1, 154, wide - 2, 24, note, colour=ORANGE if is_query else BLUE, strength=0.35 * is_query)
        if i >= 2:
            tall = 220 * float(weights[i - 2])  # two places fit fully, so no weight exceeds a half
            pen.box(x + 2, 150 - tall, wide - 4, tall, colour=BLUE, strength=0.55, corner=0)
    pen.line((20, 150), (20 + wide * len(tune), 150), kind="faint", width=1)
    pen.note(20, 206, "weighted mean of the notes", kind="strong")
    for column, (name, share) in enumerate(zip(NAMES, weights @ values, strict=True)):
        pen.label(20 + 104 * column, 216, 96, 30, f"{name}  {fixed(share)}", colour=BLUE, strength=float(share))
    return pen


# --- Rotary positions: three hands at two positions


@functools.cache
def speeds() -> list[float]:
    """Return how far the drawn hands turn per position, in radians."""
    return position_angles(1, 1, WIDTH)[0, list(PAIRS)].tolist()


def rotary_products(query_at: int, back: int) -> list[float]:
    """Return the product of turned query and key for each drawn pair of features; both were the same unit vector."""
    found = []
    for pair in PAIRS:
        unit = torch.zeros(1, WIDTH, dtype=torch.float64)
        unit[0, pair] = 1
        turned = [rotate(unit, position_angles(at, 1, WIDTH).double()) for at in (query_at, query_at - back)]
        found.append(float((turned[0] * turned[1]).sum()))
    return found


def rotary_says(query_at: int, back: int) -> str:
    """Say how far the hands are apart and which products follow."""
    products = rotary_products(query_at, back)
    return (
        f"Query at {query_at}, key at {fixed(query_at - back, 0)}, {back} back: the fast hands are "
        f"{fixed(back * speeds()[0] / math.tau)} turns apart. The products of the hands are "
        f"{', '.join(map(fixed, products))}; the score, their sum, is {fixed(sum(products))}."
    )


def rotary() -> Drawing:
    """Three dials with the hands of query and key, and the score at every distance."""
    query_at, back, n_back = 70, 11, 64
    pen = Drawing(
        "Clock hands at a distance",
        f"""Three dials, a fast, a slower and a slow one, each with the hand of a query and of a key. Below, the
        product of the fast hands and the score against the distance. {rotary_says(query_at, back)}""",
        400,
    )
    pen.note(20, 28, f"query at {query_at}, key {back} back", kind="strong")
    for column, (speed, product) in enumerate(zip(speeds(), rotary_products(query_at, back), strict=True)):
        x, y, radius = 120 + 210 * column, 114, 62
        pen.dot(x, y, radius)
        for at, colour, width in ((query_at - back, BLUE, 9), (query_at, ORANGE, 4)):
            tip = (x + 0.9 * radius * math.cos(at * speed), y - 0.9 * radius * math.sin(at * speed))
            pen.line((x, y), tip, colour=colour, width=width)
        pen.text(x, 196, f"{('fast', 'slower', 'slow')[column]}: product {fixed(product)}", 13)
    pen.line((20, 222), (56, 222), colour=ORANGE, width=4)
    pen.note(62, 227, "query")
    pen.line((120, 222), (156, 222), colour=BLUE, width=4)
    pen.note(162, 227, "key")
    pen.note(216, 227, "below, at each distance: score (thick), fast product (thin)", kind="soft")
    products = [rotary_products(query_at, d) for d in range(n_back)]
    for of_distance, width, colour in (
        ([each[0] for each in products], 1.2, SKY),
        ([sum(each) for each in products], 2.5, BLUE),
    ):
        pen.line(*((50 + 9.3 * d, 310 - 20 * value) for d, value in enumerate(of_distance)), width=width, colour=colour)
    for value in (-3, 0, 3):
        pen.line((50, 310 - 20 * value), (640, 310 - 20 * value), kind="faint", width=1)
        pen.text(42, 314 - 20 * value, fixed(value, 0), 12, "end", kind="soft")
    pen.line((50 + 9.3 * back, 244), (50 + 9.3 * back, 372), width=1, dashed=True)
    pen.text(50 + 9.3 * back, 388, f"{back} back", 12, kind="strong")
    return pen


# --- Nested intervals: drawings.data.code stands still


def intervals_says(message: Iterable[str], same: int) -> str:
    """Say how long the interval of a message is and how many bits send it; ``same`` is in hundredths."""
    symbols = {"same": Fraction(same, 100), "up": Fraction(100 - same, 150), "down": Fraction(100 - same, 300)}
    low, width, names, message = Fraction(0), Fraction(1), list(symbols), list(message)
    for symbol in message:
        low += width * sum(symbols[name] for name in names[: names.index(symbol)])
        width *= symbols[symbol]
    if not message:
        return "No symbol yet: the interval is the whole line from 0 to 1."
    for n_bits in itertools.count(1):
        first = math.ceil(low * 2**n_bits)
        if Fraction(first + 1, 2**n_bits) <= low + width:
            break
    return (
        f"The message {', '.join(message)} has the interval from {fixed(low, 4)} to {fixed(low + width, 4)}, which is "
        f"{fixed(width, 4)} long; \u2212log2 of that is {fixed(-math.log2(width))}. Sent, it takes {n_bits} "
        f"bit{'s' * (n_bits > 1)}: every binary fraction that begins with 0.{first:0{n_bits}b} lies inside."
    )


# --- Hiding cells: what the library's maskers draw for two bars


@functools.cache
def hidden_cells(kind: str, rate: int, seed: int) -> np.ndarray:
    """Return (32, 4), True where a masker hides a cell; for whole voices the rate is rounded to voices."""
    frames = chorale().pitch.astype(int)[None] - 35
    settings = {"share": rate / 100}
    if kind == "voices":
        settings = {"n_hidden": min(max(round(rate / 25), 1), 3)}
    elif kind == "bars":
        settings["bar_line_step"] = np.flatnonzero(chorale().bar_position_step == 0)[:1]
    generator = np.random.default_rng(seed)
    return masking.MASKERS[kind](frames, np.zeros(frames.shape[:2], bool), generator, **settings)[0]


def hiding_says(kind: str, rate: int, seed: int) -> str:
    """Say how many cells are hidden, what tells of them, and how many copying would name."""
    frames, is_hidden = chorale().pitch.astype(int)[None] - 35, hidden_cells(kind, rate, seed)
    guess = masking.copy_next_door(frames, is_hidden[None], np.zeros(frames.shape[:2], bool))
    n, right = int(is_hidden.sum()), int((guess == frames)[0][is_hidden].sum())
    return (
        f"{n} of {is_hidden.size} cells are hidden. {CLUES[kind]} Copying the nearest seen cell of the same voice is "
        f"right in {right} of the {n}."
    )


def hiding() -> Drawing:
    """Two bars of four voices with a quarter of their single cells hidden."""
    pen = Drawing(
        "Hide cells, and hide them anew",
        f"""Two bars of four voices, the opening of BWV 355; single cells are striped. {hiding_says("cells", 25, 0)}""",
        216,
    )
    pen.note(20, 28, "cells, 25 % of them hidden", kind="strong")
    for voice, name in enumerate(("soprano", "alto", "tenor", "bass")):
        pen.text(80, 42 + 42 * voice + 24, name, 13, "end")
    system(pen, 88, 42, chorale(), 17.3, 38, hidden_cells("cells", 25, 0))
    return pen


def data() -> dict:
    """Return what moving.js computes from."""
    tune, scores, _ = tune_scores()
    masks = {
        f"{kind} {rate}": [
            np.packbits(hidden_cells(kind, rate, seed).ravel()).tobytes().hex() for seed in range(N_SEEDS)
        ]
        for kind in CLUES
        for rate in RATES
    }
    return {
        "logits": [round(value, 4) for value in next_note_logits().tolist()],
        "pitches": [pitch_name(35 + i) if i else "rest" for i in range(len(next_note_logits()))],
        "tune": tune,
        "scores": [int(score) for score in scores],
        "names": NAMES,
        "speeds": speeds(),
        "pitch": chorale().pitch.T.tolist(),
        "onset": chorale().is_onset.T.astype(int).tolist(),
        "rates": RATES,
        "clues": CLUES,
        "masks": masks,
    }


def script() -> str:
    """Return the data as the text of a JavaScript file, one name a line."""
    lines = [f"  {name}: {json.dumps(value)}," for name, value in data().items()]
    return "\n".join(("// Written by tools/draw_figures.py.", "const MOVING = {", *lines, "};", ""))
