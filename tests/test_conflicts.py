"""Conflicts of a merge become one side, the other, or both, as long as they may be."""

from engine.conflicts import conflict_lines, resolutions
from engine.editing import edit_session, run_session
from engine.messages import EditRequest
from engine.models.loading import load_embedded

CONFLICT = "<<<<<<< HEAD\n    a = 1\n=======\n    a = 2\n>>>>>>> other"


def test_one_side_the_other_both() -> None:
    assert list(resolutions(CONFLICT)) == ["    a = 1", "    a = 2", "    a = 1\n    a = 2"]


def test_the_common_ancestor_is_left_out() -> None:
    with_base = CONFLICT.replace("=======", "||||||| base\n    a = 0\n=======")
    assert list(resolutions(with_base)) == list(resolutions(CONFLICT))


def test_text_without_a_whole_conflict_has_no_resolution() -> None:
    assert not list(resolutions("title\n=======\ntext"))
    assert not list(resolutions(CONFLICT.replace(">>>>>>>", ">>>")))


def test_lines_grow_to_the_conflicts_they_touch() -> None:
    for newline in ("\n", "\r\n"):
        text = f"def f():\n{CONFLICT}\n    return a\n".replace("\n", newline)
        assert conflict_lines(text, 1, 1) == (1, 5)
        assert conflict_lines(text, 3, 6) == (1, 6)
        assert conflict_lines(text, 0, 0) == (0, 0)


def test_fix_offers_the_sides_of_a_conflict_longer_than_any_canvas() -> None:
    ours, theirs = ("".join(f"    total_{i} = compute({i}, {side})\n" for i in range(120)) for side in (1, 2))
    span = f"<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> other\n"
    denoiser = load_embedded()
    result = run_session(edit_session(EditRequest("fix", "def f():\n", span, "    return 1\n"), denoiser), denoiser)
    assert [c.text for c in result.candidates] == [ours, theirs, ours + theirs]
    assert all(c.parses for c in result.candidates)
