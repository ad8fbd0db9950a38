/** The reviews under way, one a document: what keeps them going and what ends them. */

import {
    Disposable,
    commands,
    EventEmitter,
    Range,
    Selection,
    TextDocumentChangeReason,
    TextEditorRevealType,
    window,
    workspace,
    type TextDocument,
    type TextDocumentChangeEvent,
} from 'vscode';
import type { Proposal } from './protocol';
import { Review } from './review';

const REVIEWING = 'redraft.reviewing';

export class Reviews implements Disposable {
    private readonly reviews = new Map<TextDocument, Review>();
    private readonly changes = new EventEmitter<TextDocument>();
    private readonly disposables: Disposable;
    /** The hunks of a document's review are others, or elsewhere, or gone. */
    readonly onChange = this.changes.event;

    constructor() {
        this.disposables = Disposable.from(
            this.changes,
            workspace.onDidChangeTextDocument((event) => {
                this.follow(event);
            }),
            workspace.onDidCloseTextDocument((document) => {
                this.end(document);
            }),
            window.onDidChangeActiveTextEditor(() => {
                this.setContext();
            }),
        );
    }

    of(document: TextDocument | undefined): Review | undefined {
        return document && this.reviews.get(document);
    }

    /** The review of the file the user looks at. */
    get active(): Review | undefined {
        return this.of(window.activeTextEditor?.document);
    }

    /** Returns whether the suggestion could be put in place. An older review of the document counts as accepted. */
    async begin(document: TextDocument, proposal: Proposal): Promise<boolean> {
        this.end(document);
        const review = await Review.begin(document, proposal);
        if (!review) {
            return false;
        }
        this.reviews.set(document, review);
        this.changed(review);
        this.goTo(review, 0);
        return true;
    }

    async show(review: Review, index: number): Promise<void> {
        const count = review.candidates.length;
        if (!(await review.show(((index % count) + count) % count))) {
            this.end(review.document);
        }
        this.changed(review);
    }

    /** Decides hunk `index`, or the one at or after the cursor, and goes to the next. */
    async decide(review: Review, decision: 'accepted' | 'rejected', index?: number): Promise<void> {
        const chosen = index ?? this.hunkAtCursor(review);
        if (chosen === undefined) {
            return;
        }
        const decided = await review.decide(chosen, decision);
        if (!decided || review.done) {
            this.end(review.document);
            return;
        }
        this.changed(review);
        this.goTo(review, chosen + 1);
    }

    acceptAll(review: Review): void {
        this.end(review.document);
    }

    /** Undoes where that gives the same result: then the file is as unmodified as it was, and redo works. */
    async rejectAll(review: Review): Promise<void> {
        if (review.undoable && window.activeTextEditor?.document === review.document) {
            await commands.executeCommand('undo');
        }
        if (this.reviews.has(review.document)) {
            await review.rejectPending();
            this.end(review.document);
        }
    }

    dispose(): void {
        this.disposables.dispose();
    }

    private end(document: TextDocument): void {
        if (this.reviews.delete(document)) {
            this.setContext();
            this.changes.fire(document);
        }
    }

    private changed(review: Review): void {
        this.setContext();
        this.changes.fire(review.document);
    }

    private setContext(): void {
        void commands.executeCommand('setContext', REVIEWING, this.active !== undefined);
    }

    private follow({ document, contentChanges, reason }: TextDocumentChangeEvent): void {
        const review = this.reviews.get(document);
        if (!review || review.busy || contentChanges.length === 0) {
            return;
        }
        const backAndForth = reason === TextDocumentChangeReason.Undo || reason === TextDocumentChangeReason.Redo;
        // Several changes come last one first, so each holds in the text as the ones before it left it.
        if ((backAndForth && review.undone) || !contentChanges.every((change) => review.follow(change.range, change.text))) {
            this.end(document);
        } else {
            this.changes.fire(document);
        }
    }

    private hunkAtCursor(review: Review): number | undefined {
        const cursor = review.editors()[0]?.selection.active.line ?? 0;
        const pending = review.placed.map((placed, i) => ({ ...placed, i })).filter(({ decision }) => decision === 'pending');
        return (pending.find(({ line, lines }) => cursor < line + Math.max(1, lines)) ?? pending.at(-1))?.i;
    }

    /** Puts the cursor on the first pending hunk from number `from` on. */
    private goTo(review: Review, from: number): void {
        const editor = review.editors()[0];
        const { placed } = review;
        const next = placed.findIndex(({ decision }, i) => i >= from && decision === 'pending');
        const target = placed[next] ?? placed.find(({ decision }) => decision === 'pending');
        if (!editor || !target) {
            return;
        }
        const line = Math.min(target.line, review.document.lineCount - 1);
        const at = review.document.lineAt(line).range.end;
        editor.selection = new Selection(at, at);
        editor.revealRange(new Range(line, 0, line + target.lines, 0), TextEditorRevealType.InCenterIfOutsideViewport);
    }
}
