import type { Partition } from '../../src/volumes/index.js';
import { el } from '../dom.js';
import { KINDS, type Kind, type MapBins } from '../protocol.js';
import { hexText, shareText, sizeText } from '../wording.js';
import { partitionWords } from './map-partitions.js';

/** What the kinds are called. */
const LABELS: Readonly<Record<Kind, string>> = {
  data: 'Data',
  parent: 'Data in a parent',
  zero: 'Zero',
  unmapped: 'Unmapped',
  absent: 'In a missing parent',
  damaged: 'Damaged',
};

/** The order in which they are listed. */
const ORDER: readonly Kind[] = ['data', 'parent', 'zero', 'unmapped', 'absent', 'damaged'];

/** How many bytes of each kind some bins hold. */
function totalsOf(bins: MapBins): Readonly<Record<Kind, number>> {
  const totals = { data: 0, parent: 0, zero: 0, unmapped: 0, absent: 0, damaged: 0 };
  for (let i = 0; i < bins.bytes.length; i++) totals[KINDS[i % KINDS.length] ?? 'data'] += bins.bytes[i] ?? 0;
  return totals;
}

/** What a cell holds, in words: its place, its length, the partition that it is in, and the share of each kind. */
export function cellText(bins: MapBins, cell: number, partitions: readonly Partition[] = []): string {
  const offset = bins.offset + cell * bins.binLength;
  const length = Math.min(bins.binLength, bins.offset + bins.length - offset);
  const whose = partitionWords(partitions, offset, length);
  const details = `${sizeText(length)} ${offset === 0 ? 'at the start' : `at ${sizeText(offset)}`}${whose === '' ? '' : `, ${whose}`}`;
  const place = `${hexText(offset)} to ${hexText(offset + length)} (${details})`;
  if (offset + length > bins.reached) return `${place}: not known yet`;
  const bytes = bins.bytes.subarray(cell * KINDS.length, (cell + 1) * KINDS.length);
  const parts = ORDER.flatMap((kind) => {
    const part = bytes[KINDS.indexOf(kind)] ?? 0;
    return part > 0
      ? [part >= length ? LABELS[kind].toLowerCase() : `${LABELS[kind].toLowerCase()} ${shareText(part, length)}`]
      : [];
  });
  return `${place}: ${parts.join(', ')}`;
}

/** The legend, with how much there is of each kind. */
export function legendItems(bins: MapBins | undefined, kinds: readonly Kind[]): HTMLElement[] {
  const totals = bins && totalsOf(bins);
  return ORDER.filter((kind) => kinds.includes(kind)).map((kind) => {
    const amount = totals && bins ? `${sizeText(totals[kind])}, ${shareText(totals[kind], bins.length)}` : '…';
    return el(
      'li',
      {},
      el('span', { class: 'swatch', 'data-kind': kind, 'aria-hidden': 'true' }),
      el('span', { class: 'name' }, LABELS[kind]),
      el('span', { class: 'amount' }, amount),
    );
  });
}
