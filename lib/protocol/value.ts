/**
 * Values of remote calls: arguments and results that travel to another process and stay what they are. V8's structured
 * clone carries plain data, Date, Map, Set, RegExp, BigInt, typed arrays and cycles. Around it, Buffers stay Buffers
 * without a copy through text, errors keep all that they have, and what cannot travel (functions, streams, signals,
 * objects that live elsewhere) goes as a reference, whose meaning is the session's. What JSON can say without a loss goes
 * as JSON, which is several times faster for small values. It runs in instances and sidecars.
 *
 * Reading is safe with hostile bytes: V8 checks each length against what is left before it allocates, and nesting
 * against its stack; the frame's limit bounds the rest.
 *
 * What does not travel: the class of an object that is no error (its own enumerable properties do), an error inside of itself, symbols, getters as
 * such. Where one part cannot travel, all of it is refused.
 */
import { isAnyArrayBuffer, isBoxedPrimitive, isDate, isGeneratorObject, isMap, isPromise, isRegExp, isSet, isWeakMap, isWeakSet } from 'node:util/types';
import { DefaultSerializer, Deserializer } from 'node:v8';
import { CartonError, describe } from '../support/errors';
import { LIMITS } from '../support/limits';
import { errorOf, recordOf } from './error_record';

/** What stands in a value for something that stays where it is. */
export interface Reference {
  /** One of the session's kinds. */
  readonly kind: number;
  readonly id: number;
  /** What else is known of it; may hold anything that a value may. */
  readonly data?: unknown;
}

/** The reference for what cannot travel; undefined where it has none. It is asked for functions and for all objects that are not plain. */
export type Refer = (value: object) => Reference | undefined;
export type Resolve = (reference: Reference) => unknown;

/** Throws `CARTON_RPC_BAD_VALUE`. */
export function encodeValue(value: unknown, refer: Refer = () => undefined): Buffer {
  const marking = new Marking(refer);
  const marked = marking.of(value);
  // A fifth of the time for what most calls say.
  if (marking.isJson) return Buffer.from(JSON.stringify(value));
  const serializer = new ValueSerializer();
  try {
    serializer.writeHeader();
    serializer.writeValue(marked);
    return serializer.releaseBuffer();
  } catch (cause) {
    if (cause instanceof CartonError) throw cause;
    throw new CartonError('CARTON_RPC_BAD_VALUE', { expected: 'data that can be copied', got: describe(cause), cause });
  }
}

/** Throws `CARTON_RPC_BAD_FRAME`. Buffers and typed arrays in it may be views of `bytes`. */
export function decodeValue(bytes: Buffer, resolve: Resolve = unexpected): unknown {
  try {
    if (bytes[0] !== V8_HEADER) return JSON.parse(bytes.toString('utf8')) as unknown;
    const deserializer = new ValueDeserializer(bytes, resolve);
    deserializer.readHeader();
    return deserializer.readValue();
  } catch (cause) {
    if (cause instanceof CartonError) throw cause;
    throw new CartonError('CARTON_RPC_BAD_FRAME', { of: 'a value', expected: 'a value as V8 writes it, or as JSON', got: `${bytes.length} bytes`, cause });
  }
}

function unexpected({ kind }: Reference): never {
  throw bad('no references', `one of kind ${kind}`);
}

/** With which all begins that V8 writes, and no JSON. */
const V8_HEADER = 0xff;
const VIEWS = [
  Buffer, Uint8Array, Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView,
] as const;
/** Of `VIEWS`, Uint8Array. */
const BYTES = 1;
/** Beside the places in `VIEWS`. */
const ERROR = 100;
const REFERENCE = 101;
const URL_TEXT = 102;

/** V8 asks how to write views, so what is to be written in another way stands in the value as one. */
class Mark extends Uint8Array {
  tag = 0;
  content: unknown;

  static as(tag: number, content: unknown): Mark {
    const mark = new Mark();
    mark.tag = tag;
    mark.content = content;
    return mark;
  }
}

