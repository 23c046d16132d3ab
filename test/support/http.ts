/**
 * A small HTTP client for tests on real servers: node:http with its connections kept alive, one agent per client.
 */
import http from 'node:http';

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  /** Sent as it is, or as JSON. */
  readonly body?: unknown;
  /** A connection of its own for this request: with several workers it goes to the next one in turn. */
  readonly fresh?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; throws where it is none. */
  json<T = unknown>(): T;
  /** The code of an error's answer, or undefined. */
  readonly code: string | undefined;
}

export class HttpClient {
  readonly #port: number;
  readonly #agent: http.Agent;

  constructor(port: number, maxSockets = 256) {
    this.#port = port;
    this.#agent = new http.Agent({ keepAlive: true, maxSockets });
  }

  /** Rejects where no answer came: a connection that was refused or cut. */
  request(path: string, options: RequestOptions = {}): Promise<Answer> {
    const { body } = options;
    const payload = body === undefined ? undefined : Buffer.from(Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body));
    const headers = { ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': payload.length }), ...options.headers };
    return new Promise((resolve, reject) => {
      const request = http.request({
        host: '127.0.0.1', port: this.#port, path, method: options.method ?? (payload === undefined ? 'GET' : 'POST'),
        headers, agent: options.fresh === true ? false : this.#agent,
      });
      request.once('error', reject);
      request.once('response', (response) => readAnswer(response).then(resolve, reject));
      request.end(payload);
    });
  }

  /** Calls a function by name. */
  invoke(name: string, args: readonly unknown[] = [], options: RequestOptions = {}): Promise<Answer> {
    return this.request(`/oneapi/${name}`, { ...options, method: 'POST', body: args });
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function readAnswer(response: http.IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const json = <T>(): T => JSON.parse(text) as T;
  return { status: response.statusCode ?? 0, headers: response.headers, text, json, code: codeIn(text) };
}

function codeIn(text: string): string | undefined {
  if (!text.startsWith('{"error":')) return undefined;
  return (JSON.parse(text) as { error: { code?: string } }).error.code;
}
