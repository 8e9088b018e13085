"""The whole way from clips to the report, with methods and clips made on the spot."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from amr_blender.contract.errors import AmrError, PersonError
from model.__main__ import main
from model.evaluate import command, runner, score, statistics, suites, surface, uncertainty
from model.evaluate import context as contexts
from model.evaluate import report as reports
from model.evaluate.compare import compare, table
from model.evaluate.context import Context, Run
from model.evaluate.methods import METHODS, Method
from model.evaluate.motion import Motion
from model.evaluate.score import METRICS
from model.evaluate.suites import Clip, Suite
from tests.model.clips import grey_frames, write_clip
from tests.model.evaluate.people import STANDING, moved, still

FRAMES = 12
ROW = {"suite", "dataset", "method", "condition", "metric", "unit", "value", "n", "ci_low", "ci_high"}


def truth_of(number: int) -> Motion:
    """Somebody who waves, at 10 frames a second, with a skin of two faces."""
    rng = np.random.default_rng(number)
    truth = moved(still(FRAMES), 6, rng.normal(0, 30, (FRAMES, 3)))
    skin = np.repeat(STANDING[None, [8, 9, 3, 2, 4, 1]], FRAMES, 0).astype(np.float32)
    quads = np.array([[0, 1, 2, 3], [3, 2, 4, 5]])
    return replace(truth, vertices_cam_m=skin, quads=quads, standing=np.ones((FRAMES, 2), bool))


def off_by(amount_mm: float) -> Run:
    """A method whose joints are off by about so much, other in every clip."""

    def run(clip: Clip, truth: Motion, context: Context) -> Motion:
        calls.append(clip.name)
        if clip.name == "nobody":
            raise PersonError("no-person", "Nobody was found in <nobody>.", "Use other footage.")
        rng = np.random.default_rng([int(clip.name), round(amount_mm)])
        joints = truth.joints12_cam_m + rng.normal(0, amount_mm / 1000, truth.joints12_cam_m.shape)
        shape = (FRAMES, 6)
        return replace(
            truth,
            joints12_cam_m=joints,
            confidence12=rng.random((FRAMES, 12)),
            vertices_cam_m=truth.vertices_cam_m + rng.normal(0, amount_mm / 1000, (*shape, 3)).astype(np.float32),
            initial_vertices_cam_m=truth.vertices_cam_m,
            attention=rng.random(shape),
            uncertainty_mm=np.full(shape, amount_mm),
        )

    return run


calls: list[str] = []


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, assets: Path) -> Path:
    """Seven clips, one of them empty, and two methods; returns a folder to work in."""
    return make_world(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> Iterator[tuple[dict, Path]]:
    """A report of that world, to be looked at, and its folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = make_world(tmp_path_factory.mktemp("world"), monkeypatch)
        yield run(world), world / "out"


def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    calls.clear()
    monkeypatch.setattr(statistics, "DRAWS", 200)
    monkeypatch.setattr(surface, "CHAMFER_SAMPLES", 50)
    monkeypatch.setattr(uncertainty, "VERTEX_STRIDE", 1)
    monkeypatch.setattr(contexts, "fingerprint", lambda *_: "engine")
    monkeypatch.setattr(reports, "_commit", lambda: "commit")
    for number in range(6):
        write_clip(tmp_path / f"{number}.mp4", grey_frames(FRAMES, 64, 48), 10.0)
    write_clip(tmp_path / "nobody.mp4", grey_frames(FRAMES, 64, 48), 10.0)

    def list_clips(suite: str, folder: Path) -> list[Clip]:
        found = []
        for path in sorted(tmp_path.glob("*.mp4")):
            number = int(path.stem) if path.stem.isdigit() else 99
            given = {"light": 0.1 if number % 2 else 0.4, "action": "wave <hello>"}
            found.append(Clip(suite, suite, path.stem, path, (), lambda n=number, g=given: (truth_of(n), g)))
        return found

    monkeypatch.setattr(suites, "SUITES", {"tiny": Suite("tiny", "made & small", tmp_path, list_clips)})
    monkeypatch.setattr(reports, "SUITES", suites.SUITES)
    monkeypatch.setitem(METHODS, "rough", Method("rough", "off by 60 mm", off_by(60)))
    monkeypatch.setitem(METHODS, "fine", Method("fine", "off by 20 mm", off_by(20)))
    return tmp_path


