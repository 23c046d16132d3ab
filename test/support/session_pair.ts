/**
 * Two sessions over a real pair of connected sockets, without the handshake, and what their tests need: sinks that
 * note what they hear.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CartonError, WireError } from '../../lib/support/errors';
import { FrameReader } from '../../lib/protocol/frame';
import type { IncomingCall } from '../../lib/rpc/incoming_call';
import { Session, type CallSink, type SessionHandlers } from '../../lib/rpc/session';
import { FakeClock } from './fake_clock';

/** Two connected unix sockets. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const directory = mkdtempSync(join(tmpdir(), 'ec-pair-'));
  const server = createServer({ allowHalfOpen: false });
  await new Promise<void>((resolve) => server.listen(join(directory, 's'), resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const near = connect(join(directory, 's'));
  const far = await accepted;
  server.close();
  rmSync(directory, { recursive: true, force: true });
  return [near, far];
}

/** What one end of a pair hears. */
export class Ears implements SessionHandlers {
  readonly calls: IncomingCall[] = [];
  readonly events: { method: number; payload: string }[] = [];
  /** Undefined until the session closed; then why. */
  closed: { error: CartonError | undefined } | undefined;
  readonly gone: Promise<void>;
  #gone: () => void = () => undefined;
  #waiting: (() => void)[] = [];

  constructor(private readonly serve?: (call: IncomingCall) => void) {
    this.gone = new Promise((resolve) => (this.#gone = resolve));
  }

  onCall(call: IncomingCall): void {
    this.calls.push(call);
    this.serve?.(call);
    this.#wake();
  }

  onEvent(method: number, payload: Buffer): void {
    this.events.push({ method, payload: payload.toString('utf8') });
    this.#wake();
  }

  onClosed(error: CartonError | undefined): void {
    this.closed = { error };
    this.#gone();
    this.#wake();
  }

  /** Resolves when `condition` holds; it is looked at whenever something was heard. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

export type Heard =
  | { readonly type: 'reply'; readonly text: string; readonly streamFollows: boolean }
  | { readonly type: 'fail' | 'end'; readonly error: WireError | undefined }
  | { readonly type: 'nack'; readonly reason: number }
  | { readonly type: 'data'; readonly bytes: number }
  | { readonly type: 'closed' };

/** Notes how a call ends; `ended` resolves with all that was heard. */
export class Sink implements CallSink {
  readonly heard: Heard[] = [];
  readonly chunks: Buffer[] = [];
  readonly ended: Promise<readonly Heard[]>;
  onChunk: ((chunk: Buffer) => void) | undefined;
  #end: (heard: readonly Heard[]) => void = () => undefined;

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  onReply(payload: Buffer, streamFollows: boolean): void {
    this.#note({ type: 'reply', text: payload.toString('utf8'), streamFollows }, !streamFollows);
  }

  onFail(error: WireError): void {
    this.#note({ type: 'fail', error }, true);
  }

  onNack(reason: number): void {
    this.#note({ type: 'nack', reason }, true);
  }

  onData(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk));
    this.#note({ type: 'data', bytes: chunk.length }, false);
    this.onChunk?.(chunk);
  }

  onEnd(error: WireError | undefined): void {
    this.#note({ type: 'end', error }, true);
  }

  onClosed(): void {
    this.#note({ type: 'closed' }, true);
  }

  #note(heard: Heard, isEnd: boolean): void {
    this.heard.push(heard);
    if (isEnd) this.#end(this.heard);
  }
}

export interface Pair {
  /** The side that connected. */
  readonly left: Session;
  readonly right: Session;
  readonly leftSocket: Socket;
  readonly rightSocket: Socket;
  readonly clock: FakeClock;
  close(): void;
}

export interface PairOptions {
  readonly left?: SessionHandlers;
  readonly right?: SessionHandlers;
  /** First call id of the left side. */
  readonly firstCallId?: number;
}

export async function sessionPair({ left = new Ears(), right = new Ears(), firstCallId }: PairOptions = {}): Promise<Pair> {
  const [leftSocket, rightSocket] = await socketPair();
  const clock = new FakeClock();
  const make = (socket: Socket, initiator: boolean, handlers: SessionHandlers): Session => {
    const reader: FrameReader = new FrameReader((type, flag, id, payload) => session.receive(type, flag, id, payload));
    const session: Session = new Session(socket, reader, { initiator, clock, handlers, firstCallId: initiator ? firstCallId : undefined });
    return session;
  };
  const pair = { left: make(leftSocket, true, left), right: make(rightSocket, false, right) };
  return {
    ...pair,
    leftSocket,
    rightSocket,
    clock,
    close: () => {
      pair.left.close();
      pair.right.close();
      leftSocket.destroy();
      rightSocket.destroy();
    },
  };
}

/** Lets what was written travel: some turns of the event loop with real sockets. */
export async function settle(turns = 8): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
