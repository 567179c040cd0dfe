"""Tests of mini_musessl.midi."""

import io
import struct
from collections import defaultdict
from functools import partial

import fuzzing
import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_music import altered_midi, in_riff, midi_chunk, midi_file, midi_files, midi_meta, midi_number

from mini_musessl import midi, music
from mini_musessl.music import Meter, Part, Piece, Tempo, make_notes

READERS = pytest.mark.parametrize("reader", midi.READERS)
TRIPLET = Piece(make_notes(onset_step=[0, 8, 16], duration_step=8, pitch=[60, 62, 64]))
NAMES = ("", "soprano", "Flöte", "ピアノ", "a b")
SPEEDS = (30.0, 60.0, 77.0, 80.0, 92.5, 120.0, 133.0, 200.0)


def note_on(pitch, velocity=64, channel=0):
    return mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)


def note_off(pitch, channel=0):
    return mido.Message("note_off", note=pitch, velocity=0, channel=channel)


def program(number, channel=0):
    return mido.Message("program_change", program=number, channel=channel)


def meta(kind, **values):
    return mido.MetaMessage(kind, **values)


# of lists of (tick, message), one for each track
def file_bytes(*tracks, ticks_per_quarter=24):
    file = mido.MidiFile(ticks_per_beat=ticks_per_quarter)
    for events in tracks:
        track, last_tick = mido.MidiTrack(), 0
        for tick, message in events:
            track.append(message.copy(time=tick - last_tick))
            last_tick = tick
        file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


# of one track byte by byte
def raw_file(track, n_tracks=1, file_type=0, division=24):
    header = struct.pack(">4sLHHH", b"MThd", 6, file_type, n_tracks, division)
    return header + struct.pack(">4sL", b"MTrk", len(track)) + track


def rows(piece):
    return piece.notes[["onset_step", "duration_step", "pitch"]].tolist()


ONE_NOTE = [(0, note_on(60)), (24, note_off(60))]
END = bytes([0, 0xFF, 0x2F, 0])


def without_nests(notes):
    kept = []
    for note in notes.tolist():
        onset, duration, pitch, _, part = note
        if all(other[0] + other[1] <= onset + duration for other in kept if (other[2], other[4]) == (pitch, part)):
            kept.append(note)
    return np.array(kept, music.NOTE_DTYPE)


@st.composite
def pieces(draw):
    n_parts = draw(st.integers(1, 4))
    limits = (0, 200), (1, 60), (0, 127), (1, 127), (0, n_parts - 1)
    cell = st.tuples(*(st.integers(*each) for each in limits))
    drawn = draw(st.lists(cell, max_size=25)) + [(0, 1, 60, 64, part) for part in range(n_parts)]
    notes = without_nests(music.sort_notes(np.array(drawn, music.NOTE_DTYPE)))
    steps_per_quarter = draw(st.sampled_from([1, 4, 7, 24, 480, 1000]))
    numerator, denominator = draw(st.sampled_from([(4, 4), (3, 4), (2, 2), (5, 4)]))
    bar = numerator * 4 * steps_per_quarter // denominator
    upbeat_step = draw(st.integers(0, bar - 1))
    meters = [Meter(upbeat_step - bar if upbeat_step else 0, numerator, denominator)]
    if draw(st.booleans()):
        # Later than the first full bar: a meter before that may be read as an upbeat.
        meters.append(Meter(upbeat_step + 2 * bar + draw(st.integers(0, 100)), 6, 4))
    tempo_steps = sorted(draw(st.sets(st.integers(1, 300), max_size=3)))
    part = st.builds(Part, st.sampled_from(NAMES), st.integers(0, 127), st.booleans())
    return Piece(
        notes,
        steps_per_quarter,
        meters=tuple(meters),
        tempos=tuple(Tempo(step, draw(st.sampled_from(SPEEDS))) for step in [0, *tempo_steps]),
        parts=tuple(draw(part) for _ in range(n_parts)),
    )


@given(pieces(), st.sampled_from(midi.READERS))
def test_reading_what_was_written_gives_the_same_piece(piece, reader):
    assert midi.read_midi(midi.to_bytes(piece), piece.steps_per_quarter, reader) == piece


