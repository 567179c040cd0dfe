"""The network: its block, the whole of it with shapes, frames, and the road of training (notebooks 5c, 5d, 00)."""

from drawings.pen import ORANGE, SKY, TENOR, VOICES, Drawing
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig

#: The network that notebook 5c builds.
CONFIG = TransformerConfig(
    vocabulary_size=47, context_length=256, d_model=96, n_layers=2, n_heads=4, d_feedforward=256, n_previous=0
)


def block() -> Drawing:
    """One pre-norm block: the residual stream, and what each of its two parts does to positions."""
    pen = Drawing(
        "A pre-norm Transformer block",
        f"""From left to right the residual stream, {CONFIG.d_model} features for each position. First branch: layer
        norm, multi-head self-attention, dropout, added back to the stream. Second branch: layer norm, a linear layer
        from {CONFIG.d_model} to {CONFIG.d_feedforward}, GELU, a linear layer back to {CONFIG.d_model}, dropout, added
        back. Below: attention moves information from earlier positions to later ones; the feed-forward network works
        on each position by itself.""",
        442,
    )
    y, c = 196, CONFIG
    pen.line((16, y), (632, y), kind="stream", width=4)
    pen.arrow((630, y), (654, y), kind="stream", width=2)
    stream = f"residual stream, (time, {c.d_model}): each part reads a normalised copy and adds to it; none replaces it"
    pen.note(16, y + 26, stream, kind="soft")
    _branch(pen, 40, y, 276, (("layer\nnorm", 64), ("multi-head\nself-attention", 122)), SKY)
    up, down = f"linear\n{c.d_model} → {c.d_feedforward}", f"linear\n{c.d_feedforward} → {c.d_model}"
    _branch(pen, 300, y, 626, (("layer\nnorm", 54), (up, 84), ("GELU", 50), (down, 84)), ORANGE)
    pen.text(158, 34, "attention", kind="strong", size=15)
    pen.text(468, 34, "feed-forward network", kind="strong", size=15)
    _movement(pen, 40, 268)
    _alone(pen, 370, 268)
    return pen


def _branch(pen: Drawing, x: float, y: float, end: float, parts: tuple, colour: str) -> None:
    """Draw a branch that reads the stream, passes through parts, and is added to the stream."""
    pen.dot(x, y, 4, kind="ink")
    height, left = 80, x + 14
    pen.line((x, y), (x, height), (left, height))
    gap = (end - 14 - left - sum(width for _, width in parts)) / max(len(parts) - 1, 1)
    gap = min(gap, 22)
    for words, width in parts:
        is_norm = "norm" in words
        pen.label(left, height - 26, width, 52, words, 13, colour="" if is_norm else colour, strength=0.3, kind="panel")
        left += width
        if (words, width) != parts[-1]:
            pen.arrow((left, height), (left + gap, height))
            left += gap
    pen.arrow((left, height), (end, height), (end, y - 11))
    pen.text(end - 8, 146, "dropout", 12, anchor="end", kind="soft")
    pen.plus(end, y)


def _movement(pen: Drawing, x: float, y: float) -> None:
    """Draw what attention does: each position takes from itself and from those before it."""
    pen.note(x - 24, y, "Attention moves information: each position")
    pen.note(x - 24, y + 18, "takes from itself and from earlier ones.")
    for row, colour in enumerate(VOICES):
        at = y + 48 + 34 * row
        for to in range(row, 4):
            end, wide = y + 48 + 34 * to, 2 if to == row else 1.3
            d = f"M{x + 26} {at}C{x + 110} {at} {x + 120} {end} {x + 208} {end}"
            pen.path(d, colour=colour, width=wide, head=True)
        pen.label(x - 4, at - 13, 28, 26, "SATB"[row], 14, colour=colour, strength=0.35)
        pen.label(x + 212, at - 13, 28, 26, "SATB"[row], 14, kind="panel")


def _alone(pen: Drawing, x: float, y: float) -> None:
    """Draw what the feed-forward network does: each position by itself."""
    pen.note(x - 24, y, "The feed-forward network moves nothing: the")
    pen.note(x - 24, y + 18, "same small network works at each position.")
    for row, colour in enumerate(VOICES):
        at = y + 48 + 34 * row
        pen.label(x - 4, at - 13, 28, 26, "SATB"[row], 14, colour=colour, strength=0.35)
        pen.path(f"M{x + 60} {at - 4}l40 -9h34l40 9v8l-40 9h-34l-40 -9Z", width=1.2)
        pen.arrow((x + 26, at), (x + 57, at), colour=colour, width=2)
        pen.arrow((x + 177, at), (x + 208, at), colour=colour, width=2)
        pen.label(x + 212, at - 13, 28, 26, "SATB"[row], 14, colour=colour, strength=0.35)


