import { pattern, sectorBits } from '../../support/block-content.js';
import { type BuiltImage, buildImage } from '../../support/build-image.js';
import { asciiBytes, GiB, MiB } from '../../support/encode-primitives.js';
import { BASE_DATA_WRITE_GUID, type BlockSpec, locatorEntries, STATE } from '../../support/image-spec.js';
import { encodeGpt } from './encode-gpt.js';

const BLOCK = 2 * MiB;
const SIZE = 4 * GiB;
const SECTORS = SIZE / 512;

/** A disk with a checkpoint, as `npm run app` shows it: something of everything that the inspector has words for. */
export interface SampleChain {
  readonly parent: { readonly name: string; readonly image: BuiltImage };
  readonly child: { readonly name: string; readonly image: BuiltImage };
}

/** Builds the sample: a disk of 4 GiB and a checkpoint of it. Their files have about 1 GiB, made when it is read. */
export function sampleChain(): SampleChain {
  const parent = buildImage({
    virtualSize: SIZE,
    blockSize: BLOCK,
    blocks: parentBlocks(),
    regionTables: [{}, { checksum: 0xdeadbeef }],
  });
  const child = buildImage({
    type: 'differencing',
    virtualSize: SIZE,
    blockSize: BLOCK,
    blocks: childBlocks(),
    parentLocator: {
      entries: locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\windows.vhdx' }),
    },
    headers: { fileWriteGuid: '2c9a1d30-6f0b-4b7e-8d51-0a9b8c7d6e5f' },
    placement: 'gaps',
  });
  return { parent: { name: 'windows.vhdx', image: parent }, child: { name: 'windows_checkpoint.avhdx', image: child } };
}

/** Sectors of the partitions: first and last. */
const PARTITIONS = [
  { type: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b', name: 'EFI system partition', first: 2048, last: 206847 },
  { type: 'e3c9e316-0b5c-4db8-817d-f92df00215ae', name: 'Microsoft reserved partition', first: 206848, last: 239615 },
  { type: 'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7', name: 'Basic data partition', first: 239616, last: 7331839 },
  { type: 'de94bba4-06d1-4d40-a16a-bfd50179d6ac', name: 'Recovery', first: 7331840, last: 8386559 },
] as const;

function parentBlocks(): Record<number, BlockSpec> {
  const { start, end } = encodeGpt(SECTORS, 512, PARTITIONS);
  const blocks: Record<number, BlockSpec> = {};
  const fill = (from: number, to: number, block: (index: number) => BlockSpec) => {
    for (let i = from; i < to; i++) blocks[i] = block(i);
  };
  const data = (i: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(i) });
  fill(0, 20, data);
  fill(58, 210, data);
  fill(210, 236, () => ({ state: STATE.zero }));
  fill(236, 262, data);
  for (const from of [300, 326, 331, 402, 409, 420, 511, 530, 538, 610, 633, 702])
    fill(from, from + (from % 17) + 3, data);
  fill(760, 860, (i) => (i % 5 === 3 ? { state: STATE.unmapped } : data(i)));
  fill(1024, 1040, data);
  fill(1790, 1850, data);
  const write = (sector: number, bytes: Uint8Array) => {
    const block = Math.floor((sector * 512) / BLOCK);
    blocks[block] = { state: STATE.fullyPresent, data: withBytes(blocks[block], (sector * 512) % BLOCK, bytes) };
  };
  write(0, start);
  write(SECTORS - end.length / 512, end);
  write(PARTITIONS[0].first, bootSector('MSDOS5.0', 82, 'FAT32   '));
  write(PARTITIONS[2].first, bootSector('NTFS    '));
  write(PARTITIONS[3].first, bootSector('NTFS    '));
  return blocks;
}

/** The content of a block with other bytes at a place, zeros where it had none. */
function withBytes(block: BlockSpec | undefined, offset: number, bytes: Uint8Array): Uint8Array {
  const whole = block?.data instanceof Uint8Array ? block.data.slice() : new Uint8Array(BLOCK);
  whole.set(bytes, offset);
  return whole;
}

function bootSector(maker: string, offset = 3, signature = ''): Uint8Array {
  const sector = new Uint8Array(512);
  sector.set([0xeb, 0x58, 0x90], 0);
  sector.set(asciiBytes(maker), 3);
  if (signature !== '') {
    sector.set(asciiBytes('SYSTEM     '), 71);
    sector.set(asciiBytes(signature), offset);
  }
  sector.set([0x55, 0xaa], 510);
  return sector;
}

function childBlocks(): Record<number, BlockSpec> {
  const blocks: Record<number, BlockSpec> = {};
  const sectors = BLOCK / 512;
  for (const i of [60, 61, 62, 75, 76, 140, 141, 142, 143, 144, 328, 329, 412, 413, 515, 516, 517, 640, 770, 771]) {
    blocks[i] = { state: STATE.fullyPresent, data: pattern(9000 + i) };
  }
  for (const i of [90, 118, 240, 305, 534, 790, 800, 1026]) {
    blocks[i] = {
      state: STATE.partiallyPresent,
      data: pattern(9000 + i),
      bitmap: sectorBits(sectors, [0, 900], [1800, 2600]),
    };
  }
  for (let i = 900; i < 930; i++) blocks[i] = { state: STATE.fullyPresent, data: pattern(9000 + i) };
  for (let i = 820; i < 834; i++) blocks[i] = { state: STATE.unmapped };
  return blocks;
}
