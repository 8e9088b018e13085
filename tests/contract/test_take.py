"""Takes are read as untrusted input: whatever is in the file, it is a whole take or one sentence with a remedy."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amr_blender.contract.errors import TakeError
from amr_blender.contract.take import Take, load, save, validate
from tests.contract.tiny_take import B, T, V, refined_take, tiny_take

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("make", [tiny_take, refined_take])
def test_round_trip(tmp_path: Path, make: Callable[[], Take]) -> None:
    take = make()
    save(take, tmp_path / "new" / "take.npz")
    back = load(tmp_path / "new" / "take.npz")
    assert back.meta == take.meta
    assert back.frame_count == T
    for field in fields(Take):
        if field.name != "meta":
            before, after = getattr(take, field.name), getattr(back, field.name)
            if before is None:
                assert after is None
            else:
                np.testing.assert_array_equal(before, after)
                assert before.dtype == after.dtype
                assert after.flags.writeable
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["take.npz"]


def test_frames_are_seen_filled_or_empty() -> None:
    assert tiny_take().posed.tolist() == [True, True, False, True], "absent means that none is filled"
    assert refined_take().posed.all()


def test_same_take_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save(tiny_take(), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_other_byte_orders_and_fortran_arrays_are_read(tmp_path: Path) -> None:
    take = tiny_take()
    take.rotations = np.asfortranarray(take.rotations.astype(">f4"))
    save(take, tmp_path / "take.npz")
    back = load(tmp_path / "take.npz")
    np.testing.assert_array_equal(back.rotations, tiny_take().rotations)
    assert back.rotations.dtype == np.dtype("=f4")


# Wrong content: neither written nor read


def changed(name: str, change: Callable[[np.ndarray[Any, Any]], Any]) -> Take:
    take = refined_take()
    setattr(take, name, change(getattr(take, name).copy()))
    return take


def set_item(index: Any, value: Any) -> Callable[[np.ndarray[Any, Any]], Any]:
    def change(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        array[index] = value
        return array

    return change


WRONG: dict[str, tuple[str, Callable[[np.ndarray[Any, Any]], Any]]] = {
    "one frame less": ("rotations", lambda a: a[:-1]),
    "one bone more": ("bone_rest", lambda a: np.concatenate([a, a[:1]])),
    "one vertex less": ("skin_weights", lambda a: a[:-1]),
    "skin of two widths": ("skin_bones", lambda a: a[:, :1]),
    "too few dimensions": ("translation_m", lambda a: a[:, 0]),
    "triangles": ("quads", lambda a: a[:, :3]),
    "eleven joints": ("joints12_cam_m", lambda a: a[:, :11]),
    "camera of 4x4": ("K", lambda a: np.eye(4)),
    "landmarks of two counts": ("landmark_confidence", lambda a: a[:, :32]),
    "attention of other mesh": ("attention", lambda a: a[:, 1:]),
    "refinement of other count": ("refinement_weights", lambda a: a[:, :1]),
    "integers for floats": ("rotations", lambda a: a.astype(np.int32)),
    "floats for integers": ("quads", lambda a: a.astype(np.float32)),
    "numbers for names": ("bone_names", lambda a: np.arange(B)),
    "numbers for flags": ("present", lambda a: a.astype(np.int8)),
    "bytes for names": ("bone_names", lambda a: a.astype("S8")),
    "filled in where seen": ("filled", set_item(0, True)),
    "filled in without joints": ("joints12_cam_m", set_item((2, 3, 0), np.nan)),
    "one filled frame less": ("filled", lambda a: a[:-1]),
    "numbers for filled": ("filled", lambda a: a.astype(np.int8)),
    "objects": ("bone_names", lambda a: a.astype(object)),
    "complex": ("time_s", lambda a: a.astype(complex)),
    "NaN in rotations": ("rotations", set_item((1, 1, 1), np.nan)),
    "NaN in mesh": ("vertices_m", set_item((0, 0), np.nan)),
    "infinite root": ("translation_m", set_item((0, 0), np.inf)),
    "NaN in times": ("time_s", set_item(1, np.nan)),
    "NaN in camera": ("K", set_item((0, 0), np.nan)),
    "NaN in camera path": ("camera_to_world", set_item((0, 0, 0), np.nan)),
    "NaN in attention": ("attention", set_item((0, 0), np.nan)),
    "NaN in uncertainty": ("uncertainty_mm", set_item((0, 0), np.nan)),
    "no focal length": ("K", set_item((0, 0), 0.0)),
    "frames twice": ("frames", set_item(1, 0)),
    "negative frame": ("frames", set_item(0, -1)),
    "unsigned frames run back": ("frames", lambda a: a[::-1].astype(np.uint32)),
    "times run back": ("time_s", lambda a: a[::-1]),
    "no root": ("bone_parents", set_item(0, 0)),
    "two roots": ("bone_parents", set_item(1, -1)),
    "child before parent": ("bone_parents", set_item(1, 2)),
    "own parent": ("bone_parents", set_item(1, 1)),
    "one name twice": ("bone_names", set_item(2, "hips")),
    "empty name": ("bone_names", set_item(2, "")),
    "name with a zero byte": ("bone_names", set_item(2, "a\0b")),
    "name of no characters": ("bone_names", lambda a: np.frombuffer(b"\xff" * 4 * B, "<U1")),
    "name of half a character": ("bone_names", set_item(2, "\ud800")),
    "endless name": ("bone_names", lambda a: np.array(["root", "hips", "x" * 5000])),
    "quad outside the mesh": ("quads", set_item((0, 0), V)),
    "negative quad": ("quads", set_item((0, 0), -1)),
    "triangle that repeats its first corner": ("quads", set_item((0, 3), 0)),
    "triangle that repeats its second corner": ("quads", set_item((0, 3), 1)),
    "face of two corners": ("quads", set_item(0, [0, 1, 0, 1])),
    "skin to no bone": ("skin_bones", set_item((0, 0), B)),
    "rotation of length two": ("rotations", lambda a: a * 2),
    "rotation of length zero": ("rotations", lambda a: a * 0),
    "missing": ("rotations", lambda a: None),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_take_is_not_written(tmp_path: Path, case: str) -> None:
    take = changed(*WRONG[case])
    with pytest.raises(TakeError) as caught:
        save(take, tmp_path / "take.npz")
    check_words(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_take_is_not_read(tmp_path: Path, case: str) -> None:
    write_unchecked(changed(*WRONG[case]), tmp_path / "take.npz")
    with pytest.raises(TakeError) as caught:
        load(tmp_path / "take.npz")
    check_words(caught.value)


def test_what_may_be_unknown_may_be_nan() -> None:
    validate(changed("landmarks_px", set_item(..., np.nan)))
    validate(tiny_take(joints12_cam_m=np.full((T, 12, 3), np.nan, np.float32)))


def test_triangles_and_no_uvs(tmp_path: Path) -> None:
    take = changed("quads", set_item((slice(None), 3), refined_take().quads[:, 2]))
    take.uvs = None
    save(take, tmp_path / "take.npz")
    back = load(tmp_path / "take.npz")
    assert back.uvs is None
    np.testing.assert_array_equal(back.quads, take.quads)


@pytest.mark.parametrize("letter", ["T", "B", "V"])
def test_an_empty_take(letter: str) -> None:
    from amr_blender.contract.take import _SPEC

    take = tiny_take()
    for name, (_, shape) in _SPEC.items():
        array = getattr(take, name)
        if array is not None:
            setattr(take, name, array[tuple(slice(0, 0) if s == letter else slice(None) for s in shape)])
    with pytest.raises(TakeError, match="no (frames|bones|vertices)"):
        validate(take)


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"source": "clip.mp4", "settings": {}, "warnings": []},
        {"source": {"name": "a", "width": 0, "height": 4, "fps": 25.0}, "settings": {}, "warnings": []},
        {"source": {"name": "a", "width": 4, "height": 4, "fps": float("nan")}, "settings": {}, "warnings": []},
        {"source": {"name": "a", "width": 4, "height": 4, "fps": 25.0}, "settings": {}, "warnings": ["text"]},
        {"source": {"name": 3, "width": 4, "height": 4, "fps": 25.0}, "settings": {}, "warnings": []},
        {"source": {"name": "a", "width": 4, "height": 4, "fps": True}, "settings": {}, "warnings": []},
        {"source": {"name": "a", "width": 4, "height": 4, "fps": 25.0}, "settings": [], "warnings": []},
    ],
)
def test_a_take_that_does_not_say_what_it_was_made_from(meta: dict[str, Any]) -> None:
    with pytest.raises(TakeError, match="made from"):
        validate(tiny_take(meta=meta))


# Wrong files


def member(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def members(take: Take) -> dict[str, bytes]:
    arrays = {f.name: getattr(take, f.name) for f in fields(Take) if f.name != "meta"}
    meta = np.array(json.dumps({"take_version": 1, **take.meta}))
    return {f"{n}.npy": member(a) for n, a in [("meta", meta), *arrays.items()] if a is not None}


def write_members(content: dict[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def write_unchecked(take: Take, path: Path) -> None:
    write_members(members(take), path)


def check_words(error: TakeError) -> None:
    for text in (error.message, error.remedy):
        assert text[0].isupper() or text.startswith("take.npz")
        assert text.endswith(".")
        assert "\n" not in text
        assert len(text) < 300


def refused(path: Path, code: str) -> None:
    with pytest.raises(TakeError) as caught:
        load(path)
    assert caught.value.code == code
    check_words(caught.value)


def test_no_such_take(tmp_path: Path) -> None:
    refused(tmp_path / "take.npz", "take-missing")


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04", b"\x93NUMPY", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_take(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "take.npz").write_bytes(data)
    refused(tmp_path / "take.npz", "take-corrupt")


def test_a_folder_that_is_no_take(tmp_path: Path) -> None:
    (tmp_path / "take.npz").mkdir()
    refused(tmp_path / "take.npz", "take-corrupt")


def test_truncated_anywhere(tmp_path: Path) -> None:
    save(tiny_take(), tmp_path / "whole.npz")
    data = (tmp_path / "whole.npz").read_bytes()
    for size in range(0, len(data), max(1, len(data) // 100)):
        (tmp_path / "take.npz").write_bytes(data[:size])
        refused(tmp_path / "take.npz", "take-corrupt")


def test_damaged_anywhere(tmp_path: Path) -> None:
    """One flipped byte: an error in words, or a take that is whole all the same (zip has unused bytes)."""
    save(tiny_take(), tmp_path / "whole.npz")
    data = (tmp_path / "whole.npz").read_bytes()
    for position in range(0, len(data), max(1, len(data) // 400)):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        (tmp_path / "take.npz").write_bytes(damaged)
        try:
            validate(load(tmp_path / "take.npz"))
        except TakeError as error:
            check_words(error)


@pytest.mark.parametrize("version", [0, 2, 99, "1", None, 1.5])
def test_another_version(tmp_path: Path, version: Any) -> None:
    """Also if the rest of the file is unknown to this version."""
    content = members(tiny_take())
    content["meta.npy"] = member(np.array(json.dumps({"take_version": version})))
    content["of_the_future.npy"] = member(np.zeros(3))
    write_members(content, tmp_path / "take.npz")
    refused(tmp_path / "take.npz", "take-version")


@pytest.mark.parametrize(
    "meta",
    [
        np.array("no JSON"),
        np.array("[1]"),
        np.array("{}"),
        np.array("null"),
        np.array("[" * 100_000),
        np.array(["{}"]),
        np.array(b"{}"),
        np.zeros(3),
    ],
)
def test_a_description_that_can_not_be_read(tmp_path: Path, meta: np.ndarray[Any, Any]) -> None:
    content = members(tiny_take())
    content["meta.npy"] = member(meta)
    write_members(content, tmp_path / "take.npz")
    refused(tmp_path / "take.npz", "take-corrupt")


def test_no_description(tmp_path: Path) -> None:
    content = members(tiny_take())
    del content["meta.npy"]
    write_members(content, tmp_path / "take.npz")
    refused(tmp_path / "take.npz", "take-corrupt")


@pytest.mark.parametrize("name", [n for n in members(tiny_take()) if n not in ("meta.npy", "uvs.npy")])
def test_each_array_is_needed(tmp_path: Path, name: str) -> None:
    content = members(tiny_take())
    del content[name]
    write_members(content, tmp_path / "take.npz")
    refused(tmp_path / "take.npz", "take-incomplete")


@pytest.mark.parametrize("name", ["extra.npy", "../evil.npy", "/etc/passwd", "rotations", "rotations.npy/x"])
def test_members_that_no_take_has(tmp_path: Path, name: str) -> None:
    write_members({**members(tiny_take()), name: member(np.zeros(3))}, tmp_path / "take.npz")
    refused(tmp_path / "take.npz", "take-corrupt")


def test_a_member_twice(tmp_path: Path) -> None:
    write_unchecked(tiny_take(), tmp_path / "take.npz")
    with zipfile.ZipFile(tmp_path / "take.npz", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("rotations.npy", member(np.zeros((T, B, 4), np.float32)))
    refused(tmp_path / "take.npz", "take-corrupt")


def test_pickles_are_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "owned",))

    content = members(tiny_take())
    content["bone_names.npy"] = member(np.array([Evil()], dtype=object))
    write_members(content, tmp_path / "take.npz")
    refused(tmp_path / "take.npz", "take-corrupt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 3, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -3, 4)}",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4, 3, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4.0, 3, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 'all'}",
        "{'descr': '|V16', 'fortran_order': False, 'shape': (4, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os')}",
        "{" * 5000,
    ],
)
def test_headers_that_lie(tmp_path: Path, header: str) -> None:
    content = members(tiny_take())
    raw = header.encode()
    content["rotations.npy"] = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + bytes(4 * T * B * 4)
    write_members(content, tmp_path / "take.npz")
    refused(tmp_path / "take.npz", "take-corrupt")


def peak_of_refusal(path: Path, code: str) -> int:
    tracemalloc.start()
    try:
        refused(path, code)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_huge_array_that_is_not_there(tmp_path: Path) -> None:
    """The header announces 48 GB, and the zip's directory agrees."""
    content = members(tiny_take())
    write_members(content, tmp_path / "take.npz")
    data = bytearray((tmp_path / "take.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "take.npz") as archive:
        info = archive.getinfo("rotations.npy")
    entry = data.rindex(b"rotations.npy") - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    struct.pack_into("<I", data, entry + 24, 0xFFFF0000)
    assert info.file_size < 10_000
    (tmp_path / "take.npz").write_bytes(data)
    assert peak_of_refusal(tmp_path / "take.npz", "take-too-large") < 20 << 20


def test_a_zip_bomb(tmp_path: Path) -> None:
    """Hundreds of megabytes of zeros in less than one, announced truly."""
    blocks, block = 30, bytes(12 * 600_000)
    frames = 600_000 * blocks
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (frames, 3)})
    content = members(tiny_take())
    del content["translation_m.npy"]
    with zipfile.ZipFile(tmp_path / "take.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        with archive.open("translation_m.npy", "w") as bomb:
            bomb.write(stream.getvalue())
            for _ in range(blocks):
                bomb.write(block)
    assert (tmp_path / "take.npz").stat().st_size < 2 << 20
    assert peak_of_refusal(tmp_path / "take.npz", "take-invalid") < 20 << 20


def test_a_bomb_of_matching_shapes(tmp_path: Path) -> None:
    """No array disagrees with another, but a few kilobytes announce six gigabytes."""
    stream = io.BytesIO()
    huge = 400_000_000
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (2 * huge,)})
    content = members(tiny_take())
    content["shape_values.npy"] = stream.getvalue() + bytes(100)
    write_members(content, tmp_path / "take.npz")
    data = bytearray((tmp_path / "take.npz").read_bytes())
    entry = data.rindex(b"shape_values.npy") - 46
    struct.pack_into("<I", data, entry + 24, 0xFFFFFFF0)
    (tmp_path / "take.npz").write_bytes(data)
    assert peak_of_refusal(tmp_path / "take.npz", "take-too-large") < 20 << 20


