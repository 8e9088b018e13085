"""A body model's pickle is read without running anything that it asks for."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amr_blender.contract.errors import SettingsError
from model.body.safe_pickle import load_arrays
from tests.model.body.python2_pickle import MatVecMult, chumpy, chumpy_part, dump, sparse

RANDOM = np.random.default_rng(0)
REGRESSOR = RANDOM.random((5, 9)) * (RANDOM.random((5, 9)) < 0.3)
SHAPES = RANDOM.random((9, 3, 4))
ARRAYS: dict[str, Any] = {
    "f": np.arange(12, dtype=np.uint32).reshape(4, 3),
    "v_template": RANDOM.random((9, 3)),
    "weights": np.asfortranarray(RANDOM.random((9, 5)).astype(np.float32)),
    "posedirs": RANDOM.random((9, 3, 36)).astype(">f8"),
    "kintree_table": np.array([[2**32 - 1, 0, 0], [0, 1, 2]], np.uint32),
}


def refuse(path: Path, code: str, word: str = "") -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_arrays(path, ["f", "v_template"])
    assert caught.value.code == code
    assert word in caught.value.message
    for text in (caught.value.message, caught.value.remedy):
        assert text.endswith(".") and "\n" not in text and len(text) < 300
    return caught.value


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_what_python_2_wrote(tmp_path: Path, protocol: int) -> None:
    model = ARRAYS | {
        "weights": chumpy(ARRAYS["weights"]),
        "shapedirs": chumpy_part(SHAPES, np.arange(0, SHAPES.size, 2), (9, 3, 2)),
        "J_regressor": sparse(REGRESSOR),
        "J": MatVecMult(mtx=sparse(REGRESSOR), vec=chumpy(np.zeros(9)), _dirty_vars=set()),
        "bs_type": "lrotmin",
        "pose_training_info": {"gender": "x", "count": 3, "parts": [1.5, None, ("a", True)]},
    }
    path = dump(model, tmp_path / "model.pkl", protocol)
    data = path.read_bytes()
    assert b"chumpy.ch" in data and b"__builtin__" in data and b"csc_matrix" in data
    arrays = load_arrays(path, [*ARRAYS, "shapedirs", "J_regressor", "hands_meanl"])
    assert "hands_meanl" not in arrays
    for name, wanted in (ARRAYS | {"shapedirs": SHAPES[..., ::2], "J_regressor": REGRESSOR}).items():
        np.testing.assert_array_equal(arrays[name], wanted)
        assert arrays[name].dtype.isnative
        assert arrays[name].flags.writeable


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_python_3_wrote(tmp_path: Path, protocol: int) -> None:
    scipy = pytest.importorskip("scipy.sparse")
    model = ARRAYS | {"J_regressor": scipy.csc_matrix(REGRESSOR), "seen": {"a", "b"}, "one": np.float32(2.5)}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model, protocol))
    arrays = load_arrays(path, [*ARRAYS, "J_regressor", "one"])
    for name, wanted in (ARRAYS | {"J_regressor": REGRESSOR, "one": np.float32(2.5)}).items():
        np.testing.assert_array_equal(arrays[name], wanted)


# What wants to be run


class Call:
    def __init__(self, function: Any, *args: Any) -> None:
        self.parts = function, args

    def __reduce__(self) -> Any:
        return self.parts


def canary(tmp_path: Path) -> tuple[Path, str]:
    target = tmp_path / "owned"
    return target, f"open({str(target)!r}, 'w').close()"


def malicious(tmp_path: Path) -> dict[str, bytes]:
    import builtins
    import os

    target, code = canary(tmp_path)
    dump = pickle.dumps
    return {
        "os.system": dump(Call(os.system, f"touch '{target}'")),
        "eval": dump(Call(builtins.eval, code)),
        "exec in protocol 0": dump(Call(builtins.exec, code), 0),
        "inside the model": dump(ARRAYS | {"v_template": Call(os.system, f"touch '{target}'")}),
        "as an argument": dump(ARRAYS | {"f": Call(np.array, Call(builtins.eval, code))}),
        "subprocess": dump(Call(subprocess.check_call, ["touch", str(target)])),
        "getattr": dump(Call(getattr, Call(__import__, "os"), "system")),
        "inst": b"(S'touch " + str(target).encode() + b"'\nios\nsystem\n.",
        "obj": b"(cos\nsystem\nS'touch " + str(target).encode() + b"'\no.",
        "numpy.load": dump(Call(np.load, str(target), None, True)),
        "numpy runs a string": b"cnumpy.testing._private.utils\nrunstring\n(S'" + code.encode() + b"'\n}tR.",
        "numpy.core": b"cnumpy.core._internal\neval\n(S'1'\ntR.",
        "a module's attribute": b"\x80\x04\x8c\x08builtins\x8c\x0e__import__('')\x93.",
        "dotted": b"\x80\x04\x8c\x06chump\x79\x8c\x08os.system\x93\x8c\x05touch\x85R.",
    }


KINDS = tuple(malicious(Path("/nowhere")))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_run(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(malicious(tmp_path)[kind])
    if kind == "dotted":  # a name below chumpy is never looked up, so that this is merely no model
        refuse(path, "body-file-unusable")
    else:
        refuse(path, "body-file-refused", "nothing of it was run")
    assert [p.name for p in tmp_path.iterdir()] == ["evil.pkl"]


@pytest.mark.parametrize("kind", [k for k in KINDS if k in ("os.system", "exec in protocol 0", "inst", "obj")])
def test_the_malicious_pickles_are(tmp_path: Path, kind: str) -> None:
    """They do run where nobody looks: in a process of its own, through Python's own pickle."""
    path = tmp_path / "evil.pkl"
    path.write_bytes(malicious(tmp_path)[kind])
    subprocess.run(
        [sys.executable, "-c", f"import pickle; pickle.load(open({str(path)!r}, 'rb'))"], capture_output=True
    )
    assert (tmp_path / "owned").exists()


