// A device that is full, or fails, in the middle of a merge or a rebase: the image reads the same, and the work can be
// done again.
import { describe, expect, test } from 'vitest';
import { mergeVhdx, openVhdx, rebaseVhdx, VhdxError } from '../../src/index.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { chainOf } from '../support/chain-files.js';
import { CrashFile, type Fault } from '../support/crash/crash-file.js';
import { viewDifference } from '../support/crash/explore.js';
import { PageImage } from '../support/crash/page-image.js';
import { readState } from '../support/crash/state-reader.js';
import { checkClosed } from '../support/crash/trace-rules.js';
import { MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });

/** A child and its base, and what goes wrong with either. */
function family() {
  const { files } = chainOf(
    { virtualSize: 6 * MiB, blocks: { 0: present(1), 4: present(2) } },
    {
      virtualSize: 6 * MiB,
      blocks: {
        0: { ...present(3), state: STATE.partiallyPresent, bitmap: sectorBits(2048, [1, 9]) },
        1: present(4),
        2: present(5),
        3: present(6),
      },
    },
  );
  const faults: { base?: Fault | undefined; child?: Fault | undefined } = {};
  const [child, base] = files.map((file, i) => {
    const fail: Fault = (...what) => faults[i === 0 ? 'child' : 'base']?.(...what);
    return new CrashFile(PageImage.of(file.toUint8Array()), { fail });
  }) as [CrashFile, CrashFile];
  const before = readState(child.before, readState(base.before));
  const expectSame = () => {
    const parent = readState(base.content());
    expect(viewDifference(before, readState(child.content(), parent))).toBeUndefined();
  };
  return { child, base, faults, before, expectSame };
}

/** Fails from the nth operation of a kind on that is about payload, or whatever is told. */
function failing(count: number, kind: 'write' | 'truncate' | 'flush', error: VhdxError, from = 4 * MiB): Fault {
  let met = 0;
  return (operation, offset) => {
    if (operation !== kind || (kind === 'write' && offset < from)) return undefined;
    met += 1;
    return met > count ? error : undefined;
  };
}

const full = new VhdxError('no-space', 'there is no room');
const broken = new VhdxError('write-failed', 'input/output error');

describe('a merge', () => {
  test.each([
    ['write', 0],
    ['write', 2],
    ['truncate', 0],
  ] as const)(
    'into a parent on a full device (%s, after %i) leaves both clean, and can be run again',
    async (kind, count) => {
      const { child, base, faults, expectSame, before } = family();
      faults.base = failing(count, kind, full);
      await mergeVhdx(child, { parent: base }).then(
        () => expect(kind).toBe('truncate'), // the file was long enough
        (error: unknown) => expect(error).toMatchObject({ code: 'no-space' }),
      );
      faults.base = undefined;
      checkClosed(base.content());
      checkClosed(child.content());
      expectSame();
      await mergeVhdx(child, { parent: base });
      expectSame();
      expect(viewDifference(before, readState(base.content()))).toBeUndefined();
    },
  );

  test.each([0, 1, 3, 5, 7])(
    'into a parent on a device that fails (flush %i) leaves a chain that opens',
    async (count) => {
      const { child, base, faults, expectSame, before } = family();
      faults.base = failing(count, 'flush', broken);
      await expect(mergeVhdx(child, { parent: base })).rejects.toMatchObject({ code: 'session-failed' });
      faults.base = undefined;
      expectSame();
      await mergeVhdx(child, { parent: base });
      expectSame();
      expect(viewDifference(before, readState(base.content()))).toBeUndefined();
    },
  );

  test('of a child on a device that fails does not touch the parent', async () => {
    const { child, base, faults, expectSame } = family();
    for (let count = 0; count < 6; count++) {
      faults.child = failing(count, 'flush', broken);
      await expect(mergeVhdx(child, { parent: base })).rejects.toMatchObject({ code: 'session-failed' });
      expect(base.trace).toEqual([]);
      expectSame();
    }
  });
});

describe('a rebase', () => {
  test.each([
    ['write', 0],
    ['truncate', 0],
  ] as const)('on a full device (%s, after %i) leaves a clean image with its parent', async (kind, count) => {
    const { child, base, faults, expectSame, before } = family();
    faults.child = failing(count, kind, full, 6 * MiB);
    await rebaseVhdx(child, undefined, { parent: base }).then(
      () => expect(kind).toBe('truncate'), // the file was long enough
      (error: unknown) => expect(error).toMatchObject({ code: 'no-space' }),
    );
    faults.child = undefined;
    checkClosed(child.content());
    if (readState(child.content()).metadata.hasParent) {
      expectSame();
      await rebaseVhdx(child, undefined, { parent: base });
    }
    expect(viewDifference(before, readState(child.content()))).toBeUndefined();
    await (await openVhdx(await bytesOf(child), { strict: true })).close();
  });

  test.each([0, 1, 3, 5])(
    'on a device that fails (flush %i) leaves an image that opens with its parent',
    async (count) => {
      const { child, base, faults, expectSame, before } = family();
      faults.child = failing(count, 'flush', broken);
      await expect(rebaseVhdx(child, undefined, { parent: base })).rejects.toMatchObject({ code: 'session-failed' });
      faults.child = undefined;
      expectSame();
      await rebaseVhdx(child, undefined, { parent: base });
      expect(viewDifference(before, readState(child.content()))).toBeUndefined();
    },
  );
});

async function bytesOf(file: CrashFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.size);
  await file.readInto(bytes, 0);
  return bytes;
}
