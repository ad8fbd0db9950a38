/** Line diffs: what differs between two texts of one region, hunk by hunk. Knows nothing of VS Code. */

import { diffArrays } from 'diff';

export interface Hunk {
    /** Index into the old lines. */
    oldStart: number;
    oldLines: string[];
    newLines: string[];
}

/** An edit of a document by positions: [line, character]. */
export interface Splice {
    start: [number, number];
    end: [number, number];
    text: string;
}

export function splitLines(text: string): string[] {
    return text.split(/\r\n|\r|\n/);
}

export function hunksOf(before: readonly string[], after: readonly string[]): Hunk[] {
    const hunks: Hunk[] = [];
    let at = 0;
    let open: Hunk | undefined;
    for (const part of diffArrays([...before], [...after])) {
        if (!part.added && !part.removed) {
            at += part.value.length;
            open = undefined;
            continue;
        }
        if (!open) {
            open = { oldStart: at, oldLines: [], newLines: [] };
            hunks.push(open);
        }
        if (part.removed) {
            open.oldLines.push(...part.value);
            at += part.value.length;
        } else {
            open.newLines.push(...part.value);
        }
    }
    return hunks;
}

/** The lines with those hunks applied for which `wanted` says so. */
export function compose(before: readonly string[], hunks: readonly Hunk[], wanted: (index: number) => boolean): string[] {
    const lines: string[] = [];
    let at = 0;
    hunks.forEach((hunk, index) => {
        lines.push(...before.slice(at, hunk.oldStart), ...(wanted(index) ? hunk.newLines : hunk.oldLines));
        at = hunk.oldStart + hunk.oldLines.length;
    });
    return [...lines, ...before.slice(at)];
}

/**
 * The splices that put `wanted` in place of the lines `present`, which start at `first` in a document of
 * `lineCount` lines whose line `first - 1` is `lengthBefore` characters long. Unchanged lines stay out of them.
 */
export function splices(
    present: readonly string[],
    wanted: readonly string[],
    first: number,
    lineCount: number,
    lengthBefore: number,
): Splice[] {
    return hunksOf(present, wanted).map(({ oldStart, oldLines, newLines }) => {
        const top = first + oldStart;
        const bottom = top + oldLines.length;
        const text = newLines.join('\n');
        if (oldLines.length > 0 && newLines.length > 0) {
            return { start: [top, 0], end: [bottom - 1, oldLines.at(-1)?.length ?? 0], text };
        }
        if (bottom < lineCount) {
            return { start: [top, 0], end: [bottom, 0], text: newLines.length > 0 ? `${text}\n` : '' };
        }
        // At the end of the document it is the line break before that comes or goes.
        if (top === 0) {
            return { start: [0, 0], end: [bottom - 1, oldLines.at(-1)?.length ?? 0], text };
        }
        const above = oldStart > 0 ? (present[oldStart - 1]?.length ?? 0) : lengthBefore;
        const end: [number, number] = oldLines.length > 0 ? [bottom - 1, oldLines.at(-1)?.length ?? 0] : [top - 1, above];
        return { start: [top - 1, above], end, text: newLines.length > 0 ? `\n${text}` : '' };
    });
}

/** The stretch of `after` that differs from `before`: what both share at the ends is left out. */
export function changedStretch(before: string, after: string): [number, number] {
    const limit = Math.min(before.length, after.length);
    let head = 0;
    while (head < limit && before[head] === after[head]) {
        head++;
    }
    let tail = 0;
    while (tail < limit - head && before.at(-1 - tail) === after.at(-1 - tail)) {
        tail++;
    }
    return [head, after.length - tail];
}
