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

from mini_musessl.checks import check_choice, printable, real_number, shown, whole_number
from mini_musessl.harmony import pitch_class_name
from mini_musessl.music import Piece
from mini_musessl.voices import SATB

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
    """Return the colour of each part of a piece: drums grey, soprano to bass their own, others as they come."""
    names = [part.name for part in piece.parts]
    order = [SATB.index(name) for name in names] if set(names) <= set(SATB) else range(len(names))
    return [
        DRUM_COLOUR if part.is_drum else COLOURS[i % len(COLOURS)] for i, part in zip(order, piece.parts, strict=False)
    ]


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
