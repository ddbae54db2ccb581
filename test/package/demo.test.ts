import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { crc32cReference } from '../support/crc32c-reference.js';
import { needs, run, tempDir, tool } from '../support/tools.js';
import { root } from './module-graph.js';

const qemuImg = tool('qemu-img');
const demo = () => run(process.execPath, [join(root, 'scripts/demo.mjs')], { cwd: root });

describe('npm run demo', () => {
  test('shows what the README promises', async () => {
    const { status, stdout, stderr } = await demo();
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const name of ['info', 'map', 'check', 'checksum', 'read']) expect(stdout).toContain(`$ vhdx ${name}`);
    expect(stdout).toMatch(/^state: +dirty/m);
    expect(stdout).toMatch(/^0x3000000 +0x100000 +0xa00000 +disk\.vhdx$/m);
    expect(stdout).toContain('disk.vhdx: sound');
    expect(stdout).toContain('The drive failed while this was being written.');
  });

  needs(qemuImg).test('sums the bytes that QEMU reads when it has repaired the image', async () => {
    const { stdout } = await demo();
    const folder = await tempDir();
    const [repaired, raw] = [join(folder, 'repaired.vhdx'), join(folder, 'raw')];
    await copyFile(join(root, 'build/demo/disk.vhdx'), repaired);
    expect(await qemuImg.run(['info', repaired])).toMatchObject({ status: 1 });
    expect(await qemuImg.run(['check', '-r', 'all', repaired])).toMatchObject({ status: 0 });
    expect(await qemuImg.run(['convert', '-f', 'vhdx', '-O', 'raw', repaired, raw])).toMatchObject({ status: 0 });
    const expected = crc32cReference(await readFile(raw))
      .toString(16)
      .padStart(8, '0');
    expect(stdout).toMatch(new RegExp(`^${expected}  .*disk\\.vhdx$`, 'm'));
  });
});
