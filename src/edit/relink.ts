import type { Core } from '../core/instance.js';
import { type CompleteExamination, examine } from '../image/examine.js';
import type { RandomAccessFile, ReadOptions } from '../io/random-access.js';
import type { WriterIdentity } from '../log/journal.js';
import { changeItems, itemChange } from './metadata-writer.js';
import { complete, openSession, readOnly, settled, spaceOf } from './open-session.js';

/** What an image is to say about its parent. */
export interface Relink {
  /** The bytes of the Parent Locator item. */
  readonly locator: Uint8Array;
  /** Whether a child of the image must notice the change, because it may read differently. */
  readonly visible: boolean;
}

/**
 * Changes what an image says about its parent, in place and in one step, and leaves a clean file. The parent is not
 * looked at.
 *
 * @param plan decides from what the image is now; nothing was written if it rejects
 */
export async function relink(
  core: Core,
  file: RandomAccessFile,
  plan: (examination: CompleteExamination) => Relink | Promise<Relink>,
  { signal }: ReadOptions,
  identity: WriterIdentity,
): Promise<void> {
  const options = { keepTables: true, signal };
  const found = complete(await examine(core, readOnly(file), 'memory', options));
  const { locator, visible } = await plan(found);
  const examination = await settled(core, file, found, options, identity);
  const { space } = await spaceOf(core, examination, options);
  const session = openSession(core, file, examination, space, { identity });
  try {
    await changeItems(session, examination, [itemChange('Parent Locator', locator)], visible);
  } catch (error) {
    await session.close().catch(() => undefined); // the first error is the one to report
    throw error;
  }
  await session.close();
}
