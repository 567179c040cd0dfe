"""Refusals that several modules share, each in one sentence: what must hold, what was found, what to do.

They stand at public doors and never inside a taught function. Arrays may be NumPy's or PyTorch's: this file imports no
torch.

Chapter: 3a.
"""

import math
import operator
import re
from collections.abc import Collection, Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy.typing import ArrayLike

ENCODE = "Encode the music with a tokenizer first."
SECONDS = "Are these seconds or quarters? Multiply by the steps in each and round."

#: What XML forbids, what moves a terminal's cursor, and halves of characters: file names that are not UTF-8 have some.
UNPRINTABLE = re.compile(r"[\0-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufffe\uffff]")


def printable(text: object) -> str:
    """Return text on one line that a page, a picture and a terminal can hold: U+FFFD stands for what none can."""
    one_line = re.sub(r"[\t-\r\x85\u2028\u2029]+", " ", str(text))
    # Some programs end every name with a zero byte.
    return UNPRINTABLE.sub("\ufffd", one_line.replace("\0", ""))


def shown(text: object, longest: int = 200) -> str:
    """Return text for a sentence: printable, and a long one without its middle."""
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest // 2]}...{text[-(longest // 2) :]}"


def written(value: object) -> str:
    """Return a value for a sentence as Python writes it, or its type where Python cannot."""
    try:
        return shown(repr(value))
    except Exception:  # whatever its class raises
        return f"a {type(value).__name__}"


