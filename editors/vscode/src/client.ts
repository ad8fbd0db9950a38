/** The language client, made to say nothing by itself and to trace when its setting says so. */

import { EventEmitter, LogLevel, workspace, type LogOutputChannel } from 'vscode';
import {
    CloseAction,
    LanguageClient,
    State,
    type CloseHandlerResult,
    type LanguageClientOptions,
    type ServerOptions,
} from 'vscode-languageclient/node';
import { SECTION, settings } from './settings';

/** It would show every failure in a pop-up, with the protocol's error codes. Here they are logged; what the user should
 * know is said once, in words, by the status and by `gaveUp`. */
export class QuietClient extends LanguageClient {
    private readonly tracing: Tracing;

    constructor(log: LogOutputChannel, server: ServerOptions, options: LanguageClientOptions, gaveUp: () => void) {
        const tracing = new Tracing(log);
        super(SECTION, 'Redraft', server, {
            ...options,
            outputChannel: log,
            traceOutputChannel: tracing.channel,
            initializationFailedHandler: () => false,
            errorHandler: { error: (...args) => restarts.error(...args), closed: () => closed() },
        });
        this.tracing = tracing;
        const restarts = this.createDefaultErrorHandler();
        const closed = async (): Promise<CloseHandlerResult> => {
            // What ends while it starts would do so again.
            const result = this.state === State.Running ? await restarts.closed() : { action: CloseAction.DoNotRestart };
            if (this.state === State.Running && result.action === CloseAction.DoNotRestart) {
                gaveUp();
            }
            return result;
        };
    }

    override error(message: string, data?: unknown): void {
        super.error(message, data, false);
    }

    override async dispose(timeout?: number): Promise<void> {
        this.tracing.dispose();
        await super.dispose(timeout);
    }
}

/** Lets `redraft.trace.server` alone decide: the client traces when the level of a log says so, which only the user can
 * change, in another place. */
class Tracing {
    private readonly levels = new EventEmitter<LogLevel>();
    private readonly following = workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration(`${SECTION}.trace.server`)) {
            this.levels.fire(level());
        }
    });
    readonly channel: LogOutputChannel;

    constructor(log: LogOutputChannel) {
        this.channel = Object.create(log, {
            logLevel: { get: level },
            onDidChangeLogLevel: { value: this.levels.event },
            trace: {
                value: (message: string): void => {
                    log.info(message);
                },
            },
        }) as LogOutputChannel;
    }

    dispose(): void {
        this.following.dispose();
        this.levels.dispose();
    }
}

function level(): LogLevel {
    return settings().trace === 'off' ? LogLevel.Info : LogLevel.Trace;
}
