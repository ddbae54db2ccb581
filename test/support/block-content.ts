/**
 * What a payload block holds, without its bytes being made before they are wanted:
 * one byte repeated, the bytes themselves (zeros after them), or a function of the place in the block.
 */
export type BlockContent = number | Uint8Array | ((offset: number, length: number) => Uint8Array);

/** The `length` bytes of a block's content from `offset` on. */
export function contentBytes(content: BlockContent, offset: number, length: number): Uint8Array {
  if (typeof content === 'number') return new Uint8Array(length).fill(content);
  if (typeof content === 'function') return content(offset, length);
  const bytes = new Uint8Array(length);
  bytes.set(content.subarray(offset, offset + length));
  return bytes;
}

/** Content that differs from sector to sector and from seed to seed, so that bytes from a wrong place are noticed. */
export function pattern(seed: number): BlockContent {
  return (offset, length) => {
    const first = Math.floor(offset / 4);
    const words = new Uint32Array(Math.ceil((offset + length) / 4) - first);
    for (let i = 0; i < words.length; i++) words[i] = scramble(seed, first + i);
    return new Uint8Array(words.buffer, offset - 4 * first, length);
  };
}

/** Sector bits of a block, sector k in bit k mod 8 of byte k div 8, set for the sectors of all `[from, to)` ranges. */
export function sectorBits(sectors: number, ...ranges: readonly (readonly [from: number, to: number])[]): Uint8Array {
  const bits = new Uint8Array(Math.ceil(sectors / 8));
  for (const [from, to] of ranges) {
    for (let sector = from; sector < to; sector++)
      bits[sector >>> 3] = (bits[sector >>> 3] as number) | (1 << (sector & 7));
  }
  return bits;
}

/** Whether a sector's bit is set. */
export function hasSector(bits: Uint8Array, sector: number): boolean {
  return (((bits[sector >>> 3] ?? 0) >>> (sector & 7)) & 1) === 1;
}

function scramble(seed: number, index: number): number {
  let word = Math.imul(index ^ Math.imul(seed + 1, 0x9e3779b1), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
