"""Checkers of the exercises of notebook 7a; tasks, hints and solutions stand there. Chapter: 7a."""

import numpy as np

from mini_musessl.exercises.checking import checker
from mini_musessl.exercises.first_road import softmax

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def code_bits(probabilities):
    return float(-np.log2(probabilities).sum())

@np.errstate(divide="ignore")
def _code_of_product(probabilities):
    return -np.log2(np.prod(probabilities))

checker("7a.1", code_bits,
    draw=lambda rng: (rng.uniform(0.01, 1, 6),),
    tolerance=1e-9,
    # The product of the second row is smaller than any float.
    cases=[(np.array([0.5, 0.25, 0.9, 0.8]),), (np.tile([0.5, 0.1, 0.95], 400),)],
    case_names=("four tokens", "1,200 tokens"), fact="1 bit, 2 bits and two tokens that share half a bit.", mistakes=[
    (lambda p: -np.log(p).sum(), "You give nats. A bit is a factor of two: take the logarithm to base 2."),
    (lambda p: -np.log2(p).mean(), "You give bits per token; the question is the whole melody. Add, do not average."),
    (lambda p: np.log2(p).sum(), "Your length is below 0: logarithms of probabilities are negative, so turn the sign."),
    (_code_of_product,
     "For {input} you give {found}: you multiply first, and the product is too small for a float. Take logarithms "
     "first, then add."),
    (lambda p: np.ceil(-np.log2(p)).sum(),
     "You round every token up to whole bits, as a code with one word per token does. An arithmetic coder lets tokens "
     "share bits: add first."),
    (lambda p: -len(p) * np.log2(p.mean()),
     "You take the logarithm of the mean probability. The probability of the whole is a product: take the mean of the "
     "logarithms, or their sum.")])


def mixture_nats(first, second, share):
    return float(-np.logaddexp(np.log(share) - first.sum(), np.log1p(-share) - second.sum()))

@np.errstate(divide="ignore")
def _mixed_after_powers(first, second, share):
    return -np.log(share * np.exp(-first.sum()) + (1 - share) * np.exp(-second.sum()))

def _mixed_tokens(first, second, share):
    return float(-np.logaddexp(np.log(share) - first, np.log1p(-share) - second).sum())

checker("7a.2", mixture_nats,
    draw=lambda rng: (*rng.exponential(0.7, (2, rng.integers(1, 6))), float(rng.uniform(0.05, 0.95))),
    tolerance=1e-9,
    # The probability of the third piece is smaller than any float.
    cases=[(np.array([0.1, 0.3, 2.0]), np.array([1.5, 0.2, 0.4]), 0.5), (np.full(4, 0.5), np.full(4, 3.8), 0.01),
           (np.full(2000, 0.5), np.full(2000, 3.8), 0.01)],
    case_names=("three tokens", "four tokens of a good model and of noise", "2,000 tokens"),
    fact="a mixture with 99 parts of noise loses ln 100 nats against the good model, however long the piece.",
    mistakes=[
    (lambda first, second, share: share * first.sum() + (1 - share) * second.sum(),
     "You average the losses; a mixture averages the probabilities of the piece."),
    (_mixed_tokens,
     "You mix anew at each token. Here one model is drawn and writes the whole piece: add up each model's loss first."),
    (_mixed_after_powers,
     "For {input} you give {found}: the probability of so long a piece is too small for a float. Keep to logarithms: "
     "`np.logaddexp`."),
    (lambda first, second, share: mixture_nats(first, second, 1 - share),
     "The shares are exchanged: `share` belongs to the first model."),
    (lambda first, second, share: mixture_nats(first.mean(keepdims=True), second.mean(keepdims=True), share),
     "You mix the models' means per token; the probability of the piece needs their sums."),
    (lambda first, second, share: -mixture_nats(first, second, share),
     "The sign is turned: a loss is minus a logarithm of a probability."),
    (lambda first, second, share: float(-np.logaddexp(-first.sum(), -second.sum())),
     "You add the two probabilities: weigh each by its share.")])


def perplexity(pieces):
    return float(np.exp(np.concatenate(pieces).mean()))

