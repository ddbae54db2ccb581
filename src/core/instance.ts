import { demangle } from '@assemblyscript/loader';
import { VhdxError } from '../errors.js';
import { BufferPool } from './buffers.js';
import { type CoreExports, MEMORY_PAGES, withTypedResults } from './core-exports.generated.js';
import { hex as simdModule } from './core-simd.generated.js';
import { ScratchArea } from './scratch-area.js';

const KiB = 1024;
const MEMORY_BYTES = MEMORY_PAGES * 64 * KiB;

/**
 * Which build of the core it is: WebAssembly with SIMD, WebAssembly without it, or the JavaScript that was generated
 * from the latter, for environments that forbid WebAssembly. `custom` is a module that the caller compiled.
 */
export type CoreKind = 'simd' | 'scalar' | 'javascript' | 'custom';

/** Addresses in the core's memory, in bytes from its start; see `assembly/memory.ts`. */
export interface CoreLayout {
  /** BAT and sector bitmap pages: `pageSlots` slots of `PAGE_BYTES`. */
  readonly pages: number;
  readonly pageSlots: number;
  /** Four f64 that say what the extents are. */
  readonly extentsHeader: number;
  /** Room for `extentsCapacity` extents of four f64. */
  readonly extents: number;
  readonly extentsCapacity: number;
  /** What a scan of the BAT has counted: f64 each. */
  readonly scanCounts: number;
  /** Where the bytes of a synchronous checksum call go. */
  readonly copy: number;
  readonly copyBytes: number;
}

/** An instance of the core, its memory and views on it. The memory never grows, so the views stay good. */
export interface Core {
  readonly kind: CoreKind;
  readonly exports: CoreExports;
  readonly layout: CoreLayout;
  /** The whole memory, byte by byte. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The whole memory as f64: the element at address / 8. */
  readonly floats: Float64Array<ArrayBuffer>;
  /** Buffers inside the memory for payload that the core must see. */
  readonly buffers: BufferPool;
  /** Where scans and sums keep something between their calls. */
  readonly scratch: ScratchArea;
}

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
      const memory = { buffer: new ArrayBuffer(MEMORY_BYTES) };
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
export function instantiateModule(module: WebAssembly.Module): Promise<Core> {
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
  const exports = withTypedResults(raw);
  for (const name of Object.keys(exports) as (keyof CoreExports)[]) {
    if (typeof raw[name] !== 'function') throw new TypeError(`the module does not export ${name}`);
  }
  if (exports.memoryEnd() > MEMORY_BYTES) throw new RangeError('the core wants more memory than it was given');
  const bytes = new Uint8Array(memory.buffer);
  return {
    kind,
    exports,
    bytes,
    floats: new Float64Array(memory.buffer),
    scratch: new ScratchArea(bytes, exports.scratchAddress(), exports.scratchBytes()),
    buffers: new BufferPool(bytes, exports.buffersAddress(), exports.bufferCount(), exports.bufferBytes()),
    layout: {
      pages: exports.pagesAddress(),
      pageSlots: exports.pageSlots(),
      extentsHeader: exports.extentsHeaderAddress(),
      extents: exports.extentsAddress(),
      extentsCapacity: exports.extentsCapacity(),
      scanCounts: exports.scanCountsAddress(),
      copy: exports.copyAddress(),
      copyBytes: exports.copyBytes(),
    },
  };
}

/** Decodes hexadecimal. (`fetch` of a `data:` URL would be subject to a page's security policy.) */
function decode(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
