/** The settings this side reads, and which changes ask for what. The rest is the server's (`redraft.*`). */

import { workspace, type ConfigurationChangeEvent, type Uri } from 'vscode';
import { contributes } from '../package.json';

export const SECTION = 'redraft';

/** Of the documents that the server is told of, whatever their language. */
export const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell'].map((scheme) => ({ scheme }));
const KEYS = Object.keys(contributes.configuration.properties).map((name) => name.slice(SECTION.length + 1));
const RESTART = ['interpreter', 'importStrategy', 'languages', 'logLevel', 'engine'];

type Tree = Record<string, unknown>;

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

/** What the user has set, as the server takes it: of a folder, or, for its initializationOptions, everywhere (the only
 * place it takes `engine.*` and `model.path` from). Without defaults, which would hide what a project's own file says. */
export function settingsTree(scope?: Uri): Tree {
    const section = workspace.getConfiguration(SECTION, scope ?? null);
    const tree: Tree = {};
    for (const key of KEYS) {
        const set = section.inspect(key);
        if ([set?.globalValue, set?.workspaceValue, set?.workspaceFolderValue].some((value) => value !== undefined)) {
            place(tree, key.split('.'), JSON.parse(JSON.stringify(section.get(key))));
        }
    }
    return tree;
}

function place(tree: Tree, [name = '', ...rest]: string[], value: unknown): void {
    if (rest.length === 0) {
        tree[name] = value;
    } else {
        place((tree[name] ??= {}) as Tree, rest, value);
    }
}

/** What has to happen for a change to take effect; the server pulls everything else by itself. */
export function effectOf(event: ConfigurationChangeEvent): 'restart' | 'model' | 'none' {
    if (RESTART.some((key) => event.affectsConfiguration(`${SECTION}.${key}`))) {
        return 'restart';
    }
    return event.affectsConfiguration(`${SECTION}.model`) ? 'model' : 'none';
}
