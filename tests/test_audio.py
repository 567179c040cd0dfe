"""Sound is judged by numbers: pitches by Fourier transform, loudness, peaks, clicks, length, bytes."""

import io

import numpy as np
import pytest
import soundfile

from mini_musessl import audio, music, voices

RATE = audio.SAMPLE_RATE


def held(pitches: list[int], quarters: int = 4) -> voices.VoiceGrid:
    """One chord, at 60 quarters a minute."""
    names = tuple(f"voice {i}" for i in range(len(pitches)))
    return voices.from_pitches([pitches] * 4 * quarters, voice_names=names, quarters_per_minute=60)


def progression() -> voices.VoiceGrid:
    """Eight seconds in four voices, with repeated notes, a rest and a unison."""
    chords = [[67, 62, 59, 43], [66, 62, 57, 50], [67, 60, 60, 48], [67, 59, 55, -1]] * 2
    grid = voices.from_pitches(np.repeat(chords, 4, axis=0), quarters_per_minute=60)
    is_onset = grid.is_onset.copy()
    is_onset[::4] = grid.pitch[::4] != voices.REST
    return voices.VoiceGrid(**{**vars(grid), "is_onset": is_onset})


def spectrum(samples: np.ndarray, rate: int = RATE) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and magnitudes, with four times the resolution of the samples."""
    magnitude = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * len(samples)))
    return np.fft.rfftfreq(4 * len(samples), 1 / rate), magnitude


def worst_hiss(samples: np.ndarray) -> float:
    """Loudest 10 ms above 7 kHz, in dB of full scale: tones of the test lie far below, a click reaches up there."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 256)[::64] * np.hanning(256)
    power = np.abs(np.fft.rfft(frames, axis=1)[:, int(7000 / RATE * 256) :]) ** 2
    return 10 * np.log10(power.sum(axis=1).max() / np.sum(np.hanning(256) ** 2) / 128 + 1e-20)


def test_each_tone_of_a_chord_sounds_within_two_cents():
    frequencies, magnitude = spectrum(audio.synthesize(held([72, 67, 64, 48]))[: 3 * RATE])
    for pitch in (72, 67, 64, 48):
        expected = 440 * 2 ** ((pitch - 69) / 12)
        is_near = np.abs(frequencies - expected) < expected * 0.02
        found = frequencies[is_near][magnitude[is_near].argmax()]
        assert abs(1200 * np.log2(found / expected)) < 2
        assert magnitude[is_near].max() > 0.1 * magnitude.max()


def test_nothing_sounds_between_the_harmonics():
    frequencies, magnitude = spectrum(audio.synthesize(held([69]))[RATE : 3 * RATE])
    distance = np.abs(frequencies / 440 - np.rint(frequencies / 440)) * 440
    assert magnitude[distance > 10].max() < 1e-3 * magnitude.max()


def test_a_later_note_sounds_later():
    grid = voices.from_pitches([[60]] * 4 + [[72]] * 4, voice_names=("melody",), quarters_per_minute=60)
    samples = audio.synthesize(grid)
    for part, expected in ((samples[: RATE - 3000], 261.63), (samples[RATE + 3000 : 2 * RATE - 3000], 523.25)):
        frequencies, magnitude = spectrum(part)
        assert frequencies[magnitude.argmax()] == pytest.approx(expected, rel=2e-3)


def test_tempo_changes_move_the_notes():
    notes = music.make_notes([0, 24], [24, 24], [60, 72])
    piece = music.Piece(notes, tempos=(music.Tempo(0, 60.0), music.Tempo(24, 30.0)))
    assert len(audio.synthesize(piece)) == round(3.3 * RATE)


@pytest.mark.parametrize("music_", [progression(), held([60]), held([84, 79, 76, 72]), held([36])])
def test_sound_is_loud_enough_and_never_clipped(music_):
    samples = audio.synthesize(music_)
    rms = np.sqrt(np.mean(samples[: -int(0.3 * RATE)] ** 2))
    assert 0.09 < rms < 0.13
    assert 0.15 < np.abs(samples).max() <= audio.PEAK


