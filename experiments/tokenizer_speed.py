"""How many notes a second each tokenizer encodes on one core, beside MidiTok's REMI on the same music.

python experiments/tokenizer_speed.py            # about a minute; writes mini_musessl/results/tokenizer_speed.json
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

# Set before NumPy is imported: no library may start threads beside the one core that is measured.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import miditok
import numpy as np
import provenance
import symusic

from mini_musessl import music, voices
from mini_musessl.tokenizers.compound import CompoundWords
from mini_musessl.tokenizers.midi_like import MidiLike
from mini_musessl.tokenizers.remi import Remi
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

SEED = 20
N_PIECES = 100
N_NOTES_A_PIECE = 1000
N_RUNS = 7
STEPS = music.DEFAULT_STEPS_PER_QUARTER


def make_piece(rng: np.random.Generator, n_notes: int) -> music.Piece:
    """Return a piece of one part: four notes a quarter on average, on the sixteenth and triplet grid."""
    onset = np.sort(rng.integers(0, n_notes * STEPS // 8, n_notes)) * 2
    duration = rng.integers(1, 4 * STEPS + 1, n_notes)
    notes = music.make_notes(onset, duration, rng.integers(21, 109, n_notes), rng.integers(1, 128, n_notes))
    return music.Piece(music.sort_notes(notes))


def make_grid(rng: np.random.Generator, n_notes: int) -> voices.VoiceGrid:
    """Return four voices that hold each pitch for one to four steps."""
    n_a_voice = n_notes // 4
    columns = [np.repeat(rng.integers(48, 72, n_a_voice), rng.integers(1, 5, n_a_voice)) for _ in range(4)]
    shortest = min(len(column) for column in columns)
    return voices.from_pitches(np.stack([column[:shortest] for column in columns], axis=1))


def to_score(piece: music.Piece) -> symusic.Score:
    """Return the notes of a piece as a symusic score, one tick a step."""
    score = symusic.Score(STEPS)
    track = symusic.Track("", 0, False)
    columns = [piece.notes[name].astype(np.int32) for name in ("onset_step", "duration_step")]
    columns += [piece.notes[name].astype(np.int8) for name in ("pitch", "velocity")]
    track.notes = symusic.Note.from_numpy(*columns)
    score.tracks.append(track)
    return score


def make_miditok() -> miditok.REMI:
    """Return MidiTok's REMI with the options of ours: no meters, tempos or programs; every length up to 8 quarters."""
    config = miditok.TokenizerConfig(
        pitch_range=(0, 127),
        beat_res={(0, 8): STEPS},
        num_velocities=32,
        use_programs=False,
        use_time_signatures=False,
        use_pitchdrum_tokens=False,
        encode_ids_split="no",
    )
    return miditok.REMI(config)


def measure(encode: Callable, works: list) -> float:
    """Return the processor's seconds for encoding all works: what other programs do meanwhile does not count."""
    start = time.process_time()
    for work in works:
        encode(work)
    return time.process_time() - start


def make_rows(music_name: str, runs: list[tuple], n_runs: int) -> list[dict]:
    """Measure several tokenizers in turn, so that a busy minute slows all of them, and return a row for each.

    Args:
        runs: of each tokenizer its name, its function, the works and their number of notes.
        n_runs: how often each is measured, after one round that does not count.
    """
    seconds = np.array([[measure(encode, works) for _, encode, works, _ in runs] for _ in range(n_runs + 1)])[1:]
    return [
        {
            "music": music_name,
            "tokenizer": name,
            "notes": n_notes,
            "median_sec": round(float(np.median(seconds[:, column])), 4),
            "slowest_sec": round(float(seconds[:, column].max()), 4),
            "notes_per_sec": round(n_notes / float(np.median(seconds[:, column]))),
        }
        for column, (name, _, _, n_notes) in enumerate(runs)
    ]


def main() -> None:
    """Measure every tokenizer on many short works and on one long one, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=N_RUNS, help="measured runs of each tokenizer")
    parser.add_argument("--folder", type=Path, default=provenance.RESULTS, help="where to write the result")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    start = time.perf_counter()
    rows = []
    for label, n_pieces in ((f"{N_PIECES} pieces of {N_NOTES_A_PIECE} notes", N_PIECES), ("one piece", 1)):
        rng = np.random.default_rng(SEED)
        n_notes = N_PIECES * N_NOTES_A_PIECE // n_pieces
        pieces = [make_piece(rng, n_notes) for _ in range(n_pieces)]
        scores = [to_score(piece) for piece in pieces]
        grids = [make_grid(rng, n_notes) for _ in range(n_pieces)]
        total = sum(len(piece.notes) for piece in pieces)
        runs = [(type(t).__name__, t.encode, pieces, total) for t in (Remi(), MidiLike(), CompoundWords())]
        runs += [("VoiceGridTokens", VoiceGridTokens().encode, grids, sum(int(g.is_onset.sum()) for g in grids))]
        theirs = make_miditok()
        prepared = [theirs.preprocess_score(score) for score in scores]
        runs += [("MidiTok REMI", theirs.encode, scores, total)]
        runs += [("MidiTok REMI, score prepared", partial(theirs.encode, no_preprocess_score=True), prepared, total)]
        rows += make_rows(label, runs, options.runs)
        # The comparison is fair only if both write equally much.
        n_ours = sum(len(Remi().encode(piece)) for piece in pieces)
        n_theirs = sum(len(theirs.encode(score)[0].ids) for score in scores)
        if n_ours != n_theirs:
            raise RuntimeError(f"Both REMIs must write as many tokens; ours wrote {n_ours}, MidiTok's {n_theirs}.")

    path = provenance.write_result(
        "tokenizer_speed",
        rows,
        seeds=[SEED],
        seconds=time.perf_counter() - start,
        packages=("miditok", "symusic"),
        runs=options.runs,
        cores=1,
        folder=options.folder,
    )
    for row in rows:
        print(f"{row['music']:<28} {row['tokenizer']:<28} {row['notes_per_sec']:>12,} notes a second")
    print(f"Wrote {path.name}.")


if __name__ == "__main__":
    main()
