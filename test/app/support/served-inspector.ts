import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'vite';

const root = fileURLToPath(new URL('../../../', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.gz': 'application/gzip',
};

/** Serves the inspector, as it is built, at `/inspector/`: for specs that run in a browser of which no program has hold. */
export function servedInspector(): Plugin {
  let folder: Promise<string> | undefined;
  return {
    name: 'served-inspector',
    configureServer(server) {
      server.middlewares.use('/inspector/', (request, response) => {
        folder ??= built();
        const path = new URL(request.url ?? '/', 'http://here').pathname;
        const name = path === '/' ? 'index.html' : path.slice(1);
        folder
          .then((from) => readFile(join(from, name)))
          .then(
            (bytes) => response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'text/plain' }).end(bytes),
            () => response.writeHead(404).end(),
          );
      });
      server.httpServer?.once('close', () => {
        folder?.then((from) => rm(from, { recursive: true, force: true })).catch(() => undefined);
      });
    },
  };
}

async function built(): Promise<string> {
  const outDir = await mkdtemp(join(tmpdir(), 'vhdx-inspector-'));
  await build({
    configFile: join(root, 'vite.app.config.ts'),
    mode: 'production',
    logLevel: 'error',
    build: { outDir },
  });
  return outDir;
}