def test_the_refusal_says_what_was_asked_for(tmp_path: Path) -> None:
    import os

    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Call(os.system, "true")))
    assert f"'{os.system.__module__}.system'" in refuse(path, "body-file-refused").message
    path.write_bytes(b"cos\x1b[31m\nsystem\n.")
    assert "\x1b" not in refuse(path, "body-file-refused").message


def test_stand_ins_share_nothing(tmp_path: Path) -> None:
    """What one pickle does to the classes that it gets does not reach the next one."""
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"cnumpy\nndarray\n(N(dS'what'\nS'os.system'\nstb.")
    refuse(path, "body-file-unusable")
    path.write_bytes(pickle.dumps(ARRAYS, 2))
    np.testing.assert_array_equal(load_arrays(path, ["f"])["f"], ARRAYS["f"])


# What is no model, or a broken one


def test_truncated_anywhere(tmp_path: Path) -> None:
    whole = dump(ARRAYS | {"J_regressor": sparse(REGRESSOR)}, tmp_path / "whole.pkl").read_bytes()
    for size in range(0, len(whole) - 1, 97):
        (tmp_path / "cut.pkl").write_bytes(whole[:size])
        refuse(tmp_path / "cut.pkl", "body-file-unusable")


def test_damaged_anywhere(tmp_path: Path) -> None:
    """One flipped byte: an error in words, or numbers all the same."""
    whole = dump(ARRAYS | {"J_regressor": sparse(REGRESSOR)}, tmp_path / "whole.pkl").read_bytes()
    for position in range(0, len(whole), 29):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        (tmp_path / "model.pkl").write_bytes(damaged)
        try:
            arrays = load_arrays(tmp_path / "model.pkl", [*ARRAYS, "J_regressor"])
        except SettingsError as error:
            assert error.code in ("body-file-refused", "body-file-unusable")
        else:
            assert all(a.dtype.kind in "biuf" for a in arrays.values())


