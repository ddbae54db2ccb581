import { sumBytes } from '../core/crc32c.js';
import type { Core } from '../core/instance.js';
import { loadCore } from '../core/load.js';
import { walkChain } from '../disk/chain.js';
import { closeMembers } from '../disk/chain-member.js';
import type { VhdxDisk } from '../disk/disk.js';
import { openMembers } from '../disk/open.js';
import { VhdxError } from '../errors.js';
import { isDirty } from '../format/header.js';
import { BatPages } from '../image/bat-pages.js';
import { scanBat } from '../image/bat-scan.js';
import { type CompleteExamination, examine, isComplete, translatorImage } from '../image/examine.js';
import { OpenImage } from '../image/open-image.js';
import { WriteSession } from '../image/session.js';
import { readSpace, type Space } from '../image/space.js';
import type { RandomAccessFile, RandomAccessSource } from '../io/random-access.js';
import { randomIdentity, type WriterIdentity } from '../log/journal.js';
import type { Finding, RuleCode } from '../rules.js';
import type { EditOptions } from './edit-options.js';
import { repairFile } from './repair-image.js';
import { openTarget, type VhdxTarget } from './target.js';
import { RunningReads, WritableVhdxDisk } from './writable-disk.js';

/** What `editVhdx` does. */
export async function editImage(target: VhdxTarget, options: EditOptions): Promise<WritableVhdxDisk> {
  const core = await loadCore();
  const { file, release } = await openTarget(target);
  try {
    return await editFile(core, file, release, options);
  } catch (error) {
    await release();
    throw error;
  }
}

/** Where a disk that is written gets what it needs beside the file. */
export interface WritableOptions {
  readonly parent: VhdxDisk | undefined;
  /** What was found about the disk and its parent. */
  readonly chainFindings?: readonly Finding[];
  readonly identity: WriterIdentity;
  readonly release: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** The chain is opened as for reading, so that it is refused for the same reasons; then the top gets a writer. */
async function editFile(
  core: Core,
  file: RandomAccessFile,
  release: () => Promise<void>,
  options: EditOptions,
): Promise<WritableVhdxDisk> {
  const members = await walkChain(core, readOnly(file), options);
  const reading = await openMembers(core, members, options).catch(async (error: unknown) => {
    await closeMembers(members);
    throw error;
  });
  const { parent, member } = reading;
  await member.image.close();
  try {
    const chainFindings = members[0]?.findings ?? [];
    const examination = await settled(core, file, member.image.examination, options);
    return await makeWritable(core, file, examination, {
      parent,
      chainFindings,
      identity: randomIdentity,
      release,
      signal: options.signal,
    });
  } catch (error) {
    await parent?.close();
    throw error;
  }
}

/**
 * What an image says about itself when no log has to be replayed any more: that of a dirty one is replayed in place, if
 * the image can be written as it is after replay. Until then nothing was written.
 */
async function settled(
  core: Core,
  file: RandomAccessFile,
  examination: CompleteExamination,
  options: EditOptions,
): Promise<CompleteExamination> {
  if (!isDirty(examination.header)) return examination;
  await spaceOf(core, examination, options.signal);
  await repairFile(core, file, {}, randomIdentity);
  const clean = await examine(core, readOnly(file), 'refuse', options);
  if (!isComplete(clean)) throw VhdxError.from(clean.findings.find(({ severity }) => severity === 'fatal') as Finding);
  return clean;
}

/** The file as a source that does not close it. */
function readOnly(file: RandomAccessFile): RandomAccessSource {
  return {
    get size() {
      return file.size;
    },
    ...(file.name !== undefined && { name: file.name }),
    ...(file.path !== undefined && { path: file.path }),
    readInto: (target, offset, options) => file.readInto(target, offset, options),
  };
}

/** What a writable disk is made of, beside its file. */
export interface WritableOptions {
  readonly parent: VhdxDisk | undefined;
  /** What was found about the disk and its parent. */
  readonly chainFindings?: readonly Finding[];
  readonly identity: WriterIdentity;
  /** Frees what was taken for writing, such as a lock and the file; called once, when the disk is closed. */
  readonly release: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** Makes a writable disk of a clean file that was examined. Nothing is written yet. */
export async function makeWritable(
  core: Core,
  file: RandomAccessFile,
  examination: CompleteExamination,
  { parent, chainFindings = [], identity, release, signal }: WritableOptions,
): Promise<WritableVhdxDisk> {
  const { headers, header, log } = examination;
  if (isDirty(header)) throw new Error('the log was not replayed');
  if (!headers || !log)
    throw new VhdxError('log-length', 'the image has no log to write through', { structure: 'log' });
  const space = await spaceOf(core, examination, signal);
  const reads = new RunningReads();
  const session = new WriteSession({
    file,
    headers,
    log,
    space,
    crc: (bytes, initial = 0) => sumBytes(core, bytes, initial),
    identity,
    readsEnded: () => reads.ended(),
  });
  const image = new OpenImage(core, { ...examination, source: session.source });
  return new WritableVhdxDisk({ image, session, reads, parent, chainFindings, release });
}

/** Which space of a file is in use. Rejects if the BAT is in a state that must not be written into. */
async function spaceOf(core: Core, examination: CompleteExamination, signal: AbortSignal | undefined): Promise<Space> {
  const layout = translatorImage(examination);
  const pages = new BatPages(core, layout.source, layout.geometry, layout.batOffset);
  try {
    const { findings } = await scanBat(core, layout, pages, { signal });
    const refusal = [...examination.findings, ...findings].find(refusesWriting);
    if (refusal) throw VhdxError.from(refusal);
    return await readSpace(layout.source, layout, { signal });
  } finally {
    await pages.close();
  }
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
