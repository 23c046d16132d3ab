/**
 * Pools of random bytes that libraries draw ids from. In a template, who fills a buffer with random bytes is looked up,
 * and the pools of known libraries are noted; in each fork they are filled anew, in place. Buffers of anybody else are
 * never touched: they may be keys. Prepared in the root template's process, used in forks.
 *
 * Not reached: libraries that were bundled into another file, and state that is no buffer. Of uuid that are the node id
 * and clock of `v1` and `v6`, when they were called in the template: forks may then draw the same id in the same
 * millisecond; of hyperid its prefix. An `afterRestore` hook is the place for those.
 */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { callersOf } from './callers';
import { ID_LIBRARIES, NUMBERED_LIBRARIES, type Draw } from './id_libraries';

type View = ArrayBufferView;
type Callback = (error: Error | null, bytes: Buffer) => void;
type Function = (this: unknown, ...args: unknown[]) => unknown;

const webcrypto = Object.getPrototypeOf(crypto.webcrypto) as Record<string, Function>;
const nodes = {
  randomFillSync: crypto.randomFillSync as Function,
  randomBytes: crypto.randomBytes as Function,
  getRandomValues: webcrypto.getRandomValues as Function,
};

/** Those of modules that were unloaded are gone. */
const noted = new Set<WeakRef<View>>();
const known = new WeakSet<View>();
/** Beyond it those that are gone are swept out; a library has one. */
const SWEEP_POOLS = 256;

const numbered: (() => void)[] = [];

/** Frames between a library and what it fills with: Node's own. */
const FRAMES = 3;

const state = { isNoting: false, isPrepared: false };

/** Replaces what fills buffers. To be called before any library can take hold of it. */
export function notePools(): void {
  state.isNoting = true;
  if (state.isPrepared) return;
  state.isPrepared = true;
  for (const [target, draw] of [[crypto, 'randomFillSync'], [crypto, 'randomBytes'], [webcrypto, 'getRandomValues']] as const) {
    const { name, length } = nodes[draw];
    Object.defineProperties(noting[draw], { name: { value: name }, length: { value: length } });
    Object.defineProperty(target, draw, { ...Object.getOwnPropertyDescriptor(target, draw), value: noting[draw] });
  }
  syncBuiltinESMExports();
}

/** From now on filling costs nothing more: this process is not forked from. */
export function stopNotingPools(): void {
  state.isNoting = false;
}

export function refillPools(): void {
  for (const weak of noted) {
    const pool = weak.deref();
    if (pool === undefined) noted.delete(weak);
    else nodes.randomFillSync(pool);
  }
  for (const renumber of numbered) renumber();
}

/** In a template that is about to rest: the cache of modules is a thousand long, and slow to walk. */
export function findNumberedLibraries(): void {
  numbered.length = 0;
  for (const file of Object.keys(require.cache)) {
    const library = NUMBERED_LIBRARIES.find(({ name }) => file.includes(`/node_modules/${name}/`));
    if (library !== undefined) numbered.push(() => library.renumber(require.cache[file]?.exports));
  }
}

/** Node's functions, with the same results and errors. */
const noting: Record<Draw, Function> = {
  randomFillSync(...args) {
    const filled = nodes.randomFillSync.apply(this, args);
    if (state.isNoting) note(filled, 'randomFillSync');
    return filled;
  },

  getRandomValues(...args) {
    const filled = nodes.getRandomValues.apply(this, args);
    if (state.isNoting) note(filled, 'getRandomValues');
    return filled;
  },

  randomBytes(...args) {
    const [size, callback] = args;
    if (!state.isNoting) return nodes.randomBytes.apply(this, args);
    if (typeof callback !== 'function') {
      const bytes = nodes.randomBytes.apply(this, args);
      note(bytes, 'randomBytes');
      return bytes;
    }
    const isPool = isPoolOf(size, 'randomBytes');
    if (!isPool) return nodes.randomBytes.apply(this, args);
    return nodes.randomBytes.call(this, size, function (this: unknown, error, bytes) {
      if (ArrayBuffer.isView(bytes)) keep(bytes);
      Reflect.apply(callback as Callback, this, [error, bytes]);
    } satisfies Function);
  },
};

function note(buffer: unknown, draw: Draw): void {
  if (ArrayBuffer.isView(buffer) && isPoolOf(buffer.byteLength, draw)) keep(buffer);
}

/** The size is looked at first: most draws are too small for a pool, and a look at the stack takes microseconds. */
function isPoolOf(bytes: unknown, draw: Draw): boolean {
  const candidates = ID_LIBRARIES.filter((library) => library.draw === draw && typeof bytes === 'number' && library.isPool(bytes));
  if (candidates.length === 0) return false;
  const caller = callersOf(noting[draw], FRAMES).find((file) => !file.startsWith('node:')) ?? '';
  return candidates.some(({ name }) => caller.includes(`/node_modules/${name}/`));
}

function keep(pool: View): void {
  if (known.has(pool)) return;
  known.add(pool);
  noted.add(new WeakRef(pool));
  if (noted.size <= SWEEP_POOLS) return;
  for (const weak of noted) if (weak.deref() === undefined) noted.delete(weak);
}
