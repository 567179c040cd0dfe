"""Training: it learns, it repeats itself, and it stops with a sentence when it cannot go on."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from mini_musessl import generation, training
from mini_musessl.batches import Batch, random_batches, random_frame_batches
from mini_musessl.evaluation import likelihood
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.objectives.next_token import next_frame_loss, next_token_loss
from mini_musessl.training import loop
from mini_musessl.training.loop import TrainingConfig

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


def test_one_batch_is_memorised_and_the_first_loss_is_the_logarithm_of_the_vocabulary():
    config = replace(QUICK, n_updates=150, n_warmup_updates=10, report_every=50)
    history = training.train(MusicTransformer(MODEL), one_batch(), config, report=None)
    assert history.train_nats[0] == pytest.approx(math.log(11), abs=1e-5)
    assert history.train_nats[-1] < 0.05
    assert history.update == [0, 50, 100, 150]


def test_the_same_seeds_give_the_same_history_and_weights():
    def run():
        model = MusicTransformer(replace(MODEL, dropout=0.2))
        return training.train(model, make_batches(), QUICK, report=None), model.state_dict()

    (first, first_weights), (second, second_weights) = run(), run()
    assert first == second
    assert all(torch.equal(first_weights[name], second_weights[name]) for name in first_weights)


def test_dropout_draws_from_the_seed_of_the_config():
    def run(seed):
        model = MusicTransformer(replace(MODEL, dropout=0.2))
        model.eval()  # training turns dropout on, also again after each evaluation
        history = training.train(model, make_batches(), replace(QUICK, seed=seed), lambda model: 0.0, report=None)
        return history.train_nats[1:]

    assert run(0) != run(1)


def test_the_random_state_of_pytorch_is_put_back():
    state = torch.get_rng_state()
    training.train(MusicTransformer(replace(MODEL, dropout=0.2)), make_batches(), QUICK, report=None)
    assert torch.equal(state, torch.get_rng_state())


def test_progress_is_printed_in_lines_without_times(capsys):
    training.train(MusicTransformer(MODEL), make_batches(), QUICK, evaluate=lambda model: 1.5)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["0", "4", "6"]
    assert all(re.fullmatch(r"update +\d+   train \d\.\d{3}   valid 1\.500   rate 0\.\d{5}", line) for line in lines)


def test_evaluation_sees_the_model_in_evaluation_mode_without_gradients():
    seen = []

    def evaluate(model):
        seen.append((model.training, torch.is_grad_enabled()))
        return 2.0

    history = training.train(MusicTransformer(MODEL), make_batches(), QUICK, evaluate, report=None)
    assert seen == [(False, False)] * 3
    assert history.valid_nats == [2.0, 2.0, 2.0]


def test_reporting_changes_nothing_that_is_learned():
    def last_weights(report_every):
        model = MusicTransformer(replace(MODEL, dropout=0.2))
        training.train(model, make_batches(), replace(QUICK, report_every=report_every), lambda model: 0.0, report=None)
        return model.state_dict()

    often, seldom = last_weights(1), last_weights(6)
    assert all(torch.equal(often[name], seldom[name]) for name in often)


def test_train_loss_is_the_mean_of_the_batches_since_the_line_before():
    def losses(report_every):
        config = replace(QUICK, report_every=report_every)
        return training.train(MusicTransformer(MODEL), make_batches(), config, report=None).train_nats

    each = losses(1)
    assert losses(4)[1:] == pytest.approx([np.mean(each[1:5]), np.mean(each[5:7])])


def test_the_learning_rate_climbs_and_falls_in_straight_lines():
    config = replace(QUICK, n_updates=100, n_warmup_updates=10, learning_rate=1.0)
    rates = [training.learning_rate_at(update, config) for update in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert np.diff(rates[10:]) == pytest.approx(np.full(89, -1 / 90))
    assert rates[99] == pytest.approx(1 / 90)


class OneNumber(torch.nn.Module):
    """A model of one weight, whose loss falls by one where the weight falls by one."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, token_ids):
        return self.weight.expand(*token_ids.shape, 1)


