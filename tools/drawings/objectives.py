"""Objectives: what each hides, hide and show, a probe, two views, the missing alto (chapters 1, 2 and 4)."""

from collections.abc import Callable

import numpy as np
import torch

from drawings import staves
from drawings.music import chorale, system
from drawings.pen import ALTO, BASS, BLUE, ORANGE, SOPRANO, TENOR, VOICES, Drawing, number
from mini_musessl import masking, voices
from mini_musessl.plotting import pitch_name
from mini_musessl.training import checkpoints

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
        """The same two bars of four voices nine times; stripes stand over what is hidden. Next token: all that
        follows. Masked cells: single cells. Spans and bars: a stretch of one voice, or of all. Masked voices: the
        alto throughout. Masked notes: whole notes. Orderless: any set of any size. Pitch, rhythm, harmony: questions
        about what comes next. Contrastive: which of many views belongs to this one. Order: which of two windows comes
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


def hide_show_predict_score() -> Drawing:
    """The four decisions of an objective on one bar, with the probabilities of the shipped network."""
    step, voice, grid = 8, 1, voices.cut(chorale(), 0, 16)
    frames = torch.from_numpy(grid.pitch.astype(np.int64) - 35)[None]
    with torch.no_grad():
        probs = checkpoints.load("chorale-frame")[0](frames)[0, step, voice].softmax(-1)
    true = int(grid.pitch[step, voice])
    likeliest = (probs.argsort(descending=True)[:4] + 35).tolist()
    loss = -float(probs[true - 35].log())
    listed = ", ".join(f"{pitch_name(pitch)} {number(probs[pitch - 35])}" for pitch in likeliest)
    pen = Drawing(
        "Hide, show, predict, score",
        f"""One bar of four voices, four times. Hide: the next token, the alto on the third beat. Show: everything
        before it, and the soprano of that beat. Predict: a probability for each symbol; the likeliest are {listed}.
        Score: minus the logarithm of the probability of what came, {pitch_name(true)}: {number(loss)} nats.""",
        386,
    )
    names = ("1  hide", "2  show", "3  predict", "4  score")
    says = ("the next token", "everything before it", "a probability for each symbol", "−ln p of what came")
    place = np.arange(64).reshape(16, 4)
    hidden = (place == 4 * step + voice, place >= 4 * step + voice)
    for index, (name, words) in enumerate(zip(names, says, strict=True)):
        x, y = 16 + 326 * (index % 2), 34 + 190 * (index // 2)
        pen.text(x, y, name, 15, "start", kind="strong")
        pen.note(x + 96, y, words, kind="soft")
        if index < 2:
            system(pen, x, y + 14, grid, 18.5, 28, hidden[index])
            _ask(pen, x + 18.5 * step, y + 44, 18.5, 28)
    for row, pitch in enumerate(likeliest):
        y, p = 246 + 32 * row, float(probs[pitch - 35])
        pen.text(56, y + 17, pitch_name(pitch), 14, "end")
        pen.box(66, y, 190 * p + 1, 24, colour=ALTO, strength=0.7 if pitch == true else 0.25, corner=2)
        pen.text(190 * p + 76, y + 17, number(p), 14, "start", kind="strong" if pitch == true else "")
    words = f"the alto sings {pitch_name(true)}\n−ln {number(probs[true - 35])} = {number(loss)} nats"
    pen.label(342, 246, 296, 56, words, 15, colour=ORANGE)
    half = f"{number(np.log(2))} nats; the less likely, the more."
    for row, words in enumerate(
        ("A probability of 1 has the loss 0, a half", half, "The mean over all tokens is the loss.")
    ):
        pen.note(342, 326 + 18 * row, words)
    return pen


def probe() -> Drawing:
    """Train an encoder without labels, freeze it, and ask a linear classifier what its features hold."""
    pen = Drawing(
        "Pretrain, freeze, probe",
        """Two rows. Above, without labels: music in which spans are hidden goes through the encoder; a head names the
        hidden cells; gradients change head and encoder. Below, with few labels: whole music goes through the same
        encoder, now frozen; its features go to a linear probe, which names the key signature; gradients change the
        probe alone.""",
        412,
    )
    for row, name in enumerate(("1  pretrain, without labels", "2  freeze, then probe with few labels")):
        y = 30 + 206 * row
        pen.text(16, y, name, 15, "start", kind="strong")
        system(pen, 16, y + 20, chorale(), 4.6, 18, _mask("spans", 1) if row == 0 else None)
        pen.arrow((167, y + 59), (200, y + 59), width=2)
        words = "encoder\nfrozen" if row else "encoder"
        pen.label(204, y + 24, 120, 70, words, 15, colour=BLUE, strength=0.3, dashed=row == 1)
        pen.arrow((325, y + 59), (358, y + 59), width=2)
        for cell, value in enumerate((0.2, 0.7, 0.4, 0.9, 0.1, 0.5)):
            pen.box(362, y + 23 + 12 * cell, 22, 12, colour=BLUE, strength=value, corner=0)
        pen.text(373, y + 114, "features", 12)
        pen.arrow((386, y + 59), (416, y + 59), width=2)
        if row == 0:
            pen.label(420, y + 32, 96, 54, "head", 15, colour=ORANGE)
            pen.arrow((517, y + 59), (546, y + 59), width=2)
            pen.label(550, y + 32, 96, 54, "hidden\nnotes", 14, kind="panel")
            pen.arrow((598, y + 88), (598, y + 140), (264, y + 140), (264, y + 97), colour=ORANGE, width=2)
            pen.arrow((468, y + 140), (468, y + 88), colour=ORANGE, width=2)
            pen.note(290, y + 158, "gradients change head and encoder")
        else:
            pen.label(420, y + 32, 96, 54, "linear\nprobe", 15, colour=TENOR)
            pen.arrow((517, y + 59), (546, y + 59), width=2)
            pen.label(550, y + 32, 96, 54, "key\nsignature", 14, kind="panel")
            pen.arrow((598, y + 88), (598, y + 140), (468, y + 140), (468, y + 88), colour=ORANGE, width=2)
            pen.note(370, y + 158, "gradients change the probe alone")
    return pen


def two_views() -> Drawing:
    """Two views of each window: one positive, the others negatives, but for views of the same hymn."""
    pen = Drawing(
        "Two views, one positive, many negatives",
        """Left, three windows, the third from another setting of the first one's hymn. Each is shown twice: a crop,
        and a crop from another place with a voice dropped. Right, a table of six views by six. On the diagonal a view
        meets itself and is left out. One cell of each row is the positive, the other view of the same window. Views
        of the same hymn are false negatives and are left out; the rest are negatives.""",
        390,
    )
    starts = (0, 32, 96)
    for row, start in enumerate(starts):
        y = 54 + 84 * row
        pen.text(14, y + 28, f"window {row + 1}", 13, "start", kind="strong")
        pen.note(14, y + 45, ("hymn A", "hymn B", "hymn A")[row], kind="soft")
        for view in range(2):
            x = 92 + 132 * view
            pen.text(x + 58, y - 8, f"view {row + 1}{'ab'[view]}", 12)
            is_dropped = np.arange(4) == (row + 1 if view else -1)
            music = voices.cut(chorale(128), start + 6 * view, start + 6 * view + 20)
            system(pen, x, y, music, 5.8, 12, is_dropped=is_dropped)
    side, left, top = 38, 400, 58
    names = [f"{window}{view}" for window in (1, 2, 3) for view in "ab"]
    for i, name in enumerate(names):
        pen.text(left + side * (i + 0.5), top - 8, name, 13)
        pen.text(left - 10, top + side * (i + 0.5) + 5, name, 13, "end")
        for j in range(6):
            at = (left + side * j + 1, top + side * i + 1, side - 2, side - 2)
            if i == j or {i // 2, j // 2} == {0, 2}:
                pen.hatch(*at)
            elif i // 2 == j // 2:
                pen.label(*at, "+", 18, colour=ORANGE, strength=0.55, corner=3)
            else:
                pen.label(*at, "−", 16, colour=BLUE, strength=0.15, corner=3)
    pen.label(92, 304, 20, 20, "+", 15, colour=ORANGE, strength=0.55, corner=3)
    pen.note(122, 319, "positive: the other view of the same window, to be near")
    pen.label(92, 330, 20, 20, "−", 14, colour=BLUE, strength=0.15, corner=3)
    pen.note(122, 345, "negative: to be far")
    pen.hatch(92, 356, 20, 20)
    pen.note(122, 371, "left out: the view itself, and false negatives, views of the same hymn")
    return pen


def missing_alto() -> Drawing:
    """The question of chapter 1 on two staves: which note does the alto sing under the fermata?"""
    pen = Drawing(
        "Which note does the alto sing?",
        """Two staves in G major. First chord: soprano B, alto G, tenor D, bass G. Then the soprano goes down to A,
        under a fermata; the alto is a question mark, tenor and bass are still to be written.""",
        296,
    )
    treble, bass = staves.grand_staff(pen, 24, 64, 372)
    first, second = 140, 290
    for words, x in (("beat before", first + 6), ("end of phrase", second + 6)):
        pen.text(x, 280, words, 13, kind="soft")
    for name, bottom, lowest, colour, is_up in (
        ("B4", treble, "E4", SOPRANO, True),
        ("G4", treble, "E4", ALTO, False),
        ("D4", bass, "G2", TENOR, True),
        ("G2", bass, "G2", BASS, False),
    ):
        staves.note(pen, first, staves.height(bottom, lowest, name), colour, is_up)
    ledger = staves.height(bass, "G2", "C4")
    pen.line((first - 5, ledger), (first + 19, ledger), width=1.2)
    at = staves.height(treble, "E4", "A4")
    staves.note(pen, second, at, SOPRANO, True, staves.HALF_HEAD)
    staves.glyph(pen, staves.FERMATA, second - 8, 50)
    _ask(pen, second - 6, treble - 9, 28, 38)
    for top in (bass - 4 * staves.SPACE - 20, bass - 26):
        pen.hatch(second - 6, top, 28, 32)
    for row, (name, words) in enumerate(
        (("soprano", "B, then A"), ("alto", "G, then ?"), ("tenor", "D, then"), ("bass", "G, then"))
    ):
        y = 90 + 38 * row
        pen.box(424, y - 12, 14, 14, colour=VOICES[row], strength=0.9, corner=2)
        pen.text(446, y, name, 14, "start", kind="strong")
        pen.note(526, y, words)
        if row > 1:
            pen.hatch(580, y - 13, 22, 18)
    return pen
