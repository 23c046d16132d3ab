/**
 * Writes what became of an invocation as an HTTP answer: a JSON value, a stream, or an error from the table.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../support/clock';
import type { CartonError } from '../support/errors';
import type { StreamFormat } from '../protocol/oneapi';
import type { Receiver } from './dispatch';

/** First byte of a stream's reply: the pieces of one JSON value, or items. As `REPLY_KIND` in the instance. */
const VALUE_IN_PIECES = 0;

/** Answers up to this size leave with their head in one system call; beyond it a copy costs more than a second call. */
const ONE_WRITE_BYTES = 16 * 1024;

/**
 * Milliseconds for which the rest of a refused body is read and thrown away. A socket that is closed over unread bytes
 * is reset, and the caller might lose the answer that says what was wrong.
 */
const LINGER_MS = 2000;

const JSON_TYPE = 'application/json; charset=utf-8';
const STREAM_TYPES: Readonly<Record<StreamFormat, string>> = {
  sse: 'text/event-stream; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
};

/** Whose answer it is. */
export interface AnswerOwner {
  /** 32 hexadecimal digits; undefined where nothing was invoked. */
  readonly invocation: string | undefined;
  /** With the first byte of the answer, and once more where its stream had to be cut off. */
  answered(error: CartonError | undefined): void;
}

export class Answer implements Receiver {
  readonly #response: ServerResponse;
  readonly #format: StreamFormat;
  readonly #headers: readonly string[];
  readonly #owner: AnswerOwner;
  #unsentBytes = 0;

  /** @param headers flat list of names and values that every answer carries */
  constructor(response: ServerResponse, format: StreamFormat, headers: readonly string[], owner: AnswerOwner) {
    this.#response = response;
    this.#format = format;
    this.#headers = headers;
    this.#owner = owner;
  }

  value(json: Buffer): void {
    this.#owner.answered(undefined);
    if (json.length === 0) {
      this.#response.writeHead(204, [...this.#headers]);
      this.#response.end();
      return;
    }
    this.#response.writeHead(200, ['content-type', JSON_TYPE, 'content-length', String(json.length), ...this.#headers]);
    // Node sends head and body in one write where the body is text. Bytes as Latin-1 text come out as they were.
    if (json.length <= ONE_WRITE_BYTES) this.#response.end(json.toString('latin1'), 'latin1');
    else this.#response.end(json);
  }

  stream(kind: number): void {
    this.#owner.answered(undefined);
    const headers = kind === VALUE_IN_PIECES
      ? ['content-type', JSON_TYPE]
      : ['content-type', STREAM_TYPES[this.#format], 'cache-control', 'no-store', 'x-accel-buffering', 'no'];
    this.#response.writeHead(200, [...headers, ...this.#headers]);
    this.#response.flushHeaders();
  }

  /** One listener for all that waits: a stream of small items would else add thousands. */
  data(chunk: Buffer, consumed: (bytes: number) => void): void {
    const sent = this.#response.write(chunk);
    if (sent && this.#unsentBytes === 0) return consumed(chunk.length);
    if (this.#unsentBytes === 0) {
      this.#response.once('drain', () => {
        const bytes = this.#unsentBytes;
        this.#unsentBytes = 0;
        consumed(bytes);
      });
    }
    this.#unsentBytes += chunk.length;
  }

  /** A stream that the instance could not end itself is cut off, so that nobody takes it for complete. */
  end(error: CartonError | undefined): void {
    if (error === undefined) return void this.#response.end();
    this.#owner.answered(error);
    this.#response.destroy();
  }

  failed(error: CartonError): void {
    this.#response.end(this.#failure(error, []));
  }

  /** @param extra headers of this answer alone, as a flat list */
  fail(error: CartonError, extra: readonly string[]): void {
    this.#response.end(this.#failure(error, extra));
  }

  /** Refuses a body that is still being sent: the answer is out at once, the connection closed once the rest came. */
  failAndClose(error: CartonError, request: IncomingMessage, clock: Clock): void {
    this.#response.write(this.#failure(error, ['connection', 'close']));
    const end = (): void => void this.#response.end();
    const timer = clock.after(LINGER_MS, end);
    request.once('end', end);
    this.#response.once('close', () => timer.cancel());
    request.resume();
  }

  /** Sends the head and returns the body. */
  #failure(error: CartonError, extra: readonly string[]): Buffer {
    this.#owner.answered(error);
    const { invocation } = this.#owner;
    const body = Buffer.from(JSON.stringify({
      error: { code: error.code, message: error.message, retryable: error.retryable, invocation, function: error.thrown },
    }));
    const headers = ['content-type', JSON_TYPE, 'content-length', String(body.length), ...this.#headers, ...extra];
    if (error.retryAfterMs !== undefined) headers.push('retry-after', String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))));
    this.#response.writeHead(error.status, headers);
    return body;
  }
}
