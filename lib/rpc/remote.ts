/**
 * Calls from object to object over a session. One side offers objects by name; the other calls their methods with values
 * that travel (lib/protocol/value.ts), callbacks, a stream and a signal among them, and gets back values, streams, or
 * objects that stay where they are. Each side has one of these for each session. It runs in instances and sidecars.
 *
 * Guarantees, each with a test that names it:
 * 1. Every call settles exactly once: with its result, with what was thrown, or with a code that says why neither came.
 * 2. Nothing is sent twice: what failed on its way may have had its effect, and only the caller knows if that matters.
 * 3. A callback can be called until the call that brought it has ended, an object until either side ends it. What comes
 *    later is refused with `CARTON_RPC_OBJECT_GONE`, and the session lives on.
 * 4. With the session all its objects end, at both sides, each once, and its callers hear `CARTON_RPC_CLOSED`.
 * 5. A peer that breaks a limit or the protocol loses its session, and nothing else happens to this process.
 */
import type { Clock } from '../support/clock';
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { METHOD } from '../protocol/control';
import { REFERENCE } from '../protocol/remote';
import { decodeValue, encodeValue, type Reference } from '../protocol/value';
import type { IncomingCall } from './incoming_call';
import { callRemote, type CallOptions } from './remote_call';
import { withCaller } from './remote_errors';
import { Held, HeldObjects, type Target } from './remote_objects';
import type { Scope } from './remote_scope';
import { serveRemote } from './remote_serve';
import { givesBytes, isStream, ReceivedBytes, ReceivedValues } from './remote_streams';
import type { Session, SessionHandlers } from './session';

export interface RemoteOptions {
  /** What the peer may call by name. @default nothing */
  readonly offers?: (name: string) => Target | undefined;
  readonly onClosed?: (error: CartonError | undefined) => void;
  readonly clock: Clock;
}

/** An object that lives in the other process. */
export class RemoteObject {
  constructor(
    readonly remote: Remote,
    readonly id: number,
    /** What the other side said of it. */
    readonly data: unknown,
  ) {}

  call(method: string, args: readonly unknown[], options?: CallOptions): Promise<unknown> {
    return this.remote.call(this.id, method, args, options);
  }

  /** It is not used any more. */
  end(): void {
    this.remote.endRemote(this.id);
  }
}

export class Remote {
  readonly session: Session;
  readonly clock: Clock;
  readonly held = new HeldObjects();
  readonly #options: RemoteOptions;
  /** Objects that the latest replies have handed out, by their calls. */
  readonly #replied = new Map<number, readonly number[]>();
  /** Whoever loses an object without ending it must not hold it in the other process for ever. */
  readonly #lost = new FinalizationRegistry<number>((id) => this.endRemote(id));

  constructor(session: Session, options: RemoteOptions) {
    this.session = session;
    this.clock = options.clock;
    this.#options = options;
  }

