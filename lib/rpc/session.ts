/**
 * A session: calls, their streams and one-way events between two processes over one connected socket, in both
 * directions at once. It runs in app workers, the agent and instances.
 *
 * Guarantees, each with a test that names it:
 * 1. Every outgoing call ends exactly once: reply (and the end of its stream), failure, refusal, or `onClosed`.
 * 2. Calls arrive in the order in which they were made.
 * 3. What a call sends after its end, and what comes for a call that has ended, is dropped in silence.
 * 4. A peer that breaks a limit or the protocol loses its session, and nothing else happens to this process.
 * 5. Frames that are written in one turn of the event loop leave in one system call.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../support/clock';
import { CartonError, fromWire, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { END_WITH_ERROR, FRAME, STREAM_FOLLOWS, type FrameReader, type FrameWriter } from '../protocol/frame';
import { decodeWireError, encodeWireError } from '../protocol/wire_error';
import { IncomingCall } from './incoming_call';
import { OutgoingCalls, type CallSink, type OutgoingCall } from './outgoing_call';
import type { StreamChannel } from './stream';
import { Transport } from './transport';

export type { CallSink, OutgoingCall } from './outgoing_call';

export interface SessionHandlers {
  /** Without it, a peer that calls loses its session. */
  onCall?(call: IncomingCall): void;
  /** Without it, a peer that sends events loses its session. */
  onEvent?(method: number, payload: Buffer): void;
  /** The peer takes back a call that has been answered: it will not read the answer. */
  onLateCancel?(callId: number): void;
  /** Once, after every call has learned of it. `error`: why this side closed it, undefined for the peer's end. */
  onClosed(error: CartonError | undefined): void;
  /** Bytes of the largest payload that the peer may send. @default LIMITS.framePayloadBytes */
  readonly limitBytes?: number;
}

export interface SessionOptions {
  /** The side that connected; its call ids are odd. */
  readonly initiator: boolean;
  readonly clock: Clock;
  readonly handlers: SessionHandlers;
  /** @default the first of its side; tests begin near 2^32 to see ids wrap */
  readonly firstCallId?: number;
}

export class Session implements StreamChannel {
  /** Gathers what leaves with the next flush. */
  readonly writer: FrameWriter;
  readonly #transport: Transport;
  readonly #reader: FrameReader;
  readonly #outgoing: OutgoingCalls;
  readonly #incoming = new Map<number, IncomingCall>();
  readonly #peerParity: number;
  #handlers: SessionHandlers;
  #closed = false;