def mean_of_logits(model, batch):
    return model(torch.from_numpy(batch.token_ids)).mean(), batch.targets.size


def test_each_update_steps_by_its_own_rate(monkeypatch):
    monkeypatch.setattr(loop, "make_optimizer", lambda model, config: torch.optim.SGD(model.parameters(), lr=99.0))
    model = OneNumber()
    training.train(model, make_batches(), QUICK, objective=mean_of_logits, report=None)
    rates = [training.learning_rate_at(update, QUICK) for update in range(QUICK.n_updates)]
    assert model.weight.item() == pytest.approx(-sum(rates), rel=1e-5)


def test_a_gradient_is_of_its_own_batch_alone_and_no_longer_than_the_longest():
    def last_gradient(**change):
        model = OneNumber()
        training.train(model, make_batches(), replace(QUICK, **change), objective=mean_of_logits, report=None)
        return model.weight.grad.item()

    assert last_gradient(clip_norm=50.0) == pytest.approx(1)
    assert last_gradient(clip_norm=0.25) == pytest.approx(0.25, rel=1e-4)


def test_matrices_decay_and_vectors_do_not():
    model = MusicTransformer(MODEL)
    groups = training.make_optimizer(model, replace(QUICK, weight_decay=0.3)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    assert {weight.dim() for weight in groups[1]["params"]} == {1}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_bfloat16_trains_to_nearly_the_same_loss():
    def last(precision):
        config = replace(QUICK, n_updates=30, n_warmup_updates=5, precision=precision)
        return training.train(MusicTransformer(MODEL), one_batch(), config, report=None).train_nats[-1]

    assert last("bfloat16") == pytest.approx(last("float32"), abs=0.05)
    assert training.choose_precision("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)


def test_a_loss_that_is_no_number_stops_and_names_the_update():
    config = replace(QUICK, n_updates=8, report_every=8)
    calls = itertools.count(1)

    def objective(model, batch):
        loss, n_targets = next_token_loss(model, batch)
        return loss * (math.nan if next(calls) == 3 else 1.0), n_targets

    with pytest.raises(FloatingPointError, match="at update 3 it is nan"):
        training.train(MusicTransformer(MODEL), make_batches(), config, objective=objective, report=None)


@pytest.mark.parametrize("name", ["n_updates", "report_every", "seed"])
def test_counts_that_are_not_whole_are_refused(name):
    with pytest.raises(TypeError, match=f"{name} must be a whole number; found 7.5"):
        replace(QUICK, **{name: 7.5})


def test_a_list_of_batches_will_do():
    batches = list(itertools.islice(make_batches(), 6))
    history = training.train(MusicTransformer(MODEL), batches, QUICK, report=None)
    assert history == training.train(MusicTransformer(MODEL), make_batches(), QUICK, report=None)


def test_batches_that_end_are_refused():
    with pytest.raises(ValueError, match=r"n_updates \* n_batches = 6 batches; found only 2"):
        training.train(MusicTransformer(MODEL), itertools.islice(make_batches(), 2), QUICK, report=None)


def test_training_on_a_cpu_does_not_touch_the_random_states_of_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the GPUs' states were set"))
    training.train(MusicTransformer(MODEL), make_batches(), QUICK, report=None)


@needs_gpu
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_random_state_of_the_gpu_is_put_back(device):
    torch.cuda.manual_seed(5)
    state = torch.cuda.get_rng_state()
    model = MusicTransformer(replace(MODEL, dropout=0.2))
    training.train(model, make_batches(), replace(QUICK, device=device), report=None)
    assert torch.equal(state, torch.cuda.get_rng_state())


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_training_scoring_and_sampling_keep_to_one_device(device, precision):
    model, piece = MusicTransformer(MODEL), np.random.default_rng(5).integers(0, 11, 30)
    config = replace(QUICK, n_updates=100, n_warmup_updates=10, device=device, precision=precision)
    history = training.train(
        model, one_batch(), config, lambda model: likelihood.nats_per_token(model, [piece]), report=None
    )
    assert history.train_nats[0] == pytest.approx(math.log(11), abs=1e-3)
    assert history.train_nats[-1] < history.train_nats[0] / 2
    assert history.valid_nats[-1] < history.valid_nats[0]
    assert model.to_logits.weight.device.type == device
    tokens = generation.sample(model, [[3, 4]], 30, torch.Generator().manual_seed(0))
    assert tokens.shape == (1, 30) and tokens.device.type == "cpu"


class Constant(torch.nn.Module):
    """A model of one number; its loss on a batch (value, n_targets) is (number - value) squared, on the mean."""

    def __init__(self, start=0.0):
        super().__init__()
        self.number = torch.nn.Parameter(torch.tensor(start))


def squared(model, batch):
    value, n_targets = batch
    return (model.number - value) ** 2, n_targets


def test_each_batch_of_an_update_counts_as_much_as_it_has_targets():
    config = replace(QUICK, n_updates=1, n_warmup_updates=0, n_batches=3, clip_norm=1e9)
    model = Constant()
    history = training.train(model, [(1.0, 10), (2.0, 30), (4.0, 20)], config, objective=squared, report=None)
    assert model.number.grad.item() == pytest.approx(-2 * (10 * 1 + 30 * 2 + 20 * 4) / 60)
    assert history.train_nats == pytest.approx([(10 * 1 + 30 * 4 + 20 * 16) / 60] * 2)
    assert history.n_targets == [0, 60]


def test_the_gradient_of_several_batches_is_that_of_one_large_batch():
    whole = next(make_batches())
    fields = (whole.token_ids, whole.targets, whole.is_padding, whole.start_token, whole.piece_index)
    parts = [Batch(*(array[rows] for array in fields)) for rows in (slice(0, 1), slice(1, 3))]

    def weights(batches, n_batches):
        model = MusicTransformer(MODEL)
        config = replace(QUICK, n_updates=3, n_batches=n_batches)
        training.train(model, itertools.cycle(batches), config, report=None)
        return torch.cat([weight.detach().flatten() for weight in model.parameters()])

    torch.testing.assert_close(weights(parts, 2), weights([whole], 1), atol=2e-5, rtol=0)


def test_the_average_of_the_weights_is_the_one_computed_by_hand():
    seen, averages = [], []

    def objective(model, batch):
        seen.append(model.number.item())
        return squared(model, batch)

    def evaluate(model):
        averages.append(model.number.item())
        return 1.0

    config = replace(QUICK, n_updates=8, averaging=0.3, report_every=1)
    model = Constant()
    training.train(model, itertools.repeat((5.0, 1)), config, evaluate, objective, report=None)
    expected = [0.0]
    for update, number in enumerate(seen[1:]):
        memory = min(0.3, (1 + update) / (20 + update))
        expected.append(memory * expected[-1] + (1 - memory) * number)
    assert averages[:-1] == pytest.approx(expected, rel=1e-5)
    assert model.number.item() == averages[-1]
    assert averages[3] < seen[3]


def test_averaging_changes_nothing_in_how_the_weights_themselves_move():
    def losses(averaging):
        config = replace(QUICK, averaging=averaging, report_every=1)
        model = MusicTransformer(replace(MODEL, dropout=0.2))
        return training.train(model, make_batches(), config, lambda model: 1.0, report=None).train_nats

    assert losses(0.9) == losses(0.0)


def falling_then_rising(*values):
    """An evaluation that answers these numbers in turn."""
    answers = iter(values)
    return lambda model: next(answers)


def test_training_stops_when_validation_has_not_improved_for_as_long_as_patience_lasts():
    config = replace(QUICK, n_updates=50, report_every=1, patience=3)
    evaluate = falling_then_rising(5.0, 3.0, 4.0, 3.0, 2.5, 2.5, 2.6, 2.7)
    history = training.train(MusicTransformer(MODEL), make_batches(), config, evaluate, report=None)
    assert history.update == list(range(8))
    assert history.best_line() == 4


@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_the_best_weights_are_kept_and_they_are_those_that_were_evaluated(averaging):
    numbers = []
    answers = iter((5.0, 3.0, 2.0, 4.0, 2.0, 6.0))

    def evaluate(model):
        numbers.append(model.number.item())
        return next(answers)

    config = replace(QUICK, n_updates=5, report_every=1, averaging=averaging, keep_best=True)
    model = Constant()
    training.train(model, itertools.repeat((5.0, 1)), config, evaluate, squared, report=None)
    assert model.number.item() == numbers[2]
    assert len(set(numbers)) == 6


def test_without_keep_best_the_model_has_its_last_weights():
    numbers = []

    def evaluate(model):
        numbers.append(model.number.item())
        return float(len(numbers))

    model = Constant()
    training.train(model, itertools.repeat((5.0, 1)), QUICK, evaluate, squared, report=None)
    assert model.number.item() == numbers[-1]


@pytest.mark.parametrize("change", [{"keep_best": True}, {"patience": 2}])
def test_best_and_patience_need_an_evaluation(change):
    with pytest.raises(ValueError, match="keep_best and patience need a validation loss to go by; found no `evaluate`"):
        training.train(MusicTransformer(MODEL), make_batches(), replace(QUICK, **change), report=None)


def test_a_batch_without_targets_is_refused():
    with pytest.raises(ValueError, match="must have at least one target; found 0"):
        training.train(Constant(), [(1.0, 0)] * 6, QUICK, objective=squared, report=None)


def test_an_empty_batch_of_tokens_is_refused():
    batch = next(make_batches())
    nothing = replace(batch, is_padding=np.ones_like(batch.is_padding))
    with pytest.raises(ValueError, match="at least one target; found none"):
        training.train(MusicTransformer(MODEL), itertools.repeat(nothing), QUICK, report=None)


def test_a_history_goes_through_json_and_is_equal_whatever_time_it_took():
    history = training.train(MusicTransformer(MODEL), make_batches(), QUICK, lambda model: 2.0, report=None)
    again = training.History.from_json(history.to_json())
    assert again == history
    assert again.seconds == history.seconds and history.seconds == sorted(history.seconds)
    again.seconds = [0.0, 0.0, 0.0]
    assert again == history
    assert history.n_targets == [0, 4 * 36, 6 * 36]
    with pytest.raises(ValueError, match=r"must hold update, train_nats, .*; found '\[1\]'"):
        training.History.from_json("[1]")
    with pytest.raises(ValueError, match="lowest validation loss; found none"):
        training.History().best_line()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="needs a GPU that PyTorch can see; found none"):
        training.train(MusicTransformer(MODEL), make_batches(), replace(QUICK, device="cuda"), report=None)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"n_updates": 0}, "n_updates must be at least 1; found 0"),
        ({"report_every": 0}, "report_every must be at least 1; found 0"),
        ({"n_warmup_updates": -1}, "n_warmup_updates must be at least 0; found -1"),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number above 0; found inf"),
        ({"clip_norm": 0.0}, "clip_norm must be a finite number above 0; found 0.0"),
        ({"weight_decay": -0.1}, "weight_decay must be a finite number, 0 or more; found -0.1"),
        ({"betas": (0.9, 1.0)}, r"betas must be two numbers, each at least 0 and below 1; found \(0.9, 1.0\)"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number above 0; found nan"),
        ({"n_warmup_updates": 6}, "at least 0 and below n_updates = 6; found 6"),
        ({"device": "gpu"}, "device must be one of auto, cpu, cuda; found 'gpu'"),
        ({"schedule": "step"}, "schedule must be one of linear, cosine, trapezoid; found 'step'"),
        ({"decay_share": 0.0}, "decay_share must lie above 0 and be at most 1; found 0.0"),
        ({"averaging": 1.0}, "averaging must be at least 0 and below 1; found 1.0"),
        ({"n_batches": 0}, "n_batches must be at least 1; found 0"),
        ({"patience": 0}, "patience must be at least 1; found 0"),
        ({"precision": "half"}, "precision must be one of auto, float32, bfloat16; found 'half'"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(QUICK, **change)


def test_a_model_of_frames_memorises_a_batch_and_its_first_loss_is_about_that_of_knowing_nothing():
    model = FrameTransformer(
        FrameConfig(vocabulary_size=11, context_length=12, d_model=20, n_layers=1, n_heads=2, d_feedforward=40,
                    d_voice=24, dropout=0.0, hidden_share=0.0)
    )  # fmt: skip
    piece = np.random.default_rng(5).integers(0, 11, (20, 4))
    batch = next(random_frame_batches([piece], 3, 8, np.random.default_rng(0), pitch_ids=range(1, 11)))
    config = replace(QUICK, n_updates=100, n_warmup_updates=10, report_every=100)
    history = training.train(model, itertools.repeat(batch), config, objective=next_frame_loss, report=None)
    assert history.train_nats[0] == pytest.approx(math.log(11), abs=0.15)
    assert history.train_nats[-1] < history.train_nats[0] / 2
    assert history.n_targets == [0, 100 * 3 * 8 * 4]


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_training_without_gradients_is_refused_at_the_door(without_gradients):
    model = MusicTransformer(MODEL)
    with without_gradients(), pytest.raises(RuntimeError, match="needs gradients, .* Call train outside torch.no_grad"):
        training.train(model, make_batches(), QUICK, report=None)


def test_a_frozen_model_is_refused_and_a_partly_frozen_one_keeps_its_frozen_part():
    model = MusicTransformer(MODEL)
    first = model.token_tables[0].weight.detach().clone()
    model.token_tables.requires_grad_(False)
    history = training.train(model, make_batches(), QUICK, report=None)
    assert torch.equal(model.token_tables[0].weight, first)
    assert history.train_nats[-1] != history.train_nats[0]
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="a weight that may change; found none in the model. Was it frozen"):
        training.train(model, make_batches(), QUICK, report=None)


@pytest.mark.parametrize(
    "answer, found", [(lambda loss: loss.item(), "float"), (lambda loss: loss.detach(), "a tensor without a gradient")]
)
def test_a_loss_without_a_gradient_is_refused(answer, found):
    def objective(model, batch):
        loss, n_targets = next_token_loss(model, batch)
        return answer(loss), n_targets

    with pytest.raises(TypeError, match=f"loss as a tensor that depends on the weights; found {found}"):
        training.train(MusicTransformer(MODEL), make_batches(), QUICK, objective=objective, report=None)


def test_a_batch_without_windows_is_refused():
    batch = next(make_batches())
    nothing = Batch(*(getattr(batch, field.name)[:0] for field in fields(batch)))
    with pytest.raises(ValueError, match="at least one target; found none. Is the batch empty"):
        training.train(MusicTransformer(MODEL), itertools.repeat(nothing), QUICK, report=None)


def test_settings_that_are_no_config_are_refused():
    with pytest.raises(TypeError, match="train needs a TrainingConfig; found dict"):
        training.train(MusicTransformer(MODEL), make_batches(), {"n_updates": 3}, report=None)


def test_a_run_that_diverges_without_a_folder_says_that_nothing_was_kept(tmp_path):
    def objective(model, batch):
        loss, n_targets = next_token_loss(model, batch)
        return loss * math.nan, n_targets

    for folder, end in (
        (None, r"Nothing was kept; to keep the state, give train a folder\.$"),
        (tmp_path, "warm-up.$"),
    ):
        with pytest.raises(FloatingPointError, match=f"at update 1 it is nan.* {end}"):
            training.train(MusicTransformer(MODEL), make_batches(), QUICK, None, objective, None, folder)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match="needs a folder; .*file cannot be made one"):
        training.train(MusicTransformer(MODEL), make_batches(), QUICK, report=None, folder=file)
