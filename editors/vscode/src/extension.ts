/** Puts the parts together, and follows settings, trust and the selected interpreter. */

import { commands, window, workspace, type ExtensionContext } from 'vscode';
import { registerCommands } from './commands';
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

let server: Server | undefined;

export async function activate(context: ExtensionContext): Promise<void> {
    const log = window.createOutputChannel('Redraft', { log: true });
    const pythons = new Pythons(context.globalStorageUri.fsPath, log);
    const reviews = new Reviews();
    const denoising = new Denoising();
    const edits = new Edits(reviews, denoising, log);
    const started = new Server(pythons, log, edits.middleware(() => started));
    server = started;
    const status = new Status();
    const preview = new Preview();
    const install = async (): Promise<void> => {
        await started.stop();
        await installEngine(pythons, context.extensionPath, log);
        await started.restart();
    };
    edits.attach(started);
    const version = String((context.extension.packageJSON as { version: unknown }).version);
    context.subscriptions.push(
        log,
        reviews,
        new ReviewView(reviews),
        denoising,
        edits,
        started,
        status,
        preview,
        started.onStatus((now) => {
            status.show(now);
        }),
        started.onDenoise((state) => {
            status.step(state);
        }),
        ...registerCommands({
            server: started,
            edits,
            reviews,
            preview,
            instructions: new Instructions(context.globalState),
            log,
            installEngine: install,
            showStatus: () => showStatus(started, status, version),
            chooseModel: () => chooseModel(context.globalState),
        }),
    );
    follow(context, started);
    await started.restart();
    if (!started.running) {
        void offerInstall(context, started, status.message, log);
    }
}

export async function deactivate(): Promise<void> {
    await server?.stop();
}

/** Restarts the server when something changes that it was started with, and only then. */
function follow(context: ExtensionContext, started: Server): void {
    context.subscriptions.push(
        workspace.onDidChangeConfiguration((event) => {
            const effect = effectOf(event);
            if (effect === 'restart') {
                void started.restart();
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
    started: Server,
    reason: string,
    log: ReturnType<typeof window.createOutputChannel> & Parameters<typeof notify>[0],
): Promise<void> {
    if (context.globalState.get(ASKED) || started.running) {
        return;
    }
    await context.globalState.update(ASKED, true);
    const choice = await notify(log, 'warning', `Redraft: ${reason}`, 'Install Engine', 'Get Started');
    if (choice) {
        await commands.executeCommand(choice === 'Install Engine' ? 'redraft.installEngine' : 'redraft.getStarted');
    }
}
