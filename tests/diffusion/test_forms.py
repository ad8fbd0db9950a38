"""Forms of real edits: each is proposed where it can be meant, and nothing else is touched."""

import pytest

from engine.diffusion.forms import edits

WORDS = {word: rank for rank, word in enumerate(("the", "node", "should", "default", "value", "list", "print"))}

FORMS = [
    ("    # it shoudl be", "    # it should be", "spelling 0"),
    ("    Defualt = 3", "    Default = 3", "spelling 0"),
    ("    DEFUALT_VALUE = 3", "    DEFAULT_VALUE = 3", "spelling 0"),
    ("    return nodes_lsit[0] + nodes_lsit[1]", "    return nodes_list[0] + nodes_list[1]", "spelling 0"),
    ("    total = findMin(xs) + findMin(ys)", "    total = find_min(xs) + find_min(ys)", "snake_case"),
    ("    return first(total_count)", "    return first(total_counts)", "name 0.9"),
    ("def size(self, deep=False):", "def size(self, deep=False) -> None:", "-> None"),
    ("    age = input('age')", "    age = int(input('age'))", "int()"),
    ("    for key in found:", "    for key in sorted(found):", "sorted()"),
    ("    middle = (low + high) / 2", "    middle = (low + high) // 2", "//"),
    ("from node import Node", "from .node import Node", "from ."),
    ("    print('{name} is here')", "    print(f'{name} is here')", "f-string"),
    ("        super(Node, self).__init__()", "        super().__init__()", "super()"),
    ("from typing import Any, Dict, List", "from typing import Any, List", "item left out, import"),
    ("def size(self, deep):", "def size(self):", "item left out, def"),
    ("def isFull(self):", "def is_full(self):", "snake_case, def"),
]


@pytest.mark.parametrize(("text", "edited", "form"), FORMS)
def test_the_edit_is_among_those_of_its_form(text: str, edited: str, form: str) -> None:
    scope = "total_counts = 1\n" + text
    assert edited in [made for made, name in edits(text, scope, WORDS) if name == form]


def test_words_that_are_right_stay() -> None:
    text = "    # the default value should print"
    assert not [made for made, name in edits(text, text, WORDS) if name.startswith("spelling") and made != text]


def test_a_word_within_a_word_stays() -> None:
    spelt = [made for made, name in edits("lsit, lsiten", "", WORDS) if name == "spelling 0"]
    assert "list, lsiten" in spelt


@pytest.mark.parametrize("text", ["", "\n", "(((", "a" * 3000, "\u0130x = 'ß'", "x" * 40 + "Y" * 40])
def test_any_text_will_do(text: str) -> None:
    assert all(isinstance(made, str) for made, _ in edits(text, text, WORDS))
