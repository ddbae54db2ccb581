// Which member of a chain an error is about, and what is left of a chain with a member at fault.
import { describe, expect, test } from 'vitest';
import { checkVhdx, VhdxError } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { setLogGuid } from '../support/build-log.js';
import { chainOf, guidAt } from '../support/chain-files.js';
import { MiB } from '../support/encode-primitives.js';
import { expectContent, expectRefused } from '../support/expect-opening.js';
import { locatorEntries, STATE } from '../support/image-spec.js';
import { openVhdx } from '../support/two-doors.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
const { files, model } = chainOf(
  { blocks: { 0: present(1), 3: present(2) } },
  { blocks: { 1: present(3) } },
  { blocks: { 2: present(4) } },
);
const [top, middle, base] = files as unknown as [BuiltImage, BuiltImage, BuiltImage];
const named = (image: BuiltImage, name: string) => image.source({ name });

/** An image whose log cannot be replayed, so that it does not open. */
function unreplayable(image: BuiltImage): BuiltImage {
  const broken = image.clone();
  setLogGuid(broken, guidAt(77));
  return broken;
}

describe('an error in a chain', () => {
  test('names the member that does not open, and not the image at the top', async () => {
    for (const [depth, parents] of [
      [1, [named(unreplayable(middle), 'middle.avhdx'), named(base, 'base.vhdx')]],
      [2, [named(middle, 'middle.avhdx'), named(unreplayable(base), 'base.vhdx')]],
    ] as const) {
      const error = await expectRefused(top, 'parent-damaged', { parent: parents });
      const file = depth === 1 ? 'middle.avhdx' : 'base.vhdx';
      expect(error).toMatchObject({ depth, file, cause: { code: 'log-no-sequence' } });
      expect(error.message.startsWith(`${file}: `)).toBe(true);
      expect(error.reason).not.toContain(file);
      expect(error.finding).toMatchObject({ code: 'parent-damaged', message: expect.stringContaining(file) });
    }
  });

  test('names the member whose parent is missing or another one', async () => {
    const missing = await expectRefused(top, 'parent-missing', { parent: named(middle, 'middle.avhdx') });
    expect(missing).toMatchObject({ depth: 1, file: 'middle.avhdx' });
    const wrong = ({ depth }: { depth: number }) => (depth === 1 ? named(middle, 'm.avhdx') : named(top, 'x.vhdx'));
    const mismatch = await expectRefused(top, 'parent-mismatch', { parent: wrong });
    expect(mismatch).toMatchObject({ depth: 1, file: 'm.avhdx' });
    const own = await expectRefused(top, 'parent-missing');
    expect(own.depth).toBe(0);
    expect(own.file).toBeUndefined();
  });

  test('of the top is about the top', async () => {
    const error = await expectRefused(unreplayable(top), 'log-no-sequence', { parent: [middle.source()] });
    expect(error).toMatchObject({ depth: 0, finding: { code: 'log-no-sequence' } });
    expect(error.file).toBeUndefined();
  });

  test('of a parent whose source fails names it, though it is not about the format', async () => {
    let failing = false;
    const source = {
      size: base.size,
      name: 'base.vhdx',
      readInto: (target: Uint8Array, offset: number) =>
        failing
          ? Promise.reject(new VhdxError('read-failed', 'the cable is out'))
          : base.source().readInto(target, offset),
    };
    const disk = await openVhdx(top.source(), { parent: [named(middle, 'middle.avhdx'), source] });
    await expectContent(disk, model);
    failing = true;
    const error = await disk.read(0, 512).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'read-failed', depth: 2, file: 'base.vhdx', isAboutFormat: false });
    // The same read of the parent itself is about that disk.
    const below = await disk.parent?.parent?.read(0, 512).catch((reason: unknown) => reason);
    expect(below).toMatchObject({ code: 'read-failed', depth: undefined, file: undefined });
    const opening = await openVhdx(top.source(), { parent: [named(middle, 'middle.avhdx'), source] }).catch((e) => e);
    expect(opening).toMatchObject({ code: 'read-failed' });
  });

  test('about a block of a parent names the parent, with the facts of its finding', async () => {
    const cut = base.clone();
    cut.truncate(base.layout.blockOffset(3) + 512);
    const disk = await openVhdx(top.source(), { parent: [named(middle, 'm.avhdx'), named(cut, 'base.vhdx')] });
    const error = await disk.read(3 * MiB, 1024).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'bat-past-end', depth: 2, file: 'base.vhdx', isAboutFormat: true });
    expect(error).toMatchObject({ structure: expect.stringMatching(/^BAT entry \d+$/), offset: expect.any(Number) });
    const { code, structure, offset, facts } = error as VhdxError;
    expect(error).toMatchObject({ finding: { code, structure, offset, facts, severity: 'block' } });
    const alone = await openVhdx(top.source(), { parent: false });
    await expect(alone.read(0, 512)).rejects.toMatchObject({ finding: { code: 'parent-missing', severity: 'block' } });
  });

  test('of an image inside a damaged disk is about that disk, and no finding of the image', async () => {
    const inner = base.source();
    const outer = buildImage({ virtualSize: 8 * MiB, blocks: { 0: present(9) }, bat: { 0: 4n } });
    const disk = Object.assign(await openVhdx(outer.source()), { name: 'inner.vhdx' });
    await expect(openVhdx(top.source(), { parent: [named(middle, 'm'), disk] })).rejects.toMatchObject({
      code: 'bat-reserved-state',
    });
    await expect(checkVhdx(disk)).rejects.toMatchObject({ code: 'bat-reserved-state' });
    expect(inner.closed).toBe(false);
  });
});

