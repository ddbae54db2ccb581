import { MiB } from '../base/units.js';
import { VhdxError } from '../errors.js';
import {
  encodeMetadataTable,
  type ItemName,
  knownItem,
  MAX_ENTRIES,
  MAX_USER_ENTRIES,
  METADATA_TABLE_SIZE,
  type MetadataTableEntry,
  readMetadataTableEntries,
} from '../format/metadata-table.js';
import type { CompleteExamination } from '../image/examination.js';
import { PAGE_SIZE } from '../image/page-layer.js';
import type { WriteSession } from '../image/session.js';
import { MAX_PAGES } from '../log/journal.js';
import { finding } from '../rules.js';
import { type Patch, pagesOf, patchPages } from './page-patches.js';
import { StoredRegion } from './stored-region.js';

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
 * of the table stays as it is, unknown entries too ([MS-VHDX] 2.6.1). If the region is full, or more changes than an entry
 * of the log takes, the whole region is written to a new place, and both region tables lead to it in one step.
 *
 * @param examination of the file as it is, with its tables kept
 * @param visible whether a child of the disk must notice the change
 * @throws VhdxError if two items overlap, so that writing one would damage the other; `metadata-entry-count` for too many
 */
export async function changeItems(
  session: WriteSession,
  examination: CompleteExamination,
  changes: readonly ItemChange[],
  visible: boolean,
): Promise<void> {
  const changed = changeTable(examination, changes);
  const patches = patchesOf(examination, changed);
  const pages = [...pagesOf(patches)];
  await session.begin(visible);
  if (changed.length > examination.regions.metadata.length || pages.length > MAX_PAGES) {
    await moveRegion(session, examination, changed);
  } else {
    await session.change({ pages, change: (bytesOf) => patchPages(patches, bytesOf) });
  }
}

/** What {@link changeItems} changes in place if items keep their lengths, for work that changes something else in the same step. */
export function itemPatches(examination: CompleteExamination, changes: readonly ItemChange[]): Patch[] {
  return patchesOf(examination, changeTable(examination, changes));
}

/** A metadata region with changed items; offsets are from its start. */
interface ChangedItems {
  readonly table: Uint8Array;
  /** The bytes of the items that change. */
  readonly items: readonly Patch[];
  /** Bytes that the region must have. */
  readonly length: number;
}

const IS_USER = 1;

function changeTable({ metadataTable, findings }: CompleteExamination, changes: readonly ItemChange[]): ChangedItems {
  const overlap = findings.find(({ code }) => code === 'metadata-item-overlap');
  if (overlap) throw VhdxError.from(overlap);
  if (!metadataTable) throw new Error('the metadata table was not kept');
  const before = readMetadataTableEntries(metadataTable);
  const entries = [...before];
  const items: Patch[] = [];
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
    const offset = stays ? present.offset : freePlace([...before, ...entries], bytes.length);
    items.push({ offset, bytes });
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
  checkCount(entries);
  const table = encodeMetadataTable(entries, metadataTable);
  return { table, items, length: Math.max(0, ...items.map(({ offset, bytes }) => offset + bytes.length)) };
}

/** Refuses what a reader would refuse: items of a child may be too many beside those of its parent. */
function checkCount(entries: readonly MetadataTableEntry[]): void {
  const users = entries.filter(({ flags }) => (flags & IS_USER) !== 0).length;
  if (entries.length <= MAX_ENTRIES && users <= MAX_USER_ENTRIES) return;
  const message = `would have ${entries.length} entries, ${users} of them users', and may have ${MAX_ENTRIES}, ${MAX_USER_ENTRIES} of them users'`;
  throw VhdxError.from(finding('metadata-entry-count', message, { structure: 'metadata table' }));
}

/** The first gap after the table that is long enough, or what follows the last item; from the start of the region. */
function freePlace(entries: readonly MetadataTableEntry[], length: number): number {
  let place = METADATA_TABLE_SIZE;
  for (const entry of [...entries].sort((a, b) => a.offset - b.offset)) {
    if (entry.length === 0) continue;
    if (entry.offset - place >= length) break;
    place = Math.max(place, entry.offset + entry.length);
  }
  return place;
}

function patchesOf({ metadataTable, regions }: CompleteExamination, { table, items }: ChangedItems): Patch[] {
  const { offset: start } = regions.metadata;
  const inFile = items.map(({ offset, bytes }) => ({ offset: start + offset, bytes }));
  return [...changedPages(metadataTable as Uint8Array, table, start), ...inFile];
}

/** Writes the region to new space, past the log, with what changes in it; then both region tables lead there. */
async function moveRegion(
  session: WriteSession,
  examination: CompleteExamination,
  { table, items, length: needed }: ChangedItems,
): Promise<void> {
  const { metadata: old } = examination.regions;
  const length = Math.max(old.length, Math.ceil(needed / MiB) * MiB);
  const { offset } = await session.allocate(length);
  try {
    for (let at = 0; at < length; at += MiB) {
      const bytes = new Uint8Array(MiB);
      if (at < old.length) await session.source.readInto(bytes, old.offset + at);
      for (const patch of [{ offset: 0, bytes: table }, ...items]) setPart(bytes, at, patch);
      await session.writePayload(bytes, offset + at);
    }
    const patches = new StoredRegion(old, examination, session.crc).place(offset, length);
    await session.change({
      pages: [...pagesOf(patches)],
      change: (bytesOf) => patchPages(patches, bytesOf),
      frees: [{ offset: old.offset, length: old.length }],
      end: offset + length,
    });
  } catch (error) {
    session.release(offset, length); // nothing refers to it
    throw error;
  }
}

/** Sets what a patch has in common with bytes that begin at an offset. */
function setPart(target: Uint8Array, start: number, { offset, bytes }: Patch): void {
  const from = Math.max(start, offset);
  const to = Math.min(start + target.length, offset + bytes.length);
  if (from < to) target.set(bytes.subarray(from - offset, to - offset), from - start);
}

function changedPages(before: Uint8Array, after: Uint8Array, at: number): Patch[] {
  const writes: Patch[] = [];
  for (let offset = 0; offset < after.length; offset += PAGE_SIZE) {
    const bytes = after.subarray(offset, offset + PAGE_SIZE);
    if (bytes.some((byte, i) => byte !== before[offset + i])) writes.push({ offset: at + offset, bytes });
  }
  return writes;
}
