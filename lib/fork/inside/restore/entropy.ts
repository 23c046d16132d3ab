/**
 * Random numbers of a fork are its own: `Math.random()`, `crypto.randomUUID()`, `crypto.randomInt()` and the pools of
 * libraries continue in each fork as nowhere else. All else of `crypto` asks the kernel and needs nothing. Prepared in
 * the root template's process, renewed in each fork.
 *
 * V8 keeps the state of `Math.random` where nothing reaches it. So the root template has a generator of this file's
 * from the start, and libraries that keep `const { random } = Math` have that one, too. What stays shared with siblings
 * is V8's: seeds of hashes, and `Math.random` of contexts of `node:vm`.
 */
import crypto from 'node:crypto';
import { findNumberedLibraries, notePools, refillPools } from './pools';

const { randomFillSync, randomInt, randomUUID } = crypto;

/** Node draws as many ids at once, and integers of 6 bytes from as many: lib/internal/crypto/random.js in 20 to 24. */
const UUIDS_AT_ONCE = 128;
const INTEGER_CACHE_BYTES = 6 * 1024;
const INTEGERS_AT_ONCE = INTEGER_CACHE_BYTES / 6;

/** Nothing was loaded since libraries were looked for. */
let isSettled = false;
let integerCache: Uint8Array | undefined;

/** Of sfc32 (Chris Doty-Humphrey, PractRand), whose counter makes its least period 2^32. */
const seed = new Int32Array(4);
let a = 0;
let b = 0;
let c = 0;
let counter = 0;

/** Rounds after which each bit of the state depends on all bits of the seed. */
const MIXING_ROUNDS = 12;

const TWO_TO_26 = 2 ** 26;
const TWO_TO_MINUS_53 = 2 ** -53;

/** Before anything else runs in the root template's process. */
export function prepareEntropy(): void {
  notePools();
  integerCache = findIntegerCache();
  reseed();
  Object.defineProperty(Math, 'random', { ...Object.getOwnPropertyDescriptor(Math, 'random'), value: generator.random });
}

/** In a template that is about to rest. What runs here for the first time need not be compiled in each fork. */
export function settleEntropy(): void {
  findNumberedLibraries();
  isSettled = true;
  renew();
}

/** In each fork. */
export function restoreEntropy(): void {
  if (!isSettled) findNumberedLibraries();
  isSettled = false;
  renew();
}

function renew(): void {
  reseed();
  // Nothing reaches these, so they are used up: 70 µs, 300 where the code is cold.
  for (let i = 0; i < UUIDS_AT_ONCE; i++) randomUUID();
  // To use up integers would take up to 1.6 ms.
  if (integerCache !== undefined) randomFillSync(integerCache);
  else for (let i = 0; i < INTEGERS_AT_ONCE; i++) randomInt(2);
  refillPools();
}

/** `randomInt` reads its cache by a method that everybody may replace. Undefined where it does not any more. */
function findIntegerCache(): Uint8Array | undefined {
  const { readUIntBE } = Buffer.prototype as { readUIntBE: (this: Uint8Array, ...args: unknown[]) => number };
  const found: Uint8Array[] = [];
  Object.assign(Buffer.prototype, {
    readUIntBE(this: Uint8Array, ...args: unknown[]) {
      found.push(this);
      return readUIntBE.apply(this, args);
    },
  });
  randomInt(2);
  Object.assign(Buffer.prototype, { readUIntBE });
  return found.find(({ length }) => length === INTEGER_CACHE_BYTES);
}

function reseed(): void {
  randomFillSync(seed);
  [a, b, c, counter] = seed as unknown as [number, number, number, number];
  for (let i = 0; i < MIXING_ROUNDS; i++) next();
}

function next(): number {
  const drawn = (((a + b) | 0) + counter) | 0;
  counter = (counter + 1) | 0;
  a = b ^ (b >>> 9);
  b = (c + (c << 3)) | 0;
  c = (((c << 21) | (c >>> 11)) + drawn) | 0;
  return drawn;
}

const generator = {
  /** 53 bits in [0, 1). */
  random(): number {
    return ((next() >>> 5) * TWO_TO_26 + (next() >>> 6)) * TWO_TO_MINUS_53;
  },
};
