import type { DiskInfo } from '../../src/index.js';
import type { Client } from '../client.js';
import { isAbort } from '../dom.js';
import type { Opened } from '../protocol.js';

/** What panels know of the files that are open, and how they ask for more. */
export interface Context {
  readonly client: Client;
  readonly opened: Opened;
  /** What the disk says about itself; undefined where the image does not open. */
  readonly info: DiskInfo | undefined;
  /** Fires when other files are opened. */
  readonly signal: AbortSignal;
  /** Tells people that use a screen reader. */
  announce(text: string): void;
  /** Shows bytes of the disk or of its file in the panel for that. */
  showBytes(of: 'disk' | 'file', offset: number): void;
}

/** A part of the page. */
export interface Panel {
  /** Shows what there is of newly opened files. */
  show(context: Context): void;
}

/** What to show of an error: nothing where the work was only given up. */
export function sentenceOf(error: unknown): string | undefined {
  if (isAbort(error)) return undefined;
  return error instanceof Error ? error.message : String(error);
}
