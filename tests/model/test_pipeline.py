"""From footage to a take, end to end, with the real networks and the real body; bad and unusual footage too."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from amr_blender.bridge.process import WorkerProcess, run_to_end
from amr_blender.contract.errors import AmrError
from amr_blender.contract.job import Job
from amr_blender.contract.messages import Done, Message
from amr_blender.contract.take import Take, load
from buildtools.layout import DEMO_CLIP
from model.paths import WEIGHTS
from model.pipeline import list_people, reconstruct
from model.progress import STAGE_SHARES
from model.refine.refiner import Refiner
from model.video import Video
from tests.model.clips import grey_frames, write_clip
from tests.worker.layouts import checkout, installed_zip, run_worker

pytestmark = pytest.mark.usefixtures("assets")
STAGES = [name for name in STAGE_SHARES if name != "refine" or Refiner.available(WEIGHTS)]
"""Of a job from its beginning; without trained weights nothing is refined."""


class Listener:
    """Everything that the pipeline says beside the take."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, int, int]] = []
        self.warnings: list[str] = []
        self.devices: list[str] = []

    def report(self, stage: str, done: int, total: int) -> None:
        self.reports.append((stage, done, total))

    def warn(self, code: str, message: str) -> None:
        assert message.endswith(".")
        self.warnings.append(code)

    @property
    def stages(self) -> list[str]:
        return list(dict.fromkeys(stage for stage, _, _ in self.reports))


def demo_frames(count: int) -> list[np.ndarray]:
    return [frame.rgb for frame in Video(DEMO_CLIP).frames(0, count)]


def run(job: Job) -> tuple[Take, Listener]:
    listener = Listener()
    path = reconstruct(job, listener.report, listener.warn, listener.devices.append)
    assert path == Path(job.out)
    return load(path), listener


def job_for(video: Path, folder: Path, **settings: Any) -> Job:
    return Job(str(video), str(folder / "take.npz"), **settings)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Take, Listener, Job]:
    """The first frames of the project's own clip, reconstructed once, with a cache."""
    folder = tmp_path_factory.mktemp("demo")
    job = job_for(DEMO_CLIP, folder, frame_end=10, cache=str(folder / "cache"), device="cpu")
    return *run(job), job


def test_a_take_of_the_demo_clip(demo: tuple[Take, Listener, Job]) -> None:
    take, _, job = demo
    assert take.frames.tolist() == list(range(10))
    assert take.present.all()
    assert np.isfinite(take.joints12_cam_m).all()
    assert take.meta["source"]["name"] == "demo_clip.mp4"
    assert take.meta["settings"]["frame_end"] == 10
    assert take.meta["person"]["index"] == 0
    assert take.meta["person"]["count"] >= 1
    assert take.meta["camera_motion"]["verdict"] == "still"
    assert sorted(p.name for p in Path(job.out).parent.iterdir()) == ["cache", "take.npz"]


def test_stages_report_in_order_and_to_their_end(demo: tuple[Take, Listener, Job]) -> None:
    _, listener, _ = demo
    assert listener.stages == STAGES
    for stage in STAGES:
        counts = [(done, total) for name, done, total in listener.reports if name == stage]
        parts = [done / total for done, total in counts]
        assert parts[0] == 0
        assert parts[-1] == 1
        assert parts == sorted(parts)
    assert listener.devices == ["cpu"]


