// @ts-check
/**
 * Builds the command as one file that needs no runtime, in the three ways that there are (`bun build --compile`, `deno
 * compile`, Node's single executable application), and tries each on the image that ships with the project:
 * `npm run executables`. They stay in build/executables.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { build } from 'vite';
import { installRuntime, RUNTIMES } from './runtimes.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const folder = `${root}build/executables`;
const main = `${root}dist/cli/main.js`;
const image = `${folder}/disk.vhdx`;

/** @param {string} program @param {string[]} args */
function run(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (status !== 0)
    throw new Error(`${program} ${args.join(' ')}: ${error ?? `exit code ${status}\n${stdout}${stderr}`}`);
  return stdout;
}

/** @param {string} target */
function withBun(target) {
  run(installRuntime(RUNTIMES.bun), ['build', '--compile', main, '--outfile', target]);
}

/** @param {string} target */
function withDeno(target) {
  const permissions = [
    '--allow-read',
    '--allow-write',
    '--allow-net',
    '--allow-env',
    '--allow-sys',
    '--allow-ffi',
    '--allow-run',
  ];
  run(installRuntime(RUNTIMES.deno), ['compile', '--quiet', '--no-check', ...permissions, '--output', target, main]);
}

/** Node takes one file of CommonJS, as what is put into a copy of itself. @param {string} target */
async function withNode(target) {
  const node = installRuntime(RUNTIMES['node-24']);
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    ssr: { noExternal: true },
    build: {
      ssr: true,
      target: 'es2022',
      outDir: folder,
      emptyOutDir: false,
      rolldownOptions: {
        input: main,
        output: { format: 'cjs', codeSplitting: false, entryFileNames: 'main.cjs' },
      },
    },
  });
  const config = { main: 'main.cjs', output: 'main.blob', disableExperimentalSEAWarning: true };
  writeFileSync(`${folder}/sea.json`, JSON.stringify(config));
  run(node, ['--experimental-sea-config', 'sea.json']);
  copyFileSync(node, target);
  const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
  run('npx', ['--yes', 'postject@1.0.0-alpha.6', target, 'NODE_SEA_BLOB', 'main.blob', '--sentinel-fuse', fuse]);
}

/** Does with an executable what people do first. @param {string} target */
async function tryIt(target) {
  const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8'));
  const raw = `${folder}/disk.raw`;
  /** @param {string[]} args @param {RegExp} wanted */
  const expect = (args, wanted) => {
    const said = run(target, args);
    if (!wanted.test(said)) throw new Error(`${target} ${args.join(' ')} says ${said}`);
  };
  expect(['--version'], new RegExp(`^${version.replaceAll('.', '\\.')}\\n$`));
  expect(['info', image], /virtual size: +64 MiB/);
  expect(['check', image], /: sound/);
  expect(['checksum', image], /^[0-9a-f]{8} {2}/);
  expect(['convert', '-q', '-O', 'raw', image, raw], /^$/);
  expect(['compare', image, raw], /identical/i);
  expect(['ls', image], /lost\+found/);
  expect(['create', '--force', `${folder}/new.vhdx`, '1G'], /./);
  expect(['checksum', '--file', '--algorithm', 'sha256', raw], /^[0-9a-f]{64} {2}/);
  rmSync(raw);
}

if (!existsSync(main)) throw new Error('dist is not there: npm run build');
mkdirSync(folder, { recursive: true });
await writeFile(image, gunzipSync(await readFile(`${root}demo/disk.vhdx.gz`)));
const suffix = process.platform === 'win32' ? '.exe' : '';
for (const [name, make] of Object.entries({ bun: withBun, deno: withDeno, node: withNode })) {
  const target = `${folder}/vhdx-${name}${suffix}`;
  rmSync(target, { force: true });
  try {
    await make(target);
    await tryIt(target);
    console.log(`${name}: works, ${Math.round(statSync(target).size / 2 ** 20)} MiB`);
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
