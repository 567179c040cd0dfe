"""Exercises of notebook 7a: bits, means, perplexity, gradients, divergence, temperature.

Chapter: 7a (the loss by hand).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def code_bits(probabilities: np.ndarray) -> float:
    """Return how many bits an ideal code needs for a sequence.

    Args:
        probabilities: (n_tokens,), what the model gave each token that came, above 0.

    Returns:
        the length in bits, not rounded.

    Chapter: 7a.
    """
    return float(-np.log2(probabilities).sum())


def _code_nats(probabilities: np.ndarray) -> float:
    """Mistake: the natural logarithm."""
    return float(-np.log(probabilities).sum())


def _code_mean(probabilities: np.ndarray) -> float:
    """Mistake: the length of one token on average."""
    return float(-np.log2(probabilities).mean())


def _code_negative(probabilities: np.ndarray) -> float:
    """Mistake: forget the minus sign."""
    return float(np.log2(probabilities).sum())


def _code_of_product(probabilities: np.ndarray) -> float:
    """Mistake: multiply first, and lose everything below the smallest float."""
    with np.errstate(divide="ignore"):
        return float(-np.log2(np.prod(probabilities)))


def _code_rounded(probabilities: np.ndarray) -> float:
    """Mistake: round each token up to whole bits."""
    return float(np.ceil(-np.log2(probabilities)).sum())


def _code_of_mean(probabilities: np.ndarray) -> float:
    """Mistake: take the logarithm of the mean probability."""
    return float(-len(probabilities) * np.log2(probabilities.mean()))


def padded_mean(nats: np.ndarray, is_padding: np.ndarray) -> float:
    """Return the mean loss of a batch over the tokens that are music.

    Args:
        nats: (n_windows, n_tokens), the loss of each token.
        is_padding: (n_windows, n_tokens), True where the token is only filling.

    Returns:
        mean nats a token.

    Chapter: 7a.
    """
    return float(nats[~is_padding].mean())


def _mean_of_all(nats: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: count padding like music."""
    return float(nats.mean())


