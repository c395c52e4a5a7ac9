"""The training loop learns, keeps its averages, says when it diverges, and can be stopped and
resumed without a trace.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.degradation import Mixture
from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.network import Generator, UNetSuperResolution
from napari_mdeblurgan.network.approximation import READINGS
from napari_mdeblurgan.network.discriminator import Discriminator
from napari_mdeblurgan.training.checkpoint import load_checkpoint, save_checkpoint
from napari_mdeblurgan.training.data.dataset import Patches, PatchSampler, WeightedImages
from napari_mdeblurgan.training.losses.loss_config import LossConfig
from napari_mdeblurgan.training.optimisers.schedule import Schedule
from napari_mdeblurgan.training.trainer import Diverged, Record, StepMethod, Training

FULL_LOSS = LossConfig(pixel="mse", perceptual="feature-matching", adversarial_share=0.05)


@pytest.fixture(scope="module")
def sampler() -> PatchSampler:
    grain = gaussian_filter(np.random.default_rng(0).random((200, 200)), 1)
    image = ((grain - grain.min()) / np.ptp(grain)).astype(np.float32)[None]
    return PatchSampler(
        (WeightedImages("grain", (image,), 1.0),), size=24, batch=2, mixture=Mixture(physical=0)
    )


def tiny(
    steps: int,
    reading: str = "affine",
    loss: LossConfig | None = None,
    width: int = 2,
    **method: object,
) -> Training:
    torch.manual_seed(0)
    loss = loss or LossConfig()
    schedule = Schedule(steps, 3e-3, "cosine", warm_up=5)
    method = {"averaging": 0.9, "discriminator_after": 0.3} | method
    judge = Discriminator(1, 2) if loss.needs_discriminator else None
    return Training(
        Generator(1, width=width, approximation=reading),
        schedule,
        StepMethod(**method),
        loss,
        discriminator=judge,
    )


def spoiled(
    batches: Iterator[Patches], number: int, value: float = float("nan")
) -> Iterator[Patches]:
    """The same batches, but with one bad pixel in batch `number`."""
    for count, patches in enumerate(batches):
        if count == number:
            patches.sharp[0, 0, 30, 30] = value
        yield patches


def learned(record: Record) -> tuple:
    """All of a record but the time that it took."""
    return record.step, record.terms, record.shares, record.rate, record.gradient_norm


@pytest.mark.parametrize("reading", READINGS)
def test_the_loss_falls_with_every_reading(sampler: PatchSampler, reading: str) -> None:
    same = itertools.repeat(next(sampler.batches()))
    losses = [record.terms["output"] for record in tiny(20, reading).run(same)]
    assert len(losses) == 20
    assert losses[-1] < losses[5]


def test_it_learns_the_same_where_gradients_are_turned_off_around_it(sampler: PatchSampler) -> None:
    expected = [learned(record) for record in tiny(2).run(sampler.batches())]
    with torch.no_grad():
        assert [learned(record) for record in tiny(2).run(sampler.batches())] == expected


def test_the_network_to_compare_with_is_trained_by_the_same_loop(sampler: PatchSampler) -> None:
    torch.manual_seed(0)
    unet = Training(UNetSuperResolution(1, width=2), Schedule(3))
    records = list(unet.run(sampler.batches()))
    assert "distances" not in records[-1].terms
    assert unet.step == 3


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [(LossConfig(), "adam"), (LossConfig(), "muon"), (FULL_LOSS, "adam")],
    ids=["Adam", "Muon", "with discriminator"],
)
def test_resumed_equals_never_stopped(
    sampler: PatchSampler, tmp_path: Path, loss: LossConfig, optimizer: str
) -> None:
    def begun() -> Training:
        return tiny(8, loss=loss, optimizer=optimizer, width=8 if optimizer == "muon" else 2)

    straight = begun()
    expected = [learned(record) for record in straight.run(sampler.batches())]
    stopped = begun()
    before = [learned(record) for record in itertools.islice(stopped.run(sampler.batches()), 5)]
    save_checkpoint(tmp_path / "checkpoint.safetensors", *stopped.state())
    resumed = begun()
    resumed.restore(*load_checkpoint(tmp_path / "checkpoint.safetensors"))
    after = [learned(record) for record in resumed.run(sampler.batches(resumed.step))]
    assert before + after == expected
    (mine, values), (other, others) = resumed.state(), straight.state()
    assert values == others
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[name], other[name]) for name in mine)


def test_a_checkpoint_of_another_network_is_refused(sampler: PatchSampler) -> None:
    tensors, values = tiny(3).state()
    wider = Training(Generator(1, width=3), Schedule(3))
    with pytest.raises(TrainingError, match="belongs to another training"):
        wider.restore(tensors, values)


def test_the_discriminator_joins_late_and_both_learn(sampler: PatchSampler) -> None:
    both = tiny(10, loss=FULL_LOSS)
    first = [weights.clone() for weights in both.discriminator.parameters()]
    records = []
    for record in both.run(sampler.batches()):
        records.append(record)
        same = all(
            torch.equal(a, b) for a, b in zip(first, both.discriminator.parameters(), strict=True)
        )
        assert same == (record.step <= 3)
    assert [("discriminator" in record.terms) for record in records] == 3 * [False] + 7 * [True]
    assert 0 < records[-1].shares["adversarial"] < 0.5
    assert records[-1].loss == pytest.approx(
        sum(value for name, value in records[-1].terms.items() if name != "discriminator")
    )


def test_the_discriminator_has_a_learning_rate_of_its_own(sampler: PatchSampler) -> None:
    both = tiny(5, loss=FULL_LOSS, discriminator_rate=0.1)
    rate = list(both.run(sampler.batches()))[-1].rate
    assert both.optimizer.param_groups[0]["lr"] == rate
    assert both.discriminator_optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * rate)


def test_a_loss_that_needs_a_discriminator_asks_for_it() -> None:
    with pytest.raises(TrainingError, match="give it a discriminator"):
        Training(Generator(1, width=2), Schedule(3), loss=FULL_LOSS)


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(
    sampler: PatchSampler,
) -> None:
    broken = tiny(9)
    records = broken.run(spoiled(sampler.batches(), 2))
    next(records), next(records)
    before = [weights.clone() for weights in broken.network.parameters()]
    with pytest.raises(
        Diverged, match=r"in step 3 the loss term 'output' stopped being finite; lower"
    ):
        next(records)
    assert all(torch.equal(a, b) for a, b in zip(before, broken.network.parameters(), strict=True))


def test_a_gradient_that_is_not_finite_stops_too(sampler: PatchSampler) -> None:
    broken = tiny(9)
    next(broken.network.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(Diverged, match=r"in step 1 the gradient stopped being finite"):
        next(broken.run(sampler.batches()))


def test_what_diverged_is_told_by_another_process_too() -> None:
    error = Diverged(3, "gradient")
    told = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert isinstance(told, Diverged)
    assert str(told) == str(error)


def test_the_average_follows_the_weights(sampler: PatchSampler) -> None:
    one = tiny(3, averaging=0.0)
    list(one.run(sampler.batches()))
    for mean, value in zip(one.averaged.parameters(), one.network.parameters(), strict=True):
        assert torch.equal(mean, value)
    slow = tiny(1)
    start = [weights.clone() for weights in slow.network.parameters()]
    list(slow.run(sampler.batches()))
    decay = 2 / 11
    for mean, value, before in zip(
        slow.averaged.parameters(), slow.network.parameters(), start, strict=True
    ):
        torch.testing.assert_close(mean, decay * before + (1 - decay) * value)


def test_the_gradient_is_clipped(sampler: PatchSampler) -> None:
    clipped = tiny(1, clip=1e-3)
    (record,) = clipped.run(sampler.batches())
    norm = torch.stack([weights.grad.norm() for weights in clipped.network.parameters()]).norm()
    assert record.gradient_norm > 0.01
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_convolutions_in_half_precision_learn_too(sampler: PatchSampler, precision: str) -> None:
    same = itertools.repeat(next(sampler.batches()))
    half = tiny(12, precision=precision, loss=FULL_LOSS)
    records = list(half.run(same))
    assert records[-1].terms["output"] < records[0].terms["output"]
    assert half.scaler.is_enabled() == (precision == "float16")
    assert all(weights.dtype == torch.float32 for weights in half.network.parameters())


def test_a_step_that_overflows_float16_is_left_out_and_the_scale_falls(
    sampler: PatchSampler,
) -> None:
    half = tiny(30, precision="float16")
    weights = list(half.network.parameters())
    before, scale = [each.clone() for each in weights], half.scaler.get_scale()
    hook = weights[0].register_hook(lambda gradient: gradient * float("inf"))
    records = half.run(itertools.repeat(next(sampler.batches())))
    assert next(records).gradient_norm == float("inf")
    assert all(torch.equal(*pair) for pair in zip(weights, before, strict=True))
    assert half.scaler.get_scale() == scale / 2
    hook.remove()
    next(record for record in records if record.gradient_norm < float("inf"))
    assert not all(torch.equal(*pair) for pair in zip(weights, before, strict=True))


def test_the_papers_rate_is_constant_for_three_quarters_and_falls_to_its_end() -> None:
    schedule = Schedule(200)
    rates = [schedule.rate(step) for step in range(200)]
    assert rates[:150] == [1e-4] * 150
    assert rates[199] == pytest.approx(1e-7)
    assert np.diff(rates[149:]) == pytest.approx((1e-7 - 1e-4) / 50)


def test_the_cosines_rate_rises_then_falls() -> None:
    schedule = Schedule(1000, 1e-3, "cosine", warm_up=100)
    rates = [schedule.rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-5)
    assert max(rates) > 0.9e-3
    assert rates[-1] == pytest.approx(1e-5, rel=0.01)
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_the_floor_of_the_loss_falls() -> None:
    schedule = Schedule(1000, warm_up=10)
    floors = [schedule.floor(step) for step in (0, 15, 30, 900)]
    assert floors == pytest.approx([1e-2, (1e-2 * 2e-6) ** 0.5, 2e-6, 2e-6])


def test_between_parts_of_a_batch_this_thread_shares_out_nothing(
    sampler: PatchSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = torch.get_num_threads(), []
    finite = Training._finite

    def look(self: Training, terms: dict) -> dict:
        seen.append(torch.get_num_threads())
        return finite(self, terms)

    monkeypatch.setattr(Training, "_finite", look)
    torch.set_num_threads(2)
    try:
        list(tiny(2).run(sampler.batches()))
        one = (Patches(*(each[:1] for each in patches[:3])) for patches in sampler.batches())
        list(tiny(1).run(one))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1, 2]  # one patch has all processors
