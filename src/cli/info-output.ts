import { type Finding, type VhdDisk, type VhdxDisk, VhdxError } from '../index.js';
import { findingsJson } from '../report/check-json.js';
import { jsonHead, kebabKeys } from '../report/dialect.js';
import type { Partition, PartitionTable } from '../volumes/index.js';
import { fullSize, hex, humanSize } from './byte-size.js';
import type { Failure } from './failure.js';
import { findingsText } from './findings-text.js';
import type { InputFormat } from './image-options.js';
import { columns, displayName, printable } from './terminal.js';

/** What is shown of an image. Sizes in bytes. */
export interface ImageFacts {
  /** The disk, if the image is VHDX. */
  readonly disk?: VhdxDisk;
  /** The disk, if the image is a VHD. */
  readonly vhd?: VhdDisk;
  /** As it was named by the user or by its child. */
  readonly filename: string;
  readonly format: InputFormat;
  readonly size: number;
  readonly fileSize: number;
  /** What the file takes on its disk, if it is one. */
  readonly allocated?: number;
  /** The partition table, or why it cannot be read. */
  readonly partitions: PartitionTable | VhdxError;
  /** Why the image was opened without its parent, if the user did not ask for that. */
  readonly withoutParent?: Failure;
}

const TYPES = {
  fixed: 'fixed (fixed size)',
  dynamic: 'dynamic (dynamically expanding)',
  differencing: 'differencing',
} as const;

const PATH_KEYS = ['relative_path', 'volume_path', 'absolute_win32_path'] as const;

/** Findings of one code that are listed. */
const LISTED = 5;

/** An image in words that users of Hyper-V know. */
export async function imageText(facts: ImageFacts): Promise<string> {
  const { disk, vhd, filename, size, fileSize, allocated } = facts;
  const rows: [string, string][] = [
    ['image:', displayName(filename)],
    ['format:', disk ? `VHDX, ${TYPES[disk.type]}` : vhd ? `VHD, ${TYPES[vhd.type]}` : 'raw'],
    ['virtual size:', fullSize(size)],
    ['file size:', fullSize(fileSize) + (allocated === undefined ? '' : `, ${humanSize(allocated)} on disk`)],
    ...(disk ? diskRows(disk) : []),
    ...(vhd ? vhdRows(vhd) : []),
    ...parentRows(facts),
    ['partitions:', tableText(facts.partitions)],
  ];
  const findings = await findingsText(ownFindings(facts).filter(isNews), LISTED);
  return columns(rows) + partitionsText(facts.partitions) + (findings === '' ? '' : `\n${findings}`);
}

function vhdRows({ info, id, parent }: VhdDisk): [string, string][] {
  return [
    ...(info.blockSize === undefined ? [] : [['block size:', humanSize(info.blockSize)] as [string, string]]),
    ['disk identifier:', id ?? 'none'],
    ['created by:', `${info.creator.trim()}, ${info.created}`],
    ...(info.parentId === undefined
      ? []
      : [['parent:', `${parent?.path ?? info.parentName ?? ''} (${info.parentId})`] as [string, string]]),
  ];
}

function diskRows(disk: VhdxDisk): [string, string][] {
  const { info } = disk;
  return [
    ['block size:', humanSize(disk.blockSize)],
    ['sector size:', `${disk.logicalSectorSize} bytes logical, ${disk.physicalSectorSize} bytes physical`],
    ['disk identifier:', disk.id ?? 'none'],
    ['data write GUID:', info.header.dataWriteGuid],
    ['created by:', info.creator === '' ? 'not specified' : info.creator],
    ['state:', stateText(disk)],
  ];
}

function stateText({ info: { log } }: VhdxDisk): string {
  if (!log.dirty) return 'clean';
  if (!log.replay) return 'dirty: it was not closed cleanly';
  const { entries, dataSectors, zeroedBytes, fileSizeBefore, fileSizeAfter } = log.replay;
  const changes = [
    `${counted(dataSectors, 'sector', 'sectors')} of 4 KiB written`,
    ...(zeroedBytes > 0 ? [`${humanSize(zeroedBytes)} zeroed`] : []),
    ...(fileSizeAfter === fileSizeBefore ? [] : [`file size ${fileSizeBefore} to ${fileSizeAfter}`]),
  ];
  return `dirty: it was not closed cleanly; ${counted(entries, 'log entry', 'log entries')} replayed in memory (${changes.join(', ')})`;
}

const counted = (count: number, one: string, more: string) => `${count} ${count === 1 ? one : more}`;

function parentRows({ disk, filename, withoutParent }: ImageFacts): [string, string][] {
  const locator = disk?.info.parentLocator;
  if (disk?.type !== 'differencing' || !locator) return [];
  const found = disk.parent && (disk.parent.path ?? disk.parent.name ?? 'as given');
  return [
    [
      'parent:',
      found ?? (withoutParent === undefined ? 'not opened' : `not available: ${reasonOf(withoutParent, filename)}`),
    ],
    ...(withoutParent?.lines ?? []).map((line): [string, string] => ['', line]),
    ...Object.entries(locator).map(([key, value]): [string, string] => [`  ${key}:`, value]),
  ];
}

