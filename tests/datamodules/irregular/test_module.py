"""Irregular series as trials: times, padding, targets in units of what a trivial predictor leaves over."""

import dataclasses

import numpy as np
import pytest
import torch

from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.irregular import SeriesDataModule
from neuralsde.datamodules.irregular.assemble import padded
from neuralsde.datamodules.irregular.module import batches_alike
from neuralsde.datamodules.irregular.residual import persistence
from neuralsde.datamodules.irregular.series import SeriesSet
from neuralsde.errors import ConfigError, DataError
from tests.helpers.series import Series

TASKS = ["classification", "interpolation", "forecast"]


def made(task: str, redraws: bool = False, static: bool = False, **settings) -> SeriesDataModule:
    module = SeriesDataModule(Series(task, redraws, static), task, "made", batch_size=8, **settings)
    module.setup()
    return module


@pytest.mark.parametrize("task", TASKS)
def test_times_are_the_series_own_and_increase_in_the_padding(task):
    module, series = made(task), Series(task).read().train
    trials, spec = module.data.train, module.spec
    assert trials.times is not None
    assert trials.times.shape == (40, spec.total_bins)
    assert (np.diff(trials.times, axis=1) > 0).all()
    for n, k in enumerate(series.length):
        np.testing.assert_allclose(trials.times[n, :k], series.times[n, :k] - series.times[n, 0], atol=1e-6)
        assert np.isnan(trials.heldin[n, k:]).all()
        assert trials.times[n, spec.observed_bins - 1] - trials.times[n, k - 1] < 0.01 * spec.bin_width_s * spec.observed_bins
    if task == "forecast":
        ahead = series.ahead_times - series.times[:, :1]
        np.testing.assert_allclose(trials.times[:, -2:], ahead, atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_the_last_rows_of_each_series_are_kept_back_to_each_channel_s_last_value(task):
    kept, whole = made(task, last_rows=4), made(task)
    series = Series(task).read().train
    assert 4 <= kept.spec.observed_bins < whole.spec.observed_bins
    for n, k in enumerate(series.length):
        last_known = [np.flatnonzero(known)[-1] for known in ~np.isnan(series.values[n].T) if known.any()]
        first = min(max(k - 4, 0), *last_known)
        rows = k - first
        seen = kept.units.width * kept.data.train.heldin[n, :rows] + kept.units.centre
        before = whole.units.width * whole.data.train.heldin[n, first:k] + whole.units.centre
        np.testing.assert_allclose(seen, before, rtol=1e-4)
        assert np.isnan(kept.data.train.heldin[n, rows:]).all()
        steps = np.diff(whole.data.train.times[n, first:k])
        np.testing.assert_allclose(np.diff(kept.data.train.times[n, :rows]), steps, atol=1e-5)
    with pytest.raises(ConfigError, match=r"data\.last_rows is 0"):
        made(task, last_rows=0)


@pytest.mark.parametrize("residual", [None, "persistence", "linear"])
@pytest.mark.parametrize("task", ["interpolation", "forecast"])
@pytest.mark.parametrize("common", [False, True])
def test_targets_come_back_in_the_readers_units(task, residual, common):
    trials, spec = (module := made(task, residual=residual, common_scale=common)).data.eval, module.spec
    series = Series(task).read().val
    truth = np.full((12, spec.total_bins, 2), np.nan, np.float32)
    if task == "forecast":
        truth[:, -2:] = series.ahead
    else:
        rows = series.values.shape[1]
        truth[:, :rows] = np.where(np.isnan(series.values), series.targets, np.nan)
    np.testing.assert_allclose(trials.in_units(stack_targets(trials, spec)), truth, rtol=2e-5, atol=1e-4)
    scale = np.nanmean(stack_targets(module.data.train, spec).reshape(-1, 2) ** 2, 0)
    if residual is not None and not common:
        np.testing.assert_allclose(scale, 1.0, atol=0.01)
    if residual is not None and common:
        assert scale.mean() == pytest.approx(1.0, abs=0.1)
        assert scale[1] > 100 * scale[0]


def test_a_model_that_says_nothing_is_the_trivial_predictor():
    module = made("forecast", residual="persistence")
    trials, series = module.data.eval, Series("forecast").read().val
    said = trials.in_units(np.zeros((12, module.spec.total_bins, 2), np.float32))
    for n, c in np.ndindex(12, 2):
        known = series.values[n, ~np.isnan(series.values[n, :, c]), c]
        expected = known[-1] if len(known) else np.nanmean(Series("forecast").read().train.values[..., c])
        np.testing.assert_allclose(said[n, -2:, c], expected, rtol=1e-5)
    np.testing.assert_allclose(said[:, -2:], module.data.trivial["persistence"].mean[:, -2:], rtol=1e-5)


def test_interpolation_needs_a_hidden_value():
    class Whole(Series):
        def read(self):
            whole = super().read()
            return dataclasses.replace(whole, val=dataclasses.replace(whole.val, values=whole.val.targets))

    with pytest.raises(ConfigError, match=r"Not one value of the val series of made is hidden"):
        SeriesDataModule(Whole("interpolation"), "interpolation", "made", batch_size=8).setup()


def test_persistence_reads_nothing_after_the_time_asked_for():
    series = Series("interpolation").read().val
    fallback = np.array([7.0, 8.0])
    said = persistence(series, series.times, fallback)
    for n, row, c in np.ndindex(12, 6, 2):
        before = series.values[n, : row + 1, c]
        known = before[~np.isnan(before)]
        assert said[n, row, c] == pytest.approx(known[-1] if len(known) else fallback[c])


def test_a_class_is_told_at_the_last_row_alone():
    module, series = made("classification"), Series("classification").read().train
    targets = stack_targets(module.data.train, module.spec)
    rows = np.argwhere(~np.isnan(targets))
    np.testing.assert_array_equal(rows[:, 1], series.length - 1)
    np.testing.assert_array_equal(targets[tuple(rows.T)], series.labels)
    assert (module.spec.target_dim, module.spec.n_classes, module.spec.kind) == (1, 2, "category")


def test_inputs_are_standardised_by_the_training_series_alone():
    module = made("interpolation")
    for c in range(2):
        known = module.data.train.heldin[..., c]
        assert np.nanmean(known) == pytest.approx(0, abs=1e-4)
        assert np.nanstd(known) == pytest.approx(1, abs=1e-4)
    reader = Series("interpolation")
    data = reader.read()
    reader.read = lambda: dataclasses.replace(data, val=dataclasses.replace(data.val, values=data.val.values * 50))  # type: ignore[method-assign]
    other = SeriesDataModule(reader, "interpolation", "made", batch_size=8)
    np.testing.assert_array_equal(other.data.train.heldin, module.data.train.heldin)


def test_static_columns_are_channels_of_the_first_row():
    module = made("classification", static=True)
    assert module.spec.observed_dim == 4
    static = module.data.train.heldin[..., 2:]
    assert np.isfinite(static[:, 0]).all()
    assert np.isnan(static[:, 1:]).all()


def test_each_epoch_hides_other_values_of_every_series():
    module = made("interpolation", redraws=True, residual="linear")
    loader = module.train_dataloader()
    epochs = []
    for epoch in (0, 1, 1):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        batches = list(loader)
        assert sum(len(b.index) for b in batches) == 40
        epochs.append(torch.cat([b.seen.sum((1, 2)) for b in batches]))
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(epochs[1], epochs[2])


def test_batches_end_with_their_longest_series_and_lose_nothing():
    module = made("interpolation", redraws=True, residual="linear")
    loader, source = module.train_dataloader(), module.source
    for batch in loader:
        order = batches_alike(source.length, 8, (0, 0))[batch.index.numpy() % 40]
        assert batch.values.shape[1] == batch.targets.shape[1] == batch.times.shape[1] == source.length[order].max()
        again = source[order]
        hidden = ~np.isnan(again.targets[:, : batch.values.shape[1]]) & ~batch.seen.numpy()[..., : again.targets.shape[2]]
        np.testing.assert_array_equal(batch.known.numpy(), hidden)


def test_an_order_of_batches_alike_holds_each_series_once():
    length = np.random.default_rng(0).integers(1, 100, 83)
    order = batches_alike(length, 8, (0, 3))
    assert sorted(order) == list(range(83))
    assert (order != batches_alike(length, 8, (0, 4))).any()
    padding = [length[order[k : k + 8]].max() * 8 - length[order[k : k + 8]].sum() for k in range(0, 80, 8)]
    assert np.mean(padding) < 0.6 * np.mean([length[k : k + 8].max() * 8 - length[k : k + 8].sum() for k in range(0, 80, 8)])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"task": "guess"}, r"data\.task is guess"),
        ({"task": "forecast", "phase": "train"}, r"data\.phase is train"),
        ({"task": "forecast", "residual": "spline"}, r"data\.residual is spline"),
        ({"task": "classification", "residual": "linear"}, "classes have no trivial predictor"),
    ],
)
def test_settings_are_refused_by_name(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        SeriesDataModule(Series("forecast"), name="made", batch_size=8, **settings)


def test_series_without_what_the_task_asks_for_are_refused():
    with pytest.raises(ConfigError, match=r"data\.task is forecast, but the train series of made hold nothing to predict"):
        SeriesDataModule(Series("interpolation"), "forecast", "made", batch_size=8).read()


@pytest.mark.parametrize("task", TASKS)
def test_sizes_are_the_same_whichever_phase_is_scored(task):
    class Longer(Series):
        def draw(self, seed: int, n: int) -> SeriesSet:
            series = super().draw(seed, n)  # of seed 0 for training, 1 and 2 for what is scored
            ahead = None if series.ahead_times is None else series.ahead_times + 50 * seed
            return dataclasses.replace(series, times=series.times * (1 + seed), ahead_times=ahead)

    val, test = (SeriesDataModule(Longer(task), task, "made", batch_size=8, phase=phase) for phase in ("val", "test"))
    assert val.spec == test.spec


@pytest.mark.parametrize("residual", ["persistence", "linear"])
def test_a_forecast_read_at_the_last_rows_starts_out_from_what_is_told_of_the_later_times(residual):
    module = made("forecast", residual=residual, extrapolate=False)
    trials, trivial = module.data.eval, module.data.trivial[residual].mean
    assert trials.offset is not None
    np.testing.assert_allclose(trials.offset[:, -2:], trivial[:, -2:], rtol=1e-6)


def test_rows_are_told_apart_in_series_whose_rows_are_close_and_far_apart():
    class Bursts(Series):
        def draw(self, seed: int, n: int) -> SeriesSet:
            series = super().draw(seed, n)
            return dataclasses.replace(series, times=np.where(np.arange(series.times.shape[1]) < 3, 0, 3e5) + series.times)

    module = SeriesDataModule(Bursts("interpolation"), "interpolation", "made", batch_size=8)
    assert (np.diff(module.data.train.times, axis=1) > 0).all()


def test_a_constant_channel_that_is_to_be_predicted_is_told(capsys):
    class Constant(Series):
        def draw(self, seed: int, n: int) -> SeriesSet:
            series = super().draw(seed, n)
            for part in (series.values, series.targets, series.ahead):
                if part is not None:
                    part[..., 1] = np.where(np.isnan(part[..., 1]), np.nan, 7)
            return series

    for task in TASKS:
        _ = SeriesDataModule(Constant(task), task, "made", batch_size=8).data
        told = capsys.readouterr().err
        assert ("Channel `" in told) == (task != "classification")
        assert told.count("is 7 in all training series") == (task != "classification")
        _ = made(task)
        assert capsys.readouterr().err == ""


def test_a_series_too_long_to_pad_the_others_to_is_refused(monkeypatch):
    monkeypatch.setattr("neuralsde.datamodules.irregular.assemble.machine_bytes", lambda: 10_000)
    with pytest.raises(DataError, match=r"Series `b` has 100 rows, and all 20 series as long as it would take 144 kB of 10 kB"):
        padded([np.arange(3)] * 19 + [np.arange(100)], [np.zeros((3, 1))] * 19 + [np.zeros((100, 1))], ["a"] * 19 + ["b"])


def test_a_share_of_all_series_gives_the_batch_size():
    for share, batch_size in [(0.5, 32), (0.3, 16), (0.01, 16)]:  # 40 + 12 + 12 series
        module = made("classification", batch_share=share)
        assert module.train_dataloader().batch_size == batch_size
