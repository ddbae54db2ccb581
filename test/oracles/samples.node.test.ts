// Two real images of QEMU's own test set; what they hold is said by its tests 064 and 070.
import { createHash } from 'node:crypto';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { checkVhdx, openVhdx, type VhdxDisk } from '../../src/index.js';
import { GiB, MiB } from '../support/encode-primitives.js';
import { convertWithQemu, expectSameAsRaw, qemuImg } from '../support/other-readers.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { needs, sample, tempDir } from '../support/tools.js';

const windows = sample('iotest-dynamic-1G.vhdx', { requiredInCI: false });
const dirty = sample('iotest-dirtylog-10G-4M.vhdx', { requiredInCI: false });

/** CRC-32C of what the tests say that the disks hold, by a bitwise computation in Python. */
const WINDOWS_SUM = 0xcb8272cd;
const DIRTY_SUM = 0x22f93468;

const sha256 = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

async function expectFilled(disk: VhdxDisk, from: number, to: number, value: number): Promise<void> {
  for (let at = from; at < to; at += MiB)
    expectSameBytes(await disk.read(at, MiB), new Uint8Array(MiB).fill(value), `at ${at}`);
}

describe('the image that Windows made', () => {
  needs(windows).test('holds what test 064 says: 33 MiB of a5, 33 MiB of 96, and zeros', async () => {
    const disk = await openVhdx(await windows.unpacked());
    expect(disk).toMatchObject({
      size: GiB,
      type: 'dynamic',
      blockSize: 32 * MiB,
      logicalSectorSize: 512,
      physicalSectorSize: 4096,
      id: 'fc7209f1-f6eb-4616-9b77-e994e3017ddd',
    });
    expect(disk.info.header).toMatchObject({
      dataWriteGuid: 'd247cbb2-15b6-404b-9133-790733d694c0',
      fileWriteGuid: '8e90ea6d-b636-1c49-b7d4-35109e600c0c',
      sequenceNumber: '15',
    });
    expect(disk.info.log.dirty).toBe(false);
    await expectFilled(disk, 0, 33 * MiB, 0xa5);
    await expectFilled(disk, 33 * MiB, 66 * MiB, 0x96);
    await expectFilled(disk, 66 * MiB, 100 * MiB, 0);
    expect(await disk.checksum()).toBe(WINDOWS_SUM);
    await disk.close();
  });

  needs(windows).test('is sound, with a dead log', async () => {
    const { status, findings, blocks } = await checkVhdx(await windows.unpacked());
    expect(status).toBe('sound');
    expect(findings.map(({ code }) => code)).toContain('log-dead');
    expect(blocks).toMatchObject({ zero: 29, fullyPresent: 3, leakedBytes: 0 });
  });

  needs(windows, qemuImg).test('reads as qemu-img reads it', async () => {
    const copy = join(await tempDir(), 'windows.vhdx');
    await copyFile(await windows.unpacked(), copy);
    const disk = await openVhdx(copy);
    await expectSameAsRaw(disk, await convertWithQemu(copy));
    await disk.close();
  });
});

describe('the image that a killed QEMU left', () => {
  needs(dirty).test('holds what test 070 says: 18 MiB of a5, and its file stays as it is', async () => {
    const path = await dirty.unpacked();
    const before = await sha256(path);
    const disk = await openVhdx(path);
    expect(disk).toMatchObject({ size: 10 * GiB, blockSize: MiB, id: '9cba4bd2-31ac-6745-a10e-380e9086de9d' });
    expect(disk.info.header).toMatchObject({
      dataWriteGuid: '5ab1b2ee-2f64-2e40-8a9b-0f0bcfdcd544',
      logGuid: 'c82755bc-427f-1245-b72c-da70aaabe031',
    });
    // Of the seven entries in its log six are of other sessions.
    expect(disk.info.log).toMatchObject({
      dirty: true,
      replay: { entries: 1, firstSequenceNumber: '7', lastSequenceNumber: '7', dataSectors: 1 },
    });
    await expectFilled(disk, 0, 18 * MiB, 0xa5);
    await expectFilled(disk, 18 * MiB, 40 * MiB, 0);
    expect(await disk.checksum()).toBe(DIRTY_SUM);
    // 30 MiB, of which 8 lie before the first block and 18 are blocks.
    expect(await disk.check()).toMatchObject({
      status: 'repairable',
      blocks: { fullyPresent: 18, leakedBytes: 4 * MiB },
    });
    await disk.close();
    expect(await sha256(path)).toBe(before);
  });

  needs(dirty).test('is refused where replay is not wanted', async () => {
    await expect(openVhdx(await dirty.unpacked(), { replay: 'refuse' })).rejects.toMatchObject({ code: 'log-dirty' });
  });

  needs(dirty, qemuImg).test('reads as its copy does after qemu-img repaired it', async () => {
    const copy = join(await tempDir(), 'dirty.vhdx');
    await copyFile(await dirty.unpacked(), copy);
    expect(await qemuImg.run(['check', '-r', 'all', copy])).toMatchObject({ status: 0 });
    const disk = await openVhdx(await dirty.unpacked());
    await expectSameAsRaw(disk, await convertWithQemu(copy));
    await disk.close();
  });
});
