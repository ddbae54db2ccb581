import { MiB } from '../../base/units.js';
import { crcOf } from '../../core/crc32c.js';
import type { Core } from '../../core/instance.js';
import { encodeFileIdentifier } from '../../format/file-identifier.js';
import { ZERO_GUID } from '../../format/guid.js';
import { encodeHeader, HEADER_OFFSETS, type Header } from '../../format/header.js';
import { BAT_GUID, encodeRegionTable, METADATA_GUID, REGION_TABLE_OFFSETS } from '../../format/region-table.js';
import { type InitialBlocks, writeInitialBat } from './bat-writer.js';
import type { NewImage, NewLayout } from './layout.js';
import type { WrittenFile } from './new-file.js';
import type { StoredEntries } from './stored-entries.js';

/** What a new image is known by. Random, and for specs whatever they want. */
export interface Identity {
  readonly fileWriteGuid: string;
  readonly dataWriteGuid: string;
  /** The program that creates it. */
  readonly creator: string;
  /** Sequence number of the first header; the second has the next one. */
  readonly sequenceNumber: bigint;
}

/** The signature at the start of the file: its first bytes, and the last ones to be written. */
const SIGNATURE_LENGTH = 8;

/** What was written of a new image before its structures. */
export interface StoredPayload {
  /** The BAT entries of what was stored. */
  readonly entries: StoredEntries;
  /** End of the last block, in bytes; the start of the payload if nothing was stored. */
  readonly end: number;
}

/**
 * Writes the structures of a new, clean image into a file that has its payload, or nothing yet, in an order that needs
 * no log: everything but the signature, a flush, the signature, a flush. What is interrupted leaves no VHDX at all.
 *
 * The other blocks of a dynamic image are ZERO, as Windows has it: they then read as zeros for certain, and not only by
 * the custom of readers, as NOT_PRESENT does. Those of a differencing image are NOT_PRESENT, so that the parent shows.
 *
 * @param onProgress called with the bytes of the BAT that are on their way; what it throws ends the work
 */
export async function writeNewImage(
  core: Core,
  file: WrittenFile,
  { image, layout, payload }: { readonly image: NewImage; readonly layout: NewLayout; readonly payload: StoredPayload },
  identity: Identity,
  onProgress: (entries: number) => void,
): Promise<void> {
  const { geometry, bat, payloadOffset } = layout;
  const blocks = otherBlocks(image, layout);
  // The last block is whole, whatever the disk needs of it.
  const isFixed = typeof blocks === 'object';
  const payloadEnd = isFixed ? payloadOffset + geometry.payloadBlocks * geometry.blockSize : payload.end;
  await file.truncate(Math.max(payloadEnd, bat.offset + bat.length));
  await writeStructures(core, file, layout, identity);
  await writeInitialBat(file, bat.offset, geometry, blocks, payload.entries, onProgress);
  await file.flush();

  await writeSignature(file);
  await file.flush();
}

/** What the blocks of a new image are that nothing was stored in. */
export function otherBlocks({ metadata }: NewImage, { payloadOffset }: NewLayout): InitialBlocks {
  if (metadata.hasParent) return 'parent';
  return metadata.leaveBlocksAllocated ? { from: payloadOffset } : 'zero';
}

/** Writes the structures of a new image but for the BAT and the signature. */
export async function writeStructures(
  core: Core,
  file: Pick<WrittenFile, 'write'>,
  { bat, log, metadata, metadataBytes }: NewLayout,
  identity: Identity,
): Promise<void> {
  const crc = crcOf(core);
  const identifier = encodeFileIdentifier(identity.creator);
  await file.write(identifier.subarray(SIGNATURE_LENGTH), SIGNATURE_LENGTH);
  const header: Omit<Header, 'copy'> = {
    sequenceNumber: identity.sequenceNumber,
    fileWriteGuid: identity.fileWriteGuid,
    dataWriteGuid: identity.dataWriteGuid,
    logGuid: ZERO_GUID,
    logVersion: 0,
    version: 1,
    logLength: log.length,
    logOffset: log.offset,
  };
  const second = { ...header, sequenceNumber: identity.sequenceNumber + 1n };
  await file.write(encodeHeader(header, crc), HEADER_OFFSETS[0]);
  await file.write(encodeHeader(second, crc), HEADER_OFFSETS[1]);
  const regions = encodeRegionTable(
    [
      { guid: BAT_GUID, offset: bat.offset, length: bat.length, flags: 1 },
      { guid: METADATA_GUID, offset: metadata.offset, length: metadata.length, flags: 1 },
    ],
    crc,
  );
  for (const offset of REGION_TABLE_OFFSETS) await file.write(regions, offset);
  await writeZeros(file, log.offset, log.length);
  await file.write(metadataBytes, metadata.offset);
}

/** Writes what makes a file a VHDX. */
export async function writeSignature(file: Pick<WrittenFile, 'write'>): Promise<void> {
  await file.write(encodeFileIdentifier('').subarray(0, SIGNATURE_LENGTH), 0);
}

/** Writes the log's zeros and leaves no hole: a full device must not be found out when an entry is to be written. */
async function writeZeros(file: Pick<WrittenFile, 'write'>, offset: number, length: number): Promise<void> {
  const zeros = new Uint8Array(1 * MiB);
  for (let done = 0; done < length; done += MiB) await file.write(zeros, offset + done);
}
