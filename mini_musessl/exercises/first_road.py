"""Exercises of notebook 00: the marks, the target, and the temperature.

Chapter: 00 (the road in five minutes).
"""

from __future__ import annotations

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def uniform_nats(vocabulary_size: int) -> float:
    """Return the loss of a model that gives every symbol the same probability."""
    return float(np.log(vocabulary_size))


def _uniform_bits(vocabulary_size: int) -> float:
    """Mistake: the logarithm to base 2."""
    return float(np.log2(vocabulary_size))


def _uniform_decimal(vocabulary_size: int) -> float:
    """Mistake: the logarithm to base 10."""
    return float(np.log10(vocabulary_size))


def _uniform_one_less(vocabulary_size: int) -> float:
    """Mistake: count the symbols from the largest id."""
    return float(np.log(vocabulary_size - 1))


def _uniform_negative(vocabulary_size: int) -> float:
    """Mistake: the log-probability, without its minus sign."""
    return float(-np.log(vocabulary_size))


def _uniform_probability(vocabulary_size: int) -> float:
    """Mistake: the probability itself."""
    return 1 / vocabulary_size


def inputs_and_targets(token_ids: np.ndarray, begin_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network reads, and what it must predict at each position.

    Args:
        token_ids: (n_tokens,), one piece.
        begin_id: what the network reads before the first token.
    """
    return np.concatenate(([begin_id], token_ids[:-1])), token_ids


def _not_shifted(token_ids: np.ndarray, begin_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: let the network read what it must predict."""
    return token_ids, token_ids


def _shifted_backwards(token_ids: np.ndarray, begin_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: predict the token before."""
    return token_ids, np.concatenate(([begin_id], token_ids[:-1]))


def _without_begin(token_ids: np.ndarray, begin_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: leave the first token without a prediction."""
    return token_ids[:-1], token_ids[1:]


def _rolled(token_ids: np.ndarray, begin_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: put the last token where the begin symbol belongs."""
    return np.roll(token_ids, 1), token_ids


def _one_too_long(token_ids: np.ndarray, begin_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: keep the last token among the inputs."""
    return np.concatenate(([begin_id], token_ids)), token_ids


def pooled_unigram_nats(train_ids: np.ndarray, test_ids: np.ndarray, vocabulary_size: int) -> float:
    """Return the mean loss on the test of a model that counts, with one added to every count.

    Args:
        train_ids: where to count.
        test_ids: where to measure.
        vocabulary_size: number of symbols.
    """
    counts = np.bincount(train_ids, minlength=vocabulary_size) + 1
    return float(-np.log(counts / counts.sum())[test_ids].mean())


def _unigram_unsmoothed(train_ids: np.ndarray, test_ids: np.ndarray, vocabulary_size: int) -> float:
    """Mistake: add nothing, so that a symbol never seen is impossible."""
    counts = np.bincount(train_ids, minlength=vocabulary_size)
    with np.errstate(divide="ignore"):
        return float(-np.log(counts / counts.sum())[test_ids].mean())


def _unigram_bits(train_ids: np.ndarray, test_ids: np.ndarray, vocabulary_size: int) -> float:
    """Mistake: the logarithm to base 2."""
    return pooled_unigram_nats(train_ids, test_ids, vocabulary_size) / float(np.log(2))


def _unigram_sum(train_ids: np.ndarray, test_ids: np.ndarray, vocabulary_size: int) -> float:
    """Mistake: add the losses of all tokens up."""
    return pooled_unigram_nats(train_ids, test_ids, vocabulary_size) * len(test_ids)


def _unigram_old_total(train_ids: np.ndarray, test_ids: np.ndarray, vocabulary_size: int) -> float:
    """Mistake: divide by the number of tokens as it was before one was added to each count."""
    counts = np.bincount(train_ids, minlength=vocabulary_size) + 1
    return float(-np.log(counts / len(train_ids))[test_ids].mean())


def _unigram_of_test(train_ids: np.ndarray, test_ids: np.ndarray, vocabulary_size: int) -> float:
    """Mistake: count in the test itself."""
    return pooled_unigram_nats(test_ids, test_ids, vocabulary_size)


def _unigram_on_train(train_ids: np.ndarray, test_ids: np.ndarray, vocabulary_size: int) -> float:
    """Mistake: measure on the music that was counted."""
    return pooled_unigram_nats(train_ids, train_ids, vocabulary_size)


def _unigram_entropy(train_ids: np.ndarray, test_ids: np.ndarray, vocabulary_size: int) -> float:
    """Mistake: the entropy of the counts, which never looks at the test."""
    counts = np.bincount(train_ids, minlength=vocabulary_size) + 1
    probabilities = counts / counts.sum()
    return float(-(probabilities * np.log(probabilities)).sum())


def with_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities, sharper below temperature 1 and flatter above.

    Args:
        logits: (n_symbols,), scores before softmax.
        temperature: above 0.
    """
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max())
    return powers / powers.sum()


def _temperature_upside_down(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: multiply instead of dividing."""
    return with_temperature(logits, 1 / temperature)


def _temperature_after(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: divide the probabilities."""
    return with_temperature(logits, 1.0) / temperature


def _temperature_after_and_again(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: divide the probabilities and take the softmax once more."""
    return with_temperature(with_temperature(logits, 1.0), temperature)


def _temperature_unnormalised(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: forget to normalise."""
    return np.exp(logits / temperature)


def _temperature_unnormalised_shifted(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: forget to normalise after subtracting the largest."""
    return np.exp((logits - logits.max()) / temperature)


def _temperature_powers(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: raise the probabilities to a power and forget to normalise."""
    return with_temperature(logits, 1.0) ** (1 / temperature)


def _temperature_ignored(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: the temperature has no effect, as when probabilities are divided and then normalised."""
    return with_temperature(logits, 1.0)


def _temperature_logits(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: stop before the softmax."""
    return logits / temperature


EXERCISES = (
    Exercise(
        id="0.1",
        title="The mark of a model that knows nothing",
        minutes=3,
        task=(
            "Write `uniform_nats(vocabulary_size)`: the mean loss, in nats, of a model that gives every symbol the "
            "same "
            "probability."
        ),
        hint="What is the probability of one symbol? The loss is minus its natural logarithm.",
        cases=lambda: ((47,), (2,), (1000,)),
        solution=uniform_nats,
        mistakes=(
            Mistake(_uniform_bits, "You give {found} bits; nats use the natural logarithm, `np.log`."),
            Mistake(_uniform_decimal, "You use the logarithm to base 10; nats use the natural one, `np.log`."),
            Mistake(
                _uniform_one_less,
                "You count one symbol too few: ids run from 0 to vocabulary_size - 1, which makes vocabulary_size "
                "symbols.",
            ),
            Mistake(
                _uniform_negative,
                "The logarithm of a probability is negative; the loss is minus that, so it is positive.",
            ),
            Mistake(_uniform_probability, "You give the probability; the loss is minus its logarithm."),
        ),
        fact="47 symbols cost {outputs[0]} nats each, and the first loss of a fresh model should be near that.",
        tolerance=1e-6,
    ),
    Exercise(
        id="0.2",
        title="What to read, what to predict",
        minutes=5,
        task=(
            "Write `inputs_and_targets(token_ids, begin_id)` for one piece. Return two arrays as long as "
            "`token_ids`: what "
            "the network reads, and the token that it must predict at each position. `begin_id` is what it reads "
            "before it "
            "has heard anything."
        ),
        hint="Every token of the piece is predicted once, also the first. The network may read only what came before "
        "it.",
        cases=lambda: ((np.array([37, 32, 29, 13, 37]), 47), (np.array([5, 6]), 0)),
        solution=inputs_and_targets,
        mistakes=(
            Mistake(
                _not_shifted,
                "Input and target are the same: the network would learn to copy what it reads, with a loss near 0, and "
                "could write nothing. Shift the inputs by one.",
            ),
            Mistake(
                _shifted_backwards,
                "Shifted the wrong way: your network reads a token and predicts the one before it. It would learn to "
                "remember, not to continue.",
            ),
            Mistake(
                _without_begin,
                "Your arrays are one too short: the first token is never predicted. Put begin_id before it.",
            ),
            Mistake(
                _rolled,
                "Your first input is the last token of the piece: np.roll goes round in a circle. Put begin_id there.",
            ),
            Mistake(_one_too_long, "The inputs are one longer than the targets: nothing follows the last token."),
        ),
        fact="every token is a target once, and the network reads it one place later.",
    ),
    Exercise(
        id="0.3",
        title="A model that only counts",
        minutes=10,
        task=(
            "Write `pooled_unigram_nats(train_ids, test_ids, vocabulary_size)`: the unigram mark with one table for "
            "all voices. Count each symbol in `train_ids`, add one to every count, make probabilities of the counts, "
            "and return the mean loss in nats on `test_ids`."
        ),
        hint="`np.bincount(ids, minlength=...)` counts also the symbols that never occur.",
        cases=lambda: (
            (np.array([0, 0, 0, 1]), np.array([0, 1, 2]), 3),
            (np.array([1, 1, 2, 0, 1]), np.array([1, 1]), 4),
        ),
        solution=pooled_unigram_nats,
        mistakes=(
            Mistake(
                _unigram_unsmoothed,
                "A symbol that you never counted has probability 0, and one of them makes the loss infinite. Add one "
                "to "
                "every count.",
            ),
            Mistake(_unigram_bits, "You give bits; nats use the natural logarithm, `np.log`."),
            Mistake(_unigram_sum, "You add the losses of all tokens up; a loss is their mean, whatever the length."),
            Mistake(
                _unigram_old_total,
                "Your probabilities sum to more than 1: after adding one to each count, divide by the new total.",
            ),
            Mistake(
                _unigram_of_test,
                "You count in the test: the model has seen what it is asked. Count in train_ids, measure on test_ids.",
            ),
            Mistake(_unigram_on_train, "You measure on the music that you counted: test_ids is never asked."),
            Mistake(
                _unigram_entropy,
                "You give the entropy of the counts, which never looks at test_ids. Look up the probability of each "
                "token "
                "there.",
            ),
        ),
        fact="a symbol that training never showed costs much, but not infinitely much.",
        tolerance=1e-6,
    ),
    Exercise(
        id="0.4",
        title="Turn up the heat",
        minutes=5,
        task=(
            "Write `with_temperature(logits, temperature)`: return the probabilities that belong to an array of "
            "logits. "
            "Below 1 the likely symbols gain, above 1 the unlikely ones."
        ),
        hint="Softmax is `np.exp(z) / np.exp(z).sum()`. Which operation on z makes differences larger when the "
        "temperature falls?",
        cases=lambda: (
            (np.array([2.0, 1.0, 0.0]), 0.5),
            (np.array([2.0, 1.0, 0.0]), 2.0),
            (np.array([0.0, -1.0, 3.0, 0.5]), 1.0),
        ),
        solution=with_temperature,
        mistakes=(
            Mistake(
                _temperature_upside_down,
                "Upside down: at temperature 0.5 your distribution gets flatter. Divide the logits, do not multiply.",
            ),
            Mistake(
                _temperature_after,
                "You divide the probabilities, so that they no longer sum to 1. Divide the logits, before the softmax.",
            ),
            Mistake(
                _temperature_after_and_again,
                "You divide the probabilities and take the softmax of them: divide the logits, and take one softmax.",
            ),
            Mistake(
                _temperature_unnormalised,
                "Your numbers do not sum to 1: divide the exponentials by their sum.",
            ),
            Mistake(
                _temperature_unnormalised_shifted,
                "The largest of your numbers is 1, and their sum is more: divide by the sum.",
            ),
            Mistake(_temperature_powers, "Your powers of probabilities do not sum to 1: divide them by their sum."),
            Mistake(
                _temperature_ignored,
                "The temperature changes nothing: perhaps you divide after the softmax and normalise again, which "
                "undoes it.",
            ),
            Mistake(_temperature_logits, "These are still logits: the softmax is missing."),
        ),
        fact=(
            "the logits 2, 1, 0 become the probabilities {outputs[0]} at temperature 0.5 and {outputs[1]} at "
            "temperature 2."
        ),
        tolerance=1e-6,
    ),
)
