import type { DiskInfo } from '../../src/index.js';
import { el } from '../dom.js';
import type { ChainMember } from '../protocol.js';
import { exactSizeText, hexText } from '../wording.js';

type Rows = readonly (readonly [term: string, value: string])[];

/** Everything that the members of a chain say about themselves, as sections of terms and values. */
export function factSections(chain: readonly ChainMember[]): HTMLElement[] {
  return chain.flatMap(({ name, info }) => [
    ...(chain.length > 1 ? [el('h4', { class: 'of-file' }, name)] : []),
    section('Geometry', geometryRows(info)),
    section('Current header', headerRows(info)),
    section('Log', logRows(info)),
    section('Regions', regionRows(info)),
    section('Metadata items', itemRows(info)),
    ...(info.parentLocator ? [section('Parent locator', Object.entries(info.parentLocator))] : []),
  ]);
}

function section(title: string, rows: Rows): HTMLElement {
  const list = rows.map(([term, value]) => el('div', {}, el('dt', {}, term), el('dd', {}, value)));
  return el('section', {}, el('h4', {}, title), el('dl', { class: 'facts raw' }, ...list));
}

function geometryRows(info: DiskInfo): Rows {
  return [
    ['VirtualDiskSize', exactSizeText(info.virtualSize)],
    ['BlockSize', exactSizeText(info.blockSize)],
    ['LogicalSectorSize', String(info.logicalSectorSize)],
    ['PhysicalSectorSize', String(info.physicalSectorSize)],
    ['VirtualDiskId', info.virtualDiskId ?? 'not there'],
    ['Chunk ratio', String(info.chunkRatio)],
    ['Payload blocks', String(info.payloadBlocks)],
    ['BAT entries', String(info.batEntries)],
    ['Creator', info.creator],
    ['File size', exactSizeText(info.fileSize)],
  ];
}

function headerRows({ header }: DiskInfo): Rows {
  return [
    ['Copy in use', String(header.copy)],
    ['SequenceNumber', header.sequenceNumber],
    ['FileWriteGuid', header.fileWriteGuid],
    ['DataWriteGuid', header.dataWriteGuid],
    ['LogGuid', header.logGuid],
    ['Version', String(header.version)],
    ['LogVersion', String(header.logVersion)],
  ];
}

function logRows({ log }: DiskInfo): Rows {
  const place: Rows = [
    ['In use', log.dirty ? 'yes' : 'no'],
    ['Place', rangeText(log.offset, log.length)],
  ];
  if (!log.replay) return place;
  const { entries, firstSequenceNumber, lastSequenceNumber, dataSectors, zeroedBytes, fileSizeBefore, fileSizeAfter } =
    log.replay;
  return [
    ...place,
    ['Entries replayed', `${entries} (sequence numbers ${firstSequenceNumber} to ${lastSequenceNumber})`],
    ['Sectors written', String(dataSectors)],
    ['Bytes zeroed', String(zeroedBytes)],
    ['File size', `${exactSizeText(fileSizeBefore)}, after replay ${exactSizeText(fileSizeAfter)}`],
  ];
}

function regionRows({ regions }: DiskInfo): Rows {
  return regions.map(({ name, guid, offset, length, required }) => [
    name,
    `${rangeText(offset, length)}${required ? ', required' : ''}, ${guid}`,
  ]);
}

function itemRows({ metadataItems }: DiskInfo): Rows {
  return metadataItems.map(({ name, id, offset, length, required, user, virtualDisk }) => {
    const flags = [required && 'required', user && 'user', virtualDisk && 'of the disk'].filter(Boolean).join(', ');
    return [name, `${rangeText(offset, length)}${flags ? `, ${flags}` : ''}, ${id}`];
  });
}

function rangeText(offset: number, length: number): string {
  return `${hexText(offset)}, ${exactSizeText(length)}`;
}
