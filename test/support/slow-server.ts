import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { SparseFile } from './sparse-file.js';

/** Serves a file to range requests and stops answering where a request is for what is at or past `stall`. Returns its URL. */
export async function serveUntil(file: SparseFile, stall: number): Promise<string> {
  const server = createServer((request, response) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const from = Number(first);
    const to = Math.min(Number(last) + 1, file.size);
    response.writeHead(206, {
      'content-range': `bytes ${from}-${to - 1}/${file.size}`,
      'content-length': String(to - from),
      etag: '"1"',
    });
    const end = Math.min(to, stall);
    if (from < end) response.write(file.read(from, end - from));
    if (to <= stall) response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.vhdx`;
}
