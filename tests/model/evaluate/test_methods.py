"""Methods: what each claims is what it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from amr_blender.contract.errors import RuntimeSetupError, SettingsError
from model.body.landmarks import LandmarkRegressor
from model.detect import Networks
from model.estimate.take_builder import JOINT12_LANDMARKS
from model.evaluate import metrics
from model.evaluate.bodies import motion_of_take
from model.evaluate.context import Context
from model.evaluate.methods import METHODS, chosen, frozen, placed
from model.evaluate.motion import Motion, nothing
from model.evaluate.suites import Clip
from model.paths import WEIGHTS
from model.refine.refiner import Refiner
from model.video import Video
from tests.model.clips import write_clip
from tests.model.evaluate.people import K, along_x, moved, still

FRAMES = 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Clip:
    """The last frames of the project's clip, without truth."""
    movie = tmp_path_factory.mktemp("clip") / "short.mp4"
    frames = (frame.rgb for frame in Video(repo_root / "tests" / "data" / "demo_clip.mp4").frames(60, 60 + FRAMES))
    write_clip(movie, frames, 24.0)
    return Clip("demo", "demo", "short", movie, (), lambda: (still(FRAMES), {}))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> Context:
    return Context(tmp_path_factory.mktemp("cache"))


def test_choosing() -> None:
    whole = ["amr"] if Refiner.available(WEIGHTS) else []
    assert [method.name for method in chosen(None)] == ["truth", "frozen", "blazepose", "initial", *whole]
    assert [method.name for method in chosen(["initial-best", "frozen"])] == ["frozen", "initial-best"]
    with pytest.raises(SettingsError, match="no method 'best'.*blazepose"):
        chosen(["frozen", "best"])


def test_initial_is_the_take_before_it_is_refined(clip: Clip, context: Context) -> None:
    found = METHODS["initial"].run(clip, still(FRAMES + 2), context)
    take = context.initial(clip)
    assert take.attention is None
    assert found.frame_count == FRAMES + 2
    assert found.seen.tolist() == [*take.present.tolist(), False, False]
    np.testing.assert_array_equal(found.joints12_cam_m[:FRAMES][take.present], take.joints12_cam_m[take.present])
    # The skin is where the joints are, which the estimate took from it.
    regressor = LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz")
    chosen_vertices = found.vertices_cam_m[:, regressor.vertex_index.numpy()]
    points = (chosen_vertices * regressor.weight.numpy()[..., None]).sum(-2)[:, JOINT12_LANDMARKS]
    assert np.nanmax(np.abs(points - found.joints12_cam_m)) < 1e-4
    assert found.orientations_cam.shape == (FRAMES + 2, 14, 3, 3)
    assert found.uncertainty_mm is None


def test_landmarks_that_the_pipeline_kept_are_not_detected_again(
    clip: Clip, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.take(clip)
    monkeypatch.setattr(Networks, "load", lambda *_: pytest.fail("the networks ran again"))
    found = METHODS["blazepose"].run(clip, still(FRAMES), context)
    assert found.seen.all()
    assert found.vertices_cam_m is None
    assert 1.5 < np.median(found.root_cam_m[:, 2]) < 8
    # Placed by projection, the joints lie on the detector's own pixels.
    off = np.linalg.norm(metrics.project(found) - context.landmarks(clip).px[:, JOINT12_LANDMARKS], axis=-1)
    assert np.median(off) < 10


def test_refinement_moves_the_skin_and_the_initial_one_is_kept(clip: Clip, context: Context, tmp_path: Path) -> None:
    take = context.initial(clip)
    plain = motion_of_take(take, FRAMES)
    basis = np.full((1, len(take.vertices_m), 3), 0.01, np.float32)
    weights = np.linspace(0, 1, FRAMES, dtype=np.float32)[:, None]
    refined = motion_of_take(replace(take, refinement_basis=basis, refinement_weights=weights), FRAMES)
    np.testing.assert_array_equal(refined.initial_vertices_cam_m, plain.vertices_cam_m)
    moved_mm = 1000 * np.linalg.norm(refined.vertices_cam_m - plain.vertices_cam_m, axis=-1).mean(1)
    assert moved_mm == pytest.approx(np.linspace(0, 10 * np.sqrt(3), FRAMES), abs=0.3)


def test_an_untrained_refinement_is_compared_with_the_estimate_that_it_began_with(clip: Clip, context: Context) -> None:
    found = METHODS["amr-untrained"].run(clip, still(FRAMES), context)
    initial = METHODS["initial"].run(clip, still(FRAMES), context)
    np.testing.assert_array_equal(found.initial_vertices_cam_m, initial.vertices_cam_m)
    assert found.attention is not None and found.uncertainty_mm is not None
    assert 0 < np.abs(found.vertices_cam_m - initial.vertices_cam_m).max() < 0.5


@pytest.mark.parametrize("name", ["amr", "amr-uniform"])
def test_without_weights_there_is_nothing_to_compare(
    clip: Clip, context: Context, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("model.evaluate.parts.WEIGHTS", tmp_path)
    with pytest.raises(RuntimeSetupError, match="weights"):
        METHODS[name].run(clip, still(FRAMES), context)


def test_frozen_moves_nowhere_and_is_the_mean() -> None:
    walk = moved(still(), 6, along_x(np.arange(8.0)))
    walk.joints12_cam_m[:] += np.linspace(0, 0.7, 8)[:, None, None]
    walk.joints12_cam_m[3] = np.nan
    found = frozen(walk)
    assert np.ptp(found.joints12_cam_m, axis=0).max() == 0
    assert found.seen.all()
    mean = walk.rooted_joints_m[walk.seen].mean(0) + walk.root_cam_m[walk.seen].mean(0)
    assert found.joints12_cam_m[0] == pytest.approx(mean)
    assert metrics.limb_speed_ratio(still(), found).total.sum() == 0
    assert not frozen(nothing(still())).seen.any()


def test_placing_finds_the_place() -> None:
    truth: Motion = still(4)
    px = metrics.project(truth)
    found = placed(truth.rooted_joints_m, px, np.ones((4, 12)), K)
    assert found == pytest.approx(truth.joints12_cam_m, abs=1e-5)
    wrong = px.copy()
    wrong[:, 0] += 500  # a landmark without confidence has no say
    weight = np.ones((4, 12))
    weight[:, 0] = 0
    assert placed(truth.rooted_joints_m, wrong, weight, K) == pytest.approx(truth.joints12_cam_m, abs=1e-5)
