/**
 * How a session opens: the initiator says HELLO with the protocol's version and its token, the acceptor answers
 * WELCOME or REFUSE. Until then nothing but these is read, in frames of 4 KiB at most.
 *
 * HELLO: "CRTN" (4 bytes), version u16, token 16 bytes, claims: the rest, in UTF-8. WELCOME: JSON. REFUSE: a WireError as JSON.
 */
import { timingSafeEqual } from 'node:crypto';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { chmodSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { CartonError, fromWire, toWire } from '../support/errors';
import { systemClock, type Clock, type Timer } from '../support/clock';
import { LIMITS } from '../support/limits';
import { decodeControl, encodeControl, expectFields } from '../protocol/control';
import { FRAME, FrameReader, PROTOCOL_VERSION } from '../protocol/frame';
import { readWireError } from '../protocol/wire_error';
import { Session, type SessionHandlers } from './session';

const MAGIC = Buffer.from('CRTN');
const TOKEN_BYTES = 16;
const HELLO_BYTES = MAGIC.length + 2 + TOKEN_BYTES;
const HANDSHAKE_FRAME_BYTES = 4096;

/** What the acceptor tells the initiator. */
export interface Welcome {
  /** The session's slot in the instance's begin record. */
  readonly slot?: number;
  /** Which incarnation of the agent this is. */
  readonly epoch?: number;
}

/** What a token opens: a greeting and the methods that its holder may use. */
export interface Accepted {
  readonly welcome: Welcome;
  readonly handlers: (session: Session) => SessionHandlers;
}

/**
 * Decides what a token opens; undefined refuses it with `CARTON_RPC_UNAUTHORIZED`. `claims` are what the peer says of
 * itself, and mean nothing unless the token was derived from them.
 */
export type Authorize = (token: string, claims: string) => Accepted | undefined;

export type OpenHandlers = (session: Session, welcome: Welcome) => SessionHandlers;

/** Compares two tokens of 32 hexadecimal digits in constant time. */
export function sameToken(a: string, b: string): boolean {
  const left = Buffer.from(a, 'hex');
  const right = Buffer.from(b, 'hex');
  return left.length === TOKEN_BYTES && right.length === TOKEN_BYTES && timingSafeEqual(left, right);
}

export interface HandshakeOptions {
  /** @default the system's */
  readonly clock?: Clock;
  /**
   * Milliseconds for the handshake; null for a channel whose other end may be a process that is still booting, or has
   * nobody to talk to yet. @default LIMITS.handshakeMs
   */
  readonly limitMs?: number | null;
  /** What the initiator says of itself, covered by its token; some KiB at most. @default nothing */
  readonly claims?: string;
}

/**
 * Opens a session as its initiator. Rejects with what the acceptor refused with, `CARTON_RPC_CLOSED` or
 * `CARTON_RPC_HANDSHAKE_TIMEOUT`.
 */
export function openSession(socket: Duplex, token: string, handlers: OpenHandlers, options: HandshakeOptions = {}): Promise<Session> {
  const { clock = systemClock } = options;
  return new Promise((resolve, reject) => {
    let open = false;
    const reader = new FrameReader((type, flag, id, payload) => {
      if (open) return session.receive(type, flag, id, payload);
      if (session.isClosed) return;
      if (type === FRAME.refuse) throw fromWire(readWireError(decodeControl(payload)));
      if (type !== FRAME.welcome) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a welcome', got: `frame type ${type}` });
      const welcome = readWelcome(payload);
      open = true;
      timer.cancel();
      session.handlers = handlers(session, welcome);
      resolve(session);
    }, HANDSHAKE_FRAME_BYTES);
    const onClosed = (error: CartonError | undefined): void => {
      timer.cancel();
      reject(error ?? new CartonError('CARTON_RPC_CLOSED'));
    };
    const session = new Session(socket, reader, { initiator: true, clock, handlers: { onClosed } });
    const timer = handshakeTimer(session, options);
    session.send(FRAME.hello, 0, 0, hello(token, options.claims ?? ''));
    session.flush();
  });
}

/** Serves the acceptor's side of one connection. */
export function acceptSession(socket: Duplex, authorize: Authorize, options: HandshakeOptions = {}): void {
  const { clock = systemClock } = options;
  let open = false;
  const reader = new FrameReader((type, flag, id, payload) => {
    if (open) return session.receive(type, flag, id, payload);
    // What follows a refused hello in the same read is no second try: it would open a session that is gone.
    if (session.isClosed) return;
    const accepted = checkHello(type, payload, authorize);
    if (accepted instanceof CartonError) {
      session.send(FRAME.refuse, 0, 0, encodeControl(toWire(accepted)));
      session.close();
      return;
    }
    open = true;
    timer.cancel();
    session.send(FRAME.welcome, 0, 0, encodeControl(accepted.welcome));
    session.handlers = accepted.handlers(session);
  }, HANDSHAKE_FRAME_BYTES);
  const session: Session = new Session(socket, reader, { initiator: false, clock, handlers: { onClosed: () => timer.cancel() } });
  const timer = handshakeTimer(session, options);
}

/** Connects to a unix socket and opens a session. Rejects as `openSession` does, and with the system's own errors. */
export function connectSession(path: string, token: string, handlers: OpenHandlers): Promise<Session> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      // From here on the session knows why it ends.
      socket.removeListener('error', reject);
      openSession(socket, token, handlers).then(resolve, reject);
    });
  });
}