  /** For the session that it is over. */
  get handlers(): SessionHandlers {
    return {
      onCall: (call) => this.#onCall(call),
      onEvent: (method, payload) => this.#onEvent(method, payload),
      onLateCancel: (callId) => {
        for (const id of this.#replied.get(callId) ?? []) this.held.end(id);
        this.#replied.delete(callId);
      },
      onClosed: (error) => {
        this.held.endAll();
        this.#options.onClosed?.(error);
      },
    };
  }

  /**
   * Calls a method of what the peer offers by that name, or of an object of its by id. Rejects with what was thrown
   * there, `CARTON_RPC_BAD_VALUE`, `CARTON_RPC_CANCELLED` or the reason of the signal, `CARTON_RPC_CLOSED`,
   * `CARTON_RPC_DEADLINE`, `CARTON_RPC_NO_METHOD`, `CARTON_RPC_NO_TARGET`, `CARTON_RPC_OBJECT_GONE`,
   * `CARTON_RPC_TOO_MANY_CALLS`, `CARTON_RPC_TOO_MANY_OBJECTS` or `CARTON_RPC_VALUE_TOO_LARGE`.
   */
  async call(target: string | number, method: string, args: readonly unknown[], options: CallOptions = {}): Promise<unknown> {
    try {
      return await callRemote(this, [target, method, args], options);
    } catch (error) {
      // Whoever awaits this shows in a stack that is taken now; to take one before each call would be a third of its cost.
      const from = {};
      Error.captureStackTrace(from, this.call);
      throw withCaller(error, from);
    }
  }

  /** The peer need not hold that object any longer. */
  endRemote(id: number): void {
    if (this.session.isClosed) return;
    const payload = Buffer.allocUnsafe(4);
    payload.writeUInt32LE(id);
    this.session.event(METHOD.release, payload);
  }

  /** By name, or by the id of one that is held. Throws `CARTON_RPC_NO_TARGET` or `CARTON_RPC_OBJECT_GONE`. */
  targetOf(target: string | number): Target {
    const found = typeof target === 'string' ? this.#options.offers?.(target) : this.held.get(target)?.target;
    if (found !== undefined) return found;
    throw typeof target === 'string' ? new CartonError('CARTON_RPC_NO_TARGET', { got: target.slice(0, 100) }) : new CartonError('CARTON_RPC_OBJECT_GONE');
  }

  /** Throws `CARTON_RPC_BAD_VALUE` or `CARTON_RPC_TOO_MANY_OBJECTS`. */
  encode(value: unknown, scope: Scope): Buffer {
    return encodeValue(value, (object) => this.#refer(object, scope));
  }

  /** `signal`: of the call that they are the arguments of. Throws `CARTON_RPC_BAD_FRAME`, or `CARTON_RPC_OBJECT_GONE` for an object of this side's that has ended. */
  decode(bytes: Buffer, scope: Scope, signal?: () => AbortSignal): unknown {
    return decodeValue(bytes, (reference) => (reference.kind === REFERENCE.signal ? signal?.() : this.#resolve(reference, scope)));
  }

  endCallbacks({ callbacks }: Scope): void {
    for (const id of callbacks) this.held.end(id);
  }

  /** A call that has handed them out was taken back: its caller will never know of them. */
  endObjects({ objects }: Scope): void {
    for (const id of objects.splice(0)) this.held.end(id);
  }

  /** The call has ended with a reply that hands out objects, which may cross its cancellation on the way. */
  replied(callId: number, { objects }: Scope): void {
    if (objects.length === 0) return;
    this.#replied.set(callId, [...objects]);
    const [oldest] = this.#replied.keys();
    if (this.#replied.size > LIMITS.repliesOnTheWay) this.#replied.delete(oldest as number);
  }

  #handOut(held: Held, scope: Scope): number {
    const known = this.held.knownIdOf(held);
    if (known !== undefined) return known;
    const id = this.held.idOf(held);
    scope.objects.push(id);
    return id;
  }

  #refer(value: object, scope: Scope): Reference | undefined {
    if (typeof value === 'function') {
      const callback = value as (...args: unknown[]) => unknown;
      const id = this.held.idOf(new Held({ invoke: (_method, args) => callback(...args) }));
      scope.callbacks.push(id);
      return { kind: REFERENCE.callback, id };
    }
    if (value instanceof Held) return { kind: REFERENCE.object, id: this.#handOut(value, scope), data: value.data };
    if (value instanceof RemoteObject) {
      if (value.remote !== this) throw new CartonError('CARTON_RPC_OBJECT_GONE', { of: 'an argument' });
      return { kind: REFERENCE.own, id: value.id };
    }
    if (value instanceof AbortSignal) {
      scope.signal = only('signal', scope.signal, value);
      return { kind: REFERENCE.signal, id: 0 };
    }
    if (!isStream(value)) return undefined;
    scope.sent = only('stream', scope.sent, value);
    return { kind: givesBytes(value) ? REFERENCE.bytes : REFERENCE.values, id: 0 };
  }

  #resolve({ kind, id, data }: Reference, scope: Scope): unknown {
    switch (kind) {
      case REFERENCE.callback:
        return (...args: unknown[]): Promise<unknown> => (scope.hasEnded ? Promise.reject(new CartonError('CARTON_RPC_OBJECT_GONE', { of: 'a callback' })) : this.call(id, '', args));
      case REFERENCE.object: {
        const object = new RemoteObject(this, id, data);
        this.#lost.register(object, id);
        return object;
      }
      case REFERENCE.own: {
        const held = this.held.get(id);
        if (held === undefined) throw new CartonError('CARTON_RPC_OBJECT_GONE', { of: 'an argument' });
        return held;
      }
      case REFERENCE.bytes:
        return (scope.received ??= new ReceivedBytes(() => undefined));
      case REFERENCE.values:
        return (scope.received ??= new ReceivedValues((bytes) => this.decode(bytes, scope), () => undefined));
      default:
        throw new CartonError('CARTON_RPC_BAD_FRAME', { of: 'a value', expected: 'a known kind of reference', got: `${kind}` });
    }
  }

  #onCall(call: IncomingCall): void {
    if (call.method !== METHOD.remote) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a remote call', got: `method ${call.method}` });
    serveRemote(this, call);
  }

  #onEvent(method: number, payload: Buffer): void {
    if (method !== METHOD.release || payload.length !== 4) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'the release of an object', got: `event ${method} of ${payload.length} bytes` });
    // Both sides may end it at the same time.
    this.held.end(payload.readUInt32LE(0));
  }
}

function only<T>(what: string, known: T | undefined, value: T): T {
  if (known === undefined || known === value) return value;
  throw new CartonError('CARTON_RPC_BAD_VALUE', { expected: `one ${what} in a call`, got: 'two' });
}
