"""Pictures: what is drawn, what is refused, and that the bytes are the same on every run."""

import base64
import io
import re
from xml.etree import ElementTree

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from mini_musessl import music, plotting, voices

SAYS = "A line rises from 0 to 1."
NO_NOTES = music.make_notes([], [], [])


@pytest.fixture
def shown(monkeypatch):
    """Collect what would be displayed."""
    pictures = []
    monkeypatch.setattr(plotting, "_display", pictures.append)
    return pictures


def draw(shown, **changes):
    """Draw one line and return its picture."""
    texts = {"says": SAYS, "title": "Rise", "x_label": "time (s)", "y_label": "level", **changes}
    with plotting.figure(**texts) as axes:
        axes.plot([0, 1])
    return shown[-1]


def png_of(picture: plotting.Picture) -> bytes:
    """Return the bytes inside a picture."""
    return base64.b64decode(re.search(r"base64,([^\"]+)", picture.html).group(1))


def test_voice_colours_stand_out_from_white_and_from_each_other():
    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    assert all(1.05 / (luminance(colour) + 0.05) >= 2.9 for colour in plotting.COLOURS[:4])
    assert len(set(plotting.COLOURS)) == len(plotting.COLOURS) == len(plotting.LINE_STYLES)
    pairs = set(zip(plotting.COLOURS, plotting.LINE_STYLES, strict=True))
    assert len({style for _, style in list(pairs)[:4]}) > 1


def test_a_figure_carries_its_alternative_text(shown):
    picture = draw(shown, says='Loss falls to 0.6 & stays "there" <1.')
    assert 'alt="Loss falls to 0.6 &amp; stays &quot;there&quot; &lt;1."' in picture.html
    assert repr(picture) == 'Loss falls to 0.6 & stays "there" <1.'
    assert picture._repr_html_() == picture.html


def test_a_figure_is_a_small_opaque_png_and_the_same_on_every_run(shown):
    first, second = draw(shown), draw(shown)
    assert first == second
    drawn = Image.open(io.BytesIO(png_of(first)))
    assert drawn.size == (810, 495)
    assert drawn.convert("RGBA").getextrema()[3] == (255, 255)
    assert drawn.info.get("Software") is None
    assert 3_000 < len(png_of(first)) < 60_000


def test_a_figure_ignores_and_keeps_the_readers_own_settings(shown):
    import matplotlib

    plain = draw(shown)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert draw(shown) == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_panels_share_one_title_and_each_must_be_drawn_on(shown):
    with plotting.figure(SAYS, "Two", "time (s)", "pitch", n_panels=2) as panels:
        for axes in panels:
            axes.plot([40, 50])
    assert len(shown) == 1
    assert panels[0].get_ylabel() == "pitch"
    assert panels[0].figure.get_supxlabel() == "time (s)"  # one for both: two would touch
    with (
        pytest.raises(ValueError, match="a panel is empty"),
        plotting.figure(SAYS, "Two", "time (s)", "pitch", n_panels=2) as panels,
    ):
        panels[0].plot([40, 50])


def test_a_lone_voice_keeps_the_colour_that_it_has_among_four():
    def colours(*names):
        return plotting.part_colours(music.Piece(NO_NOTES, parts=tuple(music.Part(name) for name in names)))

    assert colours("bass", "alto") == [plotting.COLOURS[3], plotting.COLOURS[1]]
    assert colours("flute", "bass") == list(plotting.COLOURS[:2])


@pytest.mark.parametrize("missing", ["title", "x_label", "y_label"])
@pytest.mark.parametrize("found", ["", "  ", 3])
def test_a_figure_without_title_or_axis_names_is_refused(missing, found, shown):
    with pytest.raises(ValueError, match=f"A figure needs a {missing}; found {found!r}"):
        draw(shown, **{missing: found})
    assert shown == []


def test_an_error_inside_the_block_shows_nothing(shown):
    with pytest.raises(ZeroDivisionError), plotting.figure(SAYS, "Rise", "time (s)", "level"):
        _ = 1 / 0
    assert shown == []


@pytest.fixture
def drawn(shown, monkeypatch):
    """Collect the axes of every figure that is displayed."""
    found, keep = [], plotting._png
    monkeypatch.setattr(plotting, "_png", lambda canvas: (found.append(canvas), keep(canvas))[1])
    return found


