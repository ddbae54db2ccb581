// Any writes, zeros and trims at any byte, at the same time or one after the other, against a plain array.
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { openVhdx, type VhdxDisk } from '../../src/index.js';
import { memoryFile } from '../../src/io/memory.js';
import type { RandomAccessFile } from '../../src/io/random-access.js';
import { sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { PageImage } from '../support/crash/page-image.js';
import { readState } from '../support/crash/state-reader.js';
import { ArrayDisk, change, stepsOn } from '../support/edit/array-disk.js';
import { editFile } from '../support/edit/driven-disk.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { type ImageSpec, STATE } from '../support/image-spec.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';

interface Kind {
  readonly name: string;
  readonly spec: ImageSpec;
  readonly parent?: ImageSpec;
}

const SECTORS = MiB / 512;
const stored = (byte: number) => ({ state: STATE.fullyPresent, data: byte });

const KINDS: readonly Kind[] = [
  { name: 'dynamic', spec: { virtualSize: 5 * MiB + 512, blocks: { 1: stored(0x11), 2: { state: STATE.unmapped } } } },
  { name: 'fixed', spec: { type: 'fixed', virtualSize: 3 * MiB, blocks: { 1: stored(0x11) } } },
  {
    name: 'dynamic, with sectors of 4 KiB and blocks of 2 MiB,',
    spec: { virtualSize: 7 * MiB, blockSize: 2 * MiB, logicalSectorSize: 4096, blocks: { 0: stored(0x11) } },
  },
  {
    name: 'differencing',
    parent: { virtualSize: 4 * MiB, blocks: { 0: stored(0xa0), 1: stored(0xa1), 3: stored(0xa3) } },
    spec: {
      type: 'differencing',
      virtualSize: 5 * MiB,
      blocks: {
        0: { state: STATE.partiallyPresent, data: 0x22, bitmap: sectorBits(SECTORS, [8, 40], [2000, 2048]) },
        2: { state: STATE.zero },
        3: { state: STATE.notPresent, bitmap: sectorBits(SECTORS, [0, SECTORS]) },
      },
    },
  },
  {
    name: 'differencing, with sectors of 4 KiB,',
    parent: { virtualSize: 4 * MiB, logicalSectorSize: 4096, blocks: { 0: stored(0xa0), 2: stored(0xa2) } },
    spec: { type: 'differencing', virtualSize: 4 * MiB, logicalSectorSize: 4096, blocks: { 1: stored(0x33) } },
  },
];

/** A model of a disk that is just opened. */
function modelOf(spec: ImageSpec, bytes: Uint8Array): ArrayDisk {
  const blockSize = spec.blockSize ?? MiB;
  const others = spec.type === 'fixed' ? 'stored' : spec.type === 'differencing' ? 'parent' : 'zero';
  const blocks = Array.from({ length: Math.ceil(bytes.length / blockSize) }, (_, block) => {
    const state = spec.blocks?.[block]?.state;
    if (state === undefined || state === STATE.notPresent) return others;
    return state >= STATE.fullyPresent ? 'stored' : 'zero';
  });
  return new ArrayDisk({ bytes, blockSize, isFixed: spec.type === 'fixed', blocks });
}

async function fileOf(spec: ImageSpec): Promise<RandomAccessFile> {
  const file = memoryFile();
  await file.write(buildImage(spec).toUint8Array(), 0);
  return file;
}

async function pagesOf(file: RandomAccessFile): Promise<PageImage> {
  const bytes = new Uint8Array(file.size);
  await file.readInto(bytes, 0);
  return PageImage.of(bytes);
}

describe('a disk that is written', () => {
  test.each(KINDS)('is, $name like a plain array', SLOW.properties, async ({ spec, parent: parentSpec }) => {
    const parentFile = parentSpec && (await fileOf(parentSpec));
    const parentState = parentFile && readState(await pagesOf(parentFile));
    const size = spec.virtualSize as number;
    await fc.assert(
      fc.asyncProperty(stepsOn(size, spec.blockSize ?? MiB), fc.boolean(), async (steps, together) => {
        const file = await fileOf(spec);
        const parent: VhdxDisk | undefined = parentFile && (await openVhdx(parentFile));
        let disk = await editFile(file, parent);
        const model = modelOf(spec, await disk.read(0, size));
        let running: Promise<void>[] = [];
        for (const [i, step] of steps.entries()) {
          if (step.kind === 'flush') running.push(disk.flush());
          else if (step.kind === 'reopen') {
            await Promise.all(running);
            await disk.close();
            disk = await editFile(file, parentFile && (await openVhdx(parentFile)));
          } else running.push(change(disk, model, step, i + 1));
          if (together) continue;
          await Promise.all(running);
          running = [];
        }
        await Promise.all(running);
        expectSameBytes(await disk.read(0, size), model.bytes);
        await disk.close();
        const state = readState(await pagesOf(file), parentState);
        for (let page = 0; page * 4 * KiB < size; page++) {
          const end = Math.min(size, (page + 1) * 4 * KiB);
          expectSameBytes(
            state.page(page).subarray(0, end - page * 4 * KiB),
            model.bytes.subarray(page * 4 * KiB, end),
          );
        }
      }),
      propertyRuns(40),
    );
  });
});
