// A power cut at every write of a merge, in the child and in the base: the child reads the same at every moment, and the
// merge can be run again, whatever the first one left.
import { afterAll, describe, expect, test } from 'vitest';
import { mergeImage } from '../../src/edit/chain/merge-image.js';
import { sectorBits } from '../support/block-content.js';
import { chainOf } from '../support/chain-files.js';
import { taggedBytes } from '../support/crash/content-model.js';
import { CrashFile, type CrashFileOptions, isOperation } from '../support/crash/crash-file.js';
import { type Exploration, exploreCrashes, viewDifference } from '../support/crash/explore.js';
import { type Feature, Tally } from '../support/crash/features.js';
import { PageImage } from '../support/crash/page-image.js';
import { readState, type StateView } from '../support/crash/state-reader.js';
import { checkClosed, checkTrace } from '../support/crash/trace-rules.js';
import { countedIdentity } from '../support/edit/driven-disk.js';
import { MiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { SLOW } from '../support/time-limits.js';

const tally = new Tally();

/** What some of the states must be about. */
const FEATURES: readonly Feature[] = [
  'a merge, in the image above the base',
  'a merge, in the base',
  'a merge that is run again after a power cut',
  'a log that one header names and the other does not',
  'pages that are in the log and not in their places',
  'a log entry that is torn',
  'payload that is torn',
  'a length that was lost',
];

const SECTORS = MiB / 512;
const stored = (tag: number, block: number): BlockSpec => ({
  state: STATE.fullyPresent,
  data: taggedBytes(tag, block * MiB, MiB),
});
const partial = (tag: number, block: number, ...ranges: readonly (readonly [number, number])[]): BlockSpec => ({
  ...stored(tag, block),
  state: STATE.partiallyPresent,
  bitmap: sectorBits(SECTORS, ...ranges),
});

const BASE: ImageSpec = {
  virtualSize: 6 * MiB,
  blocks: { 0: stored(1, 0), 1: stored(1, 1), 2: stored(1, 2), 4: stored(1, 4) },
};
const CHILD: ImageSpec = {
  virtualSize: 6 * MiB,
  blocks: {
    0: partial(2, 0, [0, 3], [100, 101]),
    1: { state: STATE.zero },
    3: partial(2, 3, [7, 9]),
    4: { state: STATE.unmapped },
    5: stored(2, 5),
  },
};

/** A chain whose files remember what was done to them, the child first. */
interface CrashChain {
  readonly files: readonly CrashFile[];
  /** How many members are above the base. */
  readonly depth: number;
}

function crashChain(images: readonly PageImage[], depth: number, options?: CrashFileOptions): CrashChain {
  // Metadata takes longest to get to its place: much else goes on meanwhile.
  const turns = (offset: number) => (offset >= 2 * MiB && offset < 4 * MiB ? 4 : (offset / 4096) % 2);
  return { files: images.map((image) => new CrashFile(image, { turns, ...options })), depth };
}

const imagesOf = (...specs: readonly [ImageSpec, ...ImageSpec[]]): PageImage[] =>
  chainOf(...specs).files.map((file) => PageImage.of(file.toUint8Array()));

/** What the chain of some images reads as; throws if it is none. */
function viewOf(images: readonly PageImage[]): StateView {
  const view = [...images]
    .reverse()
    .reduce<StateView | undefined>((parent, image) => readState(image, parent), undefined);
  return view as StateView;
}

/** Merges a chain, and says what each file held when the base began to be changed. */
async function merge({ files, depth }: CrashChain, after = 0): Promise<void> {
  const [child, ...parents] = files as [CrashFile, ...CrashFile[]];
  await mergeImage(child, { parent: parents, base: files[depth] as CrashFile }, countedIdentity(after));
  for (const [i, file] of files.entries()) {
    if (file.trace.some(isOperation)) {
      checkTrace(file);
      checkClosed(file.content());
    } else {
      expect(i, 'what is neither the base nor above it is not written').not.toBe(depth);
    }
  }
}

interface Walk extends Pick<Exploration, 'granules' | 'random' | 'torn'> {
  readonly before: StateView;
  readonly features?: readonly Feature[];
  /** Looks further at a state of the base. */
  readonly onBase?: (image: PageImage) => Promise<void>;
}

/** Looks at every state of a merge that was done. Returns how many there were. */
async function explore(
  { files, depth }: CrashChain,
  { before, features = [], onBase, ...options }: Walk,
): Promise<number> {
  const [base, above] = [files[depth] as CrashFile, files[depth - 1] as CrashFile];
  const lower = files.slice(depth + 1).map((file) => file.before);
  const upper = files.slice(0, depth - 1).map((file) => file.before);
  const parent = lower.length === 0 ? undefined : viewOf(lower);
  const reads = (images: readonly PageImage[]): void => {
    const view = viewOf(images);
    expect(viewDifference(before, view)).toBeUndefined();
    expect(view.header.dataWriteGuid).toBe(before.header.dataWriteGuid);
  };
  let states = 0;
  if (!base.trace.some(isOperation)) throw new Error('nothing was merged');
  // The image above is changed while the base is as it was, but for a log that was replayed.
  const replayed = firstChange.get(above);
  if (!replayed) throw new Error('the image above the base was not changed');
  states += await exploreCrashes(above, {
    ...options,
    parent: readState(replayed.base, parent),
    tally,
    features: [...features, 'a merge, in the image above the base'],
    also: ({ image }) => reads([...upper, image, replayed.base, ...lower]),
  });
  states += await exploreCrashes(base, {
    ...options,
    ...(parent && { parent }),
    tally,
    features: [...features, 'a merge, in the base'],
    also: async ({ image, point }) => {
      const link = point <= replayed.point ? above.before : above.content();
      reads([...upper, link, image, ...lower]);
      await onBase?.(image);
    },
  });
  return states;
}

/** What the base held, and how long its trace was, when the image above it was changed first. */
const firstChange = new WeakMap<CrashFile, { readonly base: PageImage; readonly point: number }>();

/** A chain that notes when the image above the base is changed. */
function watched(images: readonly PageImage[], depth: number): CrashChain {
  const chain: { current?: CrashChain } = {};
  const noted = crashChain(images, depth);
  const above = new CrashFile(images[depth - 1] as PageImage, {
    fail: () => {
      const base = chain.current?.files[depth] as CrashFile;
      if (!firstChange.has(above)) firstChange.set(above, { base: base.content(), point: base.trace.length });
      return undefined;
    },
  });
  const files = noted.files.map((file, i) => (i === depth - 1 ? above : file));
  chain.current = { files, depth };
  return chain.current;
}

/** Merges, looks at all states, and merges again what some of them left. */
async function survives(images: readonly PageImage[], depth: number, every: number): Promise<number> {
  const before = viewOf(images);
  const chain = watched(images, depth);
  await merge(chain);
  const after = chain.files.map((file) => file.content());
  expect(viewDifference(before, viewOf(after.slice(depth)))).toBeUndefined();
  let met = 0;
  let again = 0;
  const onBase = async (image: PageImage): Promise<void> => {
    met += 1;
    if (met % every !== 0) return;
    again += 1;
    const left = after.map((content, i) => (i === depth ? image : content));
    const second = watched(left, depth);
    await merge(second, 1000);
    const held = second.files.map((file) => file.content());
    expect(viewDifference(before, viewOf(held.slice(depth)))).toBeUndefined();
    const options = { before, granules: [4096] as const, random: 1, torn: 2 };
    await explore(second, { ...options, features: ['a merge that is run again after a power cut'] });
  };
  const states = await explore(chain, { before, onBase, random: 48 });
  expect(again).toBeGreaterThan(3);
  return states;
}

describe('a merge survives a power cut at every write', () => {
  test('of a child into its parent', SLOW.crashes, async () => {
    expect(await survives(imagesOf(BASE, CHILD), 1, 7)).toBeGreaterThan(200);
  });

  test('of a child into a parent that is differencing itself', SLOW.crashes, async () => {
    const middle: ImageSpec = {
      virtualSize: 6 * MiB,
      blocks: { 0: partial(3, 0, [2, 200]), 2: { state: STATE.zero }, 5: partial(3, 5, [0, 1]) },
    };
    expect(await survives(imagesOf(BASE, middle, CHILD), 1, 7)).toBeGreaterThan(200);
  });

  test('of a chain into its base', SLOW.crashes, async () => {
    const middle: ImageSpec = { virtualSize: 6 * MiB, blocks: { 2: partial(3, 2, [4, 8]), 5: stored(3, 5) } };
    const top: ImageSpec = { virtualSize: 6 * MiB, blocks: { 0: partial(4, 0, [1, 2]), 2: { state: STATE.zero } } };
    expect(await survives(imagesOf(BASE, middle, top), 2, 7)).toBeGreaterThan(200);
  });

  test.each([
    [
      'larger',
      11,
      { virtualSize: 8 * MiB + 512, blocks: { ...CHILD.blocks, 7: partial(2, 7, [3, 5]), 8: stored(2, 8) } },
    ],
    ['smaller', 3, { virtualSize: 4 * MiB + 1024, blocks: { 0: partial(2, 0, [5, 6]), 4: partial(2, 4, [0, 1]) } }],
  ] as [string, number, ImageSpec][])('of a child that is %s', SLOW.crashes, async (_, every, child) => {
    const base = { ...BASE, virtualSize: 6 * MiB - 512 };
    expect(await survives(imagesOf(base, child), 1, every)).toBeGreaterThan(100);
  });
});

test('the states of all merges are about everything that a power cut can meet', () => {
  for (const feature of FEATURES) expect(tally.of(feature), feature).toBeGreaterThan(0);
});

afterAll(() => {
  // biome-ignore lint/suspicious/noConsole: what was met belongs into the protocol of the run
  console.log(`${tally.checked} states, ${tally.distinct} different\n${tally.lines(FEATURES).join('\n')}`);
});
