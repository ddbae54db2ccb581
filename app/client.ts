import type { Answer, Method, Methods, Problem, Request } from './protocol.js';

/** A failure that the worker told of, in words for people. */
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
  readonly onTell?: ((tell: Methods[M]['tell']) => void) | undefined;
}

interface Pending {
  resolve(give: unknown): void;
  reject(error: unknown): void;
  tell(tell: unknown): void;
}

/** The page's end of the worker that does all the work. */
export class Client {
  readonly #worker = new Worker(new URL('./worker/worker.ts', import.meta.url), { type: 'module' });
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  /** Why nothing will be answered any more. */
  #end: ProblemError | undefined;

  constructor() {
    this.#worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => this.#receive(data));
    this.#worker.addEventListener('error', (event) => {
      const sentence = `The part of this page that reads images could not go on: ${event.message || 'it did not load'}.`;
      this.#end = new ProblemError({ code: 'worker', sentence });
      for (const { reject } of this.#pending.values()) reject(this.#end);
      this.#pending.clear();
    });
  }

  /**
   * Asks the worker. Rejects with a {@link ProblemError} where it fails, and with the signal's reason where that fires;
   * the worker then stops too.
   */
  call<M extends Method>(
    method: M,
    take: Methods[M]['take'],
    options: CallOptions<M> = {},
  ): Promise<Methods[M]['give']> {
    const { signal, onTell } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#end) throw this.#end;
      this.#lastId += 1;
      const id = this.#lastId;
      const give = (): boolean => this.#pending.delete(id);
      const onAbort = () => {
        if (!give()) return;
        this.#send({ id, cancel: true });
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const done = () => {
        give();
        signal?.removeEventListener('abort', onAbort);
      };
      this.#pending.set(id, {
        resolve: (value) => {
          done();
          resolve(value as Methods[M]['give']);
        },
        reject: (error) => {
          done();
          reject(error);
        },
        tell: (value) => onTell?.(value as Methods[M]['tell']),
      });
      this.#send({ id, method, take } as Request);
    });
  }

  #send(request: Request): void {
    this.#worker.postMessage(request);
  }

  #receive(answer: Answer): void {
    const call = this.#pending.get(answer.id);
    if (!call) return;
    if ('tell' in answer) call.tell(answer.tell);
    else if ('give' in answer) call.resolve(answer.give);
    else call.reject(new ProblemError(answer.problem));
  }
}
