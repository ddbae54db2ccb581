import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'vite';

const entry = fileURLToPath(new URL('worker.ts', import.meta.url));

/** Serves a service worker that has the library in it, in one file: there is no `import()` in a service worker. */
export function serviceWorker(): Plugin {
  let script: Promise<string> | undefined;
  return {
    name: 'service-worker',
    configureServer(server) {
      server.middlewares.use('/service-worker.js', (_request, response) => {
        script ??= bundle();
        script.then(
          (code) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(code),
          (error: unknown) => response.writeHead(500).end(String(error)),
        );
      });
    },
  };
}

async function bundle(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, rolldownOptions: { input: entry, output: { format: 'iife', codeSplitting: false } } },
  });
  const chunks = 'output' in built ? built.output.filter((file) => file.type === 'chunk') : [];
  const [chunk] = chunks;
  if (chunk === undefined || chunks.length > 1) throw new Error(`Vite made ${chunks.length} files of a service worker`);
  return chunk.code;
}