def _mean_of_zeroed(nats: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: padding costs nothing, and is still counted below the line."""
    return float(np.where(is_padding, 0.0, nats).mean())


def _mean_of_rows(nats: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: the mean of the means of the windows."""
    rows = [row[~filling].mean() for row, filling in zip(nats, is_padding, strict=True)]
    return float(np.mean(rows))


def _mean_of_padding(nats: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: read is_padding the wrong way round."""
    return float(nats[is_padding].mean())


def _padded_sum(nats: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: add up without dividing."""
    return float(nats[~is_padding].sum())


def perplexity(pieces: Sequence[np.ndarray]) -> float:
    """Return the perplexity of a model on several pieces, every token counting once.

    Args:
        pieces: the loss of each token in nats, one array a piece.

    Returns:
        a number of symbols, 1 or more.

    Chapter: 7a.
    """
    return float(np.exp(np.concatenate(pieces).mean()))


def _perplexity_of_sum(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: the exponential of the sum."""
    return float(np.exp(np.concatenate(pieces).sum()))


def _perplexity_base_two(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: nats in the exponent of 2."""
    return float(2 ** np.concatenate(pieces).mean())


def _perplexity_of_tokens(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: the mean of the exponentials."""
    return float(np.exp(np.concatenate(pieces)).mean())


def _perplexity_of_pieces(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: the mean of the perplexities of the pieces."""
    return float(np.mean([np.exp(piece.mean()) for piece in pieces]))


def _perplexity_of_piece_means(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: let a short piece count as much as a long one."""
    return float(np.exp(np.mean([piece.mean() for piece in pieces])))


def _perplexity_negative(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: the geometric mean of the probabilities themselves."""
    return float(np.exp(-np.concatenate(pieces).mean()))


def loss_gradient(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the gradient of the mean cross-entropy of a softmax with respect to its logits.

    Args:
        logits: (n_tokens, n_symbols).
        targets: (n_tokens,), the symbol that came.

    Returns:
        (n_tokens, n_symbols); each row sums to 0.

    Chapter: 7a.
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient = powers / powers.sum(axis=1, keepdims=True)
    gradient[np.arange(len(targets)), targets] -= 1
    return gradient / len(targets)


def _gradient_upwards(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mistake: the direction in which the likelihood rises."""
    return -loss_gradient(logits, targets)


def _gradient_of_sum(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mistake: forget to divide by the number of tokens."""
    return loss_gradient(logits, targets) * len(targets)


def _gradient_wrong_axis(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mistake: softmax over the tokens, not the symbols."""
    powers = np.exp(logits - logits.max(axis=0, keepdims=True))
    gradient = powers / powers.sum(axis=0, keepdims=True)
    gradient[np.arange(len(targets)), targets] -= 1
    return gradient / len(targets)


def _gradient_of_logits(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mistake: subtract from the logits, without a softmax."""
    return (logits - np.eye(logits.shape[1])[targets]) / len(targets)


def _gradient_divided_twice(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mistake: divide by the number of logits."""
    return loss_gradient(logits, targets) / logits.shape[1]


def _gradient_target_only(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mistake: leave out the symbols that did not come."""
    return loss_gradient(logits, targets) * np.eye(logits.shape[1])[targets]


def kl_nats(q: np.ndarray, p: np.ndarray) -> float:
    """Return the Kullback-Leibler divergence of a model from what happens.

    Args:
        q: (n_symbols,), how often each symbol comes; may be 0.
        p: (n_symbols,), what the model says; above 0.

    Returns:
        nats, 0 or more: what the model pays beyond the entropy of q.

    Chapter: 7a.
    """
    comes = q > 0
    return float((q[comes] * np.log(q[comes] / p[comes])).sum())


def _kl_swapped(q: np.ndarray, p: np.ndarray) -> float:
    """Mistake: weigh by the model's probabilities."""
    with np.errstate(divide="ignore"):
        return float((p * np.log(p / q)).sum())


def _kl_not_a_number(q: np.ndarray, p: np.ndarray) -> float:
    """Mistake: compute 0 times the logarithm of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((q * np.log(q / p)).sum())


def _kl_cross_entropy(q: np.ndarray, p: np.ndarray) -> float:
    """Mistake: forget to subtract the entropy."""
    return float(-(q * np.log(p)).sum())


def _kl_bits(q: np.ndarray, p: np.ndarray) -> float:
    """Mistake: the logarithm to base 2."""
    return kl_nats(q, p) / float(np.log(2))


def _kl_negative(q: np.ndarray, p: np.ndarray) -> float:
    """Mistake: the fraction upside down."""
    return -kl_nats(q, p)


def _kl_unweighted(q: np.ndarray, p: np.ndarray) -> float:
    """Mistake: let every symbol count alike."""
    comes = q > 0
    return float(np.log(q[comes] / p[comes]).mean())


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return each row of probabilities at another temperature.

    Args:
        probabilities: (n_rows, n_symbols), each row sums to 1.
        temperature: above 0.

    Returns:
        (n_rows, n_symbols), each row sums to 1.

    Chapter: 7a.
    """
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def _temperature_upside_down(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: the power itself, not one over it."""
    return at_temperature(probabilities, 1 / temperature)


def _temperature_not_normalised(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: leave the powers as they are."""
    return probabilities ** (1 / temperature)


def _temperature_wrong_axis(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: let the columns sum to 1."""
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(axis=0, keepdims=True)


def _temperature_divided(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: divide the probabilities, which normalising undoes."""
    scaled = probabilities / temperature
    return scaled / scaled.sum(axis=1, keepdims=True)


def _temperature_as_logits(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: take probabilities for logits."""
    powers = np.exp(probabilities / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def _temperature_of_table(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: let the whole table sum to 1."""
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum()


EXERCISES = (
    Exercise(
        id="7a.1",
        title="How long is the message?",
        minutes=5,
        task=(
            "Write `code_bits(probabilities)`: the number of bits that an ideal code needs for a melody, not rounded. "
            "`probabilities` holds what the model gave each token that came. The melody may be long."
        ),
        hint="Which base counts in bits? And in which order do you multiply and take logarithms?",
        cases=lambda: (
            (np.array([0.5, 0.25, 0.9, 0.8]),),
            (np.tile([0.5, 0.1, 0.95], 400),),
        ),
        case_names=("four tokens", "1,200 tokens"),
        solution=code_bits,
        mistakes=(
            Mistake(_code_nats, "You give nats. A bit is a factor of two: take the logarithm to base 2."),
            Mistake(_code_mean, "You give bits a token; the question is the whole melody. Add, do not average."),
            Mistake(
                _code_negative, "Your length is below 0: logarithms of probabilities are negative, so turn the sign."
            ),
            Mistake(
                _code_of_product,
                "For {input} you give {found}: you multiply first, and the product is too small for a float. "
                "Take logarithms first, then add.",
            ),
            Mistake(
                _code_rounded,
                "You round every token up to whole bits, as a code with one word a token does. An arithmetic coder "
                "lets tokens share bits: add first.",
            ),
            Mistake(
                _code_of_mean,
                "You take the logarithm of the mean probability. The probability of the whole is a product: take the "
                "mean of the logarithms, or their sum.",
            ),
        ),
        fact="1 bit, 2 bits and two tokens that share half a bit.",
        tolerance=1e-9,
    ),
    Exercise(
        id="7a.2",
        title="The mean that leaves padding out",
        minutes=5,
        task=(
            "Write `padded_mean(nats, is_padding)`: the mean loss of a batch. Both arrays have the shape (windows, "
            "tokens); `is_padding` is True where a token is only filling."
        ),
        hint="Padding may stand neither above nor below the fraction line.",
        cases=lambda: (
            (
                np.array([[1.0, 2.0, 3.0, 4.0], [0.5, 9.0, 9.0, 9.0]]),
                np.array([[False, False, False, False], [False, True, True, True]]),
            ),
            (np.array([[0.2, 0.4, 5.0], [0.9, 0.1, 7.0]]), np.array([[False, False, True], [False, False, True]])),
        ),
        case_names=("a long and a short window", "two windows of two tokens"),
        solution=padded_mean,
        mistakes=(
            Mistake(_mean_of_all, "You count padding like music: for {input} you give {found}, not {expected}."),
            Mistake(
                _mean_of_zeroed,
                "You set padding to 0 and still divide by its number: a batch with more padding would look better. "
                "For {input} you give {found}, not {expected}.",
            ),
            Mistake(
                _mean_of_rows,
                "You average the windows' means: a token of a short window counts more than one of a long window. "
                "Average over tokens.",
            ),
            Mistake(_mean_of_padding, "You average the padding: `is_padding` is True where the token does NOT count."),
            Mistake(_padded_sum, "You add up and do not divide: a longer batch would have a larger loss."),
        ),
        fact="every token of music counts once, whichever window it stands in.",
        tolerance=1e-9,
    ),
    Exercise(
        id="7a.3",
        title="Perplexity",
        minutes=5,
        task=(
            "Write `perplexity(pieces)`. `pieces` is a list of arrays, the loss of each token of each piece in nats. "
            "Every token counts once."
        ),
        hint="Which comes first, the mean or the exponential? And the mean over what?",
        cases=lambda: (
            ([np.log(np.array([2.0, 2.0, 8.0])), np.log(np.array([4.0]))],),
            ([np.array([0.1, 0.3, 0.2, 1.4]), np.array([0.9, 0.7])],),
        ),
        solution=perplexity,
        mistakes=(
            Mistake(
                _perplexity_of_sum,
                "You take the exponential of the sum: it grows with the length of the music. Take the mean first.",
            ),
            Mistake(_perplexity_base_two, "You raise 2 to a number of nats: nats go with e, bits with 2."),
            Mistake(
                _perplexity_of_tokens,
                "You average the exponentials. Perplexity is a geometric mean: average the nats, then take one "
                "exponential.",
            ),
            Mistake(
                _perplexity_of_pieces,
                "You average the perplexities of the pieces. Average the nats of all tokens, then take one "
                "exponential.",
            ),
            Mistake(
                _perplexity_of_piece_means,
                "You average the pieces' means: a token of a short piece counts more than one of a long piece.",
            ),
            Mistake(
                _perplexity_negative,
                "You give {found}, a probability: the sign of the mean is turned. A perplexity is at least 1.",
            ),
        ),
        fact="guesses among 2, 2, 8 and 4 symbols are as hard as {outputs[0]} symbols each.",
        tolerance=1e-9,
    ),
    Exercise(
        id="7a.4",
        title="Which way is down?",
        minutes=10,
        task=(
            "Write `loss_gradient(logits, targets)`: the gradient, with respect to the logits, of the *mean* "
            "cross-entropy of their softmax. `logits` has the shape (tokens, symbols), `targets` the shape (tokens,). "
            "Return an array of the shape of `logits`."
        ),
        hint="For one token it is p - y. What does the mean over tokens add?",
        cases=lambda: (
            (np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]]), np.array([0, 2])),
            (np.array([[0.0, 1.0, 2.0, 3.0]] * 3), np.array([3, 0, 1])),
        ),
        case_names=("two tokens of three symbols", "three tokens of four symbols"),
        solution=loss_gradient,
        mistakes=(
            Mistake(_gradient_upwards, "The sign is turned: along y - p the likelihood rises and the loss falls."),
            Mistake(
                _gradient_of_sum,
                "You give the gradient of the sum: divide by the number of tokens, or a longer batch takes longer "
                "steps.",
            ),
            Mistake(
                _gradient_wrong_axis,
                "Your softmax runs over the tokens: the probabilities of the symbols must sum to 1 at each token "
                "(`axis=1`).",
            ),
            Mistake(_gradient_of_logits, "You subtract from the logits themselves: take their softmax first."),
            Mistake(
                _gradient_divided_twice,
                "You divide by the number of logits; the mean is over tokens, not over symbols.",
            ),
            Mistake(
                _gradient_target_only,
                "You push the target up and leave the others alone: each row of a softmax's gradient sums to 0.",
            ),
        ),
        fact="each row sums to 0: what the target gains, the others lose in proportion to their probability.",
        tolerance=1e-9,
    ),
    Exercise(
        id="7a.5",
        title="What ignorance costs",
        minutes=10,
        task=(
            "Write `kl_nats(q, p)`: the Kullback-Leibler divergence in nats of a model `p` from what happens, `q`. "
            "Symbols that never come have probability 0 in `q`; `p` is above 0 everywhere."
        ),
        hint="It is a mean. Over which of the two? And what does a symbol that never comes contribute?",
        cases=lambda: (
            (np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.3, 0.2])),
            (np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])),
        ),
        solution=kl_nats,
        mistakes=(
            Mistake(
                _kl_swapped,
                "You weigh by the model: that is the divergence the other way round, and infinite where the model "
                "allows what never comes. Weigh by q.",
            ),
            Mistake(
                _kl_not_a_number,
                "For {input} you give nan: 0 times the logarithm of 0 is not a number for NumPy, and 0 in this sum. "
                "Leave out symbols that never come.",
            ),
            Mistake(
                _kl_cross_entropy,
                "You give the cross-entropy. The divergence is what remains when the entropy of q is subtracted: it "
                "is 0 for p = q.",
            ),
            Mistake(_kl_bits, "You give bits; nats use the natural logarithm, `np.log`."),
            Mistake(_kl_negative, "Yours is below 0, and a divergence never is: q stands above the line, p below."),
            Mistake(
                _kl_unweighted,
                "You let every symbol count alike: weigh each logarithm by how often its symbol comes.",
            ),
        ),
        fact="a model that wastes half its probability pays ln 2 a symbol.",
        tolerance=1e-9,
    ),
    Exercise(
        id="7a.6",
        title="Temperature without logits",
        minutes=5,
        task=(
            "Write `at_temperature(probabilities, temperature)`: each row of a table of probabilities at another "
            "temperature, as if its logits had been divided by it. The table has the shape (rows, symbols)."
        ),
        hint="A logarithm of the probabilities is one possible set of logits.",
        cases=lambda: (
            (np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2]]), 0.5),
            (np.array([[0.6, 0.3, 0.1]]), 2.0),
        ),
        case_names=("two rows at temperature 0.5", "one row at temperature 2"),
        solution=at_temperature,
        mistakes=(
            Mistake(
                _temperature_upside_down,
                "Upside down: at temperature 0.5 your rows get flatter. The power is one over the temperature.",
            ),
            Mistake(_temperature_not_normalised, "Your rows do not sum to 1: divide each by its sum."),
            Mistake(_temperature_wrong_axis, "Your columns sum to 1; the rows must (`axis=1, keepdims=True`)."),
            Mistake(
                _temperature_divided,
                "You divide the probabilities, and normalising undoes it: nothing has changed. Take a power.",
            ),
            Mistake(
                _temperature_as_logits,
                "You take the softmax of probabilities. Their logarithms are logits; the probabilities are not.",
            ),
            Mistake(_temperature_of_table, "Your whole table sums to 1; each row must."),
        ),
        fact="a power of the probabilities is a division of the logits.",
        tolerance=1e-9,
    ),
)
