import { hex } from '../../base/bytes.js';
import { MiB } from '../../base/units.js';
import { crcOf } from '../../core/crc32c.js';
import type { Core } from '../../core/instance.js';
import { type Advice, VhdxError } from '../../errors.js';
import { BAT_ENTRY_SIZE, SECTOR_BITMAP_BLOCK_SIZE } from '../../format/bat.js';
import { ZERO_GUID } from '../../format/guid.js';
import { encodeHeader, HEADER_OFFSETS, HEADER_SIZE, type Headers, isDirty } from '../../format/header.js';
import { type CompleteExamination, type Examination, isComplete } from '../../image/examination.js';
import { examine } from '../../image/examine.js';
import { OpenImage } from '../../image/open-image.js';
import type { RandomAccessSource, ReadOptions } from '../../io/random-access.js';
import type { Finding, RuleCode } from '../../rules.js';
import type { Repair, RepairOptions } from './repair-report.js';

const DISCARD_LOG: Advice = {
  hint: 'discard-log',
  text: 'the option discardLog clears it without replay, and what it would have changed is lost',
};

/** What is to be repaired in a file. */
export interface RepairPlan {
  readonly repairs: readonly Repair[];
  readonly findings: readonly Finding[];
  /** The file as it is. */
  readonly examination: Examination & { readonly headers: Headers };
  /** The file as it is when the log is out of the way. */
  readonly after: CompleteExamination;
  /** File offset of the end of the last structure or block. */
  readonly end: number;
}

/** Faults of a log that `discardLog` accepts. */
const DISCARDABLE: readonly RuleCode[] = [
  'log-no-sequence',
  'log-target',
  'log-truncated-file',
  'log-file-size',
  'log-too-large',
];

/** Faults of a clean image's log that are harmless until something is to be written to it. */
const LOG_FAULTS: readonly RuleCode[] = ['log-version', 'log-offset', 'log-length', 'log-outside-file', 'log-overlap'];

/**
 * Finds out what can be repaired. Nothing is written.
 *
 * @throws VhdxError for the first fault that cannot
 */
export async function planRepair(core: Core, file: RandomAccessSource, options: RepairOptions): Promise<RepairPlan> {
  const examination = await examine(core, file, 'memory', { keepTables: true, signal: options.signal });
  const { headers } = examination;
  if (!headers?.current) throw firstFatal(examination);
  const log = isDirty(headers.current) ? planLog(examination, options) : undefined;
  const clears = log !== undefined && log.kind !== 'replay-log';
  const after = clears
    ? await examine(core, withoutLog(core, file, headers), 'memory', { keepTables: true, signal: options.signal })
    : examination;
  if (!isComplete(after)) throw firstFatal(after);
  const image = new OpenImage(core, after);
  try {
    await image.scanBat({ signal: options.signal });
  } finally {
    await image.close();
  }
  const findings = [...(clears ? examination.findings : []), ...image.findings];
  const damage = image.findings.find(({ severity }) => severity === 'block');
  if (damage) throw VhdxError.from(damage);
  const end = await endOf(after, options);
  const copies = options.only === 'leaks' ? [] : [...planHeader(headers, log), ...planRegionTables(after)];
  const repairs = [...(log ? [log] : []), ...copies, ...planCut(after.source.size, end)];
  return { repairs, findings, examination: { ...examination, headers }, after, end };
}

function firstFatal({ findings }: Examination): VhdxError {
  const fatal = findings.find(({ severity }) => severity === 'fatal');
  return fatal ? VhdxError.from(fatal) : new VhdxError('read-failed', 'the image is incomplete');
}

/** What becomes of the log of a dirty image. */
function planLog(examination: Examination, { discardLog }: RepairOptions): Repair {
  const { replay, findings } = examination;
  if (replay) {
    const { entries, fileSizeBefore, fileSizeAfter } = replay.summary;
    const growth = fileSizeAfter > fileSizeBefore ? `; the file grows to ${hex(fileSizeAfter)} bytes` : '';
    return { kind: 'replay-log', message: `${entries} log ${entries === 1 ? 'entry' : 'entries'} replayed${growth}` };
  }
  const fault = findings.find(({ severity }) => severity === 'fatal');
  if (fault?.code === 'log-no-sequence' && fault.facts?.logEntries === 0) {
    return { kind: 'clear-log', message: 'the log GUID cleared: the log was announced and never used' };
  }
  if (!fault || !DISCARDABLE.includes(fault.code)) throw firstFatal(examination);
  if (!discardLog) throw VhdxError.from(fault, { advice: [DISCARD_LOG] });
  return { kind: 'discard-log', message: `the log discarded without replay: ${fault.message}` };
}