def check_text(name: str, text: object, advice: str = "") -> None:
    """Refuse bytes, a number or anything else in place of text."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be text; found {type(text).__name__}. {advice}".rstrip())


def whole_number(name: str, value: object, lowest: int, highest: int | None = None, advice: str = "") -> int:
    """Return a whole number as an ``int``; integers of Python and NumPy pass, floats and bools do not."""
    try:
        number = operator.index(_one_number(value))
    except Exception:  # whatever its class raises
        raise TypeError(f"{name} must be a whole number; found {written(value)}. {advice}".rstrip()) from None
    if number < lowest or (highest is not None and number > highest):
        limits = f"be at least {lowest}" if highest is None else f"lie in {lowest}..{highest}"
        # Python refuses to write numbers of more than 4,300 digits.
        found = number if number.bit_length() < 1000 else f"one of {number.bit_length()} bits"
        raise ValueError(f"{name} must {limits}; found {found}. {advice}".rstrip())
    return number


def real_number(name: str, value: object, advice: str = "") -> float:
    """Return a number as a ``float``; those of Python, NumPy and PyTorch pass, Booleans and text do not."""
    try:
        return float(_one_number(value))
    except OverflowError:  # whole numbers have no largest
        raise ValueError(
            f"{name} must be a number that a float can hold; found one beyond. {advice}".rstrip()
        ) from None
    except Exception:
        raise TypeError(f"{name} must be a number; found {written(value)}. {advice}".rstrip()) from None


def _one_number(value: Any) -> Any:
    """Return what is neither True or False, nor digits, nor several numbers; Python would take them for one."""
    is_truth = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")
    if is_truth or isinstance(value, (str, bytes, bytearray)) or getattr(value, "shape", ()) != ():
        raise TypeError
    return value


def whole_numbers(name: str, numbers: ArrayLike, advice: str = SECONDS) -> np.ndarray:
    """Return numbers of any shape as int64; floats that are whole pass too."""
    array = as_array(name, numbers)
    if array.size and array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be whole numbers; found {array.dtype}. {advice}")
    if array.dtype.kind == "f" or array.dtype == np.uint64:
        is_whole = (array == np.rint(array)) & (np.abs(array) < 2**62)
        if not is_whole.all():
            index = int(np.argmin(is_whole))
            raise TypeError(f"{name} must be whole numbers; found {array.flat[index]} at place {index}. {advice}")
    return array.astype(np.int64, copy=False)


def as_array(name: str, values: Any) -> np.ndarray:
    """Return nested lists, an array or a tensor, on any device, as a NumPy array, or refuse rows of unequal length."""
    try:
        return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except Exception:  # of NumPy, PyTorch, or the class of the values
        raise ValueError(
            f"{name} must be whole numbers in rows of one length; these cannot be made an array. Cut them to the "
            "shortest, or give them one by one."
        ) from None


def check_sizes(config: object, *names: str, lowest: int = 1) -> None:
    """Refuse fields of a configuration that are not whole numbers of at least ``lowest``."""
    for name in names:
        whole_number(name, getattr(config, name), lowest)


def check_grid(steps_per_quarter: int) -> int:
    """Return the steps per quarter of a grid, or refuse what no file could count."""
    # The header of a MIDI file counts ticks in 15 bits.
    return whole_number("steps_per_quarter", steps_per_quarter, 1, 32767, "24 is the default and holds triplets.")


def check_share(name: str, value: float, advice: str = "") -> None:
    """Refuse what is not a share, 0 or more and below 1."""
    if not 0 <= real_number(name, value, advice) < 1:
        raise ValueError(f"{name} must be at least 0 and below 1; found {value}. {advice}".rstrip())


def check_positive(name: str, value: float, advice: str = "") -> None:
    """Refuse what is not a finite number above 0."""
    if not 0 < real_number(name, value, advice) < math.inf:
        raise ValueError(f"{name} must be a finite number above 0; found {value}. {advice}".rstrip())


def check_choice(name: str, value: object, choices: Collection, advice: str = "") -> None:
    """Refuse what is not among the choices."""
    try:
        is_known = isinstance(value, Hashable) and value in choices  # an array equals by elements
    except Exception:  # a tensor does too
        is_known = False
    if not is_known:
        raise ValueError(
            f"{name} must be one of {', '.join(map(str, choices))}; found {written(value)}. {advice}".rstrip()
        )


def check_some(n: int, need: str = "The loss needs at least one target", advice: str = "Is the batch empty?") -> None:
    """Refuse a mean, a drawing or a split of nothing."""
    if n == 0:
        raise ValueError(f"{need}; found none. {advice}".rstrip())


def check_list(what: str, given: Sequence, single: type | tuple[type, ...], advice: str) -> None:
    """Refuse one piece in place of a list of pieces, and an empty list."""
    if isinstance(given, single):
        raise TypeError(f"{what} come in a list; found one {type(given).__name__}. Put it into a list.")
    check_some(len(given), f"{what} are needed, at least one", advice)


def check_pieces(
    pieces: Sequence[ArrayLike], n_ids: int | None = None, n_voices: int | None = None
) -> list[np.ndarray]:
    """Return pieces of token ids below ``n_ids`` as int64 arrays, of n_tokens or of n_steps times ``n_voices``."""
    try:
        arrays = [as_array(f"Piece {index}", piece) for index, piece in enumerate(pieces)]
    except TypeError:
        raise TypeError(f"Pieces come in a list; found {written(pieces)}. {ENCODE}") from None
    check_some(len(arrays), "At least one piece is needed", "Is the corpus or the split empty?")
    shape = "(n_tokens,)" if n_voices is None else f"(n_steps, {n_voices})"
    for index, ids in enumerate(arrays):
        has_shape = ids.ndim == 1 if n_voices is None else ids.ndim == 2 and ids.shape[1] == n_voices
        if not has_shape or ids.size == 0 or ids.dtype.kind not in "iu":
            raise ValueError(
                f"A piece must be whole token ids of the shape {shape}, at least one; piece {index} has shape "
                f"{ids.shape} and type {ids.dtype}. {ENCODE} Put a single piece into a list."
            )
        check_range(ids.min(), ids.max(), n_ids or 1 << 31, f"The token ids of piece {index}")
    return [ids.astype(np.int64) for ids in arrays]


def check_ids(
    name: str, ids: Any, n_ids: int, shape: Sequence[str | int], longest: int | None = None, lowest: int = 0
) -> None:
    """Refuse an array or a tensor that does not hold ids of a vocabulary.

    Args:
        shape: name or size of each axis, such as ("batch", "n_steps", 4); "n_prompt" may be 0.
        longest: the context_length of a network, which the second axis may not exceed.
    """
    has_shape = len(ids.shape) == len(shape) and all(
        size == wanted if isinstance(wanted, int) else size > 0 or wanted == "n_prompt"
        for size, wanted in zip(ids.shape, shape, strict=True)
    )
    if not has_shape:
        raise ValueError(
            f"{name} must have the shape ({', '.join(map(str, shape))}), no axis empty; found {tuple(ids.shape)}. For "
            f"one piece, put it into a batch: {name}[None]."
        )
    if 0 in ids.shape:
        return
    if "int" not in getattr(ids.dtype, "name", str(ids.dtype)):  # NumPy's str of another byte order has no "int"
        raise TypeError(f"{name} must be whole numbers; found {ids.dtype}. {ENCODE}")
    if "torch." in str(ids.dtype) and str(ids.dtype) not in ("torch.int64", "torch.int32"):
        raise TypeError(f"{name} must be int64 or int32 for a network; found {ids.dtype}. Convert them with .long().")
    if longest is not None and ids.shape[1] > longest:
        raise ValueError(
            f"{name} may hold at most context_length = {longest} positions; found {ids.shape[1]}. Cut windows, or make "
            "a network with a longer context."
        )
    check_range(int(ids.min()), int(ids.max()), n_ids, name, lowest)


def check_range(smallest: int, largest: int, n_ids: int, name: str = "Targets", lowest: int = 0) -> None:
    """Refuse ids outside a vocabulary, given the smallest and the largest of them."""
    if smallest < lowest or largest >= n_ids:
        raise ValueError(
            f"{name} must lie in {lowest}..{n_ids - 1}; found {smallest}..{largest}. "
            "Was the music encoded with another vocabulary?"
        )


def check_logits(shape: Sequence[int], targets: np.ndarray) -> None:
    """Refuse logits, given by their shape, that do not belong to the targets, and targets that they do not score."""
    if tuple(shape[:-1]) != targets.shape:
        raise ValueError(
            f"A model must score every target, so that its logits have the shape ({', '.join(map(str, targets.shape))},"
            f" vocabulary); found {tuple(shape)}. Are axes swapped?"
        )
    check_range(int(targets.min()), int(targets.max()), shape[-1])


def check_truth(name: str, values: Any, shape: Sequence[int], advice: str = "Compare first, as in x == 0.") -> None:
    """Refuse an array or a tensor that does not say True or False at every place of a shape."""
    if not str(values.dtype).endswith("bool"):
        raise TypeError(f"{name} must be True or False; found {values.dtype}. {advice}")
    if tuple(values.shape) != tuple(shape):
        raise ValueError(f"{name} must have the shape {tuple(shape)}; found {tuple(values.shape)}.")


def check_batch(batch: object, kind: type, objective: str, maker: str) -> None:
    """Refuse a batch that was drawn for another objective."""
    if not isinstance(batch, kind):
        raise TypeError(
            f"{objective} needs a {kind.__name__}, such as {maker} draws; found {type(batch).__name__}. Do the batches "
            "belong to another objective?"
        )


def check_scores(scores: Any) -> None:
    """Refuse the scores of a diverged network: NaN in an array or a tensor."""
    if bool((scores != scores).any()):
        raise FloatingPointError(
            "The scores of a network must be finite numbers; found some that are not. Did training diverge? Train "
            "again with a smaller learning_rate."
        )


def check_generator(generator: object, drawer: str) -> None:
    """Refuse a seed, or another library's generator, where a NumPy generator draws."""
    if not isinstance(generator, np.random.Generator):
        raise TypeError(
            f"{drawer} draws from a numpy.random.Generator; found {type(generator).__name__}. "
            "Pass numpy.random.default_rng(seed)."
        )