/**
 * Listens on a unix socket that only this user may connect to.
 * @param at its path, or the descriptor of one that listens already
 */
export function listen(at: string | number, authorize: Authorize): Promise<Server> {
  return listenPrivately(at, (socket) => acceptSession(socket, authorize));
}

/** As `listen`, for connections that are no sessions. */
export function listenPrivately(at: string | number, onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(onConnection);
    server.once('error', reject);
    server.maxConnections = LIMITS.connectionsPerSocket;
    server.listen(typeof at === 'number' ? { fd: at } : { path: at }, () => {
      server.removeListener('error', reject);
      // One connection could not be accepted, for want of descriptors: its peer sees it closed and comes again. Node
      // would end the process if nobody listened.
      server.on('error', () => undefined);
      if (typeof at === 'string') chmodSync(at, 0o600);
      resolve(server);
    });
  });
}

function hello(token: string, claims: string): Buffer {
  const bytes = Buffer.alloc(HELLO_BYTES + Buffer.byteLength(claims));
  MAGIC.copy(bytes, 0);
  bytes.writeUInt16LE(PROTOCOL_VERSION, MAGIC.length);
  Buffer.from(token, 'hex').copy(bytes, MAGIC.length + 2);
  bytes.write(claims, HELLO_BYTES);
  return bytes;
}

function readWelcome(payload: Buffer): Welcome {
  const message = decodeControl(payload);
  if (message['slot'] !== undefined) expectFields<Welcome>(message, { slot: 'count' });
  if (message['epoch'] !== undefined) expectFields<Welcome>(message, { epoch: 'count' });
  return message;
}

function checkHello(type: number, payload: Buffer, authorize: Authorize): Accepted | CartonError {
  const versionAt = MAGIC.length;
  if (type !== FRAME.hello || payload.length < versionAt + 2 || !payload.subarray(0, versionAt).equals(MAGIC)) {
    return new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a hello', got: `frame type ${type} of ${payload.length} bytes` });
  }
  // The version comes first: the rest of another version's hello may look different.
  const version = payload.readUInt16LE(versionAt);
  if (version !== PROTOCOL_VERSION) {
    return new CartonError('CARTON_RPC_VERSION', { expected: `version ${PROTOCOL_VERSION}`, got: `version ${version}` });
  }
  if (payload.length < HELLO_BYTES) return new CartonError('CARTON_RPC_BAD_FRAME', { expected: `a hello of ${HELLO_BYTES} bytes or more`, got: `${payload.length}` });
  return authorize(payload.toString('hex', versionAt + 2, HELLO_BYTES), payload.toString('utf8', HELLO_BYTES)) ?? new CartonError('CARTON_RPC_UNAUTHORIZED');
}

function handshakeTimer(session: Session, { clock = systemClock, limitMs = LIMITS.handshakeMs }: HandshakeOptions): Timer {
  if (limitMs === null) return { cancel: () => undefined };
  return clock.after(limitMs, () => {
    session.close(new CartonError('CARTON_RPC_HANDSHAKE_TIMEOUT', { expected: `within ${limitMs} ms` }));
  });
}