checker("7a.3", perplexity,
    draw=lambda rng: ([rng.exponential(size=n_tokens) for n_tokens in rng.integers(1, 5, 3)],),
    tolerance=1e-9,
    cases=[([np.log(np.array([2.0, 2.0, 8.0])), np.log(np.array([4.0]))],),
           ([np.array([0.1, 0.3, 0.2, 1.4]), np.array([0.9, 0.7])],)],
    fact="guesses among 2, 2, 8 and 4 symbols are as hard as {outputs[0]} symbols each.", mistakes=[
    (lambda pieces: np.exp(np.concatenate(pieces).sum()),
     "You take the exponential of the sum: it grows with the length of the music. Take the mean first."),
    (lambda pieces: 2 ** np.concatenate(pieces).mean(),
     "You raise 2 to a number of nats: nats go with e, bits with 2."),
    (lambda pieces: np.exp(np.concatenate(pieces)).mean(),
     "You average the exponentials. Perplexity is a geometric mean: average the nats, then take one exponential."),
    (lambda pieces: np.mean([np.exp(piece.mean()) for piece in pieces]),
     "You average the perplexities of the pieces. Average the nats of all tokens, then take one exponential."),
    (lambda pieces: np.exp(np.mean([piece.mean() for piece in pieces])),
     "You average the pieces' means: a token of a short piece counts more than one of a long piece."),
    (lambda pieces: np.exp(-np.concatenate(pieces).mean()),
     "You give {found}, a probability: the sign of the mean is turned. A perplexity is at least 1.")])


def _one_hot(logits, targets):
    return np.eye(logits.shape[1])[targets]

def _gradient(logits, targets, symbols_axis):
    return (softmax(logits, symbols_axis) - _one_hot(logits, targets)) / len(targets)

def loss_gradient(logits, targets):
    return _gradient(logits, targets, symbols_axis=1)

def _gradient_of_all_targets(logits, targets):
    gradient = softmax(logits)
    gradient[:, targets] -= 1
    return gradient / len(targets)

checker("7a.4", loss_gradient,
    draw=lambda rng: (rng.normal(size=(3, 5)), rng.integers(0, 5, 3)),
    tolerance=1e-9,
    cases=[(np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]]), np.array([0, 2])),
           (np.array([[0.0, 1.0, 2.0, 3.0]] * 3), np.array([3, 0, 1]))],
    case_names=("two tokens of three symbols", "three tokens of four symbols"),
    fact="each row sums to 0: what the target gains, the others lose in proportion to their probability.", mistakes=[
    (lambda logits, targets: -loss_gradient(logits, targets),
     "The sign is turned: along y - p the likelihood rises and the loss falls."),
    (lambda logits, targets: loss_gradient(logits, targets) * len(targets),
     "You give the gradient of the sum: divide by the number of tokens, or a longer batch takes longer steps."),
    (lambda logits, targets: _gradient(logits, targets, symbols_axis=0),
     "Your softmax runs over the tokens: the probabilities of the symbols must sum to 1 at each token (`axis=1`)."),
    (lambda logits, targets: _gradient(logits, targets, symbols_axis=None),
     "Your softmax runs over the whole table: at each token the probabilities must sum to 1 (`axis=1`)."),
    (_gradient_of_all_targets,
     "You subtract 1 from the columns of all targets in every row. Each row has one target: index rows and columns "
     "together, `g[np.arange(n), targets]`."),
    (lambda logits, targets: (logits - _one_hot(logits, targets)) / len(targets),
     "You subtract from the logits themselves: take their softmax first."),
    (lambda logits, targets: loss_gradient(logits, targets) / logits.shape[1],
     "You divide by the number of logits; the mean is over tokens, not over symbols."),
    (lambda logits, targets: loss_gradient(logits, targets) * _one_hot(logits, targets),
     "You push the target up and leave the others alone: each row of a softmax's gradient sums to 0.")])


def kl_nats(q, p):
    comes = q > 0
    return float((q[comes] * np.log(q[comes] / p[comes])).sum())

@np.errstate(divide="ignore")
def _kl_swapped(q, p):
    return (p * np.log(p / q)).sum()

@np.errstate(divide="ignore", invalid="ignore")
def _kl_not_a_number(q, p):
    return (q * np.log(q / p)).sum()

checker("7a.5", kl_nats,
    draw=lambda rng: (rng.multinomial(3, np.full(4, 0.25)) / 3, rng.dirichlet(np.ones(4))),
    tolerance=1e-9,
    cases=[(np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.3, 0.2])),
           (np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5]))],
    fact="a model that wastes half its probability loses ln 2 nats per symbol.", mistakes=[
    (_kl_swapped,
     "You weigh by the model: that is the divergence the other way round, and infinite where the model allows what "
     "never comes. Weigh by q."),
    (_kl_not_a_number,
     "For {input} you give nan: 0 times the logarithm of 0 is not a number for NumPy, and 0 in this sum. Leave out "
     "symbols that never come."),
    (lambda q, p: -(q * np.log(p)).sum(),
     "You give the cross-entropy. The divergence is what remains when the entropy of q is subtracted: it is 0 for p = "
     "q."),
    (lambda q, p: kl_nats(q, p) / np.log(2), "You give bits; nats use the natural logarithm, `np.log`."),
    (lambda q, p: -kl_nats(q, p), "Yours is below 0, and a divergence never is: q stands above the line, p below."),
    (lambda q, p: np.log(q[q > 0] / p[q > 0]).mean(),
     "You let every symbol count alike: weigh each logarithm by how often its symbol comes.")])


