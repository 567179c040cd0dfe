"""What goes in and how it is counted: tokens, splits, viewpoints, the code (notebooks 00, 2a, 3c, 7a)."""

import itertools
import math
from fractions import Fraction

from drawings.music import chorale, split
from drawings.pen import BLUE, ORANGE, SKY, SOPRANO, TENOR, VOICES, Drawing, number
from mini_musessl import corpora
from mini_musessl.evaluation import counting
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
        bass, it becomes a row of twenty tokens. A token is the number of a symbol: the pitch minus 35. From the
        fourth sixteenth to the fifth soprano and bass move, alto and tenor hold.""",
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
        {n_bits} bits send the message; minus the logarithm to base 2 of the length is {number(-math.log2(width))}.""",
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


#: Settings of three hymns, by Bach-Werke-Verzeichnis; each line is one group of ``corpora.melody_groups``.
HYMNS = (("260", "104.6", "112.5"), ("69.6", "312", "311"), ("348", "347", "37.6"))


def leak() -> Drawing:
    """Three hymns with three settings each: in the split of the literature, and in one that keeps hymns together."""
    parts = {"by piece": split(), "by hymn": corpora.melody_disjoint_split()}
    known = {name: len(corpora.shared_melodies(each)["test"]) for name, each in parts.items()}
    n_test = {name: len(each["test"]) for name, each in parts.items()}
    pen = Drawing(
        "One hymn in training and in test",
        f"""Two tables with a row for each of three hymns and columns for train, valid and test. Split by piece, as
        the literature does, settings of one hymn stand in train and in test: {known["by piece"]} of
        {n_test["by piece"]} test pieces have their tune in training. Split by hymn, all settings of a hymn stand in
        one part: {known["by hymn"]} of {n_test["by hymn"]}.""",
        426,
    )
    for column, (name, each) in enumerate(parts.items()):
        x = 58 + 312 * column
        pen.text(x, 30, f"split {name}", 15, "start", kind="strong")
        where = {piece.name: part for part, pieces in each.items() for piece in pieces}
        for place, part in enumerate(("train", "valid", "test")):
            pen.text(x + 46 + 96 * place, 58, part, 14, kind="strong")
            pen.box(x + 96 * place, 66, 92, 300, kind="panel", corner=6)
        for row, hymn in enumerate(HYMNS):
            _settings(pen, x, 74 + 98 * row, [(bwv, where[f"bwv{bwv}"]) for bwv in hymn], VOICES[row])
        is_leaky = known[name] > 0
        words = f"{known[name]} of {n_test[name]} test pieces have"
        pen.text(x, 390, words, 14, "start", kind="strong")
        pen.text(x, 408, "their tune in training: a leak" if is_leaky else "their tune in training", 14, "start")
    for row in range(3):
        pen.text(12, 74 + 98 * row + 46, "hymn", 12, "start", kind="soft")
        pen.text(12, 74 + 98 * row + 62, "ABC"[row], 14, "start", kind="strong")
    return pen


def _settings(pen: Drawing, x: float, y: float, settings: list[tuple[str, str]], colour: str) -> None:
    """Draw the settings of one hymn, each in the column of its part; a line joins those in train with those in test."""
    columns = {part: [name for name, where in settings if where == part] for part in ("train", "valid", "test")}
    if columns["train"] and columns["test"]:
        pen.line((x + 88, y + 42), (x + 198, y + 42), colour=SOPRANO, width=3, dashed=True)
    for place, names in enumerate(columns.values()):
        first = y + 42 - 14 * len(names)
        for row, name in enumerate(names):
            at = (x + 96 * place + 6, first + 28 * row, 80, 25)
            pen.box(*at, kind="paper", corner=12)
            pen.label(*at, f"BWV {name}", 12, colour=colour, strength=0.3, corner=12)


