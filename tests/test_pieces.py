"""Whole pieces: what is given stays, what is written fits, and the refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_sampling import from_seed, make_frame_model, make_lively, make_token_model

from mini_musessl import generation, voices
from mini_musessl.generation.sampling import Sampling
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

# Tiny matrices: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)


def make_masked_model(**changes):
    sizes = {"context_length": 16, "d_model": 16, "n_layers": 1, "n_heads": 2, "d_feedforward": 20, "d_voice": 10}
    return make_lively(MaskedTransformer(EncoderConfig(**sizes | changes)))


@pytest.fixture(scope="module")
def chorale_model():
    return make_masked_model()


def test_a_grid_is_continued_in_its_meter_and_its_opening_stays():
    model = make_token_model(context_length=32)
    pitch = np.tile([72, 67, 64, 48], (6, 1))
    is_onset = np.zeros((6, 4), bool)
    is_onset[[0, 2]] = True  # a repeated chord, which the tokens cannot say
    opening = voices.from_pitches(
        pitch, is_onset=is_onset, meter=(3, 4), bar_position_step=(np.arange(6) + 8) % 12, fifths=1, name="bwv1"
    )
    whole = generation.continue_piece(model, opening, 9, from_seed())
    assert whole.n_steps == 15
    assert voices.cut(whole, 0, 6) == replace(opening, fifths=None, name="")
    assert whole.bar_position_step.tolist() == [(8 + step) % 12 for step in range(15)]
    assert (whole.meter, whole.fifths, whole.name, whole.title) == ((3, 4), None, "", "")  # not those of the new music
    again = generation.continue_piece(model, opening, 9, from_seed())
    assert again == whole


def test_a_piece_is_continued_by_frames_too():
    opening = voices.from_pitches([[72, 67, 64, 48]] * 5)
    whole = generation.continue_piece(make_frame_model(), opening, 30, from_seed(), Sampling(top_k=5))
    assert whole.n_steps == 35 and voices.cut(whole, 0, 5) == opening
    prompt = torch.from_numpy(VoiceGridTokens().as_steps(VoiceGridTokens().encode(opening)))[None]
    added = generation.sample_frames(make_frame_model(), prompt, 30, from_seed(), Sampling(top_k=5))
    assert np.array_equal(whole.pitch[5:], VoiceGridTokens().decode(added[0].numpy()).pitch)


def test_an_opening_longer_than_the_context_is_continued_from_its_latest_part():
    pitch = np.random.default_rng(0).integers(48, 72, (40, 4))
    other = np.where(np.arange(40)[:, None] < 20, pitch + 1, pitch)
    model = make_frame_model(context_length=16)
    one, two = (generation.continue_piece(model, voices.from_pitches(each), 6, from_seed()) for each in (pitch, other))
    assert np.array_equal(one.pitch[40:], two.pitch[40:]) and np.array_equal(two.pitch[:40], other)


@pytest.mark.parametrize("make", [make_frame_model, make_token_model])
def test_a_grid_is_harmonised_and_its_facts_stay(make):
    pitch = np.tile([72, 67, 64, 48], (6, 1))
    pitch[4] = [-1, -1, -1, -1]
    is_onset = np.zeros((6, 4), bool)
    is_onset[[0, 2, 5]] = True
    is_fermata = np.arange(6) == 5
    facts = {"is_onset": is_onset, "is_fermata": is_fermata, "bar_position_step": np.arange(6) + 4, "fifths": 1}
    given = voices.from_pitches(pitch, **facts, name="bwv1", title="Hymn")
    written = generation.harmonise(make(), given, from_seed(), n_particles=3)
    assert written.pitch[:, 0].tolist() == [72, 72, 72, 72, -1, 72]
    assert written.is_onset[:, 0].tolist() == is_onset[:, 0].tolist()
    assert (written.fifths, written.name, written.title) == (1, "", "")
    assert np.array_equal(written.bar_position_step, given.bar_position_step)
    assert np.array_equal(written.is_fermata, is_fermata)
    alone = generation.harmonise(make(), given.pitch[:, 0], from_seed(), n_particles=3)
    assert np.array_equal(alone.pitch, written.pitch)
    other = generation.harmonise(make(), given.pitch[:, 0], from_seed(1), n_particles=3)
    assert not np.array_equal(alone.pitch[:, 1:], other.pitch[:, 1:])


def test_a_melody_is_harmonised_as_it_was_given(chorale_model):
    melody = np.repeat([72, 74, -1, 76], 10)
    grid = generation.harmonise_by_infilling(chorale_model, melody, from_seed(), n_sweeps=2)
    assert grid.pitch[:, 0].tolist() == melody.tolist()
    assert grid.pitch.shape == (40, 4)
    again = generation.harmonise_by_infilling(chorale_model, grid, from_seed(), n_sweeps=2)
    assert again == grid


def test_a_piece_keeps_its_given_notes_and_facts(chorale_model):
    pitch = np.repeat([[72, 67, 64, 48], [74, 67, 65, 47], [76, 67, 67, 48]], 8, axis=0)
    is_onset = voices.from_pitches(pitch).is_onset.copy()
    is_onset[4, [0, 1, 3]] = True  # notes that are struck again
    piece = replace(voices.from_pitches(pitch, fifths=0, mode="major", name="bwv0", title="a hymn"), is_onset=is_onset)
    is_alto = np.zeros((24, 4), bool)
    is_alto[:, 1] = True
    filled = generation.infill_piece(chorale_model, piece, is_alto, from_seed(), n_sweeps=3)
    assert (filled.pitch[:, [0, 2, 3]] == pitch[:, [0, 2, 3]]).all()
    assert (filled.is_onset[:, [0, 2, 3]] == is_onset[:, [0, 2, 3]]).all()
    assert (filled.pitch[:, 1] != 67).any()
    assert (filled.fifths, filled.mode, filled.name, filled.title) == (0, "major", "", "")


def test_what_stands_in_hidden_cells_of_a_piece_may_lie_beyond_the_vocabulary(chorale_model):
    is_alto = np.zeros((12, 4), bool)
    is_alto[3:9, 1] = True
    pitch = np.tile([72, 67, 64, 48], (12, 1))
    strange = np.where(is_alto, 90, pitch)
    fillings = [
        generation.infill_piece(chorale_model, voices.from_pitches(each), is_alto, from_seed(), n_sweeps=3)
        for each in (pitch, strange)
    ]
    assert (fillings[0].pitch == fillings[1].pitch).all()
    assert (fillings[1].pitch[~is_alto] == pitch[~is_alto]).all()
    with pytest.raises(ValueError, match=r"Pitches must lie in 36\.\.81; found 48..90"):
        generation.infill_piece(chorale_model, voices.from_pitches(strange), np.roll(is_alto, 1, axis=0), from_seed())


def test_tokens_that_hold_keep_given_notes_beside_hidden_cells():
    tokenizer, network = VoiceGridTokens(has_hold=True), make_masked_model(vocabulary_size=48)
    is_hidden = np.zeros((8, 4), bool)
    is_hidden[2:5, 1] = True
    piece = voices.from_pitches(np.tile([72, 67, 64, 48], (8, 1)))
    filled = generation.infill_piece(network, piece, is_hidden, from_seed(), n_sweeps=2, tokenizer=tokenizer)
    assert (filled.pitch[~is_hidden] == piece.pitch[~is_hidden]).all()


def test_a_note_after_a_filled_one_is_struck_where_it_differs(chorale_model):
    piece = voices.from_pitches(np.full((6, 4), 60))
    is_hidden = np.zeros((6, 4), bool)
    is_hidden[2:4] = True
    filled = generation.infill_piece(chorale_model, piece, is_hidden, from_seed(), n_sweeps=2)
    differs = filled.pitch[3] != 60
    assert differs.any()
    assert (filled.is_onset[4] == differs).all()


CHORD = voices.from_pitches([[72, 67, 64, 48]])
SILENCE = voices.from_pitches(np.zeros((0, 4), int))
OTHER = torch.nn.Linear(2, 2)
WRITER, FILLER = make_frame_model(), make_masked_model()
ALL = np.ones((1, 4), bool)


@pytest.mark.parametrize(
    "write, arguments, sentence",
    [
        ("continue_piece", (WRITER, CHORD, 0), "n_steps must be at least 1; found 0"),
        ("continue_piece", (WRITER, SILENCE, 4), "opening must hold at least 1 step; found none"),
        ("continue_piece", (OTHER, CHORD, 4), "drawn from a FrameTransformer or MusicTransformer, .* found Linear"),
        ("continue_piece", (make_frame_model(vocabulary_size=11), CHORD, 4), "has 11 symbols and the tokenizer 47"),
        ("harmonise", (WRITER, [72, 82]), r"Pitches must lie in 36\.\.81; found .*82"),
        ("harmonise", (WRITER, CHORD.pitch), r"found the shape \(1, 4\) and .* take its first column"),
        ("harmonise", (WRITER, np.array([], int)), r"at least one; found the shape \(0,\)"),
        ("harmonise", (WRITER, [72.0, 74.0]), "whole MIDI pitches .* type float64"),
        ("harmonise", (FILLER, [72]), "found MaskedTransformer"),
        ("harmonise_by_infilling", (WRITER, [72]), "found FrameTransformer"),
        ("harmonise_by_infilling", (make_masked_model(vocabulary_size=7), [72]), "the model has 7 symbols"),
        ("infill_piece", (FILLER, CHORD, ALL.T), r"is_hidden must have the shape \(1, 4\); found \(4, 1\)"),
        ("infill_piece", (FILLER, CHORD, ALL.astype(int)), "is_hidden must be True or False; found int64"),
        ("infill_piece", (FILLER, CHORD, ~ALL), "At least one cell must be hidden"),
    ],
)
def test_a_piece_that_cannot_be_written_is_refused(write, arguments, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        getattr(generation, write)(*arguments, from_seed())
