import type { LeasedBuffer } from '../../core/buffers.js';
import type { Core } from '../../core/instance.js';
import { inFile } from '../../disk/chain-member.js';
import { isHole, type Segment, segmentsOf } from '../../disk/compare.js';
import { type CopyOptions, lent } from '../../disk/copy.js';
import { coreBuffers, readAhead, readThenWrite } from '../../disk/read-ahead.js';
import { Salvager } from '../../disk/salvage.js';
import { VhdxError } from '../../errors.js';
import type { RandomAccessSource } from '../../io/random-access.js';
import type { ChildSink } from './child-sink.js';

/**
 * Gives a new child what a source holds and its parent does not. What is a hole in both is not read.
 *
 * @param sectorSize of both, in bytes; their sizes are multiples of it
 */
export async function copyDifferences(
  core: Core,
  source: RandomAccessSource,
  parent: RandomAccessSource,
  sink: ChildSink,
  { sectorSize, signal, onProgress, onDamage }: CopyOptions & { readonly sectorSize: number },
): Promise<void> {
  const salvager = new Salvager(source, onDamage, signal);
  const size = core.buffers.bufferBytes;
  const segments = segmentsOf(source, parent, { size, signal, align: sectorSize, skipDamage: onDamage !== undefined });
  const readParent = async ({ offset, length }: Segment, { bytes }: LeasedBuffer): Promise<void> => {
    try {
      await parent.readInto(bytes.subarray(0, length), offset, { signal });
    } catch (error) {
      throw error instanceof VhdxError ? inFile(error, { file: parent.name, path: parent.path }) : error;
    }
  };
  const copy = readThenWrite<Segment, readonly LeasedBuffer[]>(
    async (segment, buffers) => {
      const [own, other] = [lent(buffers[0]), lent(buffers[1])];
      const reads = [
        segment.holes[0] ? zero(own, segment) : salvager.read(segment, own.bytes),
        segment.holes[1] ? zero(other, segment) : readParent(segment, other),
      ];
      // Both have ended before one of them is reported to have failed.
      for (const result of await Promise.allSettled(reads)) if (result.status === 'rejected') throw result.reason;
    },
    (segment, buffers) => sink.store(segment, lent(buffers[0]), lent(buffers[1])),
  );
  const supply = coreBuffers(core.buffers, 2);
  for await (const { piece } of readAhead(segments, { supply, isHole, read: copy, signal })) {
    salvager.tell(piece);
    onProgress?.({ done: piece.offset + piece.length, total: source.size });
  }
  salvager.end();
}

async function zero({ bytes }: LeasedBuffer, { length }: Segment): Promise<void> {
  bytes.fill(0, 0, length);
}
