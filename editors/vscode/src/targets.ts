/** Where a command means to work: from the cursor, the selection and the diagnostics to an edit's argument. */

import { languages, type Diagnostic, type Position, type Range, type TextEditor } from 'vscode';
import type { EditArgument } from './protocol';

/** A line that is a placeholder and nothing else. */
const HOLE = /^(\s*)(\.\.\.|pass|# TODO.*)\s*$/;

/** A vscode.Range becomes an array in JSON, so its positions are copied out of it. */
function argument({ document }: TextEditor, { start, end }: Range): EditArgument {
    const plain = ({ line, character }: Position): { line: number; character: number } => ({ line, character });
    return { uri: document.uri.toString(), range: { start: plain(start), end: plain(end) } };
}

export function rewriteTarget(editor: TextEditor, instruction: string): EditArgument {
    const { selection, document } = editor;
    const range = selection.isEmpty ? document.lineAt(selection.active.line).range : selection;
    return { ...argument(editor, range), ...(instruction ? { instruction } : {}) };
}

/** The selection; else the diagnostic at the cursor, in its line, or nearest to it; else the cursor's line. */
export function fixTarget(editor: TextEditor): EditArgument {
    const { selection, document } = editor;
    const diagnostics = languages.getDiagnostics(document.uri);
    if (!selection.isEmpty) {
        const inside = diagnostics.find(({ range }) => selection.intersection(range));
        return { ...argument(editor, selection), ...(inside ? { message: inside.message } : {}) };
    }
    const { active } = selection;
    const distance = ({ range, severity }: Diagnostic): number =>
        range.contains(active) ? -1 : Math.abs(range.start.line - active.line) + severity / 10;
    const nearest = [...diagnostics].sort((a, b) => distance(a) - distance(b))[0];
    return nearest
        ? { ...argument(editor, nearest.range), message: nearest.message }
        : argument(editor, document.lineAt(active.line).range);
}

/** The selection; else the placeholder in the cursor's line; else the cursor itself. */
export function fillTarget(editor: TextEditor): EditArgument {
    const { selection, document } = editor;
    const line = document.lineAt(selection.active.line);
    return argument(editor, selection.isEmpty && HOLE.test(line.text) ? line.range : selection);
}
