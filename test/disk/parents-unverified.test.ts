// Rules 104 and 106: a parent is never assumed. Without a readable linkage there is nothing to compare.
import { describe, expect, test } from 'vitest';
import { checkVhdx, type OpenOptions, openVhdx } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { guidAt } from '../support/chain-files.js';
import { modelOf } from '../support/disk-model.js';
import { KiB, ZERO_GUID } from '../support/encode-primitives.js';
import { expectContent, expectRefused } from '../support/expect-opening.js';
import { STATE } from '../support/image-spec.js';

const base = buildImage({
  blocks: { 0: { state: STATE.fullyPresent, data: pattern(1) } },
  dataWriteGuid: guidAt(0),
  headers: { fileWriteGuid: guidAt(7) },
});
const zero = buildImage({ ...base.spec, dataWriteGuid: ZERO_GUID });
const braced = `{${guidAt(0)}}`;

type Entry = Readonly<{ key: string; value: string }>;
const childWith = (...entries: readonly Entry[]): BuiltImage =>
  buildImage({
    type: 'differencing',
    blocks: { 1: { state: STATE.fullyPresent, data: pattern(3) } },
    parentLocator: { entries: [...entries, { key: 'relative_path', value: 'base.vhdx' }] },
  });

const UNREADABLE: Readonly<Record<string, readonly Entry[]>> = {
  'no linkage at all': [],
  'a linkage that is no GUID': [{ key: 'parent_linkage', value: 'base.vhdx' }],
  'a linkage with a digit too few': [{ key: 'parent_linkage', value: braced.replace('-', '') }],
  'a linkage with a letter that is no digit': [{ key: 'parent_linkage', value: braced.replace('5', 'g') }],
  'a linkage of zeros': [{ key: 'parent_linkage', value: `{${ZERO_GUID}}` }],
  'zeros in both linkages': [
    { key: 'parent_linkage', value: ZERO_GUID },
    { key: 'parent_linkage2', value: ZERO_GUID },
  ],
  'a key in capitals': [{ key: 'PARENT_LINKAGE', value: braced }],
  'a key in mixed case': [{ key: 'Parent_Linkage', value: braced }],
  'a key with a letter too few': [{ key: 'parent_linkag', value: braced }],
  'a key with a space': [{ key: 'parent_linkage ', value: braced }],
  'another key': [{ key: 'parent_linkage3', value: braced }],
};

const ROUTES: Readonly<Record<string, (file: BuiltImage) => OpenOptions>> = {
  'one input': (file) => ({ parent: file.source({ name: 'base.vhdx' }) }),
  'several inputs': (file) => ({ parent: [file.source(), buildImage({ dataWriteGuid: guidAt(99) }).source()] }),
  'a list of one': (file) => ({ parent: [file.source()] }),
  'a function': (file) => ({ parent: () => file.source() }),
};

