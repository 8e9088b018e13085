"""The cache folder in the Preferences: its size and Clear touch results and nothing else."""

from __future__ import annotations

from pathlib import Path

from amr_blender.bridge.cache import cache_size, clear_cache

KEY = "0123456789abcdef" * 2


def fill(folder: Path) -> None:
    for kind in ("people", "landmarks", "takes"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / f"{KEY}.npz").write_bytes(b"x" * 100)
    (folder / "takes" / "amr-1-0a.partial").write_bytes(b"x" * 10)


def test_size_and_clear(tmp_path: Path) -> None:
    fill(tmp_path / "cache")
    size = cache_size(tmp_path / "cache")
    assert (size.files, size.size_bytes) == (4, 310)
    assert clear_cache(tmp_path / "cache") == size
    assert list((tmp_path / "cache").iterdir()) == []
    assert cache_size(tmp_path / "cache").files == 0


def test_files_of_the_animator_stay(tmp_path: Path) -> None:
    """Somebody may choose a folder of their own as the cache."""
    fill(tmp_path)
    mine = [tmp_path / "film.npz", tmp_path / "takes" / "hero.npz", tmp_path / "takes" / f"{KEY}.txt"]
    mine += [tmp_path / "takes" / f"{KEY.upper()}.npz", tmp_path / "people" / KEY[:-1]]
    for path in mine:
        path.touch()
    outside = tmp_path / "outside.npz"
    outside.touch()
    link = tmp_path / "landmarks" / f"{KEY[::-1]}.npz"
    link.symlink_to(outside)
    clear_cache(tmp_path)
    assert all(path.exists() for path in [*mine, outside, link])
    assert cache_size(tmp_path).files == 0


def test_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "absent", tmp_path / "file"):
        assert cache_size(folder).files == 0
        assert clear_cache(folder).files == 0
