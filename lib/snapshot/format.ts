/**
 * The layout of a snapshot file: a header of 16 bytes, the manifest as JSON, and the contents that it points into.
 * `docs/reference/snapshot.md` describes it. Pure but for the digest.
 *
 *     0   8  magic, "CARTONSN"
 *     8   4  format, unsigned, little-endian
 *     12  4  bytes of the manifest, unsigned, little-endian
 *     16  n  manifest: JSON in UTF-8, followed by spaces up to a multiple of 8
 *            contents: each begins at a multiple of 8, because V8 copies a compile cache that does not
 */
import { createHash } from 'node:crypto';
import { CartonError } from '../support/errors';
import { SNAPSHOT_FORMAT, type Encoding, type Manifest } from './manifest';
import { expectManifest } from './manifest_check';

const MAGIC = 'CARTONSN';
const HEADER_BYTES = 16;
const ALIGNMENT = 8;

/** A snapshot that was read, whose digest fits, and whose manifest keeps within its tables. */
export interface Opened {
  readonly manifest: Manifest;
  readonly bytes: Buffer;
  /** Where the contents begin in `bytes`. */
  readonly start: number;
}

/** SHA-256, hexadecimal. */
export function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Gathers contents while a snapshot is built. */
export class Contents {
  readonly #parts: Buffer[] = [];
  #length = 0;

  /** Returns the offset. */
  add(content: Buffer): number {
    const offset = this.#length;
    this.#parts.push(content, Buffer.alloc(padding(content.length)));
    this.#length += content.length + padding(content.length);
    return offset;
  }

  /** The whole file. */
  encode(manifest: Manifest): Buffer {
    const json = Buffer.from(JSON.stringify(manifest));
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(MAGIC, 'latin1');
    header.writeUInt32LE(SNAPSHOT_FORMAT, 8);
    header.writeUInt32LE(json.length, 12);
    return Buffer.concat([header, json, Buffer.alloc(padding(json.length), ' '), ...this.#parts]);
  }
}

function padding(length: number): number {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
}

/**
 * Throws `CARTON_SNAPSHOT_DAMAGED` for bytes that do not have this digest or that lead astray, and `_MISMATCH` for those
 * of another version.
 * @param bytes undefined where there is no file
 */
export function open(bytes: Buffer | undefined, sha256: string): Opened {
  if (bytes === undefined) throw damaged(`a file with the SHA-256 ${sha256}`, 'none');
  if (digestOf(bytes) !== sha256) throw damaged(`the SHA-256 ${sha256}`, `${bytes.length} bytes with another`);
  return decode(bytes);
}

function decode(bytes: Buffer): Opened {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) throw damaged('a snapshot file', `${bytes.length} bytes of something else`);
  const format = bytes.readUInt32LE(8);
  if (format !== SNAPSHOT_FORMAT) throw new CartonError('CARTON_SNAPSHOT_MISMATCH', { of: 'key "format"', expected: String(SNAPSHOT_FORMAT), got: String(format) });
  const length = bytes.readUInt32LE(12);
  if (HEADER_BYTES + length > bytes.length) throw damaged(`a manifest of ${length} bytes`, `${bytes.length} bytes altogether`);
  const start = HEADER_BYTES + length + padding(length);
  const manifest = expectManifest(parse(bytes.toString('utf8', HEADER_BYTES, HEADER_BYTES + length)), bytes.length - start);
  return { manifest, bytes, start };
}

/** Throws `CARTON_SNAPSHOT_DAMAGED`. */
export function parse(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch (cause) {
    throw damaged('JSON', 'something else', cause);
  }
}

export function damaged(expected: string, got: string, cause?: unknown): CartonError {
  return new CartonError('CARTON_SNAPSHOT_DAMAGED', { expected, got, cause });
}

/** The shortest encoding that V8 takes as it is; UTF-8 would have to be decoded at each start. */
export function encodingOf(text: string): Encoding {
  return /^[\0-\xff]*$/.test(text) ? 0 : 1;
}

/** Where a content is: [offset, bytes], from the start of the contents. */
export function contentOf({ bytes, start }: Opened, [offset, length]: readonly [offset: number, bytes: number]): Buffer {
  return bytes.subarray(start + offset, start + offset + length);
}

export function encodeText(text: string, encoding: Encoding): Buffer {
  return Buffer.from(text, encoding === 0 ? 'latin1' : 'utf16le');
}
