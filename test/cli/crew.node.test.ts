// Work by several threads: the shares of a disk make the disk, and the command says with threads what it says without.
import { existsSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Claims, sharedClaims } from '../../src/cli/crew/claims.js';
import { byCrew } from '../../src/cli/crew/crew.js';
import { holesOf, shareOf, sinkOf } from '../../src/cli/crew/share.js';
import type { Task } from '../../src/cli/crew/tasks.js';
import {
  checksumFile,
  compareDisks,
  exportDisk,
  memoryFile,
  openVhdx,
  type RandomAccessSource,
} from '../../src/index.js';
import { arbitraryChain, arbitraryImage } from '../support/arbitrary-images.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { chainOf } from '../support/chain-files.js';
import { saved, vhdx } from '../support/command.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { propertyRuns } from '../support/property-runs.js';
import { SLOW } from '../support/time-limits.js';
import { tempDir } from '../support/tools.js';

const program = new URL('../../dist/cli/crew-worker.js', import.meta.url);

/** An image that can be read at once. */
const twin = (image: BuiltImage): RandomAccessSource => image.source().twin() as RandomAccessSource;

/** The shares of some threads, which take turns in the order of their reads here. */
function sharesOf(source: RandomAccessSource, threads: number, window: number): RandomAccessSource[] {
  const claims = sharedClaims(source.size, threads, window);
  return Array.from({ length: threads }, (_, self) => shareOf(source, new Claims(claims, self)));
}

describe('the shares of a disk', () => {
  const image = buildImage({
    virtualSize: 12 * MiB + 512,
    blocks: {
      1: { state: STATE.fullyPresent, data: pattern(1) },
      5: { state: STATE.fullyPresent, data: pattern(5) },
      12: { state: STATE.fullyPresent, data: pattern(12) },
    },
  });

  test('are the disk, each byte of it in one of them', async () => {
    const disk = await openVhdx(twin(image), { sync: true });
    const whole = await disk.read(0, disk.size);
    const sum = new Uint8Array(disk.size);
    const shares = sharesOf(disk, 3, 256 * KiB);
    const walks = shares.map((share) => share.extents?.()[Symbol.asyncIterator]());
    // In turns, a window each.
    const hasMore = async (walk: (typeof walks)[number]): Promise<boolean> => {
      for (;;) {
        const { done, value } = (await walk?.next()) ?? { done: true };
        if (done || value?.kind === 'data') return !done;
      }
    };
    for (let running = true; running; ) {
      running = false;
      for (const walk of walks) running = (await hasMore(walk)) || running;
    }
    let twice = 0;
    for (const share of shares) {
      const bytes = new Uint8Array(disk.size);
      await share.readInto(bytes, 0);
      expect(bytes.some((byte) => byte !== 0)).toBe(true);
      for (let i = 0; i < bytes.length; i++) {
        if (bytes[i] !== 0 && sum[i] !== 0) twice++;
        sum[i] = (sum[i] as number) | (bytes[i] as number);
      }
    }
    expect(twice).toBe(0);
    expect(Buffer.compare(sum, whole)).toBe(0);
  });

  test(
    'have checksums that make that of any disk, are written into one, and have no difference that it has not',
    SLOW.properties,
    async () => {
      const images = fc.oneof(arbitraryImage({ maxBlockSize: 4 * MiB }), arbitraryChain({ maxBlockSize: 4 * MiB }));
      const windows = fc.constantFrom(4 * KiB, 36 * KiB, 256 * KiB, MiB);
      await fc.assert(
        fc.asyncProperty(images, windows, fc.integer({ min: 1, max: 5 }), async ({ files }, window, threads) => {
          const [top, ...parents] = files;
          const disk = await openVhdx(twin(top), { parent: parents.map(twin), sync: true });
          const zeros = await checksumFile(holesOf(disk.size));
          const sums = await Promise.all(sharesOf(disk, threads, window).map((share) => checksumFile(share)));
          expect(sums.reduce((crc, sum) => (crc ^ sum ^ zeros) >>> 0, zeros)).toBe(await disk.checksum());
          const claims = sharedClaims(disk.size, threads, window);
          const out = memoryFile();
          await out.truncate(disk.size);
          const writers = Array.from({ length: threads }, (_, self) => new Claims(claims, self));
          await Promise.all(
            writers.map((own) => exportDisk(shareOf(disk, own), sinkOf(own, out.write.bind(out)), { format: 'raw' })),
          );
          expect(await compareDisks(disk, out)).toBeUndefined();
          for (let self = 0; self < threads; self++) {
            const own = new Claims(claims, self);
            expect(await compareDisks(shareOf(disk, own), shareOf(disk, own))).toBeUndefined();
          }
        }),
        propertyRuns(20),
      );
    },
  );

  test('leave alone what another has written just behind theirs', async () => {
    const claims = sharedClaims(MiB, 2, 64 * KiB);
    const [one, other] = [new Claims(claims, 0), new Claims(claims, 1)];
    // Data that begins and ends 512 bytes after the border of a window, and holes on both sides of it.
    const [start, border, end] = [64 * KiB + 512, 128 * KiB, 128 * KiB + 512];
    const disk: RandomAccessSource = {
      size: MiB,
      readInto: async (target, offset) => void target.fill(1, Math.max(0, start - offset), Math.max(0, end - offset)),
      async *extents() {
        yield { offset: 0, length: start, kind: 'unmapped', depth: 0 };
        yield { offset: start, length: end - start, kind: 'data', depth: 0 };
        yield { offset: end, length: MiB - end, kind: 'unmapped', depth: 0 };
      },
    };
    expect(other.take(border)).toBe(true);
    const out = memoryFile();
    await out.truncate(MiB);
    const write = out.write.bind(out);
    await write(new Uint8Array(end - border).fill(1), border);
    await exportDisk(shareOf(disk, one), sinkOf(one, write));
    expect(await compareDisks(disk, out)).toBeUndefined();
  });

  test('end where a difference was found', async () => {
    const claims = sharedClaims(8 * MiB, 2, MiB);
    const [one, other] = [new Claims(claims, 0), new Claims(claims, 1)];
    const bytes = { size: 8 * MiB, readInto: async (target: Uint8Array) => void target.fill(1) };
    one.endAt(5 * MiB);
    other.endAt(3 * MiB + 5);
    one.endAt(4 * MiB);
    expect(one.end).toBe(3 * MiB + 5);
    const extents = [];
    for await (const extent of shareOf(bytes, one).extents?.() ?? []) extents.push(extent);
    expect(extents.at(-1)).toMatchObject({ kind: 'unmapped', offset: 4 * MiB, length: 4 * MiB });
  });
});

