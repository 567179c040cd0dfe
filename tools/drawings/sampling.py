"""Sampling: the loop of chapter 9, what top-k and top-p keep of two choices, and what a beam search sees."""

from drawings.music import chorale, system
from drawings.pen import BLUE, ORANGE, TENOR, Drawing, number

SURE = {"hold": 0.91, "F": 0.04, "A": 0.02, "D": 0.01, "B": 0.01, "E": 0.01}
OPEN = {"B": 0.24, "A": 0.20, "D": 0.18, "E": 0.15, "G": 0.14, "F": 0.09}
#: First note -> its probability, and those of the notes that may follow it.
TREE = {"stay": (0.5, {"stay": 0.36, "up": 0.32, "down": 0.32}), "up": (0.3, {"stay": 0.8, "up": 0.1, "down": 0.1})}


def _chart(pen: Drawing, x: float, y: float, probs: dict[str, float], n_kept: int) -> None:
    """Draw a distribution as six bars, what is left out dashed and without colour."""
    tall, wide = 78, 36
    for place, (name, p) in enumerate(probs.items()):
        left, height = x + place * (wide + 8), max(tall * p, 2)
        is_kept = place < n_kept
        look = {"colour": BLUE, "strength": 0.55} if is_kept else {"kind": "frame", "dashed": True}
        pen.box(left, y + tall - height, wide, height, corner=1, **look)
        pen.text(left + wide / 2, y + tall + 15, name, 13, kind="strong" if is_kept else "soft")
    pen.line((x - 4, y + tall), (x + 6 * (wide + 8), y + tall))


def cuts() -> Drawing:
    """Top-k and top-p on two distributions."""
    pen = Drawing(
        "What top-k and top-p keep",
        """Two distributions as bars. On the left a voice that will almost surely hold its note: one bar of 0.91 and
        five of 0.04 or less. On the right an open choice among six notes, from 0.24 down to 0.09. Top-k with k = 3
        keeps three bars of each: on the left two that are most likely wrong, on the right half of what could be sung.
        Top-p with p = 0.9 keeps one bar on the left and five on the right.""",
        400,
    )
    pen.text(208, 26, "a sure choice", kind="strong")
    pen.text(514, 26, "an open choice", kind="strong")
    p_kept = [sum(sum(list(each.values())[:i]) < 0.9 for i in range(6)) for each in (SURE, OPEN)]
    rows = (("all", (6, 6), ""), ("top-k", (3, 3), "k = 3"), ("top-p", tuple(p_kept), "p = 0.9"))
    for row, (name, kept, setting) in enumerate(rows):
        y = 44 + 118 * row
        pen.text(14, y + 44, name, anchor="start", kind="strong")
        pen.text(14, y + 62, setting, 13, "start", "soft")
        for x, probs, n_kept in ((82, SURE, kept[0]), (388, OPEN, kept[1])):
            _chart(pen, x, y, probs, n_kept)
    return pen


def beam() -> Drawing:
    """Two steps of a search with two beams."""
    pen = Drawing(
        "Two beams look two steps ahead",
        """A tree. From the beginning a voice stays with probability 0.5, goes up with 0.3 and down with 0.2. Of the two
        likeliest, stay and up, each is lengthened: after stay, stay has 0.36, up and down 0.32 each; after up, stay
        has 0.8, up and down 0.1 each. The products are 0.18, 0.16 and 0.16 after stay, 0.24, 0.03 and 0.03 after up.
        Greedy search takes stay, stay with 0.18. Two beams find up, stay with 0.24.""",
        338,
    )
    pen.label(14, 132, 86, 34, "begin", colour=BLUE)
    pen.text(208, 24, "first note", 13, kind="soft")
    pen.text(420, 24, "second note", 13, kind="soft")
    pen.text(500, 24, "both", 13, "start", "soft")
    best = max(first * p for first, after in TREE.values() for p in after.values())
    for branch, (name, (first, after)) in enumerate(TREE.items()):
        y = 72 + 132 * branch
        pen.arrow((100, 149), (160, y + 17))
        pen.label(162, y, 96, 34, f"{name}  {number(first, 1)}", colour=BLUE)
        for leaf, (next_name, p) in enumerate(after.items()):
            at, both = y - 36 + 40 * leaf, first * p
            is_best, is_greedy = both == best, branch == leaf == 0
            colour = TENOR if is_best else ORANGE if is_greedy else ""
            pen.arrow((258, y + 17), (366, at + 15))
            pen.label(368, at, 104, 30, f"{next_name}  {number(p)}", **({"colour": colour} if colour else {}))
            told = "  two beams" if is_best else "  greedy" if is_greedy else ""
            pen.text(500, at + 20, f"{number(both)}{told}", 14, "start", "strong" if told else "soft")
    pen.arrow((100, 149), (160, 303), dashed=True)
    pen.label(162, 288, 96, 34, "down  0.2", kind="frame", dashed=True)
    pen.note(282, 309, "dropped: a third beam would be needed", "soft")
    return pen


