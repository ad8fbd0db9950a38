"""Names that are used and nowhere bound."""

from __future__ import annotations

import pytest

from engine.unbound import LONGEST, unbound, unbound_with


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
        ("def f(a, b=0):\n    a += 1\n    b += 1\n    c += 1\n    d = 0\n    d += 1\n    return a, b, c, d", {"c"}),
        ("c = 0\nc += 1\ndef f():\n    global c\n    c += 1", set()),
        ("def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n    return g", set()),
        ("def f():\n    import a as b\n    b += 1\n    with b as c, open(b) as d:\n        c += d", set()),
        ("print((", set()),
        ("print(x)\n" * (LONGEST // 9 + 1), set()),
        ("print('\0')", set()),
    ],
)
def test_only_what_nobody_binds_is_unbound(text: str, names: set[str]) -> None:
    assert unbound(text) == names


@pytest.mark.parametrize("more", ["", "def other():\n    return 1\n\n\n" * (LONGEST // 30)])
def test_a_long_document_is_looked_at_around_the_text(more: str) -> None:
    above = f"import os\n\n\n{more}@cache\ndef f(path):\n    names = []\n"
    end = f"\n\n\n{more}def size(name):\n    return name\n"
    below = f"    for name in names:\n        total += size(name)\n    return total{end}"
    assert unbound_with(above, "    pass\n", below) == ({"total", "cache"} if not more else {"total"})
    assert "total" not in unbound_with(above, "    total = len(os.listdir(path))\n", below)
    assert "walk" in unbound_with(above, "    total = walk(path)\n", below)
