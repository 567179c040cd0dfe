"""Checkers of the exercises of notebook 5c; tasks, hints and solutions stand there. Chapter: 5c."""

import math

import numpy as np

from mini_musessl.exercises.attention import self_attention
from mini_musessl.exercises.checking import checker
from mini_musessl.exercises.next_token import pick, pick_from_the_top

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
    (lambda n_prompt, n_new, has_cache: n_prompt * n_new if has_cache else n_positions_read(n_prompt, n_new, False),
     "With a cache only the first call reads the prompt; after it each call reads one token."),
    (lambda n_prompt, n_new, has_cache: n_new if has_cache else n_positions_read(n_prompt, n_new, False),
     "With a cache the prompt must still be read once."),
    (lambda n_prompt, n_new, has_cache: n_positions_read(n_prompt, n_new, True),
     "Without a cache every call reads everything again: the calls grow by one each."),
    (lambda n_prompt, n_new, has_cache: (n_prompt + n_new - 1) * (1 if has_cache else n_new),
     "Without a cache the first call reads the prompt alone; only the last is that long.")])


def clipped(gradient, max_norm):
    return gradient * min(1, max_norm / np.linalg.norm(gradient))

def warmed_up(update, n_warmup):
    return min(1, (update + 1) / n_warmup)

def train(weights, gradient_of, batches, learning_rate, n_warmup, max_norm, clip=clipped, warm=warmed_up):
    for update, batch in enumerate(batches):
        gradient = clip(gradient_of(weights, batch), max_norm)
        weights = weights - learning_rate * warm(update, n_warmup) * gradient
    return weights

def _gradient_of_squares(weights, batch):
    return batch.T @ (batch @ weights - batch.sum(axis=1)) / len(batch)

def _train_without_zeroing(weights, gradient_of, batches, learning_rate, n_warmup, max_norm):
    gradient = 0
    for update, batch in enumerate(batches):
        gradient = gradient + gradient_of(weights, batch)
        weights = weights - learning_rate * warmed_up(update, n_warmup) * clipped(gradient, max_norm)
    return weights

def _train_at_first_weights(weights, gradient_of, *rest):
    return train(weights, lambda _, batch: gradient_of(weights, batch), *rest)

checker("5c.6", train, tolerance=1e-9,
    draw=lambda rng: (rng.normal(size=3), _gradient_of_squares, list(rng.normal(size=(4, 4, 3))), 0.1,
                      int(rng.integers(1, 5)), float(rng.uniform(0.3, 4))),
    cases=[(np.array([1.0, -2.0]), _gradient_of_squares, list(np.arange(1.0, 13).reshape(3, 2, 2) / 6), 0.1, 2, 1.0),
           (np.array([0.0, 3.0]), _gradient_of_squares, list(np.eye(4).reshape(4, 2, 2)), 0.5, 3, 0.8),
           (np.array([1.0, 3.0]), _gradient_of_squares, list(np.arange(1.0, 13).reshape(3, 2, 2) / 6), 0.1, 1, 100.0)],
    case_names=("three batches", "four batches", "three batches without warm-up"),
    fact="the library's loop does the same, with AdamW in place of plain descent and a rate that falls at the end.",
    mistakes=[
    (lambda w, gradient_of, batches, rate, *rest: train(w, gradient_of, batches, -rate, *rest),
     "You go up the gradient: the loss grows. Subtract."),
    (_train_at_first_weights, "You take every gradient at the first weights: ask for it anew after each update."),
    (_train_without_zeroing,
     "Your gradients pile up from batch to batch, as in PyTorch without `zero_grad()`. Each update has one batch."),
    (lambda w, gradient_of, batches, *rest: train(w, gradient_of, batches[:1], *rest),
     "You return after the first batch: is the return inside the loop?"),
    (lambda *given: train(*given, clip=lambda gradient, most: gradient), "Your gradients are not clipped."),
    (lambda *given: train(*given, clip=lambda gradient, most: gradient * most / np.linalg.norm(gradient)),
     "You stretch short gradients too. Only one that is longer than `max_norm` changes."),
    (lambda *given: train(*given, clip=lambda gradient, most: gradient.clip(-most, most)),
     "You clip each number by itself, which turns the gradient. Scale the whole vector."),
    (lambda *given: train(*given, clip=lambda gradient, most: gradient * min(1, most / np.abs(gradient).sum())),
     "You add up absolute values: the length of a vector is the root of the sum of squares."),
    (lambda *given: train(*given, warm=lambda update, n: 1), "Your learning rate has no warm-up."),
    (lambda *given: train(*given, warm=lambda update, n: min(1, update / n)),
     "Your warm-up begins at 0, so the first batch changes nothing: add 1 to the number of the update."),
    (lambda *given: train(*given, warm=lambda update, n: (update + 1) / n),
     "Your rate goes on climbing after the warm-up: it may not pass `learning_rate`.")])


