"""Piano rolls: time to the right, pitch upwards, one colour a part.

Chapter: 00.
"""

from __future__ import annotations

from html import escape

import numpy as np

from mini_musessl.music import Piece, bar_lines_step, ends_step, steps_to_sec
from mini_musessl.plotting.appearance import NOTE_NAMES, PITCH_RANGE, check_pitch_range, part_colours, pitch_name
from mini_musessl.plotting.figures import WIDTH
from mini_musessl.voices import VoiceGrid, as_piece

_LEFT, _RIGHT, _SEMITONE, _FONT = 46, 590, 5, 17
#: Time runs between these two fractions of a piano roll's width.
ROLL_LEFT, ROLL_RIGHT = round(_LEFT / WIDTH, 4), round(_RIGHT / WIDTH, 4)


def piano_roll_svg(music: Piece | VoiceGrid, title: str = "", pitch_range: tuple[int, int] | None = None) -> str:
    """Draw music as a piano roll: time to the right, pitch upwards, one colour a part.

    Time is even in seconds, and the bar lines stand where the tempo puts them. Where two parts share a pitch, the later
    one is drawn as a thinner bar on the earlier.

    Args:
        music: what to draw.
        title: a line above the roll.
        pitch_range: lowest and highest pitch of the axis; by default C2 to C6, stretched by octaves where needed.

    Returns:
        The text of an SVG picture; time runs from ``ROLL_LEFT`` to ``ROLL_RIGHT`` of its width.

    Raises:
        TypeError: ``music`` is neither a Piece nor a VoiceGrid.
        ValueError: the music has no steps, ``pitch_range`` is no range, or a note lies outside it.

    Example:
        >>> from mini_musessl import voices
        >>> svg = piano_roll_svg(voices.from_pitches([[60, 48]], voice_names=("high", "low")))
        >>> svg.startswith("<svg"), "high" in svg
        (True, True)

    Chapter: 00.
    """
    piece = as_piece(music)
    if piece.n_steps == 0:
        raise ValueError("Music must last at least one step to be drawn; found none. Is the cut empty?")
    lowest, highest = _pitch_range(piece, pitch_range)
    legend, top = _legend(piece, title)
    bottom = top + (highest - lowest + 1) * _SEMITONE
    height = bottom + 30
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="DejaVu Sans, Verdana, Helvetica, Arial, sans-serif" font-size="{_FONT}" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *legend,
        *_pitch_lines(lowest, highest, top, bottom),
        *_bar_lines(piece, top, bottom),
        *_note_paths(piece, highest, top),
        "</svg>",
    ]
    return "".join(drawn)


