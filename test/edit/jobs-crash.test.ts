// A power cut at every write of resizes and compacts of many images, which follow from a seed; and again while the job is
// run a second time. Merges and rebases have suites of their own.
import { afterAll, describe, expect, test } from 'vitest';
import { compactImage } from '../../src/edit/compact/compact-image.js';
import { resizeImage } from '../../src/edit/resize/resize-image.js';
import { sectorBits } from '../support/block-content.js';
import { taggedBytes } from '../support/crash/content-model.js';
import { CrashFile, isOperation } from '../support/crash/crash-file.js';
import { fraction } from '../support/crash/crash-states.js';
import { type Exploration, exploreCrashes } from '../support/crash/explore.js';
import { type Feature, Tally } from '../support/crash/features.js';
import type { StateView } from '../support/crash/state-reader.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { countedIdentity } from '../support/edit/driven-disk.js';
import { contentDifference, jobFile, resizeDifference } from '../support/edit/resized.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { isWholeRun } from '../support/property-runs.js';
import { SLOW } from '../support/time-limits.js';

const tally = new Tally();

/** What some of the states must be about. */
const FEATURES: readonly Feature[] = [
  'a resize',
  'a resize with a BAT that moves',
  'a resize that is run again after a power cut',
  'a compact',
  'a compact that is run again after a power cut',
  'the first entry, which no header names yet',
  'a log that one header names and the other does not',
  'a log that the current header has cleared and the other has not',
  'pages that are in the log and not in their places',
  'a log entry that is torn',
  'payload that is torn',
  'a length that was lost',
  'space of one block that another one has now',
  'a differencing disk',
];

/** Images of each kind in a whole run; there are more of those that are cheap for the states that they have. */
const IMAGES = 4;
const CHEAP_IMAGES = 37;
/** Different states that there must be of a whole run. */
const WANTED = 145_000;

/** Numbers that follow from a seed. */
function picker(seed: number) {
  let drawn = 0;
  const pick = (limit: number): number => Math.floor(fraction(seed, drawn++) * limit);
  return { pick, oneOf: <T>(...choices: readonly T[]): T => choices[pick(choices.length)] as T };
}
type Picker = ReturnType<typeof picker>;

const stored = (block: number, state: number = STATE.fullyPresent): BlockSpec => ({
  state,
  data: taggedBytes(1000 + block, block * MiB, MiB),
});

/** Some of the blocks of a disk, in any states. */
function someBlocks({ pick, oneOf }: Picker, numbers: readonly number[], isChild: boolean): Record<number, BlockSpec> {
  const bitmap = () => {
    const first = pick(2000);
    return sectorBits(2048, [first, first + 1 + pick(48)]);
  };
  return Object.fromEntries(
    numbers.map((block): [number, BlockSpec] => {
      const kind = pick(isChild ? 8 : 6);
      if (kind < 3) return [block, stored(block)];
      if (kind === 3) return [block, { state: STATE.fullyPresent, data: 0 }];
      if (kind === 4) return [block, stored(block, oneOf(STATE.unmapped, STATE.undefined))];
      if (kind === 5) return [block, { state: STATE.zero }];
      return [block, { ...stored(block, STATE.partiallyPresent), bitmap: bitmap() }];
    }),
  );
}

interface Case {
  readonly spec: ImageSpec;
  readonly parent?: ImageSpec;
  /** The new size of a resize; a compact has none. */
  readonly size?: number;
  /** Both where it is left out. */
  readonly granules?: Exploration['granules'];
}

const PARENT: ImageSpec = {
  virtualSize: 16 * MiB,
  blocks: Object.fromEntries(Array.from({ length: 16 }, (_, i) => [i, stored(i)])),
};
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const placementOf = ({ oneOf }: Picker) =>
  oneOf('sequential', 'reverse', 'gaps') as NonNullable<ImageSpec['placement']>;

