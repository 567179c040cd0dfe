"""Checkers of the exercises of notebook 5c; tasks, hints and solutions stand there. Chapter: 5c."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def _centred(features):
    return features - features.mean(axis=-1, keepdims=True)

def normalised(features):
    return _centred(features) / np.sqrt(features.var(axis=-1, keepdims=True) + 1e-5)

checker("5c.1", normalised,
    draw=lambda rng: (rng.normal(0, 10.0 ** rng.integers(-3, 2), (3, 4)),),
    tolerance=1e-6,
    cases=[(np.array([[1.0, 2.0, 6.0], [10.0, 20.0, 60.0]]),), (np.array([[4.0, 4.0], [1.0, 3.0]]),)],
    fact="the second row, ten times the first, became the same.", mistakes=[
    (lambda x: normalised(x.T).T,
     "You normalise each feature over all positions: then each position knows about the others, those of the future "
     "too. Take the last axis."),
    (lambda x: normalised(x.ravel()).reshape(x.shape),
     "You take one mean and one spread for everything; each position has its own."),
    (lambda x: _centred(x) / (x.var(axis=-1, keepdims=True) + 1e-5),
     "You divide by the variance; the spread is its root."),
    (lambda x: _centred(x) / np.sqrt(x.var(axis=-1, keepdims=True, ddof=1) + 1e-5),
     "You divide the squares by d - 1; a norm divides by d."),
    (lambda x: _centred(x) / (x.std(axis=-1, keepdims=True) + 1e-5),
     "You add 1e-5 to the standard deviation. Add it to the variance, under the root."),
    (lambda x: _centred(x) / x.std(axis=-1, keepdims=True),
     "The 1e-5 is missing: where all features of a position are equal you divide 0 by 0."),
    (lambda x: x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5),
     "The mean is still in. (Without centring this is RMSNorm, a good norm, but another one.)")])


def n_block_weights(d_model, n_heads, d_feedforward):
    return 2 * d_model + 4 * d_model**2 + 2 * d_model * d_feedforward

checker("5c.2", n_block_weights,
    draw=lambda rng: (12 * int(rng.integers(1, 20)), int(rng.choice([1, 2, 3, 4, 6])), int(rng.integers(1, 500))),
    cases=[(96, 4, 256), (12, 3, 20)],
    fact="a block of this notebook has {outputs[0]}, and the number of heads does not matter.", mistakes=[
    (lambda d, n_heads, d_ff: 2 * d + 3 * d**2 + 2 * d * d_ff,
     "One map is missing: the joined heads pass through a last one, back into the features."),
    (lambda d, n_heads, d_ff: 2 * d + 4 * n_heads * d**2 + 2 * d * d_ff,
     "Heads are slices of the same maps: their number changes no weight."),
    (lambda d, n_heads, d_ff: 4 * d**2 + 2 * d * d_ff, "Almost: the two norms have d_model factors each."),
    (lambda d, n_heads, d_ff: n_block_weights(d, n_heads, d_ff) - d,
     "A block has two norms, one before attention and one before the feed-forward layer; you count one."),
    (lambda d, n_heads, d_ff: n_block_weights(d, n_heads, d_ff) - d * d_ff,
     "The feed-forward layer has two maps, one up to d_feedforward and one back; you count one."),
    (lambda d, n_heads, d_ff: n_block_weights(d, n_heads, d_ff) + 4 * d + d_ff + d,
     "You count biases of the maps; these maps have none."),
    (lambda d, n_heads, d_ff: n_block_weights(d, n_heads, d_ff) + 2 * d,
     "You count biases of the norms; these norms have factors only."),
    (lambda d, n_heads, d_ff: n_block_weights(d, n_heads, d_ff) + 4 * d,
     "You count biases of the four maps of attention; they have none."),
    (lambda d, n_heads, d_ff: n_block_weights(d, n_heads, d_ff) + d_ff + d,
     "You count biases of the two maps of the feed-forward layer; they have none."),
    (lambda d, n_heads, d_ff: n_block_weights(d, n_heads, d_ff) + 2 * d + 4 * d + d_ff + d,
     "You count biases of the norms and of the maps; these layers have none.")])


def mean_weight(weights, distance):
    return float(np.diagonal(weights, -distance).mean())

WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.3, 0.7, 0.0], [0.5, 0.1, 0.4]])

checker("5c.3", mean_weight,
    draw=lambda rng: (np.tril(rng.random((4, 4))), int(rng.integers(0, 4))),
    tolerance=1e-9, cases=[(WEIGHTS, 1), (WEIGHTS, 2), (np.eye(3), 0)],
    fact="a head that looks evenly would give less and less to each distance.", mistakes=[
    (lambda weights, distance: mean_weight(weights, -distance),
     "You read the diagonal above the middle, where a causal head has only zeros: the past is below."),
    (lambda weights, distance: float(np.diagonal(weights, -distance).sum() / len(weights)),
     "You divide by all positions; the first ones have no place so far back."),
    (lambda weights, distance: float(np.diagonal(weights, -distance).sum()),
     "You give the sum: divide by the number of positions that have such a place."),
    (lambda weights, distance: float(weights[:, distance].mean()),
     "You take a column, which is a place; a distance is a diagonal.")])


def _steps_back(n):
    return np.arange(n)[:, None] - np.arange(n)

def forbid(n, distance):
    return (_steps_back(n) >= 0) & (_steps_back(n) != distance)

checker("5c.4", forbid,
    draw=lambda rng: (int(rng.integers(1, 7)), int(rng.integers(1, 6))),
    cases=[(4, 1), (5, 3)], fact="every position may still look at itself, so no row is blind.",
    mistakes=[
    (lambda n, distance: _steps_back(n) != distance,
     "The distance is forbidden and the future is open: keep the causal mask."),
    (lambda n, distance: (_steps_back(n) >= 0) & (_steps_back(n) < distance),
     "You forbid all that lies further back as well; only one distance is meant."),
    (lambda n, distance: _steps_back(n) == distance,
     "Your mask is inverted: that distance alone is allowed, and the first position may look nowhere."),
    (lambda n, distance: (_steps_back(n) >= 0) & (np.arange(n) != distance),
     "You forbid one place to all; a distance is another place for each.")])


def n_positions_read(n_prompt, n_new, has_cache):
    if has_cache:
        return n_prompt + n_new - 1
    return sum(range(n_prompt, n_prompt + n_new))

checker("5c.5", n_positions_read,
    draw=lambda rng: (*rng.integers(1, 9, 2).tolist(), bool(rng.random() < 0.5)),
    cases=[(3, 2, False), (3, 2, True), (1, 1024, False), (1, 1024, True)],
    fact="for 1,024 tokens it is {outputs[2]} against {outputs[3]}.", mistakes=[
    (lambda n_prompt, n_new, has_cache: n_positions_read(n_prompt, n_new + 1, has_cache),
     "You read the last token too; nothing is asked after it."),
    (lambda n_prompt, n_new, has_cache: n_positions_read(n_prompt, n_new, True) if has_cache else n_prompt * n_new,
     "Without a cache you read the prompt once for each new token; each call also reads what was written before it."),
    (lambda n_prompt, n_new, has_cache: n_new if has_cache else n_positions_read(n_prompt, n_new, False),
     "With a cache the prompt must still be read once."),
    (lambda n_prompt, n_new, has_cache: n_positions_read(n_prompt, n_new, True),
     "Without a cache every call reads everything again: the calls grow by one each."),
    (lambda n_prompt, n_new, has_cache: (n_prompt + n_new - 1) * (1 if has_cache else n_new),
     "Without a cache the first call reads the prompt alone; only the last is that long.")])


def train(weights, gradient_of, batches, learning_rate):
    for batch in batches:
        weights = weights - learning_rate * gradient_of(weights, batch)
    return weights

def _gradient_of_squares(weights, batch):
    return batch.T @ (batch @ weights - batch.sum(axis=1)) / len(batch)

def _train_without_zeroing(weights, gradient_of, batches, learning_rate):
    gradient = 0
    for batch in batches:
        gradient = gradient + gradient_of(weights, batch)
        weights = weights - learning_rate * gradient
    return weights

checker("5c.6", train, tolerance=1e-9,
    draw=lambda rng: (rng.normal(size=3), _gradient_of_squares, list(rng.normal(size=(3, 4, 3))), 0.1),
    cases=[(np.array([1.0, -2.0]), _gradient_of_squares, list(np.arange(1.0, 13).reshape(3, 2, 2) / 6), 0.1),
           (np.array([0.0, 3.0]), _gradient_of_squares, list(np.eye(4).reshape(4, 2, 2)), 0.5)],
    case_names=("three batches", "four batches"),
    fact="after three batches the weights are {outputs[0]}; all training loops of this book do the same.", mistakes=[
    (lambda w, gradient_of, batches, rate: train(w, gradient_of, batches, -rate),
     "You go up the gradient: the loss grows. Subtract."),
    (lambda w, gradient_of, batches, rate: w - rate * sum(gradient_of(w, batch) for batch in batches),
     "You take every gradient at the first weights: ask for it anew after each update."),
    (_train_without_zeroing,
     "Your gradients pile up from batch to batch, as in PyTorch without `zero_grad()`. Each update has one batch."),
    (lambda w, gradient_of, batches, rate: train(w, gradient_of, batches[-1:], rate), "You use the last batch alone."),
    (lambda w, gradient_of, batches, rate: train(w, gradient_of, batches[:1], rate),
     "You return after the first batch: is the return inside the loop?"),
    (lambda w, gradient_of, batches, rate: train(w, gradient_of, batches, 1), "The learning rate is not used.")])
