import { MiB } from '../../base/units.js';
import type { Core } from '../../core/instance.js';
import { loadCore } from '../../core/load.js';
import { inTurn } from '../../disk/arriving.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { type Piece, type PieceOptions, piecesOfSource, type Span } from '../../disk/pieces.js';
import { Salvager } from '../../disk/salvage.js';
import { CHUNK, chunksOf, chunksOfSource, streamOfChunks } from '../../disk/stream.js';
import { VhdxError } from '../../errors.js';
import { PayloadState } from '../../format/bat.js';
import { fileStamp } from '../../io/file-stamp.js';
import { memoryFile } from '../../io/memory.js';
import type { VhdxInput } from '../../io/open.js';
import { paddedSource } from '../../io/padded.js';
import type { RandomAccessSource } from '../../io/random-access.js';
import type { ArrivingSource } from '../../io/sequential-reads.js';
import type { OpenDisk } from '../../vhd/disk-format.js';
import { openDisk } from '../../vhd/open-disk.js';
import { initialBat } from './bat-writer.js';
import { newIdentity } from './create-image.js';
import { layOut, type NewImage, type NewLayout } from './layout.js';
import { otherBlocks, type StoredPayload, writeSignature, writeStructures } from './new-image.js';
import { planCopy } from './plan-copy.js';
import { openParent } from './plan-image.js';
import { findStoredBlocks } from './stored-blocks.js';
import { StoredEntries } from './stored-entries.js';
import { childPayload, type NewChild, planChild } from './stream-child.js';
import type { StreamOptions, VhdxStream } from './write-options.js';

/** What `vhdxStream` does. */
export async function streamImage(input: VhdxInput, options: StreamOptions): Promise<VhdxStream> {
  options.signal?.throwIfAborted();
  const core = await loadCore();
  const { format, sourceOptions, signal } = options;
  const opened = await openDisk(input, { ...sourceOptions, format, signal });
  let parent: VhdxDisk | undefined;
  const close = async (): Promise<void> => {
    await parent?.close();
    await opened.close();
  };
  try {
    parent = await openParent(options);
    const image = await planCopy(opened, undefined, options, parent);
    const layout = layOut(image);
    const source = paddedSource(opened.source, image.metadata.virtualSize);
    const before = await stampsOf(opened, parent);
    const { payload, chunks: payloadChunks } = parent
      ? await childContent({ core, source, parent, layout }, options)
      : await blockContent(core, source, { image, layout }, options);
    await refuseChanged(opened, parent, before);
    const head = await headOf(core, image, layout, payload);
    async function* chunks(): AsyncGenerator<Uint8Array, void> {
      try {
        yield* head();
        // One is held back: a file that was changed meanwhile must not look complete.
        let last: Uint8Array | undefined;
        for await (const chunk of payloadChunks()) {
          if (last) yield last;
          last = chunk;
        }
        await refuseChanged(opened, parent, before);
        if (last) yield last;
      } finally {
        await close();
      }
    }
    return { size: payload.end, stream: streamOfChunks(chunks(), close) };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What is stored of a disk, and its bytes in chunks, in the order of the file. */
interface Content {
  readonly payload: StoredPayload;
  readonly chunks: () => AsyncGenerator<Uint8Array, void>;
}

async function childContent(child: NewChild, options: StreamOptions): Promise<Content> {
  const payload = await planChild(child, options);
  return { payload, chunks: () => childPayload(child, payload, options) };
}

/** Whole blocks: all of a fixed image, and otherwise those that hold something. */
async function blockContent(
  core: Core,
  source: RandomAccessSource,
  { image: { metadata }, layout }: { readonly image: NewImage; readonly layout: NewLayout },
  options: StreamOptions,
): Promise<Content> {
  const { signal, onDamage } = options;
  const { blockSize } = metadata;
  const blocks = await findStoredBlocks(core, source, blockSize, options);
  if (metadata.leaveBlocksAllocated) blocks.add(0, source.size);
  const entries = new StoredEntries();
  let end = layout.payloadOffset;
  for (const block of blocks) {
    const index = block + Math.floor(block / layout.geometry.chunkRatio);
    entries.set(index, { state: PayloadState.FullyPresent, offset: end });
    end += blockSize;
  }
  const whole: ArrivingSource = paddedSource(source, Math.ceil(source.size / blockSize) * blockSize);
  const pieces = () => piecesOfRuns(whole, blocks.runs(), { size: CHUNK, signal, skipDamage: onDamage !== undefined });
  const salvager = () => onDamage && new Salvager(source, onDamage, signal);
  const chunks = () =>
    whole.arriving && !onDamage
      ? inTurn(blocks.runs(), (run) => chunksOfSource(whole, run, signal))
      : chunksOf(whole, pieces(), signal, salvager());
  return { payload: { entries, end }, chunks };
}

/** What comes before the payload, as a function that makes it in chunks. */
async function headOf(
  core: Core,
  image: NewImage,
  layout: NewLayout,
  { entries }: StoredPayload,
): Promise<() => AsyncGenerator<Uint8Array>> {
  const { geometry, bat } = layout;
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

/** The pieces of ranges of a source, one after another. Damage was reported before. */
async function* piecesOfRuns(
  source: RandomAccessSource,
  runs: Iterable<Span>,
  options: PieceOptions,
): AsyncGenerator<Piece> {
  for (const run of runs) {
    for await (const { damage: _, ...piece } of piecesOfSource(source, options, run)) yield piece;
  }
}

/** What tells whether the files of a disk have changed, as far as they have paths. */
async function stampsOf(
  { source, vhdx, vhd }: OpenDisk,
  parent: VhdxDisk | undefined,
): Promise<readonly (readonly [string, string | undefined])[]> {
  const paths = [source.path];
  for (let member = (vhdx ?? vhd)?.parent; member; member = member.parent) paths.push(member.path);
  for (let member = parent; member; member = member.parent) paths.push(member.path);
  const known = paths.filter((path) => path !== undefined);
  return Promise.all(known.map(async (path) => [path, await fileStamp(path)] as const));
}

async function refuseChanged(
  disk: OpenDisk,
  parent: VhdxDisk | undefined,
  before: Awaited<ReturnType<typeof stampsOf>>,
): Promise<void> {
  const now = await stampsOf(disk, parent);
  for (const [i, [path, stamp]] of before.entries()) {
    if (now[i]?.[1] === stamp) continue;
    throw new VhdxError('source-changed', 'was changed while it was read', { file: path, path });
  }
}
