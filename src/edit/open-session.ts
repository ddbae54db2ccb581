import { crcOf } from '../core/crc32c.js';
import type { Core } from '../core/instance.js';
import { VhdxError } from '../errors.js';
import { isDirty } from '../format/header.js';
import { BatPages } from '../image/bat-pages.js';
import { scanBat } from '../image/bat-scan.js';
import type { BlockCounts } from '../image/block-counts.js';
import { type CompleteExamination, type ExamineOptions, isComplete, translatorImage } from '../image/examination.js';
import { examine } from '../image/examine.js';
import { type SessionParts, WriteSession } from '../image/session.js';
import { readSpace, type Space } from '../image/space.js';
import type { RandomAccessFile, RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { randomIdentity, type WriterIdentity } from '../log/journal.js';
import type { Finding, RuleCode } from '../rules.js';
import { repairFile } from './repair/repair-image.js';

/** What the BAT says of a file that is to be written. */
export interface BlockSpace {
  /** Which space of the file is in use. */
  readonly space: Space;
  readonly counts: BlockCounts;
}

/**
 * What an image says about itself when no log has to be replayed any more: that of a dirty one is replayed in place, if
 * the image can be written as it is after replay. Until then nothing was written.
 */
export async function settled(
  core: Core,
  file: RandomAccessFile,
  examination: CompleteExamination,
  options: ExamineOptions,
  identity: WriterIdentity = randomIdentity,
): Promise<CompleteExamination> {
  if (!isDirty(examination.header)) return examination;
  await spaceOf(core, examination, options);
  await repairFile(core, file, {}, identity);
  return complete(await examine(core, readOnly(file), 'refuse', options));
}

/** The examination if it found everything that reading needs; throws its first fatal finding otherwise. */
export function complete(examination: Awaited<ReturnType<typeof examine>>): CompleteExamination {
  if (isComplete(examination)) return examination;
  throw VhdxError.from(examination.findings.find(({ severity }) => severity === 'fatal') as Finding);
}

/** The file as a source that does not close it. */
export function readOnly(file: RandomAccessFile): RandomAccessSource {
  return {
    get size() {
      return file.size;
    },
    ...(file.name !== undefined && { name: file.name }),
    ...(file.path !== undefined && { path: file.path }),
    readInto: (target, offset, options) => file.readInto(target, offset, options),
  };
}

/** Which space of a file is in use. Rejects if the BAT is in a state that must not be written into. */
export async function spaceOf(core: Core, examination: CompleteExamination, options: ReadOptions): Promise<BlockSpace> {
  const layout = translatorImage(examination);
  const pages = new BatPages(core, layout.source, layout.geometry, layout.batOffset);
  const { signal } = options;
  try {
    const { findings, counts } = await scanBat(core, layout, pages, { signal });
    const refusal = [...examination.findings, ...findings].find(refusesWriting);
    if (refusal) throw VhdxError.from(refusal);
    return { space: await readSpace(layout.source, layout, { signal }), counts };
  } finally {
    await pages.close();
  }
}

/** How a session is to be: see `SessionParts`. Nothing reads the file meanwhile if `readsEnded` is not given. */
export type SessionOptions = Pick<SessionParts, 'identity' | 'dataWriteGuid'> &
  Partial<Pick<SessionParts, 'readsEnded'>>;

/** Opens a write session over a clean file that was examined. Nothing is written yet. */
export function openSession(
  core: Core,
  file: RandomAccessFile,
  { header, headers, log }: CompleteExamination,
  space: Space,
  { identity, dataWriteGuid, readsEnded = () => undefined }: SessionOptions,
): WriteSession {
  if (isDirty(header)) throw new Error('the log was not replayed');
  if (!headers || !log)
    throw new VhdxError('log-length', 'the image has no log to write through', { structure: 'log' });
  return new WriteSession({
    file,
    headers,
    log,
    space,
    crc: crcOf(core),
    identity,
    readsEnded,
    dataWriteGuid,
  });
}

/** What is harmless to a reader and too doubtful to write into, beside everything that is fatal or blocks a read. */
const REFUSES_WRITING: ReadonlySet<RuleCode> = new Set<RuleCode>([
  'bat-block-overlap',
  'bat-draft-unmapped',
  'bat-reserved-bits',
  'bat-unused-place',
  'bitmap-state',
  'bitmap-unexpected',
  'log-length',
  'log-offset',
  'log-outside-file',
  'log-overlap',
  'log-version',
  'region-outside-file',
  'region-overlap',
]);

const refusesWriting = ({ severity, code }: Finding) =>
  severity === 'fatal' || severity === 'block' || REFUSES_WRITING.has(code);