def run(world: Path, out: str = "out", names: tuple[str, ...] = ("truth", "rough", "fine")) -> dict:
    command.evaluate(["tiny"], world / out, list(names), False, world / "cache")
    return json.loads((world / out / "report.json").read_text())


def test_rows_are_tidy_and_true(report: tuple[dict, Path]) -> None:
    report, _ = report
    assert all(set(row) == ROW for row in report["rows"])
    found = reports.find(report)
    mpjpe = found["tiny", "tiny", "fine", "mpjpe_mm"]
    values = [one["values"]["mpjpe_mm"] for one in report["clips"] if one["method"] == "fine" and not one["failure"]]
    assert mpjpe["value"] == pytest.approx(np.mean(values))
    assert mpjpe["n"] == len(values) == 6
    assert mpjpe["ci_low"] < mpjpe["value"] < mpjpe["ci_high"]
    assert found["tiny", "tiny", "truth", "mpjpe_mm"]["value"] == 0
    assert found["tiny", "tiny", "fine", "missing_percent"]["value"] == pytest.approx(100 / 7)
    dim = reports.find(report, "light: dim")["tiny", "tiny", "fine", "mpjpe_mm"]
    assert dim["n"] == 3
    assert dim["value"] == pytest.approx(np.mean(values[1::2]))
    assert set(report["metrics"]) == set(METRICS)
    assert {row["metric"] for row in report["rows"]} <= set(METRICS)


def test_what_a_method_lacks_is_absent(report: tuple[dict, Path]) -> None:
    found = reports.find(report[0])
    assert ("tiny", "tiny", "fine", "joint_spearman") in found
    assert ("tiny", "tiny", "truth", "joint_spearman") not in found
    assert ("tiny", "tiny", "fine", "vertex_coverage50") in found
    for absent in ("orientation_deg", "contact_recall", "penetration_mm", "head_deg"):
        assert ("tiny", "tiny", "fine", absent) not in found


def test_paired_tests_see_the_better_method(report: tuple[dict, Path]) -> None:
    tests = {(one["metric"], one["first"], one["second"]): one for one in report[0]["tests"]}
    one = tests["mpjpe_mm", "rough", "fine"]
    assert one["difference"] < -30
    assert one["high"] < 0
    assert one["p"] == pytest.approx(2 / 2**6)  # all six clips agree
    assert one["p"] < one["p_holm"] <= 1
    assert not any("truth" in key for key in tests)


def test_the_same_again_from_the_cache_and_without_it(world: Path) -> None:
    first = run(world)
    assert len(calls) >= 14
    calls.clear()
    assert run(world, "again") == first
    assert set(calls) <= {"0", "1", "2", "3", "4", "5"}  # the pictures of a few clips alone
    assert (world / "out" / "report.html").read_bytes() == (world / "again" / "report.html").read_bytes()
    command.evaluate(["tiny"], world / "fresh", ["truth", "rough", "fine"], False, world / "other cache")
    assert json.loads((world / "fresh" / "report.json").read_text()) == first


