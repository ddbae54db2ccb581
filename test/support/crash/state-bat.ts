import { PAGE_SIZE, type PageImage, ZERO_PAGE } from './page-image.js';
import { must, viewOf } from './state-bytes.js';
import type { StateMetadata } from './state-metadata.js';

const MiB = 2 ** 20;

/** State and file offset of a block. */
export interface BlockEntry {
  readonly state: number;
  readonly offset: number;
}

/** The BAT of a state ([MS-VHDX] 2.5). */
export interface StateBat {
  readonly blocks: number;
  /** Payload blocks in state 6 and 7, in no order. */
  readonly present: readonly number[];
  /** The ranges of the file that payload blocks, bitmap blocks and soft anchors own. */
  readonly owned: readonly { readonly offset: number; readonly length: number; readonly what: string }[];
  block(block: number): BlockEntry;
  /**
   * Which of `count` logical sectors from `first` on lie in this file, by their chunk's bitmap: a bit each, the lowest
   * for the first. All of them have their bits in one byte. Throws where the chunk has no bitmap.
   */
  inFile(first: number, count: number): number;
}

/** Reads the BAT and checks every entry that counts. */
export function readBat(
  image: PageImage,
  region: { readonly offset: number; readonly length: number },
  metadata: StateMetadata,
): StateBat {
  const { blockSize, hasParent, logicalSectorSize, size } = metadata;
  const ratio = (2 ** 23 * logicalSectorSize) / blockSize;
  const blocks = Math.ceil(size / blockSize);
  const chunks = Math.ceil(blocks / ratio);
  const count = hasParent ? chunks * (ratio + 1) : blocks + Math.floor((blocks - 1) / ratio);
  must(count * 8 <= region.length, () => `2.5: ${count} entries do not fit the BAT region`);
  must(region.offset + region.length <= image.size, () => '2.5: the BAT region leaves the file');
  const indexOf = (block: number) => block + Math.floor(block / ratio);
  const entry = (index: number): BlockEntry => {
    const page = image.page(region.offset / PAGE_SIZE + Math.floor(index / 512));
    if (page === ZERO_PAGE) return { state: 0, offset: 0 };
    const raw = viewOf(page).getBigUint64((index % 512) * 8, true);
    must((raw & 0xffff8n) === 0n, () => `2.5.1: reserved bits of BAT entry ${index} are set`);
    return { state: Number(raw & 7n), offset: Number(raw >> 20n) * MiB };
  };
  const owned: { offset: number; length: number; what: string }[] = [];
  const present = new Map<number, BlockEntry>();
  const partial = new Set<number>();
  for (let index = 0; index < count; index++) {
    const page = region.offset / PAGE_SIZE + Math.floor(index / 512);
    if (index % 512 === 0 && image.page(page) === ZERO_PAGE) {
      index += 511;
      continue;
    }
    const { state, offset } = entry(index);
    const chunk = Math.floor(index / (ratio + 1));
    if (index % (ratio + 1) === ratio) {
      must(
        state === 0 || (state === 6 && hasParent),
        () => `2.5.1.2: bitmap block of chunk ${chunk} has state ${state}`,
      );
      must(state === 6 || offset === 0, () => `2.5.1.2: bitmap block of chunk ${chunk} has an offset and state 0`);
      if (state === 6) owned.push({ offset, length: MiB, what: `bitmap block of chunk ${chunk}` });
      continue;
    }
    const block = index - chunk;
    const size = checkPayloadEntry({ state, offset }, block, blocks, metadata);
    if (size > 0) owned.push({ offset, length: size, what: `block ${block} (${state})` });
    if (state >= 6) present.set(block, { state, offset });
    if (state === 7) partial.add(chunk);
  }
  const bitmap = (chunk: number) => entry(chunk * (ratio + 1) + ratio);
  for (const chunk of partial) {
    must(bitmap(chunk).state === 6, () => `2.5.1.1: chunk ${chunk} has partial blocks and no bitmap`);
  }
  return {
    blocks,
    present: [...present.keys()],
    owned,
    block: (block) => present.get(block) ?? entry(indexOf(block)),
    inFile(first, count) {
      const { state, offset } = bitmap(Math.floor(first / 2 ** 23));
      must(state === 6, () => `2.5.1.2: sector ${first} needs a bitmap, and its chunk has none`);
      const bit = first % 2 ** 23;
      const at = offset + Math.floor(bit / 8);
      return ((image.page(Math.floor(at / PAGE_SIZE))[at % PAGE_SIZE] as number) >> (bit % 8)) & (2 ** count - 1);
    },
  };
}

/** Checks a payload block's entry and returns how many bytes it owns: live space, or a soft anchor's. */
function checkPayloadEntry(
  { state, offset }: BlockEntry,
  block: number,
  blocks: number,
  { hasParent, blockSize }: StateMetadata,
): number {
  must(block < blocks || (state === 0 && offset === 0), () => '2.5: an entry past the last block is set');
  must(state !== 4 && state !== 5, () => `2.5.1.1: block ${block} has state ${state}`);
  must(state !== 7 || hasParent, () => `2.5.1.1: block ${block} is partially present, and there is no parent`);
  const owns = state !== 0 && state !== 2;
  must(owns || offset === 0, () => `2.5.1.1: block ${block} has state ${state} and an offset`);
  return owns && (state >= 6 || offset !== 0) ? blockSize : 0;
}