def check_torch_generator(generator: object, drawer: str) -> None:
    """Refuse a seed, another library's generator, or one on a GPU, where a PyTorch generator draws."""
    found = getattr(generator, "device", type(generator).__name__)
    if type(generator).__name__ != "Generator" or str(found) != "cpu":
        raise TypeError(
            f"{drawer} draws from a torch.Generator on the CPU, whatever device the model is on; found {found}. "
            "Pass torch.Generator().manual_seed(seed)."
        )


def check_hidden_cells(
    pieces: Sequence[np.ndarray], hidden: Sequence[ArrayLike]
) -> list[Bool[np.ndarray, "n_draws n_steps 4"]]:
    """Return what is hidden in each piece, several draws of it, or refuse what does not fit the pieces."""
    if len(hidden) != len(pieces):
        raise ValueError(f"What is hidden must be said of each piece, {len(pieces)}; found {len(hidden)}.")
    arrays = [as_array("What is hidden", each) for each in hidden]
    for index, (ids, is_hidden) in enumerate(zip(pieces, arrays, strict=True)):
        check_truth(f"What is hidden in piece {index}", is_hidden, (max(len(is_hidden), 1), *ids.shape))
        if not is_hidden.any(axis=(1, 2)).all():
            raise ValueError(f"Each draw must hide something, to be asked for; one of piece {index} hides nothing.")
    return arrays


def check_trained_length(model: object, n_steps: int) -> None:
    """Refuse to read more steps at once than training ever showed; ``train`` notes how many on the network."""
    longest = getattr(model, "trained_steps", None)
    if longest is not None and n_steps > longest:
        raise ValueError(
            f"The network should read at most {longest} steps at once, the longest window of its training; found "
            f"{n_steps}. It has never learned how steps further apart relate: read shorter excerpts, or allow it "
            "with model.trained_steps = None."
        )
