import type { IncomingMessage, ServerResponse } from 'node:http';

/** Bytes that can be served. */
export interface Servable {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

/** Most bytes of one answer; a server may send less than was asked for. */
const LONGEST = 8 * 1024 * 1024;

/** Answers a request for a file, or for a part of it, as RFC 9110 section 14 has it. */
export function answerRange(request: IncomingMessage, response: ServerResponse, file: Servable): void {
  const headers = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream', etag: `"${file.size}"` };
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  if (from === undefined) {
    response.writeHead(200, { ...headers, 'content-length': file.size });
    response.end(request.method === 'HEAD' ? undefined : file.read(0, file.size));
    return;
  }
  const start = Number(from);
  const end = Math.min(file.size, start + LONGEST, to === undefined || to === '' ? file.size : Number(to) + 1);
  if (start >= end) {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${file.size}` }).end();
    return;
  }
  const range = `bytes ${start}-${end - 1}/${file.size}`;
  response.writeHead(206, { ...headers, 'content-range': range, 'content-length': end - start });
  response.end(file.read(start, end - start));
}
