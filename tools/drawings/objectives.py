"""Objectives: what each hides, hide and show, probes, views (chapters 1, 2 and 4)."""

from collections.abc import Callable

import numpy as np

from drawings.music import chorale, system
from drawings.pen import ORANGE, Drawing
from mini_musessl import masking, voices

LANE, STEP = 21, 6  # of one system in a panel


def _mask(kind: str, seed: int, **settings) -> np.ndarray:
    """Return what a masker of the library hides of the system."""
    frames = chorale().pitch.astype(int)[None] - 35
    is_padding = np.zeros(frames.shape[:2], bool)
    return masking.MASKERS[kind](frames, is_padding, np.random.default_rng(seed), **settings)[0]


def what_is_hidden() -> Drawing:
    """The nine objectives of chapter 4 on one system of music."""
    pen = Drawing(
        "What each of nine objectives hides",
        """The same two bars of four voices nine times; stripes stand over what is hidden. Next token: all that follows.
        Masked cells: single cells. Spans and bars: a stretch of one voice, or of all. Masked voices: the alto
        throughout. Masked notes: whole notes. Orderless: any set of any size. Pitch, rhythm, harmony: questions about
        what comes next. Contrastive: which of many views belongs to this one. Order: which of two windows comes
        first.""",
        588,
    )
    panels: tuple[tuple[str, str, str, Callable[[Drawing, float, float], None]], ...] = (
        ("next token", "hidden: all that follows", "know: what may come, when", _next),
        ("masked cells", "hidden: single cells", "know: harmony, voice leading", _hidden("cells", 4)),
        ("masked spans, bars", "hidden: a stretch of one or all", "know: where the phrase goes", _spans_and_bars),
        ("masked voices", "hidden: one voice throughout", "know: chords, counterpoint", _hidden("voices", 6)),
        ("masked notes", "hidden: whole notes", "know: what sounds together", _hidden("notes", 5)),
        ("orderless", "hidden: any set, of any size", "know: all of these", _hidden("orderless", 0)),
        ("pitch, rhythm, harmony", "hidden: all that follows", "know: each head its own", _heads),
        ("contrastive", "asked: do two views belong?", "know: what the views share", _two_views),
        ("order", "asked: which window is first?", "know: phrase, cadence, form", _order),
    )
    for index, (name, hides, know, draw) in enumerate(panels):
        x, y = 14 + 216 * (index % 3), 34 + 180 * (index // 3)
        pen.text(x, y, f"{index + 1}  {name}", anchor="start", kind="strong")
        draw(pen, x, y + 12)
        pen.note(x, y + 124, hides)
        pen.note(x, y + 141, know, kind="soft")
    pen.hatch(14, 560, 28, 14)
    pen.note(50, 572, "hidden")
    pen.box(126, 560, 28, 14, colour=ORANGE, strength=0.4)
    pen.note(162, 572, "asked for here; masked objectives ask for every hidden cell")
    return pen


def _hidden(kind: str, seed: int) -> Callable[[Drawing, float, float], None]:
    """Return what draws the system with a mask of one kind."""
    return lambda pen, x, y: system(pen, x, y, chorale(), STEP, LANE, _mask(kind, seed))


def _after(step: int, voice: int = 0) -> np.ndarray:
    """Return what comes from one voice of a step on, voices from the highest down."""
    order = np.arange(chorale().n_steps * 4).reshape(-1, 4)
    return order >= 4 * step + voice


def _ask(pen: Drawing, x: float, y: float, wide: float, tall: float, words: str = "?") -> None:
    """Draw a question."""
    pen.box(x, y, wide, tall, kind="paper", corner=2)
    pen.box(x, y, wide, tall, colour=ORANGE, strength=0.4, corner=2)
    pen.text(x + wide / 2, y + tall / 2 + 5, words, 13, kind="strong")


def _next(pen: Drawing, x: float, y: float) -> None:
    system(pen, x, y, chorale(), STEP, LANE, _after(16, 1))
    _ask(pen, x + 16 * STEP - 3, y + LANE + 2, 14, LANE)


def _spans_and_bars(pen: Drawing, x: float, y: float) -> None:
    bar_line = np.flatnonzero(chorale().bar_position_step == 0)[:1]
    system(pen, x, y, chorale(), STEP, 8, _mask("spans", 1))
    system(pen, x, y + 51, chorale(), STEP, 8, _mask("bars", 0, bar_line_step=bar_line))


def _heads(pen: Drawing, x: float, y: float) -> None:
    step = 20
    system(pen, x, y, chorale(), STEP, LANE, _after(step))
    for voice, words in enumerate(("pitch?", "new?", "length?", "chord?")):
        _ask(pen, x + step * STEP, y + voice * (LANE + 2), 72, LANE, words)


def _two_views(pen: Drawing, x: float, y: float) -> None:
    for row, dropped in enumerate(([False, True, False, False], [False, False, False, True])):
        system(pen, x, y + 51 * row, voices.cut(chorale(), 8 * row, 24 + 8 * row), 6, 8, is_dropped=np.array(dropped))
    for end in (19, 70):
        pen.arrow((x + 162, y + 32 if end < 40 else y + 58), (x + 147, y + end))
    _ask(pen, x + 146, y + 33, 46, 24, "same?")


def _order(pen: Drawing, x: float, y: float) -> None:
    for place, start in enumerate((16, 0)):
        system(pen, x + 104 * place, y, voices.cut(chorale(), start, start + 16), 5.5, LANE)
    _ask(pen, x + 84, y + 32, 24, 26, "?")
