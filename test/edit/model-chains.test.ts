// Disks of any size and kind, alone or in a chain, made and written here, against a plain array; and sessions that are long.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createVhdx, editVhdx, openVhdx, type RandomAccessFile } from '../../src/index.js';
import { memoryFile } from '../../src/io/memory.js';
import { CrashFile, isOperation } from '../support/crash/crash-file.js';
import { PageImage } from '../support/crash/page-image.js';
import { checkTrace } from '../support/crash/trace-rules.js';
import { ArrayDisk, type BlockKind, change, type Step, stepsOn } from '../support/edit/array-disk.js';
import { bytesOf } from '../support/edit/judged-image.js';
import { readChain } from '../support/edit/memory-chain.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';

interface Made {
  readonly type: 'dynamic' | 'fixed';
  readonly size: number;
  readonly blockSize: number;
  readonly logicalSectorSize: 512 | 4096;
  /** What is done to the base, to its child, and to the child of that. */
  readonly levels: readonly (readonly Step[])[];
  /** Block sizes of the children. */
  readonly childBlockSizes: readonly number[];
}

/** Up to 40 blocks, the last of which may be cut, and up to three disks in a chain. */
const made: fc.Arbitrary<Made> = fc
  .record({
    type: fc.constantFrom('dynamic' as const, 'dynamic' as const, 'fixed' as const),
    blocks: fc.integer({ min: 1, max: 40 }),
    cut: fc.constantFrom(0, 4096, 64 * KiB),
    blockSize: fc.constantFrom(MiB, MiB, 4 * MiB),
    logicalSectorSize: fc.constantFrom(512 as const, 4096 as const),
    childBlockSizes: fc.tuple(fc.constantFrom(MiB, 2 * MiB), fc.constantFrom(MiB, 2 * MiB)),
  })
  .chain(({ blocks, cut, ...others }) => {
    const size = (others.blockSize === MiB ? blocks : Math.ceil(blocks / 4)) * others.blockSize - cut;
    const steps = stepsOn(size, MiB, 12);
    return fc.record({
      ...Object.fromEntries(Object.entries(others).map(([name, value]) => [name, fc.constant(value)])),
      size: fc.constant(size),
      levels: fc.array(steps, { minLength: 1, maxLength: 3 }),
    }) as unknown as fc.Arbitrary<Made>;
  });

/** Does the steps of one disk of the chain, the last in `files`; returns what it holds. */
async function writeLevel(
  files: readonly RandomAccessFile[],
  { type, blockSize }: Pick<Made, 'type' | 'blockSize'>,
  below: Uint8Array,
  steps: readonly Step[],
): Promise<Uint8Array> {
  const [file, ...parents] = [...files].reverse() as [RandomAccessFile, ...RandomAccessFile[]];
  const parent = parents.length === 0 ? undefined : await Promise.all(parents.map(bytesOf));
  const open = () => editVhdx(file, parent && { parent });
  const kind: BlockKind = parent ? 'parent' : type === 'fixed' ? 'stored' : 'zero';
  const model = new ArrayDisk({
    bytes: below.slice(),
    blockSize,
    isFixed: !parent && type === 'fixed',
    blocks: Array.from({ length: Math.ceil(below.length / blockSize) }, () => kind),
  });
  let disk = await open();
  let running: Promise<unknown>[] = [];
  for (const [i, step] of steps.entries()) {
    if (step.kind === 'flush') running.push(disk.flush());
    else if (step.kind === 'reopen') {
      await Promise.all(running);
      running = [];
      await disk.close();
      disk = await open();
    } else running.push(change(disk, model, step, (files.length * 40 + i + 1) % 256));
  }
  await Promise.all(running);
  expectSameBytes(await disk.read(0, disk.size), model.bytes);
  await disk.close();
  return model.bytes;
}

describe('a disk that was made here and is written', () => {
  test(
    'is like a plain array, whatever its size, and so are its child and the child of that',
    SLOW.largest,
    async () => {
      await fc.assert(
        fc.asyncProperty(made, async ({ levels, childBlockSizes, ...base }) => {
          const { type, size, blockSize, logicalSectorSize } = base;
          const files: RandomAccessFile[] = [memoryFile()];
          await createVhdx(files[0] as RandomAccessFile, { type, size, blockSize, logicalSectorSize });
          let content: Uint8Array = new Uint8Array(size);
          for (const [level, steps] of levels.entries()) {
            const own = level === 0 ? blockSize : (childBlockSizes[level - 1] as number);
            if (level > 0) {
              const [parent, ...others] = await Promise.all([...files].reverse().map(bytesOf));
              const file = memoryFile();
              await createVhdx(file, {
                parent: parent as Uint8Array,
                parentPath: '.\\parent.vhdx',
                parentOptions: { parent: others },
                blockSize: own,
              });
              files.push(file);
            }
            content = await writeLevel(files, { type, blockSize: own }, content, steps);
          }
          const view = await readChain([...files].reverse());
          for (let page = 0; page * 4 * KiB < size; page++) {
            const end = Math.min(size, (page + 1) * 4 * KiB);
            expectSameBytes(view.page(page).subarray(0, end - page * 4 * KiB), content.subarray(page * 4 * KiB, end));
          }
        }),
        propertyRuns(8),
      );
    },
  );

  test(
    'by ten writers at the same time, in so many commits that the log comes to its end twice',
    SLOW.largest,
    async () => {
      const file = new CrashFile(PageImage.of(await emptyImage(40 * MiB)));
      const disk = await editVhdx(file);
      const model = new Uint8Array(40 * MiB);
      const writers = Array.from({ length: 10 }, async (_, writer) => {
        for (let round = 0; round < 330; round++) {
          const block = 4 * writer + (round % 4);
          const offset = block * MiB + ((round * 7919) % (MiB - 4096));
          model.fill(writer + round, offset, offset + 700);
          await disk.write(new Uint8Array(700).fill(writer + round), offset);
          if (round % 40 === 39) {
            model.fill(0, block * MiB, (block + 1) * MiB);
            await disk.zero(block * MiB, MiB);
          } else if (round % 2 === 0) {
            // A page of the BAT changes in every commit.
            const other = 4 * writer + ((round + 1) % 4);
            model.fill(0, other * MiB, (other + 1) * MiB);
            await disk.zero(other * MiB, MiB);
          }
          await disk.flush();
        }
      });
      await Promise.all(writers);
      expectSameBytes(await disk.read(0, disk.size), model);
      await disk.close();
      checkTrace(file);
      // A new lap writes both headers: two at the begin, two for each of three laps, two at the end.
      const headers = file.trace.filter((event) => isOperation(event) && [64 * KiB, 128 * KiB].includes(event.offset));
      expect(headers.length).toBeGreaterThanOrEqual(2 + 3 * 2 + 2);
      const bytes = new Uint8Array(file.size);
      await file.readInto(bytes, 0);
      expectSameBytes(await (await openVhdx(bytes)).read(0, model.length), model);
    },
  );
});

async function emptyImage(size: number): Promise<Uint8Array> {
  const file = memoryFile();
  await createVhdx(file, { size, blockSize: MiB });
  return bytesOf(file);
}
