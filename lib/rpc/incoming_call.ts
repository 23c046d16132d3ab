/**
 * A call that the peer made, as its server sees it: the payload, the body that may follow, and the ways to end it.
 */
import { CartonError, type WireError } from '../support/errors';
import { encodeWireError } from '../protocol/wire_error';
import { FRAME, STREAM_FOLLOWS } from '../protocol/frame';
import type { Session } from './session';
import { StreamReceiver, StreamSender } from './stream';

/** Who learns what happens to an incoming call after it was taken. */
export interface CallListener {
  /** A part of the body; say `call.received.consumed` when done with it. */
  onBody?(chunk: Buffer): void;
  onBodyEnd?(error: WireError | undefined): void;
  /** The caller took the call back, or the session closed. Whatever is sent now is dropped. */
  onCancelled(): void;
}

export class IncomingCall {
  readonly received: StreamReceiver | undefined;
  /** The reply's stream, once `openStream` was called. */
  stream: StreamSender | undefined;
  listener: CallListener | undefined;
  #ended = false;
  #bodyEnded: boolean;

  constructor(
    readonly session: Session,
    readonly id: number,
    readonly method: number,
    readonly payload: Buffer,
    readonly bodyFollows: boolean,
  ) {
    this.#bodyEnded = !bodyFollows;
    this.received = bodyFollows ? new StreamReceiver(session, id) : undefined;
  }

  reply(payload?: Buffer): void {
    if (this.#finish()) this.session.send(FRAME.reply, 0, this.id, payload);
  }

  replyText(text: string): void {
    if (!this.#finish() || this.session.isClosed) return;
    this.session.writer.text(FRAME.reply, 0, this.id, text);
    this.session.flushSoon();
  }

  fail(error: WireError): void {
    if (this.#finish()) this.session.send(FRAME.fail, 0, this.id, encodeWireError(error));
  }

  /** Refuses before anything began; `reason` is one of `NACK`. */
  nack(reason: number): void {
    if (this.#finish()) this.session.send(FRAME.nack, reason, this.id);
  }

  /** Replies with a stream. The call ends with the stream's end. */
  openStream(payload?: Buffer): StreamSender {
    this.stream = new StreamSender(this.session, this.id);
    if (!this.#ended) this.session.send(FRAME.reply, STREAM_FOLLOWS, this.id, payload);
    else this.stream.close();
    return this.stream;
  }

  /** The session sent the stream's last byte; until then the call stays known, so that credit finds it. */
  streamEnded(): void {
    this.#finish();
  }

  cancelled(): void {
    if (!this.#finish()) return;
    this.stream?.close();
    this.listener?.onCancelled();
  }

  closed(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.stream?.close();
    this.listener?.onCancelled();
  }

  /** Throws `CARTON_RPC_BAD_FRAME` or `CARTON_RPC_CREDIT_EXCEEDED`. */
  data(chunk: Buffer): void {
    if (this.#bodyEnded) throw noBody('data');
    this.received?.accept(chunk.length);
    this.listener?.onBody?.(chunk);
  }

  /** Throws `CARTON_RPC_BAD_FRAME`. */
  bodyEnded(error: WireError | undefined): void {
    if (this.#bodyEnded) throw noBody('an end');
    this.#bodyEnded = true;
    this.listener?.onBodyEnd?.(error);
  }

  #finish(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.session.forget(this);
    return true;
  }
}

function noBody(got: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { of: 'call', expected: 'nothing after its body', got });
}
