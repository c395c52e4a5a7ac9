from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
import torch

from napari_mdeblurgan.errors import FileError, OutOfMemory
from napari_mdeblurgan.fine_tuning.estimate import TimeEstimate, estimate
from napari_mdeblurgan.fine_tuning.folder import (
    all_begun,
    keep_settings,
    owned,
    read_pairs,
    read_tuning_settings,
)
from napari_mdeblurgan.fine_tuning.outcome import conclude
from napari_mdeblurgan.fine_tuning.patches import PairSampler
from napari_mdeblurgan.fine_tuning.scores import restored_box
from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings, SettingsError
from napari_mdeblurgan.fine_tuning.tuning import open_fine_tuning
from napari_mdeblurgan.model import list_models, load_model
from napari_mdeblurgan.network import blocks
from napari_mdeblurgan.training.checkpoint import load_checkpoint, save_checkpoint
from tests.fine_tuning.kept_outcome import read_outcome


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_no_time_gives_the_base_model_bit_for_bit(begun, base_file):
    tuning = open_fine_tuning(begun(minutes=0))
    assert list(tuning.steps()) == []
    outcome = conclude(tuning)
    own, base = (weights(load_model(path).network) for path in (outcome.path, base_file))
    assert all(torch.equal(own[name], base[name]) for name in base)
    assert outcome.verdict.answer == "trained too little"


def test_one_pair_is_enough_to_get_better(begun, pair):
    tuning = open_fine_tuning(
        begun([pair(edge=200)], steps=60, batch=4, learning_rate=0.005, averaging=0.9)
    )
    *_, last = tuning.steps()
    outcome = conclude(tuning)
    assert last.step == 60
    assert outcome.verdict.answer == "better"
    assert outcome.verdict.gain_db > 0.5
    assert outcome.methods[2].psnr_db > outcome.methods[1].psnr_db
    assert read_outcome(tuning.folder) == outcome
    assert tuning.folder.comparison.exists()
    assert tuning.folder.preview.exists()


def test_the_new_model_is_listed_at_once_with_what_it_was_made_of(begun):
    tuning = open_fine_tuning(begun(steps=2))
    for _ in tuning.steps():
        pass
    conclude(tuning)
    card = next(card for card in list_models() if card.name == "tuned")
    assert card.scores["fine_tuned_from"] == "base"
    assert "fine-tuned on the pair grain" in card.trained_on
    assert card.scores["held_out_base_psnr_db"] > 0
    assert card.created
    assert card.softness == 0  # its results are as sharp as the pairs were


def test_a_model_is_replaced_if_the_user_says_so_and_else_not(begun):
    def tuned(steps, **options):
        tuning = open_fine_tuning(begun(steps=steps, **options))
        list(tuning.steps())
        return conclude(tuning)

    tuned(1)
    assert tuned(2, overwrite=True).steps == 2
    shutil.rmtree(all_begun()[0].folder.path)
    with pytest.raises(ValueError, match="already"):
        tuned(3)


def test_what_was_interrupted_goes_on_as_if_it_had_not_been(begun, monkeypatch):
    monkeypatch.setattr(
        "napari_mdeblurgan.fine_tuning.tuning.PATIENCE_S", 60
    )  # of a busy machine, too
    whole = open_fine_tuning(begun(steps=6, name="whole"))
    for _ in whole.steps():
        pass
    folder = begun(steps=6, name="parted")
    first = open_fine_tuning(folder)
    for progress in first.steps():
        if progress.step == 3:
            first.stop()
    assert first.training.step == 3
    second = open_fine_tuning(folder)
    assert second.resumed == 3
    assert second.clock.seconds >= first.clock.seconds * 0.5
    losses, validations = second.history()
    assert validations[0] == (0.0, pytest.approx(first.base_psnr_db))
    assert losses[-1][0] == validations[-1][0] == pytest.approx(first.clock.seconds / 60, abs=0.01)
    assert first.history() == ([], [])
    for _ in second.steps():
        pass
    own, other = weights(whole.training.averaged), weights(second.training.averaged)
    assert all(torch.equal(own[name], other[name]) for name in own)


