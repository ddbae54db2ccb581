// @ts-check
/** A proxy that brings everything late, in a process of its own: `node delaying-proxy.mjs PORT MILLISECONDS` (there and back). */
import { connect, createServer } from 'node:net';

const [port, latency] = process.argv.slice(2).map(Number);
const delay = Number(latency) / 2;

/** Passes bytes on, each as late as the others. @param {import('node:net').Socket} from @param {import('node:net').Socket} to */
function pass(from, to) {
  from.on('data', (bytes) => setTimeout(() => to.write(bytes), delay));
  from.on('end', () => setTimeout(() => to.end(), delay));
  from.on('error', () => to.destroy());
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const upstream = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  pass(client, upstream);
  pass(upstream, client);
});
server.listen(0, '127.0.0.1', () => console.log(Object(server.address()).port));
