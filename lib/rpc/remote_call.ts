/**
 * A remote call, from the side that makes it.
 */
import type { Timer } from '../support/clock';
import { CartonError, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { METHOD } from '../protocol/control';
import { FRAME, STREAM_FOLLOWS } from '../protocol/frame';
import { decodeResult, encodeCall, RESULT } from '../protocol/remote';
import type { CallSink, OutgoingCall } from './outgoing_call';
import type { Remote } from './remote';
import { thrownFromWire } from './remote_errors';
import { emptyScope, isLate, type Scope } from './remote_scope';
import { Beginning, givesBytes, ReceivedBytes, ReceivedValues, sendAll, type Received } from './remote_streams';

export interface CallOptions {
  /** Milliseconds until the result, or until its stream begins. @default any time */
  readonly timeoutMs?: number;
  /** Takes the call back. One among the arguments does so, too. */
  readonly signal?: AbortSignal;
  /** 25 bytes: trace id, span id, flags. */
  readonly trace?: Buffer;
}

type Request = readonly [target: string | number, method: string, args: readonly unknown[]];

/** See `Remote.call`. */
export function callRemote(remote: Remote, request: Request, options: CallOptions): Promise<unknown> {
  return new Promise((resolve, reject) => new Outgoing(remote, options, { resolve, reject }).send(request));
}

interface Settle {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

class Outgoing implements CallSink {
  readonly #remote: Remote;
  readonly #options: CallOptions;
  readonly #settle: Settle;
  readonly #scope: Scope = emptyScope();
  #call: OutgoingCall | undefined;
  #timer: Timer | undefined;
  #signals: AbortSignal[] = [];
  /** A result that is larger than a frame comes as a stream. */
  #large: { readonly kind: number; readonly bytes: Beginning } | undefined;
  #stream: Received | undefined;
  /** Of the stream among the arguments. */
  readonly #sending = new AbortController();

  constructor(remote: Remote, options: CallOptions, settle: Settle) {
    this.#remote = remote;
    this.#options = options;
    this.#settle = settle;
  }

  send(request: Request): void {
    try {
      const value = this.#remote.encode(request, this.#scope);
      if (value.length > LIMITS.remoteValueBytes) throw new CartonError('CARTON_RPC_VALUE_TOO_LARGE', { expected: `arguments of at most ${LIMITS.remoteValueBytes} bytes`, got: `${value.length}` });
      this.#watch();
      this.#open(value);
    } catch (error) {
      this.#fail(error);
    }
  }

  onReply(payload: Buffer, streamFollows: boolean): void {
    const { kind, value } = decodeResult(payload, streamFollows);
    if (typeof value === 'number') {
      this.#large = { kind, bytes: new Beginning(value) };
      return;
    }
    if (!streamFollows) return this.#finish(kind, value);
    this.#stopWatching();
    const takeBack = (): void => this.#takeBack();
    this.#stream = kind === RESULT.bytes ? new ReceivedBytes(takeBack) : new ReceivedValues((bytes) => this.#remote.decode(bytes, this.#scope), takeBack);
    this.#stream.receiver = this.#call?.received;
    this.#settle.resolve(this.#stream);
  }

  onData(chunk: Buffer): void {
    if (this.#stream !== undefined) return this.#stream.accept(chunk);
    this.#call?.received?.consumed(chunk.length);
    const rest = this.#large?.bytes.push(chunk) ?? chunk;
    if (rest.length > 0) throw new CartonError('CARTON_RPC_BAD_FRAME', { of: 'a result', expected: 'as many bytes as it said', got: 'more' });
  }

  onEnd(error: WireError | undefined): void {
    if (this.#stream !== undefined) {
      this.#stream.finish(error && thrownFromWire(error));
      return this.#end();
    }
    const value = this.#large?.bytes.whole;
    if (error !== undefined) return this.#fail(thrownFromWire(error));
    if (value === undefined) return this.#fail(new CartonError('CARTON_RPC_BAD_FRAME', { of: 'a result', expected: 'as many bytes as it said', got: 'less' }));
    this.#finish(this.#large?.kind ?? RESULT.value, value);
  }

  onFail(error: WireError): void {
    this.#fail(thrownFromWire(error));
  }

  onNack(): void {
    this.#fail(new CartonError('CARTON_RUNTIME_BUSY'));
  }

  onClosed(): void {
    const error = new CartonError('CARTON_RPC_CLOSED');
    this.#stream?.finish(error);
    this.#fail(error);
  }

  #open(value: Buffer): void {
    const { session, clock } = this.#remote;
    const { sent } = this.#scope;
    const { timeoutMs, trace } = this.#options;
    const isLarge = value.length > LIMITS.inlineBodyBytes;
    const bodyFollows = isLarge || sent !== undefined;
    const call = session.open(this, bodyFollows);
    this.#call = call;
    session.send(FRAME.call, METHOD.remote | (bodyFollows ? STREAM_FOLLOWS : 0), call.id, encodeCall({ remainingMs: timeoutMs, trace, value: isLarge ? value.length : value }));
    if (isLarge) call.body?.write(value);
    if (sent === undefined) call.body?.end();
    else if (call.body !== undefined) void sendAll(sent, call.body, { encode: givesBytes(sent) ? undefined : (item) => this.#remote.encode(item, this.#scope), signal: this.#sending.signal });
    if (timeoutMs !== undefined) this.#timer = clock.after(timeoutMs, () => this.#late(timeoutMs));
  }

  #watch(): void {
    for (const signal of new Set([this.#options.signal, this.#scope.signal])) {
      if (signal === undefined) continue;
      signal.throwIfAborted();
      signal.addEventListener('abort', this.#aborted);
      this.#signals.push(signal);
    }
  }

  readonly #aborted = (event: Event): void => {
    this.#takeBack();
    this.#fail((event.target as AbortSignal).reason);
  };

  #late(timeoutMs: number): void {
    this.#takeBack();
    this.#fail(new CartonError('CARTON_RPC_DEADLINE', { expected: `within ${timeoutMs} ms` }));
  }

  #takeBack(): void {
    this.#call?.cancel();
    this.#end();
  }

  /** Throws what is wrong with the frame. */
  #finish(kind: number, bytes: Buffer): void {
    let value: unknown;
    try {
      value = this.#remote.decode(bytes, this.#scope);
    } catch (error) {
      this.#fail(error);
      if (isLate(error)) return;
      throw error;
    }
    if (kind === RESULT.error) return this.#fail(value);
    this.#end();
    this.#settle.resolve(value);
  }

  #fail(error: unknown): void {
    this.#end();
    this.#settle.reject(error);
  }

  #stopWatching(): void {
    this.#timer?.cancel();
    for (const signal of this.#signals.splice(0)) signal.removeEventListener('abort', this.#aborted);
  }

  #end(): void {
    this.#stopWatching();
    this.#scope.hasEnded = true;
    if (this.#scope.sent !== undefined) this.#sending.abort();
    this.#remote.endCallbacks(this.#scope);
  }
}
