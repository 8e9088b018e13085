"""A cache that fails costs time, never a job."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from numpy.typing import NDArray

from amr_blender.bridge.cache import cache_size, clear_cache
from amr_blender.contract.errors import TakeError
from amr_blender.contract.take import save
from model.cache import Cache, fingerprint, key
from tests.contract.tiny_take import tiny_take

ROOT = Path(__file__).resolve().parents[2]
KEY = key("a", 1)


@dataclass
class Record:
    """Every kind of field that a record may have."""

    index: int
    share: float
    seen: bool
    name: str
    size_px: tuple[int, int]
    points: NDArray[np.float32]
    more: NDArray[np.float32] | None = None


def record(index: int) -> Record:
    points = np.random.default_rng(index).normal(size=(index, 3)).astype(np.float32)
    points[:1] = np.nan
    return Record(index, 0.5, True, "ä", (64, 48), points, None if index else np.ones(2, np.float32))


class Warnings:
    def __init__(self) -> None:
        self.codes: list[str] = []
        self.messages: list[str] = []

    def __call__(self, code: str, message: str) -> None:
        self.codes.append(code)
        self.messages.append(message)


def test_records_come_back(tmp_path: Path) -> None:
    warnings = Warnings()
    Cache(str(tmp_path), warnings).keep_records("people", KEY, [record(0), record(3)])
    back = Cache(str(tmp_path), warnings).records("people", KEY, Record)
    assert back is not None
    assert len(back) == 2
    for before, after in zip([record(0), record(3)], back, strict=True):
        for field in fields(Record):
            expected, found = getattr(before, field.name), getattr(after, field.name)
            np.testing.assert_array_equal(found, expected)
            assert type(found) is type(expected)
    assert back[1].points.dtype == np.float32
    assert warnings.codes == []


def test_an_empty_list_is_a_result(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), Warnings())
    cache.keep_records("people", KEY, [])
    assert cache.records("people", KEY, Record) == []


def test_takes_come_back(tmp_path: Path) -> None:
    save(tiny_take(), tmp_path / "made.npz")
    cache = Cache(str(tmp_path / "cache"), Warnings())
    assert cache.take(KEY) is None
    cache.keep_take(KEY, tmp_path / "made.npz")
    take = cache.take(KEY)
    assert take is not None
    assert take.frame_count == 4
    cache.copy_take(KEY, tmp_path / "new" / "copy.npz")
    assert (tmp_path / "new" / "copy.npz").read_bytes() == (tmp_path / "made.npz").read_bytes()


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache = Cache("", Warnings())
    cache.keep_records("people", KEY, [record(0)])
    save(tiny_take(), tmp_path / "made.npz")
    cache.keep_take(KEY, tmp_path / "made.npz")
    assert cache.records("people", KEY, Record) is None
    assert cache.take(KEY) is None
    assert [p.name for p in tmp_path.iterdir()] == ["made.npz"]


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "flipped", "folder"])
def test_damaged_results_count_as_absent_and_are_replaced(tmp_path: Path, damage: str) -> None:
    cache = Cache(str(tmp_path / "cache"), Warnings())
    save(tiny_take(), tmp_path / "made.npz")
    cache.keep_take(KEY, tmp_path / "made.npz")
    cache.keep_records("landmarks", KEY, [record(500)])
    for kind in ("takes", "landmarks"):
        path = tmp_path / "cache" / kind / f"{KEY}.npz"
        data = path.read_bytes()
        path.unlink()
        if damage == "folder":
            path.mkdir()
            continue
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 0xFF
        path.write_bytes(
            {"empty": b"", "text": b"text", "truncated": data[: len(data) // 2], "flipped": bytes(flipped)}[damage]
        )
    assert cache.take(KEY) is None
    assert cache.records("landmarks", KEY, Record) is None
    if damage != "folder":
        cache.keep_take(KEY, tmp_path / "made.npz")
        cache.keep_records("landmarks", KEY, [record(500)])
        assert cache.take(KEY) is not None
        assert cache.records("landmarks", KEY, Record) is not None


def test_a_record_of_another_make_counts_as_absent(tmp_path: Path) -> None:
    @dataclass
    class Other:
        index: int

    cache = Cache(str(tmp_path), Warnings())
    cache.keep_records("people", KEY, [Other(1)])
    assert cache.records("people", KEY, Record) is None


def test_a_folder_that_can_not_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    warnings = Warnings()
    cache = Cache(str(tmp_path / "file"), warnings)
    save(tiny_take(), tmp_path / "made.npz")
    for _ in range(2):
        cache.keep_take(KEY, tmp_path / "made.npz")
        cache.keep_records("people", KEY, [record(0)])
    assert warnings.codes == ["cache-unwritable"]
    assert "choose another cache folder" in warnings.messages[0]
    assert cache.take(KEY) is None


def test_a_full_disk_leaves_no_half_result(tmp_path: Path) -> None:
    """A real failed write: the process may write no more than a kilobyte to a file."""
    pytest.importorskip("resource", reason="limits on file sizes are a matter of POSIX")
    script = f"""
    import resource, sys
    sys.path.insert(0, {str(ROOT)!r})
    from tests.model.test_cache import *
    cache = Cache({str(tmp_path)!r}, lambda code, message: print(code))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    cache.keep_records("people", KEY, [record(500)])
    cache.keep_records("people", key("small"), [])
    """
    result = subprocess.run(
        [sys.executable, "-B", "-c", dedent(script)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert result.stdout.split() == ["cache-unwritable"]
    assert [p.name for p in (tmp_path / "people").iterdir()] == [f"{key('small')}.npz"]


def test_a_result_that_can_not_be_delivered(tmp_path: Path) -> None:
    save(tiny_take(), tmp_path / "made.npz")
    cache = Cache(str(tmp_path / "cache"), Warnings())
    cache.keep_take(KEY, tmp_path / "made.npz")
    (tmp_path / "file").touch()
    with pytest.raises(TakeError) as caught:
        cache.copy_take(KEY, tmp_path / "file" / "take.npz")
    assert caught.value.code == "take-unwritable"


def test_what_a_power_cut_left_is_removed_later(tmp_path: Path) -> None:
    (tmp_path / "takes").mkdir()
    old, young = tmp_path / "takes" / "amr-1-0a.partial", tmp_path / "takes" / "amr-2-0a.partial"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    Cache(str(tmp_path), Warnings())
    assert not old.exists()
    assert young.exists()


def test_the_preferences_see_and_clear_what_is_kept(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "cache"), Warnings())
    save(tiny_take(), tmp_path / "made.npz")
    cache.keep_take(KEY, tmp_path / "made.npz")
    cache.keep_records("people", KEY, [record(1)])
    cache.keep_records("landmarks", KEY, [record(1)])
    assert cache_size(tmp_path / "cache").files == 3
    assert cache_size(tmp_path / "cache").size_bytes > (tmp_path / "made.npz").stat().st_size
    clear_cache(tmp_path / "cache")
    assert cache.take(KEY) is None
    assert cache.records("people", KEY, Record) is None


def test_the_fingerprint_follows_weights(tmp_path: Path) -> None:
    for name in ("anny.npz", "blazepose_detector.npz"):
        (tmp_path / name).write_bytes(name.encode())
    everything, detection = fingerprint(tmp_path), fingerprint(tmp_path, ("detect/", "blazepose"))
    assert everything == fingerprint(tmp_path)
    (tmp_path / "anny.npz").write_bytes(b"another body")
    assert fingerprint(tmp_path) != everything
    assert fingerprint(tmp_path, ("detect/", "blazepose")) == detection
    (tmp_path / "blazepose_detector.npz").write_bytes(b"another network")
    assert fingerprint(tmp_path, ("detect/", "blazepose")) != detection
