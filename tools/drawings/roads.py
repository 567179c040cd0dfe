"""Roads: the map of the notebooks, the six steps of notebook 00, and the loop of training."""

import numpy as np

from drawings.music import chorale, system
from drawings.pen import BLUE, ORANGE, SOPRANO, TENOR, VOICES, Drawing
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

#: Where each notebook stands on the map (column, row), what it is about, and which notebooks it needs.
NOTEBOOKS: dict[str, tuple[tuple[float, float], str, tuple[str, ...]]] = {
    "1a": ((0, 0), "no labels", ()),
    "2a": ((0, 1), "counting", ()),
    "00": ((0, 2), "hear it", ()),
    "0b": ((0, 4), "Python", ()),
    "3a": ((0, 5), "music", ()),
    "5a": ((1, 2), "attention", ("00",)),
    "7a": ((1, 3), "loss", ("00",)),
    "8a": ((1, 4), "bugs", ("00",)),
    "3c": ((1, 5), "data sets", ("3a",)),
    "3b": ((1, 6), "tokens", ("3a",)),
    "5b": ((2, 2), "positions", ("5a",)),
    "4d": ((2, 4), "contrast", ("3c", "5a")),
    "5c": ((3, 2), "network", ("5b",)),
    "8b": ((4, 4), "benchmark", ("7a", "5d")),
    "5d": ((4, 2), "frames", ("5c",)),
    "4a": ((5, 1), "next token", ("2a", "5d")),
    "4b": ((5, 2), "masking", ("5d",)),
    "4c": ((6, 1), "heads", ("4a",)),
    "9a": ((5, 3), "sampling", ("5d", "7a")),
    "9b": ((6, 3), "rules", ("4b", "9a")),
    "9c": ((5, 4), "judging", ("5d", "7a")),
    "9d": ((5, 5), "copying", ("3c", "5d")),
}
#: BOOK: three routes through the notebooks that exist.
ROADS = {
    "programmers": (
        BLUE,
        (
            *("00", "2a", "3a", "3b", "3c", "5a", "5b", "5c", "5d", "7a", "4a", "4b", "4c", "4d", "8a", "8b"),
            *("9a", "9b", "9c", "9d"),
        ),
    ),
    "musicians": (SOPRANO, ("00", "0b", "3a", "1a", "3c", "4a", "4b", "9a", "9b", "9c", "9d")),
    "the short road": (TENOR, ("00", "5a", "5c", "4b", "9a", "9b")),
}
WIDE, TALL, ACROSS, DOWN = 74, 44, 94.5, 58


def needs() -> Drawing:
    """What needs what: every notebook with arrows from those it builds on, and three roads."""
    edges = "; ".join(f"{name} needs {' and '.join(need)}" for name, (_, _, need) in NOTEBOOKS.items() if need)
    roads = "; ".join(f"{who}: {', '.join(names)}" for who, (_, names) in ROADS.items())
    pen = Drawing(
        "What needs what, and three roads", f"The notebooks as a map. {edges}. 4c needs 3a too. Roads. {roads}.", 562
    )
    at = {name: (10 + ACROSS * column, 20 + DOWN * row) for name, ((column, row), _, _) in NOTEBOOKS.items()}
    for name, (_, _, need) in NOTEBOOKS.items():
        for other in need:
            _edge(pen, at[other], at[name])
    x, y = at["4c"]
    start = at["3a"]
    low = start[1] + DOWN + TALL + 16
    gap, side = x - 16, y + TALL - 8  # beside the arrows of the others
    pen.arrow((start[0] + 37, start[1] + TALL), (start[0] + 37, low), (gap, low), (gap, side), (x - 2, side), width=1.3)
    for name, (_, about, _) in NOTEBOOKS.items():
        x, y = at[name]
        pen.box(x, y, WIDE, TALL, kind="panel")
        pen.text(x + 8, y + 18, name, 14, "start", kind="strong")
        pen.text(x + WIDE / 2, y + 36, about, 12)
        on = [colour for colour, names in ROADS.values() if name in names]
        for place, colour in enumerate(on):
            pen.dot(x + WIDE - 11 - 14 * place, y + 13, 5, colour=colour)
    for row, (who, (colour, names)) in enumerate(ROADS.items()):
        y = 476 + 34 * row
        pen.dot(18, y - 5, 6, colour=colour)
        pen.text(32, y, who, 14, "start", kind="strong")
        first, gap, wide = 164, 25, 23
        pen.line((first, y - 5), (first + gap * (len(names) - 1), y - 5), colour=colour, width=3)
        for place, name in enumerate(names):
            at = (first + gap * place - wide / 2, y - 17, wide, 24)
            pen.box(*at, kind="paper", corner=12)
            pen.label(*at, name, 13, colour=colour, strength=0.25, corner=12)
    return pen


