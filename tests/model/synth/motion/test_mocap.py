"""Reading the motion capture: on a small pack made here, and on the real one where it is."""

from __future__ import annotations

import numpy as np
import pytest

from amr_blender.contract.errors import AmrError
from model.body.retarget import CAPTURE_JOINTS, CAPTURE_PARENTS
from model.synth.motion.mocap import FILES, TEST_SUBJECTS, default_folder, read_sequences
from tests.model.made_capture import offsets_m


def pack(frames: int = 5, subjects: tuple[str, ...] = ("01_02", "13_29", "")) -> dict[str, np.ndarray]:
    total = frames * len(subjects)
    return {
        "fps": np.float32(60),
        "joint_names": np.array(CAPTURE_JOINTS),
        "parents": np.array(CAPTURE_PARENTS, np.int16),
        "uid": np.array([f"CMU_{i}" for i in range(len(subjects))]),
        "cmu_id": np.array(subjects),
        "action": np.array(["walk"] * len(subjects)),
        "group": np.array(["walk"] * len(subjects)),
        "start": np.arange(len(subjects)) * frames,
        "length": np.full(len(subjects), frames),
        "pos": np.arange(total * 96, dtype=np.float32).reshape(total, 32, 3),
        "quat": np.ones((total, 32, 4), np.float32),
        "skeleton": np.zeros(len(subjects), np.int16),
        "offsets": offsets_m()[None].astype(np.float32),
        "floor_known": np.ones(len(subjects), bool),
        "feet_ok": np.ones(len(subjects), bool),
    }


def write(folder, **changes) -> None:
    for name in FILES:
        np.savez(folder / name, **(pack() | changes))


def test_reads_and_splits(tmp_path):
    write(tmp_path)
    everything = read_sequences(tmp_path)
    assert [s.subject for s in everything] == ["01", "13", ""] * 3
    assert [s.split for s in everything] == ["train", "test", "train"] * 3
    np.testing.assert_array_equal(everything[1].joints_m, pack()["pos"][5:10])
    assert {s.subject for s in read_sequences(tmp_path, "test")} == {"13"}
    assert not {s.subject for s in read_sequences(tmp_path, "train")} & TEST_SUBJECTS
    with pytest.raises(ValueError, match="split"):
        read_sequences(tmp_path, "validation")


@pytest.mark.parametrize(
    "changes",
    [
        {"joint_names": np.array(CAPTURE_JOINTS[::-1])},
        {"quat": np.ones((14, 32, 4), np.float32)},
        {"pos": np.full((15, 32, 3), np.nan, np.float32)},
        {"start": np.array([0, 5, 11])},
        {"skeleton": np.full(3, 7, np.int16)},
        {"uid": np.array([object()], dtype=object)},
    ],
    ids=["other skeleton", "wrong shape", "not finite", "outside", "no such skeleton", "pickle"],
)
def test_a_damaged_pack_is_refused(tmp_path, changes):
    write(tmp_path, **changes)
    with pytest.raises(AmrError, match="--mocap"):
        read_sequences(tmp_path)


def test_half_a_pack_is_refused(tmp_path):
    write(tmp_path)
    path = tmp_path / FILES[1]
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(AmrError, match=FILES[1]):
        read_sequences(tmp_path)


def test_a_missing_pack_is_told(tmp_path):
    with pytest.raises(AmrError, match="can't be read"):
        read_sequences(tmp_path / "nowhere")


@pytest.mark.skipif(not default_folder().is_dir(), reason="the motion capture (../shared/mocap) is not here")
def test_the_real_pack():
    sequences = read_sequences()
    assert {s.subject for s in sequences if s.split == "test"} == TEST_SUBJECTS
    assert sum(len(s.joints_m) for s in sequences) / 60 / 60 == pytest.approx(26.4, abs=0.1)
    for s in sequences[::20]:
        length = np.linalg.norm(np.diff(s.joints_m[:, [1, 2]], axis=1)[:, 0], axis=-1)
        np.testing.assert_allclose(length, np.linalg.norm(s.offsets_m[2]), rtol=0.01)
