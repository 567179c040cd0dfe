"""Tests of the fast reader of chorales: equal to music21, and measures by hand."""

import io
import math
import zipfile

import fuzzing
import numpy as np
import pytest

from mini_musessl import chorale_files, corpora, voices

# Where music21 counts bars otherwise: it takes a short or long measure after a repeat for a bar with an upbeat's
# padding (4.8, 48.3, 261, 276), counts on in measures of several bars (119.9, 324), and gives no padding to the
# upbeat that opens a new meter (304).
COUNTED_OTHERWISE = {"bwv4.8", "bwv48.3", "bwv119.9", "bwv261", "bwv276", "bwv304", "bwv324"}
# A volta, grace notes, thirty-seconds, five parts, a change of meter.
ODD = ("bwv8.6", "bwv299", "bwv432", "bwv227.3", "bwv171.6")


def read_with_music21(path):
    import music21

    score = music21.converter.parse(path, forceSource=True).expandRepeats()
    names = [(part.partName or "").strip().lower() for part in score.parts]
    parts = [score.parts[next(i for i, n in enumerate(names) if n.startswith(voice))] for voice in voices.SATB]
    n_steps = max(math.ceil(part.highestTime * 4) for part in parts)
    pitch = np.full((n_steps, 4), voices.REST)
    is_onset = np.zeros((n_steps, 4), bool)
    is_fermata = np.zeros(n_steps, bool)
    position = np.full(n_steps, -1)
    for measure in parts[0].getElementsByClass("Measure"):
        start, length = round(measure.offset * 4), round(measure.duration.quarterLength * 4)
        position[start : start + length] = round(measure.paddingLeft * 4) + np.arange(length)
    for column, part in enumerate(parts):
        # stripTies drops a fermata that stands on a later note of a tie, so look at the notes as written.
        marked = [
            math.ceil(note.offset * 4)
            for note in part.flatten().notes
            if any(isinstance(mark, music21.expressions.Fermata) for mark in note.expressions)
        ]
        part.stripTies(inPlace=True)  # a copy takes as long as reading it
        for note in part.flatten().notes:
            first, stop = math.ceil(note.offset * 4), math.ceil((note.offset + note.quarterLength) * 4)
            if first < stop:
                pitch[first:stop, column] = note.pitch.midi
                is_onset[first, column] = True
        number = np.where(pitch[:, column] == voices.REST, -1, is_onset[:, column].cumsum())
        is_fermata |= np.isin(number, number[marked])
    return pitch, is_onset, is_fermata, position


def check_against_music21(path):
    written = chorale_files.read_chorale(path.read_bytes(), path.stem)
    if written is None:
        return 0
    grid = chorale_files.expand(written)
    names = ("pitch", "is_onset", "is_fermata", "bar_position_step")
    for name, expected in zip(names, read_with_music21(path), strict=True):
        if name != "bar_position_step" or grid.name not in COUNTED_OTHERWISE:
            np.testing.assert_array_equal(getattr(grid, name), expected, err_msg=grid.name)
    return 1


def test_a_dozen_chorales_equal_music21s_own_parse():
    paths = corpora._chorale_files()
    chosen = {*paths[::60], *(path for path in paths if path.stem in ODD)}
    assert sum(map(check_against_music21, sorted(chosen))) >= 12


@pytest.mark.slow
def test_every_chorale_equals_music21s_own_parse():
    assert sum(map(check_against_music21, corpora._chorale_files())) >= 408


# notes are (step, octave, duration in sixteenths); all parts hold the same measures
def measure(*notes, extra=""):
    written = "".join(
        f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch><duration>{duration}</duration></note>"
        for step, octave, duration in notes
    )
    return f"<measure>{extra}{written}</measure>"


def zipped(data):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", '<rootfile full-path="a.xml"/>')
        archive.writestr("a.xml", data)
    return packed.getvalue()


def score(*measures, names=("Soprano", "Alto", "Tenor", "Bass")):
    head = "<attributes><divisions>4</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    body = "".join(measures).replace(">", ">" + head, 1)
    parts = "".join(f'<part id="P{i}">{body}</part>' for i in range(len(names)))
    listed = "".join(f'<score-part id="P{i}"><part-name>{n}</part-name></score-part>' for i, n in enumerate(names))
    return f"<score-partwise><part-list>{listed}</part-list>{parts}</score-partwise>".encode()


BACK = '<barline><repeat direction="backward"/></barline>'
FORTH = '<barline><repeat direction="forward"/></barline>'