@np.vectorize
def gelu(number):
    return number * (1 + math.erf(number / math.sqrt(2))) / 2

def block(features, weights, n_heads, may_attend, norm=normalised, bend=gelu):
    read = weights["attention_norm"] * norm(features)
    features = features + self_attention(read, weights["projections"], n_heads, may_attend)
    read = weights["feedforward_norm"] * norm(features)
    return features + bend(read @ weights["widen"]) @ weights["narrow"]

def _wired(wire):
    """Return a block whose attention, feed-forward network and two norms are connected by ``wire``."""
    def wrong(features, weights, n_heads, may_attend):
        return wire(
            features,
            lambda x: self_attention(x, weights["projections"], n_heads, may_attend),
            lambda x: gelu(x @ weights["widen"]) @ weights["narrow"],
            lambda x: weights["attention_norm"] * normalised(x),
            lambda x: weights["feedforward_norm"] * normalised(x))
    return wrong

def _random_block(rng):
    n_positions, n_heads, d_head = rng.integers(2, 5, 3)
    d = n_heads * d_head
    shapes = {"attention_norm": d, "projections": (4, d, d), "feedforward_norm": d, "widen": (d, 2 * d),
              "narrow": (2 * d, d)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return rng.normal(1, 3, size=(n_positions, d)), weights, int(n_heads), np.tri(n_positions, dtype=bool)

checker("5c.7", block, draw=_random_block, tolerance=1e-9,
    cases=[_random_block(np.random.default_rng(1)), _random_block(np.random.default_rng(2))],
    case_names=("one block", "another block"),
    fact="with the same weights the library's block returns the same numbers.", mistakes=[
    (_wired(lambda x, attend, feed, first, second: feed(second(attend(first(x))))),
     "The residual connections are missing: each part *adds* its result to the features that it read from."),
    (_wired(lambda x, attend, feed, first, second: (x := attend(first(x))) + feed(second(x))),
     "The first residual connection is missing: add what attention returns to the features."),
    (_wired(lambda x, attend, feed, first, second: feed(second(x + attend(first(x))))),
     "The last residual connection is missing: add what the feed-forward network returns to the features."),
    (_wired(lambda x, attend, feed, first, second: (x := second((x := first(x)) + attend(x))) + feed(x)),
     "You add to the normalised features. A part reads the normalised copy; the sum goes on from the features "
     "themselves."),
    (_wired(lambda x, attend, feed, first, second: second((x := first(x + attend(x))) + feed(x))),
     "Your norms stand after the sums, as in the first Transformers; here each stands before its part."),
    (_wired(lambda x, attend, feed, first, second: x + attend(first(x)) + feed(second(x))),
     "Your feed-forward network reads the features from before attention. It reads their sum with what attention "
     "returned."),
    (_wired(lambda x, attend, feed, first, second: (x := x + feed(second(x))) + attend(first(x))),
     "Attention comes first, the feed-forward network second."),
    (_wired(lambda x, attend, feed, first, second: (x := x + attend(first(x))) + feed(x)),
     "The second norm is missing, the one before the feed-forward network."),
    (_wired(lambda x, attend, feed, first, second: (x := x + attend(x)) + feed(second(x))),
     "The first norm is missing, the one before attention."),
    (lambda x, w, n, may: block(x, w, n, may, norm=lambda y: y),
     "Your norms only scale: bring each position to mean 0 and standard deviation 1 first, as in 5c.1."),
    (lambda x, w, n, may: block(x, w | dict.fromkeys(("attention_norm", "feedforward_norm"), 1.0), n, may),
     "The norms' factors are not used: after normalising, multiply each feature by its own."),
    (lambda x, w, n, may: block(x, w | {"feedforward_norm": w["attention_norm"]}, n, may),
     "You use the factors of the first norm twice; the second norm has its own."),
    (lambda x, w, n, may: block(x, w, n, may, bend=lambda y: y),
     "Without `gelu` the feed-forward network is one linear map: put it between its two matrices."),
    (lambda x, w, n, may: block(x, w, n, may, bend=lambda y: y.clip(min=0)), "You use a ReLU; this block has `gelu`."),
    (lambda x, w, n, may: block(x, w, 1, may), "You use one head; hand `n_heads` on."),
    (lambda x, w, n, may: block(x, w, n, np.ones_like(may)), "The mask is not used: hand `may_attend` on.")])


def generate(read, prompt, draws, choose=pick):
    written, cache, unread = [], None, prompt
    for draw in draws:
        probabilities, cache = read(unread, cache)
        written.append(choose(probabilities, draw))
        unread = written[-1:]
    return written

def _read_by_sum(tokens, cache):
    """Give probabilities that depend on every token that was read, on its place, and on how many there were."""
    heard = (cache or ()) + tuple(tokens)
    weights = (1.0 + (np.arange(5) * len(heard) + sum(at * token for at, token in enumerate(heard, 2))) % 5) ** 2
    return weights / weights.sum(), heard

def _generate_all_into_cache(read, prompt, draws):
    written, cache = [], None
    for draw in draws:
        probabilities, cache = read(prompt + written, cache)
        written.append(pick(probabilities, draw))
    return written

def _generate_last_twice(read, prompt, draws):
    _, cache = read(prompt, None)
    return generate(lambda tokens, given: read(tokens, cache if given is None else given), prompt[-1:], draws)

def _generate_with_first_cache(read, prompt, draws):
    _, cache = read(prompt, None)
    return generate(lambda tokens, given: read(tokens, given and cache), prompt, draws)

checker("5c.8", generate,
    draw=lambda rng: (_read_by_sum, rng.integers(0, 5, rng.integers(1, 5)).tolist(),
                      rng.random(rng.integers(0, 7)).tolist()),
    cases=[(_read_by_sum, [1, 3, 2], [0.05, 0.6, 0.93, 0.4, 0.2, 0.7]), (_read_by_sum, [4], [0.3, 0.8, 0.5, 0.1, 0.9])],
    case_names=("a prompt of three tokens", "a prompt of one token"),
    fact="each token was read once, as by `generation.sample`.", mistakes=[
    (lambda read, prompt, draws: generate(lambda tokens, cache: read(prompt, None), prompt, draws),
     "Your network is asked after the prompt each time: it never reads the tokens that it writes."),
    (_generate_all_into_cache,
     "You hand over everything at each call. The cache holds what was read before, so the network reads it again: hand "
     "over the new token alone."),
    (lambda read, prompt, draws: generate(lambda tokens, cache: read(tokens, None), prompt, draws),
     "The cache is lost: your network reads its last token as if it were the first. Pass the cache to the next call."),
    (_generate_with_first_cache,
     "You keep the cache of the prompt. Each call returns a cache that holds one token more: keep that."),
    (_generate_last_twice, "The last token of the prompt is read twice: the first call has it in the cache already."),
    (lambda *given: generate(*given, choose=lambda probabilities, draw: int(probabilities.argmax())),
     "You take the likeliest token each time and leave the draws unused."),
    (lambda read, prompt, draws: prompt + generate(read, prompt, draws),
     "You return the prompt as well; return the new tokens."),
    (lambda read, prompt, draws: generate(read, prompt, draws)[1:],
     "You drop the first new token, the one that is drawn after the prompt."),
    (lambda read, prompt, draws: generate(read, prompt, draws)[:-1],
     "You stop one token early: there is one for each draw."),
    (lambda *given: generate(*given, choose=pick_from_the_top),
     "You add the probabilities up from the last token: the same chances, other tokens for these draws.")])
