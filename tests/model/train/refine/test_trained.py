"""The weights that are shipped, on people, poses, clothes and places that no training has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import spearmanr

from model import detect
from model.body.hierarchy import Hierarchy
from model.evaluate.uncertainty import QUANTILES
from model.networks.attention import DAN
from model.networks.body_map import BodyMap
from model.paths import WEIGHTS
from model.refine.refiner import REFINEMENT_FILE, Calibration, read_dan
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.plays import Theatre
from model.synth.motion.enrich import sample
from model.synth.motion.motions import MotionBank
from model.synth.picture_clips import ClipMaker
from model.synth.splits import seeds
from model.train.initial.data import pose_space
from model.train.initial.detected import Pool
from model.train.refine.measure import Measured, measure
from model.train.refine.stock import Stock
from model.train.refine.variants import Networks
from model.train.refine.windows import Windows
from tests.model.made_capture import sequence, turned

CLIPS, FRAMES, FIRST = 8, 16, 2_000_000_000


@pytest.fixture(scope="module")
def folder(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn, detected and estimated as the product does it."""
    space, folder = pose_space(), tmp_path_factory.mktemp("seen")
    crowd = Crowd.draw(space, seeds("test")["bodies"], 8)
    standing = sequence(turned(90, l_shoulder=("z", -60.0), r_shoulder=("z", 70.0), r_knee=("x", 20.0)))
    stage = Theatre(space, MotionBank(space, sample(space, 300, seed=seeds("test")["poses"][0]), [standing]), crowd)
    networks = detect.Networks.load(assets, torch.device("cpu"))
    pool = Pool(folder, FIRST, stage, crowd, ClipMaker(space, seeds("test")), networks, FRAMES)
    stock, number = Stock(folder, folder, FIRST), 0
    while len(list(folder.glob("*.npz"))) < CLIPS:
        found = pool.made(number)
        if not isinstance(found, str):
            stock.footage(*found, number).save(folder / f"{number:06d}.npz")
        number += 1
    return folder


@pytest.fixture(scope="module")
def body(assets: Path) -> BodyMap:
    return BodyMap(pose_space().body, pose_space().skeleton, Hierarchy.load(assets))


def measured(folder: Path, dan: DAN) -> Measured:
    body = pose_space().body
    windows = Windows(sorted(folder.glob("*.npz")), body, dan.body)
    nets = Networks(dan.body)
    nets.dan = dan
    return measure(nets, body.kinematics, windows, list(range(CLIPS)), refines=False)


@pytest.fixture(scope="module")
def shipped(body: BodyMap) -> tuple[DAN, dict[str, Any]]:
    return read_dan(WEIGHTS, body)


@pytest.fixture(scope="module")
def trained(folder: Path, shipped: tuple[DAN, dict[str, Any]]) -> Measured:
    return measured(folder, shipped[0])


def rank(measured: Measured) -> float:
    """Spearman's, of uncertainty and error."""
    return float(spearmanr(measured.sigma_mm[:, ::7].ravel(), measured.before_mm[:, ::7].ravel()).statistic)


def test_they_know_where_the_estimate_is_wrong_and_an_untrained_network_does_not(
    folder: Path, body: BodyMap, trained: Measured
) -> None:
    torch.manual_seed(3)
    control = measured(folder, DAN(body))
    assert rank(trained) > 0.35
    assert rank(trained) > rank(control) + 0.2


def test_it_is_in_millimetres(trained: Measured, shipped: tuple[DAN, dict[str, Any]]) -> None:
    """Nine in ten errors lie within the interval that says so, as far as eight clips can tell."""
    about = shipped[1]
    told_mm = Calibration(float(about["sigma_scale"]), float(about["sigma_power"]))(torch.from_numpy(trained.sigma_mm))
    assert 0.75 < (trained.before_mm <= QUANTILES[90] * told_mm.numpy()).mean() < 0.99


def test_nothing_is_moved_by_what_is_shipped(trained: Measured) -> None:
    """There is no refinement network whose gain was proven."""
    assert not (WEIGHTS / REFINEMENT_FILE).exists()
    assert (trained.after_mm == trained.before_mm).all()
