"""A worker that speaks the protocol and computes nothing; ``behaviour.json`` beside it says how it ends.

Runs as a real process of its own under the real bridge; standard library only.
"""

import json
import shutil
import sys
import time
from pathlib import Path

here = Path(__file__).resolve().parent
job = json.loads(Path(sys.argv[-1]).read_text())
behaviour = json.loads((here / "behaviour.json").read_text())


def send(kind, **values):
    print(json.dumps({"type": kind, **values}), flush=True)


(here / "job.json").write_text(json.dumps(job))
send("hello", protocol=1, pid=__import__("os").getpid(), device="cpu")
send("progress", stage="read", done=1, total=1, fraction=0.1, eta_s=2.0)
send("progress", stage="detect", done=3, total=10, fraction=0.4, eta_s=1.0)
send("warn", code="cache", message="The cache is full.")
if behaviour["end"] == "hang":
    Path(job["out"]).parent.mkdir(parents=True, exist_ok=True)
    while True:
        send("alive")
        time.sleep(0.05)
if behaviour["end"] == "die":
    sys.exit(3)
if behaviour["end"] == "fail":
    send("failed", code="no-person", message="Nobody is in it.", remedy="Film somebody.", details="Traceback (secret)")
    sys.exit(1)
if job["action"] == "people":
    folder = Path(job["out"])
    folder.mkdir(parents=True)
    people = []
    for index, share in enumerate((0.9, 0.4)):
        shutil.copy(here / "face.png", folder / f"{index}.png")
        who = {"index": index, "share": share, "frame_start": 0, "frame_end": 9}
        people.append({**who, "thumbnail": str(folder / f"{index}.png")})
    send("people", people=people)
    send("done", take="")
else:
    Path(job["out"]).parent.mkdir(parents=True, exist_ok=True)
    if behaviour["end"] == "truncated":
        Path(job["out"]).write_bytes((here / "take.npz").read_bytes()[:2000])
    else:
        shutil.copy(here / "take.npz", job["out"])
    send("done", take=job["out"])