def words(canvas) -> list[str]:
    """Return every text of a figure, as a reader sees it."""
    found = [text.get_text().strip() for text in canvas.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [text for text in found if text]


MAP = (["1", "2", "3"], ["C", "D"], SAYS, "Chroma", "bar", "pitch class")


def test_a_heat_map_has_row_0_on_top_and_names_rows_columns_and_unit(drawn):
    plotting.plot_heatmap(np.eye(2, 3), *MAP, "share")
    axes, scale = drawn[0].axes
    height = [axes.transData.transform((0, row))[1] for row in range(2)]
    assert height[0] > height[1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["C", "D"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert scale.get_ylabel() == "share"


def test_a_heat_map_of_yes_and_no_names_two_colours(drawn):
    plotting.plot_heatmap(np.eye(2, 3, dtype=bool), *MAP, ("seen", "hidden"))
    assert len(drawn[0].axes) == 1
    (legend,) = drawn[0].legends
    colours = [patch.get_facecolor() for patch in legend.get_patches()]
    assert [text.get_text() for text in legend.get_texts()] == ["seen", "hidden"]
    assert colours == [tuple(drawn[0].axes[0].images[0].to_rgba(number)) for number in (0, 1)]


def test_a_heat_map_is_white_at_zero_where_numbers_have_both_signs(drawn):
    plotting.plot_heatmap(np.array([[-1.0, 0, 4]] * 2), *MAP, "score")
    image = drawn[0].axes[0].images[0]
    assert image.get_clim() == (-4, 4)
    assert min(image.to_rgba(0)) > 0.95 > image.to_rgba(-1)[0]


def test_heat_maps_side_by_side_share_one_scale_and_one_name_of_their_axis(drawn):
    plotting.plot_heatmap({"left": np.zeros((2, 3)), "right": np.full((2, 3), 7)}, *MAP, "share")
    left, right, _ = drawn[0].axes
    assert left.images[0].get_clim() == right.images[0].get_clim() == (0, 7)
    assert [left.get_title(), right.get_title()] == ["left", "right"]
    assert words(drawn[0]).count("bar") == 1


def test_numbered_columns_are_named_as_far_as_there_is_room(drawn):
    plotting.plot_heatmap(np.eye(1, 64), [str(i) for i in range(64)], ["a"], SAYS, "Far", "step", "row", "share")
    assert [label.get_text() for label in drawn[0].axes[0].get_xticklabels()][:3] == ["0", "4", "8"]


def test_bars_stand_in_order_with_their_numbers_whiskers_and_references(drawn, shown):
    values = {"Bach": 0.2, "a long name that needs two lines": 24.444}
    errors = dict(zip(values, (0.1, 3), strict=True))
    plotting.plot_bars(values, SAYS, "Parallels", "in 100", errors=errors, references={"chance": 20}, digits=1)
    axes = drawn[0].axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.2, 24.444]
    heights = [axes.transData.transform((0, bar.get_y()))[1] for bar in axes.patches]
    assert heights[0] > heights[1]  # the first on top
    assert {"0.2", "24.4", "chance 20.0", "a long name that needs\ntwo lines", "Parallels"} <= set(words(drawn[0]))
    (whiskers,) = [each for each in axes.collections if len(each.get_segments()) == 2]
    assert [segment[:, 0].tolist() for segment in whiskers.get_segments()] == [
        pytest.approx([0.1, 0.3]),
        pytest.approx([21.444, 27.444]),
    ]
    assert shown[0].says == SAYS


def test_grouped_bars_name_their_series_and_voices_keep_their_colours(drawn):
    plotting.plot_bars({"now": dict.fromkeys(voices.SATB, 1.0)}, SAYS, "Voices", "nats")
    plotting.plot_bars({"now": {"valid": 1, "test": -2}}, SAYS, "Parts", "nats")
    legends = [canvas.legends[0] for canvas in drawn]
    assert [text.get_text() for text in legends[0].get_texts()] == list(voices.SATB)
    colours = [
        [matplotlib.colors.to_hex(patch.get_facecolor()).upper() for patch in each.get_patches()] for each in legends
    ]
    assert colours[0] == list(plotting.COLOURS[:4])
    assert len(set(colours[1])) == 2
    assert "-2.00" in words(drawn[1])


def test_curves_are_named_at_their_ends_and_differ_in_colour_and_dashes(drawn):
    curves = {name: (np.arange(1, 9), np.full(8, 1 + i / 1000)) for i, name in enumerate("abcdefghi")}
    plotting.plot_curves(curves, SAYS, "Loss", "updates", "nats", references={"chance": 1.0}, is_log_x=True)
    axes = drawn[0].axes[0]
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines[:9]}) == 9
    assert drawn[0].legends == [] and axes.get_xscale() == "log"
    drawn[0].draw_without_rendering()
    names = {text.get_text(): Text.get_window_extent(text) for text in axes.texts}
    assert list(names) == [*"abcdefghi", "chance"]
    in_order = sorted(names.values(), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 2 for low, high in zip(in_order, in_order[1:], strict=False))
    assert all(box.x0 > axes.get_window_extent().x1 and box.x1 < drawn[0].bbox.x1 for box in in_order)


