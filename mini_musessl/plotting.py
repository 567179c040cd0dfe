"""Pictures of music and of measurements, each with the words that stand for it.

Everything drawn here is shown as an ``<img>`` with an alternative text, on a white ground that stays readable in dark
mode. Voices have the same colours, and pitches the same axis, in all chapters.

Chapter: 00 (the road in five minutes).
"""

import base64
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

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
    says: str, title: str, x_label: str, y_label: str | None, n_panels: int = 1, height: float = 3.3
) -> "Iterator[Axes | list[Axes]]":
    """Open a figure to draw in; it is shown when the block ends.

    Args:
        says: the alternative text: what a reader would learn from looking, with the numbers that matter.
        x_label: name and unit, as ``y_label``, which may be None where ticks have names.
        n_panels: pictures side by side with one vertical axis; more than one yields a list of axes.
        height: in inches; the width is 5.4.

    >>> with figure("A line that rises from 0 to 1.", "Rise", "time (s)", "level") as axes:
    ...     _ = axes.plot([0, 1])
    A line that rises from 0 to 1.
    """
    for name, text in (("title", title), ("x_label", x_label), ("y_label", "names" if y_label is None else y_label)):
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
        canvas.get_layout_engine().set(wspace=0.08)
        panels = canvas.subplots(1, n_panels, sharey=True, squeeze=False)[0]
        canvas.suptitle(_words(title), fontsize=12)
        panels[0].set_ylabel(_words(y_label or ""))
        # Panels share one name: two would touch.
        (panels[0].set_xlabel if n_panels == 1 else canvas.supxlabel)(_words(x_label), fontsize=11)
        yield panels[0] if n_panels == 1 else list(panels)
        if not all(axes.has_data() for axes in panels):
            raise ValueError("A figure must show something; a panel is empty. Draw on every one of the axes.")
        _display(Picture(image(_png(canvas), "image/png", says, width=WIDTH), says))


#: Behind words on which a line would run.
_PLATE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.5}


def plot_bars(
    values: Mapping[str, float | Mapping[str, float]],
    says: str,
    title: str,
    x_label: str,
    *,
    references: Mapping[str, float] | None = None,
    errors: Mapping[str, float | Mapping[str, float]] | None = None,
    digits: int = 2,
) -> None:
    """Show numbers as horizontal bars in the order given, each with its number at its end.

    Args:
        values: a number for each row; or for each row the numbers of the same series, drawn side by side.
        references: numbers that are drawn as lines through all rows, such as chance.
        errors: half the range of each number, keyed as ``values``; drawn as whiskers.
        digits: after the point.
    """
    numbers = _grouped("values", values)
    spreads = _grouped("errors", errors) if errors else None
    if spreads and [(name, *row) for name, row in spreads.items()] != [(name, *row) for name, row in numbers.items()]:
        raise ValueError(f"Errors must have the keys of the values, {list(numbers)}; found {list(spreads)}.")
    series, references = list(next(iter(numbers.values()))), _numbers("references", references or {})
    names = [textwrap.fill(_words(name, 60), 22) for name in numbers]
    n_lines = max(len(series), 1 + max(name.count("\n") for name in names))
    height = 1.15 + len(names) * (0.08 + 0.24 * n_lines) + 0.2 * len(references) + 0.3 * (len(series) > 1)
    colours = COLOURS if set(series) <= set(SATB) else (*COLOURS[3::-1], *COLOURS[4:])
    with figure(says, title, x_label, None, height=height) as axes:
        for i, one in enumerate(series):
            at = np.arange(len(names)) + (i - (len(series) - 1) / 2) * 0.8 / len(series)
            bars = axes.barh(
                at,
                [row[one] for row in numbers.values()],
                0.74 / len(series),
                color=colours[i % len(colours)],
                xerr=[spreads[name][one] for name in numbers] if spreads else None,
                error_kw={"capsize": 3, "elinewidth": 1.5},
                label=_words(one),
            )
            axes.bar_label(bars, fmt=lambda number: _cell(number, digits), padding=3, bbox=_PLATE)
        _name_bars(axes, names, any(number < 0 for row in numbers.values() for number in row.values()))
        _mark_across(axes, references, digits)
        if len(series) > 1:
            axes.figure.legend(loc="outside lower center", ncols=2 if len(series) % 3 else 3)


