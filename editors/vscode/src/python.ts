/** Which Python runs the server: the setting, then the Python extension's, then our own environment. */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { PythonExtension } from '@vscode/python-extension';
import { extensions, workspace, type Disposable, type LogOutputChannel } from 'vscode';
import type { Settings } from './settings';

const run = promisify(execFile);
const PROBE = `
import json, sys
from importlib import metadata
try:
    redraft = metadata.version("redraft")
except metadata.PackageNotFoundError:
    redraft = None
print(json.dumps({"python": list(sys.version_info[:2]), "redraft": redraft}))
`;
const PROBE_TIMEOUT_MS = 20_000;
const PYTHON_EXTENSION = 'ms-python.python';

export type Source = 'redraft.interpreter' | 'the Python extension' | "Redraft's own environment";

export interface Python {
    command: string[];
    source: Source;
    /** Of the redraft package in it. */
    version: string;
}

export interface Probe {
    python: [number, number];
    redraft: string | null;
}

/** No Python with redraft in it. The message says what to do. */
export class NoPython extends Error {}

/**
 * Runs in `folder`, which must be ours: `python -m` and `python -c` import from the working directory, and a
 * workspace must not get to run code that way.
 */
export async function probe(command: string[], folder: string): Promise<Probe> {
    const [program, ...rest] = command;
    if (!program) {
        throw new Error('no program');
    }
    const { stdout } = await run(program, [...rest, '-c', PROBE], { cwd: folder, timeout: PROBE_TIMEOUT_MS });
    return JSON.parse(stdout) as Probe;
}

export class Pythons {
    /** @param folder the extension's global storage. */
    constructor(
        readonly folder: string,
        private readonly log: LogOutputChannel,
    ) {}

    /** Its name must be no module's: Python looks in the working directory first. */
    get managedFolder(): string {
        return path.join(this.folder, 'python-environment');
    }

    get managedPython(): string {
        return process.platform === 'win32'
            ? path.join(this.managedFolder, 'Scripts', 'python.exe')
            : path.join(this.managedFolder, 'bin', 'python');
    }

    /** Written last by the installation: without it the environment is unfinished. */
    get managedMark(): string {
        return path.join(this.managedFolder, '.complete');
    }

    /** Throws NoPython. */
    async find(settings: Settings): Promise<Python> {
        if (settings.interpreter.length > 0) {
            return this.fromSetting(settings.interpreter);
        }
        if (settings.importStrategy === 'fromEnvironment') {
            const active = await activeInterpreter();
            const found = active && (await this.tryPython([active], 'the Python extension'));
            if (found) {
                return found;
            }
        }
        const own = existsSync(this.managedMark)
            ? await this.tryPython([this.managedPython], "Redraft's own environment")
            : undefined;
        if (own) {
            return own;
        }
        throw new NoPython('the engine is not installed yet: run "Redraft: Install Engine"');
    }

    private async fromSetting(command: string[]): Promise<Python> {
        const name = command.join(' ');
        let found: Probe;
        try {
            found = await probe(command, this.folder);
        } catch (error) {
            this.log.error(`${name}: ${String(error)}`);
            throw new NoPython(`redraft.interpreter (${name}) cannot be run: correct the setting`);
        }
        if (!found.redraft) {
            throw new NoPython(`redraft.interpreter (${name}) has no redraft package: pip install it there, or clear the setting`);
        }
        return { command, source: 'redraft.interpreter', version: found.redraft };
    }

    private async tryPython(command: string[], source: Source): Promise<Python | undefined> {
        try {
            const { redraft } = await probe(command, this.folder);
            if (redraft) {
                return { command, source, version: redraft };
            }
            this.log.info(`${command.join(' ')} (${source}) has no redraft package`);
        } catch (error) {
            this.log.warn(`${command.join(' ')} (${source}) cannot be run: ${String(error)}`);
        }
        return undefined;
    }
}

/** The Python extension's choice. Not in an untrusted workspace, whose folder that interpreter may come from. */
export async function activeInterpreter(): Promise<string | undefined> {
    if (!workspace.isTrusted || !extensions.getExtension(PYTHON_EXTENSION)) {
        return undefined;
    }
    const { environments } = await PythonExtension.api();
    const resource = workspace.workspaceFolders?.[0]?.uri;
    const environment = await environments.resolveEnvironment(environments.getActiveEnvironmentPath(resource));
    return environment?.executable.uri?.fsPath;
}

/** Calls `changed` when another interpreter is selected in the Python extension. */
export async function watchInterpreter(changed: () => void): Promise<Disposable | undefined> {
    if (!extensions.getExtension(PYTHON_EXTENSION)) {
        return undefined;
    }
    const { environments } = await PythonExtension.api();
    return environments.onDidChangeActiveEnvironmentPath(changed);
}
