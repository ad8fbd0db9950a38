/**
 * One review: the suggestion stands in the document, and its hunks wait to be accepted or rejected.
 *
 * All of it is one undo step, because no undo stop is set between the edits of a review; what somebody else changes
 * meanwhile is no part of it.
 */

import { Position, Range, window, workspace, type TextDocument, type TextEditor } from 'vscode';
import { compose, hunksOf, splices, splitLines, type Hunk } from './hunks';
import type { Candidate, Proposal } from './protocol';

export type Decision = 'pending' | 'accepted' | 'rejected';

export interface Placed {
    hunk: Hunk;
    decision: Decision;
    /** Line in the document where it begins now, and how many lines it has there. */
    line: number;
    lines: number;
}

export class Review {
    /** Which candidate is in place. */
    index = 0;
    private first: number;
    private readonly before: string[];
    private readonly variants: string[][];
    private hunks: Hunk[] = [];
    private decisions: Decision[] = [];
    private applying = false;
    private version = 0;
    private begun = false;

    private constructor(
        readonly document: TextDocument,
        readonly original: string,
        readonly candidates: readonly Candidate[],
        range: Range,
    ) {
        const endsWithLine = range.end.character === 0 && range.end.line > range.start.line;
        const whole = endsWithLine && [original, ...candidates.map((c) => c.text)].every((text) => /[\r\n]$/.test(text));
        const last = whole ? range.end.line - 1 : range.end.line;
        const head = document.lineAt(range.start.line).text.slice(0, range.start.character);
        const tail = whole ? '' : document.lineAt(last).text.slice(range.end.character);
        const lines = (text: string): string[] => splitLines(head + (whole ? text.replace(/\r?\n$|\r$/, '') : text) + tail);
        this.first = range.start.line;
        this.before = lines(original);
        this.variants = candidates.map((candidate) => lines(candidate.text));
    }

    /** The review of `proposal`, its first candidate in place; undefined when the document moved on meanwhile. */
    static async begin(document: TextDocument, proposal: Proposal): Promise<Review | undefined> {
        const { start, end } = proposal.range;
        const range = new Range(start.line, start.character, end.line, end.character);
        const same = splitLines(document.getText(range)).join('\n') === splitLines(proposal.original).join('\n');
        if (!same || (range.isEmpty && document.version !== proposal.version)) {
            return undefined;
        }
        const review = new Review(document, proposal.original, proposal.candidates, range);
        return (await review.show(0)) ? review : undefined;
    }

    /** Puts another candidate in place; decisions start anew. Returns whether the editor took it. */
    async show(index: number): Promise<boolean> {
        const wanted = this.variants[index];
        if (!wanted) {
            return false;
        }
        const hunks = hunksOf(this.before, wanted);
        if (!(await this.put(wanted))) {
            return false;
        }
        this.index = index;
        this.hunks = hunks;
        this.decisions = hunks.map(() => 'pending');
        return true;
    }

    /** Records the decision on one hunk; rejecting puts its old lines back. */
    async decide(index: number, decision: 'accepted' | 'rejected'): Promise<boolean> {
        const decisions = this.decisions.map((d, i) => (i === index ? decision : d));
        const wanted = compose(this.before, this.hunks, (i) => decisions[i] !== 'rejected');
        if (decision === 'rejected' && !(await this.put(wanted))) {
            return false;
        }
        this.decisions = decisions;
        return true;
    }

    /** Puts back the old lines of every hunk that is still pending. */
    async rejectPending(): Promise<boolean> {
        const decisions = this.decisions.map((d) => (d === 'pending' ? 'rejected' : d));
        const wanted = compose(this.before, this.hunks, (i) => decisions[i] !== 'rejected');
        if (!(await this.put(wanted))) {
            return false;
        }
        this.decisions = decisions;
        return true;
    }

    get placed(): Placed[] {
        let shift = this.first;
        return this.hunks.map((hunk, i) => {
            const decision = this.decisions[i] ?? 'pending';
            const lines = (decision === 'rejected' ? hunk.oldLines : hunk.newLines).length;
            const line = hunk.oldStart + shift;
            shift += lines - hunk.oldLines.length;
            return { hunk, decision, line, lines };
        });
    }

    get done(): boolean {
        return !this.decisions.includes('pending');
    }

    /** The changes are the review's own. */
    get busy(): boolean {
        return this.applying;
    }

    /** Nothing else has changed the document, and nothing was decided: undo would take the suggestion back. */
    get undoable(): boolean {
        return this.document.version === this.version && this.decisions.every((d) => d === 'pending');
    }

    /** Whether the original stands in the document, after an undo say. */
    get undone(): boolean {
        return this.linesAt(this.first, this.before.length) === this.before.join('\n');
    }

    /** Follows an edit of somebody else. Returns false when it touched the region: then the review is over. */
    follow(range: Range, text: string): boolean {
        const end = this.first + this.present.length;
        if (range.start.line >= end) {
            return true;
        }
        const above = range.end.line < this.first || (range.end.line === this.first && range.end.character === 0);
        if (!above || (range.end.line === this.first && text !== '' && !/[\r\n]$/.test(text))) {
            return false;
        }
        this.first += splitLines(text).length - 1 - (range.end.line - range.start.line);
        return true;
    }

    editors(): TextEditor[] {
        return window.visibleTextEditors.filter((editor) => editor.document === this.document);
    }

    private get present(): string[] {
        return this.begun ? compose(this.before, this.hunks, (i) => this.decisions[i] !== 'rejected') : this.before;
    }

    private linesAt(first: number, count: number): string | undefined {
        if (first + count > this.document.lineCount) {
            return undefined;
        }
        return Array.from({ length: count }, (_, i) => this.document.lineAt(first + i).text).join('\n');
    }

    /** Brings the region to `wanted`, within the review's one undo step. */
    private async put(wanted: readonly string[]): Promise<boolean> {
        const present = this.present;
        if (this.document.isClosed || this.linesAt(this.first, present.length) !== present.join('\n')) {
            return false;
        }
        const editor = this.editors()[0] ?? (await window.showTextDocument(this.document, { preserveFocus: true }));
        const above = this.first > 0 ? this.document.lineAt(this.first - 1).text.length : 0;
        const changes = splices(present, wanted, this.first, this.document.lineCount, above);
        this.applying = true;
        try {
            const applied = await editor.edit(
                (builder) => {
                    for (const { start, end, text } of changes) {
                        builder.replace(new Range(new Position(...start), new Position(...end)), text);
                    }
                },
                { undoStopBefore: !this.begun || this.document.version !== this.version, undoStopAfter: false },
            );
            this.begun ||= applied;
            return applied;
        } finally {
            this.applying = false;
            this.version = this.document.version;
        }
    }
}

/** The document of `uri` if it is open. */
export function openDocument(uri: string): TextDocument | undefined {
    return workspace.textDocuments.find((document) => document.uri.toString() === uri);
}
