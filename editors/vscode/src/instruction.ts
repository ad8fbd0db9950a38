/** The box that asks what to do with a selection. It remembers what was asked before. */

import { ThemeIcon, window, type Memento, type QuickPickItem } from 'vscode';

const KEY = 'redraft.instructions';
const REMEMBERED = 30;
const PAUSE_MS = 200;
const FORGET = { iconPath: new ThemeIcon('close'), tooltip: 'Forget' };

interface Item extends QuickPickItem {
    /** Undefined: what is typed. */
    instruction?: string;
}

export class Instructions {
    /** Typed but not sent: there again the next time. */
    private draft = '';

    constructor(private readonly memory: Memento) {}

    /**
     * The instruction, possibly empty; undefined when the user went away. `typing` is called when the user
     * pauses, so that the engine can read the context meanwhile.
     */
    ask(presets: readonly string[], typing: (instruction: string) => void): Promise<string | undefined> {
        const box = window.createQuickPick<Item>();
        box.title = 'Redraft: Rewrite Selection';
        box.placeholder = 'What should change? (Enter alone rewrites without an instruction)';
        box.matchOnDescription = true;
        box.value = this.draft;
        let pause: NodeJS.Timeout | undefined;
        const refresh = (): void => {
            box.items = this.items(presets, box.value);
            box.activeItems = box.items.slice(0, 1);
            clearTimeout(pause);
            pause = setTimeout(() => {
                typing(box.value.trim());
            }, PAUSE_MS);
        };
        refresh();
        box.show();
        return new Promise((resolve) => {
            let answer: string | undefined;
            box.onDidChangeValue(refresh);
            box.onDidTriggerItemButton(({ item }) => {
                void this.forget(item.instruction ?? '').then(refresh);
            });
            box.onDidAccept(() => {
                answer = box.activeItems[0]?.instruction ?? box.value.trim(); // the list may lag behind the typing
                box.hide();
            });
            box.onDidHide(() => {
                clearTimeout(pause);
                this.draft = answer === undefined ? box.value : '';
                box.dispose();
                void this.remember(answer).then(() => {
                    resolve(answer);
                });
            });
        });
    }

    private get past(): string[] {
        return this.memory.get<string[]>(KEY, []);
    }

    private items(presets: readonly string[], value: string): Item[] {
        const typed = value.trim();
        const first: Item = typed
            ? { label: typed, alwaysShow: true, description: 'rewrite' }
            : { label: '$(sparkle) Rewrite without an instruction', alwaysShow: true };
        const past = this.past.filter((instruction) => instruction !== typed);
        const given = presets.filter((instruction) => instruction !== typed && !past.includes(instruction));
        return [
            first,
            ...past.map((instruction) => ({ label: instruction, instruction, description: 'asked before', buttons: [FORGET] })),
            ...given.map((instruction) => ({ label: instruction, instruction, description: 'preset' })),
        ];
    }

    private async remember(instruction: string | undefined): Promise<void> {
        if (instruction) {
            const others = this.past.filter((past) => past !== instruction);
            await this.memory.update(KEY, [instruction, ...others].slice(0, REMEMBERED));
        }
    }

    private async forget(instruction: string): Promise<void> {
        await this.memory.update(
            KEY,
            this.past.filter((past) => past !== instruction),
        );
    }
}
