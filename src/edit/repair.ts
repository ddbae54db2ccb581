import type { RepairOptions, RepairReport } from './repair/repair-report.js';
import type { VhdxTarget } from './target.js';

/**
 * Repairs what can be repaired with certainty, in place: the log is replayed, a header or region table of which one
 * copy is damaged is made whole, leaked space at the end of the file is cut. The content of the disk stays as it is
 * read, and so does its DataWriteGuid, so that children still fit. May be interrupted at any moment, and run again.
 *
 * A file that has other faults is refused and not changed: nothing is guessed, and a damaged log is cleared only with
 * `discardLog`.
 *
 * @param target a path (Node, Bun, Deno), a file handle of a browser, or a `RandomAccessFile`, which stays open; a picked
 *   file is swapped in as a whole when everything is repaired
 * @throws VhdxError with the code of the first fault that cannot be repaired, or the code of the file's failure
 */
export async function repairVhdx(target: VhdxTarget, options: RepairOptions = {}): Promise<RepairReport> {
  const { repairTarget } = await import('./repair/repair-image.js'); // pages that only read do not load it
  return repairTarget(target, options);
}
