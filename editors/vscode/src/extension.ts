/** Puts the parts together. */

import { commands, window, type Disposable, type ExtensionContext, type LogOutputChannel } from 'vscode';
import { openSample, registerEditCommands, registerReviewCommands } from './commands';
import { Denoising } from './denoising';
import { Edits } from './edits';
import { installEngine } from './install';
import { Instructions } from './instruction';
import { follow } from './lifecycle';
import { chooseModel, showStatus } from './menu';
import { Preview } from './preview';
import { Pythons } from './python';
import { Reviews } from './reviews';
import { ReviewView } from './reviewView';
import { Server } from './server';
import { Status } from './status';

const RUNNING = 'redraft.running';

let server: Server | undefined;

export function activate(context: ExtensionContext): void {
    const log = window.createOutputChannel('Redraft', { log: true });
    const pythons = new Pythons(context.globalStorageUri.fsPath, log);
    const started = new Server(pythons, log);
    server = started;
    const status = new Status();
    context.subscriptions.push(
        log,
        started,
        status,
        started.onStatus((now) => {
            status.show(now);
            void commands.executeCommand('setContext', RUNNING, started.running);
        }),
        started.onDenoise((state) => {
            status.step(state);
        }),
        ...registerServerCommands(context, started, status, pythons, log),
    );
    addEditing(context, started, log);
    follow(context, started, status, log);
}

function addEditing(context: ExtensionContext, started: Server, log: LogOutputChannel): void {
    const reviews = new Reviews();
    const denoising = new Denoising();
    const preview = new Preview();
    const edits = new Edits(started, reviews, denoising, log);
    started.middleware = edits.middleware;
    const instructions = new Instructions(context.globalState);
    context.subscriptions.push(
        reviews,
        new ReviewView(reviews),
        denoising,
        preview,
        edits,
        ...registerEditCommands(started, edits, instructions),
        ...registerReviewCommands(reviews, preview),
    );
}

function registerServerCommands(
    context: ExtensionContext,
    started: Server,
    status: Status,
    pythons: Pythons,
    log: LogOutputChannel,
): Disposable[] {
    const version = String((context.extension.packageJSON as { version: unknown }).version);
    const register = (name: string, work: () => unknown): Disposable => commands.registerCommand(`redraft.${name}`, work);
    return [
        register('restart', () => started.restart()),
        register('showLogs', () => {
            log.show();
        }),
        register('showStatus', () => showStatus(started, status, version)),
        register('chooseModel', () => chooseModel(context.globalState)),
        register('installEngine', async () => {
            await started.stop();
            status.show({ busy: true, kind: 'Normal', message: 'installing the engine' });
            await installEngine(pythons, context.extensionPath, log);
            await started.restart();
        }),
        register('trySample', openSample),
        register('getStarted', () =>
            commands.executeCommand('workbench.action.openWalkthrough', 'redraft.redraft#redraft.start', false),
        ),
    ];
}

export async function deactivate(): Promise<void> {
    await server?.stop();
}
