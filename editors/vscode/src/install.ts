/** Installs the engine into an environment of its own, with progress, from the wheel that came with the extension. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import { ProgressLocation, window, type CancellationToken, type LogOutputChannel, type Progress } from 'vscode';
import { activeInterpreter, probe, type Pythons } from './python';
import { settings } from './settings';

const OLDEST_PYTHON: [number, number] = [3, 10];
/** PyTorch without CUDA: 200 MB instead of several GB. Elsewhere than on Linux the default ones are like that. */
const CPU_TORCH = ['--retries', '1', '--index-url', 'https://download.pytorch.org/whl/cpu', 'torch>=2.9'];
/** What pip says that is worth a place in the progress message: the names of packages. */
const NEWS = /^\s*(Collecting|Downloading|Installing)\s+([\w.]+)/;

type Report = Progress<{ message?: string; increment?: number }>;

/** The wish of the user, not a failure. */
class Cancelled extends Error {}

/** Installs or updates. Returns whether it did; failures are shown with what to do about them. */
export async function installEngine(pythons: Pythons, extensionPath: string, log: LogOutputChannel): Promise<boolean> {
    const options = { location: ProgressLocation.Notification, title: 'Redraft: installing the engine', cancellable: true };
    try {
        await window.withProgress(options, (progress, token) => install(pythons, extensionPath, log, progress, token));
        return true;
    } catch (error) {
        if (!(error instanceof Cancelled)) {
            const message = error instanceof Error ? error.message : String(error);
            log.error(message);
            void window.showErrorMessage(`Redraft: the engine was not installed: ${message}`, 'Show Logs').then((choice) => {
                if (choice) {
                    log.show();
                }
            });
        }
        return false;
    }
}

async function install(
    pythons: Pythons,
    extensionPath: string,
    log: LogOutputChannel,
    progress: Report,
    token: CancellationToken,
): Promise<void> {
    progress.report({ message: 'looking for Python' });
    await mkdir(pythons.folder, { recursive: true });
    const base = await basePython(pythons.folder, log);
    const wheel = await bundledWheel(extensionPath);
    progress.report({ message: 'making an environment' });
    const before = `${pythons.managedFolder}.before`;
    const working = existsSync(pythons.managedMark);
    await rm(before, { recursive: true, force: true });
    if (working) {
        await rename(pythons.managedFolder, before);
    }
    try {
        await fill(pythons, base, wheel, log, progress, token);
    } catch (error) {
        await rm(pythons.managedFolder, { recursive: true, force: true });
        if (working) {
            await rename(before, pythons.managedFolder); // the engine that was there goes on working
        }
        throw error;
    }
    await rm(before, { recursive: true, force: true });
}

/** Makes the environment anew. */
async function fill(
    pythons: Pythons,
    base: string[],
    wheel: string,
    log: LogOutputChannel,
    progress: Report,
    token: CancellationToken,
): Promise<void> {
    await rm(pythons.managedFolder, { recursive: true, force: true });
    const step = (command: string[], onLine: (line: string) => void): Promise<void> =>
        execute(command, pythons.folder, log, token, onLine);
    await step([...base, '-m', 'venv', pythons.managedFolder], () => undefined).catch((error: unknown) => {
        if (error instanceof Cancelled) {
            throw error;
        }
        throw new Error(`${base.join(' ')} -m venv failed (on Debian and Ubuntu: apt install python3-venv)`);
    });
    const pip = [pythons.managedPython, '-m', 'pip', 'install', '--disable-pip-version-check', '--progress-bar', 'off'];
    const tell = (line: string): void => {
        const [, what, name] = NEWS.exec(line) ?? [];
        if (what && name) {
            progress.report({ message: what === 'Installing' ? 'unpacking' : `${what.toLowerCase()} ${name}` });
        }
    };
    if (process.platform === 'linux' && !existsSync('/proc/driver/nvidia')) {
        await step([...pip, ...CPU_TORCH], tell).catch((error: unknown) => {
            if (error instanceof Cancelled) {
                throw error;
            }
            log.warn('PyTorch for CPUs cannot be had from its own index: the default one, which is larger, will do');
        });
    }
    await step([...pip, wheel], tell);
    await writeFile(pythons.managedMark, path.basename(wheel));
}

/** Throws when there is no Python new enough. */
async function basePython(folder: string, log: LogOutputChannel): Promise<string[]> {
    const active = await activeInterpreter();
    const system = process.platform === 'win32' ? [['py', '-3'], ['python']] : [['python3'], ['python']];
    const tried = [settings().interpreter, active ? [active] : [], ...system].filter((command) => command.length > 0);
    for (const command of tried) {
        try {
            const { python } = await probe(command, folder);
            if (python[0] > OLDEST_PYTHON[0] || (python[0] === OLDEST_PYTHON[0] && python[1] >= OLDEST_PYTHON[1])) {
                return command;
            }
            log.info(`${command.join(' ')} is Python ${python.join('.')}: too old`);
        } catch (error) {
            log.info(`${command.join(' ')} cannot be run: ${String(error)}`);
        }
    }
    throw new Error(`Python ${OLDEST_PYTHON.join('.')} or newer was not found: install it, or set redraft.interpreter`);
}

async function bundledWheel(extensionPath: string): Promise<string> {
    const folder = path.join(extensionPath, 'bundled');
    const names = existsSync(folder) ? await readdir(folder) : [];
    const wheel = names.find((name) => name.endsWith('.whl'));
    if (!wheel) {
        throw new Error('this build of the extension holds no engine: pip install redraft, then set redraft.interpreter');
    }
    return path.join(folder, wheel);
}

/** Runs `command`; its output goes to the log and, line by line, to `onLine`. */
function execute(
    command: string[],
    folder: string,
    log: LogOutputChannel,
    token: CancellationToken,
    onLine: (line: string) => void,
): Promise<void> {
    const [program = '', ...rest] = command;
    log.info(command.join(' '));
    return new Promise((resolve, reject) => {
        const child = spawn(program, rest, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
        let last = '';
        const listening = token.onCancellationRequested(() => child.kill());
        createInterface(child.stdout).on('line', (line) => {
            log.debug(line);
            onLine(line);
        });
        createInterface(child.stderr).on('line', (line) => {
            log.warn(line);
            last = line.trim() || last;
        });
        child.on('error', reject);
        child.on('close', (status) => {
            listening.dispose();
            if (token.isCancellationRequested) {
                reject(new Cancelled());
            } else if (status === 0) {
                resolve();
            } else {
                reject(new Error(last || `${program} ended with status ${status ?? 'unknown'}`));
            }
        });
    });
}
