/** Draws the denoising in the editor: every streamed state over the text it is about to replace. */

import {
    Range,
    ThemeColor,
    window,
    type DecorationOptions,
    type Disposable,
    type Position,
    type TextDocument,
    type TextEditor,
} from 'vscode';
import { columns, fitted, partsOf, textOf } from './canvas';
import type { Denoise } from './protocol';
import { openDocument } from './review';

const FRAME_MS = 30;
const LOOKS = {
    settled: { color: new ThemeColor('editor.foreground') },
    changed: {
        color: new ThemeColor('editor.foreground'),
        backgroundColor: new ThemeColor('diffEditor.insertedTextBackground'),
    },
    masked: { color: new ThemeColor('editorGhostText.foreground') },
};

export class Denoising implements Disposable {
    /** Hides a line and shows a text in its place, without touching the document. */
    private readonly overlay = window.createTextEditorDecorationType({ textDecoration: 'none; display: none' });
    private readonly span = window.createTextEditorDecorationType({
        isWholeLine: true,
        backgroundColor: new ThemeColor('editor.hoverHighlightBackground'),
    });
    private waiting: Denoise | undefined;
    private timer: NodeJS.Timeout | undefined;

    /** Marks the lines that an edit is about to change. */
    begin(document: TextDocument, range: Range): void {
        editorsOf(document).forEach((editor) => {
            editor.setDecorations(this.span, [range]);
        });
    }

    /** Shows a state soon; of several within one frame only the last. */
    show(state: Denoise): void {
        this.waiting = state;
        this.timer ??= setTimeout(() => {
            this.timer = undefined;
            this.drawWaiting();
        }, FRAME_MS);
    }

    end(document: TextDocument): void {
        if (this.waiting?.uri === document.uri.toString()) {
            this.waiting = undefined;
        }
        editorsOf(document).forEach((editor) => {
            editor.setDecorations(this.overlay, []);
            editor.setDecorations(this.span, []);
        });
    }

    dispose(): void {
        clearTimeout(this.timer);
        this.overlay.dispose();
        this.span.dispose();
    }

    private drawWaiting(): void {
        const state = this.waiting;
        this.waiting = undefined;
        const document = state && openDocument(state.uri);
        // A state of another version would stand on the wrong lines; the next one comes in milliseconds.
        if (!state || document?.version !== state.version) {
            return;
        }
        const { start, end } = state.range;
        const range = document.validateRange(new Range(start.line, start.character, end.line, end.character));
        editorsOf(document).forEach((editor) => {
            editor.setDecorations(this.span, [shownLines(range)]);
            editor.setDecorations(this.overlay, overlays(editor, range, state));
        });
    }
}

function editorsOf(document: TextDocument): TextEditor[] {
    return window.visibleTextEditors.filter((editor) => editor.document === document);
}

/** Without the line on which a selection of whole lines ends, at its very start. */
export function shownLines({ start, end }: { start: Position; end: Position }): Range {
    const last = end.character === 0 && end.line > start.line ? end.line - 1 : end.line;
    return new Range(start.line, 0, last, 0);
}

/** Covers every line that differs from what the state shows there, part by part. */
function overlays({ document, options }: TextEditor, range: Range, state: Denoise): DecorationOptions[] {
    const { start, end } = shownLines(range);
    const whole = end.line < range.end.line;
    const head = document.lineAt(start.line).text.slice(0, range.start.character);
    const tail = whole ? '' : document.lineAt(range.end.line).text.slice(range.end.character);
    const lines = partsOf(state.text, state.changed);
    if (whole && lines.at(-1)?.length === 0) {
        lines.pop();
    }
    const tab = '\u00a0'.repeat(Number(options.tabSize));
    return fitted(lines, head, tail, end.line - start.line + 1).flatMap((parts, i) => {
        const { text, lineNumber } = document.lineAt(start.line + i);
        if (textOf(parts) === text && parts.every(({ kind }) => kind !== 'changed')) {
            return [];
        }
        return columns(parts, text).map(({ part, from, to }) => ({
            range: new Range(lineNumber, from, lineNumber, to),
            renderOptions: { before: { ...LOOKS[part.kind], contentText: drawn(part.text, tab) } },
        }));
    });
}

/** Spaces at the ends of a decoration would be lost, and an empty one is not drawn. */
function drawn(text: string, tab: string): string {
    return text.replaceAll('\t', tab).replaceAll(' ', '\u00a0') || '\u200b';
}
