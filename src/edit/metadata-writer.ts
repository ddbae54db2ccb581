import { VhdxError } from '../errors.js';
import {
  encodeMetadataTable,
  type ItemName,
  knownItem,
  METADATA_TABLE_SIZE,
  type MetadataTableEntry,
  readMetadataTableEntries,
} from '../format/metadata-table.js';
import type { CompleteExamination } from '../image/examination.js';
import { PAGE_SIZE } from '../image/page-layer.js';
import type { WriteSession } from '../image/session.js';
import { type Patch, pagesOf, patchPages } from './page-patches.js';

/** A metadata item that gets new bytes, or with `undefined` is taken out of the table. */
export interface ItemChange extends Pick<MetadataTableEntry, 'itemId' | 'flags'> {
  readonly bytes: Uint8Array | undefined;
}

/** The change of an item that the specification names. */
export function itemChange(name: ItemName, bytes: Uint8Array | undefined): ItemChange {
  return { ...knownItem(name), bytes };
}

/**
 * Gives metadata items new bytes, all at once: through the log, because an item and its entry in the table must fit. An
 * item of the same length stays where it is; one that is new or longer goes to free space of the region. Everything else
 * of the table stays as it is, unknown entries too ([MS-VHDX] 2.6.1).
 *
 * @param examination of the file as it is, with its tables kept
 * @param visible whether a child of the disk must notice the change
 * @throws VhdxError if two items overlap, so that writing one would damage the other; `no-space` if the metadata region is full
 */
export async function changeItems(
  session: WriteSession,
  examination: CompleteExamination,
  changes: readonly ItemChange[],
  visible: boolean,
): Promise<void> {
  const patches = itemPatches(examination, changes);
  await session.begin(visible);
  await session.change({ pages: [...pagesOf(patches)], change: (bytesOf) => patchPages(patches, bytesOf) });
}

const IS_USER = 1;

/** What {@link changeItems} changes, for work that changes something else in the same step. */
export function itemPatches(examination: CompleteExamination, changes: readonly ItemChange[]): Patch[] {
  const { metadataTable, regions, findings } = examination;
  const overlap = findings.find(({ code }) => code === 'metadata-item-overlap');
  if (overlap) throw VhdxError.from(overlap);
  if (!metadataTable) throw new Error('the metadata table was not kept');
  const { metadata: region } = regions;
  const before = readMetadataTableEntries(metadataTable);
  const entries = [...before];
  const writes: Patch[] = [];
  for (const { itemId, flags, bytes } of changes) {
    const index = entries.findIndex(
      (entry) => entry.itemId === itemId && (entry.flags & IS_USER) === (flags & IS_USER),
    );
    const present = entries[index];
    if (bytes === undefined) {
      if (present) entries.splice(index, 1);
      continue;
    }
    const stays = present?.length === bytes.length;
    // The old place of an item that moves stays untouched until the table leads to the new one.
    const offset = stays ? present.offset : freePlace([...before, ...entries], region.length, bytes.length);
    writes.push({ offset: region.offset + offset, bytes });
    if (stays) continue;
    const entry = {
      itemId,
      offset,
      length: bytes.length,
      flags: present?.flags ?? flags,
      reserved: present?.reserved ?? 0,
    };
    if (present) entries[index] = entry;
    else entries.push(entry);
  }
  const table = encodeMetadataTable(entries, metadataTable);
  return [...changedPages(metadataTable, table, region.offset), ...writes];
}

/** The first gap after the table that is long enough, in bytes from the start of the region. */
function freePlace(entries: readonly MetadataTableEntry[], regionLength: number, length: number): number {
  let place = METADATA_TABLE_SIZE;
  for (const entry of [...entries].sort((a, b) => a.offset - b.offset)) {
    if (entry.length === 0) continue;
    if (entry.offset - place >= length) break;
    place = Math.max(place, entry.offset + entry.length);
  }
  if (place + length <= regionLength) return place;
  const message = `metadata region: has no ${length} bytes left for another item`;
  throw new VhdxError('no-space', message, { structure: 'metadata region' });
}

function changedPages(before: Uint8Array, after: Uint8Array, at: number): Patch[] {
  const writes: Patch[] = [];
  for (let offset = 0; offset < after.length; offset += PAGE_SIZE) {
    const bytes = after.subarray(offset, offset + PAGE_SIZE);
    if (bytes.some((byte, i) => byte !== before[offset + i])) writes.push({ offset: at + offset, bytes });
  }
  return writes;
}
