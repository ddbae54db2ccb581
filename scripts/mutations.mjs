// @ts-check
/**
 * Breaks the writer's rules on purpose, one after the other, and makes sure that the crash suite notices each time.
 * Every mutation is a piece of source and what it becomes; one whose piece is not in the source any more is a failure.
 *
 *     node scripts/mutations.mjs [RULE ...]
 */
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const SUITE = [
  'test/edit/session-crash.test.ts',
  'test/edit/recovery-crash.test.ts',
  'test/edit/model.test.ts',
  'test/edit/faults.test.ts',
  'test/edit/resize-crash.test.ts',
  'test/edit/jobs-crash.test.ts',
  'test/edit/compact-crash.test.ts',
  'test/image/page-layer.test.ts',
  'test/log/journal.test.ts',
  'test/edit/merge-crash.test.ts',
  'test/edit/rebase-crash.test.ts',
  'test/edit/set.test.ts',
  'test/edit/merge.test.ts',
];

/**
 * @typedef {object} Mutation
 * @property {string} rule The rule of the writer's guide that it breaks.
 * @property {string} breaks What the writer does then.
 * @property {string} file
 * @property {string} from
 * @property {string} to
 * @property {string} by The spec that notices it, or a part of its name.
 */

/** @type {Mutation[]} */
const MUTATIONS = [
  {
    rule: 'W4',
    breaks: 'keeps the FileWriteGuid',
    file: 'src/image/session.ts',
    by: 'allocated, freed',
    from: 'updateBoth({ fileWriteGuid: this.#identity.guid(), ...dataWriteGuid })',
    to: 'updateBoth(dataWriteGuid)',
  },
  {
    rule: 'W5',
    breaks: 'keeps the DataWriteGuid',
    file: 'src/image/session.ts',
    by: 'allocated, freed',
    from: 'const dataWriteGuid = visible ? { dataWriteGuid: this.#newDataWriteGuid() } : {};',
    to: 'const dataWriteGuid = {};',
  },
  {
    rule: 'W12',
    breaks: 'announces a LogGuid before there is an entry of it',
    file: 'src/log/journal.ts',
    by: 'allocated, freed',
    from: `    await this.#append({ pages: new Map(), structuresEnd });
    await this.#headers.updateBoth({ logGuid: this.#guid });`,
    to: `    await this.#headers.updateBoth({ logGuid: this.#guid });
    await this.#append({ pages: new Map(), structuresEnd });`,
  },
  {
    rule: 'W13',
    breaks: 'updates one header only',
    file: 'src/log/header-slots.ts',
    by: 'allocated, freed',
    from: `      await this.#update(change);
      await this.#update(change);`,
    to: '      await this.#update(change);',
  },
  {
    rule: 'W24',
    breaks: 'leaves an entry behind whose pages are not in their places',
    by: 'any operations on a wide disk',
    file: 'src/log/journal.ts',
    from: '    await this.#applying; // what F1 makes durable, the next Tail leaves behind\n',
    to: '',
  },
  {
    rule: 'W24',
    breaks: 'begins a lap with an entry that is longer than the space before the last entry of the lap before',
    by: 'every write of entries',
    file: 'src/log/journal.ts',
    from: `    if (!this.isOpen || !this.#hasRoom(group.pages.size)) await this.#beginLap(group.structuresEnd);
    await this.#append(group); // F2, the commit point`,
    to: `    if (this.isOpen && !this.#hasRoom(group.pages.size)) {
      this.#head = 0;
      this.#guid = this.#identity.guid();
      await this.#append(group);
      await this.#headers.updateBoth({ logGuid: this.#guid });
    } else {
      if (!this.isOpen) await this.#beginLap(group.structuresEnd);
      await this.#append(group);
    }`,
  },
  {
    rule: 'W25b',
    breaks: 'goes round the ring under one LogGuid',
    file: 'src/log/journal.ts',
    by: 'log comes to its end',
    from: 'this.#guid = this.#identity.guid();',
    to: 'if (!this.isOpen) this.#guid = this.#identity.guid();',
  },
  {
    rule: 'W26',
    breaks: 'writes pages to their places before their entry is durable',
    file: 'src/log/journal.ts',
    by: 'allocated, freed',
    from: `    this.#sequenceNumber += 1n;
    await this.#file.flush();`,
    to: '    this.#sequenceNumber += 1n;',
  },
  {
    rule: 'W26',
    breaks: 'writes pages to their places as they are by then, not as they were logged',
    file: 'src/image/page-layer.ts',
    by: 'leave as they were when the group was closed',
    from: '[offset, bytes.slice()]',
    to: '[offset, bytes]',
  },
  {
    rule: 'W27',
    breaks: 'gives space to payload that an older entry of the log writes to',
    file: 'src/image/session.ts',
    by: 'sector bitmap block to payload',
    from: 'if (this.#journal.writesInto(offset, length)) {',
    to: 'if (length < 0) {',
  },
  {
    rule: 'W27',
    breaks: 'reads pages of space that has another owner by now',
    file: 'src/image/page-layer.ts',
    by: 'of space that is free are forgotten',
    from: 'for (const page of this.#overlapping(offset, length)) this.#pages.delete(page.offset);',
    to: 'this.#overlapping(offset, length);',
  },
  {
    rule: 'W29',
    breaks: 'says that all of the file was durable',
    file: 'src/log/journal.ts',
    by: 'allocated, freed',
    from: 'this.#file.durableSize / MiB',
    to: '(this.#file.size + 64 * MiB) / MiB',
  },
  {
    rule: 'W31',
    breaks: 'cuts the file while the log may be replayed',
    file: 'src/image/session.ts',
    by: 'allocated, freed',
    from: `    await this.#journal.close();
    for (const freed of [...this.#limbo, this.#revoked.splice(0)]) this.#reuse(freed);
    this.#limbo.clear();
    await this.#file.cut(this.#space.end);`,
    to: `    for (const freed of [...this.#limbo, this.#revoked.splice(0)]) this.#reuse(freed);
    this.#limbo.clear();
    await this.#file.cut(this.#space.end);
    await this.#journal.close();`,
  },
  {
    rule: 'W34',
    breaks: 'logs entries that lead to payload that is not durable (and W35: whatever the block was before)',
    file: 'src/log/journal.ts',
    by: 'allocated, freed',
    from: '    await this.#file.flush(); // F1\n    if (!group) return;',
    to: '    if (!group) return this.#file.flush();',
  },
  {
    rule: 'W36',
    breaks: 'leaves what space held in a new block',
    file: 'src/edit/writable/block-writer.ts',
    by: 'allocated, freed',
    from: '    if (zeros) return;\n    await this.#fill(offset, start);',
    to: '    if (offset > 0) return;\n    await this.#fill(offset, start);',
  },
  {
    rule: 'W37',
    breaks: 'takes the tail that the file had for zeros',
    file: 'src/image/session.ts',
    by: 'allocated, freed',
    from: '    await this.#file.cut(this.#space.end);\n    await this.#growTo(this.#space.end);',
    to: '    await this.#growTo(this.#space.end);',
  },
  {
    rule: 'W38',
    breaks: 'uses freed space before it is durably free',
    file: 'src/image/session.ts',
    by: 'allocated, freed',
    from: 'this.#freed.push(...frees);',
    to: 'for (const { offset, length } of frees) this.#space.free(offset, length);',
  },
  {
    rule: 'W43',
    breaks: 'makes a block of zeros partially present',
    file: 'src/edit/writable/block-writer.ts',
    by: 'partly in the parent',
    from: '      default:\n        return this.#allocateWhole(part, entry);',
    to: '      default:\n        return this.#geometry.hasParent && !whole ? this.#allocatePartial(part) : this.#allocateWhole(part, entry);',
  },
  {
    rule: 'W44',
    breaks: 'keeps bits of an earlier life of a block',
    file: 'src/edit/writable/block-writer.ts',
    by: 'partly in the parent',
    from: 'this.#setBits(new Uint8Array(bits.length), whole)',
    to: 'this.#setBits(await this.#table.readBits(bits.blockOffset + bits.byte, bits.length), whole)',
  },
  {
    rule: 'W57',
    breaks: 'leaves what the old last block holds after the end of the disk',
    file: 'src/edit/resize/old-tail.ts',
    by: 'of a disk that grows',
    from: 'if (isStored) await zero(entry.offset + start, before.blockSize - start);',
    to: 'if (isStored) await zero(entry.offset + start, 0);',
  },
  {
    rule: 'W57',
    breaks: 'shows what a longer parent has after the old end of a child',
    file: 'src/edit/resize/old-tail.ts',
    by: 'longer parent holds',
    from: '\n  setTail(own, resize);\n',
    to: '\n',
  },
  {
    rule: 'W59',
    breaks: 'leaves new blocks of a child to its parent',
    file: 'src/edit/resize/resized-bat.ts',
    by: 'longer parent holds',
    from: "if (this.#added === 'zero') return ZEROS;",
    to: "if (this.#added === 'zero') return NOTHING;",
  },
  {
    rule: 'W61',
    breaks: 'frees blocks before the disk is durably smaller',
    file: 'src/edit/resize/resize-image.ts',
    by: 'disk that gets smaller',
    from: '  await changeWithSize(session, offset, bat, sizePatches(image, after), { frees });\n  await session.flush();',
    to: '  await changeSlots(session, offset, bat, [...bat.sharedPages(), ...bat.otherPages()], { onProgress });\n  await session.flush();\n  await changeWithSize(session, offset, bat, sizePatches(image, after), { frees });',
  },
  {
    rule: 'W34',
    breaks: 'leads an entry to the new place of a block before it is copied',
    file: 'src/edit/compact/mover.ts',
    by: 'of zeros that go',
    from: '      await this.#copies.settle();\n      await this.#changeEntries();',
    to: '      await this.#changeEntries();\n      await this.#session.flush();\n      await this.#copies.settle();',
  },
  {
    rule: 'W58',
    breaks: 'takes over slots of the BAT that did not count',
    file: 'src/edit/resize/resized-bat.ts',
    by: 'over slots that hold anything',
    from: '} else if (block >= this.#keptBlocks) {',
    to: '} else if (block < 0) {',
  },
  {
    rule: 'W62',
    breaks: 'merges before the child names the new state of its parent',
    file: 'src/edit/chain/merge-image.ts',
    by: 'of a child into its parent',
    from: `    await announce(merge, plan, base.info.header.dataWriteGuid, future);
    if (sizeAfter > sizeBefore) {
      await base.close(); // nothing was written: an open disk does not change its size
      await resizeImage(baseFile, sizeAfter, { signal, dataWriteGuid: future }, identity);
      base = await edit('keep');
    }
    await copyInto(base, merge, plan);`,
    to: `    await copyInto(base, merge, plan);
    await announce(merge, plan, base.info.header.dataWriteGuid, future);`,
  },
  {
    rule: 'W62',
    breaks: 'gives the parent another DataWriteGuid than the one that the child names',
    file: 'src/edit/chain/merge-image.ts',
    by: 'of a child into its parent',
    from: 'let base = await edit(future);',
    to: 'let base = await edit(identity.guid());',
  },
  {
    rule: 'W62b',
    breaks: 'names only the next state of a parent that was half merged before',
    file: 'src/edit/chain/merge-image.ts',
    by: 'of a child into its parent',
    from: 'const linkage = present === ZERO_GUID ?',
    to: 'const linkage = present !== ZERO_GUID ?',
  },
  {
    rule: 'W64',
    breaks: 'leaves out the zeros of the child',
    file: 'src/edit/chain/merge-plan.ts',
    by: 'of a child into a parent that is differencing',
    from: "yield { offset, length, zeros: kind !== 'data' };",
    to: "if (kind === 'data') yield { offset, length, zeros: false };",
  },
  {
    rule: 'W65',
    breaks: 'copies into a parent that is too short',
    file: 'src/edit/chain/merge-image.ts',
    by: 'of a child that is larger',
    from: 'if (sizeAfter > sizeBefore) {',
    to: 'if (sizeAfter > 2 * sizeBefore) {',
  },
  {
    rule: 'W74',
    breaks: 'leads to a longer metadata region before everything is in it',
    file: 'src/edit/metadata-writer.ts',
    by: 'too long for the metadata region',
    from: '      await session.writePayload(bytes, offset + at);',
    to: '      if (at > 0) await session.writePayload(bytes, offset + at);',
  },
  {
    rule: 'W74',
    breaks: 'takes space past the end of the metadata region',
    file: 'src/edit/metadata-writer.ts',
    by: 'moves to a place where it is longer',
    from: 'if (changed.length > examination.regions.metadata.length || pages.length > MAX_PAGES) {',
    to: 'if (pages.length > MAX_PAGES) {',
  },
  {
    rule: 'W74',
    breaks: 'changes more pages than an entry of the log takes',
    file: 'src/edit/metadata-writer.ts',
    by: 'more changes than the log takes',
    from: 'if (changed.length > examination.regions.metadata.length || pages.length > MAX_PAGES) {',
    to: 'if (changed.length > examination.regions.metadata.length) {',
  },
  {
    rule: 'W80',
    breaks: 'lets children fit a disk of another identity',
    file: 'src/edit/set-image.ts',
    by: 'is set, with the physical sector size',
    from: 'await changeItems(session, examination, changes, true);',
    to: 'await changeItems(session, examination, changes, false);',
  },
  {
    rule: 'W81',
    breaks: 'makes the metadata table anew',
    file: 'src/edit/metadata-writer.ts',
    by: 'leaves everything else of the metadata table',
    from: 'encodeMetadataTable(entries, metadataTable)',
    to: 'encodeMetadataTable(entries)',
  },
  {
    rule: 'W82',
    breaks: 'changes an item past the log',
    file: 'src/edit/metadata-writer.ts',
    by: 'with the item in two pages',
    from: '    await session.change({ pages, change: (bytesOf) => patchPages(patches, bytesOf) });',
    to: '    for (const { offset, bytes } of patches) await session.writePayload(bytes, offset);',
  },
  {
    rule: 'W83',
    breaks: 'gives an image more user items than it may have',
    file: 'src/edit/metadata-writer.ts',
    by: 'more user items than it may have',
    from: '  checkCount(entries);\n',
    to: '',
  },
  {
    rule: 'W75',
    breaks: 'changes the DataWriteGuid of an image that reads the same',
    file: 'src/edit/chain/rebase-image.ts',
    by: 'onto another parent',
    from: "    dataWriteGuid: 'keep',\n",
    to: '',
  },
  {
    rule: 'W76',
    breaks: 'names the new parent before what differs was copied',
    file: 'src/edit/chain/rebase-image.ts',
    by: 'onto another parent',
    from: '    await applyChanges(core, disk, disk, counted, { signal });\n',
    to: `    if (locator) await changeItems(disk.session, examination, [itemChange('Parent Locator', locator)], true);
    await disk.flush();
    await applyChanges(core, disk, disk, counted, { signal });\n`,
  },
  {
    rule: 'W77',
    breaks: 'gives back sector bitmaps that blocks still need',
    file: 'src/edit/chain/detach.ts',
    by: 'onto nothing',
    from: '!isBitmap && state === PayloadState.PartiallyPresent ?',
    to: '!isBitmap && state === PayloadState.Undefined ?',
  },
];

