"""Checkers of the exercises of notebook 00; tasks, hints and solutions stand there. Chapter: 00."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def uniform_nats(vocabulary_size):
    return float(np.log(vocabulary_size))

checker("0.1", uniform_nats,
    draw=lambda rng: (int(rng.integers(2, 500)),),
    tolerance=1e-6, cases=[(47,), (2,), (1000,)],
    fact="a uniform guess among 47 symbols has a loss of {outputs[0]} nats, and the first loss of a new model should "
         "be near that.", mistakes=[
    (np.log2, "You give {found} bits; nats use the natural logarithm, `np.log`."),
    (np.log10, "You use the logarithm to base 10; nats use the natural one, `np.log`."),
    (lambda size: np.log(size - 1),
     "You count one symbol too few: ids run from 0 to vocabulary_size - 1, which makes vocabulary_size symbols."),
    (lambda size: -np.log(size),
     "The logarithm of a probability is negative; the loss is minus that, so it is positive."),
    (lambda size: 1 / size, "You give the probability; the loss is minus its logarithm.")])


def inputs_and_targets(token_ids, begin_id):
    return np.append(begin_id, token_ids[:-1]), token_ids

checker("0.2", inputs_and_targets,
    draw=lambda rng: (rng.integers(0, 47, rng.integers(1, 9)), 47),
    cases=[(np.array([37, 32, 29, 13, 37]), 47), (np.array([5, 6]), 0)],
    fact="every token is a target once, and the network reads it one place later.", mistakes=[
    (lambda ids, begin: (ids, ids),
     "Input and target are the same: the network would learn to copy what it reads, with a loss near 0, and could "
     "write nothing. Shift the inputs by one."),
    (lambda ids, begin: (ids, np.append(begin, ids[:-1])),
     "Input and target are exchanged: your network reads a token and predicts the one before it. It would learn to "
     "remember, not to continue."),
    (lambda ids, begin: (ids[:-1], ids[1:]),
     "Your arrays are one too short: the first token is never predicted. Put begin_id before it."),
    (lambda ids, begin: (np.append(ids[:-1], begin), ids),
     "You put begin_id at the end. It stands for what comes before the first token: put it in front."),
    (lambda ids, begin: (ids, np.append(ids[1:], begin)),
     "Your last target is begin_id, and the first token is never a target. Put begin_id before the inputs; the targets "
     "are the tokens themselves."),
    (lambda ids, begin: (np.roll(ids, 1), ids),
     "Your first input is the last token of the piece: np.roll goes round in a circle. Put begin_id there."),
    (lambda ids, begin: (np.append(begin, ids), ids),
     "The inputs are one longer than the targets: nothing follows the last token.")])


def _probabilities(ids, n_symbols, added=1):
    counts = np.bincount(ids, minlength=n_symbols) + added
    return counts / counts.sum()

def pooled_unigram_nats(train_ids, test_ids, vocabulary_size):
    return float(-np.log(_probabilities(train_ids, vocabulary_size))[test_ids].mean())

@np.errstate(divide="ignore")
def _unigram_unsmoothed(train, test, size):
    return -np.log(_probabilities(train, size, added=0))[test].mean()

def _unigram_old_total(train, test, size):
    return -np.log((np.bincount(train, minlength=size) + 1) / len(train))[test].mean()

def _unigram_entropy(train, test, size):
    probabilities = _probabilities(train, size)
    return -(probabilities * np.log(probabilities)).sum()

checker("0.3", pooled_unigram_nats,
    draw=lambda rng: (rng.integers(0, 5, 7), rng.integers(0, 6, rng.integers(1, 9)), int(rng.integers(6, 9))),
    tolerance=1e-6,
    cases=[(np.array([0, 0, 0, 1]), np.array([0, 1, 2]), 3), (np.array([1, 1, 2, 0, 1]), np.array([1, 1]), 4)],
    fact="a symbol that never occurs in training has a high loss, but not an infinite one.", mistakes=[
    (_unigram_unsmoothed,
     "A symbol that you never counted has probability 0, and one of them makes the loss infinite. Add one to every "
     "count."),
    (lambda train, test, size: pooled_unigram_nats(train, test, size) / np.log(2),
     "You give bits; nats use the natural logarithm, `np.log`."),
    (lambda train, test, size: pooled_unigram_nats(train, test, size) * len(test),
     "You add the losses of all tokens up; a loss is their mean, whatever the length."),
    (lambda train, test, size: -np.log(_probabilities(train, size)[test].mean()),
     "You take the logarithm of the mean probability. Each token has its own loss: take logarithms first, then the "
     "mean."),
    (_unigram_old_total,
     "Your probabilities sum to more than 1: after adding one to each count, divide by the new total."),
    (lambda train, test, size: pooled_unigram_nats(test, test, size),
     "You count in the test: the model has seen what it is asked. Count in train_ids, measure on test_ids."),
    (lambda train, test, size: pooled_unigram_nats(train, train, size),
     "You measure on the music that you counted: test_ids is never asked."),
    (_unigram_entropy,
     "You give the entropy of the counts, which never looks at test_ids. Look up the probability of each token "
     "there.")])


def softmax(logits, axis=-1):
    powers = np.exp(logits - logits.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)

def with_temperature(logits, temperature):
    return softmax(logits / temperature)

checker("0.4", with_temperature,
    draw=lambda rng: (rng.normal(0, 3, rng.integers(1, 7)), float(rng.uniform(0.2, 3))),
    tolerance=1e-6,
    cases=[(np.array([2.0, 1.0, 0.0]), 0.5), (np.array([2.0, 1.0, 0.0]), 2.0), (np.array([0.0, -1.0, 3.0, 0.5]), 1.0)],
    fact="the logits 2, 1, 0 become the probabilities {outputs[0]} at temperature 0.5 and {outputs[1]} at temperature "
         "2.", mistakes=[
    (lambda logits, temperature: with_temperature(logits, 1 / temperature),
     "You multiply by the temperature: at temperature 0.5 your distribution gets flatter. Divide the logits by it."),
    (lambda logits, temperature: softmax(logits) / temperature,
     "You divide the probabilities, so that they no longer sum to 1. Divide the logits, before the softmax."),
    (lambda logits, temperature: softmax(softmax(logits) / temperature),
     "You divide the probabilities and take the softmax of them: divide the logits, and take one softmax."),
    (lambda logits, temperature: np.exp(logits / temperature),
     "Your numbers do not sum to 1: divide the exponentials by their sum."),
    (lambda logits, temperature: np.exp((logits - logits.max()) / temperature),
     "The largest of your numbers is 1, and their sum is more: divide by the sum."),
    (lambda logits, temperature: softmax(logits) ** (1 / temperature),
     "Your powers of probabilities do not sum to 1: divide them by their sum."),
    (lambda logits, temperature: softmax(logits),
     "The temperature changes nothing: perhaps you divide after the softmax and normalise again, which undoes it."),
    (lambda logits, temperature: logits / temperature, "These are still logits: the softmax is missing.")])