describe('a crew', () => {
  test('has a program of its own', () => {
    expect(existsSync(program), 'npm run build').toBe(true);
  });

  const blocks = Object.fromEntries(
    Array.from({ length: 24 }, (_, i) => [i, { state: STATE.fullyPresent, data: pattern(i) }]),
  );
  const image = buildImage({ virtualSize: 40 * MiB, blocks });

  test('does its task in threads, and says how far it is', async () => {
    const file = await saved(image, join(await tempDir(), 'disk.vhdx'));
    const size = 40 * MiB;
    const disk = { file, options: { format: 'vhdx' }, partition: undefined, size } as const;
    const task: Task = { kind: 'checksum', disk, offset: 0, length: size };
    const sums = await byCrew<number>(task, { threads: 3, size, program });
    expect(sums).toHaveLength(3);
    expect(sums?.every((sum) => Number.isInteger(sum))).toBe(true);
    const reports = await byCrew({ kind: 'check', file, options: {} }, { threads: 2, size: 0, program });
    expect(reports).toMatchObject([{ status: 'sound', shard: { index: 0, of: 2 } }, { shard: { index: 1, of: 2 } }]);
  });

  test('hands back what one of its threads cannot do', async () => {
    const file = await saved(image, join(await tempDir(), 'disk.vhdx'));
    const disk = { file, options: { format: 'vhdx' }, partition: undefined, size: 41 * MiB } as const;
    const task: Task = { kind: 'checksum', disk, offset: 0, length: 41 * MiB };
    expect(await byCrew(task, { threads: 2, size: 41 * MiB, program })).toBeUndefined();
    const missing = new URL('no-such-program.js', program);
    expect(await byCrew(task, { threads: 2, size: 41 * MiB, program: missing })).toBeUndefined();
  });

  test('ends when it is aborted', async () => {
    const file = join(await tempDir(), 'disk.raw');
    await writeFile(file, '');
    await truncate(file, 256 * GiB);
    const size = 256 * GiB;
    const disk = { file, options: { format: 'raw' }, partition: undefined, size } as const;
    const reports: unknown[] = [];
    const controller = new AbortController();
    const work = byCrew(
      { kind: 'checksum', disk, offset: 0, length: size },
      {
        threads: 2,
        size,
        program,
        signal: controller.signal,
        onProgress: (progress) => {
          reports.push(progress);
          controller.abort(new Error('enough'));
        },
      },
    );
    await expect(work).rejects.toThrow('enough');
    expect(reports[0]).toMatchObject({ total: size });
  });
});

