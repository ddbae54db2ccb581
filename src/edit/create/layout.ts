import type { FileRange } from '../../base/byte-range.js';
import { MiB } from '../../base/units.js';
import { BAT_ENTRY_SIZE, computeGeometry, type Geometry } from '../../format/bat.js';
import { HEADER_SECTION_SIZE } from '../../format/header.js';
import { type DiskMetadata, encodeMetadata, encodeMetadataItems, type MetadataItem } from '../../format/metadata.js';

/** What a new image is to be, apart from its content and its place. */
export interface NewImage {
  readonly metadata: DiskMetadata;
  /** Length of the log in bytes, a multiple of 1 MiB. */
  readonly logLength: number;
  /** The bytes of the Parent Locator item of a differencing image. */
  readonly locator?: Uint8Array | undefined;
  /** Further metadata items, such as those that a child takes over from its parent. */
  readonly items?: readonly MetadataItem[] | undefined;
}

/** Where the structures of a new image are. All offsets are multiples of 1 MiB. */
export interface NewLayout {
  readonly geometry: Geometry;
  readonly log: FileRange;
  readonly metadata: FileRange;
  readonly bat: FileRange;
  /** The bytes that the metadata region begins with; zeros follow. */
  readonly metadataBytes: Uint8Array<ArrayBuffer>;
  /** File offset of the first payload block. */
  readonly payloadOffset: number;
}

const roundUp = (length: number): number => Math.max(MiB, Math.ceil(length / MiB) * MiB);

/**
 * Lays a new image out as Windows does: header section, log, metadata, BAT, payload. The BAT region is as long as its
 * entries need, which for a differencing image are more than for another of the same size ([MS-VHDX] 2.5).
 *
 * @param batOffset where the BAT is to be, if that is after the payload: for a disk whose size is not known before its
 *   payload has been written
 */
export function layOut(image: NewImage, batOffset?: number): NewLayout {
  const geometry = computeGeometry(image.metadata);
  const metadataBytes = encodeMetadata([...encodeMetadataItems(image.metadata, image.locator), ...(image.items ?? [])]);
  let next = HEADER_SECTION_SIZE;
  const place = (structure: string, length: number): FileRange => {
    const range = { structure, offset: next, length };
    next += length;
    return range;
  };
  const log = place('log', image.logLength);
  const metadata = place('metadata region', roundUp(metadataBytes.length));
  const batLength = roundUp(geometry.batEntries * BAT_ENTRY_SIZE);
  const bat =
    batOffset === undefined
      ? place('BAT region', batLength)
      : { structure: 'BAT region', offset: batOffset, length: batLength };
  return { geometry, log, metadata, bat, metadataBytes, payloadOffset: next };
}