def _edge(pen: Drawing, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow from one notebook to another that needs it."""
    (x1, y1), (x2, y2) = start, end
    if x1 == x2:
        pen.arrow((x1 + WIDE / 2, y1 + TALL), (x2 + WIDE / 2, y2 - 2), width=1.3)
        return
    gap = x2 - (ACROSS - WIDE) / 2 if y1 != y2 else x2 - 5
    y1, y2 = y1 + TALL / 2, y2 + TALL / 2
    pen.arrow((x1 + WIDE, y1), (gap, y1), (gap, y2), (x2 - 2, y2), width=1.3)


def six_steps() -> Drawing:
    """The road of notebook 00: load, encode, hide and ask, train, sample, evaluate."""
    pen = Drawing(
        "The road in six steps",
        """Six pictures in two rows. 1 load: a chorale as four voices. 2 encode: a row of tokens, soprano to bass. 3
        ask: the next token is hidden. 4 train: token ids go through the network, a loss compares its probabilities
        with what came, and the weights move. 5 sample: the network continues an opening, token by token. 6 evaluate:
        count faults in samples and in Bach alike.""",
        412,
    )
    steps = ("1  load", "2  encode", "3  hide and ask", "4  train", "5  sample and listen", "6  evaluate")
    ids = VoiceGridTokens().encode(chorale()).tolist()
    for index, name in enumerate(steps):
        x, y = 14 + 218 * (index % 3), 16 + 198 * (index // 3)
        pen.box(x, y, 196, 172, kind="panel", corner=8)
        pen.text(x + 12, y + 24, name, 15, "start", kind="strong")
        if index % 3 < 2:
            pen.arrow((x + 197, y + 86), (x + 215, y + 86), width=2)
    pen.arrow((548, 189), (548, 201), (112, 201), (112, 212), width=2)
    system(pen, 26, 54, chorale(), 5.4, 20)
    pen.note(26, 166, "four voices, no labels")
    for place, token in enumerate(ids[12:24]):
        pen.label(
            244 + 43 * (place % 4), 54 + 30 * (place // 4), 40, 26, str(token), colour=VOICES[place % 4], strength=0.35
        )
    pen.note(244, 166, "one row of tokens, S A T B")
    for place, token in enumerate(ids[12:24]):
        at = (462 + 43 * (place % 4), 54 + 30 * (place // 4), 40, 26)
        if place < 6:
            pen.label(*at, str(token), colour=VOICES[place % 4], strength=0.35)
        elif place == 6:
            pen.label(*at, "?", colour=ORANGE, strength=0.5)
        else:
            pen.hatch(*at)
    pen.note(462, 166, "which token comes next?")
    y = 214
    for place, words in enumerate(("network", "probabilities", "loss: −ln p")):
        pen.label(60, y + 40 + 34 * place, 112, 26, words, 13, kind="frame")
        if place:
            pen.arrow((116, y + 32 + 34 * place), (116, y + 39 + 34 * place))
    pen.arrow((173, y + 121), (192, y + 121), (192, y + 53), (174, y + 53), colour=ORANGE, width=2)
    pen.note(26, y + 152, "gradients change weights")
    n, is_new = chorale().n_steps, np.zeros(32, bool)
    is_new[16:] = True
    system(pen, 244, y + 38, chorale(), 5.4, 20)
    pen.box(244 + 16 * 5.4, y + 34, (n - 16) * 5.4, 96, colour=ORANGE, strength=0.12, corner=3)
    pen.note(244, y + 152, "opening     |  written on")
    for place, words in enumerate(("Bach", "sample")):
        pen.text(567 + 47 * place, y + 50, words, 13, kind="strong")
    for row, words in enumerate(("parallels", "long chords", "crossings")):
        pen.note(462, y + 74 + 26 * row, words)
        for place in range(2):
            pen.label(547 + 47 * place, y + 58 + 26 * row, 40, 22, "?", 13, colour=ORANGE, strength=0.2 + 0.25 * place)
    pen.note(462, y + 152, "counted in both alike")
    return pen


def training_loop() -> Drawing:
    """One update: batch, forward, loss, backward, step, and now and then the validation part."""
    pen = Drawing(
        "One update of the training loop",
        """A cycle of five. A batch of windows, inputs and targets shifted by one token. The forward pass gives
        logits. The cross-entropy of logits and targets is the loss. The backward pass gives a gradient for each
        weight. The optimiser step changes the weights; then the next batch. Every so many updates the loss is
        measured on the validation part, without gradients.""",
        340,
    )
    boxes = {
        "batch": (12, 30, "1  batch", "windows of tokens,\ntargets one further"),
        "forward": (178, 30, "2  forward", "network: logits\nfor every position"),
        "loss": (344, 30, "3  loss", "cross-entropy of\nlogits and targets"),
        "backward": (510, 30, "4  backward", "a gradient for\neach weight"),
        "step": (344, 172, "5  step", "optimiser changes\nthe weights"),
    }
    for x, y, name, words in boxes.values():
        pen.box(x, y, 138, 82, kind="panel", corner=8)
        pen.text(x + 69, y + 24, name, 15, kind="strong")
        pen.lines(x + 69, y + 47, words.split("\n"), 13, gap=1.3)
    for x in (150, 316, 482):
        pen.arrow((x, 71), (x + 26, 71), width=2)
    pen.arrow((579, 112), (579, 213), (484, 213), colour=ORANGE, width=2)
    pen.arrow((344, 213), (81, 213), (81, 114), colour=ORANGE, width=2)
    pen.text(212, 205, "again, with the next batch", 13, kind="soft")
    words = "every so many updates: the loss of the validation part,\nwithout gradients; it says when to stop"
    pen.label(214, 276, 398, 48, words, 13, kind="frame")
    pen.line((413, 254), (413, 276), width=1.5, dashed=True)
    return pen
