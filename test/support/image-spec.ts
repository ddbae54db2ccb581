import { type BlockContent, pattern } from './block-content.js';
import { concatBytes, guidBytes, MiB, u32Bytes, u64Bytes } from './encode-primitives.js';
import {
  encodeParentLocator,
  GUID,
  type HeaderFields,
  IS_REQUIRED,
  IS_VIRTUAL_DISK,
  type LocatorEntry,
  type LocatorFields,
  type MetadataFields,
  type MetadataItem,
  PLAIN_HEADER,
  type RegionEntry,
  type RegionTableFields,
} from './encode-structures.js';
import type { ByteRange } from './sparse-file.js';

/** The states of a payload block, [MS-VHDX] 2.5.1.1. A present sector bitmap block has state 6 too. */
export const STATE = {
  notPresent: 0,
  undefined: 1,
  zero: 2,
  unmapped: 3,
  fullyPresent: 6,
  partiallyPresent: 7,
} as const;

/** Data write GUID of an image that has no parent, where a spec does not say another. */
export const BASE_DATA_WRITE_GUID = PLAIN_HEADER.dataWriteGuid;
/** Data write GUID of a differencing image, where a spec does not say another. */
export const CHILD_DATA_WRITE_GUID = 'e58f3a71-90bc-4d2e-a6f4-13c7d2905b8a';

/** A payload block. */
export interface BlockSpec {
  /** The state of its BAT entry. */
  readonly state: number;
  /** What its place in the file holds; a block in whatever state gets a place when it has data. */
  readonly data?: BlockContent;
  /** Its part of the chunk's sector bitmap, first sector in bit 0 of byte 0. */
  readonly bitmap?: Uint8Array;
  /** File offset to use instead of the next free one. */
  readonly offset?: number;
}

/** One value for both copies of a structure, or one for each. */
export type PerCopy<T> = T | readonly [T, T];

/** What an image is to be. Everything left out is as in a plain good dynamic image. */
export interface ImageSpec {
  readonly type?: 'fixed' | 'dynamic' | 'differencing';
  /** Bytes; above 64 TiB no blocks are laid out. */
  readonly virtualSize?: number | bigint;
  readonly blockSize?: number;
  readonly logicalSectorSize?: number;
  readonly physicalSectorSize?: number;
  /** The second word of the file parameters item; what the type says where it is left out. */
  readonly fileParametersFlags?: number;
  readonly virtualDiskId?: string;
  readonly dataWriteGuid?: string;

  readonly fileSignature?: string;
  /** A text, or the bytes to put there. */
  readonly creator?: string | Uint8Array;
  readonly headers?: PerCopy<Partial<HeaderFields>>;
  /** Edits the list of regions that both copies of the region table get. */
  readonly regions?: (plain: RegionEntry[]) => RegionEntry[];
  readonly regionTables?: PerCopy<Partial<RegionTableFields>>;
  readonly metadata?: Partial<Omit<MetadataFields, 'items'>>;
  /** Edits the list of metadata items. */
  readonly items?: (plain: MetadataItem[]) => MetadataItem[];
  /** The parent locator item: its fields, its bytes, or null for none; a locator of a base image where a differencing image does not say. */
  readonly parentLocator?: (Partial<LocatorFields> & Pick<LocatorFields, 'entries'>) | Uint8Array | null;

  /** Whose habits to follow in layout, order of items, Required bits. */
  readonly habits?: 'windows' | 'qemu';
  /** Places of the three regions, instead of what the habits say. */
  readonly places?: {
    readonly log?: Partial<ByteRange>;
    readonly metadata?: Partial<ByteRange>;
    readonly bat?: Partial<ByteRange>;
  };
  /** Where the first block goes. */
  readonly firstBlockOffset?: number;
  /** In which order blocks are in the file, and whether there is unused space between them. */
  readonly placement?: 'sequential' | 'reverse' | 'shuffled' | 'gaps';

  /** Payload blocks by number. Others have the unallocated state, or in a fixed image are fully present and zero. */
  readonly blocks?: Readonly<Record<number, BlockSpec>>;
  /** State of blocks that are not listed; 0, or 6 for a fixed image. */
  readonly otherBlocks?: number;
  /** Chunks that get a sector bitmap block although none of their blocks asks for it. */
  readonly extraBitmaps?: readonly number[];
  /** Raw BAT entries by BAT index, written last. */
  readonly bat?: Readonly<Record<number, bigint>>;
  /** What the log region holds. */
  readonly logContent?: Uint8Array;
  /** The size of the file instead of where its last piece ends; may cut pieces off. */
  readonly fileSize?: number | ((end: number) => number);
}

