/**
 * Writes what became of an invocation as an HTTP answer: a JSON value, a stream, or an error from the table.
 */
import type { ServerResponse } from 'node:http';
import type { CartonError } from '../support/errors';
import type { StreamFormat } from '../protocol/oneapi';
import type { Receiver } from './dispatch';

/** First byte of a stream's reply: the pieces of one JSON value, or items. As `REPLY_KIND` in the instance. */
const VALUE_IN_PIECES = 0;

/** Answers up to this size leave with their head in one system call; beyond it a copy costs more than a second call. */
const ONE_WRITE_BYTES = 16 * 1024;

const JSON_TYPE = 'application/json; charset=utf-8';
const STREAM_TYPES: Readonly<Record<StreamFormat, string>> = {
  sse: 'text/event-stream; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
};

export class Answer implements Receiver {
  readonly #response: ServerResponse;
  readonly #format: StreamFormat;
  readonly #headers: readonly string[];
  readonly #done: (error: CartonError | undefined) => void;
  readonly #invocation: string | undefined;

  /**
   * @param headers flat list of names and values that every answer carries
   * @param done called once, with the first byte of an answer that has a head, or with its error
   */
  constructor(response: ServerResponse, format: StreamFormat, headers: readonly string[], invocation: string | undefined, done: (error: CartonError | undefined) => void) {
    this.#response = response;
    this.#format = format;
    this.#headers = headers;
    this.#invocation = invocation;
    this.#done = done;
  }

  value(json: Buffer): void {
    if (json.length === 0) {
      this.#response.writeHead(204, [...this.#headers]);
      this.#response.end();
    } else {
      this.#response.writeHead(200, ['content-type', JSON_TYPE, 'content-length', String(json.length), ...this.#headers]);
      // Node sends head and body in one write where the body is text. Bytes as Latin-1 text come out as they were.
      if (json.length <= ONE_WRITE_BYTES) this.#response.end(json.toString('latin1'), 'latin1');
      else this.#response.end(json);
    }
    this.#done(undefined);
  }

  stream(kind: number): void {
    const headers = kind === VALUE_IN_PIECES
      ? ['content-type', JSON_TYPE]
      : ['content-type', STREAM_TYPES[this.#format], 'cache-control', 'no-store', 'x-accel-buffering', 'no'];
    this.#response.writeHead(200, [...headers, ...this.#headers]);
    this.#response.flushHeaders();
    this.#done(undefined);
  }

  data(chunk: Buffer, consumed: (bytes: number) => void): void {
    if (this.#response.write(chunk)) return consumed(chunk.length);
    this.#response.once('drain', () => consumed(chunk.length));
  }

  /** A stream that the instance could not end itself is cut off, so that nobody takes it for complete. */
  end(error: CartonError | undefined): void {
    if (error === undefined) this.#response.end();
    else this.#response.destroy();
  }

  failed(error: CartonError): void {
    this.fail(error, []);
  }

  /** @param extra headers of this answer alone, as a flat list */
  fail(error: CartonError, extra: readonly string[]): void {
    const body = Buffer.from(JSON.stringify({
      error: { code: error.code, message: error.message, retryable: error.retryable, invocation: this.#invocation, function: error.thrown },
    }));
    const headers = ['content-type', JSON_TYPE, 'content-length', String(body.length), ...this.#headers, ...extra];
    if (error.retryAfterMs !== undefined) headers.push('retry-after', String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))));
    this.#response.writeHead(error.status, headers);
    this.#response.end(body);
    this.#done(error);
  }
}
