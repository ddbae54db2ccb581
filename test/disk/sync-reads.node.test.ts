import { open, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { saved } from '../support/command.js';
import { modelOf } from '../support/disk-model.js';
import { MiB } from '../support/encode-primitives.js';
import { BASE_DATA_WRITE_GUID, locatorEntries, STATE } from '../support/image-spec.js';
import { rangeServer, serveRange } from '../support/range-server.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { tempDir } from '../support/tools.js';

const base = buildImage({ virtualSize: 8 * MiB });
const child = buildImage({
  type: 'differencing',
  virtualSize: 8 * MiB,
  blocks: { 1: { state: STATE.fullyPresent, data: pattern(9) } },
  parentLocator: { entries: locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhdx' }) },
});

test('a chain of files is read synchronously, by path, file: URL and open handle', async () => {
  const folder = await tempDir();
  const below = await saved(base, join(folder, 'base.vhdx'));
  const path = await saved(child, join(folder, 'child.avhdx'));
  const expected = modelOf(child, modelOf(base)).expected(0, 8 * MiB);
  const handle = await open(path);
  for (const input of [path, pathToFileURL(path), handle]) {
    const disk = await openVhdx(input, { parent: below, sync: true });
    expectSameBytes(disk.readSync(0, 8 * MiB), expected);
    expectSameBytes(disk.readSync(MiB - 5, 10), expected.subarray(MiB - 5, MiB + 5));
    expectSameBytes(disk.parent?.readSync(0, 512) ?? new Uint8Array(), modelOf(base).expected(0, 512));
    await disk.close();
    expect(() => disk.readSync(0, 1)).toThrow(expect.objectContaining({ code: 'closed' }));
  }
  await handle.close();
});

test('a file that was cut off meanwhile is told as by the other door', async () => {
  const path = await saved(base, join(await tempDir(), 'disk.vhdx'));
  const disk = await openVhdx(path, { sync: true });
  await truncate(path, 5 * MiB);
  const by = await disk.read(2 * MiB, MiB).catch((error: unknown) => error);
  expect(by).toMatchObject({ code: 'short-read' });
  expect(() => disk.readSync(2 * MiB, MiB)).toThrow(String((by as Error).message));
  await disk.close();
});

test('an image on a server is not', async () => {
  const server = await rangeServer((request) => serveRange(request, base));
  await expect(openVhdx(server.url, { sync: true })).rejects.toMatchObject({ code: 'unsupported-input' });
});
