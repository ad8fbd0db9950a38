/** The settings this side reads, and which changes ask for what. The rest is the server's (`redraft.*`). */

import { workspace, type ConfigurationChangeEvent } from 'vscode';

export const SECTION = 'redraft';

const RESTART = ['interpreter', 'importStrategy', 'logLevel', 'engine'];

export type Notifications = 'off' | 'onError' | 'onWarning' | 'always';

export interface Settings {
    interpreter: string[];
    importStrategy: 'fromEnvironment' | 'useBundled';
    showNotifications: Notifications;
    logLevel: 'error' | 'warning' | 'info' | 'debug';
    instructions: string[];
    /** The server applies by itself and VS Code asks for confirmation in its Refactor Preview. */
    needsConfirmation: boolean;
    modelPath: string | null;
}

export function settings(): Settings {
    const tree = workspace.getConfiguration(SECTION);
    return {
        interpreter: tree.get('interpreter', []),
        importStrategy: tree.get('importStrategy', 'fromEnvironment'),
        showNotifications: tree.get('showNotifications', 'onWarning'),
        logLevel: tree.get('logLevel', 'warning'),
        instructions: tree.get('instructions', []),
        needsConfirmation: tree.get('preview.needsConfirmation', false),
        modelPath: tree.get<string | null>('model.path', null),
    };
}

/** The whole section for the server's initializationOptions: the only place it takes `engine.*` and `model.path` from. */
export function settingsTree(): unknown {
    return JSON.parse(JSON.stringify(workspace.getConfiguration().get(SECTION) ?? {}));
}

/** What has to happen for a change to take effect; the server pulls everything else by itself. */
export function effectOf(event: ConfigurationChangeEvent): 'restart' | 'model' | 'none' {
    if (RESTART.some((key) => event.affectsConfiguration(`${SECTION}.${key}`))) {
        return 'restart';
    }
    return event.affectsConfiguration(`${SECTION}.model`) ? 'model' : 'none';
}
