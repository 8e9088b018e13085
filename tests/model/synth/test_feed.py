"""The feed: the same batches as without it, in order, and what happens when something ends or breaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch

from amr_blender.contract.errors import AmrError, RuntimeSetupError, WorkerError
from model.body import AnnyBody
from model.paths import assets_folder
from model.synth.feed import Feed
from model.synth.motion.puppet import turn
from model.synth.pictures import PictureMaker
from model.synth.splits import seeds

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Numbers:
    """Batches of numbers that follow from their own; some are late, the ``breaks``-th one breaks."""

    breaks: int = -1
    how: str = ""
    slow_s: float = 0.0

    def batch(self, number: int, count: int) -> dict[str, torch.Tensor]:
        time.sleep(self.slow_s * (number % 3))
        if number == self.breaks:
            if self.how == "error":
                raise RuntimeSetupError("asked", "It broke.", "Mend it.")
            if self.how == "strange":
                raise Strange("one", "two")
            os.kill(os.getpid(), signal.SIGKILL)
        generator = torch.Generator().manual_seed(number)
        return {"drawn": torch.rand(count, 3, generator=generator), "by": torch.tensor(os.getpid())}


class Strange(Exception):
    """Can't be pickled."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def make_pictures() -> PictureMaker:
    body = AnnyBody.load(assets_folder())

    def standing(rng, count):  # type: ignore[no-untyped-def]
        local = torch.eye(3, dtype=torch.float64).repeat(count, len(body.bone_names), 1, 1).numpy()
        local[:, 0] = [turn("z", float(angle)) for angle in rng.uniform(0, 360, count)]
        return local

    return PictureMaker(body, standing, seeds("train"), size_px=48, seed=5)


def test_pictures_are_those_drawn_without_it(assets: Path) -> None:
    maker = make_pictures()
    with Feed(make_pictures, 7, 2) as feed:
        for number, batch in islice(feed, 2):
            alone = maker.batch(number, 2)
            assert torch.equal(batch.images, alone.images)
            assert torch.equal(batch.vertices_cam_m, alone.vertices_cam_m)
            assert all(torch.equal(batch.conditions[name], alone.conditions[name]) for name in alone.conditions)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_order_is_that_of_the_numbers(workers: int) -> None:
    with Feed(partial(Numbers, slow_s=0.01), 40, 5, workers, ahead=6) as feed:
        got = list(islice(feed, 9))
    assert [number for number, _ in got] == list(range(40, 49))
    for number, batch in got:
        assert torch.equal(batch["drawn"], Numbers().batch(number, 5)["drawn"])
    assert len({int(batch["by"]) for _, batch in got}) == workers
    assert all(batch["drawn"].is_shared() for _, batch in got)


def test_it_draws_so_many_ahead_and_no_more(tmp_path: Path) -> None:
    with Feed(partial(Diary, tmp_path), 0, 1, ahead=3) as feed:
        stream = iter(feed)
        next(stream)
        deadline = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        # One is in hand, three lie ready, one waits for its place.
        assert len(list(tmp_path.iterdir())) == 5


@dataclass(frozen=True)
class Diary:
    """Leaves a file for every batch."""

    folder: Path

    def batch(self, number: int, count: int) -> torch.Tensor:
        (self.folder / str(number)).touch()
        return torch.zeros(count)


def test_waiting_is_told_from_working() -> None:
    with Feed(Numbers, 0, 1, ahead=8) as feed:
        for _ in islice(feed, 6):
            time.sleep(0.05)
        slow_consumer = feed.waited_share
    with Feed(partial(Numbers, slow_s=0.05), 0, 1, ahead=1) as feed:
        for _ in islice(feed, 8):
            pass
        slow_worker = feed.waited_share
    assert 0 <= slow_consumer < slow_worker <= 1
    assert slow_worker > 0.5


def test_an_error_arrives_as_itself_when_its_turn_comes() -> None:
    with Feed(partial(Numbers, 2, "error"), 0, 1, workers=2) as feed:
        stream = iter(feed)
        assert [next(stream)[0], next(stream)[0]] == [0, 1]
        with pytest.raises(RuntimeSetupError, match="Mend it") as caught:
            next(stream)
    assert isinstance(caught.value, AmrError)
    assert "batch 2" in caught.value.__notes__[0]
    assert "in batch" in caught.value.__notes__[0]


def test_an_error_that_cannot_travel_arrives_in_words() -> None:
    with Feed(partial(Numbers, 0, "strange"), 0, 1) as feed, pytest.raises(RuntimeError, match="Strange: onetwo"):
        next(iter(feed))


def test_a_worker_that_is_killed_is_missed() -> None:
    with Feed(partial(Numbers, 2, "kill"), 0, 1) as feed, pytest.raises(WorkerError, match="exit code -9"):
        list(islice(feed, 3))  # what it had ready may go with it


def test_closing_ends_the_workers() -> None:
    feed = Feed(Numbers, 0, 1, workers=2)
    with feed:
        batches = [batch for _, batch in islice(feed, 2)]
    for batch in batches:
        assert gone(int(batch["by"]))
        assert batch["drawn"].shape == (1, 3)  # what was handed out stays
    feed.close()
    Feed(Numbers, 0, 1).close()  # never begun


def test_the_workers_die_with_their_parent() -> None:
    program = (
        "import time\nfrom model.synth.feed import Feed\nfrom tests.model.synth.test_feed import Numbers\n"
        "if __name__ == '__main__':\n"
        "    with Feed(Numbers, 0, 1) as feed:\n"
        "        print(int(next(iter(feed))[1]['by']), flush=True)\n        time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert not gone(worker, 0.0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(worker)


def gone(pid: int, within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while True:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":  # ended; whoever adopted it has not looked yet
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


@pytest.mark.parametrize(("workers", "ahead", "count"), [(0, 4, 1), (3, 2, 1), (1, 1, 0)])
def test_nonsense_is_refused(workers: int, ahead: int, count: int) -> None:
    with pytest.raises(ValueError, match="make no feed"):
        Feed(Numbers, 0, count, workers, ahead)
