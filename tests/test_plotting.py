"""Pictures: what is drawn, what is refused, and that the bytes are the same on every run."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from mini_musessl import music, plotting

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
    assert [axes.get_xlabel() for axes in panels] == ["time (s)"] * 2
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
@pytest.mark.parametrize("found", ["", "  ", None])
def test_a_figure_without_title_or_axis_names_is_refused(missing, found, shown):
    with pytest.raises(ValueError, match=f"A figure needs a {missing}; found {found!r}"):
        draw(shown, **{missing: found})
    assert shown == []


def test_an_error_inside_the_block_shows_nothing(shown):
    with pytest.raises(ZeroDivisionError), plotting.figure(SAYS, "Rise", "time (s)", "level"):
        _ = 1 / 0
    assert shown == []


def test_the_pitch_axis_is_that_of_the_piano_roll(shown):
    with plotting.figure(SAYS, "Pitch", "time (s)", "pitch") as axes:
        axes.plot([60, 64])
        plotting.pitch_axis(axes)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["C2", "C3", "C4", "C5", "C6"]
    assert axes.get_ylim() == (35.5, 84.5)


def test_a_heat_map_names_its_rows_columns_and_unit(shown):
    plotting.plot_heatmap(np.eye(2, 3), ["1", "2", "3"], ["C", "D"], SAYS, "Chroma", "bar", "pitch class", "share")
    assert len(shown) == 1
    with pytest.raises(ValueError, match=r"table of shape \(2, 3\) with 3 row names and 2 column names"):
        plotting.plot_heatmap(np.eye(2, 3), ["1", "2"], ["C", "D", "E"], SAYS, "Chroma", "bar", "pitch class", "share")


@pytest.mark.parametrize(("pitch", "name"), [(0, "C-1"), (60, "C4"), (61, "C#4"), (127, "G9")])
def test_pitch_names_are_the_usual_ones(pitch, name):
    assert plotting.pitch_name(pitch) == name


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: plotting.image(b"", "image/png", ""), ValueError, "needs words that stand for it; found ''"),
        (lambda: plotting.pitch_name(-1), ValueError, "A pitch must be at least 0; found -1"),
        (lambda: plotting.pitch_name(60.5), TypeError, "A pitch must be a whole number; found 60.5"),
        (lambda: plotting.pitch_axis(None, axis="z"), ValueError, "axis must be one of x, y; found 'z'"),
        (lambda: plotting.pitch_axis(None, 84, 36), ValueError, r"highest pitch of an axis must lie in 85\.\.127"),
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
