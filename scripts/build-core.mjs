// Compiles the core (assembly/) to WebAssembly with and without SIMD, turns the latter into plain JavaScript, and writes
// all three as modules under src/core/*.generated.ts, so that the compiler carries them into dist and bundlers need no loader.
// The numbers that core and host share and the types of the exports are generated too.
//
// --debug: the SIMD build keeps the names of its functions and locals, its checks, and refers to its source map.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { devNull } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import asc from 'assemblyscript/asc';

const { debug } = parseArgs({ options: { debug: { type: 'boolean', default: false } } }).values;

const root = new URL('../', import.meta.url);
const PAGE_BYTES = 64 * 1024;

process.chdir(fileURLToPath(root)); // asc reads asconfig.json of the current folder

const config = JSON.parse(await readFile(new URL('asconfig.json', root), 'utf8'));
const memoryPages = config.options.initialMemory;

await mkdir(new URL('build/', root), { recursive: true });
await mkdir(new URL('dist/', root), { recursive: true });

const simd = await (debug ? compileForDebugging() : compile('simd'));
const scalar = await compile('scalar', '--bindings', 'raw');
await checkMemory(simd);
const declarations = await readFile(new URL('build/core.scalar.d.ts', root), 'utf8');

await writeFile(new URL('dist/core.wasm', root), simd);
await generate('core-simd', hexModule(simd));
await generate('core-scalar', hexModule(scalar));
await generate('core-javascript', await javascriptModule(scalar));
await generate('core-exports', exportsModule(declarations));
await generate('core-numbers', await numbersModule('shared-numbers'));
await generate('core-memory', await numbersModule('memory'));

/** Compiles one target of asconfig.json and returns its bytes. */
async function compile(target, ...options) {
  const { error, stderr } = await asc.main(['--config', 'asconfig.json', '--target', target, ...options]);
  const complaints = stderr.toString();
  if (complaints !== '') process.stderr.write(complaints);
  if (error) throw error;
  return readFile(new URL(config.targets[target].outFile, root));
}

/** The debug target. An inline module has no place from which a debugger could find the map, so it gets a whole URL. */
function compileForDebugging() {
  return compile('debug', '--sourceMap', new URL(`${config.targets.debug.outFile}.map`, root).href);
}

/** Makes sure that the memory asconfig.json asks for is the memory that the map in assembly/memory.ts fills. */
async function checkMemory(bytes) {
  const memory = new WebAssembly.Memory({ initial: memoryPages, maximum: memoryPages });
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const needed = Math.ceil(instance.exports.memoryEnd() / PAGE_BYTES);
  if (needed !== memoryPages) {
    throw new Error(`assembly/memory.ts fills ${needed} pages, asconfig.json asks for ${memoryPages}`);
  }
}

function hexModule(bytes) {
  // Longer than base64, and a seventh shorter after gzip, which finds repetitions if each byte stays two characters.
  return `/** The module's bytes, in hexadecimal. */\nexport const hex: string =\n  '${bytes.toString('hex')}';\n`;
}

/** The scalar module as a function in plain JavaScript, for environments that forbid WebAssembly. */
async function javascriptModule(bytes) {
  // Binaryen is the compiler's own: a copy of another version must not get in.
  const path = createRequire(import.meta.resolve('assemblyscript')).resolve('binaryen');
  const { default: binaryen } = await import(pathToFileURL(path).href);
  const { BulkMemory, BulkMemoryOpt, SignExt } = binaryen.Features;
  const module = binaryen.readBinary(bytes);
  module.setFeatures(BulkMemory | BulkMemoryOpt | SignExt);
  binaryen.setOptimizeLevel(3);
  binaryen.setShrinkLevel(0);
  module.optimize();
  const text = module.emitAsmjs();
  module.dispose();
  // Helpers and `asmFunc`, which makes an instance; after them comes code that makes one instance at once.
  const end = text.indexOf('var memasmFunc');
  if (end < 0 || !text.includes('function asmFunc(imports)')) {
    throw new Error('Binaryen writes its JavaScript in another form than this script knows');
  }
  return [
    '// @ts-nocheck',
    "import type { CoreExports } from './core-exports.generated.js';\n",
    '/** Makes an instance of the core on a zeroed memory. */',
    'export function instantiate(imports: { env: { memory: { buffer: ArrayBuffer } } }): CoreExports {',
    text.slice(0, end),
    'return asmFunc(imports);',
    '}\n',
  ].join('\n');
}

/** The exports' types, taken from the compiler's declarations, and an adapter that gives results their types. */
function exportsModule(text) {
  const found = text.matchAll(
    /((?:\s+\* @param .*)*)(?:\s+\* @returns `(\w+)`)?\s+\*\/\s+export function (\w+)\((.*)\): (\w+);/g,
  );
  const members = [];
  const exported = [];
  const adapters = [];
  for (const [, parameters, unit, name, declared, result] of found) {
    if (/`[iu]64`/.test(`${parameters} \`${unit}\``)) {
      throw new Error(`${name}: 64-bit integers must not cross the border, they are slow; use f64`);
    }
    members.push(`  ${name}(${declared}): ${result};`);
    exported.push(name);
    const names = declared.replaceAll(/: \w+/g, '');
    const call = `raw.${name}(${names})`;
    if (unit === 'u32') adapters.push(`    ${name}: (${names}) => ${call} >>> 0,`);
    if (unit === 'bool') throw new Error(`${name}: WebAssembly knows no booleans; use i32`);
  }
  return [
    '/** What the core exports, as assembly/index.ts declares it. All integers are 32 bits wide. */',
    'export interface CoreExports {',
    ...members,
    '}\n',
    '/** The names of all of them. */',
    `export const EXPORT_NAMES = '${exported.join(' ')}'.split(' ') as (keyof CoreExports)[];\n`,
    '/** The same functions with u32 results from 0 up: to WebAssembly all integers are signed. */',
    'export function withUnsignedResults(raw: CoreExports): CoreExports {',
    '  return {',
    '    ...raw,',
    ...adapters,
    '  };',
    '}\n',
  ].join('\n');
}

/** The constants of a file of assembly/, as the compiler sees them. */
async function numbersModule(file) {
  const outFile = `build/${file}.wasm`;
  const source = await readFile(new URL(`assembly/${file}.ts`, root), 'utf8');
  const { error, stderr } = await asc.main(
    // A module of constants alone: it takes neither the memory nor the features of asconfig.json.
    [`assembly/${file}.ts`, '--config', devNull, '--runtime', 'stub', '--outFile', outFile],
  );
  process.stderr.write(stderr.toString());
  if (error) throw error;
  const { instance } = await WebAssembly.instantiate(await readFile(new URL(outFile, root)));
  const constants = Object.entries(instance.exports).filter(([, value]) => value instanceof WebAssembly.Global);
  const declared = source.match(/^export const/gm) ?? [];
  if (constants.length !== declared.length) {
    throw new Error(`assembly/${file}.ts has ${declared.length} constants, the compiler made ${constants.length}`);
  }
  return constants.map(([name, { value }]) => `export const ${name} = ${value >>> 0};\n`).join('');
}

async function generate(name, body) {
  const text = `// Generated by scripts/build-core.mjs from assembly/. Do not edit.\n${body}`;
  await writeFile(new URL(`src/core/${name}.generated.ts`, root), text);
}
