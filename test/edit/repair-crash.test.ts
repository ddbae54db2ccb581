import { describe, expect, test } from 'vitest';
import { repairVhdx } from '../../src/index.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { setLogGuid, writeLog } from '../support/build-log.js';
import { CrashFile } from '../support/crash/crash-file.js';
import {
  type CrashOptions,
  type CrashState,
  crashPoints,
  crashStates,
  type Granule,
} from '../support/crash/crash-states.js';
import { viewDifference, withoutHeader } from '../support/crash/explore.js';
import { PageImage } from '../support/crash/page-image.js';
import { readHeaders, readState } from '../support/crash/state-reader.js';
import { checkClosed } from '../support/crash/trace-rules.js';
import { dirtied, restoring, structureSectors } from '../support/dirty-images.js';
import { MiB } from '../support/encode-primitives.js';
import { patch } from '../support/patch-image.js';
import { SLOW } from '../support/time-limits.js';

const NEVER_USED = '00112233-4455-6677-8899-aabbccddeeff';

const plain = buildImage({ virtualSize: 8 * MiB });

/** Several entries of the log, with stale writes that later ones put right, zeros, and a file that has to grow. */
function longLog(): BuiltImage {
  const dirty = plain.clone();
  const sectors = structureSectors(plain);
  for (const offset of sectors) dirty.write(offset, new Uint8Array(4096).fill(0xee));
  const { bat } = plain.layout;
  const used = bat.offset + 4096;
  writeLog(dirty, {
    start: 200 * 4096,
    entries: [
      { descriptors: sectors.map((fileOffset) => ({ fileOffset, bytes: new Uint8Array(4096).fill(0xdd) })) },
      {
        descriptors: [
          { fileOffset: used, zeroLength: bat.length - 4096 },
          ...sectors.slice(0, 2).map((at) => restoring(plain, at)),
        ],
      },
      { descriptors: sectors.map((at) => restoring(plain, at)), lastFileOffset: plain.size + 2 * MiB },
    ],
  });
  return dirty;
}

function announced(): BuiltImage {
  const image = plain.clone();
  setLogGuid(image, NEVER_USED);
  return image;
}

function leaking(image: BuiltImage): BuiltImage {
  image.truncate(image.size + 3 * MiB);
  return image;
}

const KINDS: readonly [string, BuiltImage][] = [
  ['a dirty image', dirtied(plain, structureSectors(plain))],
  ['a dirty image with a damaged header', patch(dirtied(plain, structureSectors(plain)), 0x10010, [1])],
  ['a dirty image with a long log, which leaks', longLog()],
  ['a log that was never used', announced()],
  ['a damaged header', patch(plain, 0x20010, [1])],
  ['a damaged region table 1', patch(plain, 0x30010, [9])],
  ['a damaged region table 2, and a leak', leaking(patch(plain, 0x40010, [9]))],
  ['a leak', leaking(plain.clone())],
];

const expected = readState(PageImage.of(plain.toUint8Array()));
const canBeRead = (image: PageImage) => readState(image, undefined, { oneRegionTable: true });

describe('a repair that loses power', () => {
  test.each(KINDS)('can be run again, and shows the same disk at every moment: %s', SLOW.largest, async (_, image) => {
    const file = new CrashFile(PageImage.of(image.toUint8Array()));
    await repairVhdx(file);
    let states = 0;
    let nested = 0;
    for (const state of statesOf(file, { random: 6 })) {
      states += 1;
      checkView(state);
      // Some of the states are repaired in turn, and lose power once more.
      if (states % 61 !== 0) continue;
      const again = new CrashFile(state.image);
      await repairVhdx(again);
      checkRepaired(again.content(), state);
      for (const deeper of statesOf(again, { random: 2, torn: 2 })) {
        nested += 1;
        checkView(deeper, `${state.id}, then `);
      }
    }
    checkRepaired(file.content(), { id: 'the end' });
    expect(states).toBeGreaterThan(30);
    if (states > 200) expect(nested).toBeGreaterThan(20);
  });
});

/** All states of a trace, at both granules. */
function* statesOf(file: CrashFile, options: CrashOptions): Generator<CrashState> {
  for (const granule of [512, 4096] as Granule[]) {
    for (const point of crashPoints(file)) yield* crashStates(point, { ...options, granule });
  }
}

function checkView(state: CrashState, before = ''): void {
  const where = `${before}${state.id}`;
  // A log that was announced and never used is no VHDX to the strict reader, until it is cleared.
  if (readHeaders(state.image).some(({ logGuid }) => logGuid === NEVER_USED)) return;
  const view = canBeRead(state.image);
  expect(viewDifference(view, expected), where).toBeUndefined();
  expect(view.header.dataWriteGuid, where).toBe(expected.header.dataWriteGuid);
  if (view.headers.length < 2 || before !== '') return;
  for (const slot of [1, 2] as const) {
    const alone = canBeRead(withoutHeader(state.image, slot));
    expect(viewDifference(alone, expected), where).toBeUndefined();
  }
}

function checkRepaired(image: PageImage, { id }: { readonly id: string }): void {
  try {
    checkClosed(image);
  } catch (error) {
    throw new Error(`${id}: ${error}`, { cause: error });
  }
  const view = readState(image);
  expect(viewDifference(view, expected), id).toBeUndefined();
  expect(view.header.dataWriteGuid, id).toBe(expected.header.dataWriteGuid);
}
