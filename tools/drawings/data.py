"""What goes in and how it is counted: tokens, splits, viewpoints, the code (notebooks 00, 2a, 3c, 7a)."""

import itertools
import math
from fractions import Fraction

from drawings.music import chorale
from drawings.pen import BLUE, ORANGE, SKY, TENOR, VOICES, Drawing, number
from mini_musessl.plotting import pitch_name
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens


def tokens() -> Drawing:
    """A table of pitches becomes a row of tokens, soprano to bass, step after step."""
    rows = range(2, 7)
    pitch = chorale().pitch
    ids = VoiceGridTokens().encode(chorale()).reshape(-1, 4)
    pen = Drawing(
        "From a table of cells to a row of tokens",
        """A table of five sixteenths by four voices; each cell holds a pitch. Read row by row, soprano, alto, tenor,
        bass, it becomes a row of twenty tokens. A token is the number of a symbol: the pitch minus 35. From the fourth
        sixteenth to the fifth soprano and bass move, alto and tenor hold.""",
        396,
    )
    x, y, wide, tall = 110, 56, 74, 28
    for voice, name in enumerate(("soprano", "alto", "tenor", "bass")):
        pen.text(x + wide * (voice + 0.5), y - 12, name, kind="strong")
    for place, step in enumerate(rows):
        top = y + tall * place
        pen.text(x - 10, top + 19, f"sixteenth {step + 1}", 13, anchor="end", kind="soft")
        for voice, colour in enumerate(VOICES):
            value = int(pitch[step, voice])
            words = f"{value}  {pitch_name(value)}"
            pen.label(x + wide * voice + 1, top + 1, wide - 2, tall - 2, words, colour=colour, strength=0.3, corner=3)
    notes = ("A row is a sixteenth, a column", "a voice, a cell a pitch;", "middle C is 60.")
    pen.lines(x + 4 * wide + 16, y + 20, notes, 13, anchor="start")
    pen.lines(x + 4 * wide + 16, y + 88, ("Read each row from", "soprano to bass:"), 13, anchor="start")
    pen.arrow((x + 4 * wide + 16, y + 122), (x + 4 * wide + 100, y + 122), colour=ORANGE, width=2)
    size, left, low = 30.4, 26, 282
    for place, step in enumerate(rows):
        middle = left + size * (4 * place + 2)
        pen.text(middle, low - 24, f"sixteenth {step + 1}", 13, kind="soft")
        pen.path(f"M{middle - 2 * size + 3:.4g} {low - 10}v-6h{4 * size - 6:.4g}v6", width=1)
        for voice, colour in enumerate(VOICES):
            at = left + size * (4 * place + voice)
            pen.label(at + 1, low, size - 2, 30, str(ids[step, voice]), colour=colour, strength=0.3, corner=3)
            pen.text(at + size / 2, low + 47, "SATB"[voice], 12, kind="soft")
    pen.arrow((330, y + 5 * tall + 8), (330, low - 44), width=2)
    pen.note(26, 358, "One row of tokens, four a sixteenth. A token is the number of its symbol: the pitch minus 35.")
    pen.note(26, 377, "Id 0 is a rest; 47, which can only be read, says that the piece begins.")
    return pen


SYMBOLS = {"same": Fraction(7, 10), "up": Fraction(2, 10), "down": Fraction(1, 10)}
MESSAGE = ("same", "up", "same")


def code() -> Drawing:
    """Arithmetic coding with three symbols: each picks a part of the interval before, as long as it is probable."""
    low, width, levels = Fraction(0), Fraction(1), []
    for symbol in MESSAGE:
        levels.append((low, width))
        names = list(SYMBOLS)
        low += width * sum(SYMBOLS[name] for name in names[: names.index(symbol)])
        width *= SYMBOLS[symbol]
    for n_bits in itertools.count(1):
        first = math.ceil(low * 2**n_bits)
        if Fraction(first + 1, 2**n_bits) <= low + width:
            break
    bits, end = f"{first:0{n_bits}b}", float(low + width)
    pen = Drawing(
        "Nested intervals of an arithmetic code",
        f"""Three symbols: same with probability 0.7, up 0.2, down 0.1. The message same, up, same picks a part of the
        line from 0 to 1, a part of that part, and a part of that: from {float(low):.3f} to {end:.3f}, as long as the
        product of the probabilities, {float(width):.3f}. All binary fractions that begin with {bits} lie inside, so
        {n_bits} bits send the message; minus the logarithm to base 2 of the length is
        {number(-math.log2(width))}.""",
        478,
    )
    colours = {"same": BLUE, "up": ORANGE, "down": TENOR}
    left, wide, tall = 122, 486, 36
    for row, ((start, length), picked) in enumerate(zip(levels, MESSAGE, strict=True)):
        y, at = 44 + 108 * row, float(left)
        pen.note(16, y + 12, f"symbol {row + 1}:")
        pen.text(16, y + 31, picked, 14, anchor="start", kind="strong")
        for name, share in SYMBOLS.items():
            part = wide * float(share)
            pen.label(at, y, part, tall, name, colour=colours[name], strength=0.5 if name == picked else 0.12, corner=0)
            if name == picked:
                pen.box(at, y, part, tall, colour=colours[name], strength=0, corner=0)
                pen.line((at, y + tall), (left, y + 108), width=1, dashed=True)
                pen.line((at + part, y + tall), (left + wide, y + 108), width=1, dashed=True)
                pen.text(at + part / 2, y + tall + 20, f"length × {number(share, 1)}", 13, kind="soft")
            at += part
        _ends(pen, left, wide, y + 23, start, length)
    y = 44 + 108 * len(MESSAGE)
    scale = wide / float(width)
    pen.box(left, y, wide, tall, colour=SKY, strength=0.2, corner=0)
    pen.text(16, y + 23, "message", 14, anchor="start", kind="strong")
    inside = (Fraction(first, 2**n_bits) - low, Fraction(1, 2**n_bits))
    at, part = left + scale * float(inside[0]), scale * float(inside[1])
    pen.label(at, y + 5, part, tall - 10, f"0.{bits}…", colour=SKY, strength=0.6, corner=0)
    _ends(pen, left, wide, y + 23, low, width)
    pen.note(left, y + 60, f"All binary fractions that begin with {bits} lie inside: {n_bits} bits send the message.")
    total = " × ".join(number(SYMBOLS[name], 1) for name in MESSAGE)
    pen.note(
        left, y + 79, f"Length {total} = {number(width, 3)};  −log_{{2}} of it = {number(-math.log2(width))} bits."
    )
    return pen


def _ends(pen: Drawing, x: float, wide: float, y: float, start: Fraction, length: Fraction) -> None:
    """Write the ends of an interval beside it."""
    for edge, at, anchor in ((start, x - 5, "end"), (start + length, x + wide + 5, "start")):
        pen.text(at, y, number(edge, 3).rstrip("0").rstrip(".") or "0", 13, anchor)
