/**
 * How a function process opens a connection: greeting, user, password, database. It runs in sidecars, on a unix socket, so
 * there is no TLS here, and the password is proven with mysql_native_password.
 *
 * Offered is only what connections to the database can be opened with, so that packets need no translation.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { CartonError } from '../../../../lib/support/errors';
import { CAPABILITY, EXTENDED_METADATA, FIRST_BYTE, HEADER_BYTES, STATUS, lengthEncoded, packet } from './protocol';

/** What the database says of itself before anything else. */
export interface ServerFacts {
  readonly version: string;
  readonly capabilities: number;
  /** MariaDB's own; 0 for others. */
  readonly extended: number;
  readonly collation: number;
}

export interface Greeting {
  readonly facts: ServerFacts;
  readonly threadId: number;
}

export interface Login {
  readonly user: string;
  readonly database: string | undefined;
  readonly collation: number;
  readonly capabilities: number;
  readonly extended: number;
  readonly plugin: string | undefined;
  readonly proof: Buffer;
}

const NATIVE = 'mysql_native_password';
const CHALLENGE_BYTES = 20;
const NEEDED = CAPABILITY.connectWithDb | CAPABILITY.protocol41 | CAPABILITY.transactions | CAPABILITY.secureConnection | CAPABILITY.reserved | CAPABILITY.pluginAuth | CAPABILITY.pluginAuthLenenc;
const OFFERED = NEEDED | CAPABILITY.longPassword | CAPABILITY.foundRows | CAPABILITY.longFlag | CAPABILITY.odbc | CAPABILITY.ignoreSpace | CAPABILITY.ignoreSigpipe
  | CAPABILITY.multiStatements | CAPABILITY.multiResults | CAPABILITY.psMultiResults | CAPABILITY.sessionTrack;

/** Of the greeting: what follows the version, up to MariaDB's capabilities. */
const OFFSETS = { threadId: 0, low: 13, collation: 15, high: 18, extended: 27, end: 31 } as const;

export function offeredOf({ capabilities }: ServerFacts): number {
  return (capabilities & OFFERED) | NEEDED;
}

/** Reads the database's first packet. Undefined: it is an error, or none that is known. */
export function readGreeting(bytes: Buffer): Greeting | undefined {
  const versionEnd = bytes.indexOf(0, HEADER_BYTES + 1);
  const at = versionEnd + 1;
  if (bytes[HEADER_BYTES] !== 10 || versionEnd === -1 || bytes.length < at + OFFSETS.end) return undefined;
  const capabilities = bytes.readUInt16LE(at + OFFSETS.low) | (bytes.readUInt16LE(at + OFFSETS.high) << 16);
  const extended = (capabilities & CAPABILITY.longPassword) === 0 ? bytes.readUInt32LE(at + OFFSETS.extended) : 0;
  const facts = { version: bytes.toString('latin1', HEADER_BYTES + 1, versionEnd), capabilities, extended, collation: bytes[at + OFFSETS.collation] as number };
  return { facts, threadId: bytes.readUInt32LE(at + OFFSETS.threadId) };
}

/** Takes from the database's greeting, in place, the extended capabilities that a connection is not to be opened with. */
export function restrictGreeting(bytes: Buffer, extended: number): void {
  const at = bytes.indexOf(0, HEADER_BYTES + 1) + 1 + OFFSETS.extended;
  const isMariadb = (readGreeting(bytes)?.facts.extended ?? 0) !== 0;
  if (isMariadb) bytes.writeUInt32LE((bytes.readUInt32LE(at) & extended) >>> 0, at);
}

/** Printable bytes: some clients read the challenge as text that a zero ends. */
export function newChallenge(): Buffer {
  return Buffer.from(randomBytes(CHALLENGE_BYTES).map((byte) => 33 + (byte % 94)));
}