def expected_music(told, division):
    """Read what tracks tell with the dullest program that the rules of the module allow; times in ticks."""
    programs = [
        (tick, track, order, event[0] & 15, event[1])
        for track, events in enumerate(told)
        for order, (tick, event) in enumerate(events)
        if event[0] & 0xF0 == 0xC0
    ]
    notes, names, meters, tempos = [], [], {0: (4, 4)}, {0: 500_000}
    for track, events in enumerate(told):
        sounding = defaultdict(list)
        for order, (tick, event) in enumerate(events):
            kind, channel, pitch = event[0] & 0xF0, event[0] & 15, event[1]
            if kind == 0x90 and event[2]:
                own = [p for p in programs if p[1] == track and p[2] < order and p[3] == channel]
                others = [p for p in programs if p[1] != track and p[0] <= tick and p[3] == channel]
                # at one tick the track's own is the last word, and among others the later track
                last = max(own[-1:] + others, key=lambda p: (p[0], p[1] == track, p[1], p[2]), default=(0,))
                sounding[channel, pitch].append((tick, event[2], channel == 9, last[-1]))
            elif kind in (0x80, 0x90) and sounding[channel, pitch]:
                onset, velocity, is_drum, number = sounding[channel, pitch].pop(0)
                notes.append((onset, max(tick, onset + 1), pitch, velocity, track, is_drum, number))
        named = [event[3 if len(event) < 131 else 4 :] for _, event in events if event[:2] == b"\xff\x03"]
        names.append("café" if named[-1:] == [b"caf\xe9"] else b"".join(named[-1:]).decode())
    timing = sorted(
        ((tick, event) for events in told for tick, event in events if event[0] == 0xFF), key=lambda e: e[0]
    )
    for tick, event in timing:
        if event[1] == 0x51:
            tempos[tick] = int.from_bytes(event[3:6], "big")
        elif event[1] == 0x58:
            meters[tick] = event[3], 2 ** event[4]
    return sorted(notes), names, meters, tempos


@given(midi_files(), st.sampled_from(midi.READERS))
@settings(max_examples=100)
def test_every_event_of_the_standard_is_read_or_passed_over(file, reader):
    data, told, division = file
    piece = midi.read_midi(data, division, reader, max_hours=1000)
    assert piece == midi.read_midi(data, division, max_hours=1000)
    notes, names, meters, tempos = expected_music(told, division)
    found = []
    for onset, duration, pitch, velocity, part in piece.notes.tolist():
        part = piece.parts[part]
        found.append((onset, onset + duration, pitch, velocity, part.is_drum, part.program))
    assert sorted(found) == sorted((*note[:4], *note[5:]) for note in notes)
    sounding = {note[4] for note in notes}
    assert {part.name for part in piece.parts} == {names[track] for track in sounding}
    assert {t.step: round(6e7 / t.quarters_per_minute) for t in piece.tempos} == tempos
    if piece.meters[0].step == 0:  # no upbeat
        assert {m.step: (m.numerator, m.denominator) for m in piece.meters} == meters


@given(midi_files(silent=st.just(b"\xb0\x40\x7f")))
@settings(max_examples=60)
def test_both_readers_agree_on_plain_files(file):
    data = file[0]
    assert midi.read_midi(data, 24, max_hours=1000) == midi.read_midi(data, 24, "symusic", max_hours=1000)


@given(pieces())
def test_notes_agree_with_pretty_midi_where_none_of_one_pitch_overlap(piece):
    notes = np.unique(piece.notes[["part", "pitch"]], return_index=True)[1]
    piece = Piece(piece.notes[np.sort(notes)], piece.steps_per_quarter, piece.meters, piece.tempos, piece.parts)
    theirs = midi.to_pretty_midi(piece)
    ticks_per_step = theirs.resolution // piece.steps_per_quarter
    for part, instrument in zip(np.unique(piece.notes["part"]), theirs.instruments, strict=True):
        tick = theirs.time_to_tick
        expected = [(tick(note.start), tick(note.end), note.pitch) for note in instrument.notes]
        ours = piece.notes[piece.notes["part"] == part]
        ticks = (each * ticks_per_step for each in (ours["onset_step"], music.ends_step(ours)))
        assert sorted(zip(*ticks, ours["pitch"], strict=True)) == sorted(expected)


def test_objects_of_pretty_midi_come_and_go_without_loss():
    piece = Piece(TRIPLET.notes, meters=(Meter(0, 3, 4),), parts=(Part("flute", 73),))
    assert midi.from_pretty_midi(midi.to_pretty_midi(piece)) == piece
    theirs = pretty_midi.PrettyMIDI(resolution=220, initial_tempo=120)
    theirs.instruments.append(pretty_midi.Instrument(program=5))
    theirs.instruments[0].notes.append(pretty_midi.Note(velocity=90, pitch=61, start=0.5, end=0.75))
    read = midi.from_pretty_midi(theirs)
    assert (read.notes.tolist(), read.parts) == ([(24, 12, 61, 90, 0)], (Part("", 5),))


@pytest.mark.parametrize("name", ["ピアノ", "Ωδή", "скрипка", "كمان", "🎻 Flöte", "Piano\0"])
def test_names_and_lyrics_in_any_script_go_through_pretty_midi(name):
    piece = Piece(TRIPLET.notes, parts=(Part(name),))
    theirs = midi.to_pretty_midi(piece)
    assert theirs.instruments[0].name == name
    theirs.lyrics.append(pretty_midi.Lyric(name, 0.0))
    assert midi.from_pretty_midi(theirs) == piece
    made = pretty_midi.PrettyMIDI()
    made.instruments.append(pretty_midi.Instrument(0, name=name))
    made.instruments[0].notes.append(pretty_midi.Note(80, 60, 0.0, 0.5))
    assert midi.from_pretty_midi(made).parts == (Part(name),)
    assert made._charset == "latin1"  # the caller's object stays as it was