/** Content of the two blocks that an image has if its spec lists none. */
const PLAIN_BLOCKS: Readonly<Record<number, BlockSpec>> = {
  0: { state: STATE.fullyPresent, data: pattern(0) },
  2: { state: STATE.fullyPresent, data: pattern(2) },
};

/** The spec with every value that decides about layout or content filled in. */
export function withDefaults(spec: ImageSpec) {
  const type = spec.type ?? 'dynamic';
  const habits = spec.habits ?? 'windows';
  return {
    ...spec,
    type,
    habits,
    hasParent: ((spec.fileParametersFlags ?? (type === 'differencing' ? 2 : 0)) & 2) !== 0,
    virtualSize: spec.virtualSize ?? 8 * MiB,
    blockSize: spec.blockSize ?? MiB,
    logicalSectorSize: spec.logicalSectorSize ?? 512,
    physicalSectorSize: spec.physicalSectorSize ?? (habits === 'qemu' ? 512 : 4096),
    placement: spec.placement ?? 'sequential',
    blocks: spec.blocks ?? PLAIN_BLOCKS,
    otherBlocks: spec.otherBlocks ?? (type === 'fixed' ? STATE.fullyPresent : STATE.notPresent),
    creator: spec.creator ?? (habits === 'qemu' ? 'QEMU v7.2.22' : 'Microsoft Windows 6.2.9200.16384'),
  } as const;
}

/** A spec with its defaults. */
export type FullSpec = ReturnType<typeof withDefaults>;

/** The items that a spec's image has before the spec edits them, in the order of its writer's habits. */
export function plainItems(spec: FullSpec): MetadataItem[] {
  const flags = spec.fileParametersFlags ?? { fixed: 1, dynamic: 0, differencing: 2 }[spec.type];
  const ofDisk = IS_VIRTUAL_DISK | IS_REQUIRED;
  const parameters = {
    id: GUID.fileParameters,
    flags: IS_REQUIRED,
    data: concatBytes(u32Bytes(spec.blockSize), u32Bytes(flags)),
  };
  const size = { id: GUID.virtualDiskSize, flags: ofDisk, data: u64Bytes(spec.virtualSize) };
  const diskId = {
    id: GUID.virtualDiskId,
    flags: ofDisk,
    data: guidBytes(spec.virtualDiskId ?? '0c5c4a9f-3c19-4d6b-8a5e-9b1f7d2e6c43'),
  };
  const logical = { id: GUID.logicalSectorSize, flags: ofDisk, data: u32Bytes(spec.logicalSectorSize) };
  const physical = { id: GUID.physicalSectorSize, flags: ofDisk, data: u32Bytes(spec.physicalSectorSize) };
  const items: MetadataItem[] =
    spec.habits === 'qemu'
      ? [parameters, size, diskId, logical, physical]
      : [parameters, size, logical, physical, diskId];
  const locator = locatorBytes(spec);
  if (locator) items.push({ id: GUID.parentLocator, flags: IS_REQUIRED, data: locator });
  return items;
}

function locatorBytes(spec: FullSpec): Uint8Array | undefined {
  const locator = spec.parentLocator;
  if (locator instanceof Uint8Array) return locator;
  if (locator) return encodeParentLocator(locator);
  if (locator === null || !spec.hasParent) return undefined;
  return encodeParentLocator({
    entries: locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhdx' }),
  });
}

/** The entries of a parent locator as Windows writes them: keys of [MS-VHDX] 2.6.2.6.3, GUIDs in braces. */
export function locatorEntries(parent: {
  readonly linkage?: string;
  readonly linkage2?: string;
  readonly relativePath?: string;
  readonly volumePath?: string;
  readonly absolutePath?: string;
}): LocatorEntry[] {
  const entries: LocatorEntry[] = [];
  if (parent.linkage !== undefined) entries.push({ key: 'parent_linkage', value: `{${parent.linkage}}` });
  if (parent.linkage2 !== undefined) entries.push({ key: 'parent_linkage2', value: `{${parent.linkage2}}` });
  if (parent.relativePath !== undefined) entries.push({ key: 'relative_path', value: parent.relativePath });
  if (parent.volumePath !== undefined) entries.push({ key: 'volume_path', value: parent.volumePath });
  if (parent.absolutePath !== undefined) entries.push({ key: 'absolute_win32_path', value: parent.absolutePath });
  return entries;
}

/** Both values of something that may be given for each copy. */
export function bothCopies<T>(value: PerCopy<T> | undefined, plain: T): readonly [T, T] {
  if (value === undefined) return [plain, plain];
  return Array.isArray(value) ? (value as unknown as readonly [T, T]) : [value as T, value as T];
}
