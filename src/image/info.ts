import { isDirty } from '../format/header.js';
import type { ReplaySummary } from '../log/plan.js';
import type { BlockCounts } from './block-counts.js';
import type { CompleteExamination, Examination } from './examination.js';

/** Whether all blocks are allocated from the start, only when they are written, or only if they differ from a parent. */
export type DiskType = 'fixed' | 'dynamic' | 'differencing';

/** Everything that an image says about itself: plain data that survives `JSON.stringify`. Sizes and offsets in bytes. */
export interface DiskInfo {
  /** Fixed, dynamic or differencing. */
  readonly type: DiskType;
  /** What a guest sees. */
  readonly virtualSize: number;
  /** Of a payload block. */
  readonly blockSize: number;
  /** The unit in which a guest addresses the disk: 512 or 4096. */
  readonly logicalSectorSize: number;
  /** The unit in which a guest should write: 512 or 4096. */
  readonly physicalSectorSize: number;
  /** VirtualDiskId; undefined in the few images that have none, or one of zeros. */
  readonly virtualDiskId?: string;
  /** The program that created the image, as the image names it. */
  readonly creator: string;
  /** Length of the file, before replay. */
  readonly fileSize: number;
  /** Payload blocks to one sector bitmap block. */
  readonly chunkRatio: number;
  /** Number of payload blocks of the disk. */
  readonly payloadBlocks: number;
  /** Number of BAT entries that are used. */
  readonly batEntries: number;
  /**
   * What the BAT says in all, how many bytes of the file payload occupies among it; undefined of a BAT of more than 1 MiB,
   * which is not checked when the image is opened.
   */
  readonly blocks?: BlockCounts;
  /** The current header. */
  readonly header: {
    readonly copy: 1 | 2;
    /** In decimal: it has 64 bits. */
    readonly sequenceNumber: string;
    readonly fileWriteGuid: string;
    readonly dataWriteGuid: string;
    readonly logGuid: string;
    readonly version: number;
    readonly logVersion: number;
  };
  /** The log: whether the image is dirty, and what replaying it in memory did. */
  readonly log: {
    readonly dirty: boolean;
    readonly offset: number;
    readonly length: number;
    readonly replay?: ReplaySummary;
  };
  /** What the region table lists, unknown regions included. */
  readonly regions: readonly {
    readonly guid: string;
    readonly name: string;
    readonly offset: number;
    readonly length: number;
    readonly required: boolean;
  }[];
  /** What the metadata table lists, unknown items included. */
  readonly metadataItems: readonly {
    readonly id: string;
    readonly name: string;
    readonly user: boolean;
    readonly virtualDisk: boolean;
    readonly required: boolean;
    readonly offset: number;
    readonly length: number;
  }[];
  /** Keys and values of the parent locator of a differencing image; the first 32, and texts past 4,096 characters are cut. */
  readonly parentLocator?: Readonly<Record<string, string>>;
}

/** The type of a disk; LeaveBlockAllocated has no meaning if there is a parent ([MS-VHDX] 2.6.2.1). */
function diskType({
  hasParent,
  leaveBlocksAllocated,
}: {
  hasParent: boolean;
  leaveBlocksAllocated: boolean;
}): DiskType {
  if (hasParent) return 'differencing';
  return leaveBlocksAllocated ? 'fixed' : 'dynamic';
}

/** Gathers what an examination found. `fileSize` is the length of the file, before replay. */
export function describe(examination: CompleteExamination, fileSize: number, blocks?: BlockCounts): DiskInfo {
  const { header, metadata, geometry } = examination;
  const { logOffset, logLength, ...rest } = header;
  return {
    type: diskType(metadata),
    virtualSize: metadata.virtualSize,
    blockSize: metadata.blockSize,
    logicalSectorSize: metadata.logicalSectorSize,
    physicalSectorSize: metadata.physicalSectorSize,
    ...(metadata.virtualDiskId !== undefined && { virtualDiskId: metadata.virtualDiskId }),
    creator: examination.creator ?? '',
    fileSize,
    chunkRatio: geometry.chunkRatio,
    payloadBlocks: geometry.payloadBlocks,
    batEntries: geometry.batEntries,
    ...(blocks && { blocks }),
    header: { ...rest, sequenceNumber: String(header.sequenceNumber) },
    log: {
      dirty: isDirty(header),
      offset: logOffset,
      length: logLength,
      ...(examination.replay && { replay: examination.replay.summary }),
    },
    regions: describeRegions(examination),
    metadataItems: (examination.metadataEntries ?? []).map((entry) => ({
      id: entry.itemId,
      name: entry.structure,
      user: entry.isUser,
      virtualDisk: entry.isVirtualDisk,
      required: entry.isRequired,
      offset: entry.offset,
      length: entry.length,
    })),
    ...(metadata.parentLocator && { parentLocator: boundedEntries(metadata.parentLocator.entries) }),
  };
}

/** Entries of a parent locator that are shown. */
const MAX_LOCATOR_ENTRIES = 32;
/** UTF-16 units of a key or value that are shown. */
const MAX_LOCATOR_TEXT = 4096;

function boundedEntries(entries: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const cut = (text: string) => (text.length > MAX_LOCATOR_TEXT ? `${text.slice(0, MAX_LOCATOR_TEXT)}…` : text);
  const shown = Object.entries(entries).slice(0, MAX_LOCATOR_ENTRIES);
  return Object.fromEntries(shown.map(([key, value]) => [cut(key), cut(value)]));
}

function describeRegions({ regions }: Examination): DiskInfo['regions'] {
  return (regions?.all ?? []).map(({ guid, structure, offset, length, required }) => ({
    guid,
    name: structure,
    offset,
    length,
    required,
  }));
}
