import {
  type CheckReport,
  checksumFile,
  combineChecks,
  type ExportedDisk,
  type ExportFormat,
  exportDisk,
  type OpenOptions,
  type RandomAccessSink,
} from '../../index.js';
import { byCrew, type CrewOptions } from './crew.js';
import { holesOf } from './share.js';
import type { CrewDisk } from './tasks.js';
import type { Crew } from './threads.js';

/** How far a crew is, and who may stop it. */
type Watch = Pick<CrewOptions, 'signal' | 'onProgress'>;

/** The CRC-32C of a range of a disk; undefined if the threads could not read it. */
export async function checksumByCrew(
  { threads, disks: [disk] }: Crew<readonly [CrewDisk]>,
  { offset, length, ...watch }: Watch & { readonly offset: number; readonly length: number },
): Promise<number | undefined> {
  const task = { kind: 'checksum', disk, offset, length } as const;
  const sums = await byCrew<number>(task, { ...watch, threads, size: disk.size });
  if (!sums) return undefined;
  // Each share is the disk with zeros for what others have. A CRC is affine: that of the XOR of two is the XOR of both
  // and of that of zeros.
  const zeros = await checksumFile(holesOf(length));
  return sums.reduce((crc, sum) => (crc ^ sum ^ zeros) >>> 0, zeros);
}

/** The first byte in which two disks differ, if there is one; undefined if the threads could not read them. */
export async function compareByCrew(
  { threads, disks }: Crew<readonly [CrewDisk, CrewDisk]>,
  watch: Watch,
): Promise<{ readonly offset: number | undefined } | undefined> {
  const size = Math.max(...disks.map((disk) => disk.size));
  const found = await byCrew<number | undefined>({ kind: 'compare', disks }, { ...watch, threads, size });
  if (!found) return undefined;
  const offsets = found.flatMap((offset) => offset ?? []);
  return { offset: offsets.length > 0 ? Math.min(...offsets) : undefined };
}

/**
 * Writes a disk to a file, as `exportDisk` does; false if the threads could not, and the file has anything in it.
 *
 * @param sink the same file as `out`, for what is there once: its length, and the footer of a VHD
 */
export async function convertByCrew(
  { threads, disks: [disk] }: Crew<readonly [CrewDisk]>,
  exported: ExportedDisk,
  { out, sink, format, ...watch }: Watch & { out: string; sink: RandomAccessSink; format: ExportFormat },
): Promise<boolean> {
  const { size, logicalSectorSize, id } = exported;
  await exportDisk({ ...holesOf(size), ...(logicalSectorSize && { logicalSectorSize }), id }, sink, { format });
  return (await byCrew({ kind: 'convert', disk, out }, { ...watch, threads, size })) !== undefined;
}

/** The check of an image; undefined if the threads could not do it. */
export async function checkByCrew(
  threads: number,
  file: string,
  options: OpenOptions,
  onProgress: CrewOptions['onProgress'],
): Promise<CheckReport | undefined> {
  const reports = await byCrew<CheckReport>({ kind: 'check', file, options }, { threads, size: 0, onProgress });
  return reports && combineChecks(reports);
}
