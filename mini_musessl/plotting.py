"""Pictures of music and of measurements, each with the words that stand for it.

Everything drawn here is shown as an ``<img>`` with an alternative text, on a white ground that stays readable in dark
mode. Voices have the same colours, and pitches the same axis, in all chapters.

Chapter: 00 (the road in five minutes).
"""

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mini_musessl.checks import check_choice, check_text, printable, real_number, shown, whole_number
from mini_musessl.harmony import pitch_class_name
from mini_musessl.music import Piece, bar_lines_step, ends_step, steps_to_sec
from mini_musessl.voices import VoiceGrid, as_piece

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# --- what all pictures share: colours, the pitch axis, names of pitches

#: Vermilion, purple, green, blue, orange, sky, black: Okabe and Ito's palette without its yellow, which white swallows.
#: The four that come first are dark enough for a voice, and keep apart for colour-blind readers.
COLOURS = ("#D55E00", "#CC79A7", "#009E73", "#0072B2", "#E69F00", "#56B4E9", "#000000")
#: Lines differ in their dashes too, for print without colour.
LINE_STYLES = ("-", "--", "-.", ":", "-", "--", "-.")
DRUM_COLOUR = "#777777"
#: C2 to C6 holds every chorale; other music stretches the axis by whole octaves.
PITCH_RANGE = (36, 84)
NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def pitch_name(pitch: int, fifths: int | None = None) -> str:
    """Return the name of a MIDI pitch, as under a key signature or, without one, with sharps; middle C is C4.

    >>> pitch_name(60), pitch_name(58), pitch_name(58, fifths=-1)
    ('C4', 'A#3', 'Bb3')
    """
    pitch = whole_number("A pitch", pitch, 0)
    name = NOTE_NAMES[pitch % 12] if fifths is None else pitch_class_name(pitch % 12, fifths)
    natural = pitch - name.count("#") + name.count("b")  # B# is named after the B below it, in the octave below
    return f"{name}{natural // 12 - 1}"


def check_pitch_range(lowest: int, highest: int) -> None:
    """Refuse ends of a pitch axis between which there is no pitch."""
    whole_number("The lowest pitch of an axis", lowest, 0, 126)
    whole_number("The highest pitch of an axis", highest, lowest + 1, 127)


def part_colours(piece: Piece) -> list[str]:
    """Return the colour of each part of a piece: drums grey, the others in the order of ``COLOURS``."""
    return [DRUM_COLOUR if part.is_drum else COLOURS[i % len(COLOURS)] for i, part in enumerate(piece.parts)]


# --- pictures with the words that stand for them, and figures of measurements

#: Widest that a picture is drawn, in CSS pixels.
WIDTH = 600