def architecture() -> Drawing:
    """The whole network of notebook 5c from tokens to probabilities, with shapes and weights."""
    model, c = MusicTransformer(CONFIG), CONFIG
    n = {name: sum(w.numel() for w in part.parameters()) for name, part in model.named_children()}
    total = sum(n.values())
    pen = Drawing(
        "MusicTransformer from tokens to probabilities",
        f"""From bottom to top. Token ids, batch by time. The sum of a token table of {c.vocabulary_size + 1} rows and
        of tables for the index modulo {", ".join(map(str, c.cycle_lengths))} makes features of width {c.d_model}.
        They pass {c.n_layers} blocks; in each, layer norm, causal multi-head self-attention with rotary positions and
        a residual connection, then layer norm, a feed-forward network {c.d_model} to {c.d_feedforward} to {c.d_model}
        and a residual connection. A last layer norm and a linear layer to {c.vocabulary_size} logits, whose softmax
        is the probability of the next token. {total:,} weights in all.""",
        806,
    )
    x, wide, right = 190, 230, 452
    middle = x + wide / 2
    pen.note(right, 26, "shape", kind="strong")
    pen.text(right + 188, 26, "weights", 13, anchor="end", kind="strong")

    def beside(y: float, shape: str, weights: int | None = None) -> None:
        pen.note(right, y, shape)
        if weights is not None:
            pen.text(right + 188, y, f"{weights:,}", 13, anchor="end")

    # From the top down; arrows point up.
    pen.label(x, 36, wide, 34, "probability of the next token", colour=TENOR)
    pen.label(x, 90, wide, 30, "softmax", kind="panel")
    pen.label(x, 144, wide, 34, f"linear {c.d_model} → {c.vocabulary_size}", colour=ORANGE)
    pen.label(x, 200, wide, 30, "layer norm", kind="panel")
    for top, bottom in ((70, 90), (120, 144), (178, 200), (230, 258)):
        pen.arrow((middle, bottom), (middle, top + 1))
    beside(58, f"(batch, time, {c.vocabulary_size})")
    beside(137, f"(batch, time, {c.vocabulary_size}) logits")
    beside(166, "", n["to_logits"])
    beside(220, "", n["norm"])
    pen.note(16, 166, "its weights begin at zero", kind="soft")
    _block(pen, x, 258, wide, c)
    beside(252, f"(batch, time, {c.d_model})")
    beside(470, "", n["blocks"])
    pen.text(right + 188, 488, f"{c.n_layers} × {n['blocks'] // c.n_layers:,}", 12, anchor="end", kind="soft")
    pen.arrow((middle, 648), (middle, 591))
    beside(622, f"(batch, time, {c.d_model})")
    pen.plus(middle, 658)
    pen.label(x - 8, 690, 116, 40, f"token table\n{c.vocabulary_size + 1} × {c.d_model}", 13, colour=ORANGE)
    cycles = ", ".join(map(str, c.cycle_lengths))
    pen.label(x + 122, 690, 116, 40, f"cycle tables\n{cycles} × {c.d_model}", 13, colour=ORANGE)
    pen.arrow((x + 50, 690), (x + 50, 658), (middle - 11, 658))
    pen.arrow((x + 180, 690), (x + 180, 658), (middle + 11, 658))
    beside(706, "", n["token_tables"] + n["cycle_tables"])
    pen.note(16, 702, "which voice, which", kind="soft")
    pen.note(16, 719, "sixteenth of the beat,", kind="soft")
    pen.note(16, 736, "which beat of four", kind="soft")
    _row(pen, x - 24, 752)
    pen.arrow((x + 50, 752), (x + 50, 731))
    pen.arrow((x + 180, 752), (x + 180, 731))
    beside(771, "(batch, time) token ids")
    pen.text(right + 188, 800, f"all  {total:,}", 13, anchor="end", kind="strong")
    return pen


def _row(pen: Drawing, x: float, y: float) -> None:
    """Draw the row of tokens that goes in: the begin symbol, then soprano to bass."""
    pen.label(x, y, 44, 28, "begin", 13, kind="panel")
    for place, voice in enumerate("SATBSA"):
        pen.label(x + 48 + 32 * place, y, 29, 28, voice, 14, colour=VOICES[place % 4], strength=0.35)
    pen.text(x + 254, y + 18, "…")


