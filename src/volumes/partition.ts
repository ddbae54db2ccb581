import type { VolumeIdentity } from './volume-kinds.js';

/** Reads bytes of a disk; undefined if the image is damaged there. Rejects outside the disk, and if the input fails. */
export type ReadBytes = (offset: number, length: number) => Promise<Uint8Array | undefined>;

/** A partition. Offset and length in bytes. */
export interface Partition {
  /** As operating systems count them: from 1, the logical ones of an MBR from 5. */
  readonly number: number;
  /** First byte of the partition on the disk. */
  readonly offset: number;
  /** Length in bytes, as the table has it: it may reach past the end of the disk, which {@link PartitionTable.notes} says. */
  readonly length: number;
  /** What the table says it is for, in words; `unknown` for a type that is not in the lists. */
  readonly type: string;
  /** The same as the table has it: two hexadecimal digits, or a GUID. */
  readonly typeId: string;
  /** The name that a GPT gives it. */
  readonly name?: string;
  /** What else the table says: `active`, `required`, `legacy boot`, `read-only`, `hidden`, `no drive letter`. */
  readonly marks: readonly string[];
  /** The file system at its start; undefined if none was recognised. */
  readonly fileSystem?: VolumeIdentity;
}

/** The partition table of a disk, or what a disk without one begins with. Plain data that survives `JSON.stringify`. */
export interface PartitionTable {
  /** Which table it is; `none` if there is none, `unknown` if the place of the table cannot be read. */
  readonly scheme: 'GPT' | 'MBR' | 'none' | 'unknown';
  /** Bytes of the sectors that the table counts in. */
  readonly sectorSize: number;
  /** Disk GUID of a GPT, or signature of an MBR. */
  readonly diskId?: string;
  /** In the order of the table. */
  readonly partitions: readonly Partition[];
  /** What is wrong or unusual about the table, in sentences. */
  readonly notes: readonly string[];
  /** The file system at the start of a disk without a table. */
  readonly fileSystem?: VolumeIdentity;
}

/** What the parsers of both tables give: all but the file systems. */
export interface ParsedTable extends Omit<PartitionTable, 'fileSystem' | 'partitions'> {
  readonly partitions: readonly Omit<Partition, 'fileSystem'>[];
}
