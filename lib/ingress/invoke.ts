/**
 * Calls a function from code instead of over HTTP: the application's own processes and their tests. The way is the
 * same from the dispatcher on.
 */
import type { Clock } from '../support/clock';
import { CartonError, fromWire, type WireError } from '../support/errors';
import { randomId, traceOf } from '../observe/trace';
import type { OneapiRequest } from '../protocol/oneapi';
import type { Receiver } from './dispatch';
import type { Dispatcher } from './dispatcher';
import { ItemStream } from './item_stream';

export interface InvokeOptions {
  /** What `ctx.user` is; the application's resolver is not asked. */
  readonly user?: unknown;
  /** W3C traceparent to go on with. */
  readonly traceparent?: string;
  /** Takes the call back. */
  readonly signal?: AbortSignal;
}

export interface Invoke {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly options: InvokeOptions;
}

/** Resolves with the result; with an async iterable where the function streams. */
export async function invokeFunction(dispatcher: Dispatcher, clock: Clock, { name, args, options }: Invoke): Promise<unknown> {
  const spec = dispatcher.find(name);
  dispatcher.admit(spec);
  if (spec.auth === 'required' && (options.user ?? undefined) === undefined) {
    throw new CartonError('CARTON_INGRESS_USER_REQUIRED', { of: `function "${name}"`, expected: 'options.user', got: 'none' });
  }
  const request: OneapiRequest = {
    function: name,
    trigger: 'oneapi',
    args: { kind: 'array' },
    id: randomId(16),
    trace: traceOf(options.traceparent, undefined),
    user: options.user ?? undefined,
    streamFormat: 'ndjson',
  };
  return new Promise((resolve, reject) => {
    const receiver = new PromiseReceiver(resolve, reject);
    const dispatch = dispatcher.dispatch(request, Buffer.from(JSON.stringify(args)), clock.now() + spec.timeoutMs, receiver);
    options.signal?.addEventListener('abort', () => {
      dispatch.cancel();
      reject(new CartonError('CARTON_RUNTIME_CANCELLED', { of: `function "${name}"` }));
    }, { once: true });
  });
}

class PromiseReceiver implements Receiver {
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: CartonError) => void;
  #items: ItemStream | undefined;
  #pieces: Buffer[] | undefined;

  constructor(resolve: (value: unknown) => void, reject: (error: CartonError) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  value(json: Buffer): void {
    this.#resolve(json.length === 0 ? undefined : JSON.parse(json.toString('utf8')));
  }

  stream(kind: number): void {
    if (kind === 0) {
      this.#pieces = [];
      return;
    }
    this.#items = new ItemStream();
    this.#resolve(this.#items);
  }

  data(chunk: Buffer, consumed: (bytes: number) => void): void {
    if (this.#items !== undefined) return this.#items.push(chunk, consumed);
    this.#pieces?.push(chunk);
    consumed(chunk.length);
  }

  end(error: CartonError | undefined): void {
    if (this.#items !== undefined) return this.#items.end(error);
    if (error !== undefined) this.#reject(error);
    else this.value(Buffer.concat(this.#pieces ?? []));
  }

  failed(error: CartonError): void {
    this.#reject(error);
  }
}

/** The error line of an NDJSON stream, as an error again. */
export function streamError(line: { code: WireError['code']; message: string; function?: WireError['thrown'] }): CartonError {
  return fromWire({ code: line.code, message: line.message, status: 500, thrown: line.function });
}
