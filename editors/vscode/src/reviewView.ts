/** How a review looks: coloured lines, the old text beside the new, and a lens with what can be done. */

import {
    Disposable,
    CodeLens,
    EventEmitter,
    languages,
    MarkdownString,
    OverviewRulerLane,
    Position,
    Range,
    ThemeColor,
    window,
    type CodeLensProvider,
    type DecorationOptions,
    type TextDocument,
    type TextEditor,
} from 'vscode';
import { changedStretch } from './hunks';
import type { Placed, Review } from './review';
import type { Reviews } from './reviews';
import { SCHEMES } from './settings';

const LONGEST_OLD_TEXT = 80;

export class ReviewView implements Disposable, CodeLensProvider {
    private readonly lensChanges = new EventEmitter<void>();
    readonly onDidChangeCodeLenses = this.lensChanges.event;
    private readonly line = window.createTextEditorDecorationType({
        isWholeLine: true,
        backgroundColor: new ThemeColor('diffEditor.insertedLineBackground'),
        overviewRulerColor: new ThemeColor('diffEditorOverview.insertedForeground'),
        overviewRulerLane: OverviewRulerLane.Full,
    });
    private readonly inserted = window.createTextEditorDecorationType({
        backgroundColor: new ThemeColor('diffEditor.insertedTextBackground'),
    });
    private readonly old = window.createTextEditorDecorationType({
        after: {
            margin: '0 0 0 2em',
            color: new ThemeColor('editor.foreground'),
            backgroundColor: new ThemeColor('diffEditor.removedTextBackground'),
            textDecoration: 'line-through',
        },
    });
    private readonly disposables: Disposable;

    constructor(private readonly reviews: Reviews) {
        this.disposables = Disposable.from(
            this.line,
            this.inserted,
            this.old,
            this.lensChanges,
            languages.registerCodeLensProvider(SCHEMES, this),
            reviews.onChange((document) => {
                for (const editor of window.visibleTextEditors.filter((editor) => editor.document === document)) {
                    this.draw(editor);
                }
                this.lensChanges.fire();
            }),
            window.onDidChangeVisibleTextEditors((editors) => {
                editors.forEach((editor) => {
                    this.draw(editor);
                });
            }),
        );
    }

    provideCodeLenses(document: TextDocument): CodeLens[] {
        const review = this.reviews.of(document);
        const pending = review?.placed.map((placed, i) => ({ placed, i })).filter((p) => p.placed.decision === 'pending') ?? [];
        return pending.flatMap(({ placed, i }, position) => {
            const line = Math.min(placed.line, document.lineCount - 1);
            const lens = (title: string, command: string, tooltip: string, ...args: unknown[]): CodeLens =>
                new CodeLens(new Range(line, 0, line, 0), { title, command, tooltip, arguments: args });
            const own = [
                lens('$(check)\u00a0Accept', 'redraft.acceptHunk', 'Keep this change', i),
                lens('$(discard)\u00a0Reject', 'redraft.rejectHunk', 'Put the old text back', i),
            ];
            return review && position === 0 ? [...own, ...lensesForAll(review, pending.length, lens)] : own;
        });
    }

    dispose(): void {
        this.disposables.dispose();
    }

    private draw(editor: TextEditor): void {
        const pending = this.reviews.of(editor.document)?.placed.filter(({ decision }) => decision === 'pending') ?? [];
        const { document } = editor;
        editor.setDecorations(
            this.line,
            pending.filter(({ lines }) => lines > 0).map(({ line, lines }) => new Range(line, 0, line + lines - 1, 0)),
        );
        editor.setDecorations(this.inserted, pending.flatMap(insertedText));
        editor.setDecorations(
            this.old,
            pending.filter(({ hunk }) => hunk.oldLines.length > 0).map((placed) => oldText(document, placed)),
        );
    }
}

type MakeLens = (title: string, command: string, tooltip: string) => CodeLens;

function lensesForAll(review: Review, pending: number, lens: MakeLens): CodeLens[] {
    const several = [
        lens('Accept all', 'redraft.acceptAll', 'Keep every change'),
        lens('Reject all', 'redraft.rejectAll', 'Put everything back'),
    ];
    const { index, candidates } = review;
    const others = [
        lens(`Suggestion ${index + 1} of ${candidates.length}`, 'redraft.chooseSuggestion', 'Choose from the list'),
        lens('$(arrow-right)', 'redraft.showNextSuggestion', 'Next suggestion'),
    ];
    return [...(pending > 1 ? several : []), ...(candidates.length > 1 ? others : [])];
}

/** The characters that differ, where lines stand against lines. */
function insertedText({ hunk, line }: Placed): Range[] {
    return hunk.newLines.flatMap((text, i) => {
        const before = hunk.oldLines[i];
        if (before === undefined || hunk.oldLines.length !== hunk.newLines.length) {
            return [];
        }
        const [start, end] = changedStretch(before, text);
        return end > start ? [new Range(line + i, start, line + i, end)] : [];
    });
}

/** The old text: one line of it in words after the new one, all of it on hover. */
function oldText(document: TextDocument, { hunk, line, lines }: Placed): DecorationOptions {
    const [only = ''] = hunk.oldLines;
    const bare = only.trim();
    const short = bare.length > LONGEST_OLD_TEXT ? `${bare.slice(0, LONGEST_OLD_TEXT - 1)}…` : bare;
    const contentText = hunk.oldLines.length === 1 ? short : `${hunk.oldLines.length} lines before`;
    const hoverMessage = new MarkdownString('Before:\n').appendCodeblock(hunk.oldLines.join('\n'), document.languageId);
    // A deletion has no line of its own: it is shown on the one above.
    const at = Math.min(lines > 0 ? line : Math.max(0, line - 1), document.lineCount - 1);
    const end = document.lineAt(at).range.end;
    return {
        range: new Range(new Position(at, lines > 0 ? 0 : end.character), end),
        hoverMessage,
        renderOptions: { after: { contentText: contentText.replaceAll(' ', '\u00a0') } },
    };
}
