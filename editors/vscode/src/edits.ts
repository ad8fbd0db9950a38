/** Runs an edit: asks the server, shows the denoising, puts the best candidate up for review. */

import {
    CancellationTokenSource,
    commands,
    Disposable,
    Range,
    Uri,
    window,
    workspace,
    type LogOutputChannel,
    type ProviderResult,
    type TextDocument,
} from 'vscode';
import { ErrorCodes, ResponseError, type Middleware } from 'vscode-languageclient/node';
import { shownLines, type Denoising } from './denoising';
import { splitLines } from './hunks';
import { notify } from './notify';
import type { EditArgument, EditOutcome, Intent } from './protocol';
import { openDocument } from './review';
import type { Reviews } from './reviews';
import { ServerUnavailable, type Server } from './server';
import { SECTION, settings, settingsTree } from './settings';

const BUSY = 'redraft.busy';
const SERVER_COMMANDS: Record<string, Intent> = {
    'redraft.rewrite': 'rewrite',
    'redraft.fix': 'fix',
    'redraft.fill': 'fill',
};

interface Running {
    cancel: CancellationTokenSource;
    lines: Range;
}

export class Edits implements Disposable {
    private readonly running = new Map<TextDocument, Running>();
    private readonly disposables: Disposable;
    private count = 0;

    constructor(
        private readonly server: Server,
        private readonly reviews: Reviews,
        private readonly denoising: Denoising,
        private readonly log: LogOutputChannel,
    ) {
        this.disposables = Disposable.from(
            server.onDenoise((state) => {
                const document = openDocument(state.uri);
                if (document && this.running.has(document)) {
                    this.denoising.show(state);
                }
            }),
            workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
                const running = this.running.get(document);
                if (running) {
                    contentChanges.forEach(({ range, text }) => {
                        follow(running, range, text);
                    });
                }
            }),
            window.onDidChangeActiveTextEditor(() => {
                this.setContext();
            }),
        );
    }

    /** The server's own commands come here when a code action runs them, so that those get a review too. */
    readonly middleware: Middleware = {
        workspace: {
            configuration: ({ items }, token, next) =>
                items.every(({ section }) => section === SECTION)
                    ? items.map(({ scopeUri }) => settingsTree(scopeUri === undefined ? undefined : Uri.parse(scopeUri)))
                    : next({ items }, token),
            // The server applies by itself what the user is to confirm: the code must be seen for that.
            handleApplyEdit: (params, next) => {
                [...this.running.keys()].forEach((document) => {
                    this.denoising.end(document);
                });
                return next(params, new CancellationTokenSource().token);
            },
        },
        executeCommand: (command, args, next): ProviderResult<unknown> => {
            const intent = SERVER_COMMANDS[command];
            const argument = args[0] as EditArgument | undefined;
            const document = argument && openDocument(argument.uri);
            if (!intent || !document || argument.all) {
                return next(command, args);
            }
            return this.run(intent, document, argument);
        },
    };

    async run(intent: Intent, document: TextDocument, argument: EditArgument): Promise<void> {
        this.cancel(document);
        const { start, end } = argument.range;
        const range = new Range(start.line, start.character, end.line, end.character);
        const running = { cancel: new CancellationTokenSource(), lines: shownLines(range) };
        this.running.set(document, running);
        this.setContext();
        this.denoising.begin(document, running.lines);
        try {
            // With a token of ours VS Code shows no second progress beside the status item's.
            const version = argument.version ?? document.version; // of then, when it was offered or asked about before
            const asked = { ...argument, version, workDoneToken: `redraft-${++this.count}` };
            const request = settings().needsConfirmation ? asked : { ...asked, apply: false };
            const outcome = await this.server.command<EditOutcome | null>(`redraft.${intent}`, request, running.cancel.token);
            this.finish(document, running);
            if (outcome?.proposal && !(await this.reviews.begin(document, outcome.proposal))) {
                throw new Error('the code changed while Redraft was working on it, nothing was changed: run it again');
            }
        } catch (error) {
            if (!running.cancel.token.isCancellationRequested) {
                await this.explain(error);
            }
        } finally {
            this.finish(document, running);
        }
    }

    cancel(document: TextDocument | undefined): void {
        if (document) {
            this.running.get(document)?.cancel.cancel();
        }
    }

    dispose(): void {
        this.disposables.dispose();
    }

    private finish(document: TextDocument, running: Running): void {
        if (this.running.get(document) === running) {
            this.running.delete(document);
            this.denoising.end(document);
            this.setContext();
        }
    }

    private async explain(error: unknown): Promise<void> {
        let message = error instanceof Error ? error.message : String(error);
        if (error instanceof ResponseError && error.code === ErrorCodes.PendingResponseRejected) {
            message = 'the server stopped during the edit, nothing was changed: run it again';
        }
        if (error instanceof ServerUnavailable) {
            const choice = await notify(this.log, 'error', `Redraft: ${message}`, 'Show Status');
            if (choice) {
                await commands.executeCommand('redraft.showStatus');
            }
        } else {
            await notify(this.log, 'warning', `Redraft: ${message}`);
        }
    }

    private setContext(): void {
        const document = window.activeTextEditor?.document;
        void commands.executeCommand('setContext', BUSY, document !== undefined && this.running.has(document));
    }
}

/** Moves the lines with an edit above them. An edit inside is the wish to write it oneself: it cancels. */
function follow(running: Running, range: Range, text: string): void {
    const { start, end } = running.lines;
    if (range.start.line > end.line) {
        return;
    }
    if (range.end.line >= start.line) {
        running.cancel.cancel();
        return;
    }
    const shift = splitLines(text).length - 1 - (range.end.line - range.start.line);
    running.lines = new Range(start.line + shift, 0, end.line + shift, 0);
}
