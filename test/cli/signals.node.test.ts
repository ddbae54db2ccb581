// SIGINT and SIGKILL in the middle of every command that changes or makes a file as a whole, twenty times each: what is
// there reads the same, an interrupted command leaves it clean, and the work can be done again.
import { existsSync } from 'node:fs';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  compactVhdx,
  mergeVhdx,
  openVhdx,
  rebaseVhdx,
  repairVhdx,
  resizeVhdx,
  type VhdxDisk,
  writeVhdx,
} from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { ending, saved, startVhdx, vhdx } from '../support/command.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { modelOf } from '../support/disk-model.js';
import { saveChain } from '../support/edit/saved-chain.js';
import { MiB } from '../support/encode-primitives.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';
import { tempDir } from '../support/tools.js';

const TIMES = 20;
/** What is done again after one of so many runs. */
const AGAIN = 4;

/** A command, by the names of files in the folder that it works in. */
interface Job {
  /** Makes the files that it begins with. */
  lay(folder: string): Promise<unknown>;
  readonly args: (at: (name: string) => string) => readonly string[];
  /** The file whose lock shows that the work goes on. */
  readonly locked: string;
  /** The image that reads the same at every moment; of a command that makes a file, the one that it makes. */
  readonly image: string;
  /** What that reads as, from some offset on. */
  readonly content: () => Uint8Array;
  readonly offset?: number;
  /** Whether a command that makes a file has made it. */
  readonly isMade?: (path: string) => Promise<boolean>;
  /** Does the work, or what is left of it. */
  again(at: (name: string) => string): Promise<unknown>;
  /** Which image holds the result, and whether it does. */
  readonly result?: string;
  readonly isDone: (disk: VhdxDisk) => boolean;
}

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const blocks = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [i, present(i)]));

const SIZE = 12 * MiB;
const plain = buildImage({ virtualSize: SIZE, blocks: blocks(12) });
const content = modelOf(plain).expected(0, SIZE);
const holed = buildImage({
  virtualSize: SIZE,
  blocks: { ...blocks(12), ...Object.fromEntries([0, 2, 3, 5].map((i) => [i, { ...present(i), data: 0 }])) },
});
/** One block more does not fit into its BAT of 1 MiB. */
const LARGE = 131_041 * MiB;
const large = buildImage({ virtualSize: LARGE, blocks: { 0: present(1), 131040: present(2) } });
/** Its log has much to replay: what its entries write is wrong, but for the last one. */
function dirtyImage() {
  const sectors = structureSectors(plain);
  const wrong = sectors.map((fileOffset) => ({ fileOffset, bytes: new Uint8Array(4096).fill(0xdd) }));
  return dirtied(plain, sectors, { entries: Array.from({ length: 20 }, () => ({ descriptors: wrong })) });
}

let chainContent: Uint8Array = new Uint8Array(0);
async function layChain(folder: string): Promise<void> {
  const { model } = await saveChain(folder, SIZE / MiB);
  chainContent = model.expected(0, model.size);
}

const TO_VHDX = (at: (name: string) => string) => [
  ...['convert', '-f', 'raw', '-O', 'vhdx', '--force'],
  ...[at('disk.img'), at('disk.vhdx')],
];
const WAS_THERE = 'what was there';

const JOBS: Readonly<Record<string, Job>> = {
  'convert to a VHDX that replaces a file': {
    async lay(folder) {
      await writeFile(join(folder, 'disk.img'), content);
      await writeFile(join(folder, 'disk.vhdx'), WAS_THERE);
    },
    args: TO_VHDX,
    locked: 'disk.vhdx',
    image: 'disk.vhdx',
    content: () => content,
    isMade: async (path) => (await readFile(path)).subarray(0, 100).toString() !== WAS_THERE,
    again: (at) => vhdx(...TO_VHDX(at)),
    isDone: () => true,
  },
  'resize, with a BAT that moves': {
    lay: (folder) => saved(large, join(folder, 'disk.vhdx')),
    args: (at) => ['resize', at('disk.vhdx'), '1T'],
    locked: 'disk.vhdx',
    image: 'disk.vhdx',
    content: () => modelOf(large).expected(LARGE - MiB, MiB),
    offset: LARGE - MiB,
    again: (at) => resizeVhdx(at('disk.vhdx'), 2 ** 40),
    isDone: ({ size }) => size === 2 ** 40,
  },
  compact: {
    lay: (folder) => saved(holed, join(folder, 'disk.vhdx')),
    args: (at) => ['compact', at('disk.vhdx')],
    locked: 'disk.vhdx',
    image: 'disk.vhdx',
    content: () => modelOf(holed).expected(0, SIZE),
    again: (at) => compactVhdx(at('disk.vhdx')),
    isDone: ({ info }) => info.fileSize === holed.size - 4 * MiB,
  },
  merge: {
    lay: layChain,
    args: (at) => ['merge', '-b', at('base.vhdx'), at('child.avhdx')],
    locked: 'base.vhdx',
    image: 'child.avhdx',
    content: () => chainContent,
    again: (at) => mergeVhdx(at('child.avhdx'), { base: at('base.vhdx') }),
    result: 'base.vhdx',
    isDone: () => true,
  },
  'merge --into': {
    lay: layChain,
    args: (at) => ['merge', '--into', at('whole.vhdx'), at('child.avhdx')],
    locked: 'whole.vhdx',
    image: 'whole.vhdx',
    content: () => chainContent,
    isMade: async (path) => existsSync(path),
    again: async (at) => existsSync(at('whole.vhdx')) || writeVhdx(at('child.avhdx'), at('whole.vhdx')),
    isDone: ({ type }) => type !== 'differencing',
  },
  rebase: {
    lay: layChain,
    args: (at) => ['rebase', '-b', '', at('child.avhdx')],
    locked: 'child.avhdx',
    image: 'child.avhdx',
    content: () => chainContent,
    async again(at) {
      const disk = await openVhdx(at('child.avhdx'));
      await disk.close();
      if (disk.type === 'differencing') await rebaseVhdx(at('child.avhdx'), undefined);
      // Killed at its very end it is done, and in the log.
      else await repairVhdx(at('child.avhdx'));
    },
    isDone: ({ type }) => type !== 'differencing',
  },
  repair: {
    lay: (folder) => saved(dirtyImage(), join(folder, 'disk.vhdx')),
    args: (at) => ['repair', '-q', at('disk.vhdx')],
    locked: 'disk.vhdx',
    image: 'disk.vhdx',
    content: () => content,
    again: (at) => repairVhdx(at('disk.vhdx')),
    isDone: ({ info }) => !info.log.dirty,
  },
};

