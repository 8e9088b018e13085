"""One vocabulary: what one side says the other understands, and nothing else."""

from __future__ import annotations

import json

import pytest

from amr_blender.contract.messages import (
    MAX_LINE_BYTES,
    Alive,
    Done,
    Failed,
    Hello,
    Message,
    People,
    Progress,
    Warn,
    decode,
    encode,
)

ALL: list[Message] = [
    Hello(1, 1234, "cpu"),
    Progress("fit", 3, 10, 0.5, 12.5),
    Progress("fit", 3, 10, 0.5, None),
    Progress("fit", 3, 10, 1),
    Alive(),
    Warn("two-people", 'Says "two" \n lines, ä and \u2028.'),
    People([{"index": 0, "share": 0.5, "frame_start": 0, "frame_end": 9, "thumbnail": "/a/b.png"}]),
    People([]),
    Done("/tmp/take.npz", cached=True),
    Failed("code", "What.", "Do.", "Traceback ..."),
]


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_round_trip(message: Message) -> None:
    line = encode(message)
    assert "\n" not in line
    assert line.isascii()
    assert decode(line) == message
    assert decode(line.encode() + b"\n") == message


@pytest.mark.parametrize(
    "line",
    [
        "",
        "garbage",
        "{}",
        "[]",
        "1",
        "null",
        '{"type": "unknown"}',
        '{"type": []}',
        '{"type": {"a": 1}}',
        '{"type": "done"}',
        '{"type": "done", "take": 3}',
        '{"type": "done", "take": "x", "cached": 1}',
        '{"type": "done", "take": "x", "more": 1}',
        '{"type": "done", "take": "x"',
        '{"type": "hello", "protocol": true, "pid": 1, "device": ""}',
        '{"type": "progress", "stage": "fit", "done": 1, "total": 2, "fraction": "half"}',
        '{"type": "progress", "stage": "fit", "done": 1, "total": 2, "fraction": NaN}',
        '{"type": "progress", "stage": "fit", "done": 1, "total": 2, "fraction": 0.5, "eta_s": Infinity}',
        '{"type": "progress", "stage": "fit", "done": 1.5, "total": 2, "fraction": 0.5}',
        '{"type": "people", "people": {}}',
        '{"type": "people", "people": [1]}',
        "[" * 200_000,
        '{"type": "warn", "code": "x", "message": "' + "y" * MAX_LINE_BYTES + '"}',
        b"\xff\xfe\x00",
        b'{"type": "done", "take": "\xff"}',
    ],
    ids=lambda line: repr(line[:40]),
)
def test_no_message(line: str | bytes) -> None:
    with pytest.raises(ValueError):
        decode(line)


def test_every_type_has_its_own_name() -> None:
    names = [json.loads(encode(m))["type"] for m in ALL]
    assert len(set(names)) == len({type(m) for m in ALL})
