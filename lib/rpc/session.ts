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
import { CartonError, fromWire, type WireError } from '../support/errors';
import { LIMITS } from '../support/limits';
import { END_WITH_ERROR, FRAME, FrameReader, FrameWriter, STREAM_FOLLOWS } from '../protocol/frame';
import { IncomingCall } from './incoming_call';
import { StreamReceiver, StreamSender, type StreamChannel } from './stream';

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

export interface SessionHandlers {
  onCall?(call: IncomingCall): void;
  onEvent?(method: number, payload: Buffer): void;
  /** Once, after every call has learned of it. `error`: why this side closed it, undefined for the peer's end. */
  onClosed(error: CartonError | undefined): void;
}

/** A call that this side made. */
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

export class Session implements StreamChannel {
  readonly writer = new FrameWriter();
  readonly #socket: Duplex;
  readonly #reader: FrameReader;
  readonly #outgoing = new Map<number, OutgoingCall>();
  readonly #incoming = new Map<number, IncomingCall>();
  readonly #peerParity: number;
  #handlers: SessionHandlers;
  #nextId: number;
  #closed = false;
  #flushScheduled = false;

  /** `initiator`: the side that connected; its call ids are odd. `reader` must hand its frames to `receive`. */
  constructor(socket: Duplex, reader: FrameReader, initiator: boolean, handlers: SessionHandlers) {
    this.#socket = socket;
    this.#reader = reader;
    this.#handlers = handlers;
    this.#nextId = initiator ? 1 : 2;
    this.#peerParity = initiator ? 0 : 1;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('close', () => this.#end(undefined));
    socket.on('error', () => this.#end(undefined));
    socket.on('end', () => this.#end(undefined));
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get openCalls(): number {
    return this.#outgoing.size;
  }

  /** Bytes that wait in user space because the peer does not read. */
  get backlogBytes(): number {
    return this.#socket.writableLength;
  }

  set handlers(handlers: SessionHandlers) {
    this.#handlers = handlers;
  }

  /**
   * Opens a call. Whoever opens it writes its frame into `writer` with the call's id and then asks for `flushSoon`,
   * in the same turn: the ingress does so without a buffer in between, all others use `request`.
   * Throws `CARTON_RPC_CLOSED` or `CARTON_RPC_TOO_MANY_CALLS`.
   */
  open(sink: CallSink, bodyFollows: boolean): OutgoingCall {
    if (this.#closed) throw new CartonError('CARTON_RPC_CLOSED');
    if (this.#outgoing.size >= LIMITS.openCallsPerSession) {
      throw new CartonError('CARTON_RPC_TOO_MANY_CALLS', { expected: `at most ${LIMITS.openCallsPerSession}` });
    }
    const id = this.#nextId;
    this.#nextId = (id + 2) >>> 0 || 2;
    const call = new OutgoingCall(id, sink, bodyFollows ? new StreamSender(this, id) : undefined, this);
    this.#outgoing.set(id, call);
    return call;
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
    if (!this.#outgoing.delete(call.id)) return;
    call.body?.close();
    this.send(FRAME.cancel, 0, call.id);
  }

  send(type: number, flag: number, id: number, payload?: Buffer): void {
    if (this.#closed) return;
    this.writer.frame(type, flag, id, payload);
    this.flushSoon();
  }

  sendData(id: number, chunk: Buffer): void {
    this.send(FRAME.data, 0, id, chunk);
  }

  sendEnd(id: number, error: WireError | undefined): void {
    this.send(FRAME.end, error === undefined ? 0 : END_WITH_ERROR, id, error && Buffer.from(JSON.stringify(error)));
    this.#incoming.get(id)?.streamEnded();
  }

  sendCredit(id: number, bytes: number): void {
    if (this.#closed) return;
    this.writer.begin(FRAME.credit, 0, id, 4);
    this.writer.u32(bytes);
    this.writer.end();
    this.flushSoon();
  }

  /** Writes what was gathered, once, at the end of this turn of the event loop. */
  flushSoon(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.#flushScheduled = false;
    if (this.#closed || this.writer.isEmpty) return;
    const parts = this.writer.take();
    if (parts.length === 1) {
      this.#socket.write(parts[0] as Buffer);
      return;
    }
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** Closes after what was written has gone out. Calls that are open learn of it through `onClosed`. */
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
      this.#violated(error);
    }
  }

  #violated(error: unknown): void {
    // Only the table's errors are the peer's fault; anything else is a mistake of ours and must not be hidden.
    if (!(error instanceof CartonError)) throw error;
    this.#end(error);
  }

  #end(error: CartonError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    if (error === undefined) this.#socket.end(() => this.#socket.destroy());
    else this.#socket.destroy();
    for (const call of this.#outgoing.values()) {
      call.body?.close();
      call.sink.onClosed();
    }
    this.#outgoing.clear();
    for (const call of this.#incoming.values()) call.closed();
    this.#incoming.clear();
    this.#handlers.onClosed(error);
  }

  /** Takes one frame; the handshake has passed. */
  receive(type: number, flag: number, id: number, payload: Buffer): void {
    if (this.#closed) return;
    switch (type) {
      case FRAME.call:
        return this.#onCall(flag, id, payload);
      case FRAME.event:
        return this.#handlers.onEvent?.(flag, payload);
      case FRAME.reply:
        return this.#onReply(flag, id, payload);
      case FRAME.fail:
        return this.#finish(id)?.sink.onFail(wireError(payload));
      case FRAME.nack:
        return this.#finish(id)?.sink.onNack(flag);
      case FRAME.data:
        return this.#onData(id, payload);
      case FRAME.end:
        return this.#onEnd(id, flag === END_WITH_ERROR ? wireError(payload) : undefined);
      case FRAME.credit:
        return this.#onCredit(id, payload);
      case FRAME.cancel:
        return this.#incoming.get(id)?.cancelled();
      default:
        throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a known frame type', got: String(type) });
    }
  }

  #onCall(flag: number, id: number, payload: Buffer): void {
    if (this.#handlers.onCall === undefined || (id & 1) !== this.#peerParity || this.#incoming.has(id)) {
      throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a call with a new id of its side', got: `id ${id}` });
    }
    if (this.#incoming.size >= LIMITS.openCallsPerSession) throw new CartonError('CARTON_RPC_TOO_MANY_CALLS');
    const call = new IncomingCall(this, id, flag & ~STREAM_FOLLOWS, payload, (flag & STREAM_FOLLOWS) !== 0);
    this.#incoming.set(id, call);
    this.#handlers.onCall(call);
  }

  #onReply(flag: number, id: number, payload: Buffer): void {
    if (flag === STREAM_FOLLOWS) {
      const call = this.#outgoing.get(id);
      if (call === undefined) return;
      call.received = new StreamReceiver(this, id);
      call.sink.onReply(payload, true);
      return;
    }
    this.#finish(id)?.sink.onReply(payload, false);
  }

  #finish(id: number): OutgoingCall | undefined {
    const call = this.#outgoing.get(id);
    if (call === undefined) return undefined;
    this.#outgoing.delete(id);
    call.body?.close();
    return call;
  }

  #onData(id: number, payload: Buffer): void {
    const call = this.#outgoing.get(id);
    if (call !== undefined) {
      if (call.received === undefined) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a reply before its stream', got: 'data' });
      call.received.accept(payload.length);
      call.sink.onData?.(payload);
      return;
    }
    this.#incoming.get(id)?.data(payload);
  }

  #onEnd(id: number, error: WireError | undefined): void {
    const call = this.#outgoing.get(id);
    if (call?.received !== undefined) {
      this.#finish(id);
      call.sink.onEnd?.(error);
      return;
    }
    this.#incoming.get(id)?.bodyEnded(error);
  }

  #onCredit(id: number, payload: Buffer): void {
    if (payload.length !== 4) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: '4 bytes of credit', got: `${payload.length}` });
    const bytes = payload.readUInt32LE(0);
    this.#outgoing.get(id)?.body?.credit(bytes);
    this.#incoming.get(id)?.stream?.credit(bytes);
  }
}

function wireError(payload: Buffer): WireError {
  try {
    return JSON.parse(payload.toString('utf8')) as WireError;
  } catch (cause) {
    throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'an error as JSON', got: `${payload.length} bytes`, cause });
  }
}
