/** The settings this side reads, and which changes ask for what. The rest is the server's (`redraft.*`). */

import { workspace, type ConfigurationChangeEvent } from 'vscode';

export const SECTION = 'redraft';

/** Of the documents that the server is told of, whatever their language. */
export const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell'].map((scheme) => ({ scheme }));
const RESTART = ['interpreter', 'importStrategy', 'languages', 'logLevel', 'engine'];

export type Notifications = 'off' | 'onError' | 'onWarning' | 'always';

export interface Settings {
    interpreter: string[];
    importStrategy: 'fromEnvironment' | 'useBundled';
    languages: string[];
    showNotifications: Notifications;
    logLevel: 'error' | 'warning' | 'info' | 'debug';
    trace: 'off' | 'messages' | 'verbose';
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
        languages: tree.get('languages', ['python']),
        showNotifications: tree.get('showNotifications', 'onWarning'),
        logLevel: tree.get('logLevel', 'warning'),
        trace: tree.get('trace.server', 'off'),
        instructions: tree.get('instructions', []),
        needsConfirmation: tree.get('preview.needsConfirmation', false),
        modelPath: tree.get<string | null>('model.path', null),
    };
}

/** The documents that Redraft works in. */
export function selector(): { scheme: string; language: string }[] {
    return settings().languages.flatMap((language) => SCHEMES.map(({ scheme }) => ({ scheme, language })));
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