def test_an_extreme_peak_is_bent_below_the_ceiling():
    spiky = np.zeros(RATE)
    spiky[::2000] = 1.0
    assert 0.8 < np.abs(audio.normalize(spiky)).max() <= audio.PEAK


def test_loudness_does_not_depend_on_level_or_on_rests():
    tone = np.sin(np.arange(RATE) / 10)
    loud = audio.normalize(tone)
    np.testing.assert_allclose(audio.normalize(0.01 * tone), loud, atol=1e-6)
    with_rest = audio.normalize(np.concatenate([tone, np.zeros(5 * RATE)]))
    np.testing.assert_allclose(with_rest[:RATE], loud, atol=0.01)


def test_notes_begin_and_end_without_clicks():
    samples = audio.synthesize(progression())
    assert worst_hiss(samples) < -100
    assert np.abs(np.diff(samples)).max() < 0.12
    broken = samples.copy()
    broken[np.abs(samples).argmax() :] = 0
    assert worst_hiss(broken) > -50, "the measure must hear a click where there is one"


def test_sound_begins_at_zero_and_ends_in_silence():
    samples = audio.synthesize(progression())
    assert samples[0] == 0
    assert np.abs(samples[-int(0.04 * RATE) :]).max() == 0
    ring = np.abs(samples[-int(0.3 * RATE) :])
    assert ring[: RATE // 20].max() > 5 * ring[RATE // 5 :].max() > 0


def test_a_repeated_note_is_heard_as_two():
    grid = voices.VoiceGrid(**{**vars(held([60], 2)), "is_onset": np.array([[step in (0, 4)] for step in range(8)])})
    loudness = np.sqrt(np.convolve(audio.synthesize(grid) ** 2, np.ones(400) / 400, mode="same"))
    steady = loudness[RATE // 2]
    assert loudness[RATE - 2000 : RATE + 1000].min() < 0.7 * steady
    assert loudness[RATE - 2000 : RATE + 4000].max() < 1.2 * steady


def level_db(samples: np.ndarray, sec: float, width_sec: float = 0.03) -> float:
    """Loudness around a time, in dB of full scale."""
    part = samples[int((sec - width_sec / 2) * RATE) : int((sec + width_sec / 2) * RATE)]
    return 10 * np.log10(np.mean(part**2) + 1e-12)


@pytest.mark.parametrize("pitches", [[[60], [62]], [[72], [74]], [[67, 62, 59, 43], [66, 62, 57, 50]], [[48], [55]]])
def test_notes_are_joined_where_voices_move(pitches):
    names = tuple(f"voice {i}" for i in range(len(pitches[0])))
    grid = voices.from_pitches(np.repeat(pitches * 2, 4, 0), voice_names=names, quarters_per_minute=60)
    samples = audio.synthesize(grid)
    middle = level_db(samples, 1.5, 0.4)
    around = [level_db(samples, 1 + shift) - middle for shift in np.arange(-0.08, 0.1, 0.01)]
    assert min(around) > -3 and max(around) < 3


def test_a_pitch_that_its_part_repeats_is_set_apart_and_one_that_another_part_takes_over_is_not():
    for part, dip in (([0, 0], -9), ([0, 1], -3)):
        piece = music.Piece(music.make_notes([0, 48], 48, 60, part=part), parts=(music.Part("a"), music.Part("b")))
        samples = audio.synthesize(piece)
        lowest = min(level_db(samples, 1 + shift, 0.02) for shift in np.arange(-0.06, 0.06, 0.01))
        assert (lowest - level_db(samples, 0.5, 0.4) < dip) == (part == [0, 0])


def test_a_voice_that_is_brought_out_sounds_6_db_above_the_others_and_brighter():
    notes = music.make_notes([0, 96], 48, 60, part=[0, 1])  # one after the other
    piece = music.Piece(notes, parts=(music.Part("alto"), music.Part("bass")))
    for brought_out, decibels, is_brighter in (((), 0, False), ("bass", 6, True), (("alto", "bass"), 0, False)):
        samples = audio.synthesize(piece, bring_out=brought_out)
        alto, bass = (samples[int(sec * RATE) : int((sec + 0.9) * RATE)] for sec in (0.05, 2.05))
        assert 20 * np.log10(np.std(bass) / np.std(alto)) == pytest.approx(decibels, abs=0.5)
        centres = [np.average(spectrum(each)[0], weights=spectrum(each)[1] ** 2) for each in (alto, bass)]
        assert (centres[1] > 1.3 * centres[0]) == is_brighter


def test_a_fermata_is_heard_as_long_as_it_is_held():
    grid = voices.from_pitches([[60]] * 8, voice_names=("a",), is_fermata=[False] * 4 + [True] * 4)
    assert len(audio.synthesize(grid)) == round((3 * 0.75 + 0.3) * RATE)


def test_two_voices_on_one_pitch_add_up_wherever_they_begin():
    late = voices.from_pitches([[60, -1]] * 3 + [[60, 60]] * 9, voice_names=("a", "b"), quarters_per_minute=67)
    samples = audio.synthesize(late)
    start = round(3 * 60 / 67 / 4 * RATE)
    alone = np.sqrt(np.mean(samples[start - 6000 : start - 1000] ** 2))
    together = np.sqrt(np.mean(samples[start + 3000 : start + 8000] ** 2))
    assert 1.7 < together / alone < 2.1


def test_velocity_sets_the_loudness():
    notes = music.make_notes([0, 48], 24, 60, velocity=[127, 64])
    samples = audio.synthesize(music.Piece(notes))
    first, second = (np.sqrt(np.mean(samples[a : a + RATE // 3] ** 2)) for a in (RATE // 10, RATE + RATE // 10))
    assert second / first == pytest.approx((64 / 127) ** 2, rel=0.02)


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_length_is_the_music_and_a_short_tail(rate):
    assert len(audio.synthesize(held([60], 2), sample_rate=rate)) == round(2.3 * rate)


def test_the_same_music_gives_the_same_samples_and_bytes():
    first, second = audio.synthesize(progression()), audio.synthesize(progression())
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, second)
    assert audio.to_mp3(first) == audio.to_mp3(second)


def test_a_grid_and_its_piece_sound_alike():
    np.testing.assert_array_equal(audio.synthesize(progression()), audio.synthesize(voices.to_piece(progression())))


def test_the_highest_pitch_sounds_without_alias():
    frequencies, magnitude = spectrum(audio.synthesize(held([127]), sample_rate=44100)[:44100], 44100)
    assert frequencies[magnitude.argmax()] == pytest.approx(12543.85, rel=1e-4)
    assert magnitude[np.abs(frequencies - 12543.85) > 50].max() < 1e-3 * magnitude.max()


def test_a_pitch_beyond_half_the_sample_rate_is_left_out():
    np.testing.assert_array_equal(audio.synthesize(held([127, 60])), audio.synthesize(held([-1, 60])))


def test_drums_are_short_bursts_and_the_same_on_every_run():
    kit = (music.Part("kit", is_drum=True),)
    piece = music.Piece(music.make_notes([0, 24, 48], 6, [36, 38, 42]), parts=kit, n_steps=96)
    samples = audio.synthesize(piece)
    np.testing.assert_array_equal(samples, audio.synthesize(piece))
    bursts = [samples[a : a + RATE // 20] for a in (0, RATE // 2, RATE)]
    brightness = [np.average(spectrum(burst)[0], weights=spectrum(burst)[1]) for burst in bursts]
    assert brightness[0] < brightness[1] < brightness[2]
    assert np.abs(samples[RATE + RATE // 3 :]).max() == 0


def test_a_very_short_note_still_rises_softly():
    notes = music.make_notes([0, 24], [1, 1], [72, 60])
    piece = music.Piece(notes, tempos=(music.Tempo(0, 300.0),))
    assert worst_hiss(audio.synthesize(piece)) < -70


def test_mp3_gives_the_same_sound_back():
    samples = audio.synthesize(progression())
    decoded, rate = soundfile.read(io.BytesIO(audio.to_mp3(samples)))
    assert rate == RATE
    assert abs(len(decoded) - len(samples)) < 0.1 * RATE
    common = min(len(decoded), len(samples))
    assert np.corrcoef(decoded[:common], samples[:common])[0, 1] > 0.99
    assert np.abs(decoded).max() < 1


def test_fifteen_seconds_of_mp3_take_less_than_60_kilobytes():
    samples = np.tile(audio.synthesize(progression()), 2)[: 15 * RATE]
    assert len(samples) == 15 * RATE
    assert 15_000 < len(audio.to_mp3(samples)) < 60_000


def test_fade_out_ends_at_zero_and_leaves_the_beginning():
    faded = audio.fade_out(np.ones(RATE), 0.5)
    assert faded[-1] == 0
    assert (faded[: RATE // 2] == 1).all()
    assert (np.diff(faded) <= 0).all()


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (np.zeros((100, 2)), r"one row of finite samples; found shape \(100, 2\)"),
        (np.zeros(0), r"one row of finite samples; found shape \(0,\)"),
        (np.array([0.0, np.nan]), "with NaN or infinity"),
        (np.array([0.0, 2.0]), r"must lie in -1..1 to be written; found 2. Use audio.normalize"),
    ],
)
def test_samples_that_cannot_be_written_are_refused(samples, sentence):
    with pytest.raises(ValueError, match=sentence):
        audio.to_mp3(samples)


@pytest.mark.parametrize("scale", [1e-250, 1e-3, 1e250])
def test_loudness_does_not_depend_on_the_scale(scale):
    tone = np.sin(np.arange(4000) / 10)
    np.testing.assert_allclose(audio.normalize(scale * tone), audio.normalize(tone), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda s: audio.synthesize(held([-1])), ValueError, "at least one note to be played; found none"),
        (lambda s: audio.synthesize([60]), TypeError, r"must be a music.Piece or a voices.VoiceGrid; found list"),
        (
            lambda s: audio.synthesize(held([127])),
            ValueError,
            r"only frequencies below 11025 Hz .* Use sample_rate",
        ),
        (
            lambda s: audio.synthesize(held([60], 601)),
            ValueError,
            r"at most 600 s to be played at 22050 samples a second; this lasts 601 s",
        ),
        (
            lambda s: audio.synthesize(held([60], 599), 48000),
            ValueError,
            "at most 276 s to be played at 48000 samples a second; this lasts 599 s",
        ),
        (
            lambda s: audio.synthesize(music.Piece(music.make_notes([0] * 30, 24 * 2 * 400, 60))),
            ValueError,
            "may last 10000 s in all, one after the other; these 30 last 12000 s. Cut",
        ),
        (
            lambda s: audio.synthesize(music.Piece(music.make_notes(np.arange(10**6) // 1000, 1, 60))),
            ValueError,
            "these 1000000 last 100000 s",
        ),
        (lambda s: audio.synthesize(held([60]), 10**6 * 22050), ValueError, "at most 0 s to be played at 22050000000"),
        (lambda s: audio.to_mp3(s, 22050.5), ValueError, "must be one of 8000, .*; found 22050.5"),
        (lambda s: audio.synthesize(held([60]), 4000), ValueError, "sample_rate must be at least 8000; found 4000"),
        (lambda s: audio.synthesize(held([60]), bring_out="alto"), ValueError, "one of voice 0; found 'alto'"),
        (lambda s: audio.normalize(0 * s), ValueError, "found silence"),
        (lambda s: audio.to_mp3(s, 10000), ValueError, "sample rate of an MP3 must be one of 8000, .*; found 10000"),
        (lambda s: audio.normalize(s, 0), ValueError, "sample_rate must be at least 1; found 0"),
        (lambda s: audio.normalize(s, 22050.5), TypeError, "sample_rate must be a whole number; found 22050.5"),
        (lambda s: audio.normalize(["a"]), TypeError, "must be an array of numbers; found <U1"),
        (lambda s: audio.normalize(s * 1j), TypeError, "must be an array of numbers; found complex128"),
        (lambda s: audio.fade_out(s, -1), ValueError, "must last 0 seconds or more; found -1"),
        (lambda s: audio.fade_out(s, np.nan), ValueError, "must last 0 seconds or more; found nan"),
    ],
)
def test_requests_of_another_kind_are_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(np.full(100, 0.5))
