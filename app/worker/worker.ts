// The worker: everything that reads, sums or writes happens here, so that the page stays free.
import type { Answer, Method, Methods, Request } from '../protocol.js';
import { type Call, OpenImage } from './open-image.js';
import { problemOf, watchPolicy } from './problem.js';

/** What of a worker's global scope is used. (The types of pages and of workers cannot be had together.) */
interface WorkerScope extends EventTarget {
  postMessage(answer: Answer, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;
const calls = new Map<number, AbortController>();
let image: OpenImage | undefined;

/** Opens other files; what was open is closed first, and work on it ends. */
async function open(
  { inputs, subject }: Methods['open']['take'],
  signal: AbortSignal,
): Promise<Methods['open']['give']> {
  const before = image;
  image = undefined;
  await before?.close();
  const next = await OpenImage.open(inputs, subject, signal);
  if (signal.aborted) {
    await next.close();
    throw signal.reason;
  }
  image = next;
  return next.opened;
}

/** Does what was asked. The types of what comes and goes are those of {@link Methods}. */
function answer<M extends Method>(method: M, take: Methods[M]['take'], call: Call<unknown>): unknown {
  if (method === 'open') return open(take as Methods['open']['take'], call.signal);
  if (!image) throw new RangeError('no file is open');
  const current = image;
  const within = { ...call, signal: current.within(call.signal) };
  switch (method) {
    case 'check':
      return current.check(within);
    case 'findings':
      return current.findings(take as Methods['findings']['take']);
    case 'map':
      return current.map(take as Methods['map']['take'], within);
    case 'contents':
      return current.contents(within.signal);
    case 'bytes':
      return current.bytes(take as Methods['bytes']['take'], within.signal);
    case 'checksum':
      return current.checksum((take as Methods['checksum']['take']).of, within);
    case 'save':
      return current.save(take as Methods['save']['take'], within);
    default:
      throw new RangeError(`there is no method ${String(method)}`);
  }
}

async function serve(request: Extract<Request, { method: Method }>): Promise<void> {
  const { id, method, take } = request;
  const abort = new AbortController();
  calls.set(id, abort);
  const tell = (value: unknown) => scope.postMessage({ id, tell: value });
  try {
    scope.postMessage({ id, give: await answer(method, take, { signal: abort.signal, tell }) });
  } catch (error) {
    scope.postMessage({ id, problem: problemOf(error) });
  } finally {
    calls.delete(id);
  }
}

watchPolicy(scope);
scope.addEventListener('message', (event) => {
  const request = (event as MessageEvent<Request>).data;
  if ('cancel' in request) calls.get(request.id)?.abort(new DOMException('given up', 'AbortError'));
  else void serve(request);
});
