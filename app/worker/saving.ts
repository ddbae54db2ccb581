import {
  type DamagedRange,
  exportDisk,
  openDisk,
  type Progress,
  type RandomAccessSource,
  slice,
  vhdxStream,
  type WriteVhdxOptions,
  writeVhdx,
} from '../../src/index.js';
import type { Input, Methods, Opened, Saved, SavedPart } from '../protocol.js';
import { savedName } from '../wording.js';
import { BlobSink, type ClosableSink, fileSink } from './sinks.js';

interface Job {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/** The disk in a file that is no VHDX, and how to close it; undefined if it is of a format that cannot be read. */
export async function openOther(
  input: Input,
  others: readonly Input[],
  signal: AbortSignal,
): Promise<{ readonly source: RandomAccessSource; readonly other: NonNullable<Opened['other']> } | undefined> {
  try {
    const { format, source } = await openDisk(input, { signal, parent: others.length > 0 ? others : false });
    if (format === 'vhdx' || source.size === 0) return undefined;
    return { source, other: { format, size: source.size } };
  } catch {
    return undefined; // why it is no VHDX was said
  }
}

/** Saves a disk or a part of it: to the file that was picked, or as a blob to download. `fileName` is what it was called. */
export async function saveDisk(
  whole: RandomAccessSource,
  fileName: string,
  { format, part, target, salvage }: Methods['save']['parameters'],
  { signal, onProgress }: Job,
): Promise<Saved> {
  const disk = part ? slice(whole, part.offset, part.length) : whole;
  let lost = 0;
  const onDamage = ({ length }: DamagedRange) => {
    lost += length;
  };
  const options = { signal, onProgress, onDamage: salvage ? onDamage : undefined };
  const name = target?.name ?? savedName(fileName, format, part?.suffix);
  if (format === 'vhdx' && target) {
    await writeVhdx(disk, target, { ...options, ...kindOf(part), overwrite: true, pad: true });
    return { name, lost };
  }
  const blobs = target ? undefined : new BlobSink();
  const sink: ClosableSink = target ? await fileSink(target) : (blobs as BlobSink);
  try {
    if (format === 'vhdx') await streamTo(sink, disk, { ...options, ...kindOf(part) });
    else await exportDisk(disk, sink, { ...options, format });
    await sink.close();
  } catch (error) {
    await sink.abort().catch(() => undefined);
    throw error;
  }
  return { name, lost, ...(blobs && { blob: blobs.blob }) };
}

/** The bytes of a part of a disk are those of a disk, whatever they look like. */
const kindOf = (part: SavedPart | undefined): { readonly format?: 'raw' } => (part ? { format: 'raw' } : {});

/** Writes a VHDX from its first byte to its last. */
async function streamTo(
  sink: ClosableSink,
  disk: RandomAccessSource,
  { onProgress, ...options }: Job & Pick<WriteVhdxOptions, 'format' | 'onDamage'>,
): Promise<void> {
  const { size, stream } = await vhdxStream(disk, { ...options, pad: true });
  await sink.truncate(size);
  const reader = stream.getReader();
  let done = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    await sink.write(part.value as Uint8Array<ArrayBuffer>, done);
    done += part.value.length;
    onProgress({ done: (done / size) * disk.size, total: disk.size });
  }
}
