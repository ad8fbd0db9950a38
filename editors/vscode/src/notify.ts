/** Messages to the user, as many as `redraft.showNotifications` lets through. */

import { window, type LogOutputChannel } from 'vscode';
import { settings, type Notifications } from './settings';

export type Level = 'info' | 'warning' | 'error';

const SHOWN: Record<Notifications, Level[]> = {
    off: [],
    onError: ['error'],
    onWarning: ['error', 'warning'],
    always: ['error', 'warning', 'info'],
};

/** Shows `message` and returns the action the user chose. It is in the log in any case. */
export async function notify(
    log: LogOutputChannel,
    level: Level,
    message: string,
    ...actions: string[]
): Promise<string | undefined> {
    log[level === 'warning' ? 'warn' : level](message);
    if (!SHOWN[settings().showNotifications].includes(level)) {
        return undefined;
    }
    if (level === 'error') {
        return window.showErrorMessage(message, ...actions);
    }
    return level === 'warning'
        ? window.showWarningMessage(message, ...actions)
        : window.showInformationMessage(message, ...actions);
}
