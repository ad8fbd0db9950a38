/** A denoising state in parts: what is masked, what the last step changed, and the rest. Knows nothing of VS Code. */

import { splitLines } from './hunks';

const MASK = '\u2591';
const NEXT_LINE: Part = { text: ' \u23ce ', kind: 'settled' };

export interface Part {
    text: string;
    kind: 'settled' | 'changed' | 'masked';
}

export interface Place {
    line: number;
    character: number;
}

/** The lines of `text`; `changed` are stretches of it. */
export function partsOf(text: string, changed: readonly { start: Place; end: Place }[]): Part[][] {
    return splitLines(text).map((content, line) => {
        const parts: Part[] = [];
        let character = 0;
        for (const letter of content) {
            const here = { line, character };
            const isNew = changed.some(({ start, end }) => !isBefore(here, start) && isBefore(here, end));
            append(parts, { text: letter, kind: letter === MASK ? 'masked' : isNew ? 'changed' : 'settled' });
            character += letter.length;
        }
        return parts;
    });
}

function isBefore(place: Place, other: Place): boolean {
    return place.line < other.line || (place.line === other.line && place.character < other.character);
}

function append(parts: Part[], { text, kind }: Part): void {
    const last = parts.at(-1);
    if (last?.kind === kind) {
        last.text += text;
    } else if (text) {
        parts.push({ text, kind });
    }
}

export function textOf(parts: readonly Part[]): string {
    return parts.map(({ text }) => text).join('');
}

/** `lines` between what stands before and behind them, on `room` lines: those too many go onto the last one. */
export function fitted(lines: readonly Part[][], head: string, tail: string, room: number): Part[][] {
    const shown = Array.from({ length: room }, (): Part[] => []);
    append(shown[0] ?? [], { text: head, kind: 'settled' });
    lines.forEach((parts, i) => {
        const line = shown[Math.min(i, room - 1)] ?? [];
        [...(i >= room ? [NEXT_LINE] : []), ...parts].forEach((part) => {
            append(line, part);
        });
    });
    append(shown[Math.min(lines.length, room) - 1] ?? [], { text: tail, kind: 'settled' });
    return shown;
}

/** Where each part is drawn over `present`: at a character of its own; those that find none join the last. */
export function columns(parts: readonly Part[], present: string): { part: Part; from: number; to: number }[] {
    const letters = Array.from(present);
    const room = Math.max(1, letters.length);
    const placed = parts.slice(0, room);
    if (parts.length > room) {
        placed.push({ text: textOf([...placed.splice(room - 1), ...parts.slice(room)]), kind: 'settled' });
    }
    let from = 0;
    return (placed.length > 0 ? placed : [{ text: '', kind: 'settled' } as const]).map((part, i, all) => {
        const to = i === all.length - 1 ? present.length : from + (letters[i]?.length ?? 0);
        const found = { part, from, to };
        from = to;
        return found;
    });
}
