"""One run without a window: what is read of the image, and when it can be stopped."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image

from napari_mdeblurgan.restoration import micrographs, plan
from napari_mdeblurgan.restoration.tiling import Region
from napari_mdeblurgan.widgets.deblur.orders import job_on
from napari_mdeblurgan.widgets.runs.job import Job, JobFailed, Restored
from napari_mdeblurgan.widgets.runs.run_job import run_job


def job_for(data: np.ndarray, **part: Any) -> Job:
    layer = Image(data, contrast_limits=(0, 1), name="stack")
    return job_on(layer, "tiny-grey", "cpu", **part)


def outcome_of(job: Job) -> Restored | JobFailed:
    steps = run_job(job)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture
def stack() -> np.ndarray:
    return np.random.default_rng(0).random((4, 40, 48)).astype(np.float32)


@pytest.mark.parametrize("region", [None, ((4, 20), (8, 32))])
def test_only_the_plane_is_searched_for_missing_pixels(
    stack: np.ndarray, monkeypatch: pytest.MonkeyPatch, region: Region | None
) -> None:
    stack[0, 3, 4] = np.nan
    planned: list[tuple[int, ...]] = []
    planning = plan.planning

    def noted(image: np.ndarray, *arguments: Any, **wishes: Any) -> plan.RestorationPlan:
        planned.append(image.shape)
        return planning(image, *arguments, **wishes)

    monkeypatch.setattr(micrographs, "planning", noted)
    outcome = outcome_of(job_for(stack, planes=(slice(2, 3),), region=region))
    assert isinstance(outcome, Restored)
    assert outcome.warnings == ()
    assert planned == [(1, 40, 48)]


def test_a_layer_that_is_slow_to_compute_is_computed_about_once() -> None:
    computed = []

    def slowly(block: np.ndarray) -> np.ndarray:
        if block.size:
            computed.append(block.shape)
            time.sleep(0.06)
        return block

    image = np.random.default_rng(0).random((330, 350)).astype(np.float32)
    lazy = da.from_array(image, chunks=128).map_blocks(slowly, dtype=np.float32, meta=image[:0])
    job = replace(job_for(lazy), trust=True)
    computed.clear()
    outcome = outcome_of(job)
    np.testing.assert_allclose(
        outcome.data, outcome_of(replace(job_for(image), trust=True)).data, atol=0.01
    )
    assert outcome.trusted is not None
    assert len(computed) <= 3 * 9  # some 200 where each stage computes the parts that it needs


def test_a_part_is_a_cut_out_of_the_full_result(stack: np.ndarray) -> None:
    stack[1] *= 100
    whole = outcome_of(job_for(stack)).data
    plane = outcome_of(job_for(stack, planes=(slice(2, 3),))).data
    np.testing.assert_array_equal(plane[0], whole[2])
    preview = outcome_of(
        job_for(stack, planes=(slice(2, 3),), region=((4, 20), (8, 32)), preview=True)
    ).data
    np.testing.assert_allclose(preview[0], whole[2, 8:40, 16:64], atol=2e-5 * 100)
    np.testing.assert_array_equal(
        outcome_of(job_for(stack[2], region=((4, 20), (8, 32)))).arguments["metadata"][
            "mdeblurgan"
        ]["window"],
        outcome_of(job_for(stack[2])).arguments["metadata"]["mdeblurgan"]["window"],
    )


def test_the_window_of_a_part_comes_from_the_whole(stack: np.ndarray) -> None:
    stack[1] *= 100
    (window,) = outcome_of(job_for(stack, planes=(slice(2, 3),))).arguments["metadata"][
        "mdeblurgan"
    ]["window"]
    assert window == (
        np.percentile(stack, 0.1, method="nearest"),
        np.percentile(stack, 99.9, method="nearest"),
    )


def test_a_part_can_be_cancelled_before_its_window_is_measured(
    stack: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[object] = []
    monkeypatch.setattr(plan, "measuring", lambda *_: measured.append(None))
    steps = run_job(job_for(stack, planes=(slice(2, 3),)))
    words = [next(steps) for _ in range(3)]
    assert all(isinstance(step, str) for step in words)
    steps.close()
    assert not measured


def test_an_image_of_a_type_that_cannot_be_restored_is_refused_before_it_is_measured(
    stack: np.ndarray,
) -> None:
    outcome = outcome_of(
        replace(job_for(stack, planes=(slice(2, 3),)), data=stack.astype(np.complex64))
    )
    assert isinstance(outcome, JobFailed)
    assert "complex64 cannot be restored" in outcome.sentence


def test_measuring_an_image_that_looks_empty_tells_how_far_it_is_and_can_be_cancelled() -> None:
    read: list[int] = []
    blank = da.zeros((9000, 9000), dtype=np.uint8, chunks=2048).map_blocks(
        lambda block: read.append(block.size) or block,
        dtype=np.uint8,
        meta=np.empty((0, 0), np.uint8),
    )
    steps, told = run_job(job_for(blank)), ""
    read.clear()
    while "%" not in told:
        told = next(steps)
    next(steps)
    steps.close()
    assert told == "Measuring the intensities… 4 %"
    assert sum(read) < 0.5 * 9000**2 + 16 * 2048**2