/** The file as it would be if its log were empty. */
function withoutLog(core: Core, file: RandomAccessSource, { slots, current }: Headers): RandomAccessSource {
  const crc = crcOf(core);
  const [first, second] = slots.map(({ bytes, copy, header }) =>
    copy === current?.copy ? encodeHeader({ ...header, logGuid: ZERO_GUID }, crc) : bytes,
  );
  const patches = [first, second].map((bytes, i) => ({
    bytes: bytes as Uint8Array,
    offset: HEADER_OFFSETS[i] as number,
  }));
  return {
    size: file.size,
    async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
      await file.readInto(target, offset, options);
      for (const patch of patches) {
        const from = Math.max(offset, patch.offset);
        const to = Math.min(offset + target.length, patch.offset + HEADER_SIZE);
        if (from < to) target.set(patch.bytes.subarray(from - patch.offset, to - patch.offset), from - offset);
      }
    },
  };
}

/** A header that is not valid, or that would bring a log back if the other one were lost. */
function planHeader({ slots, current }: Headers, log: Repair | undefined): Repair[] {
  return slots.flatMap(({ copy, fault, header }): Repair[] => {
    if (fault) return [{ kind: 'header', message: `header ${copy} written again: it was not valid` }];
    if (log || !current || copy === current.copy || !isDirty(header) || isDirty(current)) return [];
    return [{ kind: 'header', message: `header ${copy} written again: it named a log that was cleared` }];
  });
}

/** The copy of the region table that is not valid, or not the one that counts. */
function planRegionTables({ regionTables, log, source, findings }: Examination): Repair[] {
  // They are changed through the log only. One that is in doubt is not written to.
  const hasLog =
    log && log.offset + log.length <= source.size && !findings.some(({ code }) => LOG_FAULTS.includes(code));
  if (!regionTables || !hasLog) return [];
  const [first, second] = regionTables;
  if (!first.fault && !second.fault && first.bytes.every((byte, i) => byte === second.bytes[i])) return [];
  const bad = first.fault ? first : second;
  const message = `region table ${bad.copy} written again: it was not valid, or differed`;
  return [{ kind: 'region-table', message }];
}

function planCut(size: number, end: number): Repair[] {
  if (end >= size) return [];
  return [
    { kind: 'cut-leak', message: `the file cut from ${hex(size)} to ${hex(end)} bytes: nothing refers to the rest` },
  ];
}

/**
 * The end of everything that an entry of the BAT, or a structure, refers to, whatever its state is: nothing past it can
 * be of use. Takes no memory for places far past the end of the file, which a damaged entry may name.
 */
async function endOf({ regions, log, geometry, source }: CompleteExamination, options: ReadOptions): Promise<number> {
  let end = 1 * MiB;
  for (const { offset, length } of [...regions.all, ...(log ? [log] : [])]) end = Math.max(end, offset + length);
  const bytes = new Uint8Array(1 * MiB);
  const words = new Uint32Array(bytes.buffer);
  const period = geometry.chunkRatio + 1;
  const length = geometry.batEntries * BAT_ENTRY_SIZE;
  for (let done = 0; done < length; done += bytes.length) {
    const part = Math.min(bytes.length, length - done);
    await source.readInto(bytes.subarray(0, part), regions.bat.offset + done, options);
    for (let i = 0; i < part / BAT_ENTRY_SIZE; i++) {
      const megabyte = ((words[2 * i] as number) >>> 20) + (words[2 * i + 1] as number) * 4096;
      if (megabyte === 0) continue;
      const isBitmap = (done / BAT_ENTRY_SIZE + i) % period === geometry.chunkRatio;
      end = Math.max(end, megabyte * MiB + (isBitmap ? SECTOR_BITMAP_BLOCK_SIZE : geometry.blockSize));
    }
  }
  return end;
}
