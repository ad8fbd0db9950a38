import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedStretch, compose, hunksOf, splices, splitLines, type Splice } from '../src/hunks';

const before = ['def f():', '    x = 1', '    y = 2', '    return x'];
const after = ['def f(a):', '    x = 1', '    return x + a', '    # end'];

/** What an editor does with the splices: all against the same text. */
function applied(lines: string[], changes: Splice[]): string[] {
    const text = lines.join('\n');
    const offset = ([line, character]: [number, number]): number =>
        lines.slice(0, line).reduce((sum, each) => sum + each.length + 1, 0) + character;
    return [...changes]
        .reverse()
        .reduce((result, { start, end, text: put }) => result.slice(0, offset(start)) + put + result.slice(offset(end)), text)
        .split('\n');
}

test('hunks are the differing lines, neighbours in one hunk', () => {
    assert.deepEqual(hunksOf(before, after), [
        { oldStart: 0, oldLines: ['def f():'], newLines: ['def f(a):'] },
        { oldStart: 2, oldLines: ['    y = 2', '    return x'], newLines: ['    return x + a', '    # end'] },
    ]);
    assert.deepEqual(hunksOf(before, before), []);
});

test('compose takes each hunk or leaves it', () => {
    const hunks = hunksOf(before, after);
    assert.deepEqual(compose(before, hunks, () => true), after);
    assert.deepEqual(compose(before, hunks, () => false), before);
    assert.deepEqual(compose(before, hunks, (i) => i === 0), ['def f(a):', ...before.slice(1)]);
});

test('splices bring any lines to any other, wherever they stand in the document', () => {
    const texts = [[], ['a'], ['', ''], ['a', 'b'], ['b', 'a'], ['a', 'x', 'b', ''], ['x'], ['a', 'b', 'c', 'd'], ['d', 'a', 'c']];
    for (const head of [[], ['head']]) {
        for (const tail of [[], ['tail', '']]) {
            for (const present of texts) {
                for (const wanted of texts) {
                    const lines = [...head, ...present, ...tail];
                    if (lines.length === 0 || [...head, ...wanted, ...tail].length === 0) {
                        continue; // a document has at least one line
                    }
                    const changes = splices(present, wanted, head.length, lines.length, head[0]?.length ?? 0);
                    assert.deepEqual(applied(lines, changes), [...head, ...wanted, ...tail], JSON.stringify({ lines, wanted }));
                }
            }
        }
    }
});

test('lines end with \\n, \\r\\n and \\r, and with nothing else', () => {
    assert.deepEqual(splitLines('a\nb\r\nc\rd\u2028e\f'), ['a', 'b', 'c', 'd\u2028e\f']);
});

test('the changed stretch leaves out what both lines share', () => {
    assert.deepEqual(changedStretch('sum(a / b)', 'sum(a) / b'), [5, 10]);
    assert.deepEqual(changedStretch('same', 'same'), [4, 4]);
});