@pytest.mark.parametrize(
    "change",
    [{"pitch": 200}, {"velocity": -1}, {"pitch": 60.5}, {"end": float("nan")}],
    ids=str,
)
def test_an_object_that_pretty_midi_cannot_write_is_refused(change):
    theirs = midi.to_pretty_midi(TRIPLET)
    vars(theirs.instruments[0].notes[0]).update(change)
    with pytest.raises(
        ValueError, match=r"pretty_midi must be able to write its own object; it says .*Mend the object"
    ):
        midi.from_pretty_midi(theirs)


@READERS
def test_triplets_are_exact_in_ticks_of_other_files(reader):
    events = [(t, m) for n in range(30) for t, m in ((n * 160, note_on(60)), ((n + 1) * 160, note_off(60)))]
    piece = midi.read_midi(file_bytes(events, ticks_per_quarter=480), reader=reader)
    assert rows(piece) == [(8 * n, 8, 60) for n in range(30)]


@READERS
def test_times_off_the_grid_move_to_the_nearest_step_and_no_note_vanishes(reader):
    data = file_bytes(
        [(9, note_on(60)), (10, note_off(60)), (30, note_on(62)), (51, note_off(62))], ticks_per_quarter=20
    )
    assert rows(midi.read_midi(data, 1, reader)) == [(0, 1, 60), (2, 1, 62)]


@READERS
def test_tempos_and_meters_are_read_from_every_track_and_the_last_at_a_step_counts(reader):
    data = file_bytes(
        [(0, meta("set_tempo", tempo=600_000)), (0, meta("time_signature", numerator=3, denominator=4)), *ONE_NOTE],
        [(0, meta("set_tempo", tempo=500_000)), (96, meta("set_tempo", tempo=750_000))],
        [(72, meta("time_signature", numerator=6, denominator=8))],
    )
    piece = midi.read_midi(data, reader=reader)
    assert piece.tempos == (Tempo(0, 120.0), Tempo(96, 80.0))
    assert piece.meters == (Meter(0, 3, 4), Meter(72, 6, 8))


def test_a_repeated_note_ends_before_it_begins_again():
    file = mido.MidiFile(file=io.BytesIO(midi.to_bytes(Piece(make_notes([0, 24], 24, [60, 60])))))
    events = [(event.time, event.velocity) for event in file.tracks[1] if event.type == "note_on"]
    assert events == [(0, 64), (480, 0), (0, 64), (480, 0)]  # a velocity of 0 ends the note


def test_an_upbeat_is_written_as_a_bar_of_its_own_length():
    piece = Piece(TRIPLET.notes, meters=(Meter(-72, 4, 4),))
    track = mido.MidiFile(file=io.BytesIO(midi.to_bytes(piece))).tracks[0]
    found = [(m.time, m.numerator, m.denominator) for m in track if m.type == "time_signature"]
    assert found == [(0, 1, 4), (480, 4, 4)]
    # an upbeat of a triplet eighth is no meter: its own is restated
    odd = Piece(TRIPLET.notes, meters=(Meter(-88, 4, 4),))
    assert midi.read_midi(midi.to_bytes(odd)) == odd


@READERS
def test_tracks_channels_and_programs_become_parts(reader):
    data = file_bytes(
        [(0, meta("track_name", name="duo")), (0, program(5, 1)), (0, program(7, 0)), (0, note_on(60, 64, 1)),
         (0, note_on(62)), (0, note_on(36, 64, 9)), (12, note_off(60, 1)), (12, note_off(62)), (12, note_off(36, 9)),
         (12, program(8)), (12, note_on(64)), (24, note_off(64))],
        [(0, meta("track_name", name="nothing sounds here")), (0, program(3))],
        [(0, meta("track_name", name="solo")), (0, note_on(60, 64, 3)), (24, note_off(60, 3))],
    )  # fmt: skip
    piece = midi.read_midi(data, reader=reader)
    assert piece.parts == (
        Part("duo", 7), Part("duo", 8), Part("duo", 5), Part("duo", 0, is_drum=True), Part("solo"),
    )  # fmt: skip
    assert piece.notes[["pitch", "part"]].tolist() == [(62, 0), (60, 2), (36, 3), (60, 4), (64, 1)]