def held_up(tuning, monkeypatch, way, step):
    """Have it stopped in the middle of a step: on its way forth, in a layer, or on its way back."""
    look_up, backward = blocks.look_up, torch.Tensor.backward

    def stop_at(step):
        if tuning.training.step + 1 == step:
            tuning.stop()

    def looked_up():
        if torch.is_grad_enabled():
            stop_at(step)
        look_up()

    def gone_back(self, *arguments, **options):
        stop_at(step)
        return backward(self, *arguments, **options)

    if way == "forth":
        monkeypatch.setattr(blocks, "look_up", looked_up)
    else:
        monkeypatch.setattr(torch.Tensor, "backward", gone_back)


@pytest.mark.parametrize("way", ["forth", "back"])
def test_a_step_that_is_stopped_in_its_middle_is_as_if_it_had_not_been_begun(
    begun, monkeypatch, way
):
    whole = open_fine_tuning(begun(steps=5, name="whole"))
    list(whole.steps())
    folder = begun(steps=5, name="parted")
    first = open_fine_tuning(folder)
    with monkeypatch.context() as patch:
        held_up(first, patch, way, step=3)
        assert [progress.step for progress in first.steps()] == [1, 2]
    assert conclude(first).steps == 2
    second = open_fine_tuning(folder)
    assert [progress.step for progress in second.steps()] == [3, 4, 5]
    own, other = weights(whole.training.averaged), weights(second.training.averaged)
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_what_a_stop_leaves_no_time_to_judge_is_not_the_model_but_kept(begun, monkeypatch):
    folder = begun(steps=4)
    first, restored = open_fine_tuning(folder), []
    with monkeypatch.context() as patch:
        patch.setattr("napari_mdeblurgan.fine_tuning.tuning.PATIENCE_S", -1)
        for progress in first.steps():
            if progress.step == 2:
                first.stop()
        patch.setattr(
            "napari_mdeblurgan.fine_tuning.judged.restored_box", lambda *_: restored.append(1)
        )
        outcome = conclude(first)
    assert not restored  # all that is compared and drawn was known
    assert outcome.best_step == 0
    assert (
        outcome.methods[1].psnr_db
        == outcome.methods[2].psnr_db
        == pytest.approx(first.judged().base.judging.mean_psnr_db)
    )
    assert any(
        "before what was learned after step 0 could be judged" in note for note in outcome.notes
    )
    assert first.folder.comparison.exists()
    second = open_fine_tuning(folder)
    assert [progress.step for progress in second.steps()] == [3, 4]
    assert conclude(second).best_step == 4


def test_how_the_best_does_on_squares_it_was_not_chosen_by_is_known_after_a_resume(begun, pair):
    folder = begun([pair(edge=160)], steps=6, batch=4, learning_rate=0.005, averaging=0.5)
    first = open_fine_tuning(folder)
    list(first.steps())
    assert first.best_step == 6
    resumed = open_fine_tuning(folder)
    kept, fresh = resumed.judged().best, resumed.parts.judged(resumed.best_network().eval())
    assert kept.judging.psnr_db == pytest.approx(fresh.judging.psnr_db)
    assert kept.choosing.mean_psnr_db == pytest.approx(resumed.best_psnr_db)
    for one, other in zip(
        kept.panels, fresh.panels, strict=True
    ):  # by weights that lie otherwise in memory
        assert torch.allclose(one, other, rtol=0, atol=1e-5)
    assert resumed.judged().base.judging.psnr_db == first.judged().base.judging.psnr_db


