"""What the report on real blur says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.evaluation.real.cases import Case
from napari_mdeblurgan.evaluation.real.gains import summary_lines
from napari_mdeblurgan.evaluation.real.judge import RealEvaluation
from napari_mdeblurgan.evaluation.real.page import page, write_page
from napari_mdeblurgan.evaluation.real.real_pictures import marked
from napari_mdeblurgan.evaluation.real.scoring import RealScore


def score(image: str, method: str, psnr: float, name: str = "smear <1>") -> RealScore:
    number = float(image.removesuffix(".png"))
    return RealScore(
        name,
        image,
        number,
        "steps",
        0.5,
        method,
        "",
        psnr,
        psnr / 50,
        0.1,
        0.4,
        None,
        image,
        method,
    )


@pytest.fixture
def evaluation() -> RealEvaluation:
    scores = [
        score("1.png", "bicubic", 30),
        score("1.png", "m", 29.5),
        score("4.png", "bicubic", 25),
        score("4.png", "m", 26.5),
    ]
    return RealEvaluation(
        folder="data", device="CPU", models=(), scores=tuple(scores), notes=("2.png was left out.",)
    )


def test_a_page_gives_means_the_worst_image_and_every_distance(
    evaluation: RealEvaluation, tmp_path: Path
) -> None:
    text = page(tmp_path, evaluation)
    assert "<h2>smear &lt;1&gt;</h2>" in text
    assert "<td>m</td><td>+0.50</td><td>+0.0100</td>" in text
    assert "-0.50 (1.png)" in text
    assert "<td>+1 steps: 1.png</td><td>50 %</td><td>30.00</td>" in text
    assert "<td>+1.50 / +0.030</td>" in text
    assert "2.png was left out." in text


def test_what_is_worse_than_bicubic_is_marked(evaluation: RealEvaluation, tmp_path: Path) -> None:
    text = page(tmp_path, evaluation)
    assert '<td class="less">-0.50 / -0.010</td>' in text
    assert text.count('class="less"') == 1


def test_a_page_holds_its_pictures(evaluation: RealEvaluation, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    pictures = {"smear <1>": [("a.png", "where it is smallest")]}
    whole = RealEvaluation(
        folder="d", device="CPU", models=(), scores=evaluation.scores, pictures=pictures
    )
    write_page(tmp_path / "report.html", whole)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64,cGljdHVyZQ==" in text
    assert 'src="a.png"' not in text


def test_the_summary_names_the_worst_image(evaluation: RealEvaluation) -> None:
    first, second = summary_lines(evaluation.scores)
    assert first == "smear <1> (2 images), gains over bicubic enlargement:"
    assert "PSNR +0.50 dB" in second
    assert "worst -0.50 dB (1.png)" in second


def test_what_is_not_judged_is_dark_in_the_picture_of_the_truth() -> None:
    judged = np.zeros((4, 4), bool)
    judged[:2] = True
    truth = np.full((4, 4, 3), 0.8)
    case = Case(
        "s", "i", None, "", np.zeros((2, 2, 3), np.uint8), truth.astype(np.float32), judged, 255.0
    )
    shown = marked(truth, case)
    assert np.allclose(shown[:2], 0.8)
    assert np.allclose(shown[2:], 0.4)
