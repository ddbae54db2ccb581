// Dirty images in little memory: changes are numbers in typed arrays, and all members of a chain share one limit.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildImage } from '../support/build-image.js';
import { writeLog } from '../support/build-log.js';
import { chainOf, nameAt } from '../support/chain-files.js';
import { commandLine, saved } from '../support/command.js';
import { GiB, KiB, MiB, u64Bytes } from '../support/encode-primitives.js';
import type { ImageSpec } from '../support/image-spec.js';
import { SLOW } from '../support/time-limits.js';
import { run, tempDir } from '../support/tools.js';

const SECTOR = 4 * KiB;
const MEMBERS = 8;
/** A small heap: 2^20 changes that were objects would take 80 MiB of it. */
const HEAP = '--max-old-space-size=48';

/** Saves a chain of dirty members, each with so many changes that do not touch one another, and opens it in a process of its own. */
async function openChain(changes: number) {
  const folder = await tempDir();
  const log = { length: Math.ceil((changes * 32) / MiB + 2) * MiB };
  const specs = Array.from({ length: MEMBERS }, (): ImageSpec => ({ places: { log } }));
  const { files } = chainOf(...(specs as [ImageSpec, ...ImageSpec[]]));
  const [one] = writeLog(buildImage(), {
    entries: [{ descriptors: [{ fileOffset: GiB, zeroLength: SECTOR }], lastFileOffset: 2 * GiB }],
  });
  const descriptor = one?.bytes.slice(64, 96) as Uint8Array;
  const edit = (bytes: Uint8Array) => {
    for (let i = 0; i < changes; i++) {
      descriptor.set(u64Bytes(GiB + 2 * SECTOR * i), 16);
      bytes.set(descriptor, 64 + 32 * i);
    }
  };
  const extraSectors = Math.ceil((64 + 32 * changes) / SECTOR) - 1;
  for (const [i, image] of files.entries()) {
    const lastFileOffset = GiB + 2 * SECTOR * changes;
    writeLog(image, { entries: [{ descriptorCount: changes, extraSectors, edit, lastFileOffset }] });
    await saved(image, join(folder, nameAt(MEMBERS - 1 - i)));
  }
  const [program, ...words] = commandLine('info', '--backing-chain', join(folder, nameAt(MEMBERS - 1)));
  return run(program, withHeap(words));
}

/** Asks for a small heap. Bun's JavaScript engine has no such option: there it is only seen that the chain opens. */
function withHeap(words: readonly string[]): readonly string[] {
  const [first = '', ...rest] = words;
  if ('Deno' in globalThis) return [first, `--v8-flags=${HEAP}`, ...rest]; // after the word "run"
  return 'Bun' in globalThis ? words : [HEAP, ...words];
}

test('eight dirty members of 2^17 changes each open with a heap of 48 MiB', SLOW.largest, async () => {
  const { status, stdout, stderr } = await openChain(2 ** 17);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout.match(/1 entry|1 log entry/g)).toHaveLength(MEMBERS);
});

test('of 2^18 changes each they are refused, and nothing runs out of memory', SLOW.largest, async () => {
  const { status, stderr } = await openChain(2 ** 18);
  expect(stderr).toContain('the logs of the chain together, make more than 1048576 changes');
  expect(status).toBe(1);
});
