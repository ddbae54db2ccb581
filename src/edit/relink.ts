import type { Core } from '../core/instance.js';
import { encodeParentLocator } from '../format/parent-locator.js';
import { type CompleteExamination, examine } from '../image/examine.js';
import type { RandomAccessFile, ReadOptions } from '../io/random-access.js';
import type { WriterIdentity } from '../log/journal.js';
import { changeItems, itemChange } from './metadata-writer.js';
import { complete, openSession, readOnly, settled, spaceOf } from './open-session.js';

/** Makes the new entries of a parent locator of the present ones. */
export type NewLocator = (entries: Readonly<Record<string, string>>) => Iterable<readonly [key: string, value: string]>;

/**
 * Changes what an image says about its parent, in place and in one step, and leaves a clean file. What the disk reads as
 * and its DataWriteGuid stay.
 */
export async function relink(
  core: Core,
  file: RandomAccessFile,
  newLocator: NewLocator,
  { signal }: ReadOptions,
  identity: WriterIdentity,
): Promise<void> {
  const options = { keepTables: true, signal };
  const found = complete(await examine(core, readOnly(file), 'memory', options));
  const examination = await settled(core, file, found, options, identity);
  const { space } = await spaceOf(core, examination, options);
  const session = openSession(core, file, examination, space, { identity });
  try {
    await changeItems(
      session,
      examination,
      [itemChange('Parent Locator', locatorBytes(examination, newLocator))],
      false,
    );
  } catch (error) {
    await session.close().catch(() => undefined); // the first error is the one to report
    throw error;
  }
  await session.close();
}

function locatorBytes({ metadata: { parentLocator } }: CompleteExamination, newLocator: NewLocator): Uint8Array {
  if (!parentLocator) throw new Error('the image has no parent locator');
  return encodeParentLocator(newLocator(parentLocator.entries));
}
