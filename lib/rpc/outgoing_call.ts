/**
 * Calls that this side of a session made: who learns how each ends, the body that it may send along, the stream that
 * may come back. Whatever comes for a call that has ended is dropped; what no honest peer sends ends the session.
 */
import { CartonError, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { NACK, STREAM_FOLLOWS } from '../protocol/frame';
import { decodeWireError } from '../protocol/wire_error';
import type { Session } from './session';
import { StreamReceiver, StreamSender } from './stream';

/** Who learns how an outgoing call ends. */
export interface CallSink {
  /** `streamFollows`: `onData` and `onEnd` come after it; otherwise the call has ended. */
  onReply(payload: Buffer, streamFollows: boolean): void;
  onFail(error: WireError): void;
  /** The peer refused before anything began; `reason` is one of `NACK`. */
  onNack(reason: number): void;
  /** A part of the reply's stream; whoever is done with it says so through `call.received?.consumed`. */
  onData?(chunk: Buffer): void;
  onEnd?(error: WireError | undefined): void;
  /** The session closed before the call ended. */
  onClosed(): void;
}

export class OutgoingCall {
  /** Its reply is a stream: what comes of it, and the credit for it. */
  received: StreamReceiver | undefined;

  constructor(
    readonly id: number,
    readonly sink: CallSink,
    readonly body: StreamSender | undefined,
    readonly session: Session,
  ) {}

  /** Takes the call back: its sink hears nothing any more, the peer is told. */
  cancel(): void {
    this.session.cancel(this);
  }
}

/** The open ones of a session. Methods that take what the peer sent throw `CARTON_RPC_BAD_FRAME`. */
export class OutgoingCalls {
  readonly #session: Session;
  readonly #open = new Map<number, OutgoingCall>();
  #nextId: number;

  constructor(session: Session, firstId: number) {
    this.#session = session;
    this.#nextId = firstId;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Throws `CARTON_RPC_TOO_MANY_CALLS`. */
  open(sink: CallSink, bodyFollows: boolean): OutgoingCall {
    if (this.#open.size >= LIMITS.openCallsPerSession) {
      throw new CartonError('CARTON_RPC_TOO_MANY_CALLS', { expected: `at most ${LIMITS.openCallsPerSession}` });
    }
    const id = this.#freeId();
    const call = new OutgoingCall(id, sink, bodyFollows ? new StreamSender(this.#session, id) : undefined, this.#session);
    this.#open.set(id, call);
    return call;
  }

  /** False where it had ended already. */
  remove(call: OutgoingCall): boolean {
    if (!this.#open.delete(call.id)) return false;
    call.body?.close();
    return true;
  }

  reply(flag: number, id: number, payload: Buffer): void {
    if (flag !== STREAM_FOLLOWS) return this.#finish(id)?.sink.onReply(payload, false);
    const call = this.#open.get(id);
    if (call === undefined) return;
    // A second one would hand out a second window, and answer twice.
    if (call.received !== undefined) throw bad('one reply', 'another one');
    call.received = new StreamReceiver(this.#session, id);
    call.sink.onReply(payload, true);
  }

  fail(id: number, payload: Buffer): void {
    // Read before the call is forgotten: if it cannot be, the call learns that the session has closed.
    const error = decodeWireError(payload);
    this.#finish(id)?.sink.onFail(error);
  }

  nack(reason: number, id: number): void {
    if (reason < NACK.busy || reason > NACK.stale) throw bad('a known reason of a refusal', `${reason}`);
    this.#finish(id)?.sink.onNack(reason);
  }

  /** False where no such call is open. */
  data(id: number, payload: Buffer): boolean {
    const call = this.#open.get(id);
    if (call === undefined) return false;
    if (call.received === undefined) throw bad('a reply before its stream', 'data');
    call.received.accept(payload.length);
    call.sink.onData?.(payload);
    return true;
  }

  /** False where no such call is open. */
  end(id: number, error: WireError | undefined): boolean {
    const call = this.#open.get(id);
    if (call === undefined) return false;
    if (call.received === undefined) throw bad('a reply before its stream', 'an end');
    this.remove(call);
    call.sink.onEnd?.(error);
    return true;
  }

  credit(id: number, bytes: number): void {
    this.#open.get(id)?.body?.credit(bytes);
  }

  /** The session has closed. */
  close(): void {
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const call of all) {
      call.body?.close();
      call.sink.onClosed();
    }
  }

  /** Ids wrap at 2^32; one that a long call still has is passed over. 0 is nobody's. */
  #freeId(): number {
    let id = this.#nextId;
    while (this.#open.has(id)) id = nextIdAfter(id);
    this.#nextId = nextIdAfter(id);
    return id;
  }

  /** The call that this reply, failure or refusal ends. */
  #finish(id: number): OutgoingCall | undefined {
    const call = this.#open.get(id);
    if (call?.received !== undefined) throw bad('data or an end after a stream has begun', 'another answer');
    if (call !== undefined) this.remove(call);
    return call;
  }
}

function nextIdAfter(id: number): number {
  return (id + 2) >>> 0 || 2;
}

function bad(expected: string, got: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { of: 'call', expected, got });
}