  /** `reader` must hand its frames to `receive`, once the handshake has passed. */
  constructor(socket: Duplex, reader: FrameReader, { initiator, clock, handlers, firstCallId }: SessionOptions) {
    this.#reader = reader;
    this.#handlers = handlers;
    this.#outgoing = new OutgoingCalls(this, firstCallId ?? (initiator ? 1 : 2));
    this.#peerParity = initiator ? 0 : 1;
    this.#transport = new Transport(socket, { clock, mayPause: !initiator }, {
      onBytes: (chunk) => this.#read(chunk),
      onGone: () => this.#end(undefined),
      onStalled: (error) => this.#end(error),
    });
    this.writer = this.#transport.writer;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Calls that this side made and that have not ended. */
  get openCalls(): number {
    return this.#outgoing.size;
  }

  /** Calls that the peer made and that have not ended. */
  get servedCalls(): number {
    return this.#incoming.size;
  }

  /** Bytes that wait in user space because the peer does not read. */
  get backlogBytes(): number {
    return this.#transport.backlogBytes;
  }

  /** The handshake has passed: who deals with the peer from now on, and how large its frames may be. */
  set handlers(handlers: SessionHandlers) {
    this.#handlers = handlers;
    this.#reader.limitBytes = handlers.limitBytes ?? LIMITS.framePayloadBytes;
  }

  /**
   * Opens a call. Whoever opens it writes its frame into `writer` with the call's id and then asks for `flushSoon`,
   * in the same turn: the ingress does so without a buffer in between, all others use `request`.
   * Throws `CARTON_RPC_CLOSED` or `CARTON_RPC_TOO_MANY_CALLS`.
   */
  open(sink: CallSink, bodyFollows: boolean): OutgoingCall {
    if (this.#closed) throw new CartonError('CARTON_RPC_CLOSED');
    return this.#outgoing.open(sink, bodyFollows);
  }

  /** A call with one payload and one reply. Rejects with the peer's error, or `CARTON_RPC_CLOSED`. */
  request(method: number, payload: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const sink: CallSink = {
        onReply: (reply) => resolve(reply),
        onFail: (error) => reject(fromWire(error)),
        onNack: () => reject(new CartonError('CARTON_RUNTIME_BUSY')),
        onClosed: () => reject(new CartonError('CARTON_RPC_CLOSED')),
      };
      const { id } = this.open(sink, false);
      this.send(FRAME.call, method, id, payload);
    });
  }

  /** One-way; lost if the session closes before it arrived. */
  event(method: number, payload: Buffer): void {
    this.send(FRAME.event, method, 0, payload);
  }

  cancel(call: OutgoingCall): void {
    if (this.#outgoing.remove(call)) this.send(FRAME.cancel, 0, call.id);
  }

  send(type: number, flag: number, id: number, payload?: Buffer): void {
    if (this.#closed) return;
    this.writer.frame(type, flag, id, payload);
    this.#transport.flushSoon();
  }

  sendData(id: number, chunk: Buffer): void {
    this.send(FRAME.data, 0, id, chunk);
  }

  sendEnd(id: number, error: WireError | undefined): void {
    this.send(FRAME.end, error === undefined ? 0 : END_WITH_ERROR, id, error && encodeWireError(error));
    this.#incoming.get(id)?.streamEnded();
  }

  sendCredit(id: number, bytes: number): void {
    if (this.#closed) return;
    this.writer.begin(FRAME.credit, 0, id, 4);
    this.writer.u32(bytes);
    this.writer.end();
    this.#transport.flushSoon();
  }

  /** Writes what was gathered, once, at the end of this turn of the event loop. */
  flushSoon(): void {
    this.#transport.flushSoon();
  }

  flush(): void {
    this.#transport.flush();
  }

  /** Closes after what was written has gone out; with an error, at once. Open calls learn of it through `onClosed`. */
  close(error?: CartonError): void {
    if (this.#closed) return;
    this.flush();
    this.#end(error);
  }

  forget(call: IncomingCall): void {
    this.#incoming.delete(call.id);
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      // Only the table's errors are the peer's fault; anything else is a mistake of ours and must not be hidden.
      if (!(error instanceof CartonError)) throw error;
      this.#end(error);
    }
  }

  #end(error: CartonError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    if (error === undefined) this.#transport.end();
    else this.#transport.destroy();
    this.#outgoing.close();
    const served = [...this.#incoming.values()];
    this.#incoming.clear();
    for (const call of served) call.closed();
    this.#handlers.onClosed(error);
  }

  /** Takes one frame; the handshake has passed. Throws what the peer did wrong. */
  receive(type: number, flag: number, id: number, payload: Buffer): void {
    if (this.#closed) return;
    switch (type) {
      case FRAME.call:
        return this.#onCall(flag, id, payload);
      case FRAME.event:
        return this.#onEvent(flag, payload);
      case FRAME.reply:
        return this.#outgoing.reply(flag, id, payload);
      case FRAME.fail:
        return this.#outgoing.fail(id, payload);
      case FRAME.nack:
        return this.#outgoing.nack(flag, id);
      case FRAME.data:
        if (!this.#outgoing.data(id, payload)) this.#incoming.get(id)?.data(payload);
        return;
      case FRAME.end:
        return this.#onEnd(id, flag === END_WITH_ERROR ? decodeWireError(payload) : undefined);
      case FRAME.credit:
        return this.#onCredit(id, payload);
      case FRAME.cancel:
        return this.#onCancel(id);
      default:
        throw bad('a known frame type', String(type));
    }
  }

  #onCall(flag: number, id: number, payload: Buffer): void {
    if (this.#handlers.onCall === undefined) throw bad('no calls on this session', `method ${flag & ~STREAM_FOLLOWS}`);
    if ((id & 1) !== this.#peerParity || id === 0 || this.#incoming.has(id)) throw bad('a call with a new id of its side', `id ${id}`);
    if (this.#incoming.size >= LIMITS.openCallsPerSession) throw new CartonError('CARTON_RPC_TOO_MANY_CALLS');
    const call = new IncomingCall(this, id, flag & ~STREAM_FOLLOWS, payload, (flag & STREAM_FOLLOWS) !== 0);
    this.#incoming.set(id, call);
    this.#handlers.onCall(call);
  }

  #onCancel(id: number): void {
    const call = this.#incoming.get(id);
    if (call === undefined) this.#handlers.onLateCancel?.(id);
    else call.cancelled();
  }

  #onEvent(method: number, payload: Buffer): void {
    if (this.#handlers.onEvent === undefined) throw bad('no events on this session', `method ${method}`);
    this.#handlers.onEvent(method, payload);
  }

  #onEnd(id: number, error: WireError | undefined): void {
    if (!this.#outgoing.end(id, error)) this.#incoming.get(id)?.bodyEnded(error);
  }

  #onCredit(id: number, payload: Buffer): void {
    if (payload.length !== 4) throw bad('4 bytes of credit', `${payload.length}`);
    const bytes = payload.readUInt32LE(0);
    this.#outgoing.credit(id, bytes);
    this.#incoming.get(id)?.stream?.credit(bytes);
  }
}

function bad(expected: string, got: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { expected, got });
}