def plot_curves(
    curves: Mapping[str, Any],
    says: str,
    title: str,
    x_label: str,
    y_label: str,
    *,
    references: Mapping[str, float] | None = None,
    is_log_x: bool = False,
) -> None:
    """Show curves, each with its name at its end.

    Args:
        curves: a tuple (x, y) for each name, or y alone, whose x counts from 0.
        references: numbers that are drawn as grey lines from left to right, such as chance.
    """
    points = {name: _points(name, curve, is_log_x) for name, curve in _some("curves", curves).items()}
    references = _numbers("references", references or {})
    names = [textwrap.fill(_words(name, 60), 18) for name in (*points, *references)]
    n_lines = sum(1 + name.count("\n") for name in names)
    with figure(says, title, x_label, y_label, height=max(3.3, 1.2 + 0.21 * n_lines)) as axes:
        axes.margins(x=0.01)
        if is_log_x:
            axes.set_xscale("log")
        ends = []
        for i, (x, y) in enumerate(points.values()):
            style = {"color": COLOURS[i % 7], "linestyle": LINE_STYLES[(i + i // 7) % 7]}
            axes.plot(x, y, **style, marker="o" if len(x) < 15 else None, markersize=4)
            ends.append((x[-1], y[-1], style))
        style = {"color": "#666666", "linestyle": (0, (1, 1))}
        for level in references.values():
            axes.axhline(level, **style, linewidth=1.5)
            ends.append((axes.get_xlim()[1], level, style))
        if is_log_x:
            _name_ticks(axes, np.unique(np.concatenate([x for x, _ in points.values()])))
        _name_ends(axes, names, ends)


def plot_heatmap(
    values: np.ndarray | Mapping[str, np.ndarray],
    x_names: Sequence[str],
    y_names: Sequence[str],
    says: str,
    title: str,
    x_label: str,
    y_label: str,
    unit: str | tuple[str, str],
) -> None:
    """Show a table of numbers as colours, darker for more; row 0 is on top, as where the table is printed.

    Numbers on both sides of zero get two colours, white at zero.

    Args:
        values: (n_rows, n_columns), a name in ``y_names`` per row and in ``x_names`` per column; or several such
            tables by name, drawn side by side.
        unit: what a colour means, written beside the colour scale; of yes and no, what 0 means and what 1 means.
    """
    tables = _maps(values, x_names, y_names)
    everything = np.stack(list(tables.values()))
    is_choice = not isinstance(unit, str)
    colours = _map_colours(everything, unit)
    height = max(3.3, 1.3 + 0.23 * sum(bool(name) for name in y_names))
    room = 50 // len(tables)  # for letters below the tables
    is_thinned = all(str(name).isdigit() for name in x_names)
    every = -(-sum(len(str(name)) + 1 for name in x_names) // room) if is_thinned else 1
    with figure(says, title, x_label, y_label, n_panels=len(tables), height=height) as panels:
        panels = panels if isinstance(panels, list) else [panels]
        for axes, (name, each) in zip(panels, tables.items(), strict=True):
            drawn = axes.imshow(each, aspect="auto", interpolation="nearest", **colours)
            axes.grid(visible=False)
            axes.set_title(_words(name), fontsize=11)
            axes.set_xticks(range(0, len(x_names), every), [_words(name, 30) for name in x_names[::every]])
            axes.set_yticks(range(len(y_names)), [_words(name, 30) for name in y_names])
        if is_choice:
            for number, meaning in enumerate(unit):
                axes.bar(0, np.nan, color=drawn.to_rgba(number), edgecolor="#000000", label=_words(meaning))
            axes.figure.legend(loc="outside lower center", ncols=2)
        else:
            axes.figure.colorbar(drawn, ax=panels, label=_words(unit))


def _maps(values: Any, x_names: Sequence[str], y_names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return tables of numbers by name, a single one without; refuse those that do not fit the names of rows."""
    tables = {name: np.asarray(each, float) for name, each in values.items()} if isinstance(values, Mapping) else {}
    tables = tables or {"": np.asarray(values, float)}
    for each in tables.values():
        if each.shape != (len(y_names), len(x_names)):
            raise ValueError(
                f"A heat map needs one name a row and one a column; found a table of shape {each.shape} with "
                f"{len(y_names)} row names and {len(x_names)} column names."
            )
    return tables


def _map_colours(values: np.ndarray, unit: str | tuple[str, str]) -> dict[str, Any]:
    """Return how numbers become colours: white at zero where there are both signs, else light for the smallest."""
    is_choice = not isinstance(unit, str)
    if is_choice and (len(unit) != 2 or not np.isin(values, (0, 1)).all()):
        raise ValueError(f"Two meanings, {unit}, need a table of 0 and 1. Name one unit instead.")
    least, most = (0, 1) if is_choice else (np.nanmin(values), np.nanmax(values))
    is_signed = least < 0 < most
    largest = max(-least, most)
    colours = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    return colours if is_signed else {"cmap": "Blues", "vmin": least, "vmax": most}


def _some(what: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a dict with something in it; refuse anything else."""
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"The {what} must be a dict with a name for each; found {shown(repr(given))}.")
    return given


def _numbers(what: str, given: Mapping[str, float]) -> dict[str, float]:
    """Return finite numbers by name, or refuse others."""
    numbers = {name: real_number(f"{what}[{name!r}]", number) for name, number in given.items()}
    for name, number in numbers.items():
        if not np.isfinite(number):
            raise ValueError(f"{what}[{name!r}] must be a finite number to be drawn; found {number}.")
    return numbers


def _grouped(what: str, given: Mapping[str, float | Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the numbers of each row by series; one series without a name where a row is a number."""
    rows = {name: row if isinstance(row, Mapping) else {"": row} for name, row in _some(what, given).items()}
    if any(list(row) != list(next(iter(rows.values()))) for row in rows.values()):
        raise ValueError(
            f"Every row of the {what} must have the same series; found {[list(row) for row in rows.values()]}."
        )
    return {name: _numbers(f"{what}[{name!r}]", row) for name, row in rows.items()}


def _points(name: str, curve: Any, is_log_x: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of a curve without the points that have no number."""
    y = np.asarray(curve[1] if isinstance(curve, tuple) else curve, float)
    x = np.asarray(curve[0], float) if isinstance(curve, tuple) else np.arange(len(y), dtype=float)
    if y.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"The curve {name!r} must have one x for each y; found shapes {x.shape} and {y.shape}.")
    is_known = np.isfinite(x) & np.isfinite(y)
    if not is_known.any() or (is_log_x and x[is_known].min() <= 0):
        raise ValueError(f"The curve {name!r} must have a point that can be drawn, on a log axis all of them above 0.")
    return x[is_known], y[is_known]


def _name_bars(axes: "Axes", names: list[str], has_negative: bool) -> None:
    """Write the names of rows left of bars, the first on top, with room for a number left of the shortest bar."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color="#000000", linewidth=1)
    axes.margins(x=0.14 if has_negative else 0.02)
    axes.spines["left"].set_visible(False)


def _mark_across(axes: "Axes", references: dict[str, float], digits: int) -> None:
    """Draw a vertical line for each number, its name above the axes, one below the other."""
    middle = sum(axes.get_xlim()) / 2
    for row, (name, number) in enumerate(sorted(references.items(), key=lambda each: -abs(each[1] - middle))[::-1]):
        style = {"color": "#444444", "linestyle": LINE_STYLES[1 + row % 3], "linewidth": 1.5}
        axes.axvline(number, **style)
        is_left = number < middle
        axes.annotate(
            f" {_words(name, 40)} {_cell(number, digits)} ",
            (number, 1),
            (0, 4 + 14 * row),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="left" if is_left else "right",
            va="bottom",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "shrinkA": 0, "shrinkB": 0, "relpos": (1 - is_left, 1), **style},
            bbox=_PLATE,
        )


def _name_ticks(axes: "Axes", x: np.ndarray) -> None:
    """Write whole numbers along a log axis, those of the points if there are few."""
    axes.minorticks_off()
    if len(x) < 9:
        axes.set_xticks(x)
    axes.xaxis.set_major_formatter("{x:g}")


def _name_ends(axes: "Axes", names: list[str], ends: list[tuple[float, float, dict]]) -> None:
    """Write the names of curves right of the axes, each as near to its end (x, y, style) as the others allow."""
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    axes.figure.draw_without_rendering()  # only now is known how tall the axes are
    line = 14 * axes.figure.dpi / 72 / axes.get_window_extent().height
    height = np.array([line * (1 + name.count("\n")) for name in names])
    at = np.array([axes.transAxes.inverted().transform(axes.transData.transform(end[:2]))[1] for end in ends])
    lowest, highest, order = -np.inf, 1.0, np.argsort(at, kind="stable")
    for i in order:
        at[i] = max(at[i], lowest + height[i] / 2)
        lowest = at[i] + height[i] / 2
    for i in order[::-1]:
        at[i] = min(at[i], highest - height[i] / 2)
        highest = at[i] - height[i] / 2
    for name, y, end in zip(names, at, ends, strict=True):
        arrow = {
            "arrowstyle": "-",
            "shrinkA": 1,
            "shrinkB": 0,
            "relpos": (0, 0.5),
            "linewidth": 1,
            "color": end[2]["color"],
        }
        place = {"textcoords": "axes fraction", "va": "center", "annotation_clip": False, "linespacing": 1.0}
        axes.annotate(name, end[:2], (1.06, y), **place, arrowprops=arrow)


# --- tables

#: Longest line of a table as text: what a page shows without scrolling.
LINE_LENGTH = 85
_RIM = "border-bottom:1px solid rgba(128,128,128,.45);padding:.3em .6em;vertical-align:top;"
#: Where a table is wider than the page, its box scrolls and the rim of the box fades: there is more.
_BOX = "overflow-x:auto;max-width:100%;mask-image:linear-gradient(to left,transparent,#000 40px)"
_TABLE = "border-collapse:collapse;margin:0 40px 0 0;width:auto;font-size:.9em;font-variant-numeric:tabular-nums"
_CAPTION = "caption-side:top;text-align:left;font-weight:bold;padding:.3em 0;color:inherit"


@dataclass(frozen=True, repr=False)
class Table(Picture):
    """A table as a notebook displays it: HTML on a page, aligned columns where only text can be shown."""

    text: str

    def __repr__(self) -> str:
        return self.text


def table(
    rows: Sequence[Mapping[str, Any]] | Mapping[str, Mapping[str, Any]],
    says: str | None = None,
    *,
    title: str | None = None,
    digits: int = 3,
    best: str | Mapping[str, str] | None = None,
) -> Table:
    """Return a table that a page shows as HTML and a terminal as aligned columns of at most 85 characters.

    Args:
        rows: dicts with the same keys, the columns; or such dicts by the names of the rows.
        says: what a reader would learn by looking; by default the title and the names of the columns.
        digits: after the point, of numbers that are not whole; a pair is a mean and half its range.
        best: "lowest" or "highest", for all columns of numbers or by column: which number is marked.

    >>> table({"uniform": {"nats": 3.85, "seeds": None}, "small": {"nats": (0.48, 0.002), "seeds": 3}}, best="lowest")
                      nats    seeds
    -------------------------------
    uniform          3.850        –
    small    0.480 ± 0.002 *      3
    * the best of its column
    """
    columns, values = _columns(rows)
    goals = dict.fromkeys(columns[1:], best) if isinstance(best, str) else dict(best or {})
    for column, goal in goals.items():
        check_choice("A column with a best value", column, columns)
        check_choice("best", goal, ("lowest", "highest"))
    grid = [[printable(column) for column in columns], *([_cell(value, digits) for value in row] for row in values)]
    sizes = [[_size(value) for value in column] for column in zip(*values, strict=True)]
    is_right = [False] + [
        all(size is not None or row[i] is None for size, row in zip(sizes[i], values, strict=True))
        for i in range(1, len(columns))
    ]
    marks = set()
    for i, column in enumerate(columns):
        if column in goals and is_right[i]:
            marks |= {(row, i) for row in _best_rows(sizes[i], [line[i] for line in grid[1:]], goals[column])}
    says = says or f"{title or 'Table'}: {', '.join(filter(None, grid[0]))}."
    html = _table_html(grid, is_right, marks, _said(says), title)
    return Table(html, says, _table_text(grid, is_right, marks, title))


def _columns(rows: Any) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns, beginning with the rows', and the values; refuse rows with other columns."""
    lines = list(rows.values()) if isinstance(rows, Mapping) else list(rows)
    if not lines or not all(isinstance(line, Mapping) and line for line in lines):
        raise ValueError(f"A table needs rows, each a dict of column and value; found {shown(repr(rows))}.")
    columns = list(lines[0])
    for line in lines:
        if list(line) != columns:
            raise ValueError(f"Every row of a table must have the columns {columns}; found {list(line)}.")
    values = [list(line.values()) for line in lines]
    if isinstance(rows, Mapping):
        return ["", *columns], [[name, *row] for name, row in zip(rows, values, strict=True)]
    return columns, values


def _plain(value: Any) -> Any:
    """Return a number of NumPy or PyTorch as one of Python."""
    return value.item() if getattr(value, "shape", None) == () else value


def _size(value: Any) -> float | None:
    """Return the number by which a cell is compared, None where it has none."""
    value = _plain(value[0] if isinstance(value, tuple) and len(value) == 2 else value)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None


def _cell(value: Any, digits: int) -> str:
    """Return what a table or a bar says of a value."""
    value = _plain(value)
    if value is None or value != value:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple) and len(value) == 2 and _size(value[0]) is not None:
        return " ± ".join(_cell(float(part), digits) for part in value)
    if isinstance(value, Integral):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{round(value, digits) + 0.0:.{digits}f}" if isinstance(value, Real) else printable(value)  # no "-0.00"


def _best_rows(sizes: list[float | None], written: list[str], goal: str) -> list[int]:
    """Return the rows (from 1) whose number is the best as written; none where all are the same."""
    known = [size for size in sizes if size is not None and size == size]
    means = [cell.partition(" ± ")[0] for cell in written]
    best = means[sizes.index((min if goal == "lowest" else max)(known))] if known else None
    found = [row for row, mean in enumerate(means, 1) if mean == best]
    return found if len(found) < len(known) else []


def _table_html(
    grid: list[list[str]], is_right: list[bool], marks: set[tuple[int, int]], says: str, title: str | None
) -> str:
    """Return a table, headings first, in a box that scrolls, also with the keyboard."""

    def cell(row: int, column: int) -> str:
        text = escape(grid[row][column])
        text = f"<strong>{text}</strong>" if (row, column) in marks else text
        tag = "td" if (row and column) or not text else "th"
        scope = f' scope="{"row" if row else "col"}"' if tag == "th" else ""
        style = f"{_RIM}text-align:{'right' if is_right[column] else 'left'}"
        if row and is_right[column]:
            style += ";white-space:nowrap"
        elif not is_right[column]:
            longest = max(len(line[column]) for line in grid)
            style += f";min-width:{min(longest, 18) / 2:g}em;max-width:{14 if column == 0 else 24}em"
        style += ";font-weight:normal" if row and not column else ""
        return f'<{tag}{scope} style="{style}">{text}</{tag}>'

    lines = ["".join(cell(row, column) for column in range(len(is_right))) for row in range(len(grid))]
    caption = f'<caption style="{_CAPTION}">{escape(printable(title))}</caption>' if title else ""
    return (
        f'<div role="region" tabindex="0" aria-label="{escape(printable(says))}" style="{_BOX}">'
        f'<table style="{_TABLE}">{caption}<thead><tr>{lines[0]}</tr></thead>'
        f"<tbody>{''.join(f'<tr>{line}</tr>' for line in lines[1:])}</tbody></table></div>"
    )


def _table_text(grid: list[list[str]], is_right: list[bool], marks: set[tuple[int, int]], title: str | None) -> str:
    """Return a table in aligned columns; those that have no room in a line stand below, with the rows' names again."""
    starred = {column for _, column in marks}
    marked = [
        [text + ("\u00a0*" if (r, c) in marks else "\u00a0\u00a0") * (c in starred) for c, text in enumerate(row)]
        for r, row in enumerate(grid)
    ]
    widths = []
    for column in zip(*marked, strict=True):
        longest_word = max(map(len, column[0].split()), default=0)
        widths.append(min(max(longest_word, min(len(column[0]), 8), *map(len, column[1:])), 30))
    blocks, room = [], 0
    for column in range(1, len(widths)):
        room -= 2 + widths[column]
        if room < 0 or not blocks:
            blocks.append([0])
            room = LINE_LENGTH - widths[0] - 2 - widths[column]
        blocks[-1].append(column)
    lines = textwrap.wrap(printable(title), LINE_LENGTH) if title else []
    for block in blocks or [[0]]:
        lines += [""] if block is not (blocks or [block])[0] else []
        for row in marked:
            lines += _text_lines([row[c] for c in block], [widths[c] for c in block], [is_right[c] for c in block])
            lines += ["-" * (sum(widths[c] + 2 for c in block) - 2)] if row is marked[0] else []
    return "\n".join([*lines, "* the best of its column"] if marks else lines)


def _text_lines(row: list[str], widths: list[int], is_right: list[bool]) -> list[str]:
    """Return a row of a table as lines, each cell wrapped to its width."""
    wrapped = [textwrap.wrap(text, width) or [""] for text, width in zip(row, widths, strict=True)]
    lines = []
    for parts in zip_longest(*wrapped, fillvalue=""):
        pieces = zip(parts, widths, is_right, strict=True)
        lines.append("  ".join(f"{part:>{width}}" if right else f"{part:<{width}}" for part, width, right in pieces))
    return [line.replace("\u00a0", " ").rstrip() for line in lines]


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
