import { viewOf } from '../../base/bytes.js';
import { MiB } from '../../base/units.js';
import type { Core } from '../../core/instance.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { paddedSource } from '../../io/padded.js';
import type { RandomAccessSource } from '../../io/random-access.js';
import { initialBat } from './bat-writer.js';
import { ChildSink } from './child-sink.js';
import { copyDifferences } from './copy-differences.js';
import type { NewLayout } from './layout.js';
import type { WrittenFile } from './new-file.js';
import type { StoredPayload } from './new-image.js';
import { sequenceOf, sourceChanged } from './sequence.js';
import type { StreamOptions } from './write-options.js';

/** A disk that becomes a child of a parent. */
export interface NewChild {
  readonly core: Core;
  readonly source: RandomAccessSource;
  readonly parent: VhdxDisk;
  readonly layout: NewLayout;
}

/** Compares a disk with the parent, and says what has to be stored and where; nothing is kept of the bytes. */
export async function planChild(child: NewChild, options: StreamOptions): Promise<StoredPayload> {
  return store(child, { write: async () => {}, truncate: async () => {}, flush: async () => {} }, options);
}

/**
 * The payload of a child as it was planned, in chunks: blocks and sector bitmap blocks in the order of the file.
 *
 * @throws VhdxError `source-changed` if something else would have to be stored by now
 */
export async function* childPayload(
  child: NewChild,
  planned: StoredPayload,
  { signal, onDamage }: StreamOptions,
): AsyncGenerator<Uint8Array, undefined> {
  const { payloadOffset } = child.layout;
  // What is damaged was reported when the child was planned.
  const options = { signal, onDamage: onDamage && (() => {}) };
  yield* sequenceOf(payloadOffset, planned.end, MiB, async (file) => {
    const found = await store(child, file, options);
    if (found.end !== planned.end || !isSame(child.layout, found, planned)) throw sourceChanged();
  });
  return undefined;
}

async function store(
  { core, source, parent, layout: { geometry, payloadOffset } }: NewChild,
  file: WrittenFile,
  options: StreamOptions,
): Promise<StoredPayload> {
  const { logicalSectorSize: sectorSize } = geometry;
  const sink = new ChildSink(core, file, geometry, payloadOffset);
  const padded = paddedSource(parent, Math.ceil(parent.size / sectorSize) * sectorSize);
  await copyDifferences(core, source, padded, sink, { ...options, sectorSize });
  return sink.finish();
}

function isSame({ geometry }: NewLayout, a: StoredPayload, b: StoredPayload): boolean {
  const others = initialBat(geometry, 'parent', b.entries);
  for (const bytes of initialBat(geometry, 'parent', a.entries)) {
    const [own, other] = [viewOf(bytes), viewOf(others.next().value as Uint8Array)];
    for (let at = 0; at < bytes.length; at += 4) if (own.getUint32(at) !== other.getUint32(at)) return false;
  }
  return true;
}
