import type { WarningOptions } from '../base/options.js';
import type { Core } from '../core/instance.js';
import { loadCore } from '../core/load.js';
import type { CompleteExamination } from '../image/examination.js';
import { examine } from '../image/examine.js';
import type { WriteSession } from '../image/session.js';
import type { RandomAccessFile, RandomAccessSource } from '../io/random-access.js';
import { randomIdentity, type WriterIdentity } from '../log/journal.js';
import {
  type BlockSpace,
  complete,
  openSession,
  readOnly,
  type SessionOptions,
  settled,
  spaceOf,
} from './open-session.js';
import { lookAt, openTarget, type VhdxTarget, workOn } from './target.js';

/** Options that all jobs share. */
export interface JobOptions extends WarningOptions {
  readonly dryRun?: boolean | undefined;
  /** Whether a flush must make durable what was written: then a file that is swapped in as a whole is refused. */
  readonly durable?: boolean | undefined;
  /** See `SessionParts`. */
  readonly dataWriteGuid?: SessionOptions['dataWriteGuid'];
  readonly signal?: AbortSignal | undefined;
}

/** An image that a job changes, or with `dryRun` only looks at. */
export interface JobImage extends BlockSpace {
  readonly core: Core;
  /** Without a log to be replayed, unless it is a dry run; with the bytes of the tables. */
  readonly examination: CompleteExamination;
  /** The file as it is now, with everything that the job has changed. */
  readonly source: RandomAccessSource;
  /** What changes the file; undefined in a dry run. */
  readonly session: WriteSession | undefined;
}

/**
 * Does a job that changes one image in place, with no regard for its parents or children. However it ends, all that it
 * changed is durable and the file clean, unless the session itself has failed: then reopening the file recovers it.
 */
export async function changeImage<T>(
  target: VhdxTarget,
  options: JobOptions,
  work: (image: JobImage) => Promise<T>,
  identity: WriterIdentity = randomIdentity,
): Promise<T> {
  options.signal?.throwIfAborted();
  const core = await loadCore();
  if (options.dryRun) return lookAt(target, (source) => look(core, source, options, work));
  const { durable, onWarning } = options;
  return workOn(await openTarget(target, { durable: durable === true, onWarning }), (file) =>
    change(core, file, options, work, identity),
  );
}

async function look<T>(
  core: Core,
  file: RandomAccessSource,
  { signal }: JobOptions,
  work: (image: JobImage) => Promise<T>,
): Promise<T> {
  const examination = complete(await examine(core, file, 'memory', { keepTables: true, signal }));
  const { source } = examination;
  return work({ core, examination, source, session: undefined, ...(await spaceOf(core, examination, { signal })) });
}

async function change<T>(
  core: Core,
  file: RandomAccessFile,
  { signal, dataWriteGuid }: JobOptions,
  work: (image: JobImage) => Promise<T>,
  identity: WriterIdentity,
): Promise<T> {
  const options = { keepTables: true, signal };
  const found = complete(await examine(core, readOnly(file), 'memory', options));
  const examination = await settled(core, file, found, options, identity);
  const blocks = await spaceOf(core, examination, options);
  const session = openSession(core, file, examination, blocks.space, { identity, dataWriteGuid });
  let result: T;
  try {
    result = await work({ core, examination, source: session.source, session, ...blocks });
  } catch (error) {
    await session.close().catch(() => undefined); // the first error is the one to report
    throw error;
  }
  await session.close();
  return result;
}
