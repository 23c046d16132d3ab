/**
 * Calls a function from code instead of over HTTP: the application's own processes and their tests. The way is the
 * same from the dispatcher on.
 */
import { Readable } from 'node:stream';
import type { Clock, Timer } from '../support/clock';
import { CartonError, describe, type ErrorCode } from '../support/errors';
import { LIMITS } from '../support/limits';
import type { InvocationRecord } from '../observe/channels';
import type { Recordable, Recorder } from '../observe/recorder';
import { randomId, traceOf } from '../observe/trace';
import { ARRAY_PLAN, type OneapiRequest } from '../protocol/oneapi';
import type { FunctionSpec } from '../spec/types';
import { BodyFeed } from './body_feed';
import type { Dispatch, Receiver } from './dispatch';
import type { Dispatcher } from './dispatcher';
import { ItemStream } from './item_stream';
import { assertUser } from './user';

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

/** What all calls of a worker share. */
export interface InvokeHost {
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly recorder: Recorder;
}

/** Resolves with the result; with an async iterable where the function streams. Rejects with an error of the table. */
export async function invokeFunction(host: InvokeHost, { name, args, options }: Invoke): Promise<unknown> {
  const spec = host.dispatcher.find(name);
  if (options.signal?.aborted === true) throw cancelled(name);
  const user = options.user ?? undefined;
  assertUser(user);
  if (spec.auth === 'required' && user === undefined) {
    throw new CartonError('CARTON_INGRESS_USER_REQUIRED', { of: `function "${name}"`, expected: 'options.user', got: 'none' });
  }
  const body = bodyOf(spec, args);
  host.dispatcher.admit(spec);
  const request: OneapiRequest = {
    function: name,
    trigger: 'oneapi',
    args: ARRAY_PLAN,
    id: randomId(16),
    trace: traceOf(options.traceparent, undefined),
    user,
    streamFormat: 'ndjson',
  };
  return new Promise((resolve, reject) => {
    new InvokeCall(host, { request, spec, signal: options.signal, resolve, reject }).start(body);
  });
}

function cancelled(name: string): CartonError {
  return new CartonError('CARTON_RUNTIME_CANCELLED', { of: `function "${name}"` });
}

/** The arguments as the body of a OneAPI request. Arguments that JSON cannot say are refused, not changed. */
function bodyOf(spec: FunctionSpec, args: readonly unknown[]): Buffer | BodyFeed {
  const of = `function "${spec.name}"`;
  let body: Buffer;
  try {
    body = Buffer.from(JSON.stringify(args));
  } catch (cause) {
    throw new CartonError('CARTON_RUNTIME_BAD_ARGUMENT', { of, expected: 'arguments that are JSON', got: describe(cause), cause });
  }
  if (body.length > spec.bodyLimitBytes) {
    throw new CartonError('CARTON_INGRESS_BODY_TOO_LARGE', { of, expected: `at most ${spec.bodyLimitBytes} bytes`, got: `${body.length}` });
  }
  if (body.length <= LIMITS.inlineBodyBytes) return body;
  // A frame has a limit: a large body goes as a stream, as one that comes over HTTP.
  return new BodyFeed(Readable.from(piecesOf(body), { objectMode: false }), [], spec.bodyLimitBytes);
}

function* piecesOf(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; at += LIMITS.streamChunkBytes) yield body.subarray(at, at + LIMITS.streamChunkBytes);
}

interface CallOptions {
  readonly request: OneapiRequest;
  readonly spec: FunctionSpec;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: CartonError) => void;
}

class InvokeCall implements Receiver, Recordable {
  readonly #host: InvokeHost;
  readonly #options: CallOptions;
  readonly #startedAt: number;
  readonly #timer: Timer;
  readonly #onAbort = (): void => this.#cancel();
  #dispatch: Dispatch | undefined;
  #items: ItemStream | undefined;
  #pieces: Buffer[] = [];
  #answeredAt: number | undefined;
  #error: CartonError | undefined;

  constructor(host: InvokeHost, options: CallOptions) {
    this.#host = host;
    this.#options = options;
    this.#startedAt = host.clock.now();
    this.#timer = host.clock.after(options.spec.timeoutMs, () => this.#dispatch?.expire());
  }

  start(body: Buffer | BodyFeed): void {
    const { request, spec, signal } = this.#options;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#dispatch = this.#host.dispatcher.dispatch(request, body, this.#startedAt + spec.timeoutMs, this);
  }

  get function(): string {
    return this.#options.spec.name;
  }

  get latencyMs(): number {
    return (this.#answeredAt ?? this.#host.clock.now()) - this.#startedAt;
  }

  get waited(): boolean {
    return this.#dispatch?.waited ?? false;
  }

  get errorCode(): ErrorCode | undefined {
    return this.#error?.code;
  }

  get record(): InvocationRecord {
    const { request } = this.#options;
    return {
      invocation: request.id.toString('hex'),
      function: this.function,
      trigger: request.trigger,
      traceId: request.trace.traceId.toString('hex'),
      status: this.#error?.status ?? 200,
      errorCode: this.errorCode,
      latencyMs: this.latencyMs,
      durationMs: this.#host.clock.now() - this.#startedAt,
      waited: this.waited,
    };
  }

  value(json: Buffer): void {
    this.#ended(undefined);
    this.#options.resolve(json.length === 0 ? undefined : JSON.parse(json.toString('utf8')));
  }

  stream(kind: number): void {
    this.#answeredAt = this.#host.clock.now();
    if (kind === 0) return;
    this.#items = new ItemStream(() => this.#cancel());
    this.#options.resolve(this.#items);
  }

  data(chunk: Buffer, consumed: (bytes: number) => void): void {
    if (this.#items !== undefined) return this.#items.push(chunk, consumed);
    this.#pieces.push(chunk);
    consumed(chunk.length);
  }

  end(error: CartonError | undefined): void {
    if (this.#items === undefined) return error === undefined ? this.value(Buffer.concat(this.#pieces)) : this.failed(error);
    this.#ended(error);
    this.#items.end(error);
  }

  failed(error: CartonError): void {
    this.#ended(error);
    this.#options.reject(error);
  }

  #cancel(): void {
    const dispatch = this.#dispatch;
    if (dispatch === undefined || dispatch.isDone) return;
    dispatch.cancel();
    this.end(cancelled(this.function));
  }

  #ended(error: CartonError | undefined): void {
    this.#timer.cancel();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#answeredAt ??= this.#host.clock.now();
    this.#error = error;
    this.#host.recorder.record(this);
  }
}
