"""Thirty small edits that somebody may ask for, in the form of CanItEdit, each with tests that its code fails as it is:

    python scripts/small_edits.py build/small-edits.jsonl && redraft bench function --data build/small-edits.jsonl

Written by hand for this; no model was trained on them. The first twelve were looked at while the prompt was chosen.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Small(NamedTuple):
    instruction: str
    before: str
    after: str
    tests: str


MEAN = """def mean(values):
    total = 0
    for value in values:
        total += value
    return total / len(values)
"""
CLAMP = """def clamp(value, low, high):
    if value < low:
        return low
    if value > high:
        return high
    return value
"""
NAMES = "def calls(f):\n    return f.__code__.co_names\n"
EDITS = (
    Small("use sum", MEAN, "def mean(values):\n    return sum(values) / len(values)\n",
          NAMES + "assert mean([1, 2, 6]) == 3 and 'sum' in calls(mean)"),
    Small("return 0 when the list is empty", "def mean(values):\n    total = sum(values)\n"
          "    return total / len(values)\n",
          "def mean(values):\n    if not values:\n        return 0\n    total = sum(values)\n"
          "    return total / len(values)\n",
          "assert mean([]) == 0 and mean([1, 3]) == 2"),
    Small("use a list comprehension",
          "def squares(numbers):\n    result = []\n    for number in numbers:\n"
          "        result.append(number * number)\n    return result\n",
          "def squares(numbers):\n    return [number * number for number in numbers]\n",
          NAMES + "assert squares([1, -3]) == [1, 9] and 'append' not in calls(squares)"),
    Small("use an f-string", "def greet(name, age):\n    return 'Hello ' + name + ', you are ' + str(age)\n",
          "def greet(name, age):\n    return f'Hello {name}, you are {age}'\n",
          NAMES + "assert greet('A', 3) == 'Hello A, you are 3' and 'str' not in calls(greet)"),
    Small("use with to open the file",
          "def read(path):\n    file = open(path)\n    text = file.read()\n    file.close()\n    return text\n",
          "def read(path):\n    with open(path) as file:\n        return file.read()\n",
          "class Fake:\n    left = False\n    def __enter__(self):\n        return self\n    def __exit__(self, *_):\n"
          "        Fake.left = True\n    def read(self):\n        return 'x'\n    def close(self):\n        pass\n"
          "def open(*_, **__):\n    return Fake()\nassert read('p') == 'x' and Fake.left"),
    Small("raise ValueError when low > high", CLAMP,
          CLAMP.replace(":\n    if value < low", ":\n    if low > high:\n        raise ValueError\n    if value < low"),
          "assert clamp(5, 1, 3) == 3 and clamp(0, 1, 3) == 1\ntry:\n    clamp(1, 3, 2)\nexcept ValueError:\n    pass\n"
          "else:\n    raise AssertionError"),
    Small("use min and max", CLAMP, "def clamp(value, low, high):\n    return max(low, min(value, high))\n",
          NAMES + "assert [clamp(v, 1, 3) for v in (0, 2, 5)] == [1, 2, 3] and 'min' in calls(clamp)"),
    Small("use enumerate",
          "def numbered(names):\n    lines = []\n    for i in range(len(names)):\n"
          "        lines.append(f'{i}: {names[i]}')\n    return lines\n",
          "def numbered(names):\n    return [f'{i}: {name}' for i, name in enumerate(names)]\n",
          NAMES + "assert numbered(['a', 'b']) == ['0: a', '1: b'] and 'enumerate' in calls(numbered)"),
    Small("add a timeout of 10 seconds", "def fetch(url):\n    response = requests.get(url)\n"
          "    response.raise_for_status()\n    return response\n",
          "def fetch(url):\n    response = requests.get(url, timeout=10)\n    response.raise_for_status()\n"
          "    return response\n",
          "class requests:\n    def get(url, timeout=0):\n        requests.given = timeout\n        return requests\n"
          "    def raise_for_status():\n        requests.raised = True\n"
          "assert fetch('u') is requests and requests.raised\n"
          "assert requests.given == 10"),
    Small("add a docstring", MEAN, MEAN.replace(":\n    total = 0", ':\n    """Mean."""\n    total = 0'),
          "assert mean([1, 3]) == 2 and mean.__doc__"),
    Small("add type hints", CLAMP,
          CLAMP.replace("value, low, high)", "value: float, low: float, high: float) -> float"),
          "assert clamp(5, 1, 3) == 3 and len(clamp.__annotations__) >= 3"),
    Small("rename total to result", MEAN, MEAN.replace("total", "result"),
          "names = mean.__code__.co_varnames\nassert mean([1, 3]) == 2 and 'result' in names and 'total' not in names"),
    Small("return None when the key is missing", "def price(prices, name):\n    return prices[name]\n",
          "def price(prices, name):\n    return prices.get(name)\n"
          "", "assert price({'a': 1}, 'a') == 1 and price({}, 'a') is None"),
    Small("ignore case", "def same(one, other):\n    return one == other\n",
          "def same(one, other):\n    return one.lower() == other.lower()\n"
          "", "assert same('Ab', 'aB') and not same('a', 'b')"),
    Small("add a parameter separator with the default ', '", "def joined(words):\n    return ', '.join(words)\n",
          "def joined(words, separator=', '):\n    return separator.join(words)\n",
          "assert joined(['a', 'b']) == 'a, b' and joined(['a', 'b'], separator='-') == 'a-b'"),
    Small("remove duplicates", "def tags(posts):\n    return sorted(tag for post in posts for tag in post)\n",
          "def tags(posts):\n    return sorted({tag for post in posts for tag in post})\n"
          "", "assert tags([['b'], ['a', 'b']]) == ['a', 'b']"),
    Small("sort in descending order", "def ranked(scores):\n    return sorted(scores)\n",
          "def ranked(scores):\n    return sorted(scores, reverse=True)\n", "assert ranked([1, 3, 2]) == [3, 2, 1]"),
    Small("use any",
          "def has_negative(numbers):\n    for number in numbers:\n        if number < 0:\n"
          "            return True\n    return False\n",
          "def has_negative(numbers):\n    return any(number < 0 for number in numbers)\n",
          NAMES + "assert has_negative([1, -1]) and not has_negative([1]) and 'any' in calls(has_negative)"),
    Small("skip blank lines",
          "def lengths(lines):\n    result = []\n    for line in lines:\n        result.append(len(line))\n"
          "    return result\n",
          "def lengths(lines):\n    return [len(line) for line in lines if line.strip()]\n"
          "", "assert lengths(['ab', '', 'c']) == [2, 1]"),
    Small("use isinstance", "def is_text(value):\n    return type(value) == str\n",
          "def is_text(value):\n    return isinstance(value, str)\n",
          "class Sub(str):\n    pass\nassert is_text(Sub()) and is_text('a') and not is_text(1)"),
    Small("use dict.get",
          "def counted(words):\n    counts = {}\n    for word in words:\n        if word in counts:\n"
          "            counts[word] += 1\n"
          "        else:\n            counts[word] = 1\n    return counts\n",
          "def counted(words):\n    counts = {}\n    for word in words:\n"
          "        counts[word] = counts.get(word, 0) + 1\n    return counts\n",
          NAMES + "assert counted('aba') == {'a': 2, 'b': 1} and 'get' in calls(counted)"),
    Small("return an empty string when text is None", "def shout(text):\n    return text.upper() + '!'\n",
          "def shout(text):\n    if text is None:\n        return ''\n    return text.upper() + '!'\n",
          "assert shout(None) == '' and shout('a') == 'A!'"),
    Small("catch ZeroDivisionError and return None", "def ratio(a, b):\n    return a / b\n",
          "def ratio(a, b):\n    try:\n        return a / b\n    except ZeroDivisionError:\n        return None\n",
          "assert ratio(1, 2) == 0.5 and ratio(1, 0) is None"),
    Small("use zip",
          "def sums(one, other):\n    result = []\n    for i in range(len(one)):\n"
          "        result.append(one[i] + other[i])\n    return result\n",
          "def sums(one, other):\n    return [a + b for a, b in zip(one, other)]\n",
          NAMES + "assert sums([1, 2], [3, 4]) == [4, 6] and 'zip' in calls(sums)"),
    Small("round to two digits", "def share(part, whole):\n    return part / whole\n",
          "def share(part, whole):\n    return round(part / whole, 2)\n", "assert share(1, 3) == 0.33"),
    Small("strip each item", "def items(line):\n    return line.split(',')\n",
          "def items(line):\n    return [item.strip() for item in line.split(',')]\n"
          "", "assert items('a, b ,c') == ['a', 'b', 'c']"),
    Small("use max with a key",
          "def longest(words):\n    best = words[0]\n    for word in words:\n        if len(word) > len(best):\n"
          "            best = word\n    return best\n",
          "def longest(words):\n    return max(words, key=len)\n",
          NAMES + "assert longest(['a', 'ccc', 'bb']) == 'ccc' and 'max' in calls(longest)"),
    Small("use is None", "def size(value):\n    if value == None:\n        return 0\n    return len(value)\n",
          "def size(value):\n    if value is None:\n        return 0\n    return len(value)\n",
          "class Odd(list):\n    def __eq__(self, other):\n        return True\n"
          "assert size(None) == 0 and size(Odd([1])) == 1"),
    Small("convert the keys to lower case", "def headers(pairs):\n    return {key: value for key, value in pairs}\n",
          "def headers(pairs):\n    return {key.lower(): value for key, value in pairs}\n"
          "", "assert headers([('A', 'B')]) == {'a': 'B'}"),
    Small("give step a default value of 1", "def advance(position, step):\n    return position + step\n",
          "def advance(position, step=1):\n    return position + step\n"
          "", "assert advance(1) == 2 and advance(1, 3) == 4"),
)  # fmt: skip


def write(edits: Iterable[Small], out: Path) -> None:
    """Records of `redraft bench function`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    records = (
        {
            "id": f"{number}",
            "before": edit.before,
            "after": edit.after,
            "tests": edit.tests,
            "instruction_descriptive": edit.instruction,
            "instruction_lazy": edit.instruction,
        }
        for number, edit in enumerate(edits, 1)
    )
    out.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


if __name__ == "__main__":
    write(EDITS, Path(sys.argv[1]))