describe('--threads', () => {
  const parts = chainOf(
    { virtualSize: 20 * MiB, blocks: { 0: { state: 6, data: pattern(1) }, 9: { state: 6, data: pattern(2) } } },
    {
      virtualSize: 24 * MiB,
      blocks: {
        1: { state: 6, data: pattern(3) },
        9: { state: 7, bitmap: sectorBits(2048, [0, 5], [700, 1001], [2040, 2048]), data: pattern(4) },
        23: { state: 6, data: pattern(5) },
      },
    },
  );

  /** Runs a command with one thread and with several, and wants the same of both. */
  async function same(...words: readonly string[]) {
    const [alone, crew] = [await vhdx(...words, '--threads', '1'), await vhdx(...words, '--threads', '3')];
    expect(crew).toEqual(alone);
    return alone;
  }

  test('changes nothing of what is said of a chain, its parts and its raw image', SLOW.programs, async () => {
    const folder = await tempDir();
    const [child, base] = parts.files;
    const path = await saved(child, join(folder, '1.vhdx'));
    await saved(base as typeof child, join(folder, '0.vhdx'));
    const raw = join(folder, 'disk.img');
    await writeFile(raw, parts.model.expected(0, 24 * MiB));
    expect((await same('checksum', path)).status).toBe(0);
    expect((await same('checksum', '--offset', '1000', '--length', '9M', path)).status).toBe(0);
    expect((await same('checksum', '--file', path)).status).toBe(0);
    expect((await same('check', '--output', 'json', path)).status).toBe(0);
    expect((await same('compare', path, raw)).status).toBe(0);
    expect((await vhdx('checksum', '--threads', '3', path)).stdout.slice(0, 8)).toBe(
      (await vhdx('checksum', '-f', 'raw', raw)).stdout.slice(0, 8),
    );
    const bytes = await readFile(raw);
    for (const at of [23 * MiB + 77, 9 * MiB + 5, 1]) {
      bytes[at] = (bytes[at] as number) ^ 1;
      await writeFile(raw, bytes);
      expect(await same('compare', path, raw)).toMatchObject({
        status: 1,
        stdout: expect.stringContaining(`at offset ${at}!`),
      });
    }
  });

  test.each(['raw', 'vpc'])('writes the same %s', SLOW.programs, async (format) => {
    const folder = await tempDir();
    const [child, base] = parts.files;
    const path = await saved(child, join(folder, '1.vhdx'));
    await saved(base as typeof child, join(folder, '0.vhdx'));
    const made = await Promise.all(
      ['1', '4'].map(async (threads) => {
        const out = join(folder, `${threads}.img`);
        const result = await vhdx('convert', '-O', format, '--threads', threads, path, out);
        expect(result).toMatchObject({ status: 0, stdout: '', stderr: '' });
        return readFile(out);
      }),
    );
    const [alone, crew] = made as [Buffer, Buffer];
    // A VHD says when it was made, and has a checksum of that.
    if (format === 'vpc') for (const bytes of made) bytes.fill(0, bytes.length - 512 + 24, bytes.length - 512 + 68);
    expect(crew.length).toBe(alone.length);
    expect(Buffer.compare(crew, alone)).toBe(0);
  });

  test('fails as one thread does', SLOW.programs, async () => {
    const folder = await tempDir();
    const damaged = buildImage({
      virtualSize: 40 * MiB,
      blocks: {
        1: { state: 6, data: pattern(1) },
        30: { state: 6, data: pattern(2), offset: 2 ** 40 },
        31: { state: 4 },
      },
    });
    const path = await saved(damaged, join(folder, 'disk.vhdx'));
    expect((await same('checksum', path)).status).toBe(1);
    expect((await same('compare', path, path)).status).toBe(2);
    expect((await same('check', '--output', 'json', path)).status).toBe(2);
    const out = join(folder, 'disk.img');
    expect((await same('convert', path, out)).status).toBe(1);
    expect(existsSync(out)).toBe(false);
    expect((await same('checksum', join(folder, 'nothing.vhdx'))).status).toBe(1);
    const [child] = parts.files;
    expect((await same('checksum', await saved(child, join(folder, 'child.vhdx')))).status).toBe(1);
  });

  test.each(['0', '65', 'two'])('is not %s', async (threads) => {
    const result = await vhdx('checksum', '--threads', threads, 'disk.vhdx');
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('--threads');
  });
});
