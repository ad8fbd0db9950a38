/** The language server's life: start, stop, restart, and what it is doing. */

import { mkdir } from 'node:fs/promises';
import { EventEmitter, type Disposable, type LogOutputChannel } from 'vscode';
import {
    ErrorCodes,
    ExecuteCommandRequest,
    MessageType,
    ResponseError,
    ShowMessageNotification,
    State,
    TransportKind,
    type CancellationToken,
    type LanguageClient,
    type Middleware,
} from 'vscode-languageclient/node';
import { QuietClient } from './client';
import { notify } from './notify';
import { denoiseNotification, statusNotification, type Denoise, type ServerStatus } from './protocol';
import { NoPython, type Python, type Pythons } from './python';
import { selector, settings, settingsTree } from './settings';

/** The user asked for something and there is no server. The message says why. */
export class ServerUnavailable extends Error {}

export class Server implements Disposable {
    private readonly statuses = new EventEmitter<ServerStatus>();
    private readonly denoises = new EventEmitter<Denoise>();
    readonly onStatus = this.statuses.event;
    readonly onDenoise = this.denoises.event;
    /** To be set before the first start. */
    middleware: Middleware = {};
    python: Python | undefined;
    private client: LanguageClient | undefined;
    /** Starts and stops happen one after the other. */
    private turn: Promise<void> = Promise.resolve();
    private whyNot = 'the server starts with the first file in a language of redraft.languages';

    constructor(
        private readonly pythons: Pythons,
        private readonly log: LogOutputChannel,
    ) {}

    get running(): boolean {
        return this.client?.state === State.Running;
    }

    /** Starts the server, or starts it anew. Failures become a status; they are not thrown. */
    restart(): Promise<void> {
        return this.inTurn(async () => {
            await this.stopNow();
            await this.startNow();
        });
    }

    stop(): Promise<void> {
        return this.inTurn(() => this.stopNow());
    }

    /** One of the server's commands. Throws ServerUnavailable, or the server's own error. */
    async command<Answer>(name: string, argument?: unknown, token?: CancellationToken): Promise<Answer> {
        await this.turn;
        // A request to a client that is starting, after a crash say, waits for it.
        if (!this.client || (!this.running && this.client.state !== State.Starting)) {
            throw new ServerUnavailable(this.whyNot);
        }
        const params = { command: name, arguments: argument === undefined ? [] : [argument] };
        return (await this.client.sendRequest(ExecuteCommandRequest.type, params, token)) as Answer;
    }

    dispose(): void {
        this.statuses.dispose();
        this.denoises.dispose();
    }

    private inTurn(work: () => Promise<void>): Promise<void> {
        this.turn = this.turn.then(work, work);
        return this.turn;
    }

    private async startNow(): Promise<void> {
        this.report('Normal', 'starting', { busy: true });
        await mkdir(this.pythons.folder, { recursive: true });
        try {
            this.python = await this.pythons.find(settings());
            this.log.info(`redraft ${this.python.version} in ${this.python.command.join(' ')} (${this.python.source})`);
            this.client = this.makeClient(this.python);
            await this.client.start();
            this.takeMessages(this.client);
        } catch (error) {
            this.python = undefined;
            const message = inWords(error);
            const command = error instanceof NoPython ? 'redraft.installEngine' : 'redraft.showLogs';
            this.report('Error', message, { command });
            if (!(error instanceof NoPython)) {
                void notify(this.log, 'error', `Redraft: ${message}`);
            }
        }
    }

    private async stopNow(): Promise<void> {
        const client = this.client;
        this.client = undefined;
        this.whyNot = 'the server is stopped: run "Redraft: Restart Server"';
        try {
            await client?.dispose(); // stops it first
        } catch (error) {
            this.log.warn(`the server did not stop cleanly: ${String(error)}`);
        }
    }

    private makeClient(python: Python): LanguageClient {
        const [command = '', ...rest] = python.command;
        const args = [...rest, '-m', 'lsp_server', '--log-level', settings().logLevel.toUpperCase()];
        // Not in the workspace: `python -m` would import the packages of that folder first.
        const options = { cwd: this.pythons.folder, env: { ...process.env, PYTHONUTF8: '1' } };
        const client = new QuietClient(
            this.log,
            { command, args, options, transport: TransportKind.stdio },
            {
                documentSelector: selector(),
                initializationOptions: () => ({ settings: settingsTree() }), // also when it is started again
                middleware: this.middleware,
            },
            () => void notify(this.log, 'error', 'Redraft: the server stopped again and again; the log says why'),
        );
        this.listen(client);
        return client;
    }

    private listen(client: LanguageClient): void {
        client.onNotification(statusNotification, (status) => {
            this.whyNot = status.message;
            this.statuses.fire(status);
        });
        client.onNotification(denoiseNotification, (state) => {
            this.denoises.fire(state);
        });
        client.onDidChangeState(({ newState }) => {
            if (client === this.client && (newState === State.Stopped || newState === State.StartFailed)) {
                this.report('Error', 'the server has stopped', { command: 'redraft.restart' });
            }
        });
    }

    /** In place of the client's own handler, which is set on start and shows every message. */
    private takeMessages(client: LanguageClient): void {
        client.onNotification(ShowMessageNotification.type, ({ type, message }) => {
            const level = type === MessageType.Error ? 'error' : type === MessageType.Warning ? 'warning' : 'info';
            void notify(this.log, level, message);
        });
    }

    private report(kind: ServerStatus['kind'], message: string, more: Partial<ServerStatus> = {}): void {
        this.whyNot = message;
        this.statuses.fire({ busy: false, kind, message, ...more });
    }
}

/** Why the server did not start. */
function inWords(error: unknown): string {
    if (error instanceof ResponseError && error.code === ErrorCodes.PendingResponseRejected) {
        return 'the server ended while it started; the log says why';
    }
    return error instanceof Error ? error.message : String(error);
}
