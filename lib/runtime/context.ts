/**
 * `ctx`: the business context that every function gets as its first argument, the same for every trigger, frozen, and
 * without a word of HTTP. It runs in instances, once per invocation, so nothing is made before it is read.
 */
import type { InvokePayload } from '../protocol/invocation';
import type { TriggerType } from '../protocol/oneapi';
import type { Extra } from '../protocol/extra';
import type { ApplicationScope, FunctionLogger } from './application';

/** Which invocation this is. */
export interface InvocationInfo {
  /** 32 hexadecimal digits, unique for each invocation; the same for each attempt at it. */
  readonly id: string;
  readonly function: string;
  readonly revision: string;
  readonly trigger: TriggerType;
  /** 1, or more where an idempotent function is tried again. */
  readonly attempt: number;
  /** Milliseconds since the Unix epoch by which the answer must have been given. */
  readonly deadline: number;
}

/** W3C trace context (https://www.w3.org/TR/trace-context/); the span is this invocation's own. */
export interface TraceInfo {
  /** Header value for calls that go on from here. */
  readonly traceparent: string;
  readonly tracestate: string;
  readonly traceId: string;
  readonly spanId: string;
  /** The caller's span; undefined where the trace begins here. */
  readonly parentId: string | undefined;
  readonly sampled: boolean;
}

/** What the context needs of the invocation that it belongs to. */
export interface ContextSource {
  readonly payload: InvokePayload;
  readonly functionName: string;
  readonly revision: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Milliseconds since the Unix epoch. */
  readonly deadline: number;
  readonly logger: FunctionLogger;
  readonly scope: ApplicationScope;
  readonly signal: AbortSignal;
  waitUntil(work: Promise<unknown>): void;
}

const NO_SPAN = '0000000000000000';

export class FunctionContextImpl {
  readonly #source: ContextSource;
  #invocation: InvocationInfo | undefined;
  #trace: TraceInfo | undefined;

  constructor(source: ContextSource) {
    this.#source = source;
    Object.freeze(this);
  }

  get invocation(): InvocationInfo {
    const { payload, functionName, revision, deadline } = this.#source;
    this.#invocation ??= Object.freeze({
      id: payload.id,
      function: functionName,
      revision,
      trigger: payload.trigger,
      attempt: payload.attempt,
      deadline,
    });
    return this.#invocation;
  }

  /** What the application's resolver returned for the caller; undefined for nobody. */
  get user(): unknown {
    return this.#extra.user;
  }

  get trace(): TraceInfo {
    this.#trace ??= this.#readTrace();
    return this.#trace;
  }

  /** The application's logger; each line names function and invocation. */
  get logger(): FunctionLogger {
    return this.#source.logger;
  }

  /** The application's services, on a context made at first use. */
  get service(): unknown {
    return this.#source.scope.service;
  }

  get config(): Readonly<Record<string, unknown>> {
    return this.#source.config;
  }

  /** Aborts at the deadline and when the caller has gone; its reason is an error from the table. */
  get signal(): AbortSignal {
    return this.#source.signal;
  }

  /** Keeps the instance from being reclaimed until `work` has settled; a rejection is logged. */
  waitUntil(work: Promise<unknown>): void {
    this.#source.waitUntil(work);
  }

  /** Parsed once, by the payload. */
  get #extra(): Extra {
    return this.#source.payload.extra;
  }

  #readTrace(): TraceInfo {
    const { payload } = this.#source;
    const { traceId, spanId, parentId, sampled } = payload;
    return Object.freeze({
      traceparent: `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`,
      tracestate: this.#extra.traceState ?? '',
      traceId,
      spanId,
      parentId: parentId === NO_SPAN ? undefined : parentId,
      sampled,
    });
  }
}

// Frozen, too: what one function hangs on it, every other function of the process would see.
Object.freeze(FunctionContextImpl.prototype);