@pytest.mark.parametrize(
    "data",
    [
        b"", b"text", RANDOM.bytes(5000), b"\xff\xd8\xff\xe0\x00\x10JFIF" + RANDOM.bytes(99), b"PK\x03\x04" + bytes(99),
        pickle.dumps([1, 2]), pickle.dumps({"f": [1, 2, 3]}), pickle.dumps({"f": "text"}),
        pickle.dumps({"f": np.array(["a"])}), pickle.dumps({"f": np.array([None])}), b"N.", b".", b"(((((.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b".", b"\x8e" + struct.pack("<Q", 2**40) + b"x.",
        b"\x96" + struct.pack("<Q", 2**40) + b"x.", b"T\xff\xff\xff\x7fx.", b"P1\n.", b"\x82\x01.",
        b"Nr\xff\xff\xff\xff}h\x00.",
    ],
    ids=lambda data: repr(data[:12]),
)  # fmt: skip
def test_no_model(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.pkl").write_bytes(data)
    tracemalloc.start()
    try:
        refuse(tmp_path / "model.pkl", "body-file-unusable")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_no_such_file(tmp_path: Path) -> None:
    refuse(tmp_path / "none.pkl", "body-file-unusable", "can't be read")
    refuse(tmp_path, "body-file-unusable")


def test_a_tower_of_tuples_as_a_key(tmp_path: Path) -> None:
    """Hashing it would overflow C's stack and end the process."""
    tower = b")" + b"\x85" * 200_000
    for pickled in (b"}" + tower + b"Ns.", b"(" + tower + b"Nd.", b"\x8f(" + tower + b"\x90.", b"(" + tower + b"\x91."):
        (tmp_path / "model.pkl").write_bytes(pickled)
        refuse(tmp_path / "model.pkl", "body-file-unusable")


def test_arrays_that_lie_about_their_size(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    honest = pickle.dumps({"f": np.zeros((3, 4))}, 2)
    assert honest.count(b"K\x03K\x04") == 1
    for shape in (b"K\x03K\x05", b"J\xff\xff\xff\xffK\x04", b"J\x00\x00\x00\x7fK\x04"):
        path.write_bytes(honest.replace(b"K\x03K\x04", shape))
        refuse(path, "body-file-unusable")


@pytest.mark.parametrize(
    "change",
    [
        {"indices": np.full(len(np.nonzero(REGRESSOR)[0]), 5, np.int32)},
        {"indices": np.full(len(np.nonzero(REGRESSOR)[0]), -1, np.int32)},
        {"indptr": np.zeros(10, np.int32)},
        {"indptr": np.zeros(3, np.int32)},
        {"_shape": (10**6, 10**6)},
        {"_shape": (5, -9)},
        {"data": np.zeros(1)},
    ],
    ids=str,
)
def test_sparse_matrices_that_do_not_hold_together(tmp_path: Path, change: dict[str, Any]) -> None:
    matrix = sparse(REGRESSOR)
    matrix.__dict__.update(change)
    refuse(dump({"f": matrix}, tmp_path / "model.pkl"), "body-file-unusable")


def test_a_selection_outside_its_array(tmp_path: Path) -> None:
    part = chumpy_part(SHAPES, np.array([SHAPES.size]), (1,))
    refuse(dump({"f": part}, tmp_path / "model.pkl"), "body-file-unusable")
    looped = chumpy(SHAPES)
    looped.x = looped
    refuse(dump({"f": looped}, tmp_path / "model.pkl"), "body-file-unusable")


def test_python_2_pickles_are_as_python_2_writes_them(tmp_path: Path) -> None:
    """The writer of these tests uses the opcodes of Python 2 alone."""
    data = dump(ARRAYS, tmp_path / "model.pkl").read_bytes()
    used = {opcode.name for opcode, _, _ in pickletools.genops(io.BytesIO(data))}
    assert "BINSTRING" in used
    assert not used & {"BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "FRAME", "MEMOIZE", "STACK_GLOBAL"}
