"""Training: it learns, it repeats itself, and it stops with a sentence when it cannot go on."""

import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from mini_musessl import generation, training
from mini_musessl.batches import Batch, random_batches, random_frame_batches
from mini_musessl.evaluation import likelihood
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.objectives.contrastive import Views, contrastive_batches
from mini_musessl.objectives.masked import masked_batches, masked_loss
from mini_musessl.objectives.next_token import next_frame_loss, next_token_loss
from mini_musessl.training import loop
from mini_musessl.training.loop import TrainingConfig, learning_rate_at

# Tiny matrices: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

MODEL = TransformerConfig(
    vocabulary_size=11, context_length=12, d_model=24, n_layers=2, n_heads=3, d_feedforward=40, cycle_lengths=(4,)
)
QUICK = TrainingConfig(n_updates=6, n_warmup_updates=2, learning_rate=1e-2, report_every=4, device="cpu")


def make_batches(seed=0):
    pieces = [np.random.default_rng(5).integers(0, 11, 30)]
    return random_batches(pieces, 3, MODEL.context_length, np.random.default_rng(seed), MODEL.begin_id)


def one_batch():
    return itertools.repeat(next(make_batches()))


def train(config=QUICK, batches=None, evaluate=None, model=None, dropout=0.2, **settings):
    model = MusicTransformer(replace(MODEL, dropout=dropout)) if model is None else model
    batches = make_batches() if batches is None else batches
    return training.train(model, batches, config, evaluate, **{"report": None} | settings), model


