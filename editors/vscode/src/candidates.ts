/** The list of candidates. Going through it shows each in the file; leaving it puts the former one back. */

import { ThemeIcon, window, type QuickPickItem } from 'vscode';
import { hunksOf, splitLines } from './hunks';
import type { Preview } from './preview';
import type { Candidate } from './protocol';
import type { Review } from './review';
import type { Reviews } from './reviews';

const COMPARE = { iconPath: new ThemeIcon('diff'), tooltip: 'Compare with the original' };

interface Item extends QuickPickItem {
    index: number;
}

export async function chooseCandidate(review: Review, reviews: Reviews, preview: Preview): Promise<void> {
    const pick = window.createQuickPick<Item>();
    const before = review.index;
    pick.title = 'Redraft: Suggestions';
    pick.placeholder = 'Each is shown in the file as you go through the list';
    pick.items = review.candidates.map((candidate, index) => describe(candidate, index, review.original));
    pick.activeItems = pick.items.filter(({ index }) => index === before);
    pick.show();
    // The editor takes one change at a time.
    let turn = Promise.resolve();
    const show = (index: number): void => {
        turn = turn.then(() => (review.index === index ? undefined : reviews.show(review, index)));
    };
    await new Promise<void>((resolve) => {
        let chosen = before;
        pick.onDidChangeActive(([item]) => {
            show(item?.index ?? before);
        });
        pick.onDidTriggerItemButton(({ item }) => {
            chosen = item.index;
            pick.hide();
            turn = turn.then(() => preview.compare(review, item.index));
        });
        pick.onDidAccept(() => {
            chosen = pick.activeItems[0]?.index ?? before;
            pick.hide();
        });
        pick.onDidHide(() => {
            show(chosen);
            pick.dispose();
            resolve();
        });
    });
    await turn;
}

function describe(candidate: Candidate, index: number, original: string): Item {
    const hunks = hunksOf(splitLines(original), splitLines(candidate.text));
    const added = hunks.reduce((sum, hunk) => sum + hunk.newLines.length, 0);
    const removed = hunks.reduce((sum, hunk) => sum + hunk.oldLines.length, 0);
    const changed = hunks.flatMap((hunk) => hunk.newLines).map((line) => line.trim());
    const parses = candidate.parses === null ? '' : candidate.parses ? ' · parses' : ' · does not parse';
    return {
        index,
        label: `${index + 1}  ${changed.find((line) => line !== '') ?? '(only removes lines)'}`,
        description: `+${added} −${removed}${parses}`,
        detail: changed.slice(1, 4).join(' ⏎ '),
        buttons: [COMPARE],
    };
}