_STYLE = {
    "figure.figsize": (5.4, 3.3),
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "lines.linewidth": 2,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Picture:
    """Something to be shown in a notebook: HTML where it can be drawn, words where it cannot; both printable."""

    html: str  # with the alternative text inside
    says: str  # what is shown, in words

    def __post_init__(self) -> None:
        object.__setattr__(self, "html", printable(self.html))
        object.__setattr__(self, "says", printable(self.says))

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.says


def image(data: bytes, media_type: str, says: str, width: int = WIDTH) -> str:
    """Return an ``<img>`` that carries its data and its alternative text, at most ``width`` CSS pixels wide."""
    says = _said(says)
    return (
        f'<img alt="{escape(says)}" src="data:{media_type};base64,{base64.b64encode(data).decode()}" width="{width}" '
        f'style="width:100%;max-width:{width}px;height:auto;background:#fff;display:block">'
    )


@contextmanager
def figure(
    says: str, title: str, x_label: str, y_label: str, n_panels: int = 1, height: float = 3.3
) -> "Iterator[Axes | list[Axes]]":
    """Open a figure to draw in; it is shown when the block ends.

    Args:
        says: the alternative text: what a reader would learn from looking, with the numbers that matter.
        x_label: name and unit, as ``y_label``.
        n_panels: pictures side by side with one vertical axis; more than one yields a list of axes.
        height: in inches; the width is 5.4.

    >>> with figure("A line that rises from 0 to 1.", "Rise", "time (s)", "level") as axes:
    ...     _ = axes.plot([0, 1])
    A line that rises from 0 to 1.
    """
    for name, text in (("title", title), ("x_label", x_label), ("y_label", y_label)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"A figure needs a {name}; found {text!r}. Say what is seen and in which unit.")
    if len(_said(says).split()) < 3:
        raise ValueError(
            f"The alternative text must be at least three words; found {says!r}. "
            "Say what a reader would learn by looking."
        )
    n_panels = whole_number("n_panels", n_panels, 1)
    if not 0 < real_number("height", height) < 100:
        raise ValueError(f"The height of a figure must be above 0 and below 100 inches; found {height}.")
    import matplotlib.style
    from matplotlib import cycler
    from matplotlib.figure import Figure

    cycle = cycler(color=COLOURS, linestyle=LINE_STYLES)
    with matplotlib.style.context([{**_STYLE, "axes.prop_cycle": cycle}], after_reset=True):
        canvas = Figure(figsize=(5.4, height))
        panels = canvas.subplots(1, n_panels, sharey=True, squeeze=False)[0]
        yield panels[0] if n_panels == 1 else list(panels)
        if not all(axes.has_data() for axes in panels):
            raise ValueError("A figure must show something; a panel is empty. Draw on every one of the axes.")
        canvas.suptitle(_words(title), fontsize=12)
        panels[0].set_ylabel(_words(y_label))
        for axes in panels:
            axes.set_xlabel(_words(x_label))
        _display(Picture(image(_png(canvas), "image/png", says, width=WIDTH), says))


def plot_heatmap(
    values: np.ndarray,
    x_names: Sequence[str],
    y_names: Sequence[str],
    says: str,
    title: str,
    x_label: str,
    y_label: str,
    unit: str,
) -> None:
    """Show a table of numbers as colours, darker for more; row 0 is drawn at the bottom.

    Args:
        values: (n_rows, n_columns), a name in ``y_names`` per row and in ``x_names`` per column.
        unit: what a colour means; written beside the colour scale.
    """
    values = np.asarray(values, float)
    if values.shape != (len(y_names), len(x_names)):
        raise ValueError(
            f"A heat map needs one name a row and one a column; found a table of shape {values.shape} with "
            f"{len(y_names)} row names and {len(x_names)} column names."
        )
    with figure(says, title, x_label, y_label) as axes:
        drawn = axes.imshow(values, origin="lower", aspect="auto", cmap="Blues", interpolation="nearest")
        axes.grid(False)
        axes.set_xticks(range(len(x_names)), [_words(name, 30) for name in x_names])
        axes.set_yticks(range(len(y_names)), [_words(name, 30) for name in y_names])
        axes.figure.colorbar(drawn, label=_words(unit))


def pitch_axis(axes: "Axes", lowest: int = PITCH_RANGE[0], highest: int = PITCH_RANGE[1], axis: str = "y") -> None:
    """Give the "x" or "y" axis of a figure the book's pitch scale: a tick at each C."""
    check_choice("axis", axis, ("x", "y"))
    check_pitch_range(lowest, highest)
    ticks = [pitch for pitch in range(lowest, highest + 1) if pitch % 12 == 0]
    set_ticks, set_limits = (axes.set_yticks, axes.set_ylim) if axis == "y" else (axes.set_xticks, axes.set_xlim)
    set_ticks(ticks, [pitch_name(pitch) for pitch in ticks])
    set_limits(lowest - 0.5, highest + 0.5)


def _said(says: str) -> str:
    """Return the alternative text without spaces around it, or refuse its absence."""
    if not isinstance(says, str) or not says.strip():
        raise ValueError(
            f"A picture needs words that stand for it; found {says!r}. Say what a reader would learn by looking."
        )
    return says.strip()


def _words(text: object, longest: int = 100) -> str:
    """Return text as matplotlib writes it: short enough for a figure, and a dollar sign begins no formula."""
    return shown(text, longest).replace("$", r"\$")


def _display(picture: Picture) -> None:
    """Show a picture in a notebook; elsewhere print its words."""
    try:
        from IPython.display import display
    except ImportError:
        print(picture)
    else:
        display(picture)


def _png(canvas: object) -> bytes:
    """Return a matplotlib figure as a small PNG without date or program name, the same on every run."""
    from PIL import Image

    buffer, small = io.BytesIO(), io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None}, facecolor="white")
    drawn = Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    drawn.save(small, format="png", optimize=True)
    return small.getvalue()


# --- piano rolls

_LEFT, _RIGHT, _SEMITONE, _FONT = 46, 590, 5, 17
_MOST_NOTES = 50_000  # a piano recital has 20,000; this many make an SVG of about a megabyte
#: Time runs between these two fractions of a piano roll's width.
ROLL_LEFT, ROLL_RIGHT = round(_LEFT / WIDTH, 4), round(_RIGHT / WIDTH, 4)


def piano_roll_svg(music: Piece | VoiceGrid, title: str = "", pitch_range: tuple[int, int] | None = None) -> str:
    """Draw music as a piano roll: time to the right, pitch upwards, one colour a part.

    Time is even in seconds and runs from ``ROLL_LEFT`` to ``ROLL_RIGHT`` of the width. Where two parts share a pitch,
    the later one is drawn as a thinner bar on the earlier.

    Args:
        pitch_range: lowest and highest pitch of the axis; by default C2 to C6, stretched by octaves where needed.
    """
    piece = as_piece(music)
    check_text("The title of a piano roll", title)
    if piece.n_steps == 0:
        raise ValueError("Music must last at least one step to be drawn; found none. Is the cut empty?")
    if len(piece.notes) > _MOST_NOTES:
        raise ValueError(
            f"A piano roll holds at most {_MOST_NOTES} notes; found {len(piece.notes)}. Draw a part of it: music.cut."
        )
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
    return printable("".join(drawn))


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
        drawn.append(f'<text x="{_LEFT}" y="{y - 4}" font-weight="bold">{escape(shown(title))}</text>')
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
    stride = next((n for n in (1, 2, 4, 5, 10, 20, 50, 100) if n * narrowest >= 36), 200 * (len(x) // 3000 + 1))
    is_apart = np.diff((2 * x).astype(int), prepend=0) > 0  # lines closer than half a pixel are one to the eye
    lines = "".join(f"M{at:.4g} {top}V{bottom}" for at in x[is_apart])
    bars = np.arange(stride, len(x) + 1, stride)
    numbers = [
        f'<text x="{at:.4g}" y="{bottom + 20}" text-anchor="middle">{bar}</text>'
        for bar, at in zip(bars, x[bars - 1], strict=True)
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
