/**
 * A worker's line to one instance: connects at first use, carries its invocations, and knows how many run.
 */
import { METHOD, type InstanceAddress } from '../protocol/control';
import { NACK } from '../protocol/frame';
import { writeInvoke, type Invoke } from '../protocol/invocation';
import { BeginWitness, isAtOrBefore } from '../rpc/begin_record';
import { connectSession } from '../rpc/handshake';
import type { OutgoingCall, Session } from '../rpc/session';
import type { Dispatch } from './dispatch';

/** What happens on a link, for the group's dispatcher. */
export interface LinkListener {
  /** It can take an invocation (again). */
  onRoom(link: InstanceLink): void;
  /** Nothing of this worker runs on it any more. */
  onIdle(): void;
  /** It takes none any more. */
  onLost(link: InstanceLink, reason: 'closed' | 'unresponsive' | 'stale' | 'draining'): void;
}

export class InstanceLink {
  readonly address: InstanceAddress;
  readonly #listener: LinkListener;
  readonly #concurrency: number;
  #session: Session | undefined;
  #witness: BeginWitness | undefined;
  #state: 'idle' | 'connecting' | 'open' | 'lost' = 'idle';
  #full = false;
  /** By call id: only invocations whose body came as a stream are told of here. */
  readonly #streamed = new Map<number, Dispatch>();
  inflight = 0;
  isRetired = false;

  constructor(address: InstanceAddress, concurrency: number, listener: LinkListener) {
    this.address = address;
    this.#concurrency = concurrency;
    this.#listener = listener;
  }

  /** Whether an invocation may be sent now. */
  get hasRoom(): boolean {
    // A session that is just closing tells its calls first: what they give back must not come here again.
    return this.#state === 'open' && !this.#full && this.inflight < this.#concurrency && this.#session?.isClosed === false;
  }

  /** Connects if it has not; `onRoom` or `onLost` follows. */
  connect(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'connecting';
    const opened = connectSession(this.address.socketPath, this.address.callToken, (session, welcome) => {
      this.#witness = BeginWitness.open(this.address.recordPath, welcome.slot ?? 0);
      this.#session = session;
      return {
        onEvent: (method, payload) => this.#onEvent(method, payload),
        onClosed: () => this.#lost('closed'),
      };
    });
    opened.then(
      () => {
        if (this.#state !== 'connecting') return void this.#session?.close();
        this.#state = 'open';
        this.#listener.onRoom(this);
      },
      () => this.#lost('closed'),
    );
  }

  /** Sends an invocation; without `invoke.body` the body follows as a stream. Throws what `Session.open` throws. */
  invoke(dispatch: Dispatch, invoke: Invoke): OutgoingCall {
    const session = this.#session as Session;
    const call = session.open(dispatch, invoke.body === undefined);
    writeInvoke(session.writer, call.id, invoke);
    session.flushSoon();
    if (invoke.body === undefined) this.#streamed.set(call.id, dispatch);
    this.inflight += 1;
    return call;
  }

  /** An invocation has ended, whatever way. */
  released(): void {
    this.inflight -= 1;
    if (this.inflight === 0) this.#listener.onIdle();
    this.#full = false;
    if (this.hasRoom) this.#listener.onRoom(this);
  }

  /**
   * The instance refused an invocation, which has thereby ended: it is full, or it is ending. It takes another one
   * only once it says so, or both sides would be busy with refusals alone.
   */
  refused(reason: number): void {
    this.inflight -= 1;
    if (this.inflight === 0) this.#listener.onIdle();
    if (reason === NACK.busy) this.#full = true;
    else this.#lost(reason === NACK.stale ? 'stale' : 'draining');
  }

  unresponsive(): void {
    this.#lost('unresponsive');
  }

  /** Whether an invocation with its body inline has begun, as the instance noted before it called the function. */
  hasBegun(callId: number): boolean {
    // Without a witness the answer must be yes: what began is never tried again.
    return this.#witness === undefined || isAtOrBefore(callId, this.#witness.read());
  }

  /** It is listed no more: what runs on it may end, nothing new is sent. */
  retire(): void {
    this.#state = 'lost';
    this.isRetired = true;
  }

  close(): void {
    this.#state = 'lost';
    this.#session?.close();
    this.#witness?.close();
    this.#witness = undefined;
  }

  #onEvent(method: number, payload: Buffer): void {
    if (method === METHOD.begun && payload.length === 4) {
      const callId = payload.readUInt32LE(0);
      this.#streamed.get(callId)?.markBegun();
      this.#streamed.delete(callId);
      return;
    }
    if (method !== METHOD.free) return;
    this.#full = false;
    if (this.hasRoom) this.#listener.onRoom(this);
  }

  /** Invocations that run on it may still end well, unless the session itself has closed. */
  #lost(reason: 'closed' | 'unresponsive' | 'stale' | 'draining'): void {
    const first = this.#state !== 'lost';
    this.#state = 'lost';
    if (reason === 'closed') {
      // By now every open call has asked the witness.
      this.#witness?.close();
      this.#witness = undefined;
      this.#session = undefined;
    }
    if (first) this.#listener.onLost(this, reason);
  }
}