#: What chapter 9 asks of a piece, in the columns of its drawing.
MEASURES = ("surprise", "parallels", "repeats", "ranges", "shared bars", "listeners")


def loop() -> Drawing:
    """Probabilities, a choice rule, constraints, a piece, and measures of it beside Bach's own."""
    pen = Drawing(
        "From probabilities to a judged piece, and back",
        """Three boxes in a row. 1 network: six bars, the probabilities of the next note. 2 choice rule: the same bars,
        the least likely one cut off. 3 constraints: one more bar is striped, since its note would make a parallel. From
        what is left one note is drawn. It goes into box 4, a piece of four voices whose second half is written on, and
        the network reads it before the next note. 5 measures: a table with a row for Bach's own pieces and a row for
        samples, and columns for surprise, parallels, repeats, ranges, shared bars and listeners, all still question
        marks. A dashed arrow leads back: change the network, the rule or the constraints.""",
        498,
    )
    names = ("1  network", "2  choice rule", "3  constraints")
    notes = ("what may come, how likely", "temperature, top-k, top-p", "here: no parallels")
    for place, (name, note) in enumerate(zip(names, notes, strict=True)):
        x = 14 + 218 * place
        pen.box(x, 16, 196, 160, corner=8)
        pen.text(x + 12, 40, name, 15, "start", kind="strong")
        pen.text(x + 98, 166, note, 13, kind="soft")
        _candidates(pen, x + 17, 134, n_kept=6 - (place > 0), forbidden=2 if place == 2 else None)
        if place < 2:
            pen.arrow((x + 197, 96), (x + 216, 96), width=2)
    pen.box(232, 202, 414, 128, corner=8)
    pen.text(244, 224, "4  piece", 15, "start", kind="strong")
    system(pen, 324, 214, chorale(), 9.6, 22)
    pen.box(324 + 16 * 9.6, 210, 16 * 9.6, 102, colour=ORANGE, strength=0.12, corner=3)
    pen.lines(244, 250, ("given,", "then", "written"), 13, anchor="start", kind="soft")
    pen.arrow((548, 177), (548, 208), width=2)
    pen.text(540, 196, "draw one", 13, "end")
    pen.arrow((232, 266), (150, 266), (150, 178), width=2)
    pen.lines(132, 288, ("read again,", "note after note"), 13, anchor="start")
    pen.arrow((50, 357), (50, 178), width=2, dashed=True)
    pen.lines(58, 216, ("change", "what is", "at fault"), 13, anchor="start")
    pen.arrow((440, 331), (440, 355), width=2)
    pen.box(14, 358, 632, 126, corner=8)
    pen.text(26, 382, "5  measures", 15, "start", kind="strong")
    for row, who in enumerate(("Bach", "samples")):
        pen.text(100, 430 + 30 * row, who, 14, "end")
        for column, measure in enumerate(MEASURES):
            x = 114 + 88 * column
            if row == 0:
                pen.text(x + 41, 404, measure, 13, kind="soft")
            pen.label(x, 413 + 30 * row, 82, 25, "?", 13, colour=ORANGE, strength=0.15 + 0.25 * row)
    return pen


def _candidates(pen: Drawing, x: float, floor: float, n_kept: int, forbidden: int | None) -> None:
    """Draw the open choice as bars, without what a rule has cut off, and striped where a note is forbidden."""
    for place, (name, p) in enumerate(OPEN.items()):
        left, tall = x + 27 * place, 330 * p
        if place == forbidden:
            pen.hatch(left, floor - tall, 23, tall, corner=1)
        else:
            look = {"colour": BLUE, "strength": 0.55} if place < n_kept else {"kind": "frame", "dashed": True}
            pen.box(left, floor - tall, 23, tall, corner=1, **look)
        is_left = place < n_kept and place != forbidden
        pen.text(left + 11.5, floor + 15, name, 13, kind="strong" if is_left else "soft")
    pen.line((x - 4, floor), (x + 162, floor))