def flat(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def constant(model):
    return 1.0


def test_one_batch_is_memorised_and_the_first_loss_is_the_logarithm_of_the_vocabulary():
    config = replace(QUICK, n_updates=150, n_warmup_updates=10, report_every=50)
    history, _ = train(config, one_batch(), dropout=0.0)
    assert history.train_nats[0] == pytest.approx(math.log(11), abs=1e-5)
    assert history.train_nats[-1] < 0.05
    assert history.update == [0, 50, 100, 150] and history.n_targets == [0, 50 * 36, 100 * 36, 150 * 36]
    assert history.seconds == sorted(history.seconds)


def test_a_model_of_frames_memorises_a_batch_and_its_first_loss_is_about_that_of_knowing_nothing():
    sizes = dict(vocabulary_size=11, context_length=12, d_model=20, n_layers=1, n_heads=2, d_feedforward=40, d_voice=24)
    model = FrameTransformer(FrameConfig(**sizes, dropout=0.0, hidden_share=0.0))
    piece = np.random.default_rng(5).integers(0, 11, (20, 4))
    batch = next(random_frame_batches([piece], 3, 8, np.random.default_rng(0), pitch_ids=range(1, 11)))
    config = replace(QUICK, n_updates=100, n_warmup_updates=10, report_every=100)
    history, _ = train(config, itertools.repeat(batch), model=model, objective=next_frame_loss)
    assert history.train_nats[0] == pytest.approx(math.log(11), abs=0.15)
    assert history.train_nats[-1] < history.train_nats[0] / 2
    assert history.n_targets == [0, 100 * 3 * 8 * 4]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_training_scoring_and_sampling_keep_to_one_device(device, precision):
    piece = np.random.default_rng(5).integers(0, 11, 30)
    config = replace(QUICK, n_updates=100, n_warmup_updates=10, device=device, precision=precision)
    history, model = train(config, one_batch(), lambda model: likelihood.nats_per_token(model, [piece]), dropout=0.0)
    assert history.train_nats[0] == pytest.approx(math.log(11), abs=1e-3)
    assert history.train_nats[-1] < history.train_nats[0] / 2
    assert history.valid_nats[-1] < history.valid_nats[0]
    assert model.to_logits.weight.device.type == device
    tokens = generation.sample(model, [[3, 4]], 30, torch.Generator().manual_seed(0))
    assert tokens.shape == (1, 30) and tokens.device.type == "cpu"


def test_bfloat16_trains_to_nearly_the_same_loss():
    config = replace(QUICK, n_updates=30, n_warmup_updates=5)
    full, half = (
        train(replace(config, precision=name), one_batch(), dropout=0.0)[0] for name in ("float32", "bfloat16")
    )
    assert half.train_nats[-1] == pytest.approx(full.train_nats[-1], abs=0.05)
    assert training.choose_precision("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)


def test_the_same_seeds_give_the_same_history_and_weights():
    (first, one), (second, other) = train(), train()
    assert first == second and torch.equal(flat(one), flat(other))


def test_dropout_draws_from_the_seed_of_the_config():
    first, second = (train(replace(QUICK, seed=seed), evaluate=constant)[0] for seed in (0, 1))
    assert first.train_nats[1:] != second.train_nats[1:]


def test_the_random_state_of_pytorch_is_put_back():
    state = torch.get_rng_state()
    train()
    assert torch.equal(state, torch.get_rng_state())


def test_training_on_a_cpu_does_not_touch_the_random_states_of_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the GPUs' states were set"))
    train()


@needs_gpu
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_random_state_of_the_gpu_is_put_back(device):
    torch.cuda.manual_seed(5)
    state = torch.cuda.get_rng_state()
    train(replace(QUICK, device=device))
    assert torch.equal(state, torch.cuda.get_rng_state())


def test_reporting_and_averaging_change_nothing_in_how_the_weights_move():
    often, seldom, averaged = (
        train(replace(QUICK, report_every=n, averaging=share), evaluate=constant)
        for n, share in ((1, 0.0), (6, 0.0), (1, 0.9))
    )
    assert torch.equal(flat(often[1]), flat(seldom[1]))
    assert often[0].train_nats == averaged[0].train_nats


def test_progress_is_printed_in_lines_without_times(capsys):
    train(evaluate=lambda model: 1.5, report=print)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["0", "4", "6"]
    assert all(re.fullmatch(r"update +\d+   train \d\.\d{3}   valid 1\.500   rate 0\.\d{5}", line) for line in lines)


def test_evaluation_sees_the_model_in_evaluation_mode_without_gradients():
    seen = []

    def evaluate(model):
        seen.append((model.training, torch.is_grad_enabled()))
        return 2.0

    assert train(evaluate=evaluate)[0].valid_nats == [2.0, 2.0, 2.0]
    assert seen == [(False, False)] * 3


def test_train_loss_is_the_mean_of_the_batches_since_the_line_before():
    each, every_fourth = (train(replace(QUICK, report_every=n))[0].train_nats for n in (1, 4))
    assert every_fourth[1:] == pytest.approx([np.mean(each[1:5]), np.mean(each[5:7])])


N_UPDATES, N_WARMUP = 40, 8


def our_rates(**settings):
    config = TrainingConfig(n_updates=N_UPDATES, n_warmup_updates=N_WARMUP, learning_rate=0.3, **settings)
    return np.array([learning_rate_at(update, config) for update in range(N_UPDATES)])


def their_rates(n_updates, make_scheduler, *arguments):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler, rates = make_scheduler(optimizer, *arguments), []
    for _ in range(n_updates):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize("schedule, decay_share", [("linear", 0.5), ("cosine", 0.5), ("trapezoid", 0.25)])
def test_the_rates_are_those_of_pytorchs_schedulers(schedule, decay_share):
    n_left = int(decay_share * N_UPDATES) if schedule == "trapezoid" else N_UPDATES - N_WARMUP
    ways_down = (lr_scheduler.CosineAnnealingLR, n_left), (lr_scheduler.LinearLR, 1.0, 0.0, n_left)
    rates = our_rates(schedule=schedule, decay_share=decay_share)
    up = their_rates(N_WARMUP, lr_scheduler.LinearLR, 1 / N_WARMUP, 1.0, N_WARMUP - 1)
    np.testing.assert_allclose(rates[:N_WARMUP], up)
    assert (rates[N_WARMUP:-n_left] == 0.3).all()
    np.testing.assert_allclose(rates[-n_left:], their_rates(n_left, *ways_down[schedule != "cosine"]))


@given(
    schedule=st.sampled_from(["linear", "cosine", "trapezoid"]),
    n_updates=st.integers(1, 60),
    warmup_share=st.floats(0, 1),
    decay_share=st.floats(0.01, 1),
)
def test_a_rate_is_never_zero_never_too_large_and_climbs_only_before_it_falls(
    schedule, n_updates, warmup_share, decay_share
):
    n_warmup = int(warmup_share * (n_updates - 1))
    config = TrainingConfig(n_updates, 0.3, n_warmup, schedule, decay_share)
    rates = np.array([learning_rate_at(update, config) for update in range(n_updates)])
    assert (rates > 0).all() and (rates <= 0.3).all()
    signs = np.sign(np.diff(rates))
    assert (np.diff(signs[signs != 0]) <= 0).all()


class OneNumber(torch.nn.Module):
    """A model of one number; its loss on a batch (value, n_targets) is (number - value) squared, on the mean."""

    def __init__(self):
        super().__init__()
        self.number = torch.nn.Parameter(torch.tensor(0.0))


def squared(model, batch):
    value, n_targets = batch
    return (model.number - value) ** 2, n_targets


def itself(model, batch):
    return model.number * 1.0, 1


def test_each_update_steps_by_its_own_rate(monkeypatch):
    monkeypatch.setattr(loop, "make_optimizer", lambda model, config: torch.optim.SGD(model.parameters(), lr=99.0))
    _, model = train(model=OneNumber(), objective=itself)
    assert model.number.item() == pytest.approx(-sum(learning_rate_at(n, QUICK) for n in range(6)), rel=1e-5)


def test_a_gradient_is_of_its_own_batch_alone_and_no_longer_than_the_longest():
    for longest, found in ((50.0, 1.0), (0.25, 0.25)):
        _, model = train(replace(QUICK, clip_norm=longest), model=OneNumber(), objective=itself)
        assert model.number.grad.item() == pytest.approx(found, rel=1e-4)


def test_matrices_decay_and_vectors_do_not():
    model = MusicTransformer(MODEL)
    groups = training.make_optimizer(model, replace(QUICK, weight_decay=0.3)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    assert {weight.dim() for weight in groups[1]["params"]} == {1}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_each_batch_of_an_update_counts_as_much_as_it_has_targets():
    config = replace(QUICK, n_updates=1, n_warmup_updates=0, n_batches=3, clip_norm=1e9)
    history, model = train(config, [(1.0, 10), (2.0, 30), (4.0, 20)], model=OneNumber(), objective=squared)
    assert model.number.grad.item() == pytest.approx(-2 * (10 * 1 + 30 * 2 + 20 * 4) / 60)
    assert history.train_nats == pytest.approx([(10 * 1 + 30 * 4 + 20 * 16) / 60] * 2)
    assert history.n_targets == [0, 60]


def test_the_gradient_of_several_batches_is_that_of_one_large_batch():
    whole = next(make_batches())
    parts = [Batch(*(array[rows] for array in vars(whole).values())) for rows in (slice(0, 1), slice(1, 3))]
    config = replace(QUICK, n_updates=3, n_batches=2)
    _, of_parts = train(config, itertools.cycle(parts), dropout=0.0)
    _, of_whole = train(replace(config, n_batches=1), itertools.repeat(whole), dropout=0.0)
    torch.testing.assert_close(flat(of_parts), flat(of_whole), atol=2e-5, rtol=0)


def follow_number(config, answers):
    seen, judged, answers = [], [], iter(answers)

    def objective(model, batch):
        seen.append(model.number.item())
        return squared(model, batch)

    def evaluate(model):
        judged.append(model.number.item())
        return next(answers)

    history, model = train(config, itertools.repeat((5.0, 1)), evaluate, OneNumber(), objective=objective)
    return history, model.number.item(), seen, judged


def test_the_average_of_the_weights_is_the_one_computed_by_hand():
    config = replace(QUICK, n_updates=8, averaging=0.3, report_every=1)
    _, last, seen, averages = follow_number(config, itertools.repeat(1.0))
    expected = [0.0]
    for update, number in enumerate(seen[1:]):
        memory = min(0.3, (1 + update) / (20 + update))
        expected.append(memory * expected[-1] + (1 - memory) * number)
    assert averages[:-1] == pytest.approx(expected, rel=1e-5)
    assert last == averages[-1] and averages[3] < seen[3]


def test_training_stops_when_validation_has_not_improved_for_as_long_as_patience_lasts():
    config = replace(QUICK, n_updates=50, report_every=1, patience=3)
    history, *_ = follow_number(config, (5.0, 3.0, 4.0, 3.0, 2.5, 2.5, 2.6, 2.7))
    assert history.update == list(range(8))
    assert history.best_line() == 4


@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_the_model_ends_with_its_best_weights_or_with_the_last_and_both_are_those_that_were_evaluated(averaging):
    config = replace(QUICK, n_updates=5, report_every=1, averaging=averaging)
    for keep_best, line in ((True, 2), (False, -1)):
        _, last, _, judged = follow_number(replace(config, keep_best=keep_best), (5.0, 3.0, 2.0, 4.0, 2.0, 6.0))
        assert last == judged[line] and len(set(judged)) == 6


def test_the_longest_window_of_training_is_noted_on_the_network():
    _, model = train()
    assert model.trained_steps == 12
    model = MaskedTransformer(
        EncoderConfig(context_length=30, d_model=8, n_layers=1, n_heads=2, d_feedforward=12, d_voice=8)
    )
    pieces = [np.random.default_rng(5).integers(1, 40, (40, 4))]
    for n_steps, noted in ((9, 9), (20, 20), (6, 20)):
        batches = random_frame_batches(pieces, 2, n_steps, np.random.default_rng(0))
        batches = masked_batches(batches, lambda frames, is_padding, chance: ~is_padding[..., None] & (frames > 9),
                                 np.random.default_rng(0))  # fmt: skip
        train(replace(QUICK, n_updates=2, n_warmup_updates=0), batches, model=model, objective=masked_loss)
        assert model.trained_steps == model.encoder.trained_steps == noted


def frozen():
    return MusicTransformer(MODEL).requires_grad_(False)


def nothing_to_learn():
    batch = next(make_batches())
    return itertools.repeat(replace(batch, is_padding=np.ones_like(batch.is_padding)))


def of_next_token(change):
    def objective(model, batch):
        loss, n_targets = next_token_loss(model, batch)
        return change(loss), n_targets

    return objective


@pytest.mark.parametrize(
    "sentence, asked",
    [
        (r"n_updates \* n_batches = 6 batches; found only 2", lambda: {"batches": itertools.islice(make_batches(), 2)}),
        ("target; found 0", lambda: {"batches": [(1.0, 0)] * 6, "model": OneNumber(), "objective": squared}),
        ("at least one target", lambda: {"batches": nothing_to_learn()}),
        ("found a tensor without a gradient. .* leave a weight free", lambda: {"model": frozen()}),
        ("found float. Return it before", lambda: {"objective": of_next_token(lambda loss: loss.item())}),
        ("needs a folder to save to; found save_every=5", lambda: {"save_every": 5}),
        ("save_every must be at least 1; found 0", lambda: {"save_every": 0, "folder": "nowhere"}),
        ("to go by; found no `evaluate`", lambda: {"config": replace(QUICK, keep_best=True)}),
        ("to go by; found no `evaluate`", lambda: {"config": replace(QUICK, patience=2)}),
    ],
)
def test_what_cannot_be_trained_is_refused(sentence, asked):
    with pytest.raises((ValueError, TypeError), match=sentence):
        train(**asked())


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_training_without_gradients_is_refused(without_gradients):
    with without_gradients(), pytest.raises(TypeError, match=r"call train outside torch\.no_grad"):
        train()


def of_eight_bits():
    return MusicTransformer(MODEL).to(torch.float8_e4m3fn)


@pytest.mark.parametrize("make", [of_eight_bits, lambda: MusicTransformer(MODEL).to("meta")])
def test_a_model_without_numbers_that_can_be_learned_is_refused(make):
    with pytest.raises(ValueError, match="Training needs weights that hold floating-point numbers, and a default dev"):
        train(model=make())


def test_training_where_nothing_holds_numbers_is_refused():
    model = MusicTransformer(MODEL)
    with torch.device("meta"), pytest.raises(ValueError, match=r"call train outside torch\.device\('meta'\)"):
        train(model=model)


def test_training_in_an_autocast_is_refused_since_it_would_see_no_update():
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="found a torch.autocast around it"):
        train()


def test_a_partly_frozen_model_keeps_its_frozen_part():
    model = MusicTransformer(MODEL)
    first = model.token_tables[0].weight.detach().clone()
    model.token_tables.requires_grad_(False)
    history, _ = train(model=model)
    assert torch.equal(model.token_tables[0].weight, first)
    assert history.train_nats[-1] != history.train_nats[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="needs a GPU that PyTorch can see; found none"):
        train(replace(QUICK, device="cuda"))


def test_a_run_that_diverges_stops_names_the_update_and_says_that_nothing_was_kept(tmp_path):
    calls = itertools.count(1)

    def objective(model, batch):
        loss, n_targets = next_token_loss(model, batch)
        return loss * (math.nan if next(calls) == 3 else 1.0), n_targets

    with pytest.raises(
        FloatingPointError, match=r"at update 3 it is nan.* Nothing was kept; .* give train a folder\.$"
    ):
        train(objective=objective)
    with pytest.raises(FloatingPointError, match=f"No state is kept in {tmp_path} yet"):
        train(objective=lambda model, batch: (next_token_loss(model, batch)[0] * math.nan, 9), folder=tmp_path)
    answers = iter((2.0, math.nan))
    with pytest.raises(
        FloatingPointError, match="The validation loss must stay a finite number; at update 4 it is nan"
    ):
        train(evaluate=lambda model: next(answers))


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"n_updates": 0}, "n_updates must be at least 1; found 0"),
        ({"n_warmup_updates": -1}, "n_warmup_updates must be at least 0; found -1"),
        ({"n_warmup_updates": 6}, "must be below n_updates = 6; found 6"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number above 0; found nan"),
        ({"weight_decay": -0.1}, "weight_decay a finite number, 0 or more; found 0.5 and -0.1"),
        ({"decay_share": 1.5}, "decay_share must be at most 1"),
        ({"betas": (0.9, 1.0)}, "Each of betas must be at least 0 and below 1; found 1.0"),
        ({"averaging": 1.0}, "averaging must be at least 0 and below 1; found 1.0"),
        ({"patience": 0}, "patience must be at least 1; found 0"),
        ({"schedule": "step"}, "schedule must be one of linear, cosine, trapezoid; found 'step'"),
        ({"device": "gpu"}, "device must be one of auto, cpu, cuda; found 'gpu'"),
        ({"precision": "half"}, "precision must be one of auto, float32, bfloat16; found 'half'"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        replace(QUICK, **change)


def test_the_windows_of_two_views_are_as_long_as_the_views():
    pieces = list(np.random.default_rng(5).integers(1, 40, (2, 40, 4)))
    batch = next(contrastive_batches(pieces, 3, 20, np.random.default_rng(0), Views(n_crop_steps=7)))
    assert loop.longest_window(batch) == 7
