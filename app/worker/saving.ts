import {
  type DamagedRange,
  exportDisk,
  openDisk,
  type Progress,
  type RandomAccessSource,
  vhdxStream,
  writeVhdx,
} from '../../src/index.js';
import type { Input, Methods, Opened, Saved } from '../protocol.js';
import { savedName } from '../wording.js';
import { BlobSink, type ClosableSink, fileSink } from './sinks.js';

/** Largest disk that is gathered for a download, if the browser does not let pages write files. */
const LARGEST_DOWNLOAD = 256 * 1024 ** 3;

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

/** Saves a disk: to the file that was picked, or as a blob to download. `fileName` is what it was called. */
export async function saveDisk(
  disk: RandomAccessSource,
  fileName: string,
  { format, target, salvage }: Methods['save']['parameters'],
  { signal, onProgress }: Job,
): Promise<Saved> {
  if (!target && disk.size > LARGEST_DOWNLOAD) {
    throw new RangeError(
      'this browser cannot write files, and a disk above 256 GiB is too large to download: use a browser with a file picker, or the vhdx command',
    );
  }
  let lost = 0;
  const onDamage = ({ length }: DamagedRange) => {
    lost += length;
  };
  const options = { signal, onProgress, onDamage: salvage ? onDamage : undefined };
  const name = target?.name ?? savedName(fileName, format);
  if (format === 'vhdx' && target) {
    await writeVhdx(disk, target, { ...options, overwrite: true, pad: true });
    return { name, lost };
  }
  const blobs = target ? undefined : new BlobSink();
  const sink: ClosableSink = target ? await fileSink(target) : (blobs as BlobSink);
  try {
    if (format === 'vhdx') await streamTo(sink, disk, { signal, onProgress });
    else await exportDisk(disk, sink, { ...options, format });
    await sink.close();
  } catch (error) {
    await sink.abort().catch(() => undefined);
    throw error;
  }
  return { name, lost, ...(blobs && { blob: blobs.blob }) };
}

/** Writes a VHDX from its first byte to its last. */
async function streamTo(sink: ClosableSink, disk: RandomAccessSource, { signal, onProgress }: Job): Promise<void> {
  const { size, stream } = await vhdxStream(disk, { signal, pad: true });
  await sink.truncate(size);
  const reader = stream.getReader();
  let done = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    await sink.write(part.value as Uint8Array<ArrayBuffer>, done);
    done += part.value.length;
    onProgress({ done: (done / size) * disk.size, total: disk.size });
  }
}
