import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { expectFailure, saved, vhdx } from '../support/command.js';
import { MiB } from '../support/encode-primitives.js';
import { BASE_DATA_WRITE_GUID, type ImageSpec, locatorEntries, STATE } from '../support/image-spec.js';
import { needs, sample, tempDir, tool } from '../support/tools.js';

const qemuImg = tool('qemu-img');
const qemuIo = tool('qemu-io');
const windowsImage = sample('iotest-dynamic-1G.vhdx', { requiredInCI: false });

async function save(spec: ImageSpec): Promise<string> {
  return saved(buildImage(spec), join(await tempDir(), 'disk.vhdx'));
}

async function checkJson(path: string) {
  const { status, stdout, stderr } = await vhdx('check', '--output', 'json', path);
  expect(stderr).toBe('');
  return { status, report: JSON.parse(stdout) };
}

describe('vhdx check', () => {
  test('exits with 0 for a sound image', async () => {
    const path = await save({});
    const { status, stdout, stderr } = await vhdx('check', path);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`${path}: sound`);
    expect(stdout).toMatch(/^payload blocks: +8 \(2 fully present, 6 not present\)$/m);
    expect(await checkJson(path)).toMatchObject({ status: 0, report: { status: 'sound', findings: [] } });
  });

  test('exits with 3 for one that is worth repairing, and says how much is leaked', async () => {
    const path = await save({ placement: 'gaps', fileSize: (end) => end + 3 * MiB });
    const { status, stdout } = await vhdx('check', path);
    expect(status).toBe(3);
    expect(stdout).toContain(': repairable');
    expect(stdout).toContain(
      'leaked-space [MS-VHDX 2.5]: The file contains space that nothing refers to; no data is lost.',
    );
    expect((await checkJson(path)).report.status).toBe('repairable');
  });

  test('exits with 2 for one that lost data, and says which, where and by what section', async () => {
    const path = await save({
      blocks: { 3: { state: STATE.fullyPresent, offset: 512 * MiB, data: 1 } },
      fileSize: 6 * MiB,
    });
    const { status, stdout } = await vhdx('check', path);
    expect(status).toBe(2);
    expect(stdout).toContain(': corrupt');
    expect(stdout).toContain('bat-past-end [MS-VHDX 2.5.1]: The block is past the end of the file');
    const { bat } = buildImage({}).layout;
    expect(stdout).toContain(`BAT entry 3 (at 0x${(bat.offset + 24).toString(16)}): payload block 3`);
    const { report } = await checkJson(path);
    expect(report.findings).toContainEqual(
      expect.objectContaining({ severity: 'block', code: 'bat-past-end', spec: '2.5.1', offset: bat.offset + 24 }),
    );
  });

  test('exits with 1 for one that does not open, and tells why all the same', async () => {
    const path = await save({ items: (items) => items.slice(1) });
    const { status, stdout, stderr } = await vhdx('check', path);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout).toContain(': unreadable');
    expect(stdout).toContain('Fatal: the image cannot be read');
    expect(stdout).toContain('metadata-item-missing [MS-VHDX 2.6.2]');
    expect(await checkJson(path)).toMatchObject({ status: 1, report: { status: 'unreadable' } });
  });

  test('lists the worst first, and does not list thousands of one kind', async () => {
    const blocks = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [i, { state: 4 }]));
    const path = await save({ virtualSize: 3000 * MiB, blocks, fileSize: (end) => end });
    const { status, stdout } = await vhdx('check', path);
    expect(status).toBe(2);
    expect(stdout.match(/^ {4}BAT entry/gm)).toHaveLength(20);
    expect(stdout).toMatch(/^ {4}and 2980 more$/m);
    const odd = await save({ bat: { 1: 0x10n }, blocks: { 3: { state: 4 } } });
    const text = (await vhdx('check', odd)).stdout;
    expect(text.indexOf('bat-reserved-state')).toBeGreaterThan(0);
    expect(text.indexOf('bat-reserved-bits')).toBeGreaterThan(text.indexOf('bat-reserved-state'));
  });

  test('checks the parents of a chain, and says that a parent is missing', async () => {
    const folder = await tempDir();
    const entries = locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhdx' });
    const image = buildImage({ type: 'differencing', blocks: {}, parentLocator: { entries } });
    const child = await saved(image, join(folder, 'child.avhdx'));
    const alone = await vhdx('check', child);
    expect(alone.status).toBe(2);
    expect(alone.stdout).toContain('parent-missing');
    await saved(buildImage({ blocks: { 0: { state: 4 } } }), join(folder, 'base.vhdx'));
    const both = await vhdx('check', child);
    expect(both.status).toBe(2);
    expect(both.stdout).toContain('parent base.vhdx: corrupt');
    await saved(buildImage(), join(folder, 'base.vhdx'));
    expect(await vhdx('check', child)).toMatchObject({ status: 0 });
  });

  needs(qemuImg, qemuIo).test('finds nothing wrong with what QEMU writes', async () => {
    const folder = await tempDir();
    for (const options of ['block_size=1M', 'block_size=32M', 'subformat=fixed', 'block_state_zero=off']) {
      const path = join(folder, `${options}.vhdx`);
      expect(await qemuImg.run(['create', '-f', 'vhdx', '-o', options, path, '70M'])).toMatchObject({ status: 0 });
      expect(await qemuIo.run(['-f', 'vhdx', '-c', 'write -P 7 3M 5M', path])).toMatchObject({ status: 0 });
      expect(await vhdx('check', path)).toMatchObject({ status: 0, stderr: '' });
    }
  });

  needs(windowsImage).test('finds nothing wrong with what Windows writes', async () => {
    expect(await vhdx('check', await windowsImage.unpacked())).toMatchObject({ status: 0, stderr: '' });
  });

  test('is an error where the file cannot be read at all', async () => {
    const path = join(await tempDir(), 'no.vhdx');
    expectFailure(await vhdx('check', path), 1, `vhdx: ${path}: no such file`);
  });
});
