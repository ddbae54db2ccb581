import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { writeLog } from '../support/build-log.js';
import { expectFailure, saved, vhdx } from '../support/command.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { MiB } from '../support/encode-primitives.js';
import { needs, tempDir, tool } from '../support/tools.js';

const qemuImg = tool('qemu-img');
const plain = buildImage();

describe('vhdx check -r', () => {
  test('repairs first, says what, and ends with the code of the check', async () => {
    const folder = await tempDir();
    const leaking = plain.clone();
    leaking.truncate(leaking.size + 3 * MiB);
    const path = await saved(leaking, join(folder, 'leaking.vhdx'));
    expect((await vhdx('check', path)).status).toBe(3);
    const { status, stdout, stderr } = await vhdx('check', '-r', 'leaks', path);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^vhdx: .*leaking\.vhdx: repaired: the file cut from [^\n]+\n$/);
    expect(stdout).toContain('sound');
    expect((await stat(path)).size).toBe(plain.size);
  });

  test('leaves what it cannot repair, and the check says so', async () => {
    const damaged = plain.clone();
    damaged.write(damaged.layout.batEntryOffset(0), damaged.read(damaged.layout.batEntryOffset(2), 8));
    const path = await saved(damaged, join(await tempDir(), 'damaged.vhdx'));
    const before = await readFile(path);
    const { status, stderr } = await vhdx('check', '-r', 'all', path);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^vhdx: [^\n]+shares its place[^\n]+\n$/);
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    expect((await vhdx('check', '-r', path)).status).toBe(1); // the value is required
  });
});

describe('vhdx repair', () => {
  needs(qemuImg).test('replays the log in place, and qemu-img finds nothing afterwards', async () => {
    const path = await saved(dirtied(plain, structureSectors(plain)), join(await tempDir(), 'disk.vhdx'));
    const before = await readFile(path);
    const dry = await vhdx('repair', '--dry-run', path);
    expect(dry).toMatchObject({ status: 0, stderr: '' });
    expect(dry.stdout).toContain('would repair: 1 log entry replayed');
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    const { status, stdout, stderr } = await vhdx('repair', path);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('repaired: 1 log entry replayed');
    expect(await qemuImg.run(['check', '-f', 'vhdx', path])).toMatchObject({ status: 0 });
    expect((await vhdx('check', path)).status).toBe(0);
    expect((await vhdx('repair', path)).stdout).toContain('nothing to repair');
  });

  test('refuses a damaged log in one line, names the option, and changes nothing', async () => {
    const image = plain.clone();
    writeLog(image, { entries: [{ tail: 8192 }] });
    const path = await saved(image, join(await tempDir(), 'disk.vhdx'));
    const before = await readFile(path);
    expectFailure(await vhdx('repair', path), 1, 'no valid sequence', '--discard-log');
    expect(Buffer.compare(await readFile(path), before)).toBe(0);
    expect(await vhdx('repair', '--discard-log', path)).toMatchObject({ status: 0, stderr: '' });
    expect((await vhdx('check', path)).status).not.toBe(1);
  });
});
