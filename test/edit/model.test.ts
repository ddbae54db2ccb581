// Any writes, zeros and trims at any byte, at the same time or one after the other, against a plain array.
import fc from 'fast-check';
import { describe, test } from 'vitest';
import type { WritableVhdxDisk } from '../../src/edit/writable-disk.js';
import { openVhdx, type VhdxDisk } from '../../src/index.js';
import { memoryFile } from '../../src/io/memory.js';
import type { RandomAccessFile } from '../../src/io/random-access.js';
import { sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { PageImage } from '../support/crash/page-image.js';
import { readState } from '../support/crash/state-reader.js';
import { editFile } from '../support/edit/driven-disk.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { type ImageSpec, STATE } from '../support/image-spec.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';

interface Change {
  readonly kind: 'write' | 'zero' | 'trim';
  readonly offset: number;
  readonly length: number;
}

type Step = Change | { readonly kind: 'flush' } | { readonly kind: 'reopen' };

/** Offsets and lengths at the borders of blocks, pages and sectors, and one byte beside them. */
function stepsOn(size: number, unit: number): fc.Arbitrary<readonly Step[]> {
  const offset = fc
    .tuple(fc.nat({ max: Math.ceil(size / unit) }), fc.constantFrom(-4096, -512, -1, 0, 1, 511, 512, 4096, 5000))
    .map(([block, by]) => Math.min(size, Math.max(0, block * unit + by)));
  const change = fc
    .record({
      kind: fc.constantFrom('write', 'write', 'write', 'zero', 'trim'),
      from: offset,
      to: offset,
      short: fc.boolean(),
    })
    .map(({ kind, from, to, short }): Step => {
      const start = Math.min(from, to);
      const length = short ? Math.min(700, size - start) : Math.abs(to - from);
      return { kind: kind as 'write', offset: start, length };
    });
  const other = fc.constantFrom<Step>({ kind: 'flush' }, { kind: 'reopen' });
  return fc.array(fc.oneof({ weight: 6, arbitrary: change }, { weight: 1, arbitrary: other }), {
    minLength: 1,
    maxLength: 25,
  });
}

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

/** A disk as a plain array, and which of its blocks have space of their own: a trim is about these alone. */
class Model {
  readonly bytes: Uint8Array;
  readonly #stored: ('parent' | 'zero' | 'stored')[];
  readonly #spec: ImageSpec;
  readonly #blockSize: number;

  constructor(spec: ImageSpec, bytes: Uint8Array) {
    this.bytes = bytes;
    this.#spec = spec;
    this.#blockSize = spec.blockSize ?? MiB;
    const others = spec.type === 'fixed' ? 'stored' : spec.type === 'differencing' ? 'parent' : 'zero';
    this.#stored = Array.from({ length: Math.ceil(bytes.length / this.#blockSize) }, (_, block) => {
      const state = spec.blocks?.[block]?.state;
      if (state === undefined || state === STATE.notPresent) return others;
      return state >= STATE.fullyPresent ? 'stored' : 'zero';
    });
  }

  change({ kind, offset, length }: Change, byte: number): void {
    for (let at = offset; at < offset + length; ) {
      const block = Math.floor(at / this.#blockSize);
      const start = block * this.#blockSize;
      const end = Math.min(this.bytes.length, start + this.#blockSize);
      const to = Math.min(end, offset + length);
      const isWhole = at === start && to === end;
      const before = this.#stored[block];
      if (kind === 'write') {
        this.bytes.fill(byte, at, to);
        this.#stored[block] = 'stored';
      } else if (kind === 'zero') {
        this.bytes.fill(0, at, to);
        const stays = before === 'stored' && (!isWhole || this.#spec.type === 'fixed');
        this.#stored[block] = stays || (before === 'parent' && !isWhole) ? 'stored' : 'zero';
      } else if (isWhole && before === 'stored' && this.#spec.type !== 'fixed') {
        this.bytes.fill(0, at, to);
        this.#stored[block] = 'zero';
      }
      at = to;
    }
  }
}

async function change(
  disk: WritableVhdxDisk,
  model: Model,
  { kind, offset, length }: Change,
  byte: number,
): Promise<void> {
  model.change({ kind, offset, length }, byte);
  if (kind === 'write') await disk.write(new Uint8Array(length).fill(byte), offset);
  else await disk[kind](offset, length);
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
        const model = new Model(spec, await disk.read(0, size));
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
