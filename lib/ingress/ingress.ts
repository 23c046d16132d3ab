/**
 * The ingress: takes the requests for functions out of an app worker's HTTP server before Egg builds a context. All
 * other requests reach the application as they came.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CartonError, describe } from '../support/errors';
import type { HostEnvironment } from '../support/host_environment';
import type { Recorder } from '../observe/recorder';
import { HttpTrigger } from '../trigger/http';
import { OneapiTrigger } from '../trigger/oneapi';
import { headOf, type Match, type RequestHead } from '../trigger/trigger';
import type { FunctionSpec } from '../spec/types';
import { Answer, type AnswerOwner } from './answer';
import type { Dispatcher } from './dispatcher';
import { Exchange, type ExchangeHost } from './exchange';
import { corsHeaders, isPreflight, preflightHeaders } from './origin';
import { SpecFiles } from './spec_files';
import type { UserOptions } from './user';

/** One line of the access log. */
export interface AccessRecord {
  readonly method: string;
  /** Without its query, which may hold what is not for logs. */
  readonly path: string;
  /** Empty where no function has the address. */
  readonly function: string;
  readonly status: number;
  /** Undefined for success. */
  readonly code: string | undefined;
  /** Milliseconds from the head's arrival to the first byte of the answer. */
  readonly latencyMs: number;
  /** Milliseconds from the head's arrival to the last byte of the answer. */
  readonly durationMs: number;
  /** Whether it waited for an instance. */
  readonly waited: boolean;
  readonly invocation: string | undefined;
  readonly peer: string;
}

export interface IngressOptions {
  readonly environment: HostEnvironment;
  readonly dispatcher: Dispatcher;
  readonly recorder: Recorder;
  readonly user: UserOptions;
  /** Undefined where the access log is off. */
  readonly access: ((record: AccessRecord) => void) | undefined;
}

const NOBODY: AnswerOwner = Object.freeze({ invocation: undefined, answered: () => undefined });

/** What a caller is told to wait while this worker has not heard of the functions yet. */
const FIRST_SPECS_RETRY_MS = 1000;

export class Ingress {
  readonly #options: IngressOptions;
  readonly #host: ExchangeHost;
  #oneapi: OneapiTrigger;
  #http: HttpTrigger;
  #open = 0;
  /** In development only. */
  readonly #files: SpecFiles | undefined;
  #settling: Promise<void> | undefined;

  constructor(options: IngressOptions) {
    const { environment, dispatcher, user } = options;
    this.#options = options;
    this.#host = { config: environment.config.ingress, clock: environment.clock, dispatcher, user, closed: (exchange) => this.#closed(exchange) };
    this.#oneapi = new OneapiTrigger(environment.config.ingress.oneapiPath, []);
    this.#http = new HttpTrigger([]);
    this.#files = environment.development ? new SpecFiles(environment.application.baseDir, environment.config) : undefined;
  }

  /** Exchanges whose answer is not complete. */
  get open(): number {
    return this.#open;
  }

  setFunctions(functions: readonly FunctionSpec[]): void {
    this.#oneapi = new OneapiTrigger(this.#host.config.oneapiPath, functions);
    this.#http = new HttpTrigger(functions);
  }

  /**
   * In development: functions or their specs have been edited, and the agent looks at them. A request that comes
   * meanwhile is to be offered to `take` only afterwards. Undefined: at once.
   */
  settle(): Promise<void> | undefined {
    if (this.#files?.changed() !== true) return this.#settling;
    const settling = this.#look().finally(() => {
      if (this.#settling === settling) this.#settling = undefined;
    });
    this.#settling = settling;
    return settling;
  }

  /** Without an agent the functions stay as they are. */
  async #look(): Promise<void> {
    try {
      await this.#options.dispatcher.refresh();
    } catch (error) {
      this.#options.environment.log.debug(`the agent cannot look at the files: ${describe(error)}`);
    }
  }

  /** Takes the request if it is for a function; false leaves it untouched. */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    const head = headOf(request);
    try {
      if (head.method === 'OPTIONS' && this.#answerPreflight(head, response)) return true;
      const match = this.#oneapi.match(head.path) ?? this.#http.match(head.method, head.path);
      if (match === undefined) return false;
      this.#begin(request, response, head, match);
    } catch (error) {
      if (!(error instanceof CartonError)) throw error;
      // A worker that has not heard of any function yet cannot say that there is none of this name.
      const told = this.#options.dispatcher.revision === '' ? new CartonError('CARTON_SCHEDULER_UNAVAILABLE', { retryAfterMs: FIRST_SPECS_RETRY_MS }) : error;
      void this.#unmatched(request, response, head, told);
    }
    return true;
  }

  /** With CORS off, `OPTIONS` for an http trigger is the application's, as everything else that no function has. */
  #answerPreflight(head: RequestHead, response: ServerResponse): boolean {
    const { cors } = this.#host.config;
    if (cors === null || !isPreflight(head.headers)) return false;
    const methods = this.#oneapi.match(head.path)?.methods ?? this.#http.methodsOf(head.path);
    if (methods.length === 0) return false;
    response.writeHead(204, preflightHeaders(cors, head.headers, methods));
    response.end();
    return true;
  }

  #begin(request: IncomingMessage, response: ServerResponse, head: RequestHead, match: Match): void {
    if (this.#host.dispatcher.isDraining) response.shouldKeepAlive = false;
    this.#open += 1;
    new Exchange(this.#host, request, response, head, match, corsHeaders(this.#host.config.cors, head.headers)).run();
  }

  /** No function has this name: in development it may have been written a moment ago. */
  async #unmatched(request: IncomingMessage, response: ServerResponse, head: RequestHead, error: CartonError): Promise<void> {
    const { environment, dispatcher } = this.#options;
    if (environment.development && error.code === 'CARTON_INGRESS_UNKNOWN_FUNCTION') {
      try {
        await dispatcher.refresh();
        const match = this.#oneapi.match(head.path);
        if (match !== undefined) return this.#begin(request, response, head, match);
      } catch (again) {
        environment.log.debug(`after looking at the files again: ${String(again)}`);
      }
    }
    new Answer(response, 'ndjson', corsHeaders(this.#host.config.cors, head.headers), NOBODY).failed(error);
    this.#options.access?.({
      ...about(request, head), function: '', status: error.status, code: error.code, latencyMs: 0, durationMs: 0, waited: false, invocation: undefined,
    });
  }

  #closed(exchange: Exchange): void {
    this.#open -= 1;
    this.#host.dispatcher.ended();
    this.#options.recorder.record(exchange);
    if (this.#options.access === undefined) return;
    const { record, request, head } = exchange;
    this.#options.access({
      ...about(request, head),
      function: record.function,
      status: record.status,
      code: record.errorCode,
      latencyMs: rounded(record.latencyMs),
      durationMs: rounded(record.durationMs),
      waited: record.waited,
      invocation: record.invocation,
    });
  }
}

function about(request: IncomingMessage, head: RequestHead): Pick<AccessRecord, 'method' | 'path' | 'peer'> {
  return { method: head.method, path: head.path, peer: request.socket.remoteAddress ?? '' };
}

/** To microseconds. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