class ValueSerializer extends DefaultSerializer {
  /** Called by V8. */
  _writeHostObject(view: NodeJS.ArrayBufferView): void {
    if (view instanceof Mark) {
      this.writeUint32(view.tag);
      this.writeValue(view.content);
      return;
    }
    const type = VIEWS.findIndex((known) => view.constructor === known);
    // One of a class of somebody's own is bytes at the other end.
    this.writeUint32(type < 0 ? BYTES : type);
    this.writeUint32(view.byteLength);
    this.writeRawBytes(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  }
}

class ValueDeserializer extends Deserializer {
  readonly #resolve: Resolve;

  constructor(bytes: Buffer, resolve: Resolve) {
    super(bytes);
    this.#resolve = resolve;
  }

  /** Called by V8. */
  _readHostObject(): object {
    const tag = this.readUint32();
    switch (tag) {
      case ERROR:
        return errorOf(this.readValue());
      case URL_TEXT:
        return new URL(String(this.readValue()));
      case REFERENCE:
        return this.#resolve(referenceOf(this.readValue())) as object;
      default:
        return this.#readView(tag);
    }
  }

  #readView(type: number): object {
    const View = VIEWS[type];
    if (View === undefined) throw bad('a known type', `type ${type}`);
    // A view of what was read; throws where less is left.
    const bytes = this.readRawBytes(this.readUint32());
    // A small one must not keep alive all that was read with it.
    if (View === Buffer) return bytes.length < LIMITS.valueCopyBytes ? Buffer.from(bytes) : bytes;
    const { buffer, byteOffset, length } = bytes;
    return new (View as Uint8ArrayConstructor)(buffer.slice(byteOffset, byteOffset + length));
  }
}

/** Puts marks where something cannot travel as it is. What needs none is not copied. */
class Marking {
  /** Whether JSON says all of it. Known once `of` has returned. */
  isJson = true;
  readonly #refer: Refer;
  readonly #seen = new Set<object>();
  // Of what JSON can say there are none.
  #references: Map<object, Reference> | undefined;
  #copies: Map<object, unknown> | undefined;

  constructor(refer: Refer) {
    this.#refer = refer;
  }