const KINDS: Readonly<Record<string, (choose: Picker) => Case>> = {
  'a compact of a disk'(choose) {
    const count = 6 + choose.pick(6);
    const blocks = someBlocks(choose, upTo(count), false);
    blocks[0] = { state: STATE.fullyPresent, data: 0 };
    return { spec: { virtualSize: count * MiB, blocks, placement: placementOf(choose) } };
  },
  'a compact of a wide disk'(choose) {
    const numbers = [0, 1, 511, 512, 513, 600, 1050, 1099].filter(() => choose.pick(3) > 0);
    const blocks = { ...someBlocks(choose, numbers, false), 2: { state: STATE.fullyPresent, data: 0 } };
    return { spec: { virtualSize: 1100 * MiB, blocks, placement: placementOf(choose) } };
  },
  'a compact of a child'(choose) {
    const count = 5 + choose.pick(4);
    const blocks = someBlocks(choose, upTo(count), true);
    blocks[0] = { state: STATE.fullyPresent, data: 0 };
    const spec: ImageSpec = { type: 'differencing', virtualSize: count * MiB, blocks, placement: placementOf(choose) };
    return { spec, parent: { ...PARENT, virtualSize: count * MiB, blocks: blocksBelow(count) } };
  },
  'a disk that grows'(choose) {
    const count = 2 + choose.pick(3);
    const spec = { virtualSize: count * MiB - choose.pick(2000) * 512, blocks: someBlocks(choose, upTo(count), false) };
    return { spec, size: choose.oneOf(count + 1, 600, 1025, 1600) * MiB + choose.pick(2) * 512 };
  },
  'a fixed disk that grows'(choose) {
    const count = 2 + choose.pick(2);
    const spec: ImageSpec = {
      type: 'fixed',
      virtualSize: count * MiB - choose.pick(2000) * 512,
      blocks: { 0: stored(0) },
    };
    return { spec, size: (count + 1 + choose.pick(5)) * MiB };
  },
  'a child that grows below a longer parent'(choose) {
    const count = 3 + choose.pick(3);
    const spec: ImageSpec = {
      type: 'differencing',
      virtualSize: count * MiB - (1 + choose.pick(2000)) * 512,
      blocks: someBlocks(choose, upTo(count), true),
    };
    return { spec, parent: PARENT, size: (count + choose.pick(10)) * MiB };
  },
  'a disk that gets smaller'(choose) {
    const numbers = [0, 1, 2, 3, 511, 512, 700, 1099].filter(() => choose.pick(4) > 0);
    const spec = {
      virtualSize: 1100 * MiB,
      blocks: someBlocks(choose, numbers, false),
      placement: placementOf(choose),
    };
    return { spec, size: choose.oneOf(1, 2, 3, 600) * MiB + choose.pick(2000) * 512 };
  },
  'a disk that grows past the length of its BAT'(choose) {
    const blocks = { ...someBlocks(choose, [0, 1], false), 131040: stored(131_040) };
    const spec = { virtualSize: 131_041 * MiB - choose.pick(2000) * 512, blocks };
    // A BAT is written page by page: half a page would be a state of its own for each.
    return { spec, size: (131_042 + choose.pick(500)) * MiB, granules: [4096] };
  },
};

function blocksBelow(count: number): Record<number, BlockSpec> {
  return Object.fromEntries(upTo(count).map((i) => [i, stored(i + 100)]));
}

/** Does the job of a case to a file. */
async function work(file: CrashFile, { size }: Case, after = 0): Promise<void> {
  if (size === undefined) await compactImage(file, {}, countedIdentity(after));
  else await resizeImage(file, size, { shrink: true }, countedIdentity(after));
}

/** Looks at every state of a job, and of doing it again after some of them. */
async function survives(seed: number, plan: (choose: Picker) => Case): Promise<void> {
  const one = plan(picker(seed));
  const { file, before, parent } = jobFile(one.spec, one.parent);
  await work(file, one);
  if (!file.trace.some(isOperation)) return; // there was nothing to do
  checkTrace(file);
  checkClosed(file.content());
  const check = (view: StateView): void => {
    if (one.size === undefined) {
      expect(contentDifference(before, view)).toBeUndefined();
      expect(view.header.dataWriteGuid).toBe(before.header.dataWriteGuid);
      return;
    }
    expect([before.metadata.size, one.size]).toContain(view.metadata.size);
    expect(resizeDifference(before, view)).toBeUndefined();
    if (view.metadata.size !== before.metadata.size) {
      expect(view.header.dataWriteGuid).not.toBe(before.header.dataWriteGuid);
    }
  };
  const job = one.size === undefined ? 'a compact' : 'a resize';
  const oldBat = before.regions.map(({ offset }) => offset).join();
  const exploration: Exploration = {
    ...(parent && { parent }),
    ...(one.granules && { granules: one.granules }),
    seed,
    tally,
    features: [job],
    also: (_, view) => {
      check(view);
      const isMoved = job === 'a resize' && view.regions.map(({ offset }) => offset).join() !== oldBat;
      if (isMoved) tally.count('a resize with a BAT that moves');
    },
  };
  let runs = 0;
  await exploreCrashes(file, {
    ...exploration,
    random: 512,
    recovery: {
      every: 97,
      depth: 1,
      async recover({ image }) {
        const again = new CrashFile(image, { turns: (offset) => (offset / (4 * KiB)) % 3 });
        await work(again, one, 1000 * ++runs);
        if (again.trace.some(isOperation)) checkClosed(again.content());
        const also: Exploration['also'] = (_, view) => {
          check(view);
          tally.count(`${job} that is run again after a power cut`);
        };
        return { file: again, exploration: { ...exploration, random: 8, also } };
      },
    },
  });
}

describe.each(Object.entries(KINDS))('%s survives a power cut at every write', (name, plan) => {
  test('whatever it holds', SLOW.crashes, async () => {
    const images = name === 'a compact of a disk' ? CHEAP_IMAGES : IMAGES;
    for (let seed = 1; seed <= (isWholeRun ? images : 1); seed++) {
      await survives(seed, plan).catch((error: Error) => {
        throw new Error(`image ${seed}: ${error.message}`, { cause: error });
      });
    }
  });
});

test('the states are about everything that a power cut can meet, and are as many as are wanted', () => {
  for (const feature of FEATURES) expect(tally.of(feature), feature).toBeGreaterThan(0);
  if (isWholeRun) expect(tally.distinct).toBeGreaterThan(WANTED);
});

afterAll(() => {
  // biome-ignore lint/suspicious/noConsole: what was met belongs into the protocol of the run
  console.log(`${tally.checked} states, ${tally.distinct} different\n${tally.lines(FEATURES).join('\n')}`);
});
