import { checkVhdx, exportDisk, openVhdx, type RandomAccessSink } from '../../../src/index.js';

/** What a page asks a service worker to look at: an image and its parents. */
export interface Question {
  readonly image: Uint8Array<ArrayBuffer>;
  readonly parents: readonly Uint8Array<ArrayBuffer>[];
}

/** What the library says of it there. */
export interface Answer {
  readonly scope: string;
  readonly size: number;
  readonly replayed: number;
  readonly checksum: number;
  readonly remoteChecksum: number;
  readonly exported: Uint8Array<ArrayBuffer>;
  readonly status: string;
}

/** What TypeScript's types of a page lack. */
interface ExtendableMessageEvent extends MessageEvent<Question> {
  waitUntil(work: Promise<unknown>): void;
}

/** Answers requests for parts of a file, as a server does. */
function serverOf(file: Uint8Array<ArrayBuffer>): typeof fetch {
  return async (_, init) => {
    const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init?.headers).get('range') ?? '') ?? [];
    const [start, end] = [Number(from), Math.min(Number(last) + 1, file.length)];
    const headers = { 'content-range': `bytes ${start}-${end - 1}/${file.length}`, 'content-length': `${end - start}` };
    return new Response(file.slice(start, end), { status: 206, headers });
  };
}

/** A file in memory. */
function memory(): { sink: RandomAccessSink; bytes: () => Uint8Array<ArrayBuffer> } {
  let bytes = new Uint8Array(0);
  const sink: RandomAccessSink = {
    truncate: async (size) => {
      bytes = new Uint8Array(size);
    },
    write: async (part, offset) => bytes.set(part, offset),
  };
  return { sink, bytes: () => bytes };
}

async function answer({ image, parents }: Question): Promise<Answer> {
  const disk = await openVhdx(image, { parent: parents });
  const remote = await openVhdx('https://example.org/disk.vhdx', { http: { fetch: serverOf(image) }, parent: parents });
  const { sink, bytes } = memory();
  await exportDisk(disk, sink);
  const { status } = await checkVhdx(image, { parent: parents });
  const result = {
    scope: globalThis.constructor.name,
    size: disk.size,
    replayed: disk.info.log.replay?.entries ?? 0,
    checksum: await disk.checksum(),
    remoteChecksum: await remote.checksum(),
    exported: bytes(),
    status,
  };
  await Promise.all([disk.close(), remote.close()]);
  return result;
}

addEventListener('message', (event) => {
  const { data, ports, waitUntil } = event as ExtendableMessageEvent;
  const told = answer(data).catch((error: unknown) => String(error));
  waitUntil.call(
    event,
    told.then((result) => ports[0]?.postMessage(result)),
  );
});
