"""Piano rolls: where notes, marks and hidden cells lie, and what is refused."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mini_musessl import music, rolls, voices
from mini_musessl.plotting import COLOURS, DRUM_COLOUR

NO_NOTES = music.make_notes([], [], [])
LOW = voices.from_pitches([[48]], voice_names=("low",))


def boxes(svg: str, colour: str) -> list[tuple[float, float, float, float]]:
    """Left, top, width and height of each note of one colour."""
    path = re.search(rf'<path d="([^"]*)" fill="{colour}"[^>]*>', svg)
    return [
        tuple(map(float, box))
        for box in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)", path.group(1) if path else "")
    ]


def texts(svg: str) -> list[str]:
    """Return every text of a picture."""
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("pitch", [36, 60, 61, 84])
def test_a_note_lies_at_its_pitch_and_time(pitch):
    notes = music.make_notes([24], [48], [pitch])
    svg = rolls.piano_roll_svg(music.Piece(notes, n_steps=96), pitch_range=(36, 84))
    ((left, top, width, height),) = boxes(svg, COLOURS[0])
    run = rolls.ROLL_RIGHT - rolls.ROLL_LEFT
    assert left / 600 == pytest.approx(rolls.ROLL_LEFT + run / 4, abs=2e-3)
    assert (left + width) / 600 == pytest.approx(rolls.ROLL_LEFT + run * 3 / 4, abs=3e-3)
    assert height == 5
    assert top == 8 + 10 + 5 * (84 - pitch)


def test_time_is_even_in_seconds_when_the_tempo_changes():
    notes = music.make_notes([0, 24], [24, 24], [60, 62])
    piece = music.Piece(notes, tempos=(music.Tempo(0, 120.0), music.Tempo(24, 40.0)))
    first, second = boxes(rolls.piano_roll_svg(piece), COLOURS[0])
    assert (second[2] + 1) / (first[2] + 1) == pytest.approx(3, rel=0.01)


def test_a_repeated_note_is_kept_apart_from_the_one_before_by_a_gap_that_can_be_seen():
    held, struck = music.make_notes([0], [48], [60]), music.make_notes([0, 24], [24, 24], [60, 60])
    changed = music.make_notes([0, 24], [24, 24], [60, 62])
    drawn = [boxes(rolls.piano_roll_svg(music.Piece(notes)), COLOURS[0]) for notes in (held, struck, changed)]
    assert [len(found) for found in drawn] == [1, 2, 2]
    gaps = [second[0] - first[0] - first[2] for first, second in drawn[1:]]
    assert gaps == pytest.approx([4, 1], abs=0.15)


@pytest.mark.parametrize(
    ("pitches", "names"),
    [
        ([[67, 64, 60, 48]], ["C6", "C5", "C4", "C3", "C2"]),
        ([[90, 67, 60, 30]], [f"C{n}" for n in range(7, 0, -1)]),
        ([[60], [62], [64], [65], [67], [69]], ["G4", "E4", "C4"]),  # a tune of six notes fills its picture
        ([[60]], ["E4", "C4", "G3"]),
        ([[127, 120]], ["G9", "E9", "C9", "G8"]),
        ([[0], [1]], ["C0", "G-1", "E-1", "C-1"]),
        ([[72, 40]], ["C5", "C4", "C3"]),  # two voices far apart
        ([[-1]], ["C6", "C5", "C4", "C3", "C2"]),
    ],
)
def test_four_voices_have_one_axis_and_fewer_one_that_fits(pitches, names):
    grid = voices.from_pitches(pitches, voice_names=[f"voice {i}" for i in range(len(pitches[0]))])
    assert [text for text in texts(rolls.piano_roll_svg(grid)) if re.fullmatch(r"[CEG]-?\d", text)][::-1] == names


def test_a_line_alone_has_no_legend_unless_it_is_one_of_four():
    for name, is_named in (("melody", False), ("", False), ("alto", True)):
        svg = rolls.piano_roll_svg(voices.from_pitches([[60]], voice_names=(name,)))
        assert ("alto" in texts(svg)) == is_named and not {"part 1", "melody"} & set(texts(svg))
    assert [len(boxes(svg, colour)) for colour in COLOURS[:2]] == [0, 1]


def test_bars_of_an_excerpt_keep_their_numbers():
    whole = voices.from_pitches([[60]] * 16 * 8, voice_names=("a",), bar_position_step=(np.arange(128) + 12) % 16)
    numbers = [t for t in texts(rolls.piano_roll_svg(voices.cut(whole, 40, 90))) if t.isdigit()]
    assert numbers == ["4", "5", "6"]  # bar 1 begins at step 4


def phrase() -> voices.VoiceGrid:
    """Two chords of four voices, a half note each."""
    return voices.from_pitches([[67, 64, 60, 48]] * 8 + [[69, 65, 60, 53]] * 8)


def test_voices_that_are_not_brought_out_are_pale():
    svg = rolls.piano_roll_svg(phrase(), bring_out=("alto", "bass"))
    pale = [f'fill="{colour}" fill-opacity="0.3"/>' in svg for colour in COLOURS[:4]]
    assert pale == [True, False, True, False]


def test_a_mark_stands_at_its_step_and_its_bracket_joins_its_voices():
    svg = rolls.piano_roll_svg(phrase(), marks=[(8, "octaves <8>", ("tenor", "bass")), (0, "home")])
    assert {"octaves <8>", "home"} <= set(texts(svg))
    (tenor,), (_, bass) = boxes(svg, COLOURS[2]), boxes(svg, COLOURS[3])
    bracket = re.search(r'M[\d.]+ ([\d.]+)H([\d.]+)V([\d.]+)H[\d.]+"', svg).groups()
    assert list(map(float, bracket)) == pytest.approx([tenor[1] + 2.5, bass[0] - 2, bass[1] + 2.5], abs=0.1)
    assert len(re.findall(r'stroke-dasharray="3 3"', svg)) == 1


def test_texts_of_near_marks_do_not_overlap():
    marks = [(step, f"surprise {step}") for step in (0, 1, 2, 3, 9, 15)]
    svg = rolls.piano_roll_svg(phrase(), marks=marks)
    places = [
        (float(x), int(y), len(text)) for x, y, text in re.findall(r'<text x="([\d.]+)" y="(\d+)">(surp[^<]*)', svg)
    ]
    assert len(places) == 6
    for i, (x, y, length) in enumerate(places):
        assert x >= 0 and x + 9 * length <= 600
        assert all(abs(y - other_y) >= 20 or x + 9 * length <= other_x for other_x, other_y, _ in places[i + 1 :])


def test_hidden_cells_are_hatched_and_explained():
    hidden = np.zeros((16, 4), bool)
    hidden[4:12, 1] = True
    svg = rolls.piano_roll_svg(phrase(), hidden=hidden)
    assert "hidden" in texts(svg)
    frames = re.findall(r"M([\d.]+) [\d.]+h([\d.]+)", re.search(r'<path d="([^"]*)" fill="url\(#hidden\)"', svg)[1])
    step = (590 - 46) / 16
    assert [tuple(map(float, each)) for each in frames] == [
        pytest.approx((46 + 4 * step, 4 * step - 1), abs=0.1),
        pytest.approx((46 + 8 * step, 4 * step - 1), abs=0.1),
    ]
    assert "hidden" not in rolls.piano_roll_svg(phrase(), hidden=np.zeros((16, 4), bool))


def test_rolls_can_share_one_time_axis():
    short, long = (rolls.piano_roll_svg(phrase(), axis_sec=sec) for sec in (0, 6))
    assert boxes(long, COLOURS[0])[1][0] - 46 == pytest.approx((boxes(short, COLOURS[0])[1][0] - 46) / 2, abs=0.1)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: rolls.piano_roll_svg(music.Piece(music.make_notes([], [], []))),
            ValueError,
            "at least one step to be",
        ),
        (
            lambda: rolls.piano_roll_svg(LOW, pitch_range=(60, 72)),
            ValueError,
            r"range \(60, 72\); found pitches 48",
        ),
        (lambda: rolls.piano_roll_svg(LOW, pitch_range=(84, 36)), ValueError, r"must lie in 85\.\.127; found 36"),
        (lambda: rolls.piano_roll_svg(LOW, bring_out="alto"), ValueError, "one of low; found 'alto'"),
        (
            lambda: rolls.piano_roll_svg(LOW, marks=[(1, "late")]),
            ValueError,
            r"mark must lie in 0\.\.0; found 1",
        ),
        (lambda: rolls.piano_roll_svg(LOW, marks=[(0, 8)]), TypeError, "text of a mark must be text; found int"),
        (
            lambda: rolls.piano_roll_svg(LOW, marks=[(0,)]),
            TypeError,
            r"mark must be \(step, .*; found \(0,\)",
        ),
        (lambda: rolls.piano_roll_svg(LOW, marks=[(0, "a", "alto")]), ValueError, "one of low; found 'alto'"),
        (
            lambda: rolls.piano_roll_svg(LOW, hidden=np.ones((2, 1), bool)),
            ValueError,
            r"for each step and voice, \(1, 1\); found bool of \(2, 1\)",
        ),
        (lambda: rolls.piano_roll_svg(LOW, hidden=np.ones((1, 1))), ValueError, "found float64 of"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_extreme_pitches_stay_inside_the_picture():
    svg = rolls.piano_roll_svg(voices.from_pitches([[127, 0]], voice_names=("high", "low")))
    height = float(re.search(r'viewBox="0 0 600 ([\d.]+)"', svg).group(1))
    tops = [boxes(svg, colour)[0][1] for colour in COLOURS[:2]]
    assert 0 < tops[0] < tops[1] < height - 30


def test_bars_are_numbered_and_an_upbeat_comes_before_bar_one():
    notes = music.make_notes([0, 24], [24, 96 * 3], 60)
    piece = music.Piece(notes, meters=(music.Meter(-72, 4, 4),))
    svg = rolls.piano_roll_svg(piece)
    assert [text for text in texts(svg) if text.isdigit()] == ["1", "2", "3"]
    first = float(re.search(r'<text x="([\d.]+)"[^>]*>1<', svg).group(1))
    assert first / 600 == pytest.approx(rolls.ROLL_LEFT + (rolls.ROLL_RIGHT - rolls.ROLL_LEFT) / 13, abs=2e-3)


def test_bar_numbers_thin_out_before_they_touch():
    piece = music.Piece(music.make_notes([0], [96 * 100], 60))
    numbers = [int(text) for text in texts(rolls.piano_roll_svg(piece)) if text.isdigit()]
    assert numbers == list(range(10, 101, 10))


def test_each_part_has_its_colour_and_its_name():
    svg = rolls.piano_roll_svg(voices.from_pitches([[72, 67, 64, 48]]))
    assert [len(boxes(svg, colour)) for colour in COLOURS[:4]] == [1, 1, 1, 1]
    assert set(voices.SATB) <= set(texts(svg))


def test_drums_are_grey():
    parts = (music.Part("melody"), music.Part("kit", is_drum=True))
    piece = music.Piece(music.make_notes([0, 0], 24, [60, 38], part=[0, 1]), parts=parts)
    assert len(boxes(rolls.piano_roll_svg(piece), DRUM_COLOUR)) == 1


def test_many_parts_are_named_up_to_twelve():
    parts = tuple(music.Part(f"instrument number {i} with a long name") for i in range(20))
    piece = music.Piece(music.make_notes(np.zeros(20, int), 24, 60, part=np.arange(20)), parts=parts)
    assert "and 8 more parts" in texts(rolls.piano_roll_svg(piece))


def test_repeated_notes_are_drawn_apart():
    piece = music.Piece(music.make_notes([0, 24], 24, 60))
    first, second = boxes(rolls.piano_roll_svg(piece), COLOURS[0])
    assert first[0] + first[2] < second[0]


def test_a_shared_pitch_shows_both_voices():
    svg = rolls.piano_roll_svg(voices.from_pitches([[60, 60]] * 4, voice_names=("high", "low")))
    (under,), (over,) = boxes(svg, COLOURS[0]), boxes(svg, COLOURS[1])
    assert under[3] > over[3]
    assert under[1] < over[1]
    assert svg.index(COLOURS[0] + '"/><path') < svg.rindex(COLOURS[1])


def test_names_with_angle_brackets_stay_text():
    svg = rolls.piano_roll_svg(voices.from_pitches([[60, 55]], voice_names=("<b>&", "b")), title='"<i>"')
    assert {"<b>&", '"<i>"'} <= set(texts(svg))


def test_the_same_music_gives_the_same_picture():
    grid = voices.from_pitches([[72, 67, 64, 48]] * 7)
    assert rolls.piano_roll_svg(grid) == rolls.piano_roll_svg(voices.to_piece(grid))


def test_a_silent_bar_can_be_drawn():
    rests = voices.from_pitches([[-1, -1]] * 16, voice_names=("rest", "another"))
    assert texts(rolls.piano_roll_svg(rests))[:2] == ["rest", "another"]


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
    assert rolls._is_doubled(piece).tolist() == [is_doubled for _, is_doubled in sorted(expected)]


def test_a_long_piece_is_drawn_without_a_table_of_its_steps():
    far = music.Piece(music.make_notes([0, 2**30], 2**20, [60, 60]), meters=(music.Meter(0, 2**20, 4),))
    assert len(boxes(rolls.piano_roll_svg(far), COLOURS[0])) == 2


def test_a_roll_of_a_million_bars_stays_small_and_has_a_line_in_each_half_pixel():
    many = music.Piece(music.make_notes([0], [3_000_000], [60]), meters=(music.Meter(0, 1, 32),))
    svg = rolls.piano_roll_svg(many)
    assert len(svg) < 50_000 and 1000 < len(re.findall(r"M[\d.]+ \d+V", svg)) <= 2 * (590 - 46) + 1
    assert 5 < svg.count('text-anchor="middle"') < 20
