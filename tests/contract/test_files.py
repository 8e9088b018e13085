"""Files appear whole or not at all, and what a kill leaves is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from amr_blender.contract.files import is_partial, remove_partials, written_whole


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.bin"
    with written_whole(path) as stream:
        stream.write(b"half ")
        stream.flush()
        assert not path.exists()
        assert [is_partial(p.name) for p in path.parent.iterdir()] == [True]
        stream.write(b"whole")
    assert path.read_bytes() == b"half whole"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), written_whole(path) as stream:
        stream.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_results_are_readable_for_others(tmp_path: Path) -> None:
    with written_whole(tmp_path / "file.bin") as stream:
        stream.write(b"x")
    (tmp_path / "plain").touch()
    assert (tmp_path / "file.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_only_the_dead_process_partials_go(tmp_path: Path) -> None:
    pid = os.getpid()
    names = [f"amr-{pid}-0a.partial", f"amr-{pid}1-0a.partial", "take.npz", "amr-.partial", "other.partial"]
    for name in names:
        (tmp_path / name).touch()
    remove_partials(tmp_path, pid)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names[1:])
    remove_partials(tmp_path / "absent", pid)
