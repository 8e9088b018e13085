"""Whom to reconstruct: found by the worker, shown as pictures, chosen by a click."""

import shutil

import pytest

from tests.ui.conftest import Operator
from tests.ui.test_operators import begin, play


@pytest.fixture
def people(stage):
    stage.add_strip()
    assert stage.bpy.ops.amr.find_people("EXEC_DEFAULT") == {"FINISHED"}
    return list(stage.settings.people)


def test_people_are_listed_with_their_pictures(stage, people):
    from amr_blender.ui import thumbnails

    assert stage.job["action"] == "people"
    assert [(person.index, round(person.share, 2)) for person in people] == [(0, 0.9), (1, 0.4)]
    assert set(thumbnails._collection) == {person.thumbnail for person in people}
    assert thumbnails.icon("elsewhere.png") == 0
    assert stage.settings.person == -1


def test_the_chosen_person_is_what_the_worker_gets(stage, people):
    stage.bpy.ops.amr.choose_person("EXEC_DEFAULT", index=1)
    stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    assert stage.job["person"] == 1
    stage.bpy.ops.amr.choose_person("EXEC_DEFAULT", index=-1)
    stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    assert stage.job["person"] is None


def test_a_choice_among_other_footage_does_not_count(stage, people):
    stage.bpy.ops.amr.choose_person("EXEC_DEFAULT", index=1)
    stage.scene.sequence_editor.active_strip.frame_offset_start = 3
    stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    assert stage.job["person"] is None


def test_pictures_come_back_with_the_file(stage, people, tmp_path):
    from amr_blender.ui import thumbnails

    path = people[0].thumbnail
    stage.bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    stage.bpy.ops.wm.read_homefile(use_empty=True)
    assert path not in thumbnails._collection
    stage.bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert path in thumbnails._collection
    shutil.rmtree(stage.cache)
    stage.bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert path not in thumbnails._collection, "a cleared cache is no error"


def test_found_in_a_window(stage):
    stage.add_strip()
    operator, context, _ = begin(stage, "AMR_OT_find_people")
    assert play(operator, context) == {"FINISHED"}
    assert operator.reports == [("INFO", "Found 2 people.")]
    assert isinstance(operator, Operator)


def test_nobody_found_changes_nothing(stage, people):
    stage.worker_will("fail")
    with pytest.raises(RuntimeError, match="Nobody is in it"):
        stage.bpy.ops.amr.find_people("EXEC_DEFAULT")
    assert len(stage.settings.people) == 2
