"""Voice grids as scores: Humdrum ``**kern`` text, and from it a picture by verovio.

A score says in symbols what a grid says in steps. So each note must be written as one of the values that notation has,
or as several tied ones, and each pitch needs a name: 61 is C sharp in D major and D flat in A flat major.

Reference: David Huron, The Humdrum Toolkit: Reference Manual, 1994, "kern".

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

import locale
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mini_musessl.checks import UNPRINTABLE, shown
from mini_musessl.harmony import chord_labels, chord_names, pitch_class_name, place_name, signature_of
from mini_musessl.music import as_meter
from mini_musessl.voices import REST, VoiceGrid

_CLEFS = {"soprano": "*clefG2", "alto": "*clefG2", "tenor": "*clefGv2", "bass": "*clefF4"}
_SCORE_WIDTH = 1200
_LONGEST_KERN = (
    60_000  # characters: some 500 bars of a chorale, which verovio engraves in as many hundredths of a second
)
_VEROVIO_OPTIONS = {
    "inputFrom": "humdrum",
    "header": "none",
    "footer": "none",
    "pageWidth": _SCORE_WIDTH,
    "pageHeight": 60000,
    "adjustPageHeight": True,
    "pageMarginTop": 40,
    "pageMarginBottom": 40,
    "pageMarginLeft": 70,
    "pageMarginRight": 40,
    "scale": 50,
    "spacingStaff": 8,
    "svgViewBox": True,
    "svgFormatRaw": True,
    "xmlIdSeed": 1,
}


def to_kern(grid: VoiceGrid, has_chords: bool = False) -> str:
    """Write a grid as Humdrum ``**kern``, the bass in the first column.

    Notes are split at bar lines, and inside a bar where the beat would be hidden otherwise; the pieces are tied.
    Pitches are named by the key signature; where it is unknown, that of the key that fits the notes best is written
    (``harmony.signature_of``). A fermata stands on the last note of each voice under it. What ``voices.cut`` cut out
    keeps the bar numbers of its work, and has no final double bar where the work goes on. The last line asks verovio
    for beams.

    Args:
        has_chords: True writes a chord's name under the beat where it begins, as ``harmony.chord_labels`` finds it.

    >>> from mini_musessl import voices
    >>> print(to_kern(voices.from_pitches([[62]] * 4, voice_names=("alto",), fifths=2, mode="major")))
    **kern
    *I"alto
    *clefG2
    *k[f#c#]
    *D:
    *M4/4
    =1-
    4d
    ==
    *-
    !!!filter: autobeam
    """
    _check_writable(grid)
    grid = replace(grid, fifths=signature_of(grid))
    spines = [_spine(grid, voice) for voice in reversed(range(grid.n_voices))]
    heads = [_head(grid, voice) for voice in reversed(range(grid.n_voices))]
    if has_chords:
        spines.insert(1, _chord_spine(grid))
        heads.insert(1, ["**cdata"] + ["*"] * (len(heads[0]) - 1))
    lines = ["\t".join(row) for row in zip(*heads, strict=True)]
    bar = grid.n_bars_before
    if bar and grid.bar_position_step[0] > 0:
        lines.append(_across(spines, f"={bar}-"))
    for step in range(grid.n_steps):
        if grid.bar_position_step[step] == 0:
            bar += 1
            lines.append(_across(spines, f"={bar}{'-' if step == 0 else ''}"))
        tokens = [spine.get(step, ".") for spine in spines]
        if any(token != "." for token in tokens):
            lines.append("\t".join(tokens))
    return "\n".join([*lines, _across(spines, _last_line(grid)), _across(spines, "*-"), "!!!filter: autobeam"])


def to_svg(music: VoiceGrid | str, has_chords: bool = False) -> str:
    """Engrave a grid, with or without names of chords, or ``**kern`` text as an SVG picture, always the same."""
    import verovio

    kern = music if isinstance(music, str) else to_kern(music, has_chords)
    if len(kern) > _LONGEST_KERN:
        raise ValueError(
            f"A score must fit one tall page, {_LONGEST_KERN} characters of **kern; this one has {len(kern)}. Engrave "
            "a cut of it: see voices.cut."
        )
    kern = UNPRINTABLE.sub(lambda found: found[0] if found[0] in "\t\r\n" else "\ufffd", kern)
    verovio.enableLog(verovio.LOG_OFF)
    with _decimal_points():
        toolkit = verovio.toolkit()
        wide = {"spacingLinear": 0.55} if "**cdata" in kern else {}  # names of chords are wider than notes
        toolkit.setOptions(_VEROVIO_OPTIONS | wide)
        if "**kern" not in kern or not toolkit.loadData(kern + "\n"):
            raise ValueError(
                f"verovio reads **kern text; it cannot read {kern[:40]!r}. Use notation.to_kern to write it."
            )
        if toolkit.getPageCount() > 1:
            raise ValueError("A score must fit one tall page; this one takes more. Engrave a cut: see voices.cut.")
        return toolkit.renderToSVG(1)


@contextmanager
def _decimal_points() -> Iterator[None]:
    """Let C libraries write 0.5, also where the program has chosen a language that writes 0,5."""
    chosen = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, chosen)


def note_values(start_step: int, stop_step: int, meter: tuple[int, int], steps_per_quarter: int) -> list[int]:
    """Split a note inside one bar into lengths that notation has, so that beats stay visible.

    A note that starts on a beat keeps the longest value that fits. One that starts off the beat stops at the next beat,
    except the common syncopation of one beat's length. Places and lengths are in steps after the bar line.

    >>> note_values(0, 10, (4, 4), 4), note_values(2, 8, (4, 4), 4), note_values(2, 6, (4, 4), 4)
    ([8, 2], [2, 4], [4])
    """
    beat, position, values = _beat(meter, steps_per_quarter), start_step, []
    while position < stop_step:
        length = stop_step - position
        off_beat = position % beat
        if off_beat and length > beat - off_beat and not (length == beat and 2 * off_beat == beat):
            length = beat - off_beat
        is_by_beats = _is_compound(meter) and not off_beat and length > beat
        length -= length % beat if is_by_beats else 0
        while _value(length, steps_per_quarter) is None:
            length -= beat if is_by_beats else 1
        values.append(length)
        position += length
    return values


def _check_writable(grid: VoiceGrid) -> None:
    """Refuse anything but a grid, an empty one, and one whose single step is no note value."""
    if not isinstance(grid, VoiceGrid):
        raise TypeError(f"A score needs a voices.VoiceGrid; found {type(grid).__name__}. Use voices.from_piece first.")
    if grid.n_steps == 0:
        raise ValueError("A score needs at least one step; found none. Is the cut empty?")
    if _value(1, grid.steps_per_quarter) is None:
        raise ValueError(
            "A score needs a power of two of steps per quarter, or three times one; found "
            f"{grid.steps_per_quarter}. Use music.change_grid."
        )


def _is_compound(meter: tuple[int, int]) -> bool:
    """Return whether three of the lower number make a beat, as in 6/8 or 12/8."""
    return meter[1] >= 8 and meter[0] % 3 == 0


def _beat(meter: tuple[int, int], steps_per_quarter: int) -> int:
    """Return the length of a beat in steps, at least one."""
    return max(1, (3 if _is_compound(meter) else 1) * 4 * steps_per_quarter // meter[1])


def _value(length: int, steps_per_quarter: int) -> str | None:
    """Return the kern name of a length, or None: 4 is a quarter, 8. a dotted eighth, 12 a third of a quarter."""
    whole = Fraction(length, 4 * steps_per_quarter)
    dot = "." if whole == 3 or (whole.numerator == 3 and whole.denominator > 1) else ""
    plain = whole * Fraction(2, 3) if dot else whole
    if plain == 2:
        return f"0{dot}"
    odd = plain.denominator
    while odd % 2 == 0:
        odd //= 2
    is_value = plain.numerator == 1 and (odd == 1 or (odd == 3 and not dot))
    return f"{plain.denominator}{dot}" if is_value else None


def _head(grid: VoiceGrid, voice: int) -> list[str]:
    """Return the lines at the top of one column: name, clef, key signature, key, meter."""
    # On one line, since a tab or a new line would begin another column or record.
    head = ["**kern", f'*I"{shown(grid.voice_names[voice], 60)}', _clef(grid, voice)]
    sharps, flats = range(6, 6 + grid.fifths), range(-2, -2 + grid.fifths, -1)
    signs = (place_name(place) for place in (*sharps, *flats))
    head.append(f"*k[{''.join(_kern(sign).lower() for sign in signs)}]")
    if grid.mode in ("major", "minor"):
        tonic = place_name(grid.fifths) if grid.mode == "major" else place_name(grid.fifths + 3).lower()
        head.append(f"*{_kern(tonic)}:")
    return [*head, f"*M{grid.meter[0]}/{grid.meter[1]}"]


def _clef(grid: VoiceGrid, voice: int) -> str:
    """Return the clef that singers of a voice expect, or, for another name, the one that fits its mean pitch."""
    if grid.voice_names[voice] in _CLEFS:
        return _CLEFS[grid.voice_names[voice]]
    sounding = grid.pitch[:, voice][grid.pitch[:, voice] != REST]
    mean = sounding.mean() if sounding.size else 60
    return "*clefF4" if mean < 54 else "*clefGv2" if mean < 62 else "*clefG2"


def _kern(name: str) -> str:
    """Return the name of a pitch class as kern writes it, where a flat is a minus."""
    return name[0] + name[1:].replace("b", "-")


def _pitch_token(pitch: int, fifths: int) -> str:
    """Return the kern name of a pitch: c is middle C, cc an octave higher, C an octave lower, CC two."""
    name = _kern(pitch_class_name(pitch % 12, fifths))
    letter, signs = name[0], name[1:]
    octave = (pitch - signs.count("#") + signs.count("-")) // 12 - 1
    return (letter.lower() * (octave - 3) if octave >= 4 else letter * (4 - octave)) + signs


def _spine(grid: VoiceGrid, voice: int) -> dict[int, str]:
    """Return the tokens of one voice by the step at which they stand."""
    pitch = grid.pitch[:, voice]
    is_fermata_end = grid.is_fermata & ~np.append(grid.is_fermata[1:], False)
    starts = [0] + [
        s for s in range(1, grid.n_steps) if grid.is_onset[s, voice] or (pitch[s] == REST) != (pitch[s - 1] == REST)
    ]
    spine = {}
    for start, stop in zip(starts, [*starts[1:], grid.n_steps], strict=True):
        pieces = _pieces(grid, start, stop)
        for index, (at, length) in enumerate(pieces):
            value = _value(length, grid.steps_per_quarter)
            if pitch[start] == REST:
                spine[at] = f"{value}r"
                continue
            opens, closes = len(pieces) > 1 and index == 0, len(pieces) > 1 and index == len(pieces) - 1
            goes_on = "_" if 0 < index < len(pieces) - 1 else "]" if closes else ""
            fermata = ";" if is_fermata_end[at : at + length].any() else ""
            name = _pitch_token(int(pitch[start]), grid.fifths)
            spine[at] = f"{'[' if opens else ''}{value}{name}{goes_on}{fermata}"
    return spine


def _pieces(grid: VoiceGrid, start: int, stop: int) -> list[tuple[int, int]]:
    """Return where the tied pieces of a note stand and how long they are: first cut at bar lines, then into values."""
    lines = [s for s in range(start + 1, stop) if grid.bar_position_step[s] == 0]
    pieces = []
    for at, end in zip([start, *lines], [*lines, stop], strict=True):
        offset = int(grid.bar_position_step[at])
        for length in note_values(offset, offset + end - at, grid.meter, grid.steps_per_quarter):
            pieces.append((at, length))
            at += length
    return pieces


def _last_line(grid: VoiceGrid) -> str:
    """Return the bar line at the end: double at the end of a work, none in the middle of a bar."""
    bar = as_meter(grid.meter).bar_length_step(grid.steps_per_quarter)
    is_whole = int(grid.bar_position_step[-1]) + 1 == bar
    return "==" if not grid.is_cut_off else "=" if is_whole else "=-"


def _chord_spine(grid: VoiceGrid) -> dict[int, str]:
    """Return the names of chords by the step at which they stand; one that goes on is written once."""
    chords = chord_labels(grid)
    names = chord_names(chords, grid.fifths)
    is_new = [name not in ("-", before) for before, name in zip(["-", *names], names, strict=False)]
    return {int(step): name for step, name, new in zip(chords["step"], names, is_new, strict=True) if new}


def _across(spines: list[dict[int, str]], token: str) -> str:
    """Return one token repeated in every column."""
    return "\t".join([token] * len(spines))