@READERS
@pytest.mark.parametrize(
    "events, expected",
    [
        # a note-off ends the earliest note of its pitch
        ([(0, note_on(60)), (10, note_on(60)), (20, note_off(60)), (30, note_off(60))], [(0, 20, 60), (10, 20, 60)]),
        # a note that never ends is dropped, and a stray end does nothing
        ([(0, note_off(60)), (0, note_on(60)), (5, note_on(62)), (9, note_on(60)), (20, note_off(60))], [(0, 20, 60)]),
        # a note of no length lasts one step
        ([(6, note_on(60)), (6, note_off(60))], [(6, 1, 60)]),
    ],
)
def test_untidy_notes_are_paired_first_in_first_out(reader, events, expected):
    assert rows(midi.read_midi(file_bytes(events), reader=reader)) == expected


def one(pitch, at=0, length=24, channel=0):
    on, off = bytes([0x90 | channel, pitch, 80]), bytes([0x80 | channel, pitch, 0])
    return midi_number(at) + on + midi_number(length) + off


#: Two notes, and between them 24 ticks in which something happens that says nothing about notes.
BETWEEN = {
    "an unknown meta event": midi_meta(0x60, b"abc"),
    "a long unknown meta event": midi_meta(0x4B, b"abc" * 99),
    "an empty key signature": midi_meta(0x59),
    "a key signature of 100 sharps": midi_meta(0x59, b"\x64\0"),
    "a key signature of mode 255": midi_meta(0x59, b"\xff\xff"),
    "a sequence number of one byte": midi_meta(0x00, b"\1"),
    "an empty channel prefix": midi_meta(0x20),
    "an empty port": midi_meta(0x21),
    "an SMPTE offset of an unknown rate": midi_meta(0x54, b"\xff\0"),
    "a text that looks like the end": midi_meta(0x01, b"\0\xff\x2f\0"),
    "a message of the system": b"\xf0\5\x7e\x7f\x09\1\xf7",
    "a message in packets": b"\xf0\3\x43\x12\0\0\xf7\2\x43\x12\0\xf7\2\x12\xf7",
    "an escape that holds a note": b"\xf7\3\x90\x3c\x40",
    "active sensing outside an escape": b"\xfe",
    "a song position outside an escape": b"\xf2\1\2",
    "a controller of 168": b"\xb0\7\xa8",
    "a bend beyond 127": b"\xe0\xa8\xff",
    "all notes off": b"\xb0\x7b\0",
    "a bank": b"\xb0\0\1\0\xb0\x20\5",
    "the pressure of a key": b"\xa0\x3c\5",
    "the pressure of a channel, twice": b"\xd0\5\0\6",
}


@READERS
@pytest.mark.parametrize("what", BETWEEN)
def test_what_says_nothing_about_notes_keeps_its_time(reader, what):
    track = one(60) + midi_number(24) + BETWEEN[what] + one(62, 24)
    assert rows(midi.read_midi(midi_file(track + END), reader=reader)) == [(0, 24, 60), (72, 24, 62)]


@READERS
@pytest.mark.parametrize(
    "track, expected",
    [
        # running status goes on after a message of the system and after a meta event
        (b"\0\x90\x3c\x50\x18\xf0\3\x7e\0\xf7\0\x3c\0" + one(62), [(0, 24, 60), (24, 24, 62)]),
        (b"\0\x90\x3c\x50\x18\xff\1\0\0\x3c\0" + one(62), [(0, 24, 60), (24, 24, 62)]),
        # what is behind the end mark is not read, and the mark may be missing
        (one(60) + END + one(62), [(0, 24, 60)]),
        (one(60) + b"\0\xff\x2f\1\0" + one(62), [(0, 24, 60)]),
        (one(60)[:-1] + b"\0", [(0, 24, 60)]),
        # a time may be written in more bytes than it needs, up to four
        (b"\x80\x80\x80\x18" + one(60)[1:], [(24, 24, 60)]),
    ],
)
def test_tracks_are_read_as_players_read_them(reader, track, expected):
    assert rows(midi.read_midi(midi_file(track), reader=reader)) == expected


@READERS
def test_meta_events_longer_than_the_standard_says_keep_their_meaning(reader):
    track = b"\0" + midi_meta(0x51, b"\x0f\x42\x40\0") + b"\0" + midi_meta(0x58, b"\3\2\x18\x08\0") + one(60)
    piece = midi.read_midi(midi_file(track + END), reader=reader)
    assert (piece.tempos, piece.meters) == ((Tempo(0, 60.0),), (Meter(0, 3, 4),))


