import fc from 'fast-check';
import type { WritableVhdxDisk } from '../../../src/edit/writable/writable-disk.js';

interface Change {
  readonly kind: 'write' | 'zero' | 'trim';
  readonly offset: number;
  readonly length: number;
}

/** What is done to a disk. */
export type Step = Change | { readonly kind: 'flush' } | { readonly kind: 'reopen' };

/** Offsets and lengths at the borders of blocks, pages and sectors, and one byte beside them. */
export function stepsOn(size: number, unit: number, maxLength = 25): fc.Arbitrary<readonly Step[]> {
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
      const length = short ? Math.min(700, size - start) : Math.min(Math.abs(to - from), 5 * unit + 511);
      return { kind: kind as 'write', offset: start, length };
    });
  const other = fc.constantFrom<Step>({ kind: 'flush' }, { kind: 'reopen' });
  return fc.array(fc.oneof({ weight: 6, arbitrary: change }, { weight: 1, arbitrary: other }), {
    minLength: 1,
    maxLength,
  });
}

/** What the blocks of a disk are before anything is done: their space is their own, or not. */
export type BlockKind = 'parent' | 'zero' | 'stored';

/** What a disk is like, as far as changes depend on it. In bytes. */
export interface ArrayDiskParts {
  readonly bytes: Uint8Array;
  readonly blockSize: number;
  /** Whether blocks keep their space whatever is zeroed or trimmed. */
  readonly isFixed: boolean;
  readonly blocks: readonly BlockKind[];
}

/** A disk as a plain array, and which of its blocks have space of their own: a trim is about these alone. */
export class ArrayDisk {
  readonly bytes: Uint8Array;
  readonly #blocks: BlockKind[];
  readonly #isFixed: boolean;
  readonly #blockSize: number;

  constructor({ bytes, blockSize, isFixed, blocks }: ArrayDiskParts) {
    this.bytes = bytes;
    this.#blocks = [...blocks];
    this.#isFixed = isFixed;
    this.#blockSize = blockSize;
  }

  change({ kind, offset, length }: Change, byte: number): void {
    for (let at = offset; at < offset + length; ) {
      const block = Math.floor(at / this.#blockSize);
      const start = block * this.#blockSize;
      const end = Math.min(this.bytes.length, start + this.#blockSize);
      const to = Math.min(end, offset + length);
      const isWhole = at === start && to === end;
      const before = this.#blocks[block];
      if (kind === 'write') {
        this.bytes.fill(byte, at, to);
        this.#blocks[block] = 'stored';
      } else if (kind === 'zero') {
        this.bytes.fill(0, at, to);
        const stays = before === 'stored' && (!isWhole || this.#isFixed);
        this.#blocks[block] = stays || (before === 'parent' && !isWhole) ? 'stored' : 'zero';
      } else if (isWhole && before === 'stored' && !this.#isFixed) {
        this.bytes.fill(0, at, to);
        this.#blocks[block] = 'zero';
      }
      at = to;
    }
  }
}

/** Does a change to a disk and to its model; `byte` is what is written. */
export async function change(
  disk: WritableVhdxDisk,
  model: ArrayDisk,
  { kind, offset, length }: Change,
  byte: number,
): Promise<void> {
  model.change({ kind, offset, length }, byte);
  if (kind === 'write') await disk.write(new Uint8Array(length).fill(byte), offset);
  else await disk[kind](offset, length);
}
