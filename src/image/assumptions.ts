import type { FileRange } from '../base/byte-range.js';
import { ZERO_GUID } from '../format/guid.js';
import type { Header, HeaderSlot, Headers } from '../format/header.js';
import type { ParsedRegions, RegionTableCopy } from '../format/region-table.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';
import { finding, type Report } from '../rules.js';

// What salvage assumes where a plain opening refuses the image. Each assumption is reported as a finding of its own.

/** Receives a fatal finding that salvage works around: it becomes one of what is in doubt. */
export const asDoubt =
  (report: Report): Report =>
  (found) =>
    report(found.severity === 'fatal' ? { ...found, severity: 'block' } : found);

/** Reports that a file without its signature is read as VHDX. */
export function assumeVhdx(report: Report): void {
  const message = 'the file is read as VHDX, because it has headers or region tables of one';
  report(finding('salvage-signature', message, { structure: 'file identifier', offset: 0 }));
}

const EMPTY_HEADER: Header = {
  copy: 1,
  sequenceNumber: 0n,
  fileWriteGuid: ZERO_GUID,
  dataWriteGuid: ZERO_GUID,
  logGuid: ZERO_GUID,
  logVersion: 0,
  version: 1,
  logLength: 0,
  logOffset: 0,
};

/**
 * The header to use if none is current. One whose signature is intact is believed, of two the one with the higher
 * sequence number; without any, the image is taken for one with an empty log.
 */
export function assumeHeader({ slots }: Headers, report: Report): Header {
  const intact = slots.filter(({ fault, header }) => fault !== 'header-signature' && header.version === 1);
  const [best] = intact.sort(bySequenceNumber);
  if (!best) {
    const message =
      'no header can be read: it is assumed that the log needs no replay, and the identity of the image is lost';
    report(finding('salvage-header', message, { structure: 'headers', offset: slots[0].offset }));
    return EMPTY_HEADER;
  }
  const why = best.fault ? 'although its checksum is wrong' : 'although the other one is as new';
  const message = `is used ${why}: what it says of the log, and the identity of the image, are unverified`;
  report(finding('salvage-header', message, { structure: `header ${best.copy}`, offset: best.offset }));
  return best.header;
}

function bySequenceNumber(a: HeaderSlot, b: HeaderSlot): number {
  if (a.header.sequenceNumber === b.header.sequenceNumber) return a.copy - b.copy;
  return a.header.sequenceNumber > b.header.sequenceNumber ? -1 : 1;
}

/** Reports that the image is read without the changes of its log. */
export function assumeUnreplayed(log: FileRange | undefined, report: Report): void {
  const message =
    'the log is not replayed: what is read is as old as the last change that was applied, and may be half written';
  report(finding('salvage-log', message, log ?? { structure: 'log' }));
}

/** Reports that the log of a truncated file is replayed. */
export function assumeTruncated(log: FileRange, report: Report): void {
  const message = 'the log is replayed as far as the file goes: what was past its end is lost';
  report(finding('salvage-truncated', message, log));
}

/**
 * The regions of an invalid region table, if one of the two still lists a BAT and a metadata region that can be those
 * of an image; undefined otherwise. A table whose signature is intact is preferred.
 *
 * @param parse what parses a copy as if it were valid
 */
export async function assumeRegions(
  copies: readonly [RegionTableCopy, RegionTableCopy],
  source: RandomAccessSource,
  parse: (copy: RegionTableCopy, report: Report) => Omit<ParsedRegions, 'copies'>,
  report: Report,
  options?: ReadOptions,
): Promise<Omit<ParsedRegions, 'copies'> | undefined> {
  const intact = ({ fault }: RegionTableCopy) => (fault === 'region-table-signature' ? 1 : 0);
  for (const copy of [...copies].sort((a, b) => intact(a) - intact(b))) {
    let isUsable = true;
    const regions = parse(copy, ({ severity }) => {
      if (severity === 'fatal') isUsable = false;
    });
    if (!isUsable || !regions.bat || !regions.metadata) continue;
    const start = new Uint8Array(8);
    await source.readInto(start, regions.metadata.offset, options);
    if (String.fromCharCode(...start) !== 'metadata') continue;
    const message = 'is used although it is not valid: the places of the BAT and of the metadata are unverified';
    report(finding('salvage-region-table', message, { structure: `region table ${copy.copy}`, offset: copy.offset }));
    return parse(copy, report);
  }
  return undefined;
}
