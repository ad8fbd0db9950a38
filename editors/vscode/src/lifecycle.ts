/** When the server starts, and when it starts anew: with documents, settings, trust and the selected interpreter. */

import { commands, languages, workspace, type ExtensionContext, type LogOutputChannel } from 'vscode';
import { notify } from './notify';
import { watchInterpreter } from './python';
import type { Server } from './server';
import { effectOf, SECTION, selector, settings } from './settings';
import type { Status } from './status';

const ASKED = 'redraft.askedToInstall';
/** For the conditions of commands, keys and menus. */
const LANGUAGES = 'redraft.languages';
const RESTART_AFTER_MS = 300;

/** Starts the server with the first document it is for; restarts it for what it was started with, and only then. */
export function follow(context: ExtensionContext, server: Server, status: Status, log: LogOutputChannel): void {
    let begun = false;
    let restart: NodeJS.Timeout | undefined;
    const needed = (): boolean => workspace.textDocuments.some((document) => languages.match(selector(), document) > 0);
    const start = async (): Promise<void> => {
        begun = true;
        await server.restart();
        if (!server.running) {
            await offerInstall(context, status.message, log);
        }
    };
    const startIfNeeded = (): void => {
        if (!begun && needed()) {
            void start();
        }
    };
    const restartIfBegun = (): void => {
        if (begun) {
            void server.restart();
        } else {
            startIfNeeded();
        }
    };
    announceLanguages();
    startIfNeeded();
    context.subscriptions.push(
        workspace.onDidOpenTextDocument(startIfNeeded),
        workspace.onDidChangeConfiguration((event) => {
            const effect = effectOf(event);
            if (event.affectsConfiguration(`${SECTION}.languages`)) {
                announceLanguages();
            }
            if (effect === 'restart') {
                // Later: the client is about to tell the present server of the change.
                clearTimeout(restart);
                restart = setTimeout(restartIfBegun, RESTART_AFTER_MS);
            } else if (effect === 'model') {
                server.command('redraft.selectModel', { path: settings().modelPath }).catch(() => undefined); // in the status
            }
        }),
        workspace.onDidGrantWorkspaceTrust(restartIfBegun),
    );
    void followInterpreter(context, restartIfBegun);
}

function announceLanguages(): void {
    void commands.executeCommand('setContext', LANGUAGES, settings().languages);
}

async function followInterpreter(context: ExtensionContext, restart: () => void): Promise<void> {
    const watching = await watchInterpreter(() => {
        if (settings().interpreter.length === 0 && settings().importStrategy === 'fromEnvironment') {
            restart();
        }
    });
    if (watching) {
        context.subscriptions.push(watching);
    }
}

/** Once, on a machine without an engine. After that the status item says it. */
async function offerInstall(context: ExtensionContext, reason: string, log: LogOutputChannel): Promise<void> {
    if (context.globalState.get(ASKED)) {
        return;
    }
    await context.globalState.update(ASKED, true);
    const choice = await notify(log, 'warning', `Redraft: ${reason}`, 'Install Engine', 'Get Started');
    if (choice) {
        await commands.executeCommand(choice === 'Install Engine' ? 'redraft.installEngine' : 'redraft.getStarted');
    }
}
