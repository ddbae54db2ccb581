import type { WarningOptions } from '../../base/options.js';
import type { ReplaySummary } from '../../log/plan.js';
import type { Finding } from '../../rules.js';

/**
 * Something that a repair does:
 *
 * - `replay-log`: the log is replayed into the file;
 * - `clear-log`: a log that was announced and never used is cleared; nothing is lost with it;
 * - `discard-log`: a damaged log is cleared, because it was asked for; what it would have changed is lost;
 * - `header`: the header that is not current is written again;
 * - `region-table`: the valid copy of the region table is written over the other one;
 * - `cut-leak`: space at the end of the file that nothing refers to is cut off.
 */
export type RepairKind = 'replay-log' | 'clear-log' | 'discard-log' | 'header' | 'region-table' | 'cut-leak';

/** A repair, in a word and in a sentence. */
export interface Repair {
  /** What it is, for programs. */
  readonly kind: RepairKind;
  /** What it is, for people: `header 2 written again: it was not valid`. */
  readonly message: string;
}

/** What a repair did, or with `dryRun` would do. Plain data. */
export interface RepairReport {
  /** In the order in which they are done; none if the file was sound as far as it can be repaired. */
  readonly repairs: readonly Repair[];
  /** What was found before, the payload's places too; what no repair concerns is still so. */
  readonly findings: readonly Finding[];
  /** What replaying the log did, if it was replayed. */
  readonly replay?: ReplaySummary;
  /** Length of the file in bytes, before. */
  readonly fileSizeBefore: number;
  /** Length of the file in bytes, afterwards. */
  readonly fileSizeAfter: number;
}

/** Options of `repairVhdx`. */
export interface RepairOptions extends WarningOptions {
  /** Clears a log that cannot be replayed. What it would have changed is lost, and metadata may be half written. */
  readonly discardLog?: boolean | undefined;
  /** Whether nothing is written: the report says what would be. */
  readonly dryRun?: boolean | undefined;
  /** `'leaks'` leaves headers and region tables as they are; a dirty log is replayed all the same. */
  readonly only?: 'leaks' | undefined;
  /** Aborts the examination; once the first byte is written the repair goes on to its end. */
  readonly signal?: AbortSignal | undefined;
}
