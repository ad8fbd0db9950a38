import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columns, fitted, partsOf, textOf, type Part } from '../src/canvas';

const settled = (text: string): Part => ({ text, kind: 'settled' });
const changed = (text: string): Part => ({ text, kind: 'changed' });
const masked = (text: string): Part => ({ text, kind: 'masked' });
const stretch = (line: number, from: number, last: number, to: number): Parameters<typeof partsOf>[1][number] => ({
    start: { line, character: from },
    end: { line: last, character: to },
});

test('a state is what is masked, what the last step changed, and the rest', () => {
    assert.deepEqual(partsOf('a = ░░\n🙂 b', [stretch(0, 0, 0, 1), stretch(1, 0, 1, 2)]), [
        [changed('a'), settled(' = '), masked('░░')],
        [changed('🙂'), settled(' b')],
    ]);
    assert.deepEqual(partsOf('ab\ncd', [stretch(0, 1, 1, 1)]), [
        [settled('a'), changed('b')],
        [changed('c'), settled('d')],
    ]);
});

test('the text around a state stands on its first and its last line', () => {
    assert.deepEqual(fitted([[changed('x')]], 'f(', ')', 1), [[settled('f('), changed('x'), settled(')')]]);
    assert.deepEqual(fitted([[changed('x')], [masked('░')]], 'f(', ')', 3), [
        [settled('f('), changed('x')],
        [masked('░'), settled(')')],
        [],
    ]);
});

test('lines that have no room go onto the last one', () => {
    assert.equal(textOf(fitted([[settled('a')], [settled('b')], [settled('c')]], '', '.', 2)[1] ?? []), 'b ⏎ c.');
});

test('every part has a character of its own to be drawn at, and all of the line is covered', () => {
    const parts = [settled('a'), changed('b'), masked('░')];
    assert.deepEqual(columns(parts, '🙂xyz').map(({ from, to }) => [from, to]), [[0, 2], [2, 3], [3, 5]]);
    assert.deepEqual(columns(parts, 'x'), [{ part: settled('ab░'), from: 0, to: 1 }]);
    assert.deepEqual(columns(parts, ''), [{ part: settled('ab░'), from: 0, to: 0 }]);
    assert.deepEqual(columns([], 'gone'), [{ part: settled(''), from: 0, to: 4 }]);
});
