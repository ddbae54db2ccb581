import type { Core } from '../../core/instance.js';
import type { CompleteExamination } from '../../image/examination.js';
import { examine } from '../../image/examine.js';
import type { RandomAccessFile, ReadOptions } from '../../io/random-access.js';
import type { WriterIdentity } from '../../log/journal.js';
import { changeImage } from '../job.js';
import { changeItems, itemChange } from '../metadata-writer.js';
import { complete, readOnly } from '../open-session.js';

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
  const { locator, visible } = await plan(complete(await examine(core, readOnly(file), 'memory', { signal })));
  await changeImage(
    file,
    { signal },
    async ({ session, examination }) => {
      if (session) await changeItems(session, examination, [itemChange('Parent Locator', locator)], visible);
    },
    identity,
  );
}
