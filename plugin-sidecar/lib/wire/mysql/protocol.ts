/**
 * What the wire's modules share of MySQL's client/server protocol: numbers, and the packets that the wire makes itself.
 * It runs in sidecars. Everything else passes through unread.
 */
import { type CartonError, type ErrorCode } from '../../../../lib/support/errors';

/** Bytes of a packet's payload; one of that length goes on in the next packet. */
export const MAX_PAYLOAD = 0xffffff;
export const HEADER_BYTES = 4;

export const COMMAND = Object.freeze({
  quit: 0x01,
  initDb: 0x02,
  query: 0x03,
  fieldList: 0x04,
  statistics: 0x09,
  ping: 0x0e,
  prepare: 0x16,
  execute: 0x17,
  longData: 0x18,
  closeStatement: 0x19,
  resetStatement: 0x1a,
  fetch: 0x1c,
  resetConnection: 0x1f,
});

export const CAPABILITY = Object.freeze({
  longPassword: 0x1,
  foundRows: 0x2,
  longFlag: 0x4,
  connectWithDb: 0x8,
  odbc: 0x40,
  ignoreSpace: 0x100,
  protocol41: 0x200,
  ignoreSigpipe: 0x1000,
  transactions: 0x2000,
  reserved: 0x4000,
  secureConnection: 0x8000,
  multiStatements: 0x10000,
  multiResults: 0x20000,
  psMultiResults: 0x40000,
  pluginAuth: 0x80000,
  pluginAuthLenenc: 0x200000,
  sessionTrack: 0x800000,
});

/** Among MariaDB's extended capabilities: column definitions tell types that MySQL does not know. */
export const EXTENDED_METADATA = 0x8;

export const STATUS = Object.freeze({
  inTransaction: 0x1,
  autocommit: 0x2,
  moreResults: 0x8,
  cursorExists: 0x40,
  lastRowSent: 0x80,
  stateChanged: 0x4000,
});

export const FIRST_BYTE = Object.freeze({ ok: 0x00, localInfile: 0xfb, eof: 0xfe, error: 0xff });

/** Number and SQLSTATE of the wire's own errors, for clients that decide by them. */
const NUMBERS: Partial<Record<ErrorCode, readonly [number: number, state: string]>> = {
  CARTON_SIDECAR_WIRE_BUSY: [1040, '08S01'],
  CARTON_SIDECAR_WIRE_LOST: [1158, '08S01'],
  CARTON_SIDECAR_WIRE_PROTOCOL: [1835, '08S01'],
  CARTON_SIDECAR_WIRE_REFUSED: [1045, '28000'],
  CARTON_SIDECAR_WIRE_UNREACHABLE: [1158, '08S01'],
};
const OTHERS = [1105, 'HY000'] as const;

export function packet(sequence: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  bytes.writeUIntLE(payload.length, 0, 3);
  bytes[3] = sequence & 0xff;
  payload.copy(bytes, HEADER_BYTES);
  return bytes;
}

/** A command whose body is text that fits one packet. */
export function command(code: number, body: string | Buffer = ''): Buffer {
  return packet(0, Buffer.concat([Buffer.of(code), typeof body === 'string' ? Buffer.from(body, 'latin1') : body]));
}

export function statementCommand(code: number, id: number): Buffer {
  const body = Buffer.allocUnsafe(4);
  body.writeUInt32LE(id);
  return command(code, body);
}

export function okPacket(sequence: number, status: number): Buffer {
  return packet(sequence, Buffer.of(FIRST_BYTE.ok, 0, 0, status & 0xff, status >> 8, 0, 0));
}

export function errorPacket(sequence: number, error: CartonError): Buffer {
  const [number, state] = NUMBERS[error.code] ?? OTHERS;
  return packet(sequence, Buffer.concat([Buffer.of(FIRST_BYTE.error, number & 0xff, number >> 8), Buffer.from(`#${state}${error.code}: ${error.message}`)]));
}

/** A length-encoded integer; `next` is beyond the buffer where it is cut off. Above 2^48 only its lower bytes count. */
export function lengthEncoded(bytes: Buffer, at: number): { value: number; next: number } {
  const first = bytes[at] ?? 0;
  if (first < 0xfb) return { value: first, next: at + 1 };
  const size = first === 0xfc ? 2 : first === 0xfd ? 3 : 8;
  const next = at + 1 + size;
  return { value: next > bytes.length ? 0 : bytes.readUIntLE(at + 1, Math.min(size, 6)), next };
}