@READERS
@pytest.mark.parametrize(
    "tracks, programs",
    [
        # a track that sets all programs, before or behind the others
        ([b"\0\xc5\x13\0\xc6\x28", one(60, channel=5), one(64, channel=6)], [19, 40]),
        ([one(60, channel=5), one(64, channel=6), b"\0\xc5\x13\0\xc6\x28"], [19, 40]),
        # it changes one while the channel plays
        ([b"\0\xc5\x13\x30\xc5\7", one(60, channel=5) + one(62, 24, channel=5)], [7, 19]),
        # tracks that share a channel, each with a program of its own from the start
        ([b"\0\xc0\5" + one(60), b"\0\xc0\6" + one(62)], [5, 6]),
        # the other one changes later, and that is heard in both
        ([b"\0\xc0\5" + one(60) + one(60, 24), b"\0\xc0\6" + one(62) + b"\6\xc0\7" + one(62)], [5, 7, 6, 7]),
        # two cables have 16 channels each
        ([b"\0\xff\x21\1\1\0\xc0\5" + one(60), b"\0\xff\x21\1\0" + one(62)], [5, 0]),
        # a program that comes after the note
        ([one(60) + b"\0\xc0\5", one(62, 12)], [0, 0]),
    ],
)
def test_a_program_belongs_to_its_channel_whichever_track_sets_it(reader, tracks, programs):
    piece = midi.read_midi(midi_file(*(track + END for track in tracks)), reader=reader)
    assert [part.program for part in piece.parts] == programs


NOTED = midi_file(one(60) + END, one(62, channel=1) + END, division=24)


@READERS
@pytest.mark.parametrize(
    "data",
    [
        in_riff(NOTED),
        in_riff(NOTED, before=b"LIST\4\0\0\0INFO"),
        in_riff(NOTED, before=b"LIST\x10\0\0\0INFOINAM\4\0\0\0MThd"),
        in_riff(in_riff(NOTED)),
        in_riff(NOTED) + b"DLS rest",
        NOTED + midi_file(one(64) + END, division=480),
        b"\0\4song" + bytes(122) + NOTED,
        NOTED[:14] + midi_chunk(b"12", b"XFIH") + NOTED[14:] + midi_chunk(b"", b"XFKM") + b"rest",
        midi_file(one(60) + END, one(62, channel=1) + END, n_tracks=0),
        midi_file(one(60) + END, one(62, channel=1) + END, n_tracks=1, file_type=0),
        b"MThd\0\0\0\0" + NOTED[8:],
        b"MThd\0\0\0\x08" + NOTED[8:14] + b"\0\0" + NOTED[14:],
    ],
    ids=[
        "RIFF",
        "names",
        "a name like the head",
        "twice",
        "sounds",
        "another file",
        "Macintosh",
        "foreign chunks",
        "0 tracks",
        "1 track",
        "no length",
        "longer",
    ],
)
def test_the_file_is_found_in_its_wrapping(reader, data):
    assert midi.read_midi(data, reader=reader) == midi.read_midi(NOTED)


@pytest.mark.parametrize("reader, n_tracks", [("python", 66_000), ("symusic", 33_000)])  # symusic counts in 15 bits
def test_more_tracks_than_a_header_can_count_are_read(reader, n_tracks):
    data = midi_file(one(60) + END, *[b""] * n_tracks, one(62) + END, n_tracks=min(n_tracks, 65_535))
    assert midi.read_midi(data, reader=reader).notes["pitch"].tolist() == [60, 62]


def test_a_path_bytes_and_an_open_file_give_the_same(tmp_path):
    path = tmp_path / "triplet.mid"
    midi.write_midi(TRIPLET, path)
    with path.open("rb") as file:
        assert all(midi.read_midi(source) == TRIPLET for source in (path, str(path), path.read_bytes(), file))


def test_a_stream_that_gives_some_bytes_at_a_time_is_read_to_its_end():
    class Dripping(io.BytesIO):
        name = 5  # as the pipes of the system are called

        def read(self, n=-1):
            return super().read(min(n, 7))

    data = midi.to_bytes(TRIPLET)
    assert midi.read_midi(Dripping(data)) == TRIPLET
    with pytest.raises(ValueError, match=r"the data holds .* It was cut short"):
        midi.read_midi(Dripping(data[:-1]))
    with pytest.raises(ValueError, match=r"at most 1000100 bytes; the data has more\."):
        midi.read_midi(Dripping(bytes(1_000_101)), max_notes=1)


def test_more_than_fifteen_parts_and_two_drum_kits_survive():
    parts = tuple(Part(f"part {n}", n, is_drum=n in (3, 17)) for n in range(20))
    piece = Piece(make_notes(onset_step=[0] * 20, duration_step=24, pitch=60, part=range(20)), parts=parts)
    for reader in midi.READERS:
        assert midi.read_midi(midi.to_bytes(piece), reader=reader) == piece


def test_tempos_between_microseconds_move_by_less_than_a_thousandth_part():
    piece = Piece(TRIPLET.notes, tempos=(Tempo(0, 77.123456789),))
    assert midi.read_midi(midi.to_bytes(piece)).tempos[0].quarters_per_minute == pytest.approx(77.123456789, rel=1e-6)


