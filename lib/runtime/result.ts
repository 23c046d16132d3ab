/**
 * What a function returned, on its way to the caller: one JSON value, or a stream of them as server-sent events or
 * newline-delimited JSON.
 *
 * NDJSON: a line `{"data": item}` each, then `{"end": true}` or `{"error": {...}}`, so that a cut stream is told from a
 * complete one. SSE: `data: item`, then `event: end` or `event: error`.
 */
import { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { CartonError, describe, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import type { StreamFormat } from '../protocol/oneapi';
import type { StreamSender } from '../rpc/stream';

/** First byte of a REPLY that a stream follows. */
export const REPLY_KIND = Object.freeze({ value: 0, items: 1 });

/** Throws `CARTON_RUNTIME_RESULT_NOT_SERIALIZABLE` or `CARTON_RUNTIME_RESULT_TOO_LARGE`; undefined stays undefined. */
export function encodeValue(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return stringify(value);
}

/** JSON of a result or of one item of a stream. */
function stringify(value: unknown): string {
  const text = jsonOf(value);
  if (text.length > LIMITS.resultBytes) {
    throw new CartonError('CARTON_RUNTIME_RESULT_TOO_LARGE', { expected: `at most ${LIMITS.resultBytes} characters of JSON`, got: `${text.length}` });
  }
  return text;
}

function jsonOf(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new CartonError('CARTON_RUNTIME_RESULT_NOT_SERIALIZABLE', { expected: 'a JSON value', got: describe(cause).slice(0, LIMITS.errorCharacters), cause });
  }
  if (text === undefined) throw new CartonError('CARTON_RUNTIME_RESULT_NOT_SERIALIZABLE', { expected: 'a JSON value', got: value === undefined ? 'undefined' : `a ${typeof value}` });
  return text;
}

export function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** Settles once, whatever the thenable does; a real promise does so by itself. */
export function promiseOf(value: PromiseLike<unknown>): PromiseLike<unknown> {
  return value instanceof Promise ? value : Promise.resolve(value);
}

/** Closes a stream that nobody will read. An iterator of a Readable that was never asked for anything closes nothing. */
export async function closeStream(value: AsyncIterable<unknown>): Promise<void> {
  if (value instanceof Readable) value.destroy();
  else await value[Symbol.asyncIterator]().return?.();
}

/** Sends every item as the reader has room for it; returns early, and closes the source, once the reader has gone. */
export async function sendItems(items: AsyncIterable<unknown>, sender: StreamSender, format: StreamFormat): Promise<void> {
  for await (const item of asText(items)) {
    if (sender.isClosed) return;
    const line = format === 'sse' ? `data: ${stringify(item)}\n\n` : `{"data":${stringify(item)}}\n`;
    if (!sender.write(Buffer.from(line))) await drained(sender);
  }
  sender.write(Buffer.from(format === 'sse' ? 'event: end\ndata: {}\n\n' : '{"end":true}\n'));
  sender.end();
}

/** The last item of a stream that failed. */
export function errorItem(error: WireError, format: StreamFormat): Buffer {
  const body = JSON.stringify({ code: error.code, message: error.message, function: error.thrown });
  return Buffer.from(format === 'sse' ? `event: error\ndata: ${body}\n\n` : `{"error":${body}}\n`);
}

/** Sends one large JSON value in pieces. */
export async function sendValue(text: string, sender: StreamSender): Promise<void> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length && !sender.isClosed; at += LIMITS.streamChunkBytes) {
    if (!sender.write(bytes.subarray(at, at + LIMITS.streamChunkBytes))) await drained(sender);
  }
  sender.end();
}

function drained(sender: StreamSender): Promise<void> {
  return new Promise((resolve) => {
    sender.onDrain = () => {
      sender.onDrain = undefined;
      resolve();
    };
  });
}

/** Bytes become text, whole characters at a time; every other item passes. */
async function* asText(items: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  if (!(items instanceof Readable) || items.readableObjectMode) {
    yield* items;
    return;
  }
  const decoder = new StringDecoder('utf8');
  for await (const chunk of items) {
    const text = typeof chunk === 'string' ? chunk : decoder.write(chunk as Buffer);
    if (text !== '') yield text;
  }
  const rest = decoder.end();
  if (rest !== '') yield rest;
}
