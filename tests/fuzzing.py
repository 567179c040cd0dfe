"""Hostile inputs through a door, in a child process with limits of time and memory.

    outcomes = fuzzing.run(midi.read_midi, (fuzzing.altered(data, generator) for _ in range(1000)))
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)

The door is a function of a module (or ``functools.partial`` of one) that takes one input. An outcome is

* "read": the door came back, and nobody else warned.
* "refused": a ``raise`` of mini_musessl's own, with a sentence that can be printed.
* "failed": whatever else: another library's error, Python's own words, a foreign warning, too slow, too large, a death.
"""

import ast
import contextlib
import functools
import multiprocessing
import re
import resource
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mini_musessl

LIBRARY = Path(mini_musessl.__file__).parent
TESTS = Path(__file__).parent
SECONDS_EACH = 20  # of the processor: the machine may be busy
PATIENCE = 10  # times as long on the clock, for what only waits
MEGABYTES = 1000  # above what the process held before the first input
LONGEST_SENTENCE = 1000  # a refusal that repeats a whole damaged file helps nobody


class Outcome(NamedTuple):
    """What became of one input."""

    kind: str
    said: str
    seconds: float
    megabytes: float
    index: int


def run(
    door: Callable[[Any], object], inputs: Iterable[Any], seconds_each: float = SECONDS_EACH, megabytes=MEGABYTES
) -> list[Outcome]:
    """Send each input through the door; a child that dies or hangs is replaced, and the rest goes on."""
    found, child = [], None
    for index, given in enumerate(inputs):
        child = child or _Child(door, seconds_each, megabytes)
        outcome = child.try_one(given, index)
        found.append(outcome)
        if outcome.kind == "failed":
            child.end()
            child = None
    if child:
        child.end()
    return found


def run_here(door: Callable[[Any], object], inputs: Iterable[Any]) -> list[Outcome]:
    """Send a few known inputs through the door in this process, without limits: a child takes seconds to start."""
    return [Outcome(*_try(door, given), 0.0, 0.0, index) for index, given in enumerate(inputs)]


def failures(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return what was neither read nor refused in a sentence."""
    return [outcome for outcome in outcomes if outcome.kind == "failed"]


def report(outcomes: list[Outcome]) -> str:
    """Return the counts, the worst times and sizes, and each kind of failure with one input's index."""
    counts = Counter(outcome.kind for outcome in outcomes)
    slowest, largest = (max(outcomes, key=lambda each: getattr(each, name)) for name in ("seconds", "megabytes"))
    lines = [
        f"{len(outcomes)} inputs: {', '.join(f'{n} {kind}' for kind, n in sorted(counts.items()))}",
        f"slowest {slowest.seconds:.2f} s (input {slowest.index}), largest {largest.megabytes:.0f} MB "
        f"(input {largest.index})",
    ]
    by_words = {outcome.said: outcome for outcome in reversed(failures(outcomes))}
    return "\n".join(lines + [f"input {each.index}: {said}" for said, each in by_words.items()])


class _Child:
    """A process that waits for inputs; spawned, so that it holds nothing of the tests' own memory."""

    def __init__(self, door: Callable, seconds: float, megabytes: float) -> None:
        self.seconds = seconds
        context = multiprocessing.get_context("spawn")
        self.connection, other_end = context.Pipe()
        self.process = context.Process(target=_serve, args=(other_end, door, seconds, megabytes), daemon=True)
        self.process.start()
        other_end.close()
        self.connection.recv()  # it has imported the door

    def try_one(self, given: Any, index: int) -> Outcome:
        self.connection.send(given)
        start = time.monotonic()
        try:
            if self.connection.poll(PATIENCE * self.seconds):
                return Outcome(*self.connection.recv(), index)
        except EOFError:
            self.process.join(5)
            if self.process.exitcode != -signal.SIGXCPU:
                passed = time.monotonic() - start
                return Outcome("failed", f"died (exit code {self.process.exitcode})", passed, 0, index)
        return Outcome("failed", f"no answer in {self.seconds:g} seconds", self.seconds, 0, index)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Any, door: Callable, seconds: float, megabytes: float) -> None:
    """Answer inputs until the other end is closed."""
    start = _memory("VmHWM")
    # Twice the limit as address space: what only looks large (arenas of threads) passes, what would swap does not.
    resource.setrlimit(resource.RLIMIT_AS, (int((_memory("VmSize") + 2 * megabytes) * 1e6), resource.RLIM_INFINITY))
    connection.send("ready")
    with contextlib.suppress(EOFError):
        while True:
            given = connection.recv()
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
            before = time.process_time()
            resource.setrlimit(resource.RLIMIT_CPU, (int(before + seconds) + 1, resource.RLIM_INFINITY))
            kind, said = _try(door, given)
            passed, peak = time.process_time() - before, _memory("VmHWM") - start
            if kind != "failed" and peak > megabytes:
                kind, said = "failed", f"more than {megabytes:g} MB"
            connection.send((kind, said, passed, peak))


