import { demangle } from '@assemblyscript/loader';
import { VhdxError } from '../errors.js';
import { BufferPool } from './buffers.js';
import { type CoreExports, EXPORT_NAMES, withUnsignedResults } from './core-exports.generated.js';
import {
  BUFFER_BYTES,
  BUFFER_COUNT,
  BUFFERS,
  EXTENTS,
  EXTENTS_CAPACITY,
  EXTENTS_HEADER,
  MEMORY_END,
  SCAN_COUNTS,
  SCAN_COUNTS_CAPACITY,
  SCRATCH,
  SCRATCH_BYTES,
} from './core-memory.generated.js';
import { hex as simdModule } from './core-simd.generated.js';
import { ScratchArea } from './scratch-area.js';

const WASM_PAGE_BYTES = 0x10000;
const MEMORY_PAGES = Math.ceil(MEMORY_END / WASM_PAGE_BYTES);

/**
 * Which build of the core it is: WebAssembly with SIMD, WebAssembly without it, or the JavaScript that was generated
 * from the latter, for environments that forbid WebAssembly. `custom` is a module that the caller compiled.
 */
export type CoreKind = 'simd' | 'scalar' | 'javascript' | 'custom';

/**
 * An instance of the core, its memory and views on it. The memory never grows, so the views stay good.
 * What is where in it is in core-memory.generated.ts, made from `assembly/memory.ts`.
 */
export interface Core {
  readonly kind: CoreKind;
  readonly exports: CoreExports;
  /** The whole memory, byte by byte. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What a call says of itself, by f64: the HEADER_ numbers of core-numbers.generated.ts are places in it. */
  readonly header: Float64Array<ArrayBuffer>;
  /** The extents or problems that a call lists, four f64 each. */
  readonly extents: Float64Array<ArrayBuffer>;
  /** What a scan of the BAT has counted. */
  readonly counts: Float64Array<ArrayBuffer>;
  /** Buffers inside the memory for payload that the core must see. */
  readonly buffers: BufferPool;
  /** Where scans and sums keep something between their calls. */
  readonly scratch: ScratchArea;
}

/**
 * A `WebAssembly.Module`. It is looked up among the globals, because a project for Node alone has no types of WebAssembly.
 */
export type CoreModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer Module } } }
  ? Module
  : object;

/** What replaces `WebAssembly.Memory` in an environment without it. */
interface MemoryLike {
  readonly buffer: ArrayBuffer;
}

/** Makes an instance of one build of the core. Rejects with the engine's error if that build cannot run. */
export async function instantiateCore(kind: Exclude<CoreKind, 'custom'>): Promise<Core> {
  switch (kind) {
    case 'simd':
      return instantiateWasm(kind, decode(simdModule));
    case 'scalar':
      return instantiateWasm(kind, decode((await import('./core-scalar.generated.js')).hex));
    case 'javascript': {
      const memory = { buffer: new ArrayBuffer(MEMORY_PAGES * WASM_PAGE_BYTES) };
      const generated = await import('./core-javascript.generated.js');
      return assemble(kind, generated.instantiate({ env: { memory } }), memory);
    }
  }
}

/**
 * Makes an instance of the best build that runs here: each build is tried, because a page's security policy
 * may refuse a module that `WebAssembly.validate` accepts.
 *
 * @throws VhdxError `wasm-unavailable` when none runs; its cause lists what each of them said.
 */
export async function instantiateBestCore(): Promise<Core> {
  const causes: unknown[] = [];
  for (const kind of ['simd', 'scalar', 'javascript'] as const) {
    try {
      return await instantiateCore(kind);
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw new VhdxError('wasm-unavailable', 'no build of the core runs here', { cause: new AggregateError(causes) });
}

/**
 * Makes an instance of a module that the caller compiled from `vhdx/core.wasm`.
 *
 * @throws VhdxError `wasm-unavailable` when it is another module, or of another version.
 */
export function instantiateModule(module: CoreModule): Promise<Core> {
  return instantiateWasm('custom', module).catch((cause: unknown) => {
    throw new VhdxError('wasm-unavailable', 'this module is not the core.wasm of this version', { cause });
  });
}

/** The only place that knows the AssemblyScript loader. */
async function instantiateWasm(kind: CoreKind, source: WebAssembly.Module | BufferSource): Promise<Core> {
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
  const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source);
  // Not the loader's own instantiate: it looks for `Response`, for which Node loads all of fetch, 5 MB of it.
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  return assemble(kind, withoutWrappers(demangle<Record<string, unknown>>(exports)), memory);
}

/** The functions themselves: the loader's wrappers count arguments for the sake of optional ones, which the core has not. */
function withoutWrappers(exports: Readonly<Record<string, unknown>>): CoreExports {
  const bare = Object.entries(exports).map(([name, value]) => {
    const original = typeof value === 'function' && 'original' in value ? value.original : value;
    return [name, original] as const;
  });
  return Object.fromEntries(bare) as unknown as CoreExports;
}

function assemble(kind: CoreKind, raw: CoreExports, memory: MemoryLike): Core {
  for (const name of EXPORT_NAMES) {
    if (typeof raw[name] !== 'function') throw new TypeError(`the module does not export ${name}`);
  }
  if (raw.memoryEnd() !== MEMORY_END) throw new RangeError('the module has another map of its memory');
  const bytes = new Uint8Array(memory.buffer);
  const floats = (address: number, count: number) => new Float64Array(memory.buffer, address, count);
  return {
    kind,
    exports: withUnsignedResults(raw),
    bytes,
    header: floats(EXTENTS_HEADER, 4),
    extents: floats(EXTENTS, EXTENTS_CAPACITY * 4),
    counts: floats(SCAN_COUNTS, SCAN_COUNTS_CAPACITY),
    scratch: new ScratchArea(bytes, SCRATCH, SCRATCH_BYTES),
    buffers: new BufferPool(bytes, BUFFERS, BUFFER_COUNT, BUFFER_BYTES),
  };
}

/** Decodes hexadecimal. (`fetch` of a `data:` URL would be subject to a page's security policy.) */
function decode(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
