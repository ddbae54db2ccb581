// The worker: everything that reads, sums or writes happens here, so that the page stays free.
import type { Answer, Method, Methods, Request } from '../protocol.js';
import { throttled } from './job-progress.js';
import { type Call, OpenImage } from './open-image.js';
import { problemOf, watchPolicy } from './problem.js';
import { planRepair, repairInPlace, saveRepaired } from './repair.js';

/** What of a worker's global scope is used. (The types of pages and of workers cannot be had together.) */
interface WorkerScope extends EventTarget {
  postMessage(answer: Answer, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;
const calls = new Map<number, AbortController>();
let image: OpenImage | undefined;

/** Opens other files; what was open is closed first, and work on it ends. */
async function open(
  { inputs, subject, salvage = false }: Methods['open']['parameters'],
  signal: AbortSignal,
): Promise<Methods['open']['result']> {
  const before = image;
  image = undefined;
  await before?.close();
  const next = await OpenImage.open(inputs, { subject, salvage }, signal);
  if (signal.aborted) {
    await next.close();
    throw signal.reason;
  }
  image = next;
  return next.opened;
}

/** Calls a method. The types of parameters and results are those of {@link Methods}. */
function answer<M extends Method>(method: M, parameters: Methods[M]['parameters'], call: Call<unknown>): unknown {
  if (method === 'open') return open(parameters as Methods['open']['parameters'], call.signal);
  if (!image) throw new RangeError('no file is open');
  const current = image;
  const within = { ...call, signal: current.within(call.signal) };
  switch (method) {
    case 'check':
      return current.check(within);
    case 'report':
      return current.report();
    case 'findings':
      return current.findings(parameters as Methods['findings']['parameters']);
    case 'map':
      return current.map(parameters as Methods['map']['parameters'], within);
    case 'partitions':
      return current.partitions(within.signal);
    case 'files':
      return current.files.list(parameters as Methods['files']['parameters'], within.signal);
    case 'previewFile':
      return current.files.preview(parameters as Methods['previewFile']['parameters'], within.signal);
    case 'saveFiles': {
      const wanted = parameters as Methods['saveFiles']['parameters'];
      return current.files.save(wanted, within.signal, throttled(within.onProgress));
    }
    case 'bytes':
      return current.bytes(parameters as Methods['bytes']['parameters'], within.signal);
    case 'search':
      return current.search(parameters as Methods['search']['parameters'], within);
    case 'checksum':
      return current.checksum((parameters as Methods['checksum']['parameters']).of, within);
    case 'save':
      return current.save(parameters as Methods['save']['parameters'], within);
    case 'planRepair': {
      const { discardLog } = parameters as Methods['planRepair']['parameters'];
      return planRepair(current.file, discardLog, within.signal);
    }
    case 'repair': {
      return repairInPlace(current.file.name, parameters as Methods['repair']['parameters'], within.signal);
    }
    case 'saveRepaired': {
      const { target, discardLog } = parameters as Methods['saveRepaired']['parameters'];
      return saveRepaired(current.file, target, discardLog, within.signal, throttled(within.onProgress));
    }
    default:
      throw new RangeError(`there is no method ${String(method)}`);
  }
}

async function serve(request: Extract<Request, { method: Method }>): Promise<void> {
  const { id, method, parameters } = request;
  const abort = new AbortController();
  calls.set(id, abort);
  const onProgress = (progress: unknown) => scope.postMessage({ id, progress });
  try {
    scope.postMessage({ id, result: await answer(method, parameters, { signal: abort.signal, onProgress }) });
  } catch (error) {
    scope.postMessage({ id, problem: problemOf(error) });
  } finally {
    calls.delete(id);
  }
}

watchPolicy(scope);
scope.addEventListener('message', (event) => {
  const request = (event as MessageEvent<Request>).data;
  if ('cancel' in request) calls.get(request.id)?.abort(new DOMException('cancelled', 'AbortError'));
  else void serve(request);
});