describe("incompleteChain: 'open'", () => {
  const opened = async (parent: Parameters<typeof openVhdx>[1]) =>
    openVhdx(top.source(), { ...parent, incompleteChain: 'open' });

  test('opens what is above a member that is missing, and says which', async () => {
    const disk = await opened({ parent: named(middle, 'middle.avhdx') });
    expect(disk.parent?.name).toBe('middle.avhdx');
    expect(disk.findings).toEqual([]);
    expect(disk.parent?.findings).toMatchObject([{ code: 'parent-missing', severity: 'block' }]);
    expect(disk.parent?.parentError).toMatchObject({ code: 'parent-missing', depth: 1, file: 'middle.avhdx' });
    expect(await disk.read(MiB, 4096)).toEqual(model.expected(MiB, 4096));
    await expect(disk.read(0, 512)).rejects.toMatchObject({ code: 'parent-missing', depth: 1 });
    expect((await disk.check()).status).toBe('incomplete');
  });

  test('opens what is above a member that does not open, is another one, or cannot be read', async () => {
    const away = {
      size: base.size,
      name: 'base.vhdx',
      readInto: () => Promise.reject(new VhdxError('read-failed', 'no')),
    };
    for (const [last, code] of [
      [named(unreplayable(base), 'base.vhdx'), 'parent-damaged'],
      [named(top, '0.vhdx'), 'parent-mismatch'],
      [away, 'parent-damaged'],
    ] as const) {
      const parent = ({ depth }: { depth: number }) => (depth === 1 ? named(middle, 'm.avhdx') : last);
      const disk = await opened({ parent });
      expect(disk.parent?.findings).toMatchObject([{ code, severity: 'block' }]);
      expect(disk.parent?.parentError?.code).toBe(code);
      expect(await disk.read(2 * MiB, 4096)).toEqual(model.expected(2 * MiB, 4096));
      await expect(disk.read(0, 512)).rejects.toMatchObject({ code: 'parent-missing' });
      await disk.close();
    }
  });

  test('refuses an image that does not open itself', async () => {
    await expectRefused(unreplayable(top), 'log-no-sequence', { incompleteChain: 'open' });
  });

  test('changes nothing for a chain that is whole', async () => {
    const disk = await opened({ parent: [middle.source(), base.source()] });
    await expectContent(disk, model);
    expect(disk.parentError).toBeUndefined();
  });
});

describe('a check', () => {
  test('of a child alone, as was asked for, can be sound', async () => {
    const report = await checkVhdx(top.source(), { parent: false });
    expect(report.status).toBe('sound');
    expect(report.findings).toMatchObject([{ code: 'parent-missing', severity: 'info' }]);
    expect((await checkVhdx(top.source())).status).toBe('incomplete');
    const disk = await openVhdx(top.source(), { parent: false });
    expect(await disk.check()).toEqual(report);
    expect(disk.findings).toEqual(report.findings);
  });

  test('goes on below a member that does not open, if that says what its parent is', async () => {
    const cut = middle.clone();
    cut.truncate(middle.layout.bat.offset + 4096);
    const report = await checkVhdx(top.source(), { parent: [named(cut, 'm.avhdx'), named(base, 'base.vhdx')] });
    expect(report).toMatchObject({ status: 'corrupt', parent: { status: 'unreadable', name: 'm.avhdx' } });
    expect(report.parent?.parent).toMatchObject({ status: 'sound', name: 'base.vhdx' });
    await expectRefused(top, 'parent-damaged', { parent: [named(cut, 'm.avhdx'), named(base, 'base.vhdx')] });
  });

  test('ends where a member that does not open is its own parent', async () => {
    const loop = buildImage({
      type: 'differencing',
      dataWriteGuid: guidAt(5),
      parentLocator: { entries: locatorEntries({ linkage: guidAt(5), relativePath: 'x' }) },
    });
    loop.truncate(loop.layout.bat.offset + 4096);
    const report = await checkVhdx(loop.source(), { parent: () => loop.source() });
    expect(report.status).toBe('unreadable');
    expect(report.parent).toBeUndefined();
  });

  test('says what was overridden, and is no better than corrupt for it', async () => {
    const parent = ({ depth }: { depth: number }) => (depth === 1 ? named(middle, 'm') : named(top, 'wrong.vhdx'));
    const report = await checkVhdx(top.source(), { parent, ignoreParentMismatch: true });
    expect(report.status).toBe('corrupt');
    expect(report.parent?.findings.map(({ code }) => code)).toContain('parent-mismatch');
  });
});
