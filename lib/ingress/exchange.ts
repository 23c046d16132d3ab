/**
 * One HTTP request for a function, from its head to its answer: who may call, how much, the body, the dispatch.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Chunks } from '../support/chunks';
import type { Clock, Timer } from '../support/clock';
import { CartonError, type ErrorCode } from '../support/errors';
import type { IngressConfig } from '../support/host_environment';
import { LIMITS } from '../support/limits';
import type { InvocationRecord } from '../observe/channels';
import type { Recordable } from '../observe/recorder';
import { ARRAY_PLAN, planAsBody, type OneapiRequest, type StreamFormat, type TraceContext } from '../protocol/oneapi';
import { randomId, traceOf } from '../observe/trace';
import type { Match, RequestHead } from '../trigger/trigger';
import { Answer, type AnswerOwner } from './answer';
import { BodyFeed } from './body_feed';
import type { Dispatch } from './dispatch';
import type { Dispatcher } from './dispatcher';
import { checkMediaType, hasBody } from './media_type';
import { checkOrigin } from './origin';
import { resolveUser, type UserOptions } from './user';

/** What every exchange of an ingress shares. */
export interface ExchangeHost {
  readonly config: IngressConfig;
  readonly clock: Clock;
  readonly dispatcher: Dispatcher;
  readonly user: UserOptions;
  /** The answer is complete, or the caller has gone. */
  readonly closed: (exchange: Exchange) => void;
}

const NOTHING = Buffer.alloc(0);

export class Exchange implements AnswerOwner, Recordable {
  readonly answer: Answer;
  readonly #host: ExchangeHost;
  readonly #startedAt: number;
  readonly #id = randomId(16);
  readonly #format: StreamFormat;
  #timer: Timer | undefined;
  #trace: TraceContext | undefined;
  #dispatch: Dispatch | undefined;
  #feed: BodyFeed | undefined;
  /** Clock time of the answer's first byte. */
  #answeredAt: number | undefined;
  #error: CartonError | undefined;