def _block(pen: Drawing, x: float, y: float, wide: float, c: TransformerConfig) -> None:
    """Draw the block of the stack, with its two residual connections and what attention is told."""
    middle = x + wide / 2
    pen.box(x - 46, y, wide + 62, 332, kind="panel", corner=10)
    pen.text(x - 34, y + 24, f"block × {c.n_layers}", anchor="start", kind="strong")
    pen.plus(middle, y + 38)
    widths = f"{c.d_model} → {c.d_feedforward}, GELU, → {c.d_model}"
    pen.label(x, y + 66, wide, 44, f"feed-forward network\n{widths}", 13, colour=ORANGE)
    pen.label(x, y + 128, wide, 26, "layer norm", 13, kind="frame")
    pen.plus(middle, y + 188)
    heads = f"{c.n_heads} heads of width {c.d_model // c.n_heads}"
    pen.label(x, y + 216, wide, 44, f"causal multi-head self-attention\n{heads}", 13, colour=SKY)
    pen.label(x, y + 278, wide, 26, "layer norm", 13, kind="frame")
    for start, end in ((66, 49), (128, 111), (178, 155), (216, 199), (278, 261), (332, 305)):
        pen.arrow((middle, y + start), (middle, y + end))
    pen.arrow((middle, y + 28), (middle, y + 2))
    for start, end in ((170, 38), (320, 188)):
        pen.dot(middle, y + start, 3.5, kind="ink")
        around = ((middle, y + start), (x - 22, y + start), (x - 22, y + end), (middle - 11, y + end))
        pen.arrow(*around, kind="stream", width=2)
    pen.lines(16, y + 96, ("residual", "connections"), 13, anchor="start", colour="")
    pen.line((94, y + 98), (x - 24, y + 108), width=1, dashed=True)
    pen.line((94, y + 98), (x - 24, y + 228), width=1, dashed=True)
    pen.label(x + wide + 32, y + 196, 104, 26, "causal mask", 13, kind="frame")
    pen.label(x + wide + 32, y + 252, 124, 26, "rotary positions", 13, kind="frame")
    pen.arrow((x + wide + 32, y + 210), (x + wide + 1, y + 230))
    pen.arrow((x + wide + 32, y + 264), (x + wide + 1, y + 248))


def frames() -> Drawing:
    """One position per step: a causal stack over steps, and a head over the voices of one step."""
    pen = Drawing(
        "A stack over steps and a head over voices",
        """Below, the frames of three earlier steps, each of four voices. Each frame enters one position of the stack,
        whose causal self-attention lets later positions see earlier ones. From the position of step t the head
        predicts the four voices of frame t in turn: the soprano from the past alone, the alto from the stack and the
        soprano, the tenor from stack, soprano and alto, the bass from the stack and all three above it.""",
        452,
    )
    left, gap, cell, tall = 40, 92, 40, 24
    pen.box(16, 120, 318, 120, kind="panel", corner=8)
    factors = ("p(frame t) =  p(S | past)", "× p(A | past, S)", "× p(T | past, S, A)", "× p(B | past, S, A, T)")
    for row, factor in enumerate(factors):
        pen.note(28 if row == 0 else 109, 34 + 21 * row, factor)
    pen.note(28, 142, "stack of blocks: causal self-attention over")
    pen.note(28, 159, "steps; step t has read frames up to t − 1")
    for place, step in enumerate(("t − 3", "t − 2", "t − 1")):
        x = left + gap * place + 16
        pen.text(x + cell / 2, 428, f"frame {step}", 13)
        for voice, colour in enumerate(VOICES):
            pen.label(x, 310 + voice * (tall + 2), cell, tall, "SATB"[voice], 13, colour=colour, strength=0.35)
        pen.arrow((x + cell / 2, 307), (x + cell / 2, 276))
        pen.plus(x + cell / 2, 264)
        pen.arrow((x + cell / 2, 253), (x + cell / 2, 231))
        pen.dot(x + cell / 2, 218, 11)
        for before in range(place):
            start = left + gap * before + 16 + cell / 2
            rise = 16 + 14 * (place - before)
            middle = (start + x + cell / 2) / 2
            d = f"M{start + 6:.4g} 208Q{middle:.4g} {208 - rise:.4g} {x + cell / 2 - 7:.4g} 209"
            pen.path(d, kind="stream", head=True)
    pen.note(22, 290, "add")
    at = left + 2 * gap + 16 + cell / 2
    pen.arrow((at + 12, 218), (442, 218), kind="stream", width=2)
    pen.lines(379, 238, ("what the", "stack says", "of step t"), 12, kind="soft")
    _head(pen, 438, 34)
    return pen


def _head(pen: Drawing, x: float, y: float) -> None:
    """Draw the head: four voices of one step, each told of those above it."""
    pen.box(x - 14, y - 18, 222, 400, kind="panel", corner=8)
    pen.note(x, y + 4, "head: over the voices of")
    pen.note(x, y + 21, "frame t, from the top down")
    centre = [y + 74 + 82 * voice for voice in range(4)]
    pen.line((x + 6, centre[0]), (x + 6, centre[-1]), kind="stream", width=2)
    for voice, colour in enumerate(VOICES):
        pen.arrow((x + 6, centre[voice]), (x + 34, centre[voice]), kind="stream", width=2)
        name = ("soprano", "alto", "tenor", "bass")[voice]
        pen.label(x + 38, centre[voice] - 20, 92, 40, name, colour=colour, strength=0.35)
        for below in range(voice + 1, 4):
            reach = 26 * (below - voice) + 12
            start, end = centre[voice] + 6 * (below - voice), centre[below] - 12 + 6 * voice
            d = f"M{x + 131} {start}C{x + 131 + reach} {start} {x + 131 + reach} {end} {x + 133} {end}"
            pen.path(d, colour=colour, head=True, width=1.8)
    pen.note(x, y + 374, "each hears the voices above it")
