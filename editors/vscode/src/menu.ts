/** The menus behind "Status" and "Select Model". */

import {
    commands,
    ConfigurationTarget,
    env,
    ProgressLocation,
    QuickPickItemKind,
    window,
    workspace,
    type Memento,
    type QuickPickItem,
} from 'vscode';
import type { StatusReport } from './protocol';
import type { Server } from './server';
import { SECTION, settings } from './settings';
import type { Status } from './status';

const MODELS = 'redraft.models';

interface Item extends QuickPickItem {
    run?: () => unknown;
}

/** What runs, with which Python, engine and model, and the commands that go with it. */
export async function showStatus(server: Server, status: Status, version: string): Promise<void> {
    const options = { location: ProgressLocation.Window, title: 'Redraft: asking the engine' };
    const report = await window.withProgress(options, async () => {
        try {
            return await server.command<StatusReport>('redraft.status');
        } catch {
            return undefined; // without a server, `status` says why
        }
    });
    const facts = describe(server, status, report, version);
    const chosen = await window.showQuickPick(
        [
            ...facts.map(([label, description]): Item => ({ label, description })),
            { label: '', kind: QuickPickItemKind.Separator },
            ...actions(facts),
        ],
        { title: 'Redraft: Status', placeHolder: report?.message ?? status.message },
    );
    await chosen?.run?.();
}

function describe(server: Server, status: Status, report: StatusReport | undefined, version: string): [string, string][] {
    const { python } = server;
    const facts: [string, string][] = [
        ['Redraft', `extension ${version}, ${report?.message ?? status.message}`],
        ['Python', python ? `${python.command.join(' ')} (${python.source}, redraft ${python.version})` : 'none'],
    ];
    if (report?.engine) {
        const { state, model, parameters, device, resident_mb: memory, edits } = report.engine;
        const loaded = `, ${(Number(parameters) / 1e6).toFixed(1)}M parameters, on ${device ?? ''}`;
        facts.push(['Engine', `${state ?? ''}, ${Math.round(Number(memory))} MB, edits so far: ${edits ?? 0}`]);
        facts.push(['Model', `${model ?? ''}${parameters ? loaded : ''}`]);
    }
    if (report) {
        facts.push(['Code', report.remote ? `edits send it to ${report.remote}` : 'stays on this machine']);
    }
    if (!workspace.isTrusted) {
        facts.push(['Restricted Mode', "this workspace's Python and engine settings are not used"]);
    }
    return facts;
}

function actions(facts: [string, string][]): Item[] {
    const action = (icon: string, title: string, command: string, ...args: unknown[]): Item => ({
        label: `$(${icon}) ${title}`,
        run: () => commands.executeCommand(command, ...args),
    });
    return [
        action('debug-restart', 'Restart Server', 'redraft.restart'),
        action('server-process', 'Restart Engine', 'redraft.restartEngine'),
        action('output', 'Show Logs', 'redraft.showLogs'),
        action('library', 'Select Model…', 'redraft.chooseModel'),
        action('desktop-download', 'Install Engine', 'redraft.installEngine'),
        action('settings-gear', 'Settings', 'workbench.action.openSettings', '@ext:redraft.redraft'),
        {
            label: '$(copy) Copy this report',
            run: () => env.clipboard.writeText(facts.map((fact) => fact.join(': ')).join('\n')),
        },
    ];
}

/** Writes `redraft.model.path`; the change of the setting does the rest. */
export async function chooseModel(memory: Memento): Promise<void> {
    const present = settings().modelPath;
    const known = memory.get<string[]>(MODELS, []);
    const use = (path: string | null): Promise<void> => setModel(memory, path);
    const mark = (path: string | null): string => (path === (present ?? null) ? 'in use' : '');
    const items: Item[] = [
        { label: 'Embedded model', description: mark(null), run: () => use(null) },
        ...known.map((path): Item => ({ label: path, description: mark(path), run: () => use(path) })),
        { label: '$(folder-opened) Choose a model folder…', run: () => browse(use) },
    ];
    const chosen = await window.showQuickPick(items, { title: 'Redraft: Select Model' });
    await chosen?.run?.();
}

async function browse(use: (path: string) => Promise<void>): Promise<void> {
    const chosen = await window.showOpenDialog({
        canSelectFiles: false,
        canSelectFolders: true,
        openLabel: 'Use this model',
        title: 'The folder with config.json, tokenizer.json and model.safetensors',
    });
    if (chosen?.[0]) {
        await use(chosen[0].fsPath);
    }
}

async function setModel(memory: Memento, path: string | null): Promise<void> {
    if (path) {
        const others = memory.get<string[]>(MODELS, []).filter((other) => other !== path);
        await memory.update(MODELS, [path, ...others].slice(0, 8));
    }
    await workspace.getConfiguration(SECTION).update('model.path', path, ConfigurationTarget.Global);
}
