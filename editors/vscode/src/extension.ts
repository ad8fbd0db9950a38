/** Puts the parts together, and follows settings, trust and the selected interpreter. */

import { commands, window, workspace, type Disposable, type ExtensionContext, type LogOutputChannel } from 'vscode';
import { openSample, registerEditCommands, registerReviewCommands } from './commands';
import { Denoising } from './denoising';
import { Edits } from './edits';
import { installEngine } from './install';
import { Instructions } from './instruction';
import { chooseModel, showStatus } from './menu';
import { notify } from './notify';
import { Preview } from './preview';
import { Pythons, watchInterpreter } from './python';
import { Reviews } from './reviews';
import { ReviewView } from './reviewView';
import { Server } from './server';
import { effectOf, settings } from './settings';
import { Status } from './status';

const ASKED = 'redraft.askedToInstall';
const RUNNING = 'redraft.running';
const RESTART_AFTER_MS = 300;

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
    follow(context, started);
    void started.restart().then(async () => {
        if (!started.running) {
            await offerInstall(context, status.message, log);
        }
    });
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

/** Restarts the server when something changes that it was started with, and only then. */
function follow(context: ExtensionContext, started: Server): void {
    let restart: NodeJS.Timeout | undefined;
    context.subscriptions.push(
        workspace.onDidChangeConfiguration((event) => {
            const effect = effectOf(event);
            if (effect === 'restart') {
                // Later: the client is about to tell the present server of the change.
                clearTimeout(restart);
                restart = setTimeout(() => void started.restart(), RESTART_AFTER_MS);
            } else if (effect === 'model') {
                started.command('redraft.selectModel', { path: settings().modelPath }).catch(() => undefined); // in the status
            }
        }),
        workspace.onDidGrantWorkspaceTrust(() => void started.restart()),
    );
    void watchInterpreter(() => {
        if (settings().interpreter.length === 0 && settings().importStrategy === 'fromEnvironment') {
            void started.restart();
        }
    }).then((watching) => {
        if (watching) {
            context.subscriptions.push(watching);
        }
    });
}

/** Once, on a machine without an engine. After that the status item says it. */
async function offerInstall(
    context: ExtensionContext,
    reason: string,
    log: LogOutputChannel,
): Promise<void> {
    if (context.globalState.get(ASKED)) {
        return;
    }
    await context.globalState.update(ASKED, true);
    const choice = await notify(log, 'warning', `Redraft: ${reason}`, 'Install Engine', 'Get Started');
    if (choice) {
        await commands.executeCommand(choice === 'Install Engine' ? 'redraft.installEngine' : 'redraft.getStarted');
    }
}
