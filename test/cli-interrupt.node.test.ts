import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { pattern } from './support/block-content.js';
import { buildImage } from './support/build-image.js';
import { ending, startVhdx, vhdx } from './support/command.js';
import { MiB } from './support/encode-primitives.js';
import { serveUntil } from './support/slow-server.js';
import { tempDir } from './support/tools.js';

const blocks = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [i, { state: 6, data: pattern(i) }]));
const image = buildImage({ virtualSize: 32 * MiB, blocks });

/** Waits until a partial file holds something. */
async function written(path: string): Promise<void> {
  while (!existsSync(path) || (await stat(path)).blocks === 0) await setTimeout(20);
}

describe.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s in the middle of a conversion', (signal, code) => {
  test(`removes what was half written, leaves what was there, and ends with ${code}`, async () => {
    const folder = await tempDir();
    const out = join(folder, 'disk.img');
    await writeFile(out, 'what was there');
    // The server stops in the middle, so the conversion cannot be over before it is interrupted.
    const url = await serveUntil(image, image.layout.blockOffset(20));
    const child = startVhdx('convert', url, out);
    const ended = ending(child);
    await written(`${out}.partial`);
    expect(await readFile(out, 'utf8')).toBe('what was there');
    child.kill(signal);
    expect(await ended).toEqual({ status: code, stderr: '' });
    expect(await readdir(folder)).toEqual(['disk.img']);
    expect(await readFile(out, 'utf8')).toBe('what was there');
  });
});

test('a file of which not everything comes is not left behind', async () => {
  const folder = await tempDir();
  const path = join(folder, 'disk.img');
  const child = startVhdx('convert', await serveUntil(image, image.layout.blockOffset(20)), path);
  const ended = ending(child);
  await written(`${path}.partial`);
  child.kill('SIGKILL');
  await ended;
  // Nobody can clean up behind SIGKILL; but what is left does not look whole, and is not taken for one.
  expect(await readdir(folder)).toEqual(['disk.img.partial']);
  const again = await vhdx('convert', path, path);
  expect(again.status).toBe(1);
});