export function greetingPacket(facts: ServerFacts, threadId: number, challenge: Buffer): Buffer {
  const offered = offeredOf(facts);
  const fixed = Buffer.alloc(OFFSETS.end);
  fixed.writeUInt32LE(threadId, OFFSETS.threadId);
  challenge.copy(fixed, 4, 0, 8);
  fixed.writeUInt16LE(offered & 0xffff, OFFSETS.low);
  fixed[OFFSETS.collation] = facts.collation;
  fixed.writeUInt16LE(STATUS.autocommit, OFFSETS.collation + 1);
  fixed.writeUInt16LE(offered >>> 16, OFFSETS.high);
  fixed[OFFSETS.high + 2] = CHALLENGE_BYTES + 1;
  fixed.writeUInt32LE(facts.extended & EXTENDED_METADATA, OFFSETS.extended);
  return packet(0, Buffer.concat([Buffer.from(`\x0a${facts.version}\0`, 'latin1'), fixed, challenge.subarray(8), Buffer.from(`\0${NATIVE}\0`)]));
}

/** Reads the answer to the greeting. Throws `CARTON_SIDECAR_WIRE_PROTOCOL`. */
export function readLogin(payload: Buffer, facts: ServerFacts): Login {
  if (payload.length < 33 || (payload.readUInt32LE(0) & CAPABILITY.protocol41) === 0) throw new CartonError('CARTON_SIDECAR_WIRE_PROTOCOL', { expected: 'a handshake response of protocol 4.1', got: `${payload.length} bytes` });
  // Clients announce also what was not offered; it counts for how the rest of this packet is laid out, and for nothing else.
  const announced = payload.readUInt32LE(0);
  const extended = (announced & CAPABILITY.longPassword) === 0 ? payload.readUInt32LE(28) & facts.extended & EXTENDED_METADATA : 0;
  const user = textAt(payload, 32);
  const proof = proofAt(payload, user.next, announced);
  const database = (announced & CAPABILITY.connectWithDb) === 0 ? undefined : textAt(payload, proof.next);
  const plugin = (announced & CAPABILITY.pluginAuth) === 0 ? undefined : textAt(payload, database?.next ?? proof.next).text;
  return { user: user.text, database: database?.text, collation: payload[8] as number, capabilities: announced & offeredOf(facts), extended, plugin, proof: proof.bytes };
}

function textAt(payload: Buffer, at: number): { text: string; next: number } {
  const end = payload.indexOf(0, at);
  // The last text of the packet may end with it.
  const until = end === -1 ? payload.length : end;
  return { text: payload.toString('utf8', Math.min(at, until), until), next: until + 1 };
}

function proofAt(payload: Buffer, at: number, announced: number): { bytes: Buffer; next: number } {
  const hasLength = (announced & (CAPABILITY.pluginAuthLenenc | CAPABILITY.secureConnection)) !== 0;
  const { value, next } = hasLength ? lengthEncoded(payload, at) : { value: Math.max(payload.indexOf(0, at), at) - at, next: at };
  if (next + value > payload.length) throw new CartonError('CARTON_SIDECAR_WIRE_PROTOCOL', { expected: 'a whole handshake response' });
  return { bytes: payload.subarray(next, next + value), next: next + value + (hasLength ? 0 : 1) };
}

/** Asks for the proof again, of a client that began with another plugin; undefined where that is not needed. */
export function switchPacket(login: Login, sequence: number, challenge: Buffer): Buffer | undefined {
  if (login.plugin === undefined || login.plugin === NATIVE) return undefined;
  return packet(sequence, Buffer.concat([Buffer.of(FIRST_BYTE.eof), Buffer.from(`${NATIVE}\0`), challenge, Buffer.of(0)]));
}

/** Whether the proof is SHA1(password) XOR SHA1(challenge, SHA1(SHA1(password))); none is needed without a password. */
export function isProven(proof: Buffer, password: string, challenge: Buffer): boolean {
  if (password === '') return proof.length === 0;
  const once = sha1(Buffer.from(password));
  const expected = sha1(challenge, sha1(once)).map((byte, index) => byte ^ (once[index] as number));
  return proof.length === expected.length && timingSafeEqual(proof, expected);
}

function sha1(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
