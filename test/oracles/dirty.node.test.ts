// Dirty images as they come about: QEMU is killed in the middle of many writes. What it makes of the image when it
// repairs a copy is what replay in memory must make of the original.
//
// QEMU writes each log entry as a sequence of its own, and its faults with tails, gaps and large entries do not show
// in its own logs. One does: where it was killed between the header that announces an entry and the end of that entry,
// no valid sequence is there. The specification then says corrupt (rule 91), QEMU opens the image as if it were clean.
// Those images must be refused here; that they hold no whole entry with the header's GUID is looked up in the file.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { openVhdx } from '../../src/index.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { withChecksum } from '../support/encode-structures.js';
import { convertWithQemu, expectSameAsRaw, qemuImg, qemuIo } from '../support/other-readers.js';
import { needs, tempDir } from '../support/tools.js';

const WANTED = 50;
const seed = Math.floor(Math.random() * 2 ** 32);

/** Random numbers below 1, the same for the same seed. */
function randomNumbers(start: number): () => number {
  let state = start;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The log GUID of the current header, in hexadecimal; undefined where it is zero. */
function logGuidOf(file: number): string | undefined {
  const headers = [64 * KiB, 128 * KiB].map((offset) => {
    const bytes = Buffer.alloc(80);
    readSync(file, bytes, 0, 80, offset);
    return bytes;
  }) as [Buffer, Buffer];
  const current = headers[0].readBigUInt64LE(8) > headers[1].readBigUInt64LE(8) ? headers[0] : headers[1];
  const guid = current.toString('hex', 48, 64);
  return /[^0]/.test(guid) ? guid : undefined;
}

/** A function that finds the GUID of the newest entry of the log, 1 MiB at 1 MiB, which QEMU fills with entries of 8 KiB. */
function newestEntryIn(file: number): () => string | undefined {
  const bytes = Buffer.alloc(64);
  let next = 0;
  let guid: string | undefined;
  return () => {
    for (; next < MiB; next += 8 * KiB) {
      readSync(file, bytes, 0, 64, MiB + next);
      if (bytes.toString('latin1', 0, 4) !== 'loge') break;
      guid = bytes.toString('hex', 32, 48);
    }
    return guid;
  };
}

/** What qemu-io is to write: blocks in any order, some of them in part, some over the border to the next one. */
function writesTo(size: number, random: () => number): string {
  const blocks = Array.from({ length: 400 }, () => Math.floor((random() * size) / MiB));
  return blocks
    .map((block, i) => {
      const sectors = [8, 8, 64, 2048, 3000][Math.floor(random() * 5)] as number;
      const offset = Math.min(block * MiB + Math.floor(random() * 2048) * 512, size - sectors * 512);
      return `write -P ${1 + (i % 255)} ${offset} ${sectors * 512}\n`;
    })
    .join('');
}

/** Waits without giving the thread away, up to so many milliseconds. */
function waitFor(condition: () => boolean, patience: number): void {
  const end = performance.now() + patience;
  while (!condition() && performance.now() < end);
}

/** Makes an image, kills its writer at a random moment, and tells whether it is dirty now. */
async function makeDirty(path: string, random: () => number): Promise<boolean> {
  const size = random() < 0.9 ? 64 * MiB : 600 * MiB;
  const created = await qemuImg.run(['create', '-q', '-f', 'vhdx', '-o', `block_size=${MiB}`, path, String(size)]);
  expect(created).toMatchObject({ status: 0, stderr: '' });
  // Without "unsafe" the writer waits for the disk, which is the same to a reader after it was killed, and slow.
  // Its commands come from a file: a pipe would be fed by this thread, which has its eye on the image.
  await writeFile(`${path}.commands`, writesTo(size, random));
  const commands = openSync(`${path}.commands`, 'r');
  const writer = spawn(qemuIo.path, ['-f', 'vhdx', '-t', 'unsafe', path], { stdio: [commands, 'ignore', 'ignore'] });
  const ended = new Promise<void>((resolve) => writer.once('close', () => resolve()));
  const file = openSync(path, 'r');
  try {
    const grown = statSync(path).size + Math.floor(1 + random() * 14) * MiB;
    waitFor(() => statSync(path).size >= grown, 1500);
    // From there on, as soon as the header announces an entry, or as soon as the entry is there; or a little later.
    const newest = newestEntryIn(file);
    const forEntry = random() < 0.8;
    const isThere = () => {
      const guid = logGuidOf(file);
      return guid !== undefined && (!forEntry || newest() === guid);
    };
    // What is waited for lasts microseconds: the writer is stopped, and killed if it is still there by then.
    for (let attempt = 0; attempt < 8 && writer.exitCode === null; attempt++) {
      waitFor(isThere, 20);
      waitFor(() => false, random() * 0.05);
      writer.kill('SIGSTOP');
      waitFor(() => false, 0.3);
      if (isThere()) break;
      writer.kill('SIGCONT');
    }
    writer.kill('SIGKILL');
    await ended;
    return logGuidOf(file) !== undefined;
  } finally {
    closeSync(file);
    closeSync(commands);
  }
}

/** Whether the log, 1 MiB at 1 MiB, holds a whole entry with a GUID, given in hexadecimal: one whose checksum is right. */
async function holdsEntry(path: string, guid: string): Promise<boolean> {
  const log = (await readFile(path)).subarray(MiB, 2 * MiB);
  const twice = Buffer.concat([log, log]); // an entry may go round the end
  for (let at = 0; at < MiB; at += 4 * KiB) {
    if (log.toString('latin1', at, at + 4) !== 'loge' || log.toString('hex', at + 32, at + 48) !== guid) continue;
    const entry = Buffer.from(twice.subarray(at, at + log.readUInt32LE(at + 8)));
    entry.fill(0, 4, 8);
    if (crc32cReference(entry) === log.readUInt32LE(at + 4)) return true;
  }
  return false;
}

describe('dirty images from a killed QEMU', () => {
  needs(qemuImg, qemuIo).test(`${WANTED} of them read as QEMU repairs them (seed ${seed})`, async () => {
    const folder = await tempDir();
    const random = randomNumbers(seed);
    const outcomes = { compared: 0, withoutEntry: 0, clean: 0 };
    let stale = 0;
    for (let i = 0; outcomes.compared < WANTED; i++) {
      if (i > 40 * WANTED) throw new Error(`only ${JSON.stringify(outcomes)} came about`);
      const path = join(folder, `${i}.vhdx`);
      if (!(await makeDirty(path, random))) {
        outcomes.clean += 1;
      } else {
        const before = await readFile(path);
        const file = openSync(path, 'r');
        const guid = logGuidOf(file) as string;
        closeSync(file);
        if (await holdsEntry(path, guid)) {
          stale += (await compareWithQemu(path)) ? 1 : 0;
          outcomes.compared += 1;
        } else {
          await expect(openVhdx(path)).rejects.toMatchObject({ code: 'log-no-sequence' });
          outcomes.withoutEntry += 1;
        }
        expect(Buffer.compare(await readFile(path), before), 'the original was written to').toBe(0);
      }
      await rm(path);
    }
    // It is not as if nothing had to be replayed: some of them read otherwise without it.
    expect(stale).toBeGreaterThan(0);
  });
});

/** Asserts that an image reads as its copy does after QEMU repaired it, and tells whether it reads otherwise without its log. */
async function compareWithQemu(path: string): Promise<boolean> {
  const copy = `${path}.repaired`;
  await copyFile(path, copy);
  const repaired = await qemuImg.run(['check', '-q', '-r', 'all', copy]);
  const disk = await openVhdx(path).catch((error: unknown) => error as Error);
  if (disk instanceof Error)
    throw new Error(`QEMU repairs ${path} with ${repaired.status}, and it does not open`, { cause: disk });
  expect(repaired).toMatchObject({ status: 0 });
  expect(disk.findings.map(({ code }) => code)).toContain('log-replayed');
  const raw = await convertWithQemu(copy);
  await expectSameAsRaw(disk, raw);
  const mended = await openVhdx(copy);
  expect(mended.info.log.dirty).toBe(false);
  await expectSameAsRaw(mended, raw);
  const isStale = (await checksumWithoutLog(path)) !== (await disk.checksum());
  await Promise.all([disk.close(), mended.close()]);
  await Promise.all([rm(copy), rm(raw)]);
  return isStale;
}

/** The checksum of a disk without replay: both headers say that there is no log. */
async function checksumWithoutLog(path: string): Promise<number> {
  const bytes = await readFile(path);
  for (const offset of [64 * KiB, 128 * KiB]) {
    bytes.fill(0, offset + 48, offset + 64);
    withChecksum(bytes.subarray(offset, offset + 4 * KiB));
  }
  const disk = await openVhdx(bytes);
  return disk.checksum().finally(() => disk.close());
}