def test_a_part_without_notes_and_rest_at_the_end_are_not_kept():
    piece = Piece(make_notes([0], [24], [60], part=1), parts=(Part("silent"), Part("flute")), n_steps=96, title="x")
    found = midi.read_midi(midi.to_bytes(piece))
    assert (found.parts, found.n_steps, found.title) == ((Part("flute"),), 24, "")


@READERS
def test_rests_longer_than_a_time_can_say_are_written_in_pieces(reader):
    piece = Piece(make_notes([0, 2**25], [24, 2**25], [60, 62]))
    assert midi.read_midi(midi.to_bytes(piece), reader=reader, max_hours=1000) == piece


def test_mido_reads_the_notes_that_were_written():
    piece = Piece(make_notes([0, 2**25], [24, 24], [60, 62]), parts=(Part("ピアノ", 5),))
    track = mido.MidiFile(file=io.BytesIO(midi.to_bytes(piece)), charset="utf-8").tracks[1]
    ticks = np.cumsum([event.time for event in track])
    told = [(int(tick), *event.bytes()) for tick, event in zip(ticks, track, strict=True) if not event.is_meta]
    on, later = 0x90, 20 * 2**25
    assert told[0] == (0, 0xC0, 5)
    assert told[1:] == [(0, on, 60, 64), (480, on, 60, 0), (later, on, 62, 64), (later + 480, on, 62, 0)]
    assert track.name == "ピアノ"


def test_the_same_piece_gives_the_same_bytes(tmp_path):
    midi.write_midi(TRIPLET, tmp_path / "a.mid")
    midi.write_midi(TRIPLET, tmp_path / "b.mid")
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes() == midi.to_bytes(TRIPLET)


# Refusals.

NOTE = bytes([0, 0x90, 60, 64, 24, 0x80, 60, 0])


@READERS
@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"", r"must hold something; the data is empty \(0 bytes\)\. Copy or export it again"),
        (b"C D E F G", "must begin with the letters MThd; the data begins with b'C D '"),
        (raw_file(b"", file_type=2), r"type 0 or 1; the data is of type 2\. .* export it as type 1"),
        (raw_file(b"", file_type=3), r"is of type 3\. .* there are no others; export it as type 1"),
        (raw_file(b"", division=0xE728), r"ticks of a quarter; the data counts film frames \(SMPTE\), .* \(PPQ\)"),
        (raw_file(b"", division=0), "ticks of a quarter; the data counts none"),
        (raw_file(NOTE[:7]), r"must be whole and follow .*; track 1 of the data holds an event that goes on behind"),
        (file_bytes([]), r"at least one note that starts and ends; the data holds none"),
        (file_bytes([(0, note_on(60))]), "at least one note that starts"),
        (struct.pack(">4sLHHH", b"MThd", 6, 1, 0, 24), "at least one note"),
        (
            raw_file(bytes([0, 0x90, 128, 64]) + END),
            r"holds an event 0x90 with the data \[128, 64\] at tick 0\. It was",
        ),
        (raw_file(bytes([0, 0xC0, 200]) + END), r"holds an event 0xc0 with the data \[200\] at tick 0"),
        (
            raw_file(b"\0" + midi_meta(0x58, b"\0\2\x18\x08") + END),
            r"event 0x58 with the data \[0, 2, 24, 8\] at tick 0",
        ),
        (raw_file(b"\7" + midi_meta(0x58, b"\4\x09") + END), r"event 0x58 with the data \[4, 9\] at tick 7"),
        (raw_file(b"\0" + midi_meta(0x58, b"\4") + END), r"event 0x58 with the data \[4\]"),
        (raw_file(b"\0" + midi_meta(0x51, bytes(3)) + END), r"event 0x51 with the data \[0, 0, 0\]"),
        (raw_file(b"\0" + midi_meta(0x51, b"\7\7") + END), r"event 0x51 with the data \[7, 7\]"),
        (raw_file(b"\0\x40\x40" + NOTE + END), "a data byte in place of an event"),
        (raw_file(b"\0\xf4" + NOTE + END), "the status 0xf4"),
        (raw_file(b"\xff\xff\xff\xff\x7f" + NOTE + END), "a number of more than four bytes"),
        (raw_file(NOTE) + midi_chunk(b"ab", b"XFIH"), "a track 1 that goes on behind its 8 bytes"),
    ],
)
def test_what_is_no_sound_midi_file_is_refused(reader, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        midi.read_midi(data, reader=reader)


def test_a_missing_file_a_folder_and_a_file_opened_as_text_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"read_midi needs a file; found nothing at .*gone\.mid"):
        midi.read_midi(tmp_path / "gone.mid")
    with pytest.raises(IsADirectoryError, match=r"read_midi needs one file; .* is a folder\. .*load_midi_folder"):
        midi.read_midi(tmp_path)
    closed, written = io.BytesIO(b"MThd"), (tmp_path / "a.mid").open("wb")
    closed.close()
    with written:
        for wrong in (10**12, None, [1, 2], io.StringIO("MThd"), closed, written):
            with pytest.raises(TypeError, match=r'or a file open for bytes; found .* Open a file with mode "rb"'):
                midi.read_midi(wrong)


