"""Where the worker's Python comes from, and where files are kept."""

import dataclasses
import sys
from pathlib import Path

import pytest

from tests.ui.recorder import Recorder


@pytest.fixture
def preferences(blender, tmp_path, monkeypatch):
    """The module, the add-on registered, the user's folder in ``tmp_path``."""
    import amr_blender
    from amr_blender import preferences

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    amr_blender.register()
    yield preferences
    amr_blender.unregister()


@pytest.fixture
def choose(preferences, monkeypatch):
    """Set preferences, as if the animator had."""

    def set_values(**values):
        chosen = dataclasses.replace(preferences.Defaults(), **values)
        monkeypatch.setattr(preferences, "get", lambda: chosen)
        return chosen

    return set_values


def drawn(blender, settings):
    from amr_blender.ui import preferences_panel

    layout = Recorder()
    preferences_panel.draw(settings, blender.context, layout)
    return layout.drawn


def not_in_a_checkout(preferences, monkeypatch, tmp_path):
    monkeypatch.setattr(preferences, "FOLDER", tmp_path / "extension")


def test_defaults_while_not_installed(preferences):
    assert isinstance(preferences.get(), preferences.Defaults)


def test_defaults_are_the_properties_defaults(preferences):
    """One of the two sets of defaults can't drift away from the other."""
    properties = preferences.AMR_AP_preferences.bl_rna.properties
    for field in dataclasses.fields(preferences.Defaults):
        assert properties[field.name].default == field.default


def test_the_checkout_s_own_python_is_found(preferences, repo_root):
    assert preferences.worker_python().is_relative_to(repo_root / ".venv")


def test_an_existing_python(preferences, choose, tmp_path):
    choose(python_mode="EXISTING", existing_python=sys.executable)
    assert preferences.worker_python() == Path(sys.executable)
    choose(python_mode="EXISTING", existing_python=str(tmp_path / "none"))
    with pytest.raises(Exception, match="There is no Python at .* Choose another one"):
        preferences.worker_python()


def test_nothing_installed_yet(preferences, monkeypatch, tmp_path, blender):
    not_in_a_checkout(preferences, monkeypatch, tmp_path)
    with pytest.raises(Exception, match="Press Install Runtime"):
        preferences.worker_python()
    shown = drawn(blender, preferences.Defaults())
    assert "Not installed." in shown.text
    assert "amr.install_runtime" in shown.operators


def test_no_installation_without_online_access(preferences, blender, monkeypatch, tmp_path):
    not_in_a_checkout(preferences, monkeypatch, tmp_path)
    assert not blender.app.online_access
    assert not blender.ops.amr.install_runtime.poll()
    with pytest.raises(RuntimeError, match="online access is off"):
        blender.ops.amr.install_runtime()
    assert "Allow online access" in drawn(blender, preferences.Defaults()).text
    assert list(tmp_path.iterdir()) == []


def test_check_tells_the_versions(preferences, blender):
    from amr_blender.ui import runtime_tasks

    assert "Not checked in this session" in drawn(blender, preferences.Defaults()).text
    assert blender.ops.amr.check_python("EXEC_DEFAULT") == {"FINISHED"}
    assert "torch 2" in runtime_tasks.answer(preferences.worker_python()).sentence()
    assert "torch 2" in drawn(blender, preferences.Defaults()).text


def test_check_does_not_block(preferences, blender, choose, tmp_path):
    """The timer's function is called here as Blender's event loop would."""
    import time

    from amr_blender.ui import runtime_tasks

    text = tmp_path / "python"
    text.write_text("#!/bin/sh\necho hello\n")
    text.chmod(0o755)
    started = time.monotonic()
    runtime_tasks.check(text)
    assert time.monotonic() - started < 0.2
    assert runtime_tasks.checking(text)
    while runtime_tasks._tick() is not None:
        assert time.monotonic() - started < 20
        time.sleep(0.02)
    settings = choose(python_mode="EXISTING", existing_python=str(text))
    assert "did not answer like a Python" in drawn(blender, settings).text


def test_the_body(preferences, blender, choose, tmp_path):
    shown = drawn(blender, preferences.Defaults())
    assert preferences.body_file() == ""
    assert "body" in shown.properties and "body_file" not in shown.properties
    model = tmp_path / "SMPLX_NEUTRAL.npz"
    for path in ("", str(model)):
        choose(body="SMPL", body_file=path)
        with pytest.raises(Exception, match="There is no body model at .* Choose an SMPL, SMPL-H or SMPL-X file"):
            preferences.body_file()
    model.touch()
    assert preferences.body_file() == str(model)
    shown = drawn(blender, choose(body="SMPL", body_file=str(model)))
    assert "body_file" in shown.properties
    assert "SMPL models are for non-commercial research unless you hold a licence." in shown.text
    choose(body="ANNY", body_file=str(model))
    assert preferences.body_file() == "", "a file that was chosen before does not count"


def test_removing_what_is_not_there_is_no_error(preferences, blender):
    assert blender.ops.amr.remove_runtime("EXEC_DEFAULT") == {"FINISHED"}


def test_folders(preferences, choose, tmp_path):
    assert preferences.cache_folder() == tmp_path / "amr_blender" / "cache"
    assert not preferences.cache_folder().exists(), "asking creates nothing"
    choose(cache_folder=str(tmp_path / "mine"))
    assert preferences.cache_folder() == tmp_path / "mine"
    assert preferences.writable(tmp_path / "mine").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="Nothing can be written .* choose another cache folder"):
        preferences.writable(tmp_path / "file" / "below")


def test_nothing_is_written_beside_the_code(preferences):
    for folder in (preferences.user_folder(), preferences.cache_folder(), preferences.runtime_folder()):
        assert not folder.is_relative_to(preferences.FOLDER)


def test_clear_takes_only_what_is_ours(preferences, blender, choose, tmp_path):
    from amr_blender.contract import cache
    from amr_blender.ui import runtime_tasks

    settings = choose(cache_folder=str(tmp_path / "mine"))
    ours = [cache.entry(tmp_path / "mine", kind, "0" * 32) for kind in cache.KINDS]
    ours.append(tmp_path / "mine" / "amr-takes" / "walk.npz")
    theirs = [tmp_path / "mine" / "holiday.jpg", tmp_path / "mine" / "takes" / "theirs.npz"]
    for path in ours + theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1_000_000)
    runtime_tasks.forget_sizes()
    assert "holds 4 MB" in drawn(blender, settings).text
    blender.ops.amr.clear_cache()
    assert [path.exists() for path in ours] == [False] * 4
    assert [path.exists() for path in theirs] == [True] * 2
    assert "holds 0 MB" in drawn(blender, settings).text
