// Entries as long as they may be, past the end of the ring: a new lap must not hit the last entry of the one before.
import { describe, expect, test } from 'vitest';
import { loadCore } from '../../src/core/load.js';
import { complete, openSession, spaceOf } from '../../src/edit/open-session.js';
import { examine } from '../../src/image/examine.js';
import { MAX_PAGES } from '../../src/log/journal.js';
import { buildImage } from '../support/build-image.js';
import { CrashFile } from '../support/crash/crash-file.js';
import { exploreCrashes } from '../support/crash/explore.js';
import { type Feature, Tally } from '../support/crash/features.js';
import { PAGE_SIZE, PageImage } from '../support/crash/page-image.js';
import { readState, type StateView } from '../support/crash/state-reader.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { countedIdentity } from '../support/edit/driven-disk.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { SLOW } from '../support/time-limits.js';

/** Pages of the metadata region that no item uses: they may hold anything. */
const UNUSED = 128 * KiB;

/** Does commits of so many pages each, from the first unused one on; each page holds the number of the commit. */
async function commits(lengths: readonly number[]): Promise<CrashFile> {
  const file = new CrashFile(PageImage.of(buildImage({ virtualSize: 4 * MiB }).toUint8Array()));
  const core = await loadCore();
  const examination = complete(await examine(core, file, 'refuse'));
  const { space } = await spaceOf(core, examination, {});
  const session = openSession(core, file, examination, space, {
    identity: countedIdentity(),
    dataWriteGuid: undefined,
  });
  const first = placeOf(readState(file.before)) + UNUSED;
  await session.begin(true);
  for (const [i, length] of lengths.entries()) {
    const pages = Array.from({ length }, (_, page) => first + page * PAGE_SIZE);
    const change = (bytesOf: (offset: number) => Uint8Array) => {
      for (const offset of pages) bytesOf(offset).fill(i + 1);
    };
    await session.change({ pages, change });
    file.note({ kind: 'begun', id: i + 1, offset: 0, length: 0, tags: [] });
    await session.flush();
    file.note({ kind: 'flushed', ids: new Set([i + 1]) });
  }
  await session.close();
  return file;
}

const placeOf = (view: StateView) =>
  (view.regions.find(({ what }) => what.startsWith('8b7ca206'))?.offset ?? 0) as number;

describe('the journal', () => {
  test.each([
    ['of the greatest length', Array.from({ length: 7 }, () => MAX_PAGES)],
    ['long and short ones', [100, 1, 126, 3, 90, 120, 30, 126, 1, 1, 110, 126]],
    ['after short ones, so that the next lap begins below the last one', [1, 126, 126, 1, 126, 126, 1, 126]],
    ['that leave no sector, or one', [125, 126, 1, 124, 126, 2, 126, 126]],
  ])('keeps what it made durable, at every write of entries %s', SLOW.crashes, async (_, lengths) => {
    const file = await commits(lengths);
    checkTrace(file);
    checkClosed(file.content());
    let durable = 0;
    let begun = 0;
    const events = file.trace.map((event) => {
      if (event.kind === 'note') {
        const { kind, id } = event.note as { kind: string; id: number };
        if (kind === 'begun') begun = id;
        else durable = begun;
      }
      return { durable, begun };
    });
    const contentAfter = (commit: number) =>
      Array.from({ length: MAX_PAGES }, (_page, page) => lengths.slice(0, commit).findLastIndex((l) => l > page) + 1);
    const tally = new Tally();
    await exploreCrashes(file, {
      tally,
      random: 8,
      also({ point, id }, view) {
        const first = (placeOf(view) + UNUSED) / PAGE_SIZE;
        const content = contentAfter(lengths.length).map((_value, page) => view.image.page(first + page)[1] as number);
        const { durable: least, begun: most } = events[Math.max(0, point - 1)] ?? { durable: 0, begun: 0 };
        const allowed = [least, most].map((commit) => contentAfter(commit).join());
        expect(allowed, id).toContain(content.join());
      },
    });
    expect(tally.distinct).toBeGreaterThan(400);
    const features: readonly Feature[] = [
      'the end of the ring: the next lap has its first entry, and no header names it',
      'two headers with different LogGuids',
      'a log entry that is torn',
    ];
    for (const feature of features) expect(tally.of(feature), feature).toBeGreaterThan(0);
  });
});
