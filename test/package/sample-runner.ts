import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import ts from 'typescript';
import { build, createLogger } from 'vite';
import { expect } from 'vitest';
import { openFolder } from '../support/chromium.js';
import { type RunResult, run } from '../support/tools.js';
import { root } from './module-graph.js';
import type { Sample } from './samples.js';

/** Where the samples are written to: inside the package, so that it can import itself by its name. */
export const samplesFolder = join(root, 'build/samples-in-papers');

const sourceOf = ({ folder, name }: Sample) => join(samplesFolder, folder, name);
const scriptOf = (sample: Sample) => sourceOf(sample).replace(/\.ts$/, '.js');

/** Writes TypeScript samples and their JavaScript. */
export async function writeSamples(samples: readonly Sample[]): Promise<void> {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
  for (const sample of samples) {
    await mkdir(dirname(sourceOf(sample)), { recursive: true });
    await writeFile(sourceOf(sample), sample.text);
    await writeFile(scriptOf(sample), ts.transpileModule(sample.text, { compilerOptions }).outputText);
  }
}

/** What the compiler has against written samples, with the types of the built package. */
export function typeErrors(samples: readonly Sample[]): string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, moduleDetection: 'force' }, root);
  const program = ts.createProgram(samples.map(sourceOf), options);
  return ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => {
    const sample = samples.find((one) => sourceOf(one) === file?.fileName);
    const line = file?.getLineAndCharacterOfPosition(start).line ?? 0;
    return `${sample?.place} + ${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
}

/** Runs a written sample in Node, in a folder of images, with `https://images.example.org/` leading there too. */
export async function runInNode(sample: Sample, images: string): Promise<RunResult> {
  const server = createServer(async ({ url = '', headers }, response) => {
    const file = await readFile(join(images, url)).catch(() => undefined);
    const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
    if (file === undefined || last === undefined) return response.writeHead(file ? 400 : 404).end();
    const part = file.subarray(Number(from), Number(last) + 1);
    const range = `bytes ${from}-${Number(from) + part.length - 1}/${file.length}`;
    return response.writeHead(206, { 'content-range': range, etag: '"1"' }).end(part);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const detour = `const { fetch } = globalThis; globalThis.fetch = (url, init) =>
    fetch(String(url).replace('https://images.example.org/', 'http://127.0.0.1:${port}/'), init);`;
  try {
    const args = ['--import', `data:text/javascript,${encodeURIComponent(detour)}`, scriptOf(sample)];
    return await run(process.execPath, args, { cwd: images });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Runs a shell sample in a folder of images with the built command. */
export async function runInShell(sample: Sample, images: string): Promise<RunResult> {
  const folder = join(samplesFolder, 'bin');
  await mkdir(folder, { recursive: true });
  // A program and no function of the shell, so that a sample can send it to the background and end it.
  const npx = `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(root, 'dist/cli/main.js')}" "$@"\n`;
  await writeFile(join(folder, 'npx'), npx, { mode: 0o755 });
  const xxd = 'command -v xxd > /dev/null || xxd() { od -A x -t x1; }'; // not on every machine
  const env = { PATH: `${folder}${delimiter}${process.env['PATH']}` };
  return run('bash', ['-e', '-o', 'pipefail', '-c', [xxd, sample.text].join('\n')], { cwd: images, env });
}

const PAGE = `<!doctype html><html lang="en"><head><link rel="icon" href="data:,"></head><body>
  <input type="file" multiple><output></output><script type="module" src="SCRIPT"></script></body></html>`;

/** Runs a written sample in a page of Chromium: chooses its images, and returns what the page then says. */
export async function runInChromium(sample: Sample, images: string): Promise<string> {
  const folder = dirname(scriptOf(sample));
  const page = join(folder, sample.name.replace(/\.ts$/, '-page'));
  const html = join(folder, sample.name.replace(/\.ts$/, '.html'));
  await writeFile(html, PAGE.replace('SCRIPT', `./${sample.name.replace(/\.ts$/, '.js')}`));
  const warnings: string[] = [];
  await build({
    root: folder,
    configFile: false,
    logLevel: 'warn',
    customLogger: { ...createLogger('silent'), warn: (message) => warnings.push(message) },
    build: { outDir: page, emptyOutDir: true, reportCompressedSize: false, rolldownOptions: { input: html } },
  });
  expect(warnings).toEqual([]);

  const opened = await openFolder(page, html.slice(folder.length + 1));
  await opened.setInputFiles(
    'input',
    sample.images.map((name) => join(images, name)),
  );
  const output = opened.locator('output:not(:empty)');
  await output.waitFor();
  expect(opened.complaints).toEqual([]);
  return output.innerHTML();
}
