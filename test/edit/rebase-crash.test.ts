// A power cut at every write of a rebase: the image reads the same at every moment, with its present parent until the
// end, and keeps its DataWriteGuid, so that its own children fit all the time.
import { afterAll, describe, expect, test } from 'vitest';
import { rebaseImage } from '../../src/edit/chain/rebase-image.js';
import { sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { chainOf, guidAt } from '../support/chain-files.js';
import { taggedBytes } from '../support/crash/content-model.js';
import { CrashFile } from '../support/crash/crash-file.js';
import { crashPoints, crashStates } from '../support/crash/crash-states.js';
import { viewDifference, withoutHeader } from '../support/crash/explore.js';
import { type Feature, FeatureFinder, Tally } from '../support/crash/features.js';
import { PageImage } from '../support/crash/page-image.js';
import { BrokenState } from '../support/crash/state-bytes.js';
import { readState, type StateView } from '../support/crash/state-reader.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { countedIdentity } from '../support/edit/driven-disk.js';
import { MiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { crowded } from '../support/metadata-images.js';
import { SLOW } from '../support/time-limits.js';

const tally = new Tally();

/** What some of the states must be about. */
const FEATURES: readonly Feature[] = [
  'a rebase',
  'a log that one header names and the other does not',
  'pages that are in the log and not in their places',
  'a log entry that is torn',
  'payload that is torn',
  'a length that was lost',
  'bits of an earlier life of a block',
  'a header that is damaged besides',
];

const SECTORS = MiB / 512;
const stored = (tag: number, block: number): BlockSpec => ({
  state: STATE.fullyPresent,
  data: taggedBytes(tag, block * MiB, MiB),
});

const BASE: ImageSpec = {
  virtualSize: 6 * MiB,
  blocks: { 0: stored(1, 0), 1: stored(1, 1), 2: stored(1, 2), 4: stored(1, 4) },
};
const CHILD: ImageSpec = {
  virtualSize: 6 * MiB,
  blocks: {
    0: { ...stored(2, 0), state: STATE.partiallyPresent, bitmap: sectorBits(SECTORS, [0, 3], [100, 101]) },
    1: { state: STATE.zero },
    2: { ...stored(2, 2), state: STATE.partiallyPresent, bitmap: sectorBits(SECTORS, [0, SECTORS]) },
    4: { state: STATE.notPresent, bitmap: sectorBits(SECTORS, [3, 4]) },
  },
};
const OTHER: ImageSpec = {
  virtualSize: 8 * MiB,
  dataWriteGuid: guidAt(500),
  blocks: { 0: stored(3, 0), 3: stored(3, 3), 4: stored(1, 4) },
};

/** What a state reads as with one of the parents that it may have; undefined for none. */
function readWith(image: PageImage, parents: readonly (StateView | undefined)[]): { view: StateView; which: number } {
  let broken: unknown;
  for (const [which, parent] of parents.entries()) {
    try {
      const view = readState(image, parent);
      if (parent === undefined && view.metadata.hasParent) continue;
      return { view, which };
    } catch (error) {
      if (!(error instanceof BrokenState)) throw error;
      broken ??= error;
    }
  }
  throw broken;
}

/** Looks at every state of a rebase. Returns how many there were. */
function explore(
  file: CrashFile,
  before: StateView,
  parents: readonly (StateView | undefined)[],
  random: number,
): number {
  const finder = new FeatureFinder(tally, ['a rebase']);
  const seen = new Set<number>();
  const met = new Set<number>();
  for (const point of crashPoints(file)) {
    for (const granule of [512, 4096] as const) {
      for (const state of crashStates(point, { granule, random })) {
        const fingerprint = state.image.fingerprint();
        if (seen.has(fingerprint)) continue;
        seen.add(fingerprint);
        tally.add(fingerprint);
        const check = (image: PageImage): StateView => {
          const { view, which } = readWith(image, parents);
          expect(viewDifference(before, view), state.id).toBeUndefined();
          expect(view.header.dataWriteGuid, state.id).toBe(before.header.dataWriteGuid);
          met.add(which);
          return view;
        };
        const view = check(state.image);
        finder.look(state, view);
        if (view.headers.length < 2) continue;
        tally.count('a header that is damaged besides');
        for (const slot of [1, 2] as const) check(withoutHeader(state.image, slot));
      }
    }
  }
  expect(met).toEqual(new Set([0, 1]));
  return seen.size;
}

/** Rebases a child onto another image or nothing, at every state too, and again from some of the states. */
async function survives(other: ImageSpec | undefined, spec = CHILD): Promise<number> {
  const { files } = chainOf(BASE, spec);
  const [child, base] = files.map((built) => built.toUint8Array()) as [Uint8Array, Uint8Array];
  const parent = other && buildImage(other).toUint8Array();
  const old = readState(PageImage.of(base));
  const parents = [old, parent && readState(PageImage.of(parent))];
  const before = readState(PageImage.of(child), old);
  let runs = 0;
  const rebase = async (image: PageImage): Promise<CrashFile> => {
    const turns = (offset: number) => (offset >= 2 * MiB && offset < 4 * MiB ? 4 : (offset / 4096) % 2);
    const file = new CrashFile(image, { turns });
    await rebaseImage(file, parent, { parent: base, parentPath: '.\\other.vhdx' }, countedIdentity(1000 * runs++));
    checkTrace(file);
    checkClosed(file.content());
    expect(readWith(file.content(), parents).which).toBe(1);
    return file;
  };
  const file = await rebase(PageImage.of(child));
  let states = explore(file, before, parents, 48);
  // Some of the states are rebased again, and lose power once more.
  let left = 0;
  for (const point of crashPoints(file)) {
    for (const state of crashStates(point, { random: 1, torn: 2 })) {
      left += 1;
      if (left % 17 !== 0 || readWith(state.image, parents).which === 1) continue;
      states += explore(await rebase(state.image), before, parents, 1);
    }
  }
  return states;
}

describe('a rebase survives a power cut at every write', () => {
  test('onto another parent', SLOW.crashes, async () => {
    expect(await survives(OTHER)).toBeGreaterThan(300);
  });

  test('onto another parent, whose name is too long for the metadata region', SLOW.crashes, async () => {
    expect(await survives(OTHER, { ...CHILD, items: (plain) => crowded(plain) })).toBeGreaterThan(300);
  });

  test('onto nothing', SLOW.crashes, async () => {
    expect(await survives(undefined)).toBeGreaterThan(300);
  });
});

test('the states of all rebases are about everything that a power cut can meet', () => {
  for (const feature of FEATURES) expect(tally.of(feature), feature).toBeGreaterThan(0);
});

afterAll(() => {
  // biome-ignore lint/suspicious/noConsole: what was met belongs into the protocol of the run
  console.log(`${tally.checked} states, ${tally.distinct} different\n${tally.lines(FEATURES).join('\n')}`);
});
