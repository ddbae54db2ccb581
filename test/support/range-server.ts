import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { sourceBytes } from './scripted-source.js';

const CHUNK = 64 * 1024;

/** A request for a part of a file. */
export interface RangeRequest {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly from: number;
  /** First byte not asked for. */
  readonly to: number;
  /** How many requests there were before. */
  readonly index: number;
}

/** A running HTTP server of this machine. */
export interface RangeServer {
  readonly url: string;
  readonly requests: IncomingMessage[];
  /** Connections that clients have opened so far. */
  readonly connections: number;
  /** Answers that are neither complete nor broken off. */
  readonly unfinished: number;
}

/** Starts a server that ends with the running spec. */
export async function rangeServer(answer: (request: RangeRequest) => void | Promise<void>): Promise<RangeServer> {
  const requests: IncomingMessage[] = [];
  let connections = 0;
  let unfinished = 0;
  const server = createServer((message, response) => {
    const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(message.headers.range ?? '') ?? [];
    requests.push(message);
    unfinished++;
    response.once('close', () => unfinished--);
    const request = { message, response, from: Number(from), to: Number(last) + 1, index: requests.length - 1 };
    Promise.resolve(answer(request)).catch(() => response.destroy());
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.vhdx`,
    requests,
    get connections() {
      return connections;
    },
    get unfinished() {
      return unfinished;
    },
  };
}

/** What a server has. */
export interface ServedFile {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

/**
 * Answers as a good server does, at the speed that the client takes the bytes: those of a file, or of one of that many
 * bytes that `sourceBytes` knows.
 */
export async function serveRange(
  { response, from, to }: RangeRequest,
  file: number | ServedFile,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const size = typeof file === 'number' ? file : file.size;
  const read: ServedFile['read'] =
    typeof file === 'number' ? sourceBytes : (offset, length) => file.read(offset, length);
  const end = Math.min(to, size);
  response.writeHead(206, {
    'content-range': `bytes ${from}-${end - 1}/${size}`,
    'content-length': end - from,
    etag: '"one"',
    ...headers,
  });
  for (let position = from; position < end; position += CHUNK) {
    if (response.destroyed) return;
    const more = response.write(read(position, Math.min(CHUNK, end - position)));
    if (!more) {
      // Whichever comes first; afterwards nothing listens any more.
      const listening = new AbortController();
      const { signal } = listening;
      await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
      listening.abort();
    }
  }
  response.end();
}
