"""What people change into what is counted over real edits, and proposed where the fragment stands."""

import gzip
import json
import lzma
import math
from pathlib import Path

from engine.diffusion.patterns import Patterns, learned
from engine.training.patterns import mine_patterns


def record(repo: str, before: str, after: str) -> dict[str, str]:
    return {"repo": repo, "subject": "", "prefix": "", "before": before, "after": after, "suffix": ""}


def write(folder: Path, records: list[dict[str, str]]) -> None:
    with lzma.open(folder / "edits-00.jsonl.xz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(r) + "\n" for r in records)


def test_a_change_that_several_repositories_made_is_counted_against_what_stayed(tmp_path: Path) -> None:
    made = [record(f"r{i % 2}", f"    if a{i} == None:\n", f"    if a{i} is None:\n") for i in range(4)]
    write(tmp_path, [*made, record("r3", "    b == None or c\n", "    b == None or d\n")])
    mine_patterns(tmp_path, tmp_path / "patterns.json.gz")
    found = json.loads(gzip.decompress((tmp_path / "patterns.json.gz").read_bytes()))["changes"]
    counts = {(before, after): rest for before, after, *rest in found}
    assert counts["== None", "is None"] == [4, 5]
    assert counts["==", "is"] == [4, 5]
    assert not any("a1" in before for before, _ in counts)  # that was one repository's


def test_changes_of_one_repository_or_of_many_lines_are_not_patterns(tmp_path: Path) -> None:
    own = [record("r", "x = 1\n", "x = 2\n")] * 9
    long = [record(f"r{i}", "a\nb\nc\nd\n", "a\nb\nc\ne\n") for i in range(9)]
    write(tmp_path, [*own, *long])
    assert mine_patterns(tmp_path, tmp_path / "patterns.json.gz") == 0


def test_edits_are_proposed_wherever_the_fragment_stands_the_likeliest_first() -> None:
    patterns = Patterns([("==", "is", 5, 95), ("== None", "is None", 45, 50)])
    found = patterns.edits("a == None, b == 1", "")
    assert list(found) == ["a is None, b == 1", "a == None, b is 1"]
    assert math.isclose(found["a is None, b == 1"], math.log(45 / 55))


def test_the_shipped_patterns_know_what_is_common() -> None:
    assert "    for key in table:" in learned().edits("    for key in table.keys():", "")
    assert "    if value is None:" in learned().edits("    if value == None:", "")


def test_what_shares_a_form_is_counted_by_form(tmp_path: Path) -> None:
    texts = [
        "    # the follwing one\n",
        "    # a follwing two\n",
        "    # no follwing three\n",
        "    # so follwing four\n",
    ]
    kept = record("r9", "    # another follwing\n", "    # one more\n")
    words = [{**record(f"r{i % 4}", "y\n", "z\n"), "suffix": "the following"} for i in range(20)]
    write(
        tmp_path, [record(f"r{i}", t, t.replace("follwing", "following")) for i, t in enumerate(texts)] + [kept, *words]
    )
    mine_patterns(tmp_path, tmp_path / "patterns.json.gz")
    found = json.loads(gzip.decompress((tmp_path / "patterns.json.gz").read_bytes()))
    assert found["words"] == "following the"
    assert ["spelling 0", 4, 5] in found["forms"]
    patterns = Patterns(found["changes"], found["forms"], found["words"])
    assert math.isclose(patterns.edits("wel, follwing", "")["wel, following"], math.log(4 / 10))
