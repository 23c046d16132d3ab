/**
 * The ingress: takes the requests for functions out of an app worker's HTTP server before Egg builds a context. All
 * other requests reach the application as they came.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CartonError } from '../support/errors';
import type { HostEnvironment } from '../support/host_environment';
import { Metrics, type FunctionCounts } from '../observe/metrics';
import { HttpTrigger } from '../trigger/http';
import { OneapiTrigger } from '../trigger/oneapi';
import type { Match, RequestHead } from '../trigger/trigger';
import type { FunctionSpec } from '../spec/types';
import { Answer } from './answer';
import type { Dispatcher } from './dispatcher';
import { Exchange, type ExchangeHost } from './exchange';
import { corsHeaders, preflight } from './origin';
import type { UserOptions } from './user';

/** One line of the access log. */
export interface AccessRecord {
  readonly method: string;
  readonly path: string;
  readonly function: string;
  readonly status: number;
  /** Undefined for success. */
  readonly code: string | undefined;
  /** From the head's arrival to the first byte of the answer. */
  readonly latencyMs: number;
  /** Whether it waited for an instance. */
  readonly waited: boolean;
  readonly invocation: string;
  readonly peer: string;
}

export interface IngressOptions {
  readonly environment: HostEnvironment;
  readonly dispatcher: Dispatcher;
  readonly user: UserOptions;
  /** Undefined where the access log is off. */
  readonly access: ((record: AccessRecord) => void) | undefined;
}

export class Ingress {
  readonly #options: IngressOptions;
  readonly #host: ExchangeHost;
  readonly #metrics = new Metrics();
  #oneapi: OneapiTrigger;
  #http: HttpTrigger;
  #open = 0;

  constructor(options: IngressOptions) {
    const { environment, dispatcher, user } = options;
    this.#options = options;
    this.#host = {
      config: environment.config.ingress,
      clock: environment.clock,
      dispatcher,
      user,
      answered: (exchange, error) => this.#answered(exchange, error),
      closed: () => {
        this.#open -= 1;
        dispatcher.ended();
      },
    };
    this.#oneapi = new OneapiTrigger(environment.config.ingress.oneapiPath, []);
    this.#http = new HttpTrigger([]);
  }

  /** Exchanges whose answer is not complete. */
  get open(): number {
    return this.#open;
  }

  get metrics(): Record<string, FunctionCounts> {
    return this.#metrics.snapshot();
  }

  setFunctions(functions: readonly FunctionSpec[]): void {
    this.#oneapi = new OneapiTrigger(this.#host.config.oneapiPath, functions);
    this.#http = new HttpTrigger(functions);
  }

  /** Takes the request if it is for a function; false leaves it untouched. */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    const head = headOf(request);
    try {
      const match = this.#oneapi.match(head.path) ?? this.#http.match(head.method, head.path);
      if (match === undefined) return false;
      this.#begin(request, response, head, match);
    } catch (error) {
      if (!(error instanceof CartonError)) throw error;
      void this.#unmatched(request, response, head, error);
    }
    return true;
  }

  #begin(request: IncomingMessage, response: ServerResponse, head: RequestHead, match: Match): void {
    const { cors } = this.#host.config;
    const granted = preflight(cors, head.method, head.headers, match.methods);
    if (granted !== undefined) {
      response.writeHead(204, granted);
      response.end();
      return;
    }
    this.#open += 1;
    new Exchange(this.#host, request, response, head, match, corsHeaders(cors, head.headers)).run();
  }

  /** No function has this name: in development it may have been written a moment ago. */
  async #unmatched(request: IncomingMessage, response: ServerResponse, head: RequestHead, error: CartonError): Promise<void> {
    const { environment, dispatcher } = this.#options;
    const headers = corsHeaders(this.#host.config.cors, head.headers);
    if (environment.development && error.code === 'CARTON_INGRESS_UNKNOWN_FUNCTION') {
      try {
        await dispatcher.refresh();
        const match = this.#oneapi.match(head.path);
        if (match !== undefined) return this.#begin(request, response, head, match);
      } catch (again) {
        environment.log.debug(`after looking at the files again: ${String(again)}`);
      }
    }
    new Answer(response, 'ndjson', headers, undefined, () => undefined).failed(error);
  }

  #answered(exchange: Exchange, error: CartonError | undefined): void {
    const latencyMs = this.#host.clock.now() - exchange.startedAt;
    const { name } = exchange.match.spec;
    this.#metrics.record({ function: name, latencyMs, waited: exchange.waited, errorCode: error?.code });
    this.#options.access?.({
      method: exchange.head.method,
      path: exchange.head.path,
      function: name,
      status: error?.status ?? exchange.response.statusCode,
      code: error?.code,
      latencyMs: Math.round(latencyMs * 1000) / 1000,
      waited: exchange.waited,
      invocation: exchange.id.toString('hex'),
      peer: exchange.request.socket.remoteAddress ?? '',
    });
  }
}

function headOf(request: IncomingMessage): RequestHead {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  return {
    method: request.method ?? 'GET',
    path: mark === -1 ? url : url.slice(0, mark),
    query: mark === -1 ? '' : url.slice(mark + 1),
    headers: request.headers,
  };
}