@READERS
def test_a_file_cut_anywhere_is_refused(reader):
    data = midi.to_bytes(TRIPLET)
    for length in range(4, len(data)):
        with pytest.raises(ValueError, match=r"must be whole and .*; the data holds \d+ .*It was cut short or damaged"):
            midi.read_midi(data[:length], reader=reader)


@READERS
def test_as_many_notes_as_the_limit_are_refused_and_the_limit_can_be_raised(reader):
    piece = Piece(make_notes(np.arange(11), 1, 60))
    data = midi.to_bytes(piece)
    with pytest.raises(ValueError, match=r"fewer than 11 notes; the data holds as many or more\. .* raise max_notes"):
        midi.read_midi(data, reader=reader, max_notes=11)
    assert midi.read_midi(data, reader=reader, max_notes=12) == piece


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.mid"
    with path.open("wb") as file:
        file.truncate(11_000_001)
    with pytest.raises(ValueError, match=r"at most 11000000 bytes; huge\.mid has 11000001\. .* raise max_notes"):
        midi.read_midi(path)


@READERS
@pytest.mark.parametrize(
    "event, sentence",
    [
        (b"\1\xff\x51\3\7\xa1\x20", r"fewer than 30 tempos; the data holds as many or more\."),
        (b"\1\xff\x58\4\4\2\x18\x08", r"fewer than 30 meters; the data holds as many or more\."),
        (
            b"\1\x80\x3c\0" * 400,
            r"fewer than 10120 starts and ends of notes,.*; the data holds as many or more\.",
        ),
    ],
)
def test_other_events_have_their_limit_too(reader, event, sentence):
    with pytest.raises(ValueError, match=f"{sentence} .* raise max_notes"):
        midi.read_midi(raw_file(NOTE + event * 31 + END), reader=reader, max_notes=30)


@READERS
def test_three_hours_are_refused_and_the_limit_can_be_raised(reader):
    # 24 ticks a quarter at 120 quarters a minute: 48 ticks a second; tempo halves after the first hour.
    hour = 48 * 3600
    slower = [(hour, meta("set_tempo", tempo=1_000_000))]
    data = file_bytes(slower, [(0, note_on(60)), (2 * hour, note_off(60))])
    with pytest.raises(ValueError, match=r"less than max_hours=3 hours.*; the data plays for 3\.0 hours .*raise"):
        midi.read_midi(data, reader=reader)
    assert midi.read_midi(data, reader=reader, max_hours=3.1).n_steps == 2 * hour


def read_by_both(data):
    """Read with both readers, which must agree, write what was read, and read that."""
    found = []
    for reader in midi.READERS:
        try:
            found.append(midi.read_midi(data, reader=reader))
        except ValueError as error:
            found.append(str(error))
    assert found[0] == found[1]
    piece = midi.read_midi(data)
    assert len(midi.read_midi(midi.to_bytes(piece), max_hours=1000).notes) == len(piece.notes)


def check_none_fails(n_files, seed):
    outcomes = fuzzing.run(read_by_both, altered_midi(n_files, seed))
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)
    kinds = [outcome.kind for outcome in outcomes]
    assert min(kinds.count("read"), kinds.count("refused")) > n_files / 5, fuzzing.report(outcomes)


def test_a_damaged_file_is_a_piece_or_refused_in_our_words():
    check_none_fails(150, seed=1)


