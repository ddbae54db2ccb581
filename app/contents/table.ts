import type { FileSystem } from './file-systems.js';

/** Reads bytes of a disk; undefined where it is damaged. Rejects outside it, and where the input fails. */
export type Read = (offset: number, length: number) => Promise<Uint8Array | undefined>;

/** A partition. Offset and length in bytes. */
export interface Partition {
  readonly number: number;
  readonly offset: number;
  readonly length: number;
  /** What the table says it is for, in words. */
  readonly type: string;
  /** The same as the table has it: `07`, or a GUID. */
  readonly typeId: string;
  /** The name that a GPT gives it. */
  readonly name?: string;
  /** What else the table says: `active`, `hidden`. */
  readonly marks: readonly string[];
  /** What its first bytes are; undefined where nobody knows. */
  readonly fileSystem?: FileSystem;
}

/** The partition table of a disk, or what lies on a disk without one. */
export interface Contents {
  /** `unknown` where the place of the table cannot be read. */
  readonly scheme: 'GPT' | 'MBR' | 'none' | 'unknown';
  /** Bytes of the sectors that the table counts in. */
  readonly sectorSize: number;
  /** Disk GUID or MBR signature. */
  readonly diskId?: string;
  readonly partitions: readonly Partition[];
  /** What is odd about the table, in sentences. */
  readonly notes: readonly string[];
  /** What a disk without a table begins with. */
  readonly fileSystem?: FileSystem;
}

/** What the parsers of both tables give. */
export interface Table extends Omit<Contents, 'fileSystem' | 'partitions'> {
  readonly partitions: readonly Omit<Partition, 'fileSystem'>[];
}
