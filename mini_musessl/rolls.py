"""Piano rolls: time to the right, pitch upwards, one colour a part; with marks, and with cells that were hidden.

Chapter: 00 (the road in five minutes).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from mini_musessl import checks
from mini_musessl.music import Piece, bar_lines_step, ends_step, is_repeated, part_indices, steps_to_sec
from mini_musessl.plotting import (
    NOTE_NAMES,
    PITCH_RANGE,
    WIDTH,
    check_pitch_range,
    part_colours,
    pitch_name,
)
from mini_musessl.voices import SATB, VoiceGrid, as_performed

_LEFT, _RIGHT, _FONT, _MARK_FONT = 46, 590, 17, 15
_SMALLEST, _LARGEST = 5, 12  # height of a semitone
_HEIGHT = 245  # of the pitches from C2 to C6
_MARGIN, _OCTAVE = 2, 12
_DIMMED = 0.3
_MOST_NOTES = 50_000  # a piano recital has 20,000; this many make an SVG of about a megabyte
#: Time runs between these two fractions of a piano roll's width.
ROLL_LEFT, ROLL_RIGHT = round(_LEFT / WIDTH, 4), round(_RIGHT / WIDTH, 4)


class Mark(NamedTuple):
    """A place in the music with the words that stand there."""

    step: int
    text: str
    voices: tuple[str, ...] = ()  # whose notes at that step a bracket joins


def as_marks(music: Piece | VoiceGrid, marks: Iterable[tuple]) -> list[Mark]:
    """Return marks in order of time, or refuse one that lies beyond the music or names a voice that it lacks."""
    found, piece = [], as_performed(music)
    for mark in marks:
        if not isinstance(mark, (tuple, list)) or len(mark) not in (2, 3):
            raise TypeError(f'A mark must be (step, "text") or (step, "text", ("voice", ...)); found {mark!r}.')
        step = checks.whole_number("The step of a mark", mark[0], 0, piece.n_steps - 1, "Steps count from 0.")
        checks.check_text("The text of a mark", mark[1])
        names = mark[2] if len(mark) == 3 else ()
        names = (names,) if isinstance(names, str) else tuple(names)
        part_indices(piece, names)
        found.append(Mark(step, checks.shown(mark[1], 60), names))
    return sorted(found, key=lambda mark: mark.step)


def as_hidden(music: Piece | VoiceGrid, hidden: Bool[np.ndarray, "n_steps n_voices"]) -> np.ndarray:
    """Return which cells were hidden, or refuse an array that does not fit the music."""
    hidden, piece = np.asarray(hidden), as_performed(music)
    shape = (piece.n_steps, len(piece.parts))
    if hidden.shape != shape or hidden.dtype != bool:
        raise ValueError(
            f"hidden must be True or False for each step and voice, {shape}; found {hidden.dtype} of {hidden.shape}."
        )
    return hidden


def fitting_range(*musics: Piece | VoiceGrid) -> tuple[int, int]:
    """Return the lowest and highest pitch of an axis that holds some music: C2 to C6 for four parts or more.

    Those ends are stretched by whole octaves where needed. Fewer parts have an axis that fits them, at least an octave.

    >>> from mini_musessl import voices
    >>> fitting_range(voices.from_pitches([[60], [67]], voice_names=("melody",)))
    (58, 70)
    """
    pieces = [as_performed(music) for music in musics]
    pitch = np.concatenate([piece.notes["pitch"] for piece in pieces])
    if max(len(piece.parts) for piece in pieces) >= len(SATB) or len(pitch) == 0:
        low, high = int(pitch.min(initial=PITCH_RANGE[0])), int(pitch.max(initial=PITCH_RANGE[1]))
        return low // 12 * 12, -(-high // 12) * 12
    low, high = int(pitch.min()) - _MARGIN, int(pitch.max()) + _MARGIN
    lacking = max(0, _OCTAVE - (high - low))
    low = min(max(0, low - lacking // 2), 127 - _OCTAVE)
    return low, min(max(low + _OCTAVE, high), 127)


@dataclass(frozen=True)
class _Place:
    """Where a roll lies in its picture."""

    piece: Piece
    axis_sec: float
    lowest: int
    highest: int
    top: int

    @property
    def semitone(self) -> int:
        return max(_SMALLEST, min(_LARGEST, _HEIGHT // (self.highest - self.lowest + 1)))

    @property
    def bottom(self) -> int:
        return self.top + (self.highest - self.lowest + 1) * self.semitone

    def x(self, step: np.ndarray) -> np.ndarray:
        """Return where steps lie across the roll; even in seconds."""
        return _LEFT + (_RIGHT - _LEFT) * steps_to_sec(self.piece, step) / self.axis_sec

    def y(self, pitch: np.ndarray) -> np.ndarray:
        """Return the upper edge of pitches."""
        return self.top + (self.highest - pitch) * self.semitone


def piano_roll_svg(
    music: Piece | VoiceGrid,
    title: str = "",
    pitch_range: tuple[int, int] | None = None,
    *,
    bring_out: str | tuple[str, ...] = (),
    marks: Sequence[tuple] = (),
    hidden: Bool[np.ndarray, "n_steps n_voices"] | None = None,
    axis_sec: float = 0.0,
) -> str:
    """Draw music as a piano roll.

    Time is even in seconds, fermatas held, and runs from ``ROLL_LEFT`` to ``ROLL_RIGHT`` of the width. Where two parts
    share a pitch, the later one is drawn as a thinner bar on the earlier.

    Args:
        pitch_range: lowest and highest pitch of the axis; ``fitting_range`` by default.
        bring_out: names of parts; the others are drawn pale.
        marks: (step, "text"), or (step, "text", names of parts) for a bracket between their notes.
        hidden: True for cells that were hidden; their notes are hatched.
        axis_sec: shortest time axis, so that several rolls can share one.
    """
    piece = as_performed(music)
    checks.check_text("The title of a piano roll", title)
    if piece.n_steps == 0:
        raise ValueError("Music must last at least one step to be drawn; found none. Is the cut empty?")
    if len(piece.notes) > _MOST_NOTES:
        raise ValueError(
            f"A piano roll holds at most {_MOST_NOTES} notes; found {len(piece.notes)}. Draw a part of it: music.cut."
        )
    marks = as_marks(music, marks)
    hidden = as_hidden(music, np.zeros((piece.n_steps, len(piece.parts)), bool) if hidden is None else hidden)
    brought_out = part_indices(piece, bring_out)
    strength = [1 if not brought_out or part in brought_out else _DIMMED for part in range(len(piece.parts))]
    ends = _asked_range(piece, pitch_range) if pitch_range else fitting_range(piece)
    legend, below = _legend(piece, title, strength, bool(hidden.any()))
    axis_sec = max(axis_sec, float(steps_to_sec(piece, piece.n_steps)))
    rows = _mark_rows(marks, _Place(piece, axis_sec, *ends, 0))
    place = _Place(piece, axis_sec, *ends, below + 20 * len({row for row, _, _ in rows}))
    height, first_bar = place.bottom + 30, getattr(music, "n_bars_before", 0) + 1
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="DejaVu Sans, Verdana, Helvetica, Arial, sans-serif" font-size="{_FONT}" fill="#222">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *legend,
        *_pitch_lines(place),
        *_bar_lines(place, first_bar),
        *_note_paths(place, strength),
        *_hidden_paths(place, hidden),
        *_mark_paths(place, marks, rows, below),
        "</svg>",
    ]
    return checks.printable("".join(drawn))


def _asked_range(piece: Piece, asked: tuple[int, int]) -> tuple[int, int]:
    """Return the ends of the pitch axis that were asked for, or refuse those that leave a note out."""
    pitch = piece.notes["pitch"]
    check_pitch_range(*asked)
    if len(pitch) and not (asked[0] <= pitch.min() and pitch.max() <= asked[1]):
        raise ValueError(
            f"Every note must lie in pitch_range {asked}; found pitches {pitch.min()} to {pitch.max()}. "
            "Leave pitch_range out to fit the axis."
        )
    return asked


def _legend(piece: Piece, title: str, strength: list[float], has_hidden: bool) -> tuple[list[str], int]:
    """Return title and part names, and the height at which the roll may begin; a line alone needs no name."""
    drawn, y = [], 8
    if title:
        y += 20
        drawn.append(f'<text x="{_LEFT}" y="{y - 4}" font-weight="bold">{escape(checks.shown(title))}</text>')
    names = [part.name or f"part {index + 1}" for index, part in enumerate(piece.parts)]
    names = [] if len(names) == 1 and names[0] not in SATB else names
    fills = [f'fill="{colour}" fill-opacity="{a:g}"' for colour, a in zip(part_colours(piece), strength, strict=True)]
    entries = list(zip(names[:12], fills, strict=False))
    entries += [("hidden", f'fill="url(#hidden)" {_FRAME}')] if has_hidden else []
    x, y = _LEFT, y + 20 * bool(entries)
    for name, fill in entries:
        name = name if len(name) <= 24 else name[:23] + "\u2026"
        width = 34 + 10 * len(name)
        if x > _LEFT and x + width > _RIGHT:
            x, y = _LEFT, y + 22
        drawn.append(f'<rect x="{x}" y="{y - 13}" width="16" height="12" {fill}/>')
        drawn.append(f'<text x="{x + 21}" y="{y - 1}">{escape(name)}</text>')
        x += width
    if len(names) > 12:
        drawn.append(f'<text x="{_LEFT}" y="{y + 21}">and {len(names) - 12} more parts</text>')
        y += 22
    return drawn, y + 10


def _pitch_lines(place: _Place) -> list[str]:
    """Return grey rows for the black keys, and a line with its name at each C; at E and G too where there is room."""
    named = (0, 4, 7) if 3 * place.semitone >= _FONT + 4 else (0,)
    blacks, lines, names = "", "", []
    for pitch in range(place.lowest, place.highest + 1):
        y = int(place.y(pitch))
        if "#" in NOTE_NAMES[pitch % 12]:
            blacks += f"M{_LEFT} {y}H{_RIGHT}v{place.semitone}H{_LEFT}z"
        if pitch % 12 in named:
            lines += f"M{_LEFT} {y + place.semitone}H{_RIGHT}"
            middle = y + place.semitone / 2 + 6 if len(named) > 1 else y + place.semitone + 4
            names.append(f'<text x="{_LEFT - 6}" y="{middle:g}" text-anchor="end">{pitch_name(pitch)}</text>')
    return [f'<path d="{blacks}" fill="#f3f3f3"/>', f'<path d="{lines}" stroke="#bbb"/>', *names]


def _bar_lines(place: _Place, first_bar: int) -> list[str]:
    """Return a line at each bar, and as many bar numbers as fit; an upbeat comes before bar 1."""
    x = place.x(bar_lines_step(place.piece))
    narrowest = np.diff(x).min(initial=_RIGHT - _LEFT)
    stride = next((n for n in (1, 2, 4, 5, 10, 20, 50, 100) if n * narrowest >= 36), 200 * (len(x) // 3000 + 1))
    is_apart = np.diff((2 * x).astype(int), prepend=0) > 0  # lines closer than half a pixel are one to the eye
    lines = "".join(f"M{at:.4g} {place.top}V{place.bottom}" for at in x[is_apart])
    bars = first_bar + np.arange(len(x))
    numbers = [
        f'<text x="{at:.4g}" y="{place.bottom + 20}" text-anchor="middle">{bar}</text>'
        for bar, at in zip(bars, x, strict=True)
        if bar % stride == 0
    ]
    return [
        f'<path d="{lines}M{_LEFT} {place.bottom}H{_RIGHT}" stroke="#999" fill="none"/>',
        *numbers,
        f'<text x="{_LEFT - 14}" y="{place.bottom + 20}" text-anchor="end">bar</text>',
    ]


def _note_paths(place: _Place, strength: list[float]) -> list[str]:
    """Return one path a part, each note a bar; a gap that the eye can see keeps repeated notes apart."""
    notes = place.piece.notes
    left = place.x(notes["onset_step"])
    full_width = place.x(ends_step(notes)) - left
    gap = np.where(is_repeated(notes), np.clip(0.3 * full_width, 1, 4), 1)
    width = np.maximum(full_width - gap, 0.8)
    thinner = _is_doubled(place.piece) * 1.5
    upper = place.y(notes["pitch"]) + thinner
    tall = place.semitone - 2 * thinner
    bars = [f"M{a:.1f} {b:g}h{w:.1f}v{h:g}h-{w:.1f}z" for a, b, w, h in zip(left, upper, width, tall, strict=True)]
    paths = []
    for part, colour in enumerate(part_colours(place.piece)):
        shape = "".join(bars[i] for i in np.flatnonzero(notes["part"] == part))
        if shape:
            pale = f' fill-opacity="{strength[part]:g}"' if strength[part] < 1 else ""
            paths.append(f'<path d="{shape}" fill="{colour}"{pale}/>')
    return paths


def _is_doubled(piece: Piece) -> np.ndarray:
    """Return for each note whether a part drawn before it holds the same pitch at the same time, (n_notes,)."""
    notes, end_step = piece.notes, ends_step(piece.notes)
    is_doubled = np.zeros(len(notes), bool)
    for pitch in np.unique(notes["pitch"]):
        # Among the notes of one pitch nothing changes but where one of them begins or ends.
        at = np.flatnonzero(notes["pitch"] == pitch)
        times = np.unique([notes["onset_step"][at], end_step[at]])
        first_part = np.full(len(times), -1)
        start, stop = np.searchsorted(times, notes["onset_step"][at]), np.searchsorted(times, end_step[at])
        for i in np.argsort(notes["part"][at], kind="stable"):
            held, part = first_part[start[i] : stop[i]], notes["part"][at[i]]
            is_doubled[at[i]] = ((held != -1) & (held != part)).any()
            held[held == -1] = part
    return is_doubled


# --- hidden cells, and marks

_FRAME = 'stroke="#222" stroke-width="1.2"'
_HATCHING = (
    '<defs><pattern id="hidden" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<path d="M-1 1L1 -1M0 5L5 0M4 6L6 4" stroke="#222" stroke-width="1.1"/></pattern></defs>'
)


def _hidden_paths(place: _Place, hidden: np.ndarray) -> list[str]:
    """Return a hatched frame over each stretch of a note that was hidden."""
    shape = ""
    for onset, duration, pitch, _, part in place.piece.notes.tolist():
        column = hidden[onset : onset + duration, part]
        for start, stop in onset + np.flatnonzero(np.diff(column, prepend=False, append=False)).reshape(-1, 2):
            left, right = place.x(np.array([start, stop]))
            width = max(right - left - 1, 0.8)
            shape += f"M{left:.1f} {place.y(pitch):g}h{width:.1f}v{place.semitone}h-{width:.1f}z"
    return [_HATCHING, f'<path d="{shape}" fill="url(#hidden)" {_FRAME}/>'] if hidden.any() else []


def _mark_rows(marks: list[Mark], place: _Place) -> list[tuple[int, float, float]]:
    """Return for each mark its row of text, where the text begins, and its x: near ones stand below one another."""
    rows, row_ends = [], []
    for mark in marks:
        x, width = float(place.x(mark.step)), 0.6 * _MARK_FONT * len(mark.text) + 8
        left = max(2.0, min(x - width / 2, _RIGHT + 8 - width))
        row = next((i for i, end in enumerate(row_ends) if end <= left), len(row_ends))
        row_ends[row : row + 1] = [left + width]
        rows.append((row, left, x))
    return rows


def _mark_paths(place: _Place, marks: list[Mark], rows: list[tuple[int, float, float]], below: int) -> list[str]:
    """Return a thin line at each mark, its text above the roll, and a bracket between the notes of its voices."""
    lines, texts = "", []
    for mark, (row, left, x) in zip(marks, rows, strict=True):
        y = below + 20 * row + 8
        lines += f"M{x:.1f} {y + 4}V{place.bottom}"
        texts.append(f'<text x="{left + 4:.1f}" y="{y}">{escape(mark.text)}</text>')
    brackets = "".join(_bracket(place, mark) for mark in marks)
    return [
        f'<path d="{lines}" stroke="#222" stroke-dasharray="3 3" fill="none"/>' if lines else "",
        f'<path d="{brackets}" stroke="#222" stroke-width="2.5" fill="none"/>' if brackets else "",
        # The white edge keeps the line of one mark out of the text of another.
        f'<g font-size="{_MARK_FONT}" stroke="#fff" stroke-width="5" stroke-linejoin="round" paint-order="stroke">'
        f"{''.join(texts)}</g>"
        if texts
        else "",
    ]


def _bracket(place: _Place, mark: Mark) -> str:
    """Return a bracket from the lowest to the highest note that the voices of a mark sing at its step."""
    notes = place.piece.notes
    is_sung = (notes["onset_step"] <= mark.step) & (mark.step < ends_step(notes))
    is_sung &= np.isin(notes["part"], part_indices(place.piece, mark.voices))
    if not is_sung.any():
        return ""
    x, middle = float(place.x(mark.step)), place.y(notes["pitch"][is_sung]) + place.semitone / 2
    return f"M{x + 7:.1f} {middle.min():g}H{x - 2:.1f}V{middle.max():g}H{x + 7:.1f}"
