import type { Core } from '../../core/instance.js';
import { loadCore } from '../../core/load.js';
import { walkChain } from '../../disk/chain.js';
import { closeMembers } from '../../disk/chain-member.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { openMembers } from '../../disk/open.js';
import { withLimits } from '../../disk/open-options.js';
import type { CompleteExamination } from '../../image/examination.js';
import { OpenImage } from '../../image/open-image.js';
import { discreet } from '../../io/discreet.js';
import type { RandomAccessFile } from '../../io/random-access.js';
import { randomIdentity } from '../../log/journal.js';
import type { Finding } from '../../rules.js';
import { openSession, readOnly, type SessionOptions, settled, spaceOf } from '../open-session.js';
import { openTarget, type VhdxTarget } from '../target.js';
import { DiscreetFile } from './discreet-file.js';
import type { EditOptions } from './edit-options.js';
import { RunningReads, WritableVhdxDisk } from './writable-disk.js';

/** What `editVhdx` does. */
export async function editImage(target: VhdxTarget, wanted: EditOptions): Promise<WritableVhdxDisk> {
  const options = withLimits(wanted);
  const core = await loadCore();
  const { onWarning, untrusted } = options;
  const { file, finish, abandon } = await openTarget(target, { durable: true, onWarning }).catch((error: unknown) => {
    throw untrusted ? discreet(error, undefined) : error;
  });
  try {
    return await editFile(core, untrusted ? new DiscreetFile(file) : file, finish, options);
  } catch (error) {
    await abandon();
    throw error;
  }
}

/** What a job that writes a disk wants beside what `editVhdx` does. */
export interface JobEditing extends Partial<Pick<SessionOptions, 'identity' | 'dataWriteGuid'>> {
  /** Keeps the bytes of the tables in the examination. */
  readonly keepTables?: boolean;
}

/** The chain is opened as for reading, so that it is refused for the same reasons; then the top gets a writer. */
export async function editFile(
  core: Core,
  file: RandomAccessFile,
  release: () => Promise<void>,
  options: EditOptions & JobEditing,
): Promise<WritableVhdxDisk> {
  const { identity = randomIdentity, dataWriteGuid, signal } = options;
  const members = await walkChain(core, readOnly(file), { ...options, isLocked: true });
  const reading = await openMembers(core, members, options).catch(async (error: unknown) => {
    await closeMembers(members);
    throw error;
  });
  const { parent, member } = reading;
  await member.image.close();
  try {
    const chainFindings = members[0]?.findings ?? [];
    const examination = await settled(core, file, member.image.examination, options, identity);
    const parts = { parent, chainFindings, identity, dataWriteGuid, release, signal };
    return await makeWritable(core, file, examination, parts);
  } catch (error) {
    await parent?.close();
    throw error;
  }
}

/** What a writable disk is made of, beside its file. */
export interface WritableOptions extends Pick<SessionOptions, 'identity' | 'dataWriteGuid'> {
  readonly parent: VhdxDisk | undefined;
  /** What was found about the disk and its parent. */
  readonly chainFindings?: readonly Finding[];
  /** Frees what was taken for writing, such as a lock and the file; called once, when the disk is closed. */
  readonly release: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** Makes a writable disk of a clean file that was examined. Nothing is written yet. */
export async function makeWritable(
  core: Core,
  file: RandomAccessFile,
  examination: CompleteExamination,
  { parent, chainFindings = [], identity, dataWriteGuid, release, signal }: WritableOptions,
): Promise<WritableVhdxDisk> {
  const { space } = await spaceOf(core, examination, { signal });
  const reads = new RunningReads();
  const readsEnded = () => reads.ended();
  const session = openSession(core, file, examination, space, { identity, dataWriteGuid, readsEnded });
  const image = new OpenImage(core, { ...examination, source: session.source });
  return new WritableVhdxDisk({ image, session, reads, parent, chainFindings, release });
}