describe('a child that does not say which parent it was made for', () => {
  for (const [title, entries] of Object.entries(UNREADABLE)) {
    test(`rule 104: ${title}`, async () => {
      const child = childWith(...entries);
      for (const options of Object.values(ROUTES).flatMap((route) => [route(base), route(zero)])) {
        const error = await expectRefused(child, 'parent-unverified', options);
        expect(error.hints).toEqual(['ignore-parent-mismatch']);
        expect(error.message).not.toContain(ZERO_GUID);
      }
      expect((await checkVhdx(child.source(), { parent: base.source() })).findings.map(({ code }) => code)).toContain(
        'parent-unverified',
      );
      // Alone it opens, as before.
      const alone = await openVhdx(child.source(), { parent: false });
      await alone.close();
    });
  }

  test('rule 104: a key of an odd number of bytes that cut off its last letter', async () => {
    const child = childWith({ key: 'parent_linkage', value: braced });
    const bytes = child.toUint8Array();
    // Its entry in the table has the key's length at 8: 28 bytes for 14 letters, and 27 now.
    const type = [0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13];
    const locator = bytes.findIndex((_, i) => type.every((byte, k) => bytes[i + k] === byte));
    expect(bytes[locator + 20 + 8]).toBe(28);
    bytes[locator + 20 + 8] = 27;
    const error = await openVhdx(bytes, { parent: base.source() }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'parent-unverified' });
  });

  test('rule 104: a function is not even asked', async () => {
    let asked = 0;
    const parent = () => {
      asked += 1;
      return base.source();
    };
    await expectRefused(childWith(), 'parent-unverified', { parent });
    expect(asked).toBe(0);
  });

  test('opens with ignoreParentMismatch, and says so from then on', async () => {
    const child = childWith();
    const model = modelOf(child, modelOf(base));
    for (const route of ['one input', 'a list of one', 'a function']) {
      const options = { ...ROUTES[route]?.(base), ignoreParentMismatch: true };
      const disk = await openVhdx(child.source(), options);
      await expectContent(disk, model);
      expect(disk.findings.map(({ code }) => code)).toContain('parent-unverified');
      expect((await disk.check()).status).toBe('corrupt');
      const report = await checkVhdx(child.source(), options);
      expect(report.status).toBe('corrupt');
      expect(report.findings.map(({ code }) => code)).toContain('parent-unverified');
    }
  });

  test('no flipped bit of the linkage opens a chain with another file', async () => {
    const child = childWith({ key: 'parent_linkage', value: braced });
    const other = buildImage({ dataWriteGuid: guidAt(98) });
    // Found in the image, so that the place is not taken from the code under test.
    const bytes = child.toUint8Array();
    const text = new Uint8Array([...braced].flatMap((char) => [char.charCodeAt(0), 0]));
    const at = bytes.findIndex((_, i) => text.every((byte, k) => bytes[i + k] === byte));
    expect(at).toBeGreaterThan(0);
    const opened: string[] = [];
    for (let bit = 0; bit < text.length * 8; bit += 7) {
      const flipped = bytes.slice();
      flipped[at + (bit >> 3)] = (flipped[at + (bit >> 3)] as number) ^ (1 << (bit & 7));
      const disk = await openVhdx(flipped, { parent: other.source() }).catch(() => undefined);
      if (disk) opened.push(`bit ${bit}`);
    }
    expect(opened).toEqual([]);
  });
});

describe('a parent whose DataWriteGuid is zero', () => {
  test('rule 106: fits no child, whichever linkage is zero', async () => {
    const child = childWith(
      { key: 'parent_linkage', value: braced },
      { key: 'parent_linkage2', value: `{${ZERO_GUID}}` },
    );
    for (const route of ['one input', 'a list of one', 'a function']) {
      const error = await expectRefused(child, 'parent-mismatch', ROUTES[route]?.(zero));
      expect(error.message).not.toContain(ZERO_GUID);
      expect(error.message).toContain(guidAt(0));
    }
    const disk = await openVhdx(child.source(), { parent: [zero.source(), base.source()] });
    expect(disk.parent?.info.header.dataWriteGuid).toBe(guidAt(0));
    expect(disk.findings).toEqual([]);
  });
});

describe('salvage of a chain', () => {
  const linked = (linkage: string) => childWith({ key: 'parent_linkage', value: `{${linkage}}` });
  /** The base with no valid header: what its headers say is believed only because the caller asked for that. */
  const spoilt = base.clone();
  for (const offset of [64 * KiB, 128 * KiB]) spoilt.write(offset + 1000, new Uint8Array([1]));

  test('compares the DataWriteGuid of a damaged header too, and takes no other parent', async () => {
    const salvage = { salvage: 'unverified', parent: () => spoilt.source() } as const;
    await expectRefused(linked(guidAt(0)), 'parent-damaged', { parent: () => spoilt.source() });
    const disk = await openVhdx(linked(guidAt(0)).source(), salvage);
    expect(disk.parent?.info.header.dataWriteGuid).toBe(guidAt(0));
    await expectContent(disk, modelOf(linked(guidAt(0)), modelOf(base)));
    await expectRefused(linked(guidAt(50)), 'parent-mismatch', salvage);
    const overridden = await openVhdx(linked(guidAt(50)).source(), { ...salvage, ignoreParentMismatch: true });
    expect(overridden.findings.map(({ code }) => code)).toContain('parent-mismatch');
  });
});