def test_a_second_run_reuses_the_take(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    first, _, job = demo
    take, listener = run(replace(job, out=str(tmp_path / "again.npz")))
    assert listener.stages == ["read", "reused"]
    assert listener.devices == []
    np.testing.assert_array_equal(take.rotations, first.rotations)
    assert (tmp_path / "again.npz").read_bytes() == Path(job.out).read_bytes()


def test_another_height_reuses_people_and_landmarks(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    first, _, job = demo
    take, listener = run(replace(job, out=str(tmp_path / "taller.npz"), actor_height_m=1.95))
    assert listener.stages == [s for s in STAGES if s not in ("detect", "landmarks")]
    assert take.meta["actor_height_m"] == pytest.approx(1.95, abs=0.02)
    np.testing.assert_array_equal(take.landmarks_px, first.landmarks_px)
    assert take.meta["person"] == first.meta["person"]
    assert take.meta["camera_motion"] == first.meta["camera_motion"]


def test_the_users_own_body(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    """From the same landmarks, with another mesh and rig; kept by what is in the file, not by where it lies."""
    pytest.importorskip("smplx")
    from tests.model.body import tiny_smpl

    anny, _, job = demo
    job = replace(job, out=str(tmp_path / "smplx.npz"), body_file=str(tiny_smpl.write_smplx(tmp_path)))
    take, listener = run(job)
    assert listener.stages == [s for s in STAGES if s not in ("detect", "landmarks")]
    assert take.meta["body"]["name"] == "SMPL-X"
    assert len(take.bone_names) == 56
    assert str(tmp_path) not in str(take.meta)
    np.testing.assert_array_equal(take.joints12_cam_m, anny.joints12_cam_m)
    np.testing.assert_allclose(take.translation_m, anny.translation_m, atol=0.1)
    moved = Path(job.body_file).rename(tmp_path / "moved.npz")
    assert run(replace(job, body_file=str(moved)))[1].stages == ["read", "reused"]
    other = replace(job, body_file=str(tiny_smpl.write_smpl(tmp_path)))
    assert run(other)[0].meta["body"]["name"] == "SMPL"
    assert run(replace(job, body_file=""))[0].meta["body"]["name"] == "Anny"


def test_a_body_file_that_can_not_be_used_costs_no_work(tmp_path: Path) -> None:
    import os
    import pickle

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch '{tmp_path / 'owned'}'",)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"v_template": Evil()}))
    (tmp_path / "picture.npz").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(500))
    listener = Listener()
    for name, code in (
        ("evil.pkl", "body-file-refused"), ("picture.npz", "body-file-unusable"), ("none.npz", "body-file-unusable"),
    ):  # fmt: skip
        job = job_for(DEMO_CLIP, tmp_path, body_file=str(tmp_path / name))
        fails(job, code)
        with pytest.raises(AmrError):
            reconstruct(job, listener.report, listener.warn)
    assert listener.stages == ["read"]
    assert not (tmp_path / "owned").exists()


def test_a_damaged_cache_is_replaced(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    _, _, job = demo
    job = replace(job, cache=str(tmp_path / "cache"), out=str(tmp_path / "take.npz"), frame_end=2)
    first, _ = run(job)
    for path in (tmp_path / "cache").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-100])
    take, listener = run(job)
    assert listener.stages == STAGES
    np.testing.assert_allclose(take.rotations, first.rotations, atol=1e-5)
    assert run(job)[1].stages == ["read", "reused"]


def test_a_cache_that_can_not_be_written_costs_a_warning(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    _, _, job = demo
    (tmp_path / "file").touch()
    _, listener = run(replace(job, cache=str(tmp_path / "file"), out=str(tmp_path / "take.npz"), frame_end=3))
    assert listener.warnings.count("cache-unwritable") == 1


def test_a_take_that_can_not_be_written(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    _, _, job = demo
    (tmp_path / "file").touch()
    fails(replace(job, out=str(tmp_path / "file" / "take.npz")), "take-unwritable")


def test_the_worker_gives_the_same_take_in_both_layouts(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    """The real job, through the real entry, from the checkout and from the installed zip: the same bytes."""
    takes = []
    for name, layout in (("checkout", checkout()), ("zip", installed_zip(tmp_path))):
        (tmp_path / name).mkdir()
        ran = run_worker(layout, job_for(DEMO_CLIP, tmp_path / name, frame_end=2, device="cpu"), tmp_path / name)
        assert isinstance(ran.last, Done), ran.log
        assert ran.code == 0
        takes.append(Path(ran.last.take).read_bytes())
        imported = run_imports(layout, tmp_path / name)
        # smplx for a body file of the user's alone
        assert imported <= {"torch", "numpy", "cv2", "safetensors", "smplx"}
    assert takes[0] == takes[1]


def run_imports(layout: Path, folder: Path) -> set[str]:
    """Packages from site-packages that the model itself imports while it works in ``layout``."""
    import ast

    model = layout / "model" if (layout / "model").is_dir() else layout.parent / "model"
    tools = {"convert", "synth", "train", "evaluate"}
    found = set()
    for source in [*model.rglob("*.py"), *(layout / "worker").rglob("*.py"), *(layout / "contract").rglob("*.py")]:
        if tools & set(source.relative_to(layout.parent).parts) or source.name in ("console.py",):
            continue
        for node in ast.walk(ast.parse(source.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            found |= {name.partition(".")[0] for name in names}
    return found - set(sys.stdlib_module_names) - {"model", "amr_blender"}


def test_through_the_bridge(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    messages: list[Message] = []
    _, _, job = demo
    job = replace(job, out=str(tmp_path / "take.npz"), cache=str(tmp_path / "cache"), frame_end=2)
    done = run_to_end(Path(sys.executable), job, tmp_path / "scratch", messages.append)
    assert load(Path(done.take)).frame_count == 2
    assert not done.cached
    fractions = [m.fraction for m in messages if m.type == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)
    assert [m.device for m in messages if m.type == "hello"][-1] == "cpu"
    assert run_to_end(Path(sys.executable), job, tmp_path / "scratch").cached


def test_cancelled_while_computing(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    """In every stage that takes time: gone within a second, nothing left."""
    import time

    _, _, job = demo
    for stage in ("detect", "landmarks", "fit"):
        folder = tmp_path / stage
        changes: dict[str, Any] = {"out": str(folder / "take.npz"), "cache": str(folder / "cache")}
        if stage == "fit":
            changes |= {"cache": job.cache, "actor_height_m": 1.6}
        worker = WorkerProcess(Path(sys.executable), replace(job, **changes), folder / "scratch")
        worker.start()
        seen = ""
        while seen != stage:
            for message in worker.poll():
                assert message.type not in ("done", "failed"), message
                seen = getattr(message, "stage", seen)
            time.sleep(0.005)
        before = time.monotonic()
        worker.cancel()
        assert time.monotonic() - before < 1.0
        assert worker.poll()[-1].code == "cancelled"  # type: ignore[union-attr]
        left = [p for p in folder.rglob("*") if p.is_file() and p.parent.name not in ("people", "landmarks")]
        assert left == []
        assert not list(folder.rglob("*.partial"))


def test_people(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    _, _, job = demo
    people = list_people(replace(job, action="people", out=str(tmp_path / "faces")))
    assert [p["index"] for p in people] == list(range(len(people)))
    first = people[0]
    assert 0 < first["share"] <= 1
    assert 0 <= first["frame_start"] < first["frame_end"] <= 10
    picture = cv2.imread(first["thumbnail"])
    assert picture is not None
    assert min(picture.shape[:2]) >= 32
    assert picture.std() > 5


def test_a_person_that_is_not_there(demo: tuple[Take, Listener, Job], tmp_path: Path) -> None:
    _, _, job = demo
    fails(replace(job, out=str(tmp_path / "take.npz"), person=99), "person-missing")


# Broken footage


def fails(job: Job, code: str) -> None:
    with pytest.raises(AmrError) as caught:
        run(job)
    assert caught.value.code == code
    for text in (caught.value.message, caught.value.remedy):
        assert text.endswith(".")
        assert "\n" not in text
    assert not Path(job.out).exists()
    assert not list(Path(job.out).parent.glob("*.partial")) if Path(job.out).parent.is_dir() else True


def test_no_such_file(tmp_path: Path) -> None:
    fails(job_for(tmp_path / "no.mp4", tmp_path), "video-missing")


@pytest.mark.parametrize(("data", "code"), [(b"text\n" * 999, "video-unreadable"), (b"", "video-empty")])
def test_no_movie(tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "text.mp4").write_bytes(data)
    fails(job_for(tmp_path / "text.mp4", tmp_path), code)


def test_a_truncated_movie(tmp_path: Path) -> None:
    """Cut in the middle of its pictures, with the index in front as streaming wants it: found out while reading."""
    whole = write_fast_start(tmp_path / "whole.mp4", 24)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(AmrError) as caught:
        run(job_for(tmp_path / "cut.mp4", tmp_path))
    assert caught.value.code in ("video-truncated", "video-unreadable", "video-broken")
    assert not (tmp_path / "take.npz").exists()


def write_fast_start(path: Path, count: int) -> Path:
    noise = np.random.default_rng(0)
    frames = (noise.integers(0, 255, (96, 128, 3), dtype=np.uint8) for _ in range(count))
    return write_clip(path.with_suffix(".avi"), frames).rename(path)


def test_nobody_in_the_clip(tmp_path: Path) -> None:
    fails(job_for(write_clip(tmp_path / "grey.mp4", grey_frames(3)), tmp_path), "no-person")


def test_a_range_behind_the_clip(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "grey.mp4", grey_frames(10))
    fails(job_for(clip, tmp_path, frame_start=10), "range-outside-clip")


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    clip = write_clip(tmp_path / "grey.mp4", grey_frames(3))
    fails(job_for(clip, tmp_path, device="cuda"), "device-missing")


def test_assets_that_are_not_there(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "grey.mp4", grey_frames(3))
    fails(job_for(clip, tmp_path, assets=str(tmp_path / "nothing")), "assets-missing")


# Unusual footage


def test_one_frame(tmp_path: Path) -> None:
    take, _ = run(job_for(write_clip(tmp_path / "one.mp4", demo_frames(1)), tmp_path))
    assert take.frame_count == 1


def test_one_image(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "still.png"), demo_frames(1)[0][..., ::-1])
    take, _ = run(job_for(tmp_path / "still.png", tmp_path))
    assert take.frame_count == 1
    assert take.present.all()


def test_an_image_sequence_equals_its_movie(tmp_path: Path) -> None:
    names = []
    for number, rgb in enumerate(demo_frames(4)):
        names.append(f"shot.{number:04}.png")
        cv2.imwrite(str(tmp_path / names[-1]), rgb[..., ::-1])
    take, _ = run(job_for(tmp_path / names[0], tmp_path, images=tuple(names), image_fps=10.0))
    assert take.frame_count == 4
    np.testing.assert_allclose(take.time_s, [0, 0.1, 0.2, 0.3], atol=1e-6)


def test_16x16(tmp_path: Path) -> None:
    """Sixteen pixels hold nobody: told by name."""
    small = [cv2.resize(rgb, (16, 16), interpolation=cv2.INTER_AREA) for rgb in demo_frames(3)]
    clip = write_clip(tmp_path / "tiny.mp4", small)
    try:
        take, _ = run(job_for(clip, tmp_path))
        assert take.frame_count == 3
    except AmrError as error:
        assert error.code == "no-person"
        assert not (tmp_path / "take.npz").exists()


def test_8k(tmp_path: Path) -> None:
    big = cv2.resize(demo_frames(1)[0], (7680, 4320), interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(str(tmp_path / "big.jpg"), big[..., ::-1])
    take, _ = run(job_for(tmp_path / "big.jpg", tmp_path))
    assert take.meta["source"]["width"] == 7680
    assert take.present.all()


def test_a_person_only_in_the_middle_third(tmp_path: Path) -> None:
    people = demo_frames(6)
    empty = [np.full_like(people[0], 90)] * 6
    take, listener = run(job_for(write_clip(tmp_path / "third.mp4", [*empty, *people, *empty]), tmp_path))
    assert take.frame_count == 18
    assert take.present[7:11].all()
    assert not take.present[:5].any()
    assert not take.present[13:].any()
    assert np.isnan(take.joints12_cam_m[~take.present]).all()
    assert np.isfinite(take.rotations).all()
    assert "person-missing-frames" in listener.warnings


def test_a_cut_to_another_person(tmp_path: Path) -> None:
    """The same person mirrored and moved counts as another: the take has one of them, and says what is missing."""
    frames = demo_frames(6)
    height, width = frames[0].shape[:2]
    other = []
    for rgb in frames:
        canvas = np.full_like(rgb, 90)
        half = cv2.resize(rgb[:, ::-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        canvas[: height // 2, : width // 2] = half
        other.append(canvas)
    clip = write_clip(tmp_path / "cut.mp4", [*frames, *other])
    take, listener = run(job_for(clip, tmp_path))
    assert take.frame_count == 12
    if not take.present.all():
        assert "person-missing-frames" in listener.warnings
    people = list_people(Job(str(clip), str(tmp_path / "faces"), "people"))
    assert len(people) == 2


def test_a_camera_that_pans_is_followed(tmp_path: Path) -> None:
    """The picture moves, and the person with it: in the world the person walks as before the still camera, and the
    take's camera turns."""
    frames, settings = demo_frames(24), {"focal_px": 1000.0, "quality": "draft"}
    panned = [np.roll(rgb, 5 * number, axis=1) for number, rgb in enumerate(frames)]
    take, listener = run(job_for(write_clip(tmp_path / "pan.mp4", panned), tmp_path, **settings))
    assert listener.warnings.count("camera-turns") == 1
    told = take.meta["camera_motion"]
    assert (told["verdict"], told["kind"]) == ("moves", "pan")
    assert told["largest_shift"] == pytest.approx(5 * 23 / panned[0].shape[1], rel=0.1)
    assert 0 <= told["frames"][0] < told["frames"][1] <= 23
    ahead = take.camera_to_world[:, :3, 2]
    assert np.arccos(ahead[0] @ ahead[-1]) == pytest.approx(2 * np.arctan(5 * 23 / 2 / 1000.0), rel=0.1)
    still, _ = run(job_for(write_clip(tmp_path / "still.mp4", frames), tmp_path, **settings))
    walked = [one.translation_m[-1, :2] - one.translation_m[0, :2] for one in (take, still)]
    assert np.linalg.norm(walked[0] - walked[1]) < 0.15  # the pan alone would be 0.7 m


def test_a_camera_that_zooms_is_told(tmp_path: Path) -> None:
    frames = demo_frames(12)
    height, width = frames[0].shape[:2]
    zoomed = []
    for number, rgb in enumerate(frames):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, 1 + 0.02 * number)
        zoomed.append(cv2.warpAffine(rgb, matrix, (width, height)))
    take, listener = run(job_for(write_clip(tmp_path / "zoom.mp4", zoomed), tmp_path, quality="draft"))
    assert listener.warnings.count("camera-moves") == 1
    assert take.meta["camera_motion"]["kind"] == "zoom"
    assert np.ptp(take.camera_to_world, axis=0).max() == 0


def test_a_range_longer_than_the_clip(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "short.mp4", demo_frames(4))
    take, listener = run(job_for(clip, tmp_path, frame_start=1, frame_end=500))
    assert take.frames.tolist() == [1, 2, 3]
    assert "clip-shorter-than-range" in listener.warnings


def test_a_part_of_the_clip_has_the_clips_numbers_and_times(tmp_path: Path) -> None:
    take, _ = run(job_for(DEMO_CLIP, tmp_path, frame_start=5, frame_end=9))
    whole = list(Video(DEMO_CLIP).frames(5, 9))
    assert take.frames.tolist() == [5, 6, 7, 8]
    np.testing.assert_allclose(take.time_s, [f.time_s for f in whole])