def test_an_encrypted_or_unknown_compression(tmp_path: Path) -> None:
    write_unchecked(tiny_take(), tmp_path / "take.npz")
    whole = (tmp_path / "take.npz").read_bytes()
    entry = whole.rindex(b"rotations.npy") - 46
    for offset, value in ((8, 1), (10, 99)):
        data = bytearray(whole)
        struct.pack_into("<H", data, entry + offset, value)
        (tmp_path / "take.npz").write_bytes(data)
        refused(tmp_path / "take.npz", "take-corrupt")


# Writing


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TakeError) as caught:
        save(tiny_take(), tmp_path / "file" / "take.npz")
    assert caught.value.code == "take-unwritable"
    check_words(caught.value)


def test_a_full_disk(tmp_path: Path) -> None:
    """A real failed write: the process may write no more than a few hundred bytes to a file."""
    pytest.importorskip("resource", reason="limits on file sizes are a matter of POSIX")
    script = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from amr_blender.contract.errors import TakeError
from amr_blender.contract.take import save
from tests.contract.tiny_take import tiny_take
folder = Path({str(tmp_path)!r})
save(tiny_take(), folder / "take.npz")
before = (folder / "take.npz").read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
try:
    save(tiny_take(), folder / "take.npz")
except TakeError as error:
    print(error.code, (folder / "take.npz").read_bytes() == before, len(list(folder.iterdir())))
"""
    # Without site-packages' bytecode being written under the limit.
    result = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["take-unwritable", "True", "1"]
