/** What the language server adds to LSP: the commands' arguments and answers, and two notifications. */

import { NotificationType, type Range } from 'vscode-languageclient/node';

export type Intent = 'rewrite' | 'fix' | 'fill';

/** The one argument of `redraft.rewrite`, `redraft.fix` and `redraft.fill`. */
export interface EditArgument {
    uri: string;
    range: Range;
    version?: number;
    instruction?: string;
    /** The diagnostic to mend. */
    message?: string;
    /** Where no fix is sure, hand over unsure ones. */
    guess?: true;
    /** Mend every fault of the document; the server applies the result itself. */
    all?: boolean;
    /** Progress is reported under it instead of under one that the server asks for. */
    workDoneToken?: string;
    /** False: hand the candidates over and leave the document alone. */
    apply?: false;
}

export interface Candidate {
    text: string;
    /** Mean log-likelihood per token, at most 0; higher is better. */
    score: number;
    /** Whether the whole document parses with it; null when there is no parser for the language. */
    parses: boolean | null;
}

/** The candidates of one edit. `range` holds `original` in document `version`. */
export interface Proposal {
    version: number;
    range: Range;
    original: string;
    candidates: Candidate[];
}

export interface EditOutcome {
    applied: boolean;
    reason?: string;
    proposal?: Proposal | null;
}

export interface ServerStatus {
    busy: boolean;
    kind: 'Normal' | 'Warning' | 'Error' | 'Inactive';
    message: string;
    command?: string | null;
    /** The host that edits send code to; null: code stays on this machine. */
    remote?: string | null;
}

/** The answer of the command `redraft.status`. */
export interface StatusReport extends ServerStatus {
    engine: Record<string, string | number> | null;
}

/** One denoising state of an edit under way; masks are U+2591. */
export interface Denoise {
    job: number;
    uri: string;
    version: number;
    range: Range;
    step: number;
    of: number;
    text: string;
    /** What the step has changed; line 0 is the first of `text`. */
    changed: Range[];
}

export const statusNotification = new NotificationType<ServerStatus>('redraft/status');
export const denoiseNotification = new NotificationType<Denoise>('redraft/denoise');
