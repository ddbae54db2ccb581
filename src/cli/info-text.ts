import type { Finding, VhdxDisk } from '../index.js';
import { fullSize, humanSize } from './byte-size.js';
import { findingsText } from './findings-text.js';
import { columns, displayName } from './text.js';

/** What is told of an image. */
export interface ImageFacts {
  readonly disk: VhdxDisk;
  /** As it was named by the user or by its child. */
  readonly filename: string;
  /** Bytes that the file takes on its disk, where there is one. */
  readonly allocated: number | undefined;
  /** Why the image was opened without its parent, where that was not the user's wish. */
  readonly withoutParent: string | undefined;
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
export function describeForPeople(facts: ImageFacts): string {
  const { disk, filename, allocated } = facts;
  const { info } = disk;
  const rows: [string, string][] = [
    ['image:', displayName(filename)],
    ['format:', `VHDX, ${TYPES[disk.type]}`],
    ['virtual size:', fullSize(disk.size)],
    ['file size:', fullSize(info.fileSize) + (allocated === undefined ? '' : `, ${humanSize(allocated)} on disk`)],
    ['block size:', humanSize(disk.blockSize)],
    ['sector size:', `${disk.logicalSectorSize} bytes logical, ${disk.physicalSectorSize} bytes physical`],
    ['disk identifier:', disk.id ?? 'none'],
    ['data write GUID:', info.header.dataWriteGuid],
    ['created by:', info.creator === '' ? 'not said' : info.creator],
    ['state:', stateText(disk)],
    ...parentRows(facts),
  ];
  const findings = findingsText(ownFindings(facts).filter(isNews), LISTED);
  return columns(rows) + (findings === '' ? '' : `\n${findings}`);
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

function parentRows({ disk, withoutParent }: ImageFacts): [string, string][] {
  const locator = disk.info.parentLocator;
  if (disk.type !== 'differencing' || !locator) return [];
  const found = disk.parent && (disk.parent.path ?? disk.parent.name ?? 'as handed over');
  return [
    ['parent:', found ?? (withoutParent === undefined ? 'not looked for' : `not at hand: ${withoutParent}`)],
    ...Object.entries(locator).map(([key, value]): [string, string] => [`  ${key}:`, value]),
  ];
}

/** The findings, without the one that only repeats that there is no parent. */
function ownFindings({ disk, withoutParent }: ImageFacts) {
  return disk.findings.filter(({ code }) => code !== 'parent-missing' || withoutParent === undefined);
}

/** Whether a finding is more than a curiosity; what replay did is told already. */
function isNews({ severity, code }: Finding): boolean {
  return severity !== 'info' || code.startsWith('parent-');
}

/** An image in the keys of qemu-img, and everything else under `format-specific`. */
export function describeForPrograms(facts: ImageFacts): object {
  const { disk, filename, allocated, withoutParent } = facts;
  const { type, virtualSize: _, blockSize, parentLocator, ...rest } = disk.info;
  const named = PATH_KEYS.map((key) => parentLocator?.[key]).find((path) => path !== undefined);
  const full = disk.parent?.path ?? disk.parent?.name;
  return {
    'virtual-size': disk.size,
    filename: displayName(filename),
    'cluster-size': blockSize,
    format: 'vhdx',
    ...(allocated !== undefined && { 'actual-size': allocated }),
    ...(type === 'differencing' && {
      ...(named !== undefined && { 'backing-filename': named }),
      ...(full !== undefined && { 'full-backing-filename': full }),
      'backing-filename-format': 'vhdx',
    }),
    'dirty-flag': disk.info.log.dirty,
    'format-specific': {
      type: 'vhdx',
      data: {
        subformat: type,
        'block-size': blockSize,
        ...(withKebabKeys(rest) as object),
        ...(parentLocator && { 'parent-locator': parentLocator }),
        ...(withoutParent !== undefined && { 'parent-error': withoutParent }),
        findings: ownFindings(facts),
      },
    },
  };
}

/** Plain data with its keys in the manner of qemu-img: `logicalSectorSize` becomes `logical-sector-size`. */
function withKebabKeys(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(withKebabKeys);
  if (typeof data !== 'object' || data === null) return data;
  const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [kebab(key), withKebabKeys(value)]));
}