def test_an_interrupted_run_goes_on(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = score.save
    saved: list[Path] = []

    def interrupt(one: score.Score, path: Path) -> None:
        if len(saved) == 5:
            raise KeyboardInterrupt
        saved.append(path)
        kept(one, path)

    monkeypatch.setattr(runner.scores, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    monkeypatch.setattr(runner.scores, "save", kept)
    saved[0].write_bytes(b"damaged")
    calls.clear()
    run(world, names=("rough", "fine"))
    scored_before = {path.name for path in saved[1:]}
    assert scored_before <= {path.name for path in (world / "cache" / "scores").iterdir()}
    assert len(list((world / "cache" / "scores").iterdir())) == 14 + 2  # two of the truth, from the run before


def test_other_footage_is_scored_anew(world: Path) -> None:
    first = run(world)
    write_clip(world / "3.mp4", grey_frames(FRAMES + 1, 64, 48), 10.0)
    calls.clear()
    second = run(world)
    assert calls.count("3") >= 2
    digests = [{one["clip"]: one["digest"] for one in report["clips"]} for report in (first, second)]
    assert [name for name in digests[0] if digests[0][name] != digests[1][name]] == ["3"]


class Reader(HTMLParser):
    """Checks that tags close in order, and collects text and sources."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_stands_alone_and_says_all(report: tuple[dict, Path]) -> None:
    reader = Reader()
    reader.feed((report[1] / "report.html").read_text(encoding="utf-8"))
    assert reader.open == []
    assert len(reader.sources) == 3 * 2 * 7  # clips, frames, panels
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)
    text = " ".join(reader.text)
    for phrase in (
        "Table 1",
        "made & small",
        "off by 20 mm",
        "Nobody was found in <nobody>.",
        "wave <hello>",
        "the worst frame",
        "attention",
        "refined mesh",
        "best constant map",
        "Wilcoxon",
        "Procrustes",
        "light: dim",
        "Exact settings",
    ):
        assert phrase in text, phrase
    assert "nan" not in re.findall(r"[a-z]+", " ".join(reader.text).lower())


def test_comparing_a_report_with_a_better_one(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run(world, "before", ("rough",))
    monkeypatch.setitem(METHODS, "rough", Method("rough", "off by 60 mm", off_by(20)))
    command.evaluate(["tiny"], world / "after", ["rough"], False, world / "new cache")
    after = reports.read(world / "after" / "report.json")
    rows, remarks = compare(before, after)
    found = {row["metric"]: row for row in rows}
    one = found["mpjpe_mm"]
    assert one["difference"] == pytest.approx(one["after"] - one["before"])
    assert (one["n"], one["verdict"]) == (6, "no clear change")  # six clips can't outweigh so many tests
    assert one["high"] < 0
    assert found["missing_percent"]["verdict"] == "same"
    assert remarks == []
    text = command.compare(world / "before" / "report.json", world / "after" / "report.json")
    assert "MPJPE (mm)" in text
    assert "tiny, rough, 6 clips" in text or "tiny, rough, 7 clips" in text
    same = {row["verdict"] for row in compare(before, before)[0]}
    assert same == {"same"}


def test_verdicts_of_few_clips_say_so(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2, 6):
        (world / f"{number}.mp4").unlink()
    before = run(world, "before", ("rough", "fine"))
    monkeypatch.setitem(METHODS, "rough", Method("rough", "off by 60 mm", off_by(20)))
    command.evaluate(["tiny"], world / "after", ["rough"], False, world / "new cache")
    after = reports.read(world / "after" / "report.json")
    after["settings"]["engine"] = "another"
    rows, remarks = compare(before, after)
    assert {row["metric"]: row["verdict"] for row in rows}["mpjpe_mm"] == "better, on these clips"
    assert {row["metric"]: row["verdict"] for row in compare(after, before)[0]}["mpjpe_mm"] == "worse, on these clips"
    assert remarks[0].startswith("only in the first: tiny/0/fine")
    assert remarks[1].startswith("engine: ")
    assert table(rows, remarks).startswith("only in the first")


def test_reports_that_can_t_be_compared(world: Path) -> None:
    report = run(world, names=("rough",))
    other = json.loads(json.dumps(report))
    for one in other["clips"]:
        one["digest"] = "changed"
    with pytest.raises(AmrError, match="no clip"):
        compare(report, other)
    for text in ("[", "{}", '{"report_version": 99}', "[1]"):
        (world / "broken.json").write_text(text)
        with pytest.raises(AmrError, match="can't be read as a report"):
            reports.read(world / "broken.json")


def test_the_terminal_table(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "tiny", "--out", str(world / "out"), "--methods", "rough", "fine", "--cache"]
    assert main([*arguments, str(world / "cache")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny: 7 clips"
    assert lines[1].split()[:3] == ["MPJPE", "PA-MPJPE", "per-vertex"]
    assert [line.split()[0] for line in lines[3:5]] == ["rough", "fine"]
    assert lines[-1] == str(world / "out" / "report.html")


@pytest.mark.parametrize(
    "arguments",
    [[], ["balance"], ["--out", "x"], ["--compare", "a"], ["balance", "--out", "x", "--compare", "a", "b"]],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", *arguments])
    assert caught.value.code == 2
    assert "usage: python -m model evaluate" in capsys.readouterr().err


def test_failures_are_one_line_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["h36m", "--out", str(tmp_path)],
        [f"balance={tmp_path}", "--out", str(tmp_path)],
        ["demo", "--methods", "magic", "--out", str(tmp_path)],
        ["--compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")],
    ):
        assert main(["evaluate", *arguments]) == 1
        assert re.fullmatch(r"error: [^\n]+\. [^\n]+\.\n", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []
