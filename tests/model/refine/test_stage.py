"""The refinement in the product: every quality but draft, once there are weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.model.test_pipeline import DEMO_CLIP, job_for, run

from .conftest import Stage, save_networks


def test_with_weights_the_estimate_is_refined_but_no_draft(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Untrained weights here: what they say is nonsense, but bounded, and everything is in the take."""
    job = job_for(DEMO_CLIP, tmp_path, frame_end=4, device="cpu", cache=str(tmp_path / "cache"))
    monkeypatch.setattr("model.pipeline.WEIGHTS", tmp_path / "nothing")
    plain, listener = run(job)
    assert "refine" not in listener.stages and plain.attention is None
    monkeypatch.setattr("model.pipeline.WEIGHTS", save_networks(stage, tmp_path))
    # What is kept goes by what the program is, and that has not changed.
    monkeypatch.setattr("model.cache.Cache.take", lambda *_: None)
    take, listener = run(job)
    assert listener.stages == ["read", "fit", "refine", "write"]
    assert take.attention is not None and take.attention.shape == (4, len(take.vertices_m))
    assert take.uncertainty_mm is not None and take.uncertainty_mm.min() > 0
    assert take.refinement_basis is not None and take.refinement_error_mm is not None
    assert set(take.meta["refinement"]) >= {"complexity", "threshold", "active_share"}
    assert 0.003 < np.abs(take.joints12_cam_m - plain.joints12_cam_m).max() < 2.0
    np.testing.assert_array_equal(take.contacts, plain.contacts)
    draft, listener = run(replace(job, quality="draft"))
    assert "refine" not in listener.stages
    assert draft.attention is None and "refinement" not in draft.meta
