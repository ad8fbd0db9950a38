/** Side-by-side comparison of the original text with a candidate, in VS Code's own diff editor. */

import { commands, Uri, workspace, type Disposable, type TextDocumentContentProvider } from 'vscode';
import type { Review } from './review';

const SCHEME = 'redraft-preview';

export class Preview implements Disposable, TextDocumentContentProvider {
    private readonly texts = new Map<string, string>();
    private readonly registration = workspace.registerTextDocumentContentProvider(SCHEME, this);
    private readonly closing = workspace.onDidCloseTextDocument(({ uri }) => {
        this.texts.delete(uri.toString());
    });
    private count = 0;

    provideTextDocumentContent(uri: Uri): string {
        return this.texts.get(uri.toString()) ?? '';
    }

    async compare(review: Review, index: number): Promise<void> {
        const candidate = review.candidates[index];
        if (candidate) {
            const name = review.document.uri.path.split('/').at(-1) ?? '';
            const sides = [review.original, candidate.text].map((text, side) => this.put(text, side, name));
            const title = `${name}: original ↔ suggestion ${index + 1}`;
            await commands.executeCommand('vscode.diff', ...sides, title, { preview: true });
        }
    }

    dispose(): void {
        this.registration.dispose();
        this.closing.dispose();
    }

    private put(text: string, side: number, name: string): Uri {
        const uri = Uri.from({ scheme: SCHEME, path: `/${this.count++}/${side ? 'suggestion' : 'original'}/${name}` });
        this.texts.set(uri.toString(), text);
        return uri;
    }
}
