import type { PageImage } from './page-image.js';
import { guidText, type Memory, must, number64, remember, startsWith, viewOf } from './state-bytes.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** The system items of [MS-VHDX] 2.6.2: length (where it is fixed) and flags (IsUser 1, IsVirtualDisk 2, IsRequired 4). */
const KNOWN: Record<string, { readonly name: string; readonly length?: number; readonly flags: number }> = {
  'caa16737-fa36-4d43-b3b6-33f0aa44e76b': { name: 'File Parameters', length: 8, flags: 4 },
  '2fa54224-cd1b-4876-b211-5dbed83bf4b8': { name: 'Virtual Disk Size', length: 8, flags: 6 },
  'beca12ab-b2e6-4523-93ef-c309e000c746': { name: 'Virtual Disk ID', length: 16, flags: 6 },
  '8141bf1d-a96f-4709-ba47-f233a8faab5f': { name: 'Logical Sector Size', length: 4, flags: 6 },
  'cda348c7-445d-4471-9cc9-e9885251c556': { name: 'Physical Sector Size', length: 4, flags: 6 },
  'a8d35f2d-b30b-454d-abf7-d3d84834ab0c': { name: 'Parent Locator', flags: 4 },
};

/** A metadata item: its place in the file and its bytes. */
export interface Item {
  readonly offset: number;
  readonly flags: number;
  readonly bytes: Uint8Array;
}

/** What the metadata says. */
export interface StateMetadata {
  readonly blockSize: number;
  readonly leaveBlocksAllocated: boolean;
  readonly hasParent: boolean;
  readonly size: number;
  readonly id: string;
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
  /** Keys and values; undefined without a parent. */
  readonly locator: Readonly<Record<string, string>> | undefined;
}

const known: Memory<ReturnType<typeof parseMetadata>> = new WeakMap();

/** Reads the metadata region ([MS-VHDX] 2.6); the items by their GUID, with `user ` before it where a user's. */
export function readMetadata(
  image: PageImage,
  region: { readonly offset: number; readonly length: number },
): { items: Map<string, Item>; metadata: StateMetadata } {
  return remember(known, [...image.chunksIn(region.offset, region.length), region], () => parseMetadata(image, region));
}

function parseMetadata(
  image: PageImage,
  region: { readonly offset: number; readonly length: number },
): { items: Map<string, Item>; metadata: StateMetadata } {
  must(region.offset + region.length <= image.size, () => '2.6: the metadata region leaves the file');
  const table = image.read(region.offset, 64 * KiB);
  const view = viewOf(table);
  must(startsWith(table, 'metadata'), () => '2.6.1.1: the metadata table has no signature');
  const count = view.getUint16(10, true);
  must(count <= 2047, () => `2.6.1.1: the metadata table has ${count} entries`);
  must(
    table.subarray(12, 32).every((byte) => byte === 0),
    () => '2.6.1.1: reserved bytes are set',
  );
  const items = new Map<string, Item>();
  for (let i = 0; i < count; i++) {
    const at = 32 + 32 * i;
    const id = guidText(table, at);
    const offset = view.getUint32(at + 16, true);
    const length = view.getUint32(at + 20, true);
    const flags = view.getUint32(at + 24, true);
    must(view.getUint32(at + 28, true) === 0 && flags < 8, () => `2.6.1.2: reserved bits of item ${id} are set`);
    must(length <= MiB && (length > 0 || offset === 0), () => `2.6.1.2: item ${id} has ${length} bytes at ${offset}`);
    must(length === 0 || offset >= 64 * KiB, () => `2.6.1.2: item ${id} lies in the table`);
    must(offset + length <= region.length, () => `2.6.1.2: item ${id} leaves the region`);
    const key = (flags & 1) === 1 ? `user ${id}` : id;
    must(!items.has(key), () => `2.6.1.2: item ${key} is there twice`);
    const rule = KNOWN[key];
    must(rule !== undefined || (flags & 4) === 0, () => `2.6.1.2: unknown required item ${key}`);
    must(rule === undefined || rule.flags === flags, () => `2.6.2: ${rule?.name} has flags ${flags}`);
    must(rule?.length === undefined || rule.length === length, () => `2.6.2: ${rule?.name} has ${length} bytes`);
    for (const [other, taken] of items) {
      const apart =
        region.offset + offset + length <= taken.offset || taken.offset + taken.bytes.length <= region.offset + offset;
      must(length === 0 || taken.bytes.length === 0 || apart, () => `2.6.1.2: items ${key} and ${other} overlap`);
    }
    items.set(key, { offset: region.offset + offset, flags, bytes: image.read(region.offset + offset, length) });
  }
  return { items, metadata: readItems(items) };
}

