"""build/assets: made once, whole or not at all, and again when their sources change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildtools import assets
from buildtools.assets import Asset
from buildtools.console import BuildError


@pytest.fixture
def asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asset:
    for name in ("ASSETS", "STAMPS", "BUILD", "LOGS"):
        monkeypatch.setattr(assets, name, tmp_path / name.lower())
    return Asset("fake", "Making a fake", "tests.build.fake_converter", (), None)


def made() -> list[str]:
    return sorted(path.name for path in assets.ASSETS.glob("*"))


def test_is_made_once(asset: Asset) -> None:
    asset.ensure()
    assert made() == ["first.bin", "second.bin"]
    written = os.stat(assets.ASSETS / "first.bin").st_mtime_ns
    asset.ensure()
    assert os.stat(assets.ASSETS / "first.bin").st_mtime_ns == written


def test_a_converter_that_breaks_leaves_nothing_and_is_run_again(asset: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CONVERTER_BREAKS", "1")
    with pytest.raises(BuildError, match="the second file could not be made"):
        asset.ensure()
    assert made() == [] and not asset.is_ready()
    monkeypatch.delenv("FAKE_CONVERTER_BREAKS")
    asset.ensure()
    assert made() == ["first.bin", "second.bin"] and asset.is_ready()


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_damaged_file_is_made_again(asset: Asset, damage: str) -> None:
    asset.ensure()
    victim = assets.ASSETS / "second.bin"
    victim.unlink() if damage == "removed" else victim.write_bytes(b"rotten")
    assert not asset.is_ready()
    asset.ensure()
    assert victim.read_bytes() == b"second"


def test_the_stamp_follows_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The converter, and what it imports from ``model`` at any depth; nothing else."""
    convert = tmp_path / "model" / "convert"
    convert.mkdir(parents=True)
    (convert / "thing.py").write_text("from model.convert.helper import f\nfrom . import other\nimport json\n")
    (convert / "helper.py").write_text("from model.deep import g\n")
    (convert / "other.py").write_text("")
    (convert / "unrelated.py").write_text("")
    (tmp_path / "model" / "deep.py").write_text("g = 1\n")
    monkeypatch.setattr(assets, "ROOT", tmp_path)
    asset = Asset("thing", "", "model.convert.thing", ("anny",), None)
    stamps = [asset.stamp()]
    for name, counts in [("deep.py", True), ("convert/other.py", True), ("convert/unrelated.py", False)]:
        (tmp_path / "model" / name).write_text("# changed\n")
        assert (asset.stamp() != stamps[-1]) is counts, name
        stamps.append(asset.stamp())


def test_the_stamp_follows_the_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = Asset("anny", "", "model.convert.anny", ("anny",), None)
    before = asset.stamp()
    for name in ("test.in", "mediapipe.in"):
        text = (assets.REQUIREMENTS / name).read_text()
        (tmp_path / name).write_text(text.replace("pytest==", "pytest==9"))
    monkeypatch.setattr(assets, "REQUIREMENTS", tmp_path)
    assert asset.stamp() == before
    (tmp_path / "test.in").write_text((tmp_path / "test.in").read_text().replace("anny==", "anny==9"))
    assert asset.stamp() != before


def test_the_real_assets_are_ready_after_the_set_up(assets: Path) -> None:
    from buildtools.assets import ALL

    assert [asset.name for asset in ALL if not asset.is_ready()] == []


def test_what_is_made_from_another_asset_follows_it(asset: Asset) -> None:
    child = Asset("child", "", "tests.build.fake_child_converter", (), None, asset)
    child.ensure()
    assert made() == ["child.bin", "first.bin", "second.bin"]
    assert (assets.ASSETS / "child.bin").read_bytes() == b"child of first"
    assert child.is_ready()
    of_another = Asset("child", "", "tests.build.fake_child_converter", (), None, Asset("x", "", "x", ("anny",), None))
    assert child.stamp() != of_another.stamp()
