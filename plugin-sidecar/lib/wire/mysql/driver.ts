/**
 * Opens connections to the database with the application's own mysql2, so with all that it knows of authentication and TLS,
 * and takes them over once they are authenticated. It runs in sidecars.
 *
 * The socket is made here and its first packet is read before mysql2 does, because that tells what the database can, and
 * because mysql2 has no option against MariaDB's extended column definitions, which older drivers do not understand.
 */
import net from 'node:net';
import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { type Clock } from '../../../../lib/support/clock';
import { CartonError, describe } from '../../../../lib/support/errors';
import { LIMITS } from '../../../../lib/support/limits';
import { CAPABILITY, EXTENDED_METADATA, HEADER_BYTES } from './protocol';
import { readGreeting, restrictGreeting, type Greeting, type Login, type ServerFacts } from './handshake';

/** What the wire uses of mysql2. */
interface Driver {
  createConnection(options: Record<string, unknown>): EventEmitter & { readonly stream: Duplex };
  /** Numbers of collations by their names in capitals. */
  readonly Charsets?: Readonly<Record<string, number>>;
}

export interface DriverOptions {
  readonly backend: Readonly<Record<string, unknown>>;
  readonly driver: unknown;
  readonly clock: Clock;
}

/** What a connection was opened with that changes the meaning of statements or the layout of packets, as bits. */
export type Kind = number;

export interface Opened extends Greeting {
  readonly stream: Duplex;
  readonly kind: Kind;
}

const KINDS = Object.freeze({
  FOUND_ROWS: CAPABILITY.foundRows,
  MULTI_STATEMENTS: CAPABILITY.multiStatements,
  MULTI_RESULTS: CAPABILITY.multiResults,
  PS_MULTI_RESULTS: CAPABILITY.psMultiResults,
  SESSION_TRACK: CAPABILITY.sessionTrack,
});
const KIND_MASK = Object.values(KINDS).reduce((mask, bit) => mask | bit, 0);
/** Stands for MariaDB's extended capability; no capability of a kind has this bit. */
const EXTENDED = 0x1000000;
/** Never opened with: packets would mean something else, or the database could ask for files. */
const NEVER = ['-LOCAL_FILES', '-COMPRESS', '-IGNORE_SPACE', '-CLIENT_QUERY_ATTRIBUTES'];

/** What mysql2 connects with where nothing else is said; for the connection that is made before any session asked for one. */
export const USUAL_KIND: Kind = CAPABILITY.foundRows | CAPABILITY.multiResults | CAPABILITY.sessionTrack | EXTENDED;

export function kindOf({ capabilities, extended }: Pick<Login, 'capabilities' | 'extended'>): Kind {
  return (capabilities & KIND_MASK) | (extended === 0 ? 0 : EXTENDED);
}

/** The name of a collation, in lower case; undefined for numbers that the driver does not know. */
export function collationOf(driver: unknown, number: number): string | undefined {
  const names = Object.entries((driver as Driver).Charsets ?? {}).filter(([, value]) => value === number).map(([name]) => name.toLowerCase());
  // The driver has also names of character sets among them, which are no collations.
  return names.find((name) => name.includes('_') || name === 'binary');
}

/** Throws `CARTON_SIDECAR_WIRE_UNREACHABLE`, with what the driver said. */
export async function openConnection({ backend, driver, clock }: DriverOptions, kind: Kind): Promise<Opened> {
  const socket = socketTo(backend);
  const timer = clock.after(LIMITS.wireConnectMs, () => socket.destroy(new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE', { expected: `a connection within ${LIMITS.wireConnectMs} ms` })));
  try {
    const greeting = await greetingOf(socket, kind);
    const connection = (driver as Driver).createConnection({ ...backend, stream: socket, flags: flagsOf(kind), compress: false });
    socket.resume();
    await connected(connection);
    return { ...greeting, kind: kindOf(supported(kind, greeting.facts)), stream: takenOver(connection, backend.ssl !== undefined && backend.ssl !== false ? socket : undefined) };
  } catch (error) {
    socket.destroy();
    throw new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE', { got: describe(error), cause: error });
  } finally {
    timer.cancel();
  }
}

function supported(kind: Kind, { capabilities, extended }: ServerFacts): Pick<Login, 'capabilities' | 'extended'> {
  return { capabilities: kind & capabilities, extended: (kind & EXTENDED) === 0 ? 0 : extended & EXTENDED_METADATA };
}

function socketTo(backend: Readonly<Record<string, unknown>>): Duplex {
  if (typeof backend.stream === 'function') return (backend.stream as (options: unknown) => Duplex)({ config: backend });
  const { socketPath, host, port } = backend;
  if (typeof socketPath === 'string') return net.connect(socketPath);
  return net.connect({ host: typeof host === 'string' ? host : 'localhost', port: Number(port ?? 3306), noDelay: true, keepAlive: true });
}

/** Reads the first packet, and gives it back to the socket for the driver. */
function greetingOf(socket: Duplex, kind: Kind): Promise<Greeting> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const isCut = bytes.length < HEADER_BYTES || bytes.length < HEADER_BYTES + bytes.readUIntLE(0, 3);
      if (isCut && bytes.length <= LIMITS.wireHandshakeBytes) return;
      socket.off('data', onData).off('error', reject).off('close', onClose).pause();
      const greeting = readGreeting(bytes);
      if (greeting !== undefined) restrictGreeting(bytes, (kind & EXTENDED) === 0 ? 0 : EXTENDED_METADATA);
      socket.unshift(bytes);
      // An error packet: the driver reads it, and says what it says.
      resolve(greeting ?? { facts: { version: '', capabilities: 0, extended: 0, collation: 0 }, threadId: 0 });
    };
    const onClose = (): void => reject(new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE', { got: 'a connection that was closed unused' }));
    socket.on('data', onData).on('error', reject).on('close', onClose);
  });
}

function flagsOf(kind: Kind): string[] {
  return [...NEVER, ...Object.entries(KINDS).map(([name, bit]) => ((kind & bit) === 0 ? `-${name}` : name))];
}

function connected(connection: EventEmitter): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.once('connect', () => resolve());
    // Stays for good: what the driver says later is told by the stream, too, and would be thrown if nobody listened.
    connection.on('error', reject);
  });
}

/** @param bare the socket, where there is to be TLS on it */
function takenOver(connection: { readonly stream: Duplex }, bare: Duplex | undefined): Duplex {
  const { stream } = connection;
  if (stream === bare) throw new CartonError('CARTON_SIDECAR_WIRE_UNREACHABLE', { expected: 'a mysql2 whose connections show their TLS stream', got: 'an older one' });
  // The driver's other listeners stay: they only end what has ended.
  stream.removeAllListeners('data');
  return stream;
}