  of(value: unknown): unknown {
    if (!this.#needsMarks(value, 0)) return value;
    this.isJson = false;
    return this.#marked(value);
  }

  #needsMarks(value: unknown, depth: number): boolean {
    if (typeof value === 'function') return this.#isReferred(value);
    if (typeof value === 'symbol') throw new CartonError('CARTON_RPC_BAD_VALUE', { expected: 'data', got: value.toString() });
    if (typeof value !== 'object' || value === null) {
      this.isJson &&= isJson(value);
      return false;
    }
    if (this.#seen.has(value)) {
      // It stays one and the same.
      this.isJson = false;
      return false;
    }
    this.#seen.add(value);
    if (depth > LIMITS.valueDepth) throw new CartonError('CARTON_RPC_BAD_VALUE', { expected: `at most ${LIMITS.valueDepth} levels of objects`, got: 'more' });
    const kind = kindOf(value);
    // An array may have holes, and properties.
    this.isJson &&= kind === 'plain' || (kind === 'array' && Object.keys(value).length === (value as unknown[]).length);
    switch (kind) {
      case 'leaf':
        return false;
      case 'array':
        return (value as unknown[]).some((item) => this.#needsMarks(item, depth + 1));
      case 'map':
        for (const [key, item] of value as Map<unknown, unknown>) if (this.#needsMarks(key, depth + 1) || this.#needsMarks(item, depth + 1)) return true;
        return false;
      case 'set':
        for (const item of value as Set<unknown>) if (this.#needsMarks(item, depth + 1)) return true;
        return false;
      case 'other':
        if (value instanceof Error || value instanceof URL || this.#isReferred(value)) return true;
        return Object.values(value).some((item) => this.#needsMarks(item, depth + 1));
      case 'plain':
        return Object.values(value).some((item) => this.#needsMarks(item, depth + 1));
    }
  }

  #marked(value: unknown): unknown {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return value;
    const copies = (this.#copies ??= new Map());
    if (copies.has(value)) return copies.get(value);
    const kept = <T>(copy: T): T => (copies.set(value, copy), copy);
    if (this.#isReferred(value)) return kept(Mark.as(REFERENCE, this.#marked(this.#references?.get(value))));
    switch (kindOf(value)) {
      case 'leaf':
        return value;
      case 'array': {
        const copy = kept<unknown[]>([]);
        for (const item of value as unknown[]) copy.push(this.#marked(item));
        return copy;
      }
      case 'map': {
        const copy = kept(new Map<unknown, unknown>());
        for (const [key, item] of value as Map<unknown, unknown>) copy.set(this.#marked(key), this.#marked(item));
        return copy;
      }
      case 'set': {
        const copy = kept(new Set<unknown>());
        for (const item of value as Set<unknown>) copy.add(this.#marked(item));
        return copy;
      }
      case 'plain':
        return this.#properties(value, kept({}));
      case 'other':
        return this.#other(value, kept);
    }
  }

  #other(value: object, kept: <T>(copy: T) => T): unknown {
    if (value instanceof URL) return kept(Mark.as(URL_TEXT, value.href));
    // V8 would say of these that they cannot be copied; as an object without properties they would get lost in silence.
    if (isPromise(value) || isWeakMap(value) || isWeakSet(value) || isGeneratorObject(value)) throw new CartonError('CARTON_RPC_BAD_VALUE', { expected: 'data', got: `a ${value.constructor.name}` });
    if (!(value instanceof Error)) return this.#properties(value, kept({}));
    // V8 cannot lead back to what it is still reading in another way than its own: inside of itself an error is left out.
    kept(undefined);
    return kept(Mark.as(ERROR, this.#marked(recordOf(value))));
  }

  #properties(value: object, copy: Record<string, unknown>): Record<string, unknown> {
    for (const [key, item] of Object.entries(value)) {
      // Assigned, this one would become the prototype.
      if (key === '__proto__') Object.defineProperty(copy, key, { value: this.#marked(item), enumerable: true, configurable: true, writable: true });
      else copy[key] = this.#marked(item);
    }
    return copy;
  }

  /** Asks once for each. Throws for a function that nobody refers to. */
  #isReferred(value: object): boolean {
    if (this.#references?.has(value) === true) return true;
    if (typeof value !== 'function' && kindOf(value) !== 'other') return false;
    const reference = this.#refer(value);
    if (reference !== undefined) (this.#references ??= new Map()).set(value, reference);
    else if (typeof value === 'function') throw new CartonError('CARTON_RPC_BAD_VALUE', { expected: 'data', got: `a function (${value.name || 'without a name'})` });
    return reference !== undefined;
  }
}

function isJson(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || value === null || (Number.isFinite(value) && !Object.is(value, -0));
}

/** `leaf`: V8 writes it as it is. `other`: something has to be known of it. */
function kindOf(value: object): 'leaf' | 'array' | 'map' | 'set' | 'plain' | 'other' {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return 'plain';
  if (Array.isArray(value)) return 'array';
  if (ArrayBuffer.isView(value) || isBoxedPrimitive(value) || isDate(value) || isRegExp(value) || isAnyArrayBuffer(value)) return 'leaf';
  if (isMap(value)) return 'map';
  if (isSet(value)) return 'set';
  return 'other';
}

function referenceOf(value: unknown): Reference {
  const { kind, id } = value as Partial<Reference>;
  if (!Number.isInteger(kind) || !Number.isInteger(id)) throw bad('a reference', 'something else');
  return value as Reference;
}

function bad(expected: string, got: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { of: 'a value', expected, got });
}
