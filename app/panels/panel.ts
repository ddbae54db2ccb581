import type { DiskInfo } from '../../src/index.js';
import type { PartitionTable } from '../../src/volumes/index.js';
import type { Client } from '../client.js';
import { isAbort } from '../dom.js';
import type { Opened } from '../protocol.js';

/** The files that are open, as panels see them, and what panels can call. */
export interface Context {
  readonly client: Client;
  readonly opened: Opened;
  /** The file of the image that is shown; undefined if it is on a server. */
  readonly file: File | undefined;
  /** What the image says about itself; undefined if it does not open. */
  readonly info: DiskInfo | undefined;
  /** Bytes of the disk, of whatever format; undefined if there is none. */
  readonly diskSize: number | undefined;
  /** Fires when other files are opened. */
  readonly signal: AbortSignal;
  /** Lets screen readers read a text out. */
  announce(text: string): void;
  /** Opens the file of the image that is shown again, after it was changed. */
  replaceFile(file: File): void;
  /** The partition table; read once. */
  partitions(): Promise<PartitionTable>;
  /** Shows a range of the disk on the map; undefined if there is no map. */
  readonly showOnMap: ((offset: number, length: number) => void) | undefined;
  /** Shows bytes of the disk or of its file in the bytes panel. */
  showBytes(of: 'disk' | 'file', offset: number): void;
}

/** A part of the page. */
export interface Panel {
  /** Shows newly opened files. */
  show(context: Context): void;
}

/** The sentence to show for an error; undefined if the work was only cancelled. */
export function sentenceOf(error: unknown): string | undefined {
  if (isAbort(error)) return undefined;
  return error instanceof Error ? error.message : String(error);
}
