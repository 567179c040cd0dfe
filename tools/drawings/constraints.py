"""What is given in three tasks, and where a mask leads that does not look ahead (notebook 9b)."""

import math

from drawings.pen import BLUE, ORANGE, TENOR, VOICES, Drawing, number

N_STEPS, NOW = 12, (5, 3)  # steps of a table; step and voice of the cell that is written
#: Task -> whether the cell of a step and a voice is given.
TASKS = {
    "continue": lambda step, voice: step < 5,
    "fill": lambda step, voice: not (5 <= step < 9 and voice > 1),
    "harmonise": lambda step, voice: voice == 0,
}


def given() -> Drawing:
    """Three tables of given cells, and what has been read when one cell is written."""
    pen = Drawing(
        "Three tasks differ in what is given",
        """Three tables of four voices and twelve steps, with coloured cells where a note is given. To continue, the
        first five steps are given in all voices. To fill, everything is given but steps six to nine of tenor and bass.
        To harmonise, the soprano is given throughout. In each table the bass of step six is being written, from left to
        right and from soprano to bass. What is given to the right of it is striped: the network has not read it.""",
        400,
    )
    size, left = 34, 140
    for row, (name, is_given) in enumerate(TASKS.items()):
        top = 22 + 118 * row
        pen.text(14, top + 56, name, 15, "start", kind="strong")
        for voice in range(4):
            pen.text(left - 8, top + 24 * voice + 17, "SATB"[voice], 13, "end", kind="soft")
            for step in range(N_STEPS):
                at = (left + size * step + 1, top + 24 * voice + 1, size - 2, 22)
                if not is_given(step, voice):
                    is_read = step < NOW[0] or (step == NOW[0] and voice < NOW[1])
                    pen.box(*at, kind="panel" if is_read else "frame", corner=3, dashed=not is_read)
                elif step > NOW[0]:
                    pen.hatch(*at)
                else:
                    pen.box(*at, colour=VOICES[voice], strength=0.5, corner=3)
        x, y = left + size * NOW[0], top + 24 * NOW[1]
        pen.box(x, y, size, 24, colour=ORANGE, strength=0.8, corner=3)
    _legend(pen, 382)
    return pen


def _legend(pen: Drawing, y: float) -> None:
    x = 14
    pen.box(x, y - 14, 26, 18, colour=VOICES[0], strength=0.5, corner=3)
    pen.note(x + 32, y, "given and read")
    pen.hatch(x + 142, y - 14, 26, 18)
    pen.note(x + 174, y, "given, not read yet")
    pen.box(x + 308, y - 14, 26, 18, kind="panel", corner=3)
    pen.note(x + 340, y, "written")
    pen.box(x + 402, y - 14, 26, 18, colour=ORANGE, strength=0.8, corner=3)
    pen.note(x + 434, y, "being written")
    pen.box(x + 532, y - 14, 26, 18, kind="frame", corner=3, dashed=True)
    pen.note(x + 564, y, "free")


#: First note -> its probability, and what the rule leaves of the second notes after it.
PAIRS = {"stay": (0.8, 0.1), "up": (0.2, 1.0)}


def corner() -> Drawing:
    """How often a first note comes by masks and by rejection, and what either costs."""
    kept = {name: first * left for name, (first, left) in PAIRS.items()}
    share = sum(kept.values())
    of_masks = -sum(first * math.log(left) for first, left in PAIRS.values())
    pen = Drawing(
        "A mask keeps what leads into a corner",
        f"""Two first notes. Stay has probability 0.8, and the rule leaves 0.1 of the second notes after it; up has 0.2,
        and everything is left. With masks stay is drawn in 0.8 of all pieces, as by the network. Of whole pairs, 0.8
        times 0.1 is 0.08 and 0.2 times 1 is 0.2; of those that are kept, stay begins {number(kept["stay"] / share)} and
        up {number(kept["up"] / share)}. Masks cost {number(of_masks)} nats, rejection {number(-math.log(share))} nats
        and {number(1 / share, 1)} drafts for each pair that is kept.""",
        262,
    )
    columns = (("the rule leaves", 232), ("with masks", 390), ("whole pairs kept", 552))
    pen.text(82, 26, "first note", 14, kind="strong")
    for name, x in columns:
        pen.text(x, 26, name, 14, kind="strong")
    for row, (name, (first, left)) in enumerate(PAIRS.items()):
        y = 44 + 84 * row
        pen.label(22, y + 14, 120, 36, f"{name}  {number(first, 1)}", colour=BLUE)
        pen.arrow((142, y + 32), (186, y + 32), dashed=left < 1)
        pen.label(188, y + 14, 88, 36, f"{number(left, 1)}", kind="frame", dashed=left < 1)
        for x, value, colour in ((390, first, ORANGE), (552, kept[name] / share, TENOR)):
            pen.box(x - 60, y + 14, 120, 36, kind="frame", corner=3)
            pen.box(x - 60, y + 14, 120 * value, 36, colour=colour, strength=0.5, corner=3)
            pen.text(x, y + 37, number(value), 14, kind="strong")
    pen.text(82, 236, "cost", 14, kind="strong")
    pen.text(390, 236, f"{number(of_masks)} nats, 1 draft", 14)
    pen.text(552, 236, f"{number(-math.log(share))} nats, {number(1 / share, 1)} drafts", 14)
    return pen
