import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { buildVhd } from '../support/build-vhd.js';
import { saved, vhdx } from '../support/command.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { expectOutput } from '../support/output-schema.js';
import { tempDir } from '../support/tools.js';

const crcOf = (bytes: Uint8Array) => crc32cReference(bytes).toString(16).padStart(8, '0');
const hashOf = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest('hex');

/** Runs `vhdx check --report` and gives what it wrote, which fits the schema. */
async function reportOf(folder: string, ...args: readonly string[]) {
  const path = join(folder, 'report.json');
  const { status, stderr } = await vhdx('check', '--report', path, ...args);
  const text = await readFile(path, 'utf8');
  const document = JSON.parse(text);
  for (const one of [document].flat()) expectOutput('error' in one ? 'failure' : 'image-report', JSON.stringify(one));
  return { status, stderr, document };
}

describe('vhdx check --report', () => {
  test('writes findings, identity, versions and the checksums of file and disk', async () => {
    const folder = await tempDir();
    const size = 16 * MiB;
    const image = buildImage({ virtualSize: size, blocks: { 1: { state: STATE.fullyPresent, data: pattern(1) } } });
    const path = await saved(image, join(folder, 'disk.vhdx'));
    const before = Date.now();
    const { status, document } = await reportOf(folder, '--algorithm', 'sha256', '--algorithm', 'md5', path);
    expect(status).toBe(0);
    const [file, disk] = [await readFile(path), modelOf(image).expected(0, size)];
    expect(document).toMatchObject({
      filename: path,
      modified: new Date(Math.floor((await stat(path)).mtimeMs)).toISOString(),
      hashes: {
        file: { crc32c: crcOf(file), sha256: hashOf('sha256', file), md5: hashOf('md5', file) },
        disk: { crc32c: crcOf(disk), sha256: hashOf('sha256', disk), md5: hashOf('md5', disk) },
      },
      check: { filename: path, format: 'vhdx', status: 'sound', info: { header: { version: 1 }, type: 'dynamic' } },
    });
    expect(Date.parse(document.date)).toBeGreaterThanOrEqual(before);
    expect(document.runtime).toMatch(/^(Node|Bun|Deno) \d+\.\d+\.\d+, \w+ \w+$/);
  });

  test('says why a damaged disk has no checksum, and sums the file', async () => {
    const folder = await tempDir();
    const path = await saved(buildImage({ blocks: { 0: { state: 4 } } }), join(folder, 'disk.vhdx'));
    const { status, document } = await reportOf(folder, path);
    expect(status).toBe(2);
    expect(document).toMatchObject({
      hashes: { file: { crc32c: crcOf(await readFile(path)) }, disk: { error: { code: 'bat-reserved-state' } } },
      check: { status: 'corrupt', findings: [{ code: 'bat-reserved-state', severity: 'block' }] },
    });
  });

  test('takes what does not open, a VHD, and what is not there', async () => {
    const folder = await tempDir();
    const [text, vhd] = [join(folder, 'notes.vhdx'), join(folder, 'disk.vhd')];
    await writeFile(text, 'not an image');
    await writeFile(vhd, buildVhd({ size: 4 * MiB, blocks: {} }));
    const { status, document, stderr } = await reportOf(folder, text, vhd, join(folder, 'nowhere'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/nowhere: no such file/);
    expect(document).toMatchObject([
      {
        hashes: { file: { crc32c: crcOf(new TextEncoder().encode('not an image')) } },
        check: { status: 'unreadable', format: 'vhdx', findings: [{ code: 'file-signature', severity: 'fatal' }] },
      },
      {
        hashes: { file: { crc32c: crcOf(await readFile(vhd)) }, disk: { crc32c: crcOf(new Uint8Array(4 * MiB)) } },
        check: { status: 'sound', format: 'vpc' },
      },
      { error: { code: 'read-failed' } },
    ]);
    expect(document[0].hashes).not.toHaveProperty('disk');
  });

  test('replaces no file, and says so before it reads anything', async () => {
    const folder = await tempDir();
    const path = await saved(buildImage(), join(folder, 'disk.vhdx'));
    const before = await readFile(path);
    const refused = await vhdx('check', '--report', path, path);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(/disk\.vhdx: there is a file already, and a report replaces none/);
    expect((await readFile(path)).equals(before)).toBe(true);
    const nowhere = await vhdx('check', '--report', join(folder, 'no/where.json'), path);
    expect(nowhere).toMatchObject({ status: 1, stdout: '' });
    expect(nowhere.stderr).toMatch(/where\.json: no such file or directory/);
  });

  test('knows its algorithms, which are for a report', async () => {
    const path = await saved(buildImage(), join(await tempDir(), 'disk.vhdx'));
    expect((await vhdx('check', '--algorithm', 'sha256', path)).stderr).toMatch(/--algorithm is for --report/);
    expect((await vhdx('check', '--report', `${path}.json`, '--algorithm', 'rot13', path)).stderr).toMatch(
      /It is none of sha256, sha1 and md5/,
    );
    expect((await vhdx('check', '--report', `${path}.json`, '--shard', '0/2', path)).stderr).toMatch(
      /--shard takes one image, repairs nothing and reports nothing/,
    );
  });
});