/** Waits until a file is there, or gone; or the process has ended. */
async function waitFor(path: string, isThere: boolean, hasEnded: () => boolean): Promise<void> {
  while (existsSync(path) !== isThere && !hasEnded()) await setTimeout(1);
}

/** Runs a command to its end, and says for how many milliseconds it held its lock. */
async function lockedFor(args: readonly string[], lock: string): Promise<number> {
  const child = startVhdx(...args);
  const ended = ending(child);
  const hasEnded = () => child.exitCode !== null;
  await waitFor(lock, true, hasEnded);
  const begun = performance.now();
  await waitFor(lock, false, hasEnded);
  const span = performance.now() - begun;
  expect(await ended).toMatchObject({ status: 0, stderr: '' });
  return span;
}

/** Starts a command and sends it a signal some milliseconds after it took its lock; null if the signal ended it. */
async function signalled(
  args: readonly string[],
  lock: string,
  signal: NodeJS.Signals,
  after: number,
): Promise<number | null> {
  const child = startVhdx(...args);
  const ended = ending(child);
  await waitFor(lock, true, () => child.exitCode !== null);
  if (after >= 1) await setTimeout(after);
  try {
    process.kill(child.pid as number, signal);
  } catch {
    // It is over.
  }
  const { status, stderr } = await ended;
  expect(stderr).toBe('');
  return status;
}

/** Looks at an image: it is sound, clean with its parents if it must be, and reads as it should. */
async function inspect(path: string, wanted: Uint8Array, offset: number, isClean: boolean): Promise<VhdxDisk> {
  const disk = await openVhdx(path, isClean ? { strict: true } : {});
  for (let member: VhdxDisk | undefined = isClean ? disk : undefined; member; member = member.parent) {
    expect(member.info.log.dirty, member.path).toBe(false);
  }
  expect((await disk.check()).status).not.toBe('corrupt');
  expectSameBytes(await disk.read(offset, wanted.length), wanted);
  await disk.close();
  return disk;
}

describe.each(Object.entries(JOBS))('%s', (name, job) => {
  const { offset = 0, image, result = image, isMade } = job;

  test.each([
    ['SIGINT', [0, 130, null]],
    ['SIGKILL', [0, null]],
  ] as const)('may get %s at any moment, and be run again', SLOW.programs, async (signal, codes) => {
    const template = await tempDir();
    await job.lay(template);
    const wanted = job.content();
    const lay = async () => {
      const folder = await tempDir();
      await cp(template, folder, { recursive: true });
      return (file: string) => join(folder, file);
    };
    const first = await lay();
    const span = await lockedFor(job.args(first), first(`${job.locked}.lock`));
    let met = 0;
    for (let i = 0; i < TIMES; i++) {
      const at = await lay();
      const lock = at(`${job.locked}.lock`);
      const status = await signalled(job.args(at), lock, signal, (span * i) / TIMES);
      expect(codes).toContain(status);
      if (signal === 'SIGKILL' ? existsSync(lock) : status === 130) met += 1;
      if (status === 130) {
        expect((await readdir(at('.'))).filter((file) => /\.(partial|lock)$/.test(file))).toEqual([]);
      }
      const isThere = !isMade || (await isMade(at(image)));
      if (isThere) await inspect(at(image), wanted, offset, status === 130 && name !== 'repair');
      if (i % AGAIN !== 0) continue;
      await job.again(at);
      expect(job.isDone(await inspect(at(result), wanted, offset, true))).toBe(true);
    }
    expect(met, 'signals in the middle of the work').toBeGreaterThan(0);
  });
});