def test_a_curve_without_x_counts_from_0_and_leaves_out_what_is_not_known(drawn):
    plotting.plot_curves({"loss": [3, np.nan, 1]}, SAYS, "Loss", "updates", "nats")
    assert drawn[0].axes[0].lines[0].get_xydata().tolist() == [[0, 3], [2, 1]]


ROWS = {"uniform": {"nats": 3.85, "seeds": None}, "small": {"nats": (0.4804, 0.002), "seeds": np.int64(12000)}}


def test_a_table_is_html_whose_headings_say_what_they_head():
    shown = plotting.table(ROWS, title="Surprise & co", best={"nats": "lowest"})
    tree = ElementTree.fromstring(shown.html)
    assert tree.attrib["tabindex"] == "0" and tree.attrib["aria-label"] == "Surprise & co: nats, seeds."
    assert tree.find(".//caption").text == "Surprise & co"
    assert [(th.attrib["scope"], th.text) for th in tree.iter("th")] == [
        ("col", "nats"),
        ("col", "seeds"),
        ("row", "uniform"),
        ("row", "small"),
    ]
    cells = ["".join(td.itertext()) for td in tree.iter("td")]
    assert cells == ["", "3.850", "\u2013", "0.480 \u00b1 0.002", "12,000"]
    assert [strong.text for strong in tree.iter("strong")] == ["0.480 \u00b1 0.002"]


def test_a_table_as_text_has_aligned_columns():
    assert repr(plotting.table(ROWS, title="Surprise", digits=2)).splitlines() == [
        "Surprise",
        "                nats   seeds",
        "----------------------------",
        "uniform         3.85       \u2013",
        "small    0.48 \u00b1 0.00  12,000",
    ]


def test_no_line_of_a_table_is_longer_than_a_page_shows_and_nothing_is_lost():
    rows = [{f"column number {i}": f"{row}.{i} " + "long " * (i % 5) for i in range(20)} for row in range(3)]
    text = repr(plotting.table([*rows, dict.fromkeys(rows[0], "x" * 200)], title="title " * 40))
    assert max(map(len, text.splitlines())) <= 85
    assert all(f"{row}.{i}" in text for row in range(3) for i in range(20))
    assert text.count("x") == 200 * (20 + text.count("column\n") * 0) + 200 * (text.count("0.0") - 1)


def test_what_is_best_is_marked_as_far_as_the_digits_tell():
    rows = [{"name": "a", "up": 0.5001, "same": 1, "words": "z"}, {"name": "b", "up": 0.5004, "same": 1, "words": "y"}]
    rows.append({"name": "c", "up": 0.4, "same": 1, "words": None})
    assert re.findall("<strong>(.*?)<", plotting.table(rows, best="highest").html) == ["0.500", "0.500"]
    assert re.findall("<strong>(.*?)<", plotting.table(rows, best={"up": "lowest"}).html) == ["0.400"]
    assert "*" not in repr(plotting.table(rows))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0001, "0.000"),
        (np.float32(0.5), "0.500"),
        (np.bool_(True), "yes"),
        (1536, "1536"),
        (float("nan"), "\u2013"),
        ("two\nlines", "two lines"),
    ],
)
def test_a_cell_is_written_as_its_kind_asks(value, text):
    assert repr(plotting.table([{"row": "a", "value": value}])).split("\n")[-1].split(None, 1)[1] == text


