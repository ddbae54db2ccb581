import { parseGuid, randomGuid, ZERO_GUID } from '../format/guid.js';
import { encodeSectorSize, encodeVirtualDiskId } from '../format/metadata.js';
import type { CompleteExamination } from '../image/examination.js';
import { randomIdentity, type WriterIdentity } from '../log/journal.js';
import { changeImage } from './job.js';
import { changeItems, type ItemChange, itemChange } from './metadata-writer.js';
import type { SetOptions } from './set-options.js';
import type { VhdxTarget } from './target.js';

/** What `setVhdx` does; specs say besides where new GUIDs come from. */
export async function setImage(
  target: VhdxTarget,
  options: SetOptions,
  identity: WriterIdentity = randomIdentity,
): Promise<void> {
  const wanted = wantedValues(options);
  const { signal, onWarning } = options;
  await changeImage(
    target,
    { signal, onWarning },
    async ({ session, examination }) => {
      const changes = itemChanges(examination, wanted);
      if (session && changes.length > 0) await changeItems(session, examination, changes, true);
    },
    identity,
  );
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