def _memory(name: str) -> float:
    """Return a size of this process in MB, or 0 where there is no /proc."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1000
    return 0.0


def _try(door: Callable, given: Any) -> tuple[str, str]:
    """Return what became of one input, and the words that were said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            door(given)
        except BaseException as error:
            return _judge(error)
    for warning in caught:
        is_ours = any(folder in Path(warning.filename).parents for folder in (LIBRARY, TESTS))
        if not (is_ours and warning.category is UserWarning):
            return "failed", f"{Path(warning.filename).name} warned: {warning.category.__name__}: {warning.message}"
    return "read", ""


def _judge(error: BaseException) -> tuple[str, str]:
    """Return "refused" for an error that a ``raise`` of the library made, else "failed" with where it came from."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    said = f"{type(error).__name__}: {error}"
    where = f"{Path(last.filename).name}:{last.lineno}"
    if not isinstance(error, Exception) or LIBRARY not in Path(last.filename).parents:
        return "failed", f"{said[:300]} ({where})"
    if last.lineno not in _raising_lines(last.filename):
        return "failed", f"Python's own {said[:300]} ({where})"
    if len(said) > LONGEST_SENTENCE or not said.replace("\n", "").isprintable():
        return "failed", f"a sentence nobody can read: {said[:300]!r} ({where})"
    return "refused", said


@functools.cache
def _raising_lines(file_name: str) -> set[int]:
    tree = ast.parse(Path(file_name).read_text(encoding="utf-8"))
    raises = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return {line for node in raises for line in range(node.lineno, node.end_lineno + 1)}


# Ways to damage bytes. Text is damaged as its bytes and decoded with errors="replace".

MAGIC = (b"\0", b"\x7f", b"\x80", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"9" * 20, b"-1", b"\xff\x2f\0")


def altered(data: bytes, generator: np.random.Generator, n_changes: int = 4) -> bytes:
    """Return bytes with up to ``n_changes`` damages, each of a kind drawn from seven."""
    changed = bytearray(data)
    for _ in range(generator.integers(1, n_changes + 1)):
        if changed:
            _damage(changed, generator)
    return bytes(changed)


def _damage(data: bytearray, generator: np.random.Generator) -> None:
    place = int(generator.integers(len(data)))
    stop = place + int(generator.integers(1, 20))
    match generator.integers(7):
        case 0:
            data[place] ^= 1 << int(generator.integers(8))
        case 1:
            data[place] = int(generator.integers(256))
        case 2:
            del data[place:stop]
        case 3:
            data[place:place] = generator.bytes(int(generator.integers(1, 6)))
        case 4:
            data[place:place] = data[place:stop]
        case 5:
            magic = MAGIC[generator.integers(len(MAGIC))]
            data[place : place + len(magic)] = magic
        case 6:
            if generator.random() < 0.2:  # a cut leaves little to try
                del data[place:]


def altered_numbers(text: str, generator: np.random.Generator) -> Iterator[str]:
    """Yield texts without end, in each of which one number is another: zero, negative, huge, a fraction, none."""
    places = list(re.finditer(r"\d+", text))
    values = ("0", "-1", "1000000", "9" * 20, "1e400", "0.5", "", "nan", "\N{ARABIC-INDIC DIGIT FIVE}", "9" * 5000)
    while places:
        place = places[generator.integers(len(places))]
        yield text[: place.start()] + values[generator.integers(len(values))] + text[place.end() :]
