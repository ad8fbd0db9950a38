/** What Redraft is doing and why it is not, in words: a status bar item and a language status item. */

import {
    Disposable,
    languages,
    LanguageStatusSeverity,
    MarkdownString,
    StatusBarAlignment,
    ThemeColor,
    window,
    workspace,
    type TextEditor,
} from 'vscode';
import type { Denoise, ServerStatus } from './protocol';
import { SECTION, selector } from './settings';

const MENU = 'redraft.showStatus';
/** What the status item offers for a server's or our own command. */
const REMEDIES: Record<string, { title: string; command: string }> = {
    'redraft.installEngine': { title: 'Install Engine', command: 'redraft.installEngine' },
    'redraft.restart': { title: 'Restart Server', command: 'redraft.restart' },
    'redraft.restartEngine': { title: 'Restart Engine', command: 'redraft.restartEngine' },
    'redraft.showLogs': { title: 'Show Logs', command: 'redraft.showLogs' },
};
const RESTRICTED = "Restricted Mode: the Python and the engine settings of this workspace are not used.";

export class Status implements Disposable {
    private readonly bar = window.createStatusBarItem('redraft', StatusBarAlignment.Right, 90);
    private readonly item = languages.createLanguageStatusItem('redraft', selector());
    private readonly disposables: Disposable;
    /** With the mark that code leaves this machine, where it does. */
    private name = 'Redraft';
    private current: ServerStatus = { busy: true, kind: 'Normal', message: 'starting' };

    constructor() {
        this.bar.name = 'Redraft';
        this.bar.command = MENU;
        this.item.name = 'Redraft';
        this.disposables = Disposable.from(
            this.bar,
            this.item,
            window.onDidChangeActiveTextEditor((editor) => {
                this.showFor(editor);
            }),
            workspace.onDidChangeConfiguration((event) => {
                if (event.affectsConfiguration(`${SECTION}.languages`)) {
                    this.item.selector = selector();
                    this.showFor(window.activeTextEditor);
                }
            }),
            workspace.onDidGrantWorkspaceTrust(() => {
                this.show(this.current);
            }),
        );
        this.show(this.current);
        this.showFor(window.activeTextEditor);
    }

    get message(): string {
        return this.current.message;
    }

    show(status: ServerStatus): void {
        this.current = status;
        const { busy, kind, message, remote } = status;
        const icon = busy ? 'sync~spin' : kind === 'Normal' ? 'sparkle' : kind === 'Inactive' ? 'circle-slash' : 'warning';
        const quiet = kind === 'Normal' && !busy;
        this.name = remote ? `Redraft $(cloud-upload) ${remote}` : 'Redraft';
        this.bar.text = quiet ? `$(${icon}) ${this.name}` : `$(${icon}) ${this.name}: ${shorten(message)}`;
        this.bar.backgroundColor = kind === 'Error' ? new ThemeColor('statusBarItem.warningBackground') : undefined;
        this.bar.tooltip = new MarkdownString(`**Redraft**: ${message}`);
        if (remote) {
            this.bar.tooltip.appendMarkdown(`\n\nEdits send code to **${remote}**.`);
        }
        if (!workspace.isTrusted) {
            this.bar.tooltip.appendMarkdown(`\n\n${RESTRICTED}`);
        }
        this.item.text = `Redraft: ${message}`;
        this.item.busy = busy;
        this.item.severity =
            kind === 'Error'
                ? LanguageStatusSeverity.Error
                : kind === 'Warning'
                  ? LanguageStatusSeverity.Warning
                  : LanguageStatusSeverity.Information;
        this.item.detail = workspace.isTrusted ? (remote ? `Edits send code to ${remote}.` : '') : RESTRICTED;
        this.item.command = REMEDIES[status.command ?? ''] ?? { title: 'Status', command: MENU };
    }

    /** Step k of K, while an edit is under way. */
    step({ step, of }: Denoise): void {
        if (this.current.busy) {
            this.bar.text = `$(sync~spin) ${this.name}: step ${step} of ${of}`;
        }
    }

    dispose(): void {
        this.disposables.dispose();
    }

    private showFor(editor: TextEditor | undefined): void {
        if (editor && languages.match(selector(), editor.document) > 0) {
            this.bar.show();
        } else {
            this.bar.hide();
        }
    }
}

function shorten(message: string): string {
    return message.length > 60 ? `${message.slice(0, 59)}…` : message;
}