const wanted = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'vhdx-mutation-'));
let failures = 0;
try {
  for (const name of ['src', 'test', 'scripts', 'assembly', 'package.json', 'tsconfig.json', 'vitest.config.ts']) {
    await cp(join(root, name), join(folder, name), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  if (wanted.length === 0 && !runSuite().passed) throw new Error('the suite fails without a mutation');
  for (const mutation of MUTATIONS) {
    if (wanted.length === 0 || wanted.includes(mutation.rule)) await tryMutation(mutation);
  }
} finally {
  await rm(folder, { recursive: true });
}
process.exit(failures === 0 ? 0 : 1);

/** @param {Mutation} mutation */
async function tryMutation({ rule, breaks, file, from, to, by }) {
  const path = join(folder, file);
  const source = await readFile(path, 'utf8');
  if (source.split(from).length !== 2) {
    failures += 1;
    console.log(`${rule} ${breaks}: NOT APPLICABLE, ${file} has changed`);
    return;
  }
  await writeFile(
    path,
    source.replace(from, () => to),
  );
  const { passed, why } = runSuite('-t', by);
  if (passed) failures += 1;
  console.log(`${rule} ${breaks}: ${passed ? 'NOT NOTICED' : `noticed (${why})`}`);
  await writeFile(path, source);
}

/** Runs the crash suite, or some specs of it. @param {string[]} filter */
function runSuite(...filter) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--project', 'node', '--reporter', 'verbose', ...SUITE, ...filter],
    { cwd: folder, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } },
  );
  const why = /^(?:Error|AssertionError|TypeError|RangeError|BrokenState): (.*)$/m.exec(stdout + stderr)?.[1];
  if (why?.startsWith('Test timed out')) throw new Error('the suite took too long');
  return { passed: status === 0, why: why ?? 'no message' };
}
