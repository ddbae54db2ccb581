// vhdx checksum of the file itself, and by other algorithms: against what the platform's own crypto says of the bytes.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { expectFailure, saved, vhdx } from '../support/command.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { tempDir } from '../support/tools.js';

const image = buildImage({ virtualSize: 8 * MiB, blocks: { 1: { state: 6, data: pattern(1) } } });

describe('vhdx checksum', () => {
  test('--file sums the file itself, whatever it is', async () => {
    const folder = await tempDir();
    const path = await saved(image, join(folder, 'disk.vhdx'));
    const crc = (bytes: Uint8Array) => crc32cReference(bytes).toString(16).padStart(8, '0');
    const whole = crc(await readFile(path));
    expect(await vhdx('checksum', '--file', path)).toMatchObject({ status: 0, stdout: `${whole}  ${path}\n` });
    const text = join(folder, 'text');
    await writeFile(text, '123456789');
    expect((await vhdx('checksum', '--file', text)).stdout).toBe(`e3069283  ${text}\n`); // the check value of CRC-32C
    expect((await vhdx('checksum', '--file', '--offset', '3', '--length', '4', text)).stdout).toBe(
      `${crc(new TextEncoder().encode('4567'))}  3+4/9  ${text}\n`,
    );
    expectFailure(
      await vhdx('checksum', '--file', '--offset', '10', text),
      1,
      'past the end of the file, which has 9 bytes',
    );
    expectFailure(await vhdx('checksum', '--file', '-f', 'raw', text), 1, '--file sums the file as it is');
  });

  test.each(['sha256', 'sha1', 'md5'] as const)(
    '--algorithm %s sums the disk, holes too, or the file',
    async (algorithm) => {
      const path = await saved(image, join(await tempDir(), 'disk.vhdx'));
      const hash = (bytes: Uint8Array, as: 'hex' | 'base64' = 'hex') => createHash(algorithm).update(bytes).digest(as);
      const disk = modelOf(image).expected(0, 8 * MiB);
      expect(await vhdx('checksum', '--algorithm', algorithm, path)).toMatchObject({
        status: 0,
        stdout: `${hash(disk)}  ${path}\n`,
        stderr: '',
      });
      const file = await readFile(path);
      for (const wanted of [hash(file), hash(file).toUpperCase(), hash(file, 'base64')]) {
        const { status } = await vhdx('checksum', '--file', '--algorithm', algorithm, '--check', wanted, path);
        expect(status, wanted).toBe(0);
      }
      const wrong = await vhdx('checksum', '--algorithm', algorithm, '--check', hash(file), path);
      expectFailure(wrong, 1, `the checksum is ${hash(disk)}, not ${hash(file)}`);
    },
  );

  test('refuses what is no checksum of the algorithm, and parts of what cannot be combined', async () => {
    const path = await saved(image, join(await tempDir(), 'disk.vhdx'));
    for (const text of ['1234', '00112233445566778899', 'yZRlqg=', 'not base64!']) {
      expectFailure(
        await vhdx('checksum', '--check', text, path),
        1,
        `--check ${text}: this is neither 8 hexadecimal digits`,
      );
    }
    expectFailure(
      await vhdx('checksum', '--algorithm', 'md5', '--check', 'yZRlqg==', path),
      1,
      'neither 32 hexadecimal',
    );
    expectFailure(
      await vhdx('checksum', '--algorithm', 'crc64', path),
      1,
      'Allowed choices are crc32c, sha256, sha1, md5',
    );
    expectFailure(
      await vhdx('checksum', '--shard', '0/2', '--algorithm', 'md5', path),
      1,
      '--shard is for the CRC-32C of disks',
    );
    expectFailure(await vhdx('checksum', '--shard', '0/2', '--file', path), 1, '--shard is for the CRC-32C of disks');
  });
});
