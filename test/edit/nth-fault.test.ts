// A disk that is full, or fails, at each of the operations of a session in turn.
import { describe, expect, test } from 'vitest';
import { editVhdx, VhdxError, type WritableVhdxDisk } from '../../src/index.js';
import { buildImage } from '../support/build-image.js';
import { CrashFile } from '../support/crash/crash-file.js';
import { PageImage } from '../support/crash/page-image.js';
import { readState } from '../support/crash/state-reader.js';
import { editFile } from '../support/edit/driven-disk.js';
import { MiB } from '../support/encode-primitives.js';
import { SLOW } from '../support/time-limits.js';

/** A change of each kind, in blocks that exist and that do not, with flushes between. A block holds one value. */
const STEPS = [
  ['write', 0, 1],
  ['flush'],
  ['write', 1, 2],
  ['zero', 0, 0],
  ['write', 2, 3],
  ['flush'],
  ['trim', 1, 0],
  ['write', 2, 4],
  ['write', 0, 5],
  ['flush'],
  ['write', 3, 6],
] as const;

/** A file whose nth operation of some kinds fails. */
function failingFile(kinds: readonly string[], nth: number, error: () => VhdxError) {
  const fault = { failed: false, over: false };
  let operations = 0;
  const image = PageImage.of(buildImage({ virtualSize: 6 * MiB, blocks: {} }).toUint8Array());
  const file = new CrashFile(image, {
    fail: (operation) => {
      if (fault.over || !kinds.includes(operation) || operations++ !== nth) return undefined;
      fault.failed = true;
      return error();
    },
  });
  return { file, fault };
}

/** Takes the steps on a disk, and keeps what each block may hold afterwards. */
class Run {
  /** What each block may hold, the newest last. */
  readonly possible = new Map<number, Set<number>>();
  readonly codes: string[] = [];
  /** Blocks whose last change was rejected: it may have happened. */
  readonly #doubtful = new Set<number>();
  readonly #disk: WritableVhdxDisk;

  constructor(disk: WritableVhdxDisk) {
    this.#disk = disk;
  }

  async step(what: 'write' | 'zero' | 'trim' | 'flush', block: number, value: number): Promise<void> {
    if (what === 'flush') {
      if (await this.succeeds(this.#disk.flush())) this.#forgetOld();
      return;
    }
    const values = this.possible.get(block) ?? new Set([0]);
    values.delete(value);
    this.possible.set(block, values.add(value));
    const done =
      what === 'write'
        ? this.#disk.write(new Uint8Array(MiB - 7).fill(value), block * MiB)
        : this.#disk[what](block * MiB, MiB);
    if (await this.succeeds(done)) this.#doubtful.delete(block);
    else this.#doubtful.add(block);
  }

  async succeeds(done: Promise<void>): Promise<boolean> {
    const error = await done.then(
      () => undefined,
      (cause: unknown) => cause,
    );
    if (error === undefined) return true;
    expect(error).toBeInstanceOf(VhdxError);
    this.codes.push((error as VhdxError).code);
    return false;
  }

  #forgetOld(): void {
    for (const [block, values] of this.possible) {
      if (!this.#doubtful.has(block)) this.possible.set(block, new Set([...values].slice(-1)));
    }
  }
}

/** The file is sound, holds what it may hold, can be written, and is clean then. */
async function checkRecovered(file: CrashFile, { possible }: Run, where: string): Promise<void> {
  readState(file.content());
  const again = await editVhdx(file);
  for (const [block, values] of possible) {
    const [value] = await again.read(block * MiB + 100, 1);
    expect([...values], `${where}, block ${block}`).toContain(value);
  }
  await again.write(new Uint8Array([9]), 5 * MiB);
  await again.close();
  expect(readState(file.content()).dirty, where).toBe(false);
}

describe('a session of which one operation on the file fails', () => {
  test.each<[string, readonly string[], () => VhdxError]>([
    ['for want of room', ['write', 'truncate'], () => new VhdxError('no-space', 'there is no room')],
    ['in its flush', ['flush'], () => new VhdxError('write-failed', 'input/output error')],
    ['in its write', ['write'], () => new VhdxError('write-failed', 'input/output error')],
  ])(
    '%s, whichever it is, has clear errors, and the file holds what was flushed',
    SLOW.crashes,
    async (_, kinds, error) => {
      for (let nth = 0; ; nth++) {
        const where = `operation ${nth}`;
        const { file, fault } = failingFile(kinds, nth, error);
        const disk = await editFile(file);
        const run = new Run(disk);
        for (const [what, block = 0, value = 0] of STEPS) await run.step(what, block, value);
        const isClosed = await run.succeeds(disk.close());
        if (!fault.failed) {
          expect(nth).toBeGreaterThan(5);
          break;
        }
        fault.over = true;
        if (run.codes.includes('session-failed')) expect(isClosed, where).toBe(false);
        // Room that is missing for one block rejects one call; growth in smaller steps may need none.
        else expect(run.codes, where).toEqual(run.codes.length === 0 ? [] : ['no-space']);
        await checkRecovered(file, run, where);
      }
    },
  );
});