def viewpoints() -> Drawing:
    """One moment of BWV 355 and the numbers with which a counting model describes it to itself."""
    step, voice, first = 16, 2, 8
    pitch, before = chorale().pitch.astype(int), step - 1
    found = {k: int(v[step, voice]) for k, v in counting.musical_viewpoints(pitch[: step + 1] - 35).items()}
    relation = {k: found[k] - counting.WIDEST for k in found if "distance" in k or k == "last_leap"}
    pen = Drawing(
        "One moment in fourteen facts",
        f"""A piano roll of BWV 355 up to step {step}. The tenor is to be predicted; soprano and alto of this step are
        known, the bass only a step before. Around it stand the facts that the model counts with: hold
        {found["hold"]}, all_hold {found["all_hold"]}, beat {found["beat"]}, last_leap {relation["last_leap"]},
        moves_above {found["moves_above"]}, the intervals to the voices above and below, and which neighbouring notes
        were heard.""",
        440,
    )
    left, top, wide, semitone = 218, 40, 22, 11

    def y_of(value: int) -> float:
        return top + (76 - value) * semitone

    pen.box(left, top, wide * (step - first + 1), 29 * semitone, kind="panel", corner=4)
    now = left + wide * (step - first)
    pen.box(now, top, wide, 29 * semitone, colour=ORANGE, strength=0.15, corner=2)
    for v, colour in enumerate(VOICES):
        for s in range(first, step + (v < voice)):
            is_first = s == first or pitch[s, v] != pitch[s - 1, v]
            at = (left + wide * (s - first) + is_first, y_of(pitch[s, v]), wide - is_first, semitone)
            pen.box(*at, colour=colour, strength=0.85, corner=0)
        pen.text(left - 8, y_of(pitch[first, v]) + 11, "SATB"[v], 14, "end", kind="strong")
    own = int(pitch[before, voice])
    pen.label(now, y_of(own) - 7, wide, 24, "?", 15, colour=ORANGE, strength=0.6, corner=3)
    pen.hatch(now, y_of(52) - 6, wide, 24)
    pen.text(now + wide / 2, top + 29 * semitone + 18, "now", 13, kind="strong")
    pen.text(left + 4 * wide, top + 29 * semitone + 18, "two beats before", 13, kind="soft")

    def fact(x: float, y: float, names: str, value: str, to: tuple[float, float]) -> None:
        lines = names.split("\n")
        for row, name in enumerate(lines):
            pen.text(x, y + 17 * row, name, 13, "start", kind="mono")
        pen.note(x, y + 17 * len(lines), value, kind="soft")
        start = (166, y + 4) if x < left else (x - 6, y)
        pen.arrow(start, to, width=1)

    mine, side, x, leap = y_of(own) + 5, now + wide, 446, relation["last_leap"]
    begun = left + wide * (step - first - found["hold"])
    fact(14, 60, "beat", f"{found['beat']}: a beat begins", (now - 1, top + 10))
    fact(14, 116, "all_hold", f"all for at least {found['all_hold']}", (begun - 1, y_of(64) + 5))
    fact(14, 176, "voice", f"{found['voice']}: the tenor", (left - 18, y_of(57) - 1))
    fact(14, 236, "hold", f"has held for {found['hold']} steps", (begun + 30, mine + 8))
    fact(14, 290, "last_leap", f"came from {abs(leap)} {'above' if leap > 0 else 'below'}", (begun - 2, mine + 3))
    fact(14, 344, "scale", "neighbours heard last", (left + 3, top + 28 * semitone))
    distance = {far: number(relation[f"distance_{far}"], 0) for far in ("above_1", "above_2", "below_1")}
    fact(x, 50, "moves_above", "the soprano, not the alto", (side, y_of(73) + 5))
    for y, far, who, at in (
        (118, "above_2", "to the soprano", (side, y_of(73) + 12)),
        (190, "above_1", "to the alto", (side, y_of(64) + 5)),
        (262, "below_1", "to the last bass", (now - 2, y_of(52) + 8)),
    ):
        value = f"{distance[far]} {who}; mod 12: {found[far]}"
        fact(x, y, f"distance_{far}\n{far}", value, at)
    fact(x, 344, "below_2", "nobody sings there", (side - 4, y_of(48) + 4))
    pen.note(14, 408, "Intervals in semitones, lengths in sixteenths. The striped bass of this step is not known yet.")
    pen.note(14, 427, "No number changes when the music is transposed.")
    return pen
