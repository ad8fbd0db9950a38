/** The commands that edit and review. Each is a few lines; the work is elsewhere. */

import { commands, Range, ViewColumn, window, workspace, type Disposable, type TextEditor } from 'vscode';
import { chooseCandidate } from './candidates';
import type { Edits } from './edits';
import type { Instructions } from './instruction';
import type { Preview } from './preview';
import type { Intent } from './protocol';
import type { Review } from './review';
import type { Reviews } from './reviews';
import type { Server } from './server';
import { settings } from './settings';
import { fillTarget, fixTarget, rewriteTarget } from './targets';

/** What the walkthrough lets one try: a missing bracket, a hole, and something to rewrite. */
const SAMPLE = `"""Try Redraft: the lines below have a mistake, a hole, and room for improvement."""


def mean(values):
    return sum(values / len(values)


def clamp(value, low, high):
    ...


def evens(numbers):
    result = []
    for number in numbers:
        if number % 2 == 0:
            result.append(number)
    return result
`;

/** Beside the walkthrough, with the cursor on the mistake. */
export async function openSample(): Promise<void> {
    const document = await workspace.openTextDocument({ language: 'python', content: SAMPLE });
    const mistake = document.positionAt(SAMPLE.indexOf('sum(values'));
    await window.showTextDocument(document, { viewColumn: ViewColumn.Beside, selection: new Range(mistake, mistake) });
}

export function registerEditCommands(server: Server, edits: Edits, instructions: Instructions): Disposable[] {
    const register = (name: string, work: (editor: TextEditor) => Promise<void>): Disposable =>
        commands.registerCommand(`redraft.${name}`, async () => {
            const editor = window.activeTextEditor;
            if (editor) {
                await work(editor);
            } else {
                void window.showInformationMessage('Redraft: open a file and put the cursor in it first');
            }
        });
    const run = (editor: TextEditor, intent: Intent, argument: ReturnType<typeof fixTarget>): Promise<void> =>
        edits.run(intent, editor.document, argument);
    return [
        register('rewriteSelection', async (editor) => {
            const target = { ...rewriteTarget(editor, ''), version: editor.document.version };
            const warm = (instruction: string): void => {
                const likely = { ...target, intent: 'rewrite', ...(instruction ? { instruction } : {}) };
                server.command('redraft.warm', likely).catch(() => undefined); // the edit itself will complain
            };
            const instruction = await instructions.ask(settings().instructions, warm);
            if (instruction !== undefined) {
                await run(editor, 'rewrite', { ...target, ...(instruction ? { instruction } : {}) });
            }
        }),
        register('fixThis', (editor) => run(editor, 'fix', fixTarget(editor))),
        register('guessFix', (editor) => run(editor, 'fix', { ...rewriteTarget(editor, ''), guess: true })),
        register('fillHere', (editor) => run(editor, 'fill', fillTarget(editor))),
        register('cancelEdit', (editor) => {
            edits.cancel(editor.document);
            return Promise.resolve();
        }),
    ];
}

export function registerReviewCommands(reviews: Reviews, preview: Preview): Disposable[] {
    const register = (name: string, work: (review: Review, hunk?: number) => Promise<void> | void): Disposable =>
        commands.registerCommand(`redraft.${name}`, async (hunk?: unknown) => {
            const review = reviews.active;
            if (review) {
                await work(review, typeof hunk === 'number' ? hunk : undefined);
            } else {
                void window.showInformationMessage('Redraft: there is no suggestion to review in this file');
            }
        });
    return [
        register('acceptHunk', (review, hunk) => reviews.decide(review, 'accepted', hunk)),
        register('rejectHunk', (review, hunk) => reviews.decide(review, 'rejected', hunk)),
        register('acceptAll', (review) => {
            reviews.acceptAll(review);
        }),
        register('rejectAll', (review) => reviews.rejectAll(review)),
        register('showNextSuggestion', (review) => reviews.show(review, review.index + 1)),
        register('showPreviousSuggestion', (review) => reviews.show(review, review.index - 1)),
        register('chooseSuggestion', (review) => chooseCandidate(review, reviews, preview)),
        register('compareSuggestion', (review) => preview.compare(review, review.index)),
    ];
}
