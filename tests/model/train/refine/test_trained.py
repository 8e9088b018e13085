"""The weights that are shipped, on people, poses, clothes and places that no training has seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr

from model.body.hierarchy import Hierarchy
from model.detect import Networks
from model.networks.attention import DAN, DanSettings
from model.networks.body_map import BodyMap
from model.networks.refinement import HRN, HrnSettings
from model.networks.weights import read_weights
from model.paths import WEIGHTS
from model.refine.refiner import ATTENTION_FILE, REFINEMENT_FILE, tuples
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.plays import Theatre
from model.synth.motion.enrich import sample
from model.synth.motion.motions import MotionBank
from model.synth.picture_clips import ClipMaker
from model.synth.splits import seeds
from model.train.initial.data import pose_space
from model.train.initial.detected import Pool
from model.train.refine.measure import Measured, measure
from model.train.refine.run import Networks as Untrained
from model.train.refine.stock import Stock
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
    networks = Networks.load(assets, torch.device("cpu"))
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


def measured(folder: Path, dan: DAN, hrn: HRN) -> Measured:
    body = pose_space().body
    return measure(dan, hrn, body.kinematics, Windows(folder, body, dan.body), list(range(CLIPS)))


@pytest.fixture(scope="module")
def trained(folder: Path, body: BodyMap) -> Measured:
    (dan_state, dan_about), (hrn_state, hrn_about) = (
        read_weights(WEIGHTS / n) for n in (ATTENTION_FILE, REFINEMENT_FILE)
    )
    dan, hrn = DAN(body, DanSettings(**dan_about["settings"])), HRN(body, HrnSettings(**tuples(hrn_about["settings"])))
    dan.load_state_dict(dan_state), hrn.load_state_dict(hrn_state)
    return measured(folder, dan, hrn)


def test_they_make_the_estimate_better_and_untrained_networks_do_not(
    folder: Path, body: BodyMap, trained: Measured
) -> None:
    torch.manual_seed(3)
    untrained = Untrained(body)
    control = measured(folder, untrained.dan, untrained.hrn)
    assert control.before_mm.mean() == pytest.approx(trained.before_mm.mean(), rel=1e-5)
    gain = trained.before_mm.mean() - trained.after_mm.mean()
    assert gain > 0.3
    assert gain > 3 * (control.before_mm.mean() - control.after_mm.mean())


def test_they_know_where_they_are_wrong(trained: Measured) -> None:
    some = (slice(None), slice(None, None, 7))
    assert spearmanr(trained.sigma_mm[some].ravel(), trained.after_mm[some].ravel()).statistic > 0.3


def test_attention_is_no_copy_of_the_uncertainty_and_differs_over_the_body(trained: Measured) -> None:
    some = (slice(None), slice(None, None, 7))
    assert trained.attention.std(1).mean() > 0.02
    assert abs(spearmanr(trained.sigma_mm[some].ravel(), trained.attention[some].ravel()).statistic) < 0.9
