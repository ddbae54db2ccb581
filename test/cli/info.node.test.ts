import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pattern, sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { expectFailure, saved, vhdx } from '../support/command.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { GiB, MiB } from '../support/encode-primitives.js';
import { IS_REQUIRED } from '../support/encode-structures.js';
import { BASE_DATA_WRITE_GUID, CHILD_DATA_WRITE_GUID, locatorEntries, STATE } from '../support/image-spec.js';
import { needs, sample, tempDir, tool } from '../support/tools.js';

const qemuImg = tool('qemu-img');
const windowsImage = sample('iotest-dynamic-1G.vhdx', { requiredInCI: false });
const dirtyImage = sample('iotest-dirtylog-10G-4M.vhdx', { requiredInCI: false });

async function infoJson(...args: readonly string[]) {
  const { status, stdout, stderr } = await vhdx('info', '--output', 'json', ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

/** A base image, a child of it, and a grandchild, in one folder. */
async function saveChain(folder: string): Promise<{ base: string; child: string; grandchild: string }> {
  const block = { state: STATE.partiallyPresent, data: pattern(1), bitmap: sectorBits(2048, [0, 8]) };
  const linked = (linkage: string, relativePath: string) => ({ entries: locatorEntries({ linkage, relativePath }) });
  const child = buildImage({
    type: 'differencing',
    blocks: { 1: block },
    parentLocator: linked(BASE_DATA_WRITE_GUID, '.\\base.vhdx'),
  });
  const grandchild = buildImage({
    type: 'differencing',
    blocks: { 2: block },
    dataWriteGuid: '11111111-2222-4333-8444-555555555555',
    parentLocator: linked(CHILD_DATA_WRITE_GUID, '.\\child.avhdx'),
  });
  return {
    base: await saved(buildImage(), join(folder, 'base.vhdx')),
    child: await saved(child, join(folder, 'child.avhdx')),
    grandchild: await saved(grandchild, join(folder, 'grandchild.avhdx')),
  };
}

describe('vhdx info', () => {
  test.each([
    ['fixed', 2 * MiB, 512, 'fixed (fixed size)'],
    ['dynamic', 32 * MiB, 4096, 'dynamic (dynamically expanding)'],
  ] as const)('tells of a %s image what users of Hyper-V ask', async (type, blockSize, logicalSectorSize, text) => {
    const image = buildImage({ type, blockSize, logicalSectorSize, virtualSize: 40 * MiB, blocks: {} });
    const path = await saved(image, join(await tempDir(), 'disk.vhdx'));
    const { status, stdout } = await vhdx('info', path);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^virtual size: +40 MiB \(41943040 bytes\)$/m);
    expect(stdout).toContain(`VHDX, ${text}`);
    expect(stdout).toContain(`${logicalSectorSize} bytes logical, 4096 bytes physical`);
    expect(stdout).toMatch(new RegExp(`^block size: +${blockSize / MiB} MiB$`, 'm'));
    expect(stdout).toMatch(/^disk identifier: +0c5c4a9f-3c19-4d6b-8a5e-9b1f7d2e6c43$/m);
    expect(stdout).toMatch(/^state: +clean$/m);
    expect(stdout).toMatch(/^created by: +Microsoft Windows 6\.2/m);
  });

  needs(qemuImg).test('agrees with qemu-img in every key that qemu-img has', async () => {
    const folder = await tempDir();
    for (const options of ['subformat=dynamic', 'subformat=fixed', 'block_size=1M', 'block_size=256M']) {
      const path = join(folder, `${options}.vhdx`);
      expect(await qemuImg.run(['create', '-f', 'vhdx', '-o', options, path, '48M'])).toMatchObject({ status: 0 });
      const theirs = JSON.parse((await qemuImg.run(['info', '--output', 'json', path])).stdout);
      expect(await infoJson(path)).toMatchObject(theirs);
    }
  });

  test('gives programs the raw facts too, and what the file takes on its disk', async () => {
    const path = await saved(buildImage({ virtualSize: 8 * GiB }), join(await tempDir(), 'disk.vhdx'));
    const { blocks, size } = await stat(path);
    const facts = await infoJson(path);
    expect(facts).toMatchObject({
      filename: path,
      format: 'vhdx',
      'virtual-size': 8 * GiB,
      'actual-size': blocks * 512,
    });
    expect(facts['format-specific']).toMatchObject({
      type: 'vhdx',
      data: {
        subformat: 'dynamic',
        'block-size': MiB,
        'logical-sector-size': 512,
        'physical-sector-size': 4096,
        'virtual-disk-id': '0c5c4a9f-3c19-4d6b-8a5e-9b1f7d2e6c43',
        'file-size': size,
        'payload-blocks': 8192,
        header: { 'sequence-number': '15', 'data-write-guid': BASE_DATA_WRITE_GUID },
        log: { dirty: false, offset: MiB, length: MiB },
        findings: [],
      },
    });
  });

  test('says that an image is dirty and what replay changed, and refuses it where replay is not wanted', async () => {
    const clean = buildImage();
    const sectors = structureSectors(clean);
    const path = await saved(dirtied(clean, sectors), join(await tempDir(), 'dirty.vhdx'));
    const { stdout } = await vhdx('info', path);
    expect(stdout).toMatch(/^state: +dirty: .*; 1 log entry replayed in memory/m);
    expect(stdout).toContain(`${sectors.length} sectors of 4 KiB written`);
    const facts = await infoJson(path);
    expect(facts['dirty-flag']).toBe(true);
    expect(facts['format-specific'].data.log.replay).toMatchObject({ entries: 1, 'data-sectors': sectors.length });
    expectFailure(await vhdx('info', '--no-replay', path), 1, 'must be replayed');
  });

  test('finds the parents of a chain, and tells of each of them on demand', async () => {
    const folder = await tempDir();
    const { base, child, grandchild } = await saveChain(folder);
    const facts = await infoJson('--backing-chain', grandchild);
    const names = facts.map((member: Record<string, unknown>) => member['filename']);
    expect(names).toEqual([grandchild, child, base]);
    expect(facts[0]).toMatchObject({
      'backing-filename': '.\\child.avhdx',
      'full-backing-filename': child,
      'backing-filename-format': 'vhdx',
    });
    expect(facts[2]).not.toHaveProperty('backing-filename');
    const human = await vhdx('info', child);
    expect(human.stdout).toMatch(new RegExp(`^parent: +${base}$`, 'm'));
    expect(human.stdout).toMatch(/^ {2}relative_path: +\.\\base\.vhdx$/m);
    expect((await vhdx('info', '--backing-chain', child)).stdout.match(/^image:/gm)).toHaveLength(2);
  });

  test('tells of a child without its parent, and why there is none', async () => {
    const folder = await tempDir();
    const { child } = await saveChain(folder);
    await mkdir(join(folder, 'alone'));
    const image = buildImage({ type: 'differencing', blocks: {} });
    const alone = await saved(image, join(folder, 'alone/child.avhdx'));
    const { status, stdout } = await vhdx('info', alone);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^parent: +not available: Parent Locator: .*base\.vhdx/m);
    expect(stdout).toContain(BASE_DATA_WRITE_GUID);
    const facts = await infoJson(alone);
    expect(facts).not.toHaveProperty('full-backing-filename');
    expect(facts['format-specific'].data['parent-error']).toContain('was not found');
    expect((await vhdx('info', '--no-parent', child)).stdout).toMatch(/^parent: +not opened$/m);
    const named = await infoJson('--parent', join(folder, 'base.vhdx'), alone);
    expect(named['full-backing-filename']).toBe(join(folder, 'base.vhdx'));
    expectFailure(await vhdx('read', '--offset', '3M', '--length', '512', alone), 1, 'was not found', '--parent');
  });

  test('names both states where the parent is not the right one', async () => {
    const folder = await tempDir();
    const dataWriteGuid = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
    await saved(buildImage({ dataWriteGuid }), join(folder, 'base.vhdx'));
    const child = await saved(buildImage({ type: 'differencing', blocks: {} }), join(folder, 'child.avhdx'));
    const { stdout } = await vhdx('info', child);
    expect(stdout).toContain(BASE_DATA_WRITE_GUID);
    expect(stdout).toContain(dataWriteGuid);
    expectFailure(await vhdx('map', child), 1, BASE_DATA_WRITE_GUID, dataWriteGuid, '--ignore-parent-mismatch');
    const forced = await vhdx('map', '--ignore-parent-mismatch', child);
    expect(forced).toMatchObject({ status: 0, stderr: expect.stringContaining('warning: ') });
  });

  test('follows a path out of the folder only where it is told to', async () => {
    const folder = await tempDir();
    await mkdir(join(folder, 'inner'));
    await saved(buildImage(), join(folder, 'base.vhdx'));
    const entries = locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '..\\base.vhdx' });
    const image = buildImage({ type: 'differencing', blocks: {}, parentLocator: { entries } });
    const child = await saved(image, join(folder, 'inner/child.avhdx'));
    expectFailure(await vhdx('map', child), 1, 'base.vhdx', '--follow-parents');
    expect(await vhdx('map', '--follow-parents', child)).toMatchObject({ status: 0, stderr: '' });
  });

  test('lists what is odd, and refuses it where it is told to be strict', async () => {
    const image = buildImage({ items: (items) => items.map((item) => ({ ...item, flags: IS_REQUIRED })) });
    const path = await saved(image, join(await tempDir(), 'odd.vhdx'));
    const { status, stdout } = await vhdx('info', path);
    expect(status).toBe(0);
    expect(stdout).toContain('metadata-item-flags [MS-VHDX 2.6.2]');
    expectFailure(await vhdx('info', '--strict', path), 1);
  });

  needs(windowsImage).test('tells of the image that Windows made', async () => {
    const facts = await infoJson(await windowsImage.unpacked());
    expect(facts).toMatchObject({ 'virtual-size': GiB, 'cluster-size': 32 * MiB, 'dirty-flag': false });
    expect(facts['format-specific'].data.creator).toMatch(/^Microsoft Windows/);
  });

  needs(dirtyImage).test('tells of the image that QEMU left dirty', async () => {
    const facts = await infoJson(await dirtyImage.unpacked());
    expect(facts).toMatchObject({ 'virtual-size': 10 * GiB, 'cluster-size': MiB, 'dirty-flag': true });
    expect(facts['format-specific'].data.log.replay.entries).toBeGreaterThan(0);
  });
});