def _pitch_range(piece: Piece, asked: tuple[int, int] | None) -> tuple[int, int]:
    """Return the ends of the pitch axis: as asked, or C2 to C6 stretched to whole octaves."""
    pitch = piece.notes["pitch"]
    used_low, used_high = int(pitch.min(initial=PITCH_RANGE[0])), int(pitch.max(initial=PITCH_RANGE[1]))
    if asked is None:
        return min(PITCH_RANGE[0], used_low // 12 * 12), max(PITCH_RANGE[1], -(-used_high // 12) * 12)
    check_pitch_range(*asked)
    if len(pitch) and not (asked[0] <= pitch.min() and pitch.max() <= asked[1]):
        raise ValueError(
            f"Every note must lie in pitch_range {asked}; found pitches {pitch.min()} to {pitch.max()}. "
            "Leave pitch_range out to fit the axis."
        )
    return asked


def _legend(piece: Piece, title: str) -> tuple[list[str], int]:
    """Return title and part names, and the height at which the roll may begin."""
    drawn, y = [], 8
    if title:
        y += 20
        drawn.append(f'<text x="{_LEFT}" y="{y - 4}" font-weight="bold">{escape(title)}</text>')
    names = [part.name or f"part {index + 1}" for index, part in enumerate(piece.parts)]
    x, y = _LEFT, y + 20
    for name, colour in zip(names[:12], part_colours(piece), strict=False):
        name = name if len(name) <= 24 else name[:23] + "\u2026"
        width = 34 + 10 * len(name)
        if x > _LEFT and x + width > _RIGHT:
            x, y = _LEFT, y + 22
        drawn.append(f'<rect x="{x}" y="{y - 13}" width="16" height="12" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 21}" y="{y - 1}">{escape(name)}</text>')
        x += width
    if len(names) > 12:
        drawn.append(f'<text x="{_LEFT}" y="{y + 21}">and {len(names) - 12} more parts</text>')
        y += 22
    return drawn, y + 10


def _pitch_lines(lowest: int, highest: int, top: int, bottom: int) -> list[str]:
    """Return grey rows for the black keys, and a line with its name at each C."""
    blacks, lines, names = "", "", []
    for pitch in range(lowest, highest + 1):
        y = top + (highest - pitch) * _SEMITONE
        if "#" in NOTE_NAMES[pitch % 12]:
            blacks += f"M{_LEFT} {y}H{_RIGHT}v{_SEMITONE}H{_LEFT}z"
        if pitch % 12 == 0:
            lines += f"M{_LEFT} {y + _SEMITONE}H{_RIGHT}"
            names.append(f'<text x="{_LEFT - 6}" y="{y + _SEMITONE + 4}" text-anchor="end">{pitch_name(pitch)}</text>')
    return [f'<path d="{blacks}" fill="#f3f3f3"/>', f'<path d="{lines}" stroke="#bbb"/>', *names]


def _x(piece: Piece, step: np.ndarray) -> np.ndarray:
    """Return where steps lie across the roll; even in seconds."""
    return _LEFT + (_RIGHT - _LEFT) * steps_to_sec(piece, step) / steps_to_sec(piece, piece.n_steps)


def _bar_lines(piece: Piece, top: int, bottom: int) -> list[str]:
    """Return a line at each bar, and as many bar numbers as fit; an upbeat comes before bar 1."""
    x = _x(piece, bar_lines_step(piece))
    narrowest = np.diff(x).min(initial=_RIGHT - _LEFT)
    stride = next((n for n in (1, 2, 4, 5, 10, 20, 50, 100) if n * narrowest >= 36), 200)
    lines = "".join(f"M{at:.4g} {top}V{bottom}" for at in x)
    numbers = [
        f'<text x="{at:.4g}" y="{bottom + 20}" text-anchor="middle">{bar}</text>'
        for bar, at in enumerate(x, start=1)
        if stride == 1 or bar % stride == 0
    ]
    return [
        f'<path d="{lines}M{_LEFT} {bottom}H{_RIGHT}" stroke="#999" fill="none"/>',
        *numbers,
        f'<text x="{_LEFT - 14}" y="{bottom + 20}" text-anchor="end">bar</text>',
    ]


def _note_paths(piece: Piece, highest: int, top: int) -> list[str]:
    """Return one path a part, each note a bar; a gap that the eye can see keeps repeated notes apart."""
    notes = piece.notes
    left = _x(piece, notes["onset_step"])
    full_width = _x(piece, ends_step(notes)) - left
    gap = np.where(_is_struck_again(notes), np.clip(0.3 * full_width, 1, 4), 1)
    width = np.maximum(full_width - gap, 0.8)
    thinner = _is_doubled(piece) * 1.5
    upper = top + (highest - notes["pitch"]) * _SEMITONE + thinner
    tall = _SEMITONE - 2 * thinner
    bars = [f"M{a:.1f} {b:g}h{w:.1f}v{h:g}h-{w:.1f}z" for a, b, w, h in zip(left, upper, width, tall, strict=True)]
    paths = []
    for part, colour in enumerate(part_colours(piece)):
        shape = "".join(bars[i] for i in np.flatnonzero(notes["part"] == part))
        if shape:
            paths.append(f'<path d="{shape}" fill="{colour}"/>')
    return paths


def _is_struck_again(notes: np.ndarray) -> np.ndarray:
    """Return for each note whether the next one of its part has its pitch and begins where it ends, (n_notes,)."""
    begins = set(notes[["part", "pitch", "onset_step"]].tolist())
    end_step = ends_step(notes).tolist()
    places = zip(notes["part"].tolist(), notes["pitch"].tolist(), end_step, strict=True)
    return np.array([place in begins for place in places], bool)


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