function readItems(items: ReadonlyMap<string, Item>): StateMetadata {
  const byName = (name: string) => {
    const id = Object.keys(KNOWN).find((key) => KNOWN[key]?.name === name) as string;
    return items.get(id)?.bytes;
  };
  const needed = (name: string) => {
    const bytes = byName(name);
    must(bytes !== undefined, () => `2.6.2: ${name} is missing`);
    return viewOf(bytes);
  };
  const parameters = needed('File Parameters');
  const blockSize = parameters.getUint32(0, true);
  const flags = parameters.getUint32(4, true);
  const size = number64(needed('Virtual Disk Size'), 0, 'VirtualDiskSize');
  const logicalSectorSize = needed('Logical Sector Size').getUint32(0, true);
  const physicalSectorSize = needed('Physical Sector Size').getUint32(0, true);
  must(blockSize >= MiB && blockSize <= 256 * MiB && Number.isInteger(Math.log2(blockSize)), () => {
    return `2.6.2.1: BlockSize is ${blockSize}`;
  });
  must(flags < 4, () => '2.6.2.1: reserved bits are set');
  must([512, 4096].includes(logicalSectorSize), () => `2.6.2.4: LogicalSectorSize is ${logicalSectorSize}`);
  must([512, 4096].includes(physicalSectorSize), () => `2.6.2.5: PhysicalSectorSize is ${physicalSectorSize}`);
  must(size > 0 && size <= 2 ** 46 && size % logicalSectorSize === 0, () => `2.6.2.2: VirtualDiskSize is ${size}`);
  const hasParent = (flags & 2) === 2;
  const locator = byName('Parent Locator');
  must(hasParent === (locator !== undefined), () => '2.6.2.6: HasParent and the locator contradict one another');
  return {
    blockSize,
    leaveBlocksAllocated: (flags & 1) === 1,
    hasParent,
    size,
    id: guidText(new Uint8Array(needed('Virtual Disk ID').buffer)),
    logicalSectorSize,
    physicalSectorSize,
    locator: locator === undefined ? undefined : readLocator(locator),
  };
}

/** Keys and values of a parent locator ([MS-VHDX] 2.6.2.6). */
function readLocator(bytes: Uint8Array): Record<string, string> {
  const view = viewOf(bytes);
  must(bytes.length >= 20, () => '2.6.2.6.1: the locator is too short');
  must(guidText(bytes) === 'b04aefb7-d19e-4a81-b789-25b8e9445913', () => '2.6.2.6.1: unknown locator type');
  must(view.getUint16(16, true) === 0, () => '2.6.2.6.1: reserved bits are set');
  const count = view.getUint16(18, true);
  const locator: Record<string, string> = {};
  const text = (offset: number, length: number) => {
    must(length > 0 && length % 2 === 0, () => `2.6.2.6.2: a text of ${length} bytes`);
    must(offset >= 20 + 12 * count && offset + length <= bytes.length, () => '2.6.2.6.2: a text leaves the locator');
    const decoded = new TextDecoder('utf-16le').decode(bytes.subarray(offset, offset + length));
    must(!decoded.includes('\0'), () => '2.6.2.6.2: a text holds NUL');
    return decoded;
  };
  for (let i = 0; i < count; i++) {
    const at = 20 + 12 * i;
    const key = text(view.getUint32(at, true), view.getUint16(at + 8, true));
    must(!(key in locator), () => `2.6.2.6.2: key ${key} is there twice`);
    locator[key] = text(view.getUint32(at + 4, true), view.getUint16(at + 10, true));
  }
  must(/^\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}$/.test(locator['parent_linkage'] ?? ''), () => {
    return `2.6.2.6.3: parent_linkage is ${locator['parent_linkage']}`;
  });
  const paths = ['relative_path', 'absolute_win32_path', 'volume_path'];
  must(
    paths.some((key) => key in locator),
    () => '2.6.2.6.3: the locator names no path',
  );
  return locator;
}
