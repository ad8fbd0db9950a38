"""Names that are used and nowhere bound."""

from __future__ import annotations

import pytest

from engine.unbound import LONGEST, unbound


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("print(len(x))", {"x"}),
        ("def f(a, *b, c=1, **d):\n    return a, b, c, d, e", {"e"}),
        ("import os.path\nfrom a import b as c\nprint(os, a, b, c)", {"a", "b"}),
        ("class A(B):\n    w = 1\n    def m(self):\n        return w, __class__", {"B", "w"}),
        ("def f():\n    global g\n    g = 1\nprint(g)", set()),
        ("def f():\n    x = 1\n    def g():\n        return x + y\n    return g", {"y"}),
        ("r = [i for i in range(3) if i] + [j]", {"j"}),
        ("try:\n    pass\nexcept OSError as e:\n    print(e)\nwith open('a') as f:\n    f.read()", set()),
        ("from m import *\nprint(anything)", set()),
        ("print((", set()),
        ("print(x)\n" * (LONGEST // 9 + 1), set()),
        ("print('\0')", set()),
    ],
)
def test_only_what_nobody_binds_is_unbound(text: str, names: set[str]) -> None:
    assert unbound(text) == names
