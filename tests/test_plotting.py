"""Pictures: what is drawn, what is refused, and that the bytes are the same on every run."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mini_musessl import music, plotting, voices

SAYS = "A line rises from 0 to 1."
LOW = voices.from_pitches([[48]], voice_names=("low",))


def boxes(svg: str, colour: str) -> list[tuple[float, float, float, float]]:
    """Left, top, width and height of each note of one colour."""
    path = re.search(rf'<path d="([^"]*)" fill="{colour}"', svg)
    return [
        tuple(map(float, box))
        for box in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)", path.group(1) if path else "")
    ]


def texts(svg: str) -> list[str]:
    """Return every text of a picture."""
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


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


@pytest.mark.parametrize("pitch", [36, 60, 61, 84])
def test_a_note_lies_at_its_pitch_and_time(pitch):
    notes = music.make_notes([24], [48], [pitch])
    svg = plotting.piano_roll_svg(music.Piece(notes, n_steps=96))
    ((left, top, width, height),) = boxes(svg, plotting.COLOURS[0])
    run = plotting.ROLL_RIGHT - plotting.ROLL_LEFT
    assert left / 600 == pytest.approx(plotting.ROLL_LEFT + run / 4, abs=2e-3)
    assert (left + width) / 600 == pytest.approx(plotting.ROLL_LEFT + run * 3 / 4, abs=3e-3)
    assert height == 5
    label = re.search(r'y="([\d.]+)" text-anchor="end">C4', svg)
    assert top == pytest.approx(float(label.group(1)) - 9 - 5 * (pitch - 60))


def test_time_is_even_in_seconds_when_the_tempo_changes():
    notes = music.make_notes([0, 24], [24, 24], [60, 62])
    piece = music.Piece(notes, tempos=(music.Tempo(0, 120.0), music.Tempo(24, 40.0)))
    first, second = boxes(plotting.piano_roll_svg(piece), plotting.COLOURS[0])
    assert (second[2] + 1) / (first[2] + 1) == pytest.approx(3, rel=0.01)


def test_a_repeated_note_is_kept_apart_from_the_one_before_by_a_gap_that_can_be_seen():
    held, struck = music.make_notes([0], [48], [60]), music.make_notes([0, 24], [24, 24], [60, 60])
    changed = music.make_notes([0, 24], [24, 24], [60, 62])
    drawn = [
        boxes(plotting.piano_roll_svg(music.Piece(notes)), plotting.COLOURS[0]) for notes in (held, struck, changed)
    ]
    assert [len(found) for found in drawn] == [1, 2, 2]
    gaps = [second[0] - first[0] - first[2] for first, second in drawn[1:]]
    assert gaps == pytest.approx([4, 1], abs=0.15)


def test_the_axis_names_each_c_and_stretches_by_octaves():
    grid = voices.from_pitches([[60]], voice_names=("melody",))
    assert [text for text in texts(plotting.piano_roll_svg(grid)) if text.startswith("C")] == [
        "C2",
        "C3",
        "C4",
        "C5",
        "C6",
    ]
    wide = voices.from_pitches([[90, 30]], voice_names=("high", "low"))
    assert [text for text in texts(plotting.piano_roll_svg(wide)) if text.startswith("C")] == [
        f"C{n}" for n in range(1, 8)
    ]


def test_extreme_pitches_stay_inside_the_picture():
    svg = plotting.piano_roll_svg(voices.from_pitches([[127, 0]], voice_names=("high", "low")))
    height = float(re.search(r'viewBox="0 0 600 ([\d.]+)"', svg).group(1))
    tops = [boxes(svg, colour)[0][1] for colour in plotting.COLOURS[:2]]
    assert 0 < tops[0] < tops[1] < height - 30


def test_bars_are_numbered_and_an_upbeat_comes_before_bar_one():
    notes = music.make_notes([0, 24], [24, 96 * 3], 60)
    piece = music.Piece(notes, meters=(music.Meter(-72, 4, 4),))
    svg = plotting.piano_roll_svg(piece)
    assert [text for text in texts(svg) if text.isdigit()] == ["1", "2", "3"]
    first = float(re.search(r'<text x="([\d.]+)"[^>]*>1<', svg).group(1))
    assert first / 600 == pytest.approx(plotting.ROLL_LEFT + (plotting.ROLL_RIGHT - plotting.ROLL_LEFT) / 13, abs=2e-3)


def test_bar_numbers_thin_out_before_they_touch():
    piece = music.Piece(music.make_notes([0], [96 * 100], 60))
    numbers = [int(text) for text in texts(plotting.piano_roll_svg(piece)) if text.isdigit()]
    assert numbers == list(range(10, 101, 10))


def test_each_part_has_its_colour_and_its_name():
    svg = plotting.piano_roll_svg(voices.from_pitches([[72, 67, 64, 48]]))
    assert [len(boxes(svg, colour)) for colour in plotting.COLOURS[:4]] == [1, 1, 1, 1]
    assert set(voices.SATB) <= set(texts(svg))


def test_drums_are_grey():
    parts = (music.Part("melody"), music.Part("kit", is_drum=True))
    piece = music.Piece(music.make_notes([0, 0], 24, [60, 38], part=[0, 1]), parts=parts)
    assert len(boxes(plotting.piano_roll_svg(piece), plotting.DRUM_COLOUR)) == 1


def test_many_parts_are_named_up_to_twelve():
    parts = tuple(music.Part(f"instrument number {i} with a long name") for i in range(20))
    piece = music.Piece(music.make_notes(np.zeros(20, int), 24, 60, part=np.arange(20)), parts=parts)
    assert "and 8 more parts" in texts(plotting.piano_roll_svg(piece))


def test_repeated_notes_are_drawn_apart():
    piece = music.Piece(music.make_notes([0, 24], 24, 60))
    first, second = boxes(plotting.piano_roll_svg(piece), plotting.COLOURS[0])
    assert first[0] + first[2] < second[0]


def test_a_shared_pitch_shows_both_voices():
    svg = plotting.piano_roll_svg(voices.from_pitches([[60, 60]] * 4, voice_names=("high", "low")))
    (under,), (over,) = boxes(svg, plotting.COLOURS[0]), boxes(svg, plotting.COLOURS[1])
    assert under[3] > over[3]
    assert under[1] < over[1]
    assert svg.index(plotting.COLOURS[0] + '"/><path') < svg.rindex(plotting.COLOURS[1])


def test_names_with_angle_brackets_stay_text():
    svg = plotting.piano_roll_svg(voices.from_pitches([[60]], voice_names=("<b>&",)), title='"<i>"')
    assert {"<b>&", '"<i>"'} <= set(texts(svg))


def test_the_same_music_gives_the_same_picture():
    grid = voices.from_pitches([[72, 67, 64, 48]] * 7)
    assert plotting.piano_roll_svg(grid) == plotting.piano_roll_svg(voices.to_piece(grid))


def test_a_silent_bar_can_be_drawn():
    assert texts(plotting.piano_roll_svg(voices.from_pitches([[-1]] * 16, voice_names=("rest",))))[0] == "rest"


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
        (
            lambda: plotting.piano_roll_svg(music.Piece(music.make_notes([], [], []))),
            ValueError,
            "at least one step to be",
        ),
        (
            lambda: plotting.piano_roll_svg(LOW, pitch_range=(60, 72)),
            ValueError,
            r"range \(60, 72\); found pitches 48",
        ),
        (lambda: plotting.piano_roll_svg(LOW, pitch_range=(84, 36)), ValueError, r"must lie in 85\.\.127; found 36"),
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


def test_doubled_notes_are_found_as_step_by_step():
    rng = np.random.default_rng(3)
    onset = np.sort(rng.integers(0, 60, 80))
    notes = music.make_notes(onset, rng.integers(1, 12, 80), rng.integers(60, 64, 80), 64, rng.integers(0, 3, 80))
    piece = music.Piece(notes, parts=(music.Part(),) * 3)
    first_part, expected = {}, []
    for i in np.argsort(piece.notes["part"], kind="stable"):
        onset_step, duration_step, pitch, _, part = piece.notes[i].item()
        cells = [(pitch, step) for step in range(onset_step, onset_step + duration_step)]
        holders = [first_part.setdefault(cell, part) for cell in cells]
        expected.append((i, any(holder != part for holder in holders)))
    assert plotting._is_doubled(piece).tolist() == [is_doubled for _, is_doubled in sorted(expected)]


def test_a_long_piece_is_drawn_without_a_table_of_its_steps():
    far = music.Piece(music.make_notes([0, 2**30], 2**20, [60, 60]), meters=(music.Meter(0, 2**20, 4),))
    assert len(boxes(plotting.piano_roll_svg(far), plotting.COLOURS[0])) == 2


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


def test_a_roll_of_a_million_bars_stays_small_and_has_a_line_in_each_half_pixel():
    many = music.Piece(music.make_notes([0], [3_000_000], [60]), meters=(music.Meter(0, 1, 32),))
    svg = plotting.piano_roll_svg(many)
    assert len(svg) < 50_000 and 1000 < len(re.findall(r"M[\d.]+ \d+V", svg)) <= 2 * (590 - 46) + 1
    assert 5 < svg.count('text-anchor="middle"') < 20
