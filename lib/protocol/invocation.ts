/**
 * The payload of an INVOKE call: a fixed head in binary, then `extra` (JSON, only where there is something to say),
 * then the body as it came. The head is binary and read lazily because most functions look at none of it, and parsing
 * JSON for each small invocation would cost more than running it.
 *
 *   0 flags u8 · 1 trigger u8 · 2 attempt u8 · 3 stream format u8 · 4 function index u16 · 6 extra bytes u32
 *   10 remaining ms u32 · 14 invocation id 16 · 30 trace id 16 · 46 span id 8 · 54 parent id 8 · 62 extra · body
 */
import { CartonError } from '../support/errors';
import { METHOD } from './control';
import { decodeExtra, type Extra } from './extra';
import { copiedBytes, FRAME, FrameWriter, HEADER_BYTES, STREAM_FOLLOWS } from './frame';
import { STREAM_FORMATS, TRIGGER_TYPES, type OneapiRequest, type StreamFormat, type TriggerType } from './oneapi';

const HEAD_BYTES = 62;
/** Where the head says how long `extra` is. */
const EXTRA_LENGTH_AT = 6;
const SAMPLED = 1;
/** An attempt's number is one byte; after so many, more of them tell nobody anything. */
const MAX_ATTEMPT = 255;
/** The longest that a timer of Node can wait; above it, it would not wait at all. */
const MAX_REMAINING_MS = 2 ** 31 - 1;

/** One attempt at an invocation. */
export interface Invoke {
  readonly request: OneapiRequest;
  /** As `encodeExtra` made it. */
  readonly extra: Buffer | undefined;
  readonly functionIndex: number;
  /** 1 for the first try. */
  readonly attempt: number;
  readonly remainingMs: number;
  /** The body, or undefined where it follows as a stream. */
  readonly body: Buffer | undefined;
}

/** Writes the whole CALL frame of an invocation. */
export function writeInvoke(writer: FrameWriter, callId: number, invoke: Invoke): void {
  const { request, extra, body } = invoke;
  if (extra !== undefined && copiedBytes(extra) === 0) return writeLargeExtra(writer, callId, invoke);
  const reserve = HEAD_BYTES + (extra?.length ?? 0) + (body === undefined ? 0 : copiedBytes(body));
  writer.begin(FRAME.call, METHOD.invoke | (body === undefined ? STREAM_FOLLOWS : 0), callId, reserve);
  writer.u8(request.trace.sampled ? SAMPLED : 0);
  writer.u8(TRIGGER_TYPES.indexOf(request.trigger));
  writer.u8(Math.min(MAX_ATTEMPT, invoke.attempt));
  writer.u8(STREAM_FORMATS.indexOf(request.streamFormat));
  writer.u16(invoke.functionIndex);
  writer.u32(extra?.length ?? 0);
  writer.u32(Math.min(MAX_REMAINING_MS, Math.max(0, Math.ceil(invoke.remainingMs))));
  writer.bytes(request.id);
  writer.bytes(request.trace.traceId);
  writer.bytes(request.trace.spanId);
  writer.bytes(request.trace.parentId);
  if (extra !== undefined) writer.bytes(extra);
  if (body !== undefined) writer.bytes(body);
  writer.end();
}

/** `FrameWriter.bytes` lets a large part be a frame's last only: a large `extra` goes out as one with the body. */
function writeLargeExtra(writer: FrameWriter, callId: number, invoke: Invoke): void {
  const small = new FrameWriter();
  const extra = invoke.extra as Buffer;
  writeInvoke(small, callId, { ...invoke, extra: undefined, body: invoke.body && Buffer.alloc(0) });
  const head = Buffer.concat(small.take()).subarray(HEADER_BYTES);
  head.writeUInt32LE(extra.length, EXTRA_LENGTH_AT);
  writer.frame(FRAME.call, METHOD.invoke | (invoke.body === undefined ? STREAM_FOLLOWS : 0), callId, Buffer.concat([head, extra, invoke.body ?? Buffer.alloc(0)]));
}

const NO_EXTRA: Extra = Object.freeze({});

/** A received invocation: sizes and numbers are checked at once, all else is decoded when it is read. */
export class InvokePayload {
  readonly #bytes: Buffer;
  readonly #extraBytes: number;
  #extra: Extra | undefined;

  /** Throws `CARTON_RPC_BAD_FRAME`. */
  constructor(bytes: Buffer) {
    if (bytes.length < HEAD_BYTES) throw badInvoke(`a head of ${HEAD_BYTES} bytes`, `${bytes.length} bytes`);
    this.#bytes = bytes;
    this.#extraBytes = bytes.readUInt32LE(EXTRA_LENGTH_AT);
    if (HEAD_BYTES + this.#extraBytes > bytes.length) throw badInvoke('extra within the frame', `${this.#extraBytes} bytes of it`);
    if ((bytes[1] as number) >= TRIGGER_TYPES.length) throw badInvoke('a known trigger', `number ${bytes[1] as number}`);
    if ((bytes[3] as number) >= STREAM_FORMATS.length) throw badInvoke('a known stream format', `number ${bytes[3] as number}`);
    if (this.remainingMs > MAX_REMAINING_MS) throw badInvoke(`at most ${MAX_REMAINING_MS} ms`, `${this.remainingMs} ms`);
  }

  get sampled(): boolean {
    return ((this.#bytes[0] as number) & SAMPLED) !== 0;
  }

  get trigger(): TriggerType {
    return TRIGGER_TYPES[this.#bytes[1] as number] as TriggerType;
  }

  get attempt(): number {
    return this.#bytes[2] as number;
  }

  get streamFormat(): StreamFormat {
    return STREAM_FORMATS[this.#bytes[3] as number] as StreamFormat;
  }

  get functionIndex(): number {
    return this.#bytes.readUInt16LE(4);
  }

  get remainingMs(): number {
    return this.#bytes.readUInt32LE(10);
  }

  /** 32 hexadecimal digits. */
  get id(): string {
    return this.#bytes.toString('hex', 14, 30);
  }

  get traceId(): string {
    return this.#bytes.toString('hex', 30, 46);
  }

  get spanId(): string {
    return this.#bytes.toString('hex', 46, 54);
  }

  get parentId(): string {
    return this.#bytes.toString('hex', 54, 62);
  }

  /** Throws `CARTON_RPC_BAD_FRAME` at its first use. */
  get extra(): Extra {
    this.#extra ??= this.#extraBytes === 0 ? NO_EXTRA : decodeExtra(this.#bytes.toString('utf8', HEAD_BYTES, HEAD_BYTES + this.#extraBytes));
    return this.#extra;
  }

  get hasExtra(): boolean {
    return this.#extraBytes > 0;
  }

  get body(): Buffer {
    return this.#bytes.subarray(HEAD_BYTES + this.#extraBytes);
  }
}

function badInvoke(expected: string, got: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { of: 'invocation', expected, got });
}
