// @ts-check
/** A file server with ranges, in a process of its own, so that serving costs none of the measured time: `node http-server.mjs FILE`. */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';

const path = String(process.argv[2]);
const { size } = statSync(path);

const server = createServer((request, response) => {
  const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const start = Number(from ?? 0);
  const end = Math.min(Number(last ?? size), size - 1);
  const headers = { 'Content-Length': end + 1 - start, 'Content-Range': `bytes ${start}-${end}/${size}`, ETag: '"1"' };
  response.writeHead(206, headers);
  const file = createReadStream(path, { start, end, highWaterMark: 1024 * 1024 });
  response.on('close', () => file.destroy());
  file.pipe(response);
});
server.listen(0, '127.0.0.1', () => console.log(Object(server.address()).port));
