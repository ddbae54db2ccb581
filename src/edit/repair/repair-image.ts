import type { FileRange } from '../../base/byte-range.js';
import { MiB } from '../../base/units.js';
import { crcOf } from '../../core/crc32c.js';
import type { Core } from '../../core/instance.js';
import { loadCore } from '../../core/load.js';
import type { Crc } from '../../format/checksum.js';
import { ZERO_GUID } from '../../format/guid.js';
import { LOG_SECTOR_SIZE } from '../../format/log.js';
import type { RandomAccessFile, RandomAccessSource } from '../../io/random-access.js';
import { HeaderSlots } from '../../log/header-slots.js';
import { Journal, randomIdentity, type WriterIdentity } from '../../log/journal.js';
import { SessionFile } from '../../log/session-file.js';
import { lookAt, openTarget, type VhdxTarget, workOn } from '../target.js';
import { planRepair, type RepairPlan } from './repair-plan.js';
import type { RepairOptions, RepairReport } from './repair-report.js';
import { replayInPlace } from './replay-in-place.js';

/** What `repairVhdx` does; specs say besides where new GUIDs come from. */
export async function repairTarget(
  target: VhdxTarget,
  options: RepairOptions,
  identity: WriterIdentity = randomIdentity,
): Promise<RepairReport> {
  const core = await loadCore();
  if (options.dryRun) {
    return lookAt(target, async (source) => reportOf(source, await planRepair(core, source, options)));
  }
  return workOn(await openTarget(target, { onWarning: options.onWarning }), (file) =>
    repairFile(core, file, options, identity),
  );
}

/** Repairs a file that is open, and that no other program may change meanwhile. */
export async function repairFile(
  core: Core,
  file: RandomAccessFile,
  options: RepairOptions,
  identity: WriterIdentity,
): Promise<RepairReport> {
  const plan = await planRepair(core, file, options);
  const report = reportOf(file, plan);
  const crc = crcOf(core);
  if (plan.repairs.length > 0 && !options.dryRun) await applyRepairs(file, plan, crc, identity);
  return report;
}

function reportOf(file: RandomAccessSource, { repairs, findings, examination, after, end }: RepairPlan): RepairReport {
  const cuts = repairs.some(({ kind }) => kind === 'cut-leak');
  return {
    repairs,
    findings,
    ...(examination.replay && { replay: examination.replay.summary }),
    fileSizeBefore: file.size,
    fileSizeAfter: cuts ? end : after.source.size,
  };
}

/**
 * Makes the repairs. The first write is a header with a new FileWriteGuid; the DataWriteGuid stays, because what the
 * disk holds does not change.
 */
async function applyRepairs(
  file: RandomAccessFile,
  { repairs, examination, after, end }: RepairPlan,
  crc: Crc,
  identity: WriterIdentity,
): Promise<void> {
  const does = (kind: string) => repairs.some((repair) => repair.kind === kind);
  const session = new SessionFile(file);
  const headers = new HeaderSlots(session, examination.headers, crc);
  await headers.verify();
  const fileWriteGuid = identity.guid();
  if (examination.replay) {
    await replayInPlace(session, headers, examination.replay, fileWriteGuid);
  } else {
    await headers.updateBoth({ fileWriteGuid, logGuid: ZERO_GUID });
  }
  if (does('region-table')) {
    const journal = new Journal(session, headers, after.log as FileRange, crc, identity);
    const pages = regionTablePages(after.regionTables ?? []);
    const structuresEnd = Math.min(end, Math.floor(session.durableSize / MiB) * MiB);
    await journal.commit(() => ({ pages, structuresEnd }));
    await journal.close();
  }
  // Only now that no log entry can want the file to be longer.
  if (does('cut-leak')) {
    await session.cut(end);
    await session.flush();
  }
}

/** The sectors of the valid region table over those of the other copy, where they differ. */
function regionTablePages(
  copies: readonly { readonly offset: number; readonly bytes: Uint8Array; readonly fault?: string }[],
): Map<number, Uint8Array> {
  const good = copies.find(({ fault }) => fault === undefined);
  const pages = new Map<number, Uint8Array>();
  for (const copy of copies) {
    if (copy === good || !good) continue;
    for (let at = 0; at < copy.bytes.length; at += LOG_SECTOR_SIZE) {
      const bytes = good.bytes.subarray(at, at + LOG_SECTOR_SIZE);
      if (bytes.some((byte, i) => byte !== copy.bytes[at + i])) pages.set(copy.offset + at, bytes);
    }
  }
  return pages;
}
