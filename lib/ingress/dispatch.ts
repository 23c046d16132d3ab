/**
 * One request on its way from the ingress to an instance and back: waiting, placed, answered. It ends exactly once,
 * and it knows whether the function has begun, because what began is never tried again unless its spec says so.
 */
import type { Timer } from '../support/clock';
import { CartonError, fromWire, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { encodeExtra } from '../protocol/extra';
import type { OneapiRequest } from '../protocol/oneapi';
import type { CallSink, OutgoingCall } from '../rpc/session';
import type { FunctionSpec } from '../spec/types';
import type { BodyFeed } from './body_feed';
import type { GroupDispatcher } from './group_dispatcher';
import type { InstanceLink } from './instance_link';

/** Who gets the answer. Exactly one of `value`, `failed`, or `stream` and its end is called. */
export interface Receiver {
  /** The whole result as JSON; empty for undefined. */
  value(json: Buffer): void;
  /** A stream begins: one of `REPLY_KIND`. */
  stream(kind: number): void;
  /** A part of the stream; `consumed` grants the sender room for as much again. */
  data(chunk: Buffer, consumed: (bytes: number) => void): void;
  end(error: CartonError | undefined): void;
  failed(error: CartonError): void;
}

export class Dispatch implements CallSink {
  readonly #extra: Buffer | undefined;
  readonly #receiver: Receiver;
  #group: GroupDispatcher;
  #grace: Timer | undefined;
  #link: InstanceLink | undefined;
  #call: OutgoingCall | undefined;
  /** Of an invocation that may have begun before; a refusal is no attempt. */
  #attempt = 1;
  #begun = false;
  #streaming = false;
  #done = false;
  /** Bytes of the stream that the receiver has not taken yet. */
  #heldBytes = 0;
  /** Whether it waited for an instance: a cold start, or a full one. */
  waited = false;
  /** Its deadline has passed: what comes back is not tried again. */
  isExpired = false;

  constructor(
    readonly request: OneapiRequest,
    readonly spec: FunctionSpec,
    /** The body, or the feed that streams it. */
    readonly body: Buffer | BodyFeed,
    /** Clock time by which the answer must have been given. */
    readonly deadline: number,
    group: GroupDispatcher,
    receiver: Receiver,
  ) {
    this.#extra = encodeExtra(request);
    this.#group = group;
    this.#receiver = receiver;
  }

  get isDone(): boolean {
    return this.#done;
  }

  /** Its function belongs to another group since the specs changed. */
  moveTo(group: GroupDispatcher): void {
    this.#group = group;
  }

  /**
   * Sends the invocation to an instance, in which its function has this index: instances of different revisions may
   * number their functions differently. Throws what `Session.open` throws.
   */
  place(link: InstanceLink, functionIndex: number): void {
    this.#begun = false;
    this.#link = link;
    const inline = Buffer.isBuffer(this.body) ? this.body : undefined;
    this.#call = link.invoke(this, {
      request: this.request,
      extra: this.#extra,
      functionIndex,
      attempt: this.#attempt,
      remainingMs: this.deadline - this.#group.clock.now(),
      body: inline,
    });
    if (inline === undefined && this.#call.body !== undefined) (this.body as BodyFeed).pipe(this.#call.body);
  }

  /** The caller has gone, or takes its call back: nobody hears of it any more. */
  cancel(): void {
    if (this.#done) return;
    this.#finish();
    this.#call?.cancel();
    this.#released();
    this.#group.forget(this);
  }

  /** It is not tried any more. */
  fail(error: CartonError): void {
    if (this.#done) return;
    this.#finish();
    if (this.#streaming) this.#receiver.end(error);
    else this.#receiver.failed(error);
  }

  markBegun(): void {
    this.#begun = true;
  }

  onReply(payload: Buffer, streamFollows: boolean): void {
    if (streamFollows) {
      this.#streaming = true;
      return this.#receiver.stream(payload[0] ?? 0);
    }
    this.#released();
    if (this.#done) return;
    this.#finish();
    this.#receiver.value(payload);
  }

  onFail(error: WireError): void {
    this.#released();
    this.fail(fromWire(error));
  }

  onNack(reason: number): void {
    const link = this.#link;
    this.#link = undefined;
    link?.refused(reason);
    this.#group.tryAgain(this);
  }

  onData(chunk: Buffer): void {
    const call = this.#call as OutgoingCall;
    if (this.#done) return;
    this.#heldBytes += chunk.length;
    this.#receiver.data(chunk, (bytes) => {
      this.#heldBytes -= bytes;
      call.received?.consumed(bytes);
    });
  }

  onEnd(error: WireError | undefined): void {
    this.#released();
    if (this.#done) return;
    this.#finish();
    this.#receiver.end(error && fromWire(error));
  }

  /** The instance is gone. What had not begun is served by another one. */
  onClosed(): void {
    const link = this.#link as InstanceLink;
    const call = this.#call as OutgoingCall;
    const begun = this.#begun || (Buffer.isBuffer(this.body) && link.hasBegun(call.id));
    this.#released();
    if (this.#done) return;
    const again = (!begun || this.spec.idempotent) && !this.#streaming && (Buffer.isBuffer(this.body) || this.body.canRewind);
    if (begun) this.#attempt += 1;
    if (again) return this.#group.tryAgain(this);
    this.fail(new CartonError('CARTON_INSTANCE_CRASHED', { of: `function "${this.spec.name}"` }));
  }

  /** The deadline has passed; whoever made the dispatch keeps the time. */
  expire(): void {
    if (this.#done) return;
    this.isExpired = true;
    if (this.#link === undefined) {
      this.#group.forget(this);
      return this.fail(this.#group.deadlineError(this));
    }
    // A healthy instance answers at the deadline by itself. One that does not is blocked.
    this.#grace = this.#group.clock.after(LIMITS.deadlineGraceMs, () => {
      // Where this very process was late, the answer may wait unread in the socket: timers come before it.
      this.#grace = this.#group.clock.after(0, () => this.#giveUp());
    });
  }

  #giveUp(): void {
    const link = this.#link;
    // Its last word may wait behind what the receiver does not take: then it is the reader who is late.
    const code = this.#heldBytes > 0 ? 'CARTON_RUNTIME_TIMEOUT' : 'CARTON_INSTANCE_UNRESPONSIVE';
    this.#call?.cancel();
    this.#released();
    if (code === 'CARTON_INSTANCE_UNRESPONSIVE') link?.unresponsive();
    this.fail(new CartonError(code, { of: `function "${this.spec.name}"`, expected: `an answer within ${this.spec.timeoutMs} ms` }));
  }

  #released(): void {
    const link = this.#link;
    this.#link = undefined;
    link?.released();
  }

  #finish(): void {
    this.#done = true;
    this.#grace?.cancel();
  }
}
