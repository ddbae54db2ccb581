import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { answerRange } from './test/app/support/answer-range.js';
import { sampleChain } from './test/app/support/sample-chain.js';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Shows a disk and a checkpoint of it on the development server, so that there is something to look at. */
function sample(): Plugin {
  return {
    name: 'sample',
    apply: 'serve',
    configureServer(server) {
      const members = Object.values(sampleChain());
      const query = members.map(({ name }) => `url=/sample/${name}`).join('&');
      server.middlewares.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
        const member = members.find(({ name }) => request.url === `/sample/${name}`);
        if (member) answerRange(request, response, member.image);
        else if (request.url === '/') response.writeHead(302, { location: `/?${query}` }).end();
        else next();
      });
    },
  };
}

/** Says in the page which version it is, and where its guide is. */
function about(): Plugin {
  const { version, homepage, bugs } = JSON.parse(readFileSync(here('package.json'), 'utf8'));
  const facts = { '%VERSION%': version, '%HOMEPAGE%': homepage, '%BUGS%': bugs.url };
  return {
    name: 'about',
    transformIndexHtml: (html) =>
      Object.entries(facts).reduce((text, [mark, fact]) => text.replaceAll(mark, String(fact)), html),
  };
}

/** Lets the built page be kept by the browser, so that it opens without a network. */
function offline(): Plugin {
  return {
    name: 'offline',
    apply: 'build',
    enforce: 'post',
    transformIndexHtml: () => [{ tag: 'meta', attrs: { name: 'offline', content: './service-worker.js' } }],
    generateBundle(_, bundle) {
      const files = ['', 'icon.svg', ...Object.keys(bundle).filter((name) => name !== 'index.html')].map(
        (name) => `./${name}`,
      );
      const version = createHash('sha256')
        .update(JSON.stringify([files, bundle['index.html']]))
        .digest('hex')
        .slice(0, 12);
      const source = readFileSync(here('app/offline/service-worker.js'), 'utf8')
        .replace("['%FILES%']", JSON.stringify(files))
        .replace('%VERSION%', version);
      this.emitFile({ type: 'asset', fileName: 'service-worker.js', source });
    },
  };
}

/** The inspector: `npm run app` serves it, `npm run app:build` makes a folder of static files of it. */
export default defineConfig({
  root: here('app'),
  base: './', // so that the built page may lie in any folder of a server
  publicDir: here('app/public'),
  plugins: [sample(), about(), offline()],
  build: {
    outDir: here('build/app'),
    emptyOutDir: true,
    assetsInlineLimit: 0, // the page's security policy permits no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  // One file: what is loaded only when it is wanted is not there without a network.
  worker: { format: 'es', rolldownOptions: { output: { codeSplitting: false } } },
});
