import { contentBytes } from './block-content.js';
import { asciiBytes, MiB, TiB, u64Bytes, utf16Bytes } from './encode-primitives.js';
import {
  encodeHeader,
  encodeMetadata,
  encodeRegionTable,
  GUID,
  PLAIN_HEADER,
  type RegionEntry,
} from './encode-structures.js';
import { type Geometry, geometryOf, ImageLayout } from './image-layout.js';
import {
  BASE_DATA_WRITE_GUID,
  type BlockSpec,
  bothCopies,
  CHILD_DATA_WRITE_GUID,
  type FullSpec,
  type ImageSpec,
  plainItems,
  STATE,
  withDefaults,
} from './image-spec.js';
import { type ByteRange, SparseFile } from './sparse-file.js';

/** A built image: the file, where its pieces are, and what it was built from. */
export class BuiltImage extends SparseFile {
  readonly layout: ImageLayout;
  readonly spec: FullSpec;

  constructor(layout: ImageLayout, spec: FullSpec) {
    super();
    this.layout = layout;
    this.spec = spec;
  }

  override clone(): BuiltImage {
    const copy = new BuiltImage(this.layout, this.spec);
    copy.adopt(this);
    return copy;
  }
}

/** Builds the image that a spec asks for, byte by byte from the specification. Takes what it is given and checks nothing: broken images are its purpose. */
export function buildImage(spec: ImageSpec = {}): BuiltImage {
  const full = withDefaults(spec);
  const geometry = geometryOf({ ...full, virtualSize: full.virtualSize <= 64 * TiB ? Number(full.virtualSize) : 0 });
  const regions = placeRegions(full, geometry);
  const metadataItems = (full.items ?? ((plain) => plain))(plainItems(full));
  const metadata = encodeMetadata({ signature: 'metadata', reserved: 0, ...full.metadata, items: metadataItems });
  const blocks = listedBlocks(full, geometry);
  const places = placeBlocks(full, geometry, blocks, regions);
  const items = new Map(
    metadataItems.map(({ id }, entry) => [id.toLowerCase(), { entry, data: metadata.itemOffsets[entry] as number }]),
  );
  const layout = new ImageLayout({ geometry, ...regions, ...places, items });

  const image = new BuiltImage(layout, full);
  image.truncate(layout.end);
  writeHeaderSection(image);
  if (full.logContent) image.write(layout.log.offset, full.logContent);
  image.write(layout.metadata.offset, metadata.bytes);
  writeBlocks(image, blocks);
  for (const [index, entry] of Object.entries(full.bat ?? {}))
    image.write(layout.batEntryOffset(Number(index)), u64Bytes(entry));
  if (full.fileSize !== undefined) {
    image.truncate(typeof full.fileSize === 'function' ? full.fileSize(layout.end) : full.fileSize);
  }
  return image;
}

interface Regions {
  readonly log: ByteRange;
  readonly metadata: ByteRange;
  readonly bat: ByteRange;
}

/** The habits of Windows and of QEMU; each region can be put elsewhere. */
function placeRegions(spec: FullSpec, geometry: Geometry): Regions {
  const { places = {} } = spec;
  const batLength = Math.max(MiB, Math.ceil((8 * geometry.batEntries) / MiB) * MiB);
  const log = { offset: MiB, length: MiB, ...places.log };
  const afterLog = MiB + log.length;
  if (spec.habits === 'qemu') {
    const bat = { offset: afterLog, length: batLength, ...places.bat };
    return { log, bat, metadata: { offset: bat.offset + bat.length, length: MiB, ...places.metadata } };
  }
  const metadata = { offset: afterLog, length: MiB, ...places.metadata };
  return { log, metadata, bat: { offset: afterLog + metadata.length, length: batLength, ...places.bat } };
}

/** Every payload block that has an entry other than 0, in ascending order. */
function listedBlocks(spec: FullSpec, geometry: Geometry): [block: number, BlockSpec][] {
  if (spec.otherBlocks === STATE.notPresent) {
    return Object.entries(spec.blocks).map(([block, blockSpec]) => [Number(block), blockSpec]);
  }
  const other: BlockSpec = { state: spec.otherBlocks };
  return Array.from({ length: geometry.payloadBlocks }, (_, block) => [block, spec.blocks[block] ?? other]);
}

interface Piece {
  readonly kind: 'blocks' | 'bitmaps';
  readonly index: number;
  readonly length: number;
  readonly offset: number | undefined;
}

