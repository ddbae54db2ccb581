import type { Answer, Method, Methods, Problem, Request } from './protocol.js';

/** A failure that the worker reported, in a sentence. */
class ProblemError extends Error {
  override readonly name = 'ProblemError';
  /** What went wrong. */
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.sentence);
    this.problem = problem;
  }
}

/** How to follow a call. */
interface CallOptions<M extends Method> {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Methods[M]['progress']) => void) | undefined;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: unknown): void;
  onProgress(progress: unknown): void;
}

/** The page's end of the worker that does all the work. */
export class Client {
  readonly #worker = new Worker(new URL('./worker/worker.ts', import.meta.url), { type: 'module' });
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  /** Set when the worker has ended: why no call is answered any more. */
  #end: ProblemError | undefined;

  constructor() {
    this.#worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => this.#receive(data));
    this.#worker.addEventListener('error', (event) => {
      const sentence = `The part of this page that reads images stopped: ${event.message || 'it did not load'}.`;
      this.#end = new ProblemError({ code: 'worker', sentence });
      for (const { reject } of this.#pending.values()) reject(this.#end);
      this.#pending.clear();
    });
  }

  /**
   * Calls a method of the worker. Rejects with a {@link ProblemError} if it fails, and with the signal's reason if that
   * fires; the worker then stops too.
   */
  call<M extends Method>(
    method: M,
    parameters: Methods[M]['parameters'],
    options: CallOptions<M> = {},
  ): Promise<Methods[M]['result']> {
    const { signal, onProgress } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#end) throw this.#end;
      this.#lastId += 1;
      const id = this.#lastId;
      const onAbort = () => {
        if (!this.#pending.delete(id)) return;
        this.#send({ id, cancel: true });
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const done = () => {
        this.#pending.delete(id);
        signal?.removeEventListener('abort', onAbort);
      };
      this.#pending.set(id, {
        resolve: (value) => {
          done();
          resolve(value as Methods[M]['result']);
        },
        reject: (error) => {
          done();
          reject(error);
        },
        onProgress: (value) => onProgress?.(value as Methods[M]['progress']),
      });
      this.#send({ id, method, parameters } as Request);
    });
  }

  #send(request: Request): void {
    this.#worker.postMessage(request);
  }

  #receive(answer: Answer): void {
    const call = this.#pending.get(answer.id);
    if (!call) return;
    if ('progress' in answer) call.onProgress(answer.progress);
    else if ('result' in answer) call.resolve(answer.result);
    else call.reject(new ProblemError(answer.problem));
  }
}