def test_a_killed_process_loses_no_more_than_what_came_after_its_checkpoint(begun):
    folder = begun(steps=100_000, checkpoint_seconds=0.01)
    command = [sys.executable, "-m", "napari_mdeblurgan.fine_tuning.worker", str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            event = json.loads(line)
            assert event["kind"] != "failed", event
            if event["kind"] == "step" and event["step"] > 2:
                break
        process.kill()
    (found,) = all_begun()
    assert found.step >= event["step"] - 1
    tuning = open_fine_tuning(folder)
    assert tuning.resumed == found.step
    for progress in tuning.steps():
        if progress.step == found.step + 2:
            tuning.stop()
    assert conclude(tuning).steps == found.step + 2


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a POSIX process")
def test_a_process_whose_parent_is_gone_saves_the_best_and_ends(begun):
    folder = begun(steps=100_000)
    command = [sys.executable, "-m", "napari_mdeblurgan.fine_tuning.worker", str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            if json.loads(line)["kind"] == "step":
                break
        process.stdin.close()
        rest = [json.loads(line) for line in process.stdout]
        assert process.wait(120) == 0
    assert rest[-1]["kind"] == "done"
    assert "tuned" in [card.name for card in list_models()]
    assert not folder.lock.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a POSIX process")
def test_a_process_that_nobody_hears_any_more_saves_the_best_and_ends(begun):
    folder = begun(steps=100_000)
    command = [sys.executable, "-m", "napari_mdeblurgan.fine_tuning.worker", str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            if json.loads(line)["kind"] == "step":
                break
        process.stdout.close()  # as when the viewer has ended
        process.stdin.close()
        assert process.wait(120) == 0
    assert "tuned" in [card.name for card in list_models()]
    assert folder.comparison.exists()


def test_a_batch_that_is_no_number_lowers_the_rate_and_the_last_good_weights_go_on(
    begun, monkeypatch
):
    draw, broken = PairSampler.draw, []

    def once_broken(self, number):
        patches = draw(self, number)
        if number == 2 and not broken:
            broken.append(number)
            patches.blurred.fill_(np.nan)
        return patches

    monkeypatch.setattr(PairSampler, "draw", once_broken)
    tuning = open_fine_tuning(begun(steps=5))
    rates = [progress.record.rate for progress in tuning.steps()]
    assert tuning.training.step == 5
    assert any("learning rate" in note for note in tuning.notes)
    assert rates[-1] < 0.5 * max(rates[-1], tuning.settings.learning_rate * 5 / 20)
    assert all(torch.isfinite(value).all() for value in tuning.best.values())


def test_where_memory_is_too_small_batch_and_patch_get_smaller_and_it_is_said(begun, monkeypatch):
    take, asked = torch.Tensor.backward, []

    def hungry(self, *arguments, **options):
        asked.append(tuning.sampler.batch * tuning.sampler.patch**2)
        if asked[-1] > 32 * 32:
            raise RuntimeError(
                "DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes"
            )
        return take(self, *arguments, **options)

    tuning = open_fine_tuning(begun(steps=2, batch=4, patch=32))
    monkeypatch.setattr(torch.Tensor, "backward", hungry)
    assert [progress.step for progress in tuning.steps()] == [1, 2]
    assert tuning.sampler.batch == 1
    assert any("memory" in note for note in tuning.notes)


def test_memory_for_nothing_at_all_is_an_error_of_one_sentence(begun, monkeypatch):
    def starved(self, *arguments, **options):
        raise RuntimeError("CUDA out of memory")

    tuning = open_fine_tuning(begun(steps=2))
    monkeypatch.setattr(torch.Tensor, "backward", starved)
    with pytest.raises(OutOfMemory, match="close other programs"):
        list(tuning.steps())


class OnAFullGpu(torch.nn.Module):
    """A network on a device that has no room for what it is given."""

    def __init__(self, network):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(1, device="meta"))
        self.own = (network,)

    def forward(self, image):
        assert image.is_meta
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4.88 GiB")

    def cpu(self):
        return self.own[0]


def test_a_held_out_part_too_large_for_the_gpu_is_judged_on_the_processor(begun):
    tuning = open_fine_tuning(begun())
    network = tuning.base.network
    judged, exact = (
        [restored_box(each, tuning.pairs[box.pair], box) for box in tuning.split.held_out]
        for each in (OnAFullGpu(network), network)
    )
    np.testing.assert_array_equal(judged, exact)


def test_the_estimate_is_of_real_steps_and_changes_nothing(begun):
    tuning = open_fine_tuning(begun(steps=50, minutes=60))
    before = weights(tuning.training.network)
    found = estimate(tuning)
    assert 0 < found.seconds_per_step < 60
    assert found.steps == 50
    assert found.minutes == pytest.approx(50 * found.seconds_per_step / 60)
    after = weights(tuning.training.network)
    assert tuning.training.step == 0
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("minutes", "told"),
    [
        (0.02, " in 1 s, "),
        (0.99, " in 59 s, "),
        (12.34, " in 12.3 min, "),
        (1234, " in 1234 min, "),
    ],
)
def test_an_estimate_is_told_in_seconds_or_minutes(minutes, told):
    assert told in TimeEstimate(0.3, 4, minutes, 2.0, "CPU").sentence
    assert TimeEstimate(0.3, 4, 1, 812.0, "CPU").sentence.count("the pairs 812 times") == 1


@pytest.mark.parametrize(
    ("part", "changes"), [("super-resolution", "super_resolution"), ("deblurring", "deblurring")]
)
def test_only_the_part_that_was_asked_for_changes(begun, base_file, part, changes):
    tuning = open_fine_tuning(begun(steps=3, part=part, learning_rate=0.01))
    list(tuning.steps())
    base = weights(load_model(base_file).network)
    moved = {
        name.split(".")[0]
        for name, value in weights(tuning.training.network).items()
        if not torch.equal(value, base[name])
    }
    assert changes in moved
    assert moved <= {changes, "approximation"} if part == "deblurring" else moved == {changes}


def test_more_minutes_let_a_finished_one_go_on(begun):
    folder = begun(steps=2)
    list(open_fine_tuning(folder).steps())
    (found,) = all_begun()
    assert found.finished
    old = read_tuning_settings(folder)
    keep_settings(
        folder,
        FineTuneSettings(**{name: getattr(old, name) for name in old.__slots__} | {"steps": 4}),
    )
    assert [progress.step for progress in open_fine_tuning(folder).steps()] == [3, 4]


def test_two_do_not_work_in_one_folder_and_it_is_not_offered_meanwhile(begun):
    folder = begun()
    with owned(folder):
        assert all_begun() == []
        with pytest.raises(ValueError, match="another process"), owned(folder):
            pass


def test_one_that_is_at_work_is_not_begun_anew_by_another(begun):
    folder = begun()
    with owned(folder):
        before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
        with pytest.raises(ValueError, match="another process"):
            begun(overwrite=True)
        assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before


def test_what_a_killed_one_has_left_half_written_is_swept_when_it_goes_on(begun):
    folder = begun()
    (folder.path / ".0123456789abcdef.part").write_bytes(b"cut off")
    begun()
    assert not list(folder.path.glob(".*.part"))


def test_a_checkpoint_of_another_version_is_told_in_one_sentence(begun):
    folder = begun(steps=1)
    list(open_fine_tuning(folder).steps())
    tensors, values = load_checkpoint(folder.checkpoint)
    values["time"] = values.pop("seconds")
    save_checkpoint(folder.checkpoint, tensors, values)
    with pytest.raises(FileError, match="another version of the plugin"):
        open_fine_tuning(folder)


def test_a_damaged_checkpoint_is_told_in_one_sentence_and_hides_no_other_fine_tuning(begun):
    folder, other = begun(steps=1), begun(name="other")
    list(open_fine_tuning(folder).steps())
    tensors, values = load_checkpoint(folder.checkpoint)
    save_checkpoint(folder.checkpoint, tensors, values | {"training": [values["training"]]})
    assert [each.folder for each in all_begun()] == [other]
    with pytest.raises(FileError, match="another version of the plugin"):
        open_fine_tuning(folder)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 9999, b""])
def test_damaged_settings_are_told_in_one_sentence(begun, content):
    folder = begun()
    folder.settings.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_tuning_settings(folder)


@pytest.mark.parametrize("truths", ["7", "[[1], 2", "[1, 2, 3]"])
def test_pairs_whose_description_is_damaged_are_told_in_one_sentence(begun, truths):
    folder = begun()
    with safetensors.safe_open(folder.pairs, "np") as file:
        metadata = file.metadata() | {"truths": truths}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    safetensors.numpy.save_file(tensors, folder.pairs, metadata)
    with pytest.raises(FileError, match=r"cannot be read .*; begin the fine-tuning anew\.$"):
        read_pairs(folder)