@pytest.mark.parametrize(("pitch", "name"), [(0, "C-1"), (60, "C4"), (61, "C#4"), (127, "G9")])
def test_pitch_names_are_the_usual_ones(pitch, name):
    assert plotting.pitch_name(pitch) == name


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: plotting.image(b"", "image/png", ""), ValueError, "needs words that stand for it; found ''"),
        (lambda: plotting.pitch_name(-1), ValueError, "A pitch must be at least 0; found -1"),
        (lambda: plotting.pitch_name(60.5), TypeError, "A pitch must be a whole number; found 60.5"),
        (
            lambda: plotting.plot_heatmap(np.eye(3), *MAP, "share"),
            ValueError,
            r"of shape \(3, 3\) with 2 row names and 3",
        ),
        (lambda: plotting.plot_heatmap(np.full((2, 3), 2), *MAP, ("no", "yes")), ValueError, "need a table of 0 and 1"),
        (
            lambda: plotting.plot_bars({}, SAYS, "t", "x"),
            ValueError,
            "values must be a dict with a name for each; found {}",
        ),
        (lambda: plotting.plot_bars({"a": float("nan")}, SAYS, "t", "x"), ValueError, "must be a finite number.*nan"),
        (lambda: plotting.plot_bars({"a": "1"}, SAYS, "t", "x"), TypeError, "must be a number; found '1'"),
        (lambda: plotting.plot_bars({"a": {"v": 1}, "b": 2}, SAYS, "t", "x"), ValueError, "must have the same series"),
        (
            lambda: plotting.plot_bars({"a": 1}, SAYS, "t", "x", errors={"b": 1}),
            ValueError,
            "Errors must have the keys of the values",
        ),
        (lambda: plotting.plot_curves({}, SAYS, "t", "x", "y"), ValueError, "curves must be a dict"),
        (lambda: plotting.plot_curves({"a": ([1], [1, 2])}, SAYS, "t", "x", "y"), ValueError, "one x for each y"),
        (lambda: plotting.plot_curves({"a": [1]}, SAYS, "t", "x", "y", is_log_x=True), ValueError, "on a log axis all"),
        (lambda: plotting.table([]), ValueError, r"A table needs rows.*found \[\]"),
        (lambda: plotting.table([{"a": 1}, {"b": 1}]), ValueError, r"must have the columns \['a'\]; found \['b'\]"),
        (
            lambda: plotting.table([{"a": 1, "b": 2}], best="most"),
            ValueError,
            "best must be one of lowest, highest; found 'most'",
        ),
        (
            lambda: plotting.table([{"a": 1}], best={"b": "lowest"}),
            ValueError,
            "best value must be one of a; found 'b'",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        *(({"says": says}, ValueError, f"needs words that stand for it; found {says!r}") for says in ("", "  ", None)),
        ({"says": "A plot"}, ValueError, "at least three words; found 'A plot'"),
        ({"n_panels": 0}, ValueError, "n_panels must be at least 1; found 0"),
        ({"n_panels": 1.5}, TypeError, "n_panels must be a whole number; found 1.5"),
        ({"height": -1}, ValueError, "above 0 and below 100 inches; found -1"),
        ({"height": float("nan")}, ValueError, "above 0 and below 100 inches; found nan"),
    ],
)
def test_a_figure_without_words_or_size_is_refused(shown, changes, error, sentence):
    with pytest.raises(error, match=sentence):
        draw(shown, **changes)
    assert shown == []


TEXTS = ("Piano\0", "\x1b[2J", "L\udcfcbeck", "\ufffe", "two\nlines", "$\\frac$ of $5", "x" * 5000, "<b>&")


def test_no_text_breaks_a_figure(monkeypatch):
    seen = []
    monkeypatch.setattr(plotting, "_display", seen.append)
    for text in TEXTS:
        with plotting.figure(f"A line. {text}", text, text, text) as axes:
            axes.plot([0, 1])
        plotting.plot_heatmap(np.eye(1), [text], [text], f"One cell. {text}", text, text, text, text)
    assert len(seen) == 2 * len(TEXTS)
    for picture in seen:
        picture.html.encode(), repr(picture).encode()
        assert len(picture.html) < 100_000
