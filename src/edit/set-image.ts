import type { Core } from '../core/instance.js';
import { loadCore } from '../core/load.js';
import { parseGuid, randomGuid, ZERO_GUID } from '../format/guid.js';
import { encodeSectorSize, encodeVirtualDiskId } from '../format/metadata.js';
import { type CompleteExamination, examine } from '../image/examine.js';
import type { RandomAccessFile } from '../io/random-access.js';
import { randomIdentity, type WriterIdentity } from '../log/journal.js';
import { changeItems, type ItemChange, itemChange } from './metadata-writer.js';
import { complete, openSession, readOnly, settled, spaceOf } from './open-session.js';
import type { SetOptions } from './set-options.js';
import { openTarget, type VhdxTarget } from './target.js';

/** What `setVhdx` does; specs say besides where new GUIDs come from. */
export async function setImage(
  target: VhdxTarget,
  options: SetOptions,
  identity: WriterIdentity = randomIdentity,
): Promise<void> {
  const wanted = wantedValues(options);
  options.signal?.throwIfAborted();
  const core = await loadCore();
  const { file, finish, abandon } = await openTarget(target, { onWarning: options.onWarning });
  try {
    await setFile(core, file, wanted, options, identity);
  } catch (error) {
    await abandon();
    throw error;
  }
  await finish();
}

interface Wanted {
  readonly id?: string;
  readonly physicalSectorSize?: number;
}

function wantedValues({ newId, physicalSectorSize }: SetOptions): Wanted {
  if (newId === undefined && physicalSectorSize === undefined) {
    throw new RangeError('there is nothing to set: neither newId nor physicalSectorSize');
  }
  const id = newId === true ? randomGuid() : newId === undefined ? undefined : parseGuid(newId);
  if (newId !== undefined && (id === undefined || id === ZERO_GUID)) throw new RangeError(`newId is no GUID: ${newId}`);
  if (physicalSectorSize !== undefined && physicalSectorSize !== 512 && physicalSectorSize !== 4096) {
    throw new RangeError(`physicalSectorSize is ${physicalSectorSize}, not 512 or 4096`);
  }
  return { ...(id !== undefined && { id }), ...(physicalSectorSize !== undefined && { physicalSectorSize }) };
}

async function setFile(
  core: Core,
  file: RandomAccessFile,
  wanted: Wanted,
  { signal }: SetOptions,
  identity: WriterIdentity,
): Promise<void> {
  const options = { keepTables: true, signal };
  const examination = complete(await examine(core, readOnly(file), 'memory', options));
  const changes = itemChanges(examination, wanted);
  if (changes.length === 0) return;
  const clean = await settled(core, file, examination, options, identity);
  const { space } = await spaceOf(core, clean, { signal });
  const session = openSession(core, file, clean, space, { identity });
  await changeItems(session, clean, changes, true);
  await session.close();
}

/** The changes of the items that do not have the wanted value. */
function itemChanges({ metadata }: CompleteExamination, { id, physicalSectorSize }: Wanted): ItemChange[] {
  const changes: ItemChange[] = [];
  if (id !== undefined && id !== metadata.virtualDiskId) {
    changes.push(itemChange('Virtual Disk ID', encodeVirtualDiskId(id)));
  }
  if (physicalSectorSize !== undefined && physicalSectorSize !== metadata.physicalSectorSize) {
    changes.push(itemChange('Physical Sector Size', encodeSectorSize(physicalSectorSize)));
  }
  return changes;
}