def first_of_whole(first, second, temperature):
    whole = (first[:, None] * second) ** (1 / temperature)
    return whole.sum(axis=1) / whole.sum()

def _to_1(powers):
    return powers / powers.sum()

checker("7a.6", first_of_whole,
    draw=lambda rng: (rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), size=3), float(rng.uniform(0.3, 3))),
    tolerance=1e-9,
    cases=[(np.array([0.6, 0.4]), np.array([[0.5, 0.5], [0.9, 0.1]]), 0.5),
           (np.array([0.5, 0.3, 0.2]), np.array([[1.0, 0.0, 0.0], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]]), 2.0)],
    case_names=("two symbols at temperature 0.5", "three symbols at temperature 2"),
    fact="the power of the whole looks ahead: it prefers first symbols by what may follow, which no sampler knows.",
    mistakes=[
    (lambda first, second, temperature: _to_1(first ** (1 / temperature)),
     "You take the power of the first step alone, as a sampler does. Here all openings of two get the power, and what "
     "may follow counts."),
    (lambda first, second, temperature: first_of_whole(first, second, 1 / temperature),
     "At temperature 0.5 your probabilities get flatter. The power is one over the temperature."),
    (lambda first, second, temperature: _to_1(((first[:, None] * second) ** (1 / temperature)).sum(axis=0)),
     "You sum over the first symbol; what is left must be the probability of the first."),
    (lambda first, second, temperature: ((first[:, None] * second) ** (1 / temperature)).sum(axis=1),
     "Your numbers do not sum to 1: divide by the sum over all openings."),
    (lambda first, second, temperature: _to_1(first * (second ** (1 / temperature)).sum(axis=1)),
     "You take the power of the second step alone; it belongs to the product."),
    (lambda first, second, temperature: _to_1((first * second) ** (1 / temperature)).sum(axis=1),
     "You multiply the columns by `first`. Each *row* of `second` follows one first symbol: `first[:, None]`."),
    (lambda first, second, temperature: _to_1(((first[:, None] * second) ** (1 / temperature)).max(axis=1)),
     "You count the best continuation alone; all of them belong to the sum.")])


def keep_top_p(probabilities, p):
    order = np.argsort(-probabilities, kind="stable")
    is_kept = np.zeros(len(probabilities), bool)
    is_kept[order[: np.searchsorted(np.cumsum(probabilities[order]), p) + 1]] = True
    return np.where(is_kept, probabilities, 0) / probabilities[is_kept].sum()

def _kept(probabilities, may_keep):
    return np.where(may_keep, probabilities, 0) / probabilities[may_keep].sum()

def _mass_above(probabilities):
    return np.array([probabilities[probabilities > each].sum() for each in probabilities])

checker("7a.7", keep_top_p, tolerance=1e-9,
    draw=lambda rng: (rng.dirichlet(np.ones(rng.integers(1, 7))), float(rng.uniform(0.05, 0.95))),
    cases=[(np.array([0.1, 0.5, 0.03, 0.25, 0.12]), 0.8), (np.array([0.6, 0.3, 0.1]), 0.5),
           (np.array([0.3, 0.15, 0.35, 0.2]), 0.95)],
    fact="of five symbols three are left, {outputs[0]}.", mistakes=[
    (lambda p, top: np.where(_mass_above(p) < top, p, 0), "What is left does not sum to 1: divide by its sum."),
    (lambda p, top: _kept(p, (_mass_above(p) + p <= top) | (p == p.max())),
     "You drop the symbol whose probability carries the sum to p. It is the last one that you keep."),
    (lambda p, top: _kept(p, (_mass_above(p) < top) | (p == p[_mass_above(p) >= top].max(initial=0))),
     "You keep one symbol too many: stop as soon as the sum is at least p."),
    (lambda p, top: np.append(np.sort(_kept(p, _mass_above(p) < top)[p > 0])[::-1], p[p == 0]),
     "Your probabilities are sorted: each belongs at the place of its own symbol."),
    (lambda p, top: p, "You keep every symbol."),
    (lambda p, top: _kept(p, (np.cumsum(p) - p) < top),
     "You add up in the order of the symbols: begin with the likeliest."),
    (lambda p, top: _kept(p, p >= min(1 - top, p.max())),
     "You compare each probability with a bound by itself; the sum of those that are kept must reach p.")])
