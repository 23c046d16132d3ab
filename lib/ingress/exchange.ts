/**
 * One HTTP request for a function, from its head to its answer: who may call, how much, the body, the dispatch.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';
import type { OneapiRequest } from '../protocol/oneapi';
import { randomId, traceOf } from '../observe/trace';
import type { Match, RequestHead } from '../trigger/trigger';
import { Answer } from './answer';
import { BodyFeed } from './body_feed';
import type { Dispatch } from './dispatch';
import type { Dispatcher } from './dispatcher';
import { checkOrigin } from './origin';
import { resolveUser, type UserOptions } from './user';
import type { IngressConfig } from '../support/host_environment';
import type { Clock } from '../support/clock';

/** What every exchange of an ingress shares. */
export interface ExchangeHost {
  readonly config: IngressConfig;
  readonly clock: Clock;
  readonly dispatcher: Dispatcher;
  readonly user: UserOptions;
  /** The answer has begun. `error`: what it says. */
  readonly answered: (exchange: Exchange, error: CartonError | undefined) => void;
  /** The answer is complete, or the caller has gone. */
  readonly closed: () => void;
}

const JSON_MEDIA = /^application\/(?:[\w.+-]+\+)?json\s*(?:;\s*charset="?utf-?8"?\s*)?$/i;

export class Exchange {
  readonly startedAt: number;
  readonly id = randomId(16);
  readonly answer: Answer;
  readonly #host: ExchangeHost;
  #dispatch: Dispatch | undefined;
  #feed: BodyFeed | undefined;
  #ended = false;

  constructor(
    host: ExchangeHost,
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly head: RequestHead,
    readonly match: Match,
    headers: readonly string[],
  ) {
    this.#host = host;
    this.startedAt = host.clock.now();
    const format = head.headers.accept?.includes('text/event-stream') === true ? 'sse' : 'ndjson';
    this.answer = new Answer(response, format, headers, undefined, (error) => this.#onAnswered(error));
    response.once('close', () => this.#onClosed());
  }

  get waited(): boolean {
    return this.#dispatch?.waited ?? false;
  }

  /** Runs the exchange; whatever goes wrong becomes its answer. */
  run(): void {
    try {
      this.#check();
      if (this.match.spec.auth === 'none') return this.#takeBody(undefined);
    } catch (error) {
      return this.fail(error);
    }
    const address = this.request.socket.remoteAddress ?? '';
    resolveUser(this.#host.user, this.match.spec, this.head.headers, address).then(
      (user) => this.#takeBody(user),
      (error: unknown) => this.fail(error),
    );
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    // Anything but the table's errors is a mistake of ours, and is to be seen as one.
    if (!(error instanceof CartonError)) throw error;
    this.answer.fail(error, this.#headersOf(error));
  }

  #headersOf(error: CartonError): string[] {
    if (error.code === 'CARTON_INGRESS_METHOD_NOT_ALLOWED') return ['allow', this.match.methods.join(', ')];
    // What is left of the body would have to be read to keep the connection.
    if (error.code === 'CARTON_INGRESS_BODY_TOO_LARGE') return ['connection', 'close'];
    return [];
  }

  #check(): void {
    const { spec, methods } = this.match;
    const method = this.head.method === 'HEAD' ? 'GET' : this.head.method;
    if (!methods.includes(method)) {
      throw new CartonError('CARTON_INGRESS_METHOD_NOT_ALLOWED', { of: `function "${spec.name}"`, expected: methods.join(' or '), got: this.head.method });
    }
    checkOrigin(this.#host.config, this.head.method, this.head.headers);
    if (this.match.needsBody) this.#checkBody();
    this.#host.dispatcher.admit(spec);
  }

  #checkBody(): void {
    const { spec } = this.match;
    const type = this.head.headers['content-type'];
    if (type === undefined || !JSON_MEDIA.test(type)) {
      throw new CartonError('CARTON_INGRESS_UNSUPPORTED_MEDIA_TYPE', { expected: 'application/json in UTF-8', got: type ?? 'no content type' });
    }
    const encoding = this.head.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      throw new CartonError('CARTON_INGRESS_UNSUPPORTED_MEDIA_TYPE', { expected: 'a body without content encoding', got: encoding });
    }
    if (Number(this.head.headers['content-length'] ?? 0) > spec.bodyLimitBytes) throw this.#tooLarge();
  }

  #tooLarge(): CartonError {
    const { spec } = this.match;
    return new CartonError('CARTON_INGRESS_BODY_TOO_LARGE', { of: `function "${spec.name}"`, expected: `at most ${spec.bodyLimitBytes} bytes` });
  }

  /** Reads a small body whole; a larger one is streamed on as soon as that is clear. */
  #takeBody(user: unknown): void {
    if (this.#ended) return;
    if (!this.match.needsBody) return this.#send(user, Buffer.alloc(0));
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > this.match.spec.bodyLimitBytes) {
        stop();
        return this.fail(this.#tooLarge());
      }
      if (bytes <= LIMITS.inlineBodyBytes) return;
      stop();
      this.#stream(user, chunks);
    };
    const onEnd = (): void => {
      stop();
      this.#send(user, chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes));
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
      this.fail(this.#tooLarge());
    };
    this.#send(user, this.#feed);
  }

  #send(user: unknown, body: Buffer | BodyFeed): void {
    if (this.#ended) return;
    const { spec } = this.match;
    try {
      const request: OneapiRequest = {
        function: spec.name,
        trigger: this.match.trigger,
        args: this.match.args(this.head),
        id: this.id,
        trace: traceOf(this.head.headers.traceparent as string | undefined, this.head.headers.tracestate as string | undefined),
        user,
        streamFormat: this.head.headers.accept?.includes('text/event-stream') === true ? 'sse' : 'ndjson',
      };
      this.#dispatch = this.#host.dispatcher.dispatch(request, body, this.startedAt + spec.timeoutMs, this.answer);
    } catch (error) {
      this.fail(error);
    }
  }

  #onAnswered(error: CartonError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#host.answered(this, error);
  }

  /** The connection is gone, or the answer is complete. */
  #onClosed(): void {
    this.#host.closed();
    if (this.response.writableFinished) return;
    this.#feed?.abort(new CartonError('CARTON_INGRESS_BODY_ABORTED', { of: `function "${this.match.spec.name}"` }));
    this.#dispatch?.cancel();
    this.#onAnswered(new CartonError('CARTON_INGRESS_CALLER_GONE', { of: `function "${this.match.spec.name}"` }));
  }
}
