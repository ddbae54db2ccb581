import { MiB } from '../../base/units.js';
import type { Core } from '../../core/instance.js';
import { loadCore } from '../../core/load.js';
import { type Piece, piecesOfSource } from '../../disk/pieces.js';
import { CHUNK, chunksOf, streamOfChunks } from '../../disk/stream.js';
import { VhdxError } from '../../errors.js';
import { PayloadState } from '../../format/bat.js';
import { fileStamp } from '../../io/file-stamp.js';
import { memoryFile } from '../../io/memory.js';
import type { VhdxInput } from '../../io/open.js';
import { paddedSource } from '../../io/padded.js';
import type { RandomAccessSource } from '../../io/random-access.js';
import type { OpenDisk } from '../../vhd/disk-format.js';
import { openDisk } from '../../vhd/open-disk.js';
import { initialBat } from './bat-writer.js';
import { newIdentity } from './create-image.js';
import { layOut, type NewImage, type NewLayout } from './layout.js';
import { otherBlocks, writeSignature, writeStructures } from './new-image.js';
import { planCopy } from './plan-copy.js';
import { findStoredBlocks, StoredBlocks } from './stored-blocks.js';
import { StoredEntries } from './stored-entries.js';
import type { StreamOptions, VhdxStream } from './write-options.js';

/** What `vhdxStream` does. */
export async function streamImage(input: VhdxInput, options: StreamOptions): Promise<VhdxStream> {
  options.signal?.throwIfAborted();
  const core = await loadCore();
  const { format, sourceOptions, signal } = options;
  const opened = await openDisk(input, { ...sourceOptions, format, signal });
  try {
    const image = await planCopy(opened, undefined, options, undefined);
    const layout = layOut(image);
    const source = paddedSource(opened.source, image.metadata.virtualSize);
    const before = await stampsOf(opened);
    const blocks = await blocksOf(core, source, image, options);
    await refuseChanged(opened, before);
    const head = await headOf(core, image, layout, blocks);
    const { blockSize } = image.metadata;
    let size = layout.payloadOffset;
    for (const _ of blocks) size += blockSize;
    async function* chunks(): AsyncGenerator<Uint8Array, undefined> {
      try {
        yield* head();
        // One is held back: a file that was changed meanwhile must not look complete.
        let last: Uint8Array | undefined;
        for await (const chunk of chunksOf(source, piecesOfBlocks(source, blocks, signal), signal)) {
          if (last) yield last;
          last = chunk;
        }
        await refuseChanged(opened, before);
        if (last) yield last;
        return undefined;
      } finally {
        await opened.close();
      }
    }
    return { size, stream: streamOfChunks(chunks(), opened.close) };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** The blocks to store: all of a fixed image, and otherwise those that hold something. */
async function blocksOf(
  core: Core,
  source: RandomAccessSource,
  { metadata }: NewImage,
  options: StreamOptions,
): Promise<StoredBlocks> {
  if (!metadata.leaveBlocksAllocated) return findStoredBlocks(core, source, metadata.blockSize, options);
  const all = new StoredBlocks(source.size, metadata.blockSize);
  all.add(0, source.size);
  return all;
}

/** What comes before the payload, as a function that makes it in chunks. */
async function headOf(
  core: Core,
  image: NewImage,
  layout: NewLayout,
  stored: StoredBlocks,
): Promise<() => AsyncGenerator<Uint8Array>> {
  const { geometry, bat, payloadOffset } = layout;
  const entries = new StoredEntries();
  let offset = payloadOffset;
  for (const block of stored) {
    const index = block + Math.floor(block / geometry.chunkRatio);
    entries.set(index, { state: PayloadState.FullyPresent, offset });
    offset += geometry.blockSize;
  }
  const file = memoryFile();
  await writeStructures(core, file, layout, newIdentity());
  await writeSignature(file);
  await file.truncate(bat.offset);
  return async function* () {
    for (let at = 0; at < bat.offset; at += MiB) {
      const chunk = new Uint8Array(MiB);
      await file.readInto(chunk, at);
      yield chunk;
    }
    let rest = bat.length;
    for (const bytes of initialBat(geometry, otherBlocks(image, layout), entries)) {
      rest -= bytes.length;
      yield bytes;
    }
    if (rest > 0) yield new Uint8Array(rest);
  };
}

/** The pieces of the blocks that are stored, whole blocks, one after another. */
async function* piecesOfBlocks(
  source: RandomAccessSource,
  blocks: StoredBlocks,
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece> {
  for (const block of blocks) {
    const offset = block * blocks.blockSize;
    const length = Math.min(blocks.blockSize, source.size - offset);
    yield* piecesOfSource(source, { size: CHUNK, signal }, { offset, length });
    if (length < blocks.blockSize) yield { offset: source.size, length: blocks.blockSize - length, hole: true };
  }
}

/** What tells whether the files of a disk have changed, as far as they have paths. */
async function stampsOf({ source, vhdx, vhd }: OpenDisk): Promise<readonly (readonly [string, string | undefined])[]> {
  const paths = [source.path];
  for (let member = (vhdx ?? vhd)?.parent; member; member = member.parent) paths.push(member.path);
  const known = paths.filter((path) => path !== undefined);
  return Promise.all(known.map(async (path) => [path, await fileStamp(path)] as const));
}

async function refuseChanged(disk: OpenDisk, before: Awaited<ReturnType<typeof stampsOf>>): Promise<void> {
  const now = await stampsOf(disk);
  for (const [i, [path, stamp]] of before.entries()) {
    if (now[i]?.[1] === stamp) continue;
    throw new VhdxError('source-changed', 'was changed while it was read', { file: path, path });
  }
}
