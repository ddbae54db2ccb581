import { CHUNK_PAGES, type Chunk, type PageImage, ZERO_PAGE } from './page-image.js';
import { type Memory, must, remember, viewOf } from './state-bytes.js';
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
  /** The ranges of the file that payload blocks, bitmap blocks and soft anchors own, by their offsets. */
  readonly owned: readonly { readonly offset: number; readonly length: number; readonly what: string }[];
  block(block: number): BlockEntry;
  /** File offset of the first bit of a logical sector in its chunk's bitmap, in bytes. Throws where the chunk has none. */
  bitOffset(sector: number): number;
}

const bats: Memory<StateBat> = new WeakMap();

/** Reads the BAT and checks every entry that counts. */
export function readBat(
  image: PageImage,
  region: { readonly offset: number; readonly length: number },
  metadata: StateMetadata,
): StateBat {
  must(region.offset + region.length <= image.size, () => '2.5: the BAT region leaves the file');
  const chunks = image.chunksIn(region.offset, region.length);
  return remember(bats, [...chunks, metadata], () => parseBat(chunks, metadata));
}

function parseBat(chunks: readonly Chunk[], metadata: StateMetadata): StateBat {
  const { blockSize, hasParent, logicalSectorSize, size } = metadata;
  const ratio = (2 ** 23 * logicalSectorSize) / blockSize;
  const blocks = Math.ceil(size / blockSize);
  const chunkCount = Math.ceil(blocks / ratio);
  const count = hasParent ? chunkCount * (ratio + 1) : blocks + Math.floor((blocks - 1) / ratio);
  must(count * 8 <= chunks.length * MiB, () => `2.5: ${count} entries do not fit the BAT region`);
  const pageOf = (index: number) => {
    const page = Math.floor(index / 512);
    return chunks[Math.floor(page / CHUNK_PAGES)]?.pages[page % CHUNK_PAGES] as Uint8Array;
  };
  const indexOf = (block: number) => block + Math.floor(block / ratio);
  const entry = (index: number): BlockEntry => entriesOf(pageOf(index))[index % 512] as BlockEntry;
  const owned: { offset: number; length: number; what: string }[] = [];
  const present = new Map<number, BlockEntry>();
  const partial = new Set<number>();
  for (let index = 0; index < count; index++) {
    if (index % 512 === 0 && pageOf(index) === ZERO_PAGE) {
      index += 511;
      continue;
    }
    const { state, offset } = entry(index);
    if (state === 0 && offset === 0) continue;
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
    owned: owned.sort((a, b) => a.offset - b.offset),
    block: (block) => present.get(block) ?? entry(indexOf(block)),
    bitOffset(sector) {
      const { state, offset } = bitmap(Math.floor(sector / 2 ** 23));
      must(state === 6, () => `2.5.1.2: sector ${sector} needs a bitmap, and its chunk has none`);
      return offset + (sector % 2 ** 23) / 8;
    },
  };
}

const NOTHING: BlockEntry = { state: 0, offset: 0 };
const entries = new WeakMap<Uint8Array, readonly BlockEntry[]>();

/** The entries of a page of the BAT. */
function entriesOf(page: Uint8Array): readonly BlockEntry[] {
  let known = entries.get(page);
  if (known === undefined) {
    const view = viewOf(page);
    known = Array.from({ length: 512 }, (_, i) => {
      if (view.getUint32(8 * i, true) === 0 && view.getUint32(8 * i + 4, true) === 0) return NOTHING;
      const raw = view.getBigUint64(8 * i, true);
      must((raw & 0xffff8n) === 0n, () => `2.5.1: reserved bits of BAT entry ${i} of a page are set`);
      return { state: Number(raw & 7n), offset: Number(raw >> 20n) * MiB };
    });
    entries.set(page, known);
  }
  return known;
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
