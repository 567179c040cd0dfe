"""Attention: the look-up with numbers, masks, projections, heads (notebook 5a)."""

import torch

from drawings.pen import BLUE, ORANGE, SKY, SOPRANO, Drawing, number
from mini_musessl.network.attention import MultiHeadAttention, attention_weights, causal_mask, padding_mask

NAMES = "CDEFGA"
PHRASES = ("CCGGAAG", "FFEEDDC", "GGFFEED", "GGFFEE")
FACTOR = 3  # of those that notebook 5a prints, the one at which half a fit still counts a little


def look_up() -> Drawing:
    """The last two notes of a tune are the query; every earlier pair of notes is a key."""
    tune = "".join(PHRASES)
    one_hot = torch.eye(6)[[NAMES.index(note) for note in tune]]
    query = torch.cat((one_hot[-2], one_hot[-1]))
    keys = torch.cat((one_hot[:-2], one_hot[1:-1]), dim=1)
    scores = keys @ query
    weights = (FACTOR * scores).softmax(-1)
    mixed = weights @ one_hot[2:]
    pen = Drawing(
        "Attention as a look-up in a tune",
        f"""A tune of {len(tune)} notes. The query is its last two notes, E E. The key of each place is the two notes
        before it, the score counts how many of the two agree: 0, 1 or 2. Times {FACTOR} and through a softmax the
        scores become weights; the two places that agree in both notes get {number(weights.max())} each. The weighted
        mean of the values, the notes at the places, gives D {number(mixed[1])}.""",
        466,
    )
    wide, left = 19.1, 92
    x = [left + i * wide + 7 * (i // 7) for i in range(len(tune) + 1)]
    rows = {"the tune": 54, "key": 150, "score": 196, "weight": 296, "value": 338}
    for name, y in rows.items():
        pen.text(left - 10, y, name, anchor="end", kind="strong")
    pen.text(left - 10, rows["score"] + 15, "query · key", 12, anchor="end", kind="soft")
    pen.text(left - 10, rows["weight"] + 15, f"softmax({FACTOR} s)", 12, anchor="end", kind="soft")
    for i, note in enumerate(tune):
        is_query = i >= len(tune) - 2
        look = {"colour": ORANGE, "strength": 0.35} if is_query else {"kind": "panel"}
        pen.box(x[i] + 1, 37, wide - 2, 24, **look)
        pen.text(x[i] + wide / 2, rows["the tune"], note)
    end = x[len(tune)]
    pen.box(end + 1, 37, wide - 2, 24, kind="frame", dashed=True)
    pen.text(end + wide / 2, rows["the tune"], "?", kind="strong")
    middle = x[len(tune) - 1]
    pen.text(middle, 24, "query", kind="strong")
    pen.line((middle, 63), (middle, 94), colour=ORANGE)
    pen.line((x[2] + wide / 2, 94), (x[len(tune) - 1] + wide / 2, 94), colour=ORANGE)
    pen.text((x[2] + middle) / 2, 88, "the query, E E, is compared with every key", 13, kind="soft")
    for j, (score, weight) in enumerate(zip(scores, weights, strict=True), start=2):
        centre, strength = x[j] + wide / 2, 0.6 * float(score) / 2
        pen.arrow((centre, 94), (centre, 122), colour=ORANGE, width=1)
        pen.box(x[j] + 1, 125, wide - 2, 40, colour=BLUE, strength=strength)
        pen.lines(centre, 142, tune[j - 2 : j], 13)
        pen.text(centre, rows["score"], number(score, 0), kind="strong" if score == 2 else "")
        tall = 150 * float(weight)
        pen.box(x[j] + 2, 296 - tall, wide - 4, max(tall, 0.8), colour=BLUE, strength=0.6, corner=0)
        if score == 2:
            pen.text(centre, 290 - tall, number(weight), 13, kind="strong")
        pen.box(x[j] + 1, 321, wide - 2, 24, colour=BLUE, strength=float(weight))
        pen.text(centre, rows["value"], tune[j])
    pen.line((x[2], 296), (end - 1, 296), kind="faint", width=1)
    pen.text(left - 10, 398, "output", anchor="end", kind="strong")
    _mixture(pen, mixed, x[2], 386)
    for j in (j for j, score in enumerate(scores, start=2) if score == 2):
        pen.arrow((x[j] + wide / 2, 346), (x[2] + 125, 376), colour=BLUE)
    return pen


def _mixture(pen: Drawing, mixed: torch.Tensor, x: float, y: float) -> None:
    """Draw how much of each note is in the weighted mean."""
    for column, (name, share) in enumerate(zip(NAMES, mixed, strict=True)):
        at = x + 85 * column
        pen.box(at, y - 8, 74, 30, colour=BLUE, strength=float(share))
        pen.text(at + 37, y + 12, f"{name}  {number(share)}", kind="strong" if share == mixed.max() else "")
    pen.note(x, y + 46, "The output is the sum of the values, each times its weight: it says D.")
    pen.note(x, y + 64, "The two places that fit whole say D; places that fit by half have a small say.")


def masks() -> Drawing:
    """What each query may attend to: three masks that are right, three that are not."""
    n = 6
    every, causal = torch.ones(n, n, dtype=torch.bool), causal_mask(n, n)
    is_padding = torch.tensor([[False] * 4 + [True] * 2])
    padding = padding_mask(is_padding)[0, 0].expand(n, n)
    shown = (
        ("causal mask", "itself and what came before", causal),
        ("padding mask", "no padding: here the last two", padding),
        ("causal & padding", "where both allow it", causal & padding),
        ("no mask", "everything, the future too", every),
        ("one too far", "the next note too: the target", every.tril(1)),
        ("upside down", "itself and the future", every.triu()),
    )
    pen = Drawing(
        "Attention masks, right and wrong",
        """Six tables of six queries and six keys. Top: the causal mask allows the lower triangle; the padding mask
        forbids the last two columns; joined by and, both hold. Bottom, wrong for predicting the next note: no mask
        allows everything; one too far allows also the place after the query; upside down allows the upper triangle.
        In these, cells in which a query sees the future have a cross.""",
        576,
    )
    pen.text(34, 30, "Right", anchor="start", size=15, kind="strong")
    pen.text(34, 302, "Wrong for predicting the next note", anchor="start", size=15, kind="strong")
    for index, (name, allows, mask) in enumerate(shown):
        _mask(pen, 52 + 208 * (index % 3), 78 + 272 * (index // 3), mask, name, allows, is_wrong=index > 2)
    pen.box(52, 548, 16, 16, colour=BLUE, strength=0.55, corner=2)
    pen.note(75, 561, "may attend")
    pen.box(172, 548, 16, 16, kind="frame", corner=2)
    pen.note(195, 561, "hidden: score −∞, weight 0")
    _leak(pen, 392, 548, 16)
    pen.note(415, 561, "sees what it shall predict, or later")
    return pen


def _leak(pen: Drawing, x: float, y: float, side: float) -> None:
    """Draw a cell in which a query sees the future."""
    pen.box(x, y, side, side, colour=SOPRANO, strength=0.6, corner=2)
    pen.path(f"M{x + 4:.4g} {y + 4:.4g}l{side - 8:.4g} {side - 8:.4g}m0 {8 - side:.4g}l{8 - side:.4g} {side - 8:.4g}")


def _mask(pen: Drawing, x: float, y: float, mask: torch.Tensor, name: str, allows: str, is_wrong: bool) -> None:
    """Draw one mask with its name, queries downwards and keys to the right."""
    side = 26
    pen.text(x - 8, y - 24, name, anchor="start", kind="strong")
    pen.text(x + 3 * side, y - 5, "key →", 12, kind="soft")
    pen.text(x - 8, y + 17, "↓", 12, kind="soft")
    pen.parts.append(
        f'<text transform="translate({x - 9:.4g} {y + 86:.4g}) rotate(-90)" font-size="12" class="soft" '
        f'text-anchor="middle">query</text>'
    )
    for i in range(len(mask)):
        for j in range(len(mask)):
            at = (x + side * j + 1, y + side * i + 1)
            if mask[i, j] and is_wrong and j > i:
                _leak(pen, *at, side - 2)
            elif mask[i, j]:
                pen.box(*at, side - 2, side - 2, colour=BLUE, strength=0.55, corner=2)
            else:
                pen.box(*at, side - 2, side - 2, kind="frame", corner=2)
    pen.note(x - 8, y + 6 * side + 20, allows)


def projections() -> Drawing:
    """Three learned matrices make queries, keys and values of the features; a fourth leads back."""
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(3, 4, generator=draw)
    w_q, w_k, w_v, w_o = torch.randn(4, 4, 4, generator=draw) / 1.6
    q, k, v = x @ w_q, x @ w_k, x @ w_v
    may = causal_mask(3, 3)
    scores = q @ k.T / 2
    weights = attention_weights(q, k, may)
    mixed = weights @ v
    out = mixed @ w_o
    pen = Drawing(
        "Self-attention with learned projections, in numbers",
        """Features X of three notes, 3 rows of 4 numbers, are multiplied by three learned 4 by 4 matrices: queries X
        W_Q, keys X W_K, values X W_V. Queries times keys, divided by the root of 4, give scores 3 by 3, of which the
        causal mask hides those above the diagonal. The softmax makes weights, each row summing to 1. Weights times
        values give the mixtures, and a fourth learned matrix W_O leads back to features of width 4.""",
        590,
    )
    _projected(pen, x, ((w_q, q, "Q", "queries", ORANGE), (w_k, k, "K", "keys", SKY), (w_v, v, "V", "values", BLUE)))
    y = 440
    for left, table, name, shape, colour in (
        (20, scores, "scores", "QK^{T}/√d", ORANGE),
        (176, weights, "weights", "softmax of each row", BLUE),
        (332, mixed, "mixtures", "weights × V", BLUE),
        (516, out, "output", "mixtures × W_{O}", SOPRANO),
    ):
        hidden = ~may if table is scores or table is weights else None
        pen.text(left, y - 30, name, anchor="start", kind="strong")
        pen.note(left, y - 11, shape, kind="soft")
        pen.matrix(left, y, table, (32, 26), colour, is_hidden=hidden, digits=2 if table is weights else 1)
    for left in (126, 282, 470):
        pen.arrow((left, y + 39), (left + 38, y + 39))
    pen.note(20, 552, "W_{Q}, W_{K}, W_{V} and W_{O} are learned; everything else is computed anew for each input.")
    pen.note(20, 572, "Striped: hidden by the causal mask. The first note sees itself alone, so its weight is 1.")
    return pen


def _projected(pen: Drawing, x: torch.Tensor, made: tuple) -> None:
    """Draw X times each of three matrices."""
    cell, top = (34, 24), 62
    pen.text(20, top + 76, "features X", anchor="start", kind="strong")
    pen.note(20, top + 96, "3 notes, 4 wide", kind="soft")
    pen.matrix(20, top + 108, x, cell, BLUE)
    for row, note in enumerate(("1st note", "2nd note", "3rd note")):
        pen.text(162, top + 108 + 24 * row + 17, note, 12, anchor="start", kind="soft")
    for row, (matrix, result, name, long_name, colour) in enumerate(made):
        y = top + 116 * row
        pen.arrow((224, top + 144), (250, y + 48)) if row != 1 else pen.arrow((224, top + 144), (250, top + 144))
        pen.text(262, y - 8, f"W_{{{name}}}", anchor="start", kind="strong")
        pen.text(292, y - 8, "learned, 4 × 4", 12, anchor="start", kind="soft")
        pen.matrix(262, y, matrix, (34, 22), colour)
        pen.arrow((408, y + 44), (448, y + 44))
        pen.text(460, y - 2, f"{name} = X W_{{{name}}}", anchor="start", kind="strong")
        pen.note(566, y - 2, long_name, kind="soft")
        pen.matrix(460, y + 8, result, cell, colour)


def heads() -> Drawing:
    """Features are split into slices, each slice attends by itself, and the results are joined."""
    n, d_model, n_heads = 5, 12, 3
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layer = MultiHeadAttention(d_model, n_heads)
        features = 2 * torch.randn(1, n, d_model)
    output, weights = layer(features, causal_mask(n, n))
    pen = Drawing(
        "Multi-head attention: split, attend, join",
        f"""Features of {n} positions, {d_model} wide, are projected to queries, keys and values of the same width and
        split into {n_heads} heads of width {d_model // n_heads}. Each head has a table of weights of its own, {n} by
        {n}, below the diagonal, and makes a mixture {n} by {d_model // n_heads}. The mixtures are put side by side
        again, {n} by {d_model}, and the projection W_O makes the output of them.""",
        504,
    )
    colours, d_head, causal = (ORANGE, SKY, SOPRANO), d_model // n_heads, causal_mask(n, n)
    top = 100
    pen.text(16, 30, "1  split", size=15, anchor="start", kind="strong")
    pen.text(252, 30, "2  attend, each by itself", size=15, anchor="start", kind="strong")
    pen.text(508, 30, "3  join", size=15, anchor="start", kind="strong")
    made = layer.to_queries_keys_values(features)[0].detach().chunk(3, dim=-1)
    pen.note(16, 196, "features X")
    pen.matrix(16, 206, features[0], (6, 12), BLUE, digits=-1)
    pen.text(16, 284, "5 × 12", 12, anchor="start", kind="soft")
    for row, (name, table) in enumerate(zip("QKV", made, strict=True)):
        y = top + 112 * row
        pen.note(112, y - 9, f"{name} = X W_{{{name}}}", kind="strong")
        pen.arrow((90, 236), (108, y + 30)) if row != 1 else pen.arrow((90, 242), (108, 242))
        for head, colour in enumerate(colours):
            part = table[:, head * d_head : (head + 1) * d_head]
            pen.matrix(112 + head * (d_head * 8 + 3), y, part, (8, 12), colour, digits=-1, largest=2)
        pen.text(112, y + 76, "3 heads × 4", 12, anchor="start", kind="soft")
    for head, colour in enumerate(colours):
        y = 62 + 140 * head
        pen.box(250, y - 12, 232, 128, kind="panel")
        pen.text(260, y + 6, f"head {head + 1}", anchor="start", kind="strong", size=13)
        pen.text(260, y + 108, "weights 5 × 5", 12, anchor="start", kind="soft")
        table = weights[0, head].detach()
        pen.matrix(262, y + 16, table, (15, 15), colour, digits=-1, largest=1, is_hidden=~causal)
        pen.arrow((342, y + 53), (384, y + 53))
        pen.text(363, y + 46, "× V", 12)
        part = made[2][:, head * d_head : (head + 1) * d_head]
        mixture = table @ part
        pen.matrix(390, y + 16, mixture, (15, 15), colour, digits=-1, largest=2)
        pen.text(390, y + 108, "mixture 5 × 4", 12, anchor="start", kind="soft")
        pen.arrow((228, y + 53), (247, y + 53))
        pen.line((484, y + 53), (496, y + 53))
        pen.matrix(512 + head * 34, 212, mixture, (8, 12), colour, digits=-1, largest=2)
    for x, y in ((228, 130), (228, 242), (228, 354)):
        pen.line((218, y), (x, y))
    pen.line((228, 115), (228, 395))
    pen.line((496, 115), (496, 395))
    pen.arrow((496, 242), (509, 242))
    pen.note(512, 202, "side by side")
    pen.text(512, 290, "5 × 12", 12, anchor="start", kind="soft")
    pen.arrow((562, 298), (562, 340))
    pen.text(572, 324, "W_{O}", anchor="start", kind="strong")
    pen.note(512, 362, "output")
    pen.matrix(512, 370, output[0].detach(), (8, 12), BLUE, digits=-1)
    pen.text(512, 448, "5 × 12 again", 12, anchor="start", kind="soft")
    pen.note(16, 474, "Splitting is free, each head being a third as wide; only the tables of weights are three.")
    pen.note(16, 492, "Striped: hidden by the causal mask.")
    return pen
