/**
 * A remote call, from the side that serves it.
 */
import { CartonError, toWire, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { decodeCall, encodeResult, RESULT, type RemoteCallHead } from '../protocol/remote';
import type { CallListener, IncomingCall } from './incoming_call';
import type { Remote } from './remote';
import type { ServedCall } from './remote_objects';
import { thrownFromWire, thrownToWire } from './remote_errors';
import { emptyScope, isLate, type Scope } from './remote_scope';
import { Beginning, givesBytes, isStream, sendAll } from './remote_streams';

/** Throws what the peer did wrong. */
export function serveRemote(remote: Remote, call: IncomingCall): void {
  const serving = new Serving(remote, call, decodeCall(call.payload));
  call.listener = serving;
  serving.begin();
}

class Serving implements CallListener {
  readonly #remote: Remote;
  readonly #call: IncomingCall;
  readonly #head: RemoteCallHead;
  readonly #scope: Scope;
  /** Made when somebody asks for it: few do, and it costs as much as all the rest of a call. */
  #aborting: AbortController | undefined;
  #isCancelled = false;
  /** A value that is larger than a frame comes as the beginning of the body. */
  #beginning: Beginning | undefined;

  constructor(remote: Remote, call: IncomingCall, head: RemoteCallHead) {
    this.#remote = remote;
    this.#call = call;
    this.#head = head;
    this.#scope = emptyScope();
  }

  begin(): void {
    const { value } = this.#head;
    if (typeof value !== 'number') return this.#run(value);
    if (!this.#call.bodyFollows) throw bad('a body', 'none');
    this.#beginning = new Beginning(value);
  }

  onBody(chunk: Buffer): void {
    const rest = this.#beginning?.push(chunk) ?? chunk;
    this.#call.received?.consumed(chunk.length - rest.length);
    const whole = this.#beginning?.whole;
    if (whole !== undefined) {
      this.#beginning = undefined;
      this.#run(whole);
    }
    if (rest.length === 0) return;
    if (this.#scope.received === undefined) throw bad('no more than the value', `${rest.length} bytes`);
    this.#scope.received.accept(rest);
  }

  onBodyEnd(error: WireError | undefined): void {
    if (this.#beginning !== undefined && error === undefined) throw bad('as many bytes as it said', 'less');
    this.#scope.received?.finish(error && thrownFromWire(error));
  }

  onCancelled(): void {
    this.#scope.hasEnded = true;
    this.#isCancelled = true;
    this.#aborting?.abort(cancelled());
    this.#scope.received?.finish(cancelled());
    this.#remote.endObjects(this.#scope);
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  get signal(): AbortSignal {
    if (this.#aborting === undefined) {
      this.#aborting = new AbortController();
      if (this.#isCancelled) this.#aborting.abort(cancelled());
    }
    return this.#aborting.signal;
  }

  #run(bytes: Buffer): void {
    let request: unknown;
    try {
      request = this.#remote.decode(bytes, this.#scope, () => this.signal);
    } catch (error) {
      if (!isLate(error)) throw error;
      return this.#call.fail(thrownToWire(error));
    }
    if (!isRequest(request)) throw bad('a target, a method and arguments', 'something else');
    if (this.#scope.received !== undefined) {
      if (!this.#call.bodyFollows) throw bad('a body', 'none');
      this.#scope.received.receiver = this.#call.received;
    }
    void this.#answer(request);
  }

  async #answer([target, method, args]: Request): Promise<void> {
    try {
      this.#reply(await this.#remote.targetOf(target).invoke(method, args, new Served(this.#head, this)));
    } catch (error) {
      this.#replyError(error);
    }
  }

  /** Throws `CARTON_RPC_BAD_VALUE`, `CARTON_RPC_TOO_MANY_OBJECTS` or `CARTON_RPC_VALUE_TOO_LARGE`. */
  #reply(result: unknown): void {
    if (!isStream(result)) return this.#replyValue(RESULT.value, this.#remote.encode(result, this.#scope));
    const isBytes = givesBytes(result);
    const sender = this.#call.openStream(encodeResult({ kind: isBytes ? RESULT.bytes : RESULT.values, value: Buffer.alloc(0) }));
    const encode = isBytes ? undefined : (item: unknown) => this.#remote.encode(item, this.#scope);
    void sendAll(result, sender, { encode, signal: this.signal }).then(() => (this.#scope.hasEnded = true));
  }

  #replyValue(kind: number, value: Buffer): void {
    if (value.length > LIMITS.remoteValueBytes) throw new CartonError('CARTON_RPC_VALUE_TOO_LARGE', { expected: `a result of at most ${LIMITS.remoteValueBytes} bytes`, got: `${value.length}` });
    this.#scope.hasEnded = true;
    // Nobody waits for it any more.
    if (this.#isCancelled) return this.#remote.endObjects(this.#scope);
    this.#remote.replied(this.#call.id, this.#scope);
    if (value.length <= LIMITS.inlineBodyBytes) return this.#call.reply(encodeResult({ kind, value }));
    const sender = this.#call.openStream(encodeResult({ kind, value: value.length }));
    sender.write(value);
    sender.end();
  }

  #replyError(error: unknown): void {
    if (error instanceof CartonError) {
      this.#scope.hasEnded = true;
      return this.#call.fail(toWire(error));
    }
    for (const told of [() => error, () => bare(error)]) {
      try {
        return this.#replyValue(RESULT.error, this.#remote.encode(told(), emptyScope()));
      } catch {
        // It holds what cannot travel, or too much.
      }
    }
    this.#call.fail(thrownToWire(error));
  }
}

class Served implements ServedCall {
  readonly remainingMs: number | undefined;
  readonly trace: Buffer | undefined;
  readonly #serving: Serving;

  constructor({ remainingMs, trace }: RemoteCallHead, serving: Serving) {
    this.remainingMs = remainingMs;
    this.trace = trace;
    this.#serving = serving;
  }

  get isCancelled(): boolean {
    return this.#serving.isCancelled;
  }

  get signal(): AbortSignal {
    return this.#serving.signal;
  }
}

type Request = readonly [target: string | number, method: string, args: readonly unknown[]];

function isRequest(value: unknown): value is Request {
  if (!Array.isArray(value)) return false;
  const [target, method, args] = value as unknown[];
  return (typeof target === 'string' || typeof target === 'number') && typeof method === 'string' && Array.isArray(args);
}

/** Causes of causes that are told. */
const CAUSES = 8;

/** Errors of clients hold requests, sockets and the like; what says what happened is the rest. */
function bare(error: unknown, causes = CAUSES): unknown {
  if (!(error instanceof Error)) return new TypeError(`something that cannot travel was thrown: ${typeof error}`);
  const copy = Object.create(Object.getPrototypeOf(error) as object) as Error;
  for (const [key, value] of Object.entries(error)) if (!['object', 'function', 'symbol'].includes(typeof value)) Object.defineProperty(copy, key, { value, enumerable: true });
  const hidden = { name: error.name, message: error.message, stack: error.stack, ...(causes > 0 && error.cause instanceof Error && { cause: bare(error.cause, causes - 1) }) };
  for (const [key, value] of Object.entries(hidden)) if (!Object.hasOwn(copy, key)) Object.defineProperty(copy, key, { value });
  return copy;
}

function cancelled(): CartonError {
  return new CartonError('CARTON_RPC_CANCELLED');
}

function bad(expected: string, got: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { of: 'a remote call', expected, got });
}
