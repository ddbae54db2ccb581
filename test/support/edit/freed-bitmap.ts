import { loadCore } from '../../../src/core/load.js';
import { complete, openSession, spaceOf } from '../../../src/edit/open-session.js';
import { bitmapEntryIndex } from '../../../src/format/bat.js';
import { translatorImage } from '../../../src/image/examination.js';
import { examine } from '../../../src/image/examine.js';
import { sectorBits } from '../block-content.js';
import { buildImage } from '../build-image.js';
import { ContentModel, type ContentNote, type Tag, taggedBytes } from '../crash/content-model.js';
import { CrashFile } from '../crash/crash-file.js';
import { PAGE_SIZE, PageImage } from '../crash/page-image.js';
import { readState } from '../crash/state-reader.js';
import { MiB, u64Bytes } from '../encode-primitives.js';
import { STATE } from '../image-spec.js';
import { countedIdentity } from './driven-disk.js';
import type { Scenario } from './scenarios.js';

const SIZE = 4 * MiB;
const SECTORS = MiB / 512;
const PARENT = 2_000_000;
const BEFORE = 1_000_000;

/**
 * What compacting a child does with a sector bitmap block that no block needs any more: bits of it are logged, its BAT
 * entry is cleared, and its space is given to payload. Nothing but the session keeps the log from writing old bits over
 * that payload.
 *
 * @param commits after the space was freed; more than a lap of the log has room for, so that it is used again
 */
export async function freedBitmap(commits: number): Promise<Scenario> {
  const stored = (tag: Tag, block: number) => ({
    state: STATE.fullyPresent,
    data: taggedBytes(tag, block * MiB, MiB),
  });
  const parent = buildImage({ virtualSize: SIZE, blocks: { 0: stored(PARENT, 0), 1: stored(PARENT, 1) } });
  const child = buildImage({
    type: 'differencing',
    virtualSize: SIZE,
    blocks: {
      0: { state: STATE.partiallyPresent, data: taggedBytes(BEFORE, 0, MiB), bitmap: sectorBits(SECTORS, [0, 8]) },
      2: { state: STATE.zero },
      3: { state: STATE.zero },
    },
  });
  const view = readState(PageImage.of(parent.toUint8Array()));
  const file = new CrashFile(PageImage.of(child.toUint8Array()));
  await run(file, commits);
  const model = () =>
    new ContentModel((sector) => {
      if (sector < 8) return BEFORE;
      return sector < 2 * SECTORS ? PARENT : 0;
    });
  return { file, exploration: { model, parent: view } };
}

async function run(file: CrashFile, commits: number): Promise<void> {
  const core = await loadCore();
  const examination = complete(await examine(core, file, 'refuse'));
  const { geometry, batOffset } = translatorImage(examination);
  const { space } = await spaceOf(core, examination, {});
  const session = openSession(core, file, examination, space, {
    identity: countedIdentity(),
    dataWriteGuid: undefined,
  });
  const set = (page: Uint8Array, index: number, entry: bigint) => page.set(u64Bytes(entry), index * 8);
  const entryOf = async (index: number) => {
    const page = await session.page(batOffset + Math.floor(index / 512) * PAGE_SIZE);
    return new DataView(page.buffer).getBigUint64((index % 512) * 8, true);
  };
  const change = async (index: number, entry: bigint, frees: { offset: number; length: number }[] = [], end = 0) => {
    const offset = batOffset + Math.floor(index / 512) * PAGE_SIZE;
    await session.change({
      pages: [offset],
      change: (bytesOf) => set(bytesOf(offset), index % 512, entry),
      frees,
      end,
    });
  };
  let id = 0;
  const ended = new Set<number>();
  const begin = (block: number, tags: (own: number) => readonly Tag[]) => {
    id += 1;
    const note: ContentNote = { kind: 'begun', id, offset: block * MiB, length: MiB, tags: tags(id) };
    file.note(note);
    return id;
  };
  const commit = async () => {
    await session.flush();
    file.note({ kind: 'flushed', ids: new Set(ended) } satisfies ContentNote);
  };
  const write = async (block: number) => {
    const own = begin(block, (tag) => [tag]);
    const { offset } = await session.allocate(MiB);
    await session.writePayload(taggedBytes(own, block * MiB, MiB), offset);
    await change(block, BigInt(offset) | 6n, [], offset + MiB);
    ended.add(own);
    return offset;
  };
  await session.begin(true);
  const bitmapIndex = bitmapEntryIndex(geometry, 0);
  const bitmap = Number((await entryOf(bitmapIndex)) >> 20n) * MiB;
  // Bits that do not count are changed, so that the log has them.
  await session.change({ pages: [bitmap], change: (bytesOf) => bytesOf(bitmap).fill(0xff, SECTORS / 8, SECTORS / 4) });
  await commit();
  const old = Number((await entryOf(0)) >> 20n) * MiB;
  const own = begin(0, (tag) => [tag]);
  const { offset } = await session.allocate(MiB);
  await session.writePayload(taggedBytes(own, 0, MiB), offset);
  await change(0, BigInt(offset) | 6n, [{ offset: old, length: MiB }], offset + MiB);
  ended.add(own);
  await change(bitmapIndex, 0n, [{ offset: bitmap, length: MiB }]);
  await commit();
  await write(1);
  await write(2);
  await commit();
  for (let i = 0; i < commits; i++) {
    await change(3, 2n + BigInt(i % 2));
    await commit();
  }
  await write(3);
  await commit();
  await session.close();
}
