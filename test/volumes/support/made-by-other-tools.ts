import { type BlockSpec, STATE } from '../../support/image-spec.js';
import { SparseFile } from '../../support/sparse-file.js';
import written from './partition-tables.json' with { type: 'json' };

interface Piece {
  readonly offset: number;
  readonly base64: string;
}

interface Fixtures {
  readonly tables: Readonly<Record<string, { readonly size: number; readonly pieces: readonly Piece[] }>>;
  readonly fileSystems: Readonly<Record<string, readonly Piece[]>>;
}

// What Linux's own tools wrote; the file says which ones.
const fixtures: Fixtures = written;

const bytesOf = (base64: string) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

function fileOf(size: number, pieces: readonly Piece[]): SparseFile {
  const file = new SparseFile(size);
  for (const { offset, base64 } of pieces) file.write(offset, bytesOf(base64));
  return file;
}

/** A raw disk with a partition table that sfdisk or fdisk wrote. */
export function partitionedDisk(name: 'gpt of 512' | 'gpt of 4096' | 'mbr'): SparseFile {
  const table = fixtures.tables[name];
  if (!table) throw new Error(`no table ${name}`);
  return fileOf(table.size, table.pieces);
}

/** The names of the file systems in the fixtures. */
export const fileSystems = Object.keys(fixtures.fileSystems);

/** The start of a file system that its own tool made. */
export function fileSystem(name: string): SparseFile {
  return fileOf(1024 * 1024, fixtures.fileSystems[name] ?? []);
}

/** The blocks of an image that hold a raw disk: those with anything in them. */
export function blocksOf(disk: SparseFile, blockSize: number): Record<number, BlockSpec> {
  const blocks: Record<number, BlockSpec> = {};
  for (const { offset } of disk.pieces()) {
    const block = Math.floor(offset / blockSize);
    blocks[block] = { state: STATE.fullyPresent, data: disk.read(block * blockSize, blockSize) };
  }
  return blocks;
}