/** Gives payload blocks and sector bitmap blocks their places. */
function placeBlocks(spec: FullSpec, geometry: Geometry, blocks: readonly [number, BlockSpec][], regions: Regions) {
  const chunks = new Set(spec.extraBitmaps ?? []);
  const payload: Piece[] = [];
  for (const [block, { state, data, bitmap, offset }] of blocks) {
    if (bitmap || (spec.hasParent && state === STATE.partiallyPresent))
      chunks.add(Math.floor(block / geometry.chunkRatio));
    const present = state === STATE.fullyPresent || state === STATE.partiallyPresent;
    if (present || data !== undefined || offset !== undefined) {
      payload.push({ kind: 'blocks', index: block, length: geometry.blockSize, offset });
    }
  }
  const bitmaps = [...chunks]
    .sort((a, b) => a - b)
    .map((index): Piece => ({ kind: 'bitmaps', index, length: MiB, offset: undefined }));
  const pieces = inOrder([...bitmaps, ...payload], spec.placement);

  const { log, metadata, bat } = regions;
  const afterRegions = Math.max(...[log, metadata, bat].map(({ offset, length }) => offset + length));
  let next = spec.firstBlockOffset ?? (spec.habits === 'qemu' ? bat.offset + bat.length + 5 * MiB : afterRegions);
  const places = { blocks: new Map<number, number>(), bitmaps: new Map<number, number>() };
  pieces.forEach((piece, i) => {
    places[piece.kind].set(piece.index, piece.offset ?? next);
    if (piece.offset === undefined) next += piece.length;
    if (spec.placement === 'gaps') next += (i % 3) * MiB;
  });
  return places;
}

function inOrder(pieces: Piece[], placement: FullSpec['placement']): Piece[] {
  if (placement === 'reverse') return pieces.reverse();
  if (placement !== 'shuffled') return pieces;
  // The same disorder each time: a linear congruential generator drives Fisher and Yates' shuffle.
  let random = 12345;
  for (let i = pieces.length - 1; i > 0; i--) {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    const j = (random >>> 8) % (i + 1);
    const other = pieces[j] as Piece;
    pieces[j] = pieces[i] as Piece;
    pieces[i] = other;
  }
  return pieces;
}

function writeHeaderSection(image: BuiltImage): void {
  const { spec, layout } = image;
  image.write(0, asciiBytes(spec.fileSignature ?? 'vhdxfile'));
  image.write(8, typeof spec.creator === 'string' ? utf16Bytes(spec.creator) : spec.creator);

  const headers = bothCopies(spec.headers, {});
  headers.forEach((fields, copy) => {
    const plain = {
      ...PLAIN_HEADER,
      sequenceNumber: 14n + BigInt(copy),
      dataWriteGuid: spec.dataWriteGuid ?? (spec.hasParent ? CHILD_DATA_WRITE_GUID : BASE_DATA_WRITE_GUID),
      logOffset: layout.log.offset,
      logLength: layout.log.length,
    };
    image.write(layout.headerOffsets[copy] as number, encodeHeader({ ...plain, ...fields }));
  });

  const required = spec.habits === 'qemu' ? 0 : 1;
  const plain: RegionEntry[] = [
    { id: GUID.bat, ...layout.bat, flags: required },
    { id: GUID.metadata, ...layout.metadata, flags: required },
  ];
  const entries = (spec.regions ?? ((regions) => regions))(plain);
  bothCopies(spec.regionTables, {}).forEach((fields, copy) => {
    const table = encodeRegionTable({ signature: 'regi', reserved: 0, entries, ...fields });
    image.write(layout.regionTableOffsets[copy] as number, table);
  });
}

/** Writes BAT entries, payload and sector bitmaps. */
function writeBlocks(image: BuiltImage, blocks: readonly [number, BlockSpec][]): void {
  const { layout } = image;
  const { blockSize, logicalSectorSize, chunkRatio } = layout.geometry;
  for (const [block, { state, data, bitmap }] of blocks) {
    const offset = layout.hasBlockOffset(block) ? layout.blockOffset(block) : 0;
    image.write(layout.blockEntryOffset(block), u64Bytes(BigInt(offset) | BigInt(state)));
    if (data instanceof Uint8Array) image.write(offset, data);
    else if (data !== undefined) image.promise(offset, blockSize, (at, length) => contentBytes(data, at, length));
    if (bitmap) {
      const firstBit = (block % chunkRatio) * (blockSize / logicalSectorSize);
      image.write(layout.bitmapOffset(Math.floor(block / chunkRatio)) + firstBit / 8, bitmap);
    }
  }
  for (const chunk of layout.bitmapChunks) {
    image.write(
      layout.bitmapEntryOffset(chunk),
      u64Bytes(BigInt(layout.bitmapOffset(chunk)) | BigInt(STATE.fullyPresent)),
    );
  }
}