def test_a_bar_split_by_a_repeat_is_counted_through():
    bars = [measure(("C", 4, 4)), measure(("D", 4, 12), extra=BACK), measure(("E", 4, 4)), measure(("F", 4, 16))]
    grid = chorale_files.expand(chorale_files.read_chorale(score(*bars)))
    # upbeat at 12, bar at 0..11, again, then the rest of the split bar at 12..15, then a bar
    assert grid.bar_position_step.tolist() == [*range(12, 16), *range(12)] * 2 + [*range(12, 16), *range(16)]
    assert (grid.pitch[::4, 0] - 60).tolist() == [0, 2, 2, 2, 0, 2, 2, 2, 4, 5, 5, 5, 5]


def test_a_forward_repeat_says_from_where():
    bars = [measure(("C", 4, 16)), measure(("D", 4, 16), extra=FORTH), measure(("E", 4, 16), extra=BACK)]
    grid = chorale_files.expand(chorale_files.read_chorale(score(*bars)))
    assert (grid.pitch[::16, 0] - 60).tolist() == [0, 2, 4, 2, 4]
    assert grid.is_onset[::16, 0].all()


def test_notes_off_the_grid_are_sampled_and_said_to_be():
    bars = [measure(("C", 4, 2), ("D", 4, 14))]
    on, off = score(*bars), score(*bars).replace(b"<divisions>4", b"<divisions>5")
    assert chorale_files.read_chorale(on).is_clean
    read = chorale_files.read_chorale(off)
    assert not read.is_clean
    # at 5 divisions a quarter C lasts 1.6 sixteenths: it sounds as steps 0 and 1 begin
    assert (read.grid.pitch[:3, 0] - 60).tolist() == [0, 0, 2]


def test_a_score_without_four_voices_gives_none():
    assert chorale_files.read_chorale(score(measure(("C", 4, 16)), names=("Piano",))) is None


TWICE = "<backup><duration>16</duration></backup>" + measure(("E", 4, 16)).removeprefix("<measure>")


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"MThd", "must be a MusicXML file such as music21's; bwv1 cannot be read"),
        (b"PK", "must be a MusicXML file such as music21's; bwv1 cannot be read"),
        (b"<html/>", "bwv1 cannot be read .*it holds <html>, not a partwise score.*Install music21 again"),
        (b" " * 3_000_001, "it has more than 3000000 bytes"),
        (zipped(b" " * 3_000_001), "it unpacks to more than 3000000 bytes"),
        (zipped(b"<score-partwise>" * 99), "no element found"),
        (score(measure(("C", 4, 4))).replace(b"divisions>4", b"divisions>0"), "single note of a melody leads to 4/0"),
        (score(measure(("C", 4, 4))).replace(b"<beats>4", b"<beats>1000000"), "a bar in 1000000/4 has 4000000 steps"),
        (score(measure(("C", 4, 4))).replace(b"<beats>4", b"<beats>0"), "a bar in 0/4 has 0 steps"),
        (score(measure(("C", 4, 10**9))), "a note that is no single note of a melody leads to 1000000000/4"),
        (score(measure(("C", 4, -4))), "a note that is no single note .* leads to -4/4"),
        (score("<measure><backup><duration>4</duration></backup></measure>"), "a backup .* leads to -4/4"),
        (score("<measure><forward><duration>999999</duration></forward></measure>"), "a forward .* leads to 999999/4"),
        (score(measure(("C", 4, 4)).replace("<pitch>", "<chord/><pitch>")), "that is no single note of a melody"),
        (score(measure(("C", 99, 4))), "found a number that is no pitch"),
        (
            score(f"{measure(('C', 4, 16))}<backup/>".replace("</measure><backup/>", TWICE)),
            "two notes of one voice sound at once at 0/4",
        ),
        (score(measure(("H", 4, 4))), "KeyError: 'H'"),
        (score("<measure/>"), "not enough values to unpack"),
    ],
)
def test_scores_that_are_none_are_refused(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        chorale_files.read_chorale(data, "bwv1")


def altered_chorales(n_chorales, seed):
    generator = np.random.default_rng(seed)
    for path in corpora._chorale_files()[5 : 5 + n_chorales // 3]:
        data = text = path.read_bytes()
        if path.suffix == ".mxl":
            with zipfile.ZipFile(path) as archive:
                text = max((archive.read(name) for name in archive.namelist()), key=len)
        yield fuzzing.altered(data, generator)
        yield fuzzing.altered(text, generator)
        yield next(fuzzing.altered_numbers(text.decode(), generator)).encode()


@pytest.mark.parametrize("n_chorales", [21, pytest.param(600, marks=pytest.mark.slow)])
def test_altered_chorales_are_read_or_refused(n_chorales):
    outcomes = fuzzing.run(chorale_files.read_chorale, altered_chorales(n_chorales, seed=n_chorales))
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)