def filled(event, first=b""):
    """Return a file of nearly the largest size, one note and one event again and again."""
    return midi_file(NOTE + first + event * (10_900_000 // len(event)) + END)


#: What took mido a gigabyte or a minute, or can: no event may cost much more than its bytes.
LARGE = {
    "programs": lambda: filled(b"\1\2\1\3", b"\0\xc0\1"),
    "notes that never end": lambda: filled(b"\1\x40\x40", b"\0\x90\x40\x40"),
    "notes": lambda: filled(b"\1\x40\x40\1\x40\0", b"\0\x90\x40\x40"),
    "ends": lambda: filled(b"\1\x40\0", b"\0\x90\x40\x40"),
    "tempos": lambda: filled(b"\x14\xff\x51\3\7\xa1\x20"),
    "meters": lambda: filled(b"\x14\xff\x58\4\4\2\x18\x08"),
    "names": lambda: filled(b"\0\xff\3\1a"),
    "one name": lambda: midi_file(NOTE + b"\0" + midi_meta(3, b"a" * 10_900_000) + END),
    "empty texts": lambda: filled(b"\0\xff\1\0"),
    "empty escapes": lambda: filled(b"\0\xf7\0"),
    "pressure": lambda: filled(b"\0\2", b"\0\xd0\1"),
    "zeros": lambda: midi_file(bytes(10_900_000)),
    "high bytes": lambda: midi_file(b"\xff" * 10_900_000),
    "100,000 tracks": lambda: midi_file(*[one(60) + END] * 100_000, n_tracks=65_535),
    "empty tracks": lambda: midi_file(*[b""] * 500_000, n_tracks=65_535),
    "tracks that share a channel": lambda: midi_file(*[b"\0\xc0\1" + one(60) + b"\0\xc0\2" + END] * 60_000),
    "as many tempos as allowed": lambda: midi_file(
        NOTE + b"".join(b"\x14" + midi_meta(0x51, (37 * n + 1).to_bytes(3, "big")) for n in range(99_999)) + END
    ),
    "as many notes as allowed": lambda: midi_file(b"\1\x90\x40\x40\1\x40\0" + b"\1\x40\x40\1\x40\0" * 99_998 + END),
    "100 MB": lambda: bytes(100_000_000),
}


@pytest.mark.slow
@READERS
def test_large_files_are_read_or_refused_in_a_gigabyte_and_twenty_seconds(reader):
    outcomes = fuzzing.run(partial(midi.read_midi, reader=reader), (make() for make in LARGE.values()))
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)


@pytest.mark.slow
def test_a_thousand_damaged_files_are_pieces_or_refused_in_our_words():
    check_none_fails(1000, seed=2)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"steps_per_quarter": 0}, "steps_per_quarter must lie in 1..32767; found 0"),
        ({"reader": "mido"}, "reader must be one of python, symusic; found 'mido'"),
        ({"reader": ["python"]}, r"reader must be one of python, symusic; found \['python'\]"),
        ({"reader": np.array(["python", "mido"])}, "reader must be one of python, symusic; found array"),
        ({"max_notes": 0}, "max_notes must be at least 1; found 0"),
        ({"max_hours": 0}, "max_hours must be a finite number above 0; found 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        midi.read_midi(midi.to_bytes(TRIPLET), **arguments)


@READERS
def test_a_grid_too_fine_for_the_length_is_refused(reader):
    far = midi.to_bytes(Piece(make_notes([0, 2**21], 24, 60)))
    with pytest.raises(ValueError, match=r"The end of the last note, in steps, must lie in .*; found 28632"):
        midi.read_midi(far, 32767, reader, max_hours=1000)


@pytest.mark.parametrize(
    "piece, sentence",
    [
        (Piece(make_notes([], [], [])), r"number of notes of a MIDI file must be at least 1; found 0\. No reader"),
        (
            Piece(TRIPLET.notes, tempos=(Tempo(0, 3.0),)),
            r"\(here 3 quarters per minute\), in microseconds per quarter, must lie in 1\.\.16777215; found 20000000",
        ),
        (
            Piece(TRIPLET.notes, meters=(Meter(0, 256, 4),)),
            r"numerator of a MIDI meter must lie in 1\.\.255; found 256",
        ),
        (Piece(TRIPLET.notes, 96, (Meter(0, 4, 256),)), r"denominator of a MIDI meter must lie in 1\.\.128; found 256"),
        (Piece(TRIPLET.notes, parts=(Part(),) * 65_535), r"parts of a MIDI file must lie in 0\.\.65534; found 65535"),
    ],
)
def test_what_midi_cannot_hold_is_not_written(tmp_path, piece, sentence):
    with pytest.raises(ValueError, match=sentence):
        midi.write_midi(piece, tmp_path / "a.mid")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "column, value, sentence",
    [
        ("velocity", 0, "velocity must lie in 1..127; found 0 at note 1"),
        ("pitch", 128, "pitch must lie in 0..127; found 128"),
        ("onset_step", -5, "onset_step must lie in 0"),
        ("onset_step", 500, "Notes must be in order of onset"),
        ("duration_step", -9, "duration_step must lie in 1"),
        ("part", 1, "part must lie in 0..0; found 1"),
    ],
)
def test_notes_changed_since_the_piece_was_made_are_refused(column, value, sentence):
    piece = Piece(make_notes([0, 8, 16], 8, [60, 62, 64]))
    piece.notes[column][1] = value
    with pytest.raises(ValueError, match=sentence):
        midi.to_bytes(piece)


@pytest.mark.parametrize("path", [5, None, b"a.mid", "a\0.mid", io.BytesIO()])
def test_what_is_no_path_is_not_written(path):
    with pytest.raises(ValueError, match="A path must be text that can name a file"):
        midi.write_midi(TRIPLET, path)


def test_the_last_step_that_notes_can_have_is_read_again():
    piece = Piece(make_notes([0, music.LARGEST_STEP - 2], [1, 2], 60))
    assert midi.read_midi(midi.to_bytes(piece), max_hours=100_000) == piece