  constructor(
    host: ExchangeHost,
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly head: RequestHead,
    readonly match: Match,
    headers: readonly string[],
  ) {
    this.#host = host;
    this.#startedAt = host.clock.now();
    this.#format = head.headers.accept?.includes('text/event-stream') === true ? 'sse' : 'ndjson';
    this.answer = new Answer(response, this.#format, headers, this);
    response.once('close', () => this.#onClosed());
  }

  get invocation(): string {
    return this.#id.toString('hex');
  }

  get function(): string {
    return this.match.spec.name;
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
    return {
      invocation: this.invocation,
      function: this.function,
      trigger: this.match.trigger,
      traceId: this.#trace?.traceId.toString('hex'),
      status: this.response.headersSent ? this.response.statusCode : (this.#error?.status ?? 0),
      errorCode: this.errorCode,
      latencyMs: this.latencyMs,
      durationMs: this.#host.clock.now() - this.#startedAt,
      waited: this.waited,
    };
  }

  /** Runs the exchange; whatever goes wrong becomes its answer. */
  run(): void {
    const { spec } = this.match;
    try {
      this.#check();
      this.#timer = this.#host.clock.after(spec.timeoutMs, () => this.#onDeadline());
      if (spec.auth === 'none') return this.#takeBody(undefined);
    } catch (error) {
      return this.#fail(error);
    }
    const address = this.request.socket.remoteAddress ?? '';
    resolveUser(this.#host.user, spec, this.head.headers, address).then(
      (user) => this.#takeBody(user),
      (error: unknown) => this.#fail(error),
    );
  }

  answered(error: CartonError | undefined): void {
    this.#answeredAt ??= this.#host.clock.now();
    this.#error = error;
  }

  get #isOver(): boolean {
    return this.#answeredAt !== undefined;
  }

  get #of(): string {
    return `function "${this.match.spec.name}"`;
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    // Anything but the table's errors is a mistake of ours, and is to be seen as one.
    if (!(error instanceof CartonError)) throw error;
    // What is left of the body would have to be read to keep the connection.
    if (error.code === 'CARTON_INGRESS_BODY_TOO_LARGE') return this.answer.failAndClose(error, this.request, this.#host.clock);
    this.answer.fail(error, error.code === 'CARTON_INGRESS_METHOD_NOT_ALLOWED' ? ['allow', this.match.methods.join(', ')] : []);
  }

  #check(): void {
    const { spec, methods, body } = this.match;
    if (!methods.includes(this.head.method)) {
      throw new CartonError('CARTON_INGRESS_METHOD_NOT_ALLOWED', { of: this.#of, expected: methods.join(' or '), got: this.head.method });
    }
    checkOrigin(this.#host.config, this.head.method, this.head.headers);
    if (body === 'array' || (body === 'optional' && hasBody(this.head.headers))) {
      checkMediaType(this.head.headers);
      if (Number(this.head.headers['content-length'] ?? 0) > spec.bodyLimitBytes) throw this.#tooLarge();
    }
    this.#host.dispatcher.admit(spec);
  }

  #tooLarge(): CartonError {
    return new CartonError('CARTON_INGRESS_BODY_TOO_LARGE', { of: this.#of, expected: `at most ${this.match.spec.bodyLimitBytes} bytes` });
  }

  /** Reads a small body whole; a larger one is streamed on as soon as that is clear. */
  #takeBody(user: unknown): void {
    if (this.#isOver) return;
    if (this.match.body === 'none') return this.#send(user, NOTHING);
    const chunks = new Chunks();
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      if (chunks.bytes > this.match.spec.bodyLimitBytes) {
        stop();
        return this.#fail(this.#tooLarge());
      }
      if (chunks.bytes <= LIMITS.inlineBodyBytes) return;
      stop();
      this.#stream(user, chunks.list());
    };
    const onEnd = (): void => {
      stop();
      this.#send(user, chunks.concat());
    };
    const stop = (): void => {
      this.request.removeListener('data', onData);
      this.request.removeListener('end', onEnd);
    };
    this.request.on('data', onData);
    this.request.on('end', onEnd);
  }

  #stream(user: unknown, head: readonly Buffer[]): void {
    this.#feed = new BodyFeed(this.request, head, this.match.spec.bodyLimitBytes);
    this.#feed.onTooLarge = () => {
      this.#dispatch?.cancel();
      this.#feed?.release();
      this.#fail(this.#tooLarge());
    };
    this.#send(user, this.#feed);
  }

  #send(user: unknown, body: Buffer | BodyFeed): void {
    if (this.#isOver) return;
    const { spec, trigger } = this.match;
    const { headers } = this.head;
    try {
      this.#trace = traceOf(headers.traceparent as string | undefined, headers.tracestate as string | undefined);
      const plan = this.match.args(this.head);
      const values = body === NOTHING ? planAsBody(plan) : undefined;
      const args = values === undefined ? plan : ARRAY_PLAN;
      const request: OneapiRequest = { function: spec.name, trigger, args, id: this.#id, trace: this.#trace, user, streamFormat: this.#format };
      this.#dispatch = this.#host.dispatcher.dispatch(request, values ?? body, this.#startedAt + spec.timeoutMs, this.answer);
    } catch (error) {
      this.#fail(error);
    }
  }

  #onDeadline(): void {
    if (this.#dispatch !== undefined) return this.#dispatch.expire();
    const expected = `user and body within ${this.match.spec.timeoutMs} ms`;
    this.#fail(new CartonError('CARTON_RUNTIME_TIMEOUT', { of: this.#of, expected, got: 'a caller or a resolver that takes longer' }));
  }

  /** The connection is gone, or the answer is complete. */
  #onClosed(): void {
    this.#timer?.cancel();
    if (!this.response.writableFinished && this.#error === undefined) {
      this.#feed?.abort(new CartonError('CARTON_INGRESS_BODY_ABORTED', { of: this.#of }));
      this.#dispatch?.cancel();
      this.#error = new CartonError('CARTON_INGRESS_CALLER_GONE', { of: this.#of });
    }
    this.#feed?.release();
    // Nothing is answered any more, whatever is still on its way.
    this.#answeredAt ??= this.#host.clock.now();
    this.#host.closed(this);
  }
}
