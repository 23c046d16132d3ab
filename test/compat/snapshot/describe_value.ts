/**
 * Turns any value into JSON that says all that can be told of it: functions by source, properties by descriptor,
 * symbols by description, cycles by the place where the object was met first. Runs in the processes that are compared;
 * getters are never called, so that looking at an application does not change it.
 */

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Egg's config is eight levels deep at the most; what lies deeper than this would be somebody's object graph. */
const MAX_DEPTH = 14;

export function keyName(key: string | symbol): string {
  return typeof key === 'symbol' ? `@${key.description ?? ''}` : key;
}

function describeScalar(value: unknown): Json | undefined {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) ? value : `<number ${Object.is(value, -0) ? '-0' : value}>`;
  if (typeof value === 'undefined') return '<undefined>';
  if (typeof value === 'bigint') return `<bigint ${value}>`;
  if (typeof value === 'symbol') return `<symbol ${value.description ?? ''}>`;
  return undefined;
}

/** The name of the class that made an object; '' for plain objects and such without a prototype. */
function className(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null) return '<null>';
  if (prototype === Object.prototype) return '';
  const constructor: unknown = Reflect.getOwnPropertyDescriptor(prototype as object, 'constructor')?.value;
  return typeof constructor === 'function' ? constructor.name : '<anonymous>';
}

class Describer {
  readonly #seen = new Map<object, string>();

  describe(value: unknown, place: string, depth: number): Json {
    const scalar = describeScalar(value);
    if (scalar !== undefined) return scalar;
    const object = value as object;
    const before = this.#seen.get(object);
    if (before !== undefined) return `<as ${before}>`;
    if (depth > MAX_DEPTH) return `<${className(object)} too deep>`;
    this.#seen.set(object, place);
    return this.#object(object, place, depth);
  }

  #object(object: object, place: string, depth: number): Json {
    const inner = (value: unknown, at: string) => this.describe(value, `${place}/${at}`, depth + 1);
    if (object instanceof RegExp || object instanceof Date) return `<${className(object)} ${String(object)}>`;
    if (Buffer.isBuffer(object)) return `<Buffer ${object.toString('base64')}>`;
    if (object instanceof Error) return { '<error>': object.name, message: object.message };
    if (object instanceof Map) return { '<Map>': [...object].map(([key, item], at) => [inner(key, `key ${at}`), inner(item, `value ${at}`)]) };
    if (object instanceof Set) return { '<Set>': [...object].map((item, at) => inner(item, String(at))) };
    if (Array.isArray(object) && Object.keys(object).length === object.length) return object.map((item, at) => inner(item, String(at)));
    if (typeof object === 'function') {
      return { '<function>': Function.prototype.toString.call(object), name: object.name, ...this.#properties(object, place, depth) };
    }
    const name = className(object);
    // Objects of classes hold handles, clocks and counters: what they are made of is told by their class.
    if (name !== '' && name !== '<null>') return { '<instance>': name, keys: Reflect.ownKeys(object).map(keyName) };
    return this.#properties(object, place, depth);
  }

  /** Own properties in their order, those that cannot be enumerated and symbols too. */
  #properties(object: object, place: string, depth: number): { [key: string]: Json } {
    const all: { [key: string]: Json } = {};
    for (const key of Reflect.ownKeys(object)) {
      if (typeof object === 'function' && ['length', 'name', 'prototype', 'arguments', 'caller'].includes(keyName(key))) continue;
      const descriptor = Reflect.getOwnPropertyDescriptor(object, key);
      if (descriptor === undefined) continue;
      const name = keyName(key);
      if ('value' in descriptor) {
        all[descriptor.enumerable === true ? name : `${name} (hidden)`] = this.describe(descriptor.value, `${place}/${name}`, depth + 1);
      } else {
        all[name] = { '<accessor>': [String(descriptor.get), String(descriptor.set)], enumerable: descriptor.enumerable === true };
      }
    }
    return all;
  }
}

export function describeValue(value: unknown): Json {
  return new Describer().describe(value, '', 0);
}

/** A property of a dependency's object whose value a snapshot loads at its first use; accessible in all other ways. */
function isDelayed(descriptor: PropertyDescriptor | undefined): boolean {
  return String(descriptor?.get).startsWith('get() { const value = load(); Object.defineProperty(target, name');
}

/** What extending an object has put there: each own property with its kind, flags and source. */
export function describeExtended(object: object | undefined): Json {
  if (object === undefined) return null;
  const all: { [key: string]: Json } = {};
  for (const key of Reflect.ownKeys(object)) {
    // Becomes the property that it stands for.
    if (isDelayed(Reflect.getOwnPropertyDescriptor(object, key))) Reflect.get(object, key);
    const descriptor = Reflect.getOwnPropertyDescriptor(object, key);
    if (descriptor === undefined) continue;
    const { value, get, set, enumerable, configurable, writable } = descriptor as PropertyDescriptor & { value?: unknown };
    all[keyName(key)] = {
      kind: get ?? set ? `${get ? 'get' : ''}${set ? 'set' : ''}` : typeof value,
      flags: `${enumerable ? 'e' : '-'}${configurable ? 'c' : '-'}${writable ? 'w' : '-'}`,
      source: typeof value === 'function' ? String(value) : get ?? set ? `${String(get)}\n${String(set)}` : '',
    };
  }
  return all;
}