/** Why there is no parent; with the file, if that is another one, such as a parent that is damaged. */
function reasonOf({ file, reason, message }: Failure, filename: string): string {
  return file === displayName(filename) ? reason : message;
}

function tableText(table: PartitionTable | VhdxError): string {
  if (table instanceof VhdxError) return `cannot be read: ${table.reason}`;
  const { scheme, sectorSize, diskId, partitions, fileSystem, notes } = table;
  if (scheme === 'unknown') return 'unknown: the first sector of the disk cannot be read';
  if (scheme === 'none') return fileSystem ? `none; the whole disk is ${contentText(fileSystem)}` : 'none';
  const id = diskId === undefined ? '' : `, disk ${diskId}`;
  const text = `${counted(partitions.length, 'partition', 'partitions')} in a ${scheme}, sectors of ${sectorSize} bytes${id}`;
  return [text, ...notes].join('. ');
}

/** A partition table for people: what it is, and a line for each partition. */
export function tableLines(table: PartitionTable): string {
  return `${printable(tableText(table))}\n${partitionsText(table)}`;
}

function partitionsText(table: PartitionTable | VhdxError): string {
  if (table instanceof VhdxError || table.partitions.length === 0) return '';
  return `\n${table.partitions.map(partitionText).join('')}`;
}

function partitionText({ number, offset, length, type, typeId, name, marks, fileSystem }: Partition): string {
  const what = [
    type === 'unknown' ? `unknown type ${typeId}` : type,
    ...(name === undefined ? [] : [`"${name}"`]),
    ...(fileSystem ? [contentText(fileSystem)] : []),
    ...marks,
  ];
  const cells = [String(number).padStart(3), hex(offset).padEnd(14), humanSize(length).padEnd(10), what.join(', ')];
  return `${printable(cells.join('  '))}\n`;
}

function contentText({ name, label }: { readonly name: string; readonly label?: string }): string {
  return label === undefined ? name : `${name} "${label}"`;
}

/** Findings that say why there is no parent. */
const REFUSED: ReadonlySet<string> = new Set([
  'parent-missing',
  'parent-mismatch',
  'parent-unverified',
  'parent-damaged',
]);

/** The findings, without those that only repeat why there is no parent. */
function ownFindings({ disk, vhd, withoutParent }: ImageFacts): Finding[] {
  return ((disk ?? vhd)?.findings ?? []).filter(({ code }) => withoutParent === undefined || !REFUSED.has(code));
}

/** Whether a finding is shown to people; what replay did is in the state. */
function isNews({ severity, code }: Finding): boolean {
  return severity !== 'info' || code.startsWith('parent-');
}

/** An image in the keys of qemu-img, and everything else under `format-specific`. */
export async function imageJson(facts: ImageFacts): Promise<object> {
  const { disk, filename, format, size, allocated, partitions } = facts;
  const table =
    partitions instanceof VhdxError
      ? { 'partition-error': partitions.reason }
      : { 'partition-table': kebabKeys(partitions) };
  return {
    ...jsonHead(),
    'virtual-size': size,
    filename: displayName(filename),
    ...(disk && { 'cluster-size': disk.blockSize }),
    format,
    ...(allocated !== undefined && { 'actual-size': allocated }),
    ...(disk?.type === 'differencing' && backingKeys(disk)),
    'dirty-flag': disk?.info.log.dirty ?? false,
    'format-specific': {
      type: format,
      data: disk ? { ...(await diskJson(disk, facts)), ...table } : { 'file-size': facts.fileSize, ...table },
    },
  };
}

function backingKeys(disk: VhdxDisk): object {
  const named = PATH_KEYS.map((key) => disk.info.parentLocator?.[key]).find((path) => path !== undefined);
  const full = disk.parent?.path ?? disk.parent?.name;
  return {
    ...(named !== undefined && { 'backing-filename': named }),
    ...(full !== undefined && { 'full-backing-filename': full }),
    'backing-filename-format': 'vhdx',
  };
}

async function diskJson(disk: VhdxDisk, facts: ImageFacts): Promise<object> {
  const { type, virtualSize: _, blockSize, parentLocator, ...rest } = disk.info;
  const { withoutParent } = facts;
  return {
    subformat: type,
    'block-size': blockSize,
    ...(kebabKeys(rest) as object),
    ...(parentLocator && { 'parent-locator': parentLocator }),
    ...(withoutParent !== undefined && { 'parent-error': reasonOf(withoutParent, facts.filename) }),
    findings: await findingsJson(ownFindings(facts)),
  };
}
