/**
 * Libraries that draw ids from random bytes which they keep: what pools.ts knows of them. A table and nothing else.
 */

/** Node's function that a library fills its pool with. */
export type Draw = 'randomFillSync' | 'randomBytes' | 'getRandomValues';

export interface IdLibrary {
  /** Of its package. */
  readonly name: string;
  readonly draw: Draw;
  /** Whether a buffer of so many bytes is its pool: others may be ids or keys that it hands out. */
  isPool(bytes: number): boolean;
}

export interface NumberedLibrary {
  readonly name: string;
  /** Draws anew what the module, whose exports these are, keeps as numbers. */
  renumber(exports: unknown): void;
}

/** Smaller ones are ids: a pool is worth its while for several. */
const isLarge = (bytes: number): boolean => bytes >= 256;

export const ID_LIBRARIES: readonly IdLibrary[] = [
  // 7 to 12: sixteen ids of 16 bytes. Versions before and after have none; from 9 on `v4` asks Node for whole ids.
  { name: 'uuid', draw: 'randomFillSync', isPool: (bytes) => bytes === 256 },
  // 3: 128 times the size of the first id that was asked for, or of a larger one later. A view into Node's own slab.
  { name: 'nanoid', draw: 'randomFillSync', isPool: isLarge },
  // 4 and later, which are ES modules: the same pool, filled by Web Crypto.
  { name: 'nanoid', draw: 'getRandomValues', isPool: isLarge },
  // 1.1 and later, and with it mongodb: the five bytes of an ObjectId that are the process's.
  { name: 'bson', draw: 'randomBytes', isPool: (bytes) => bytes === 5 },
  // Session ids of engine.io and socket.io.
  { name: 'base64id', draw: 'randomBytes', isPool: (bytes) => bytes === 4096 },
  // Masks of what a WebSocket client sends, which servers in between must not foresee.
  { name: 'ws', draw: 'randomFillSync', isPool: (bytes) => bytes === 8192 },
];

const SIX_HEX_DIGITS = 0x1000000;

export const NUMBERED_LIBRARIES: readonly NumberedLibrary[] = [
  {
    // Keeps a machine id, a counter and the pid of its loading. The first is to be set, and is enough to tell ids apart.
    name: 'bson-objectid',
    renumber(exports) {
      const library = exports as { setMachineID?(id: number): void; index?: number } | null | undefined;
      if (typeof library?.setMachineID !== 'function') return;
      library.setMachineID(Math.floor(Math.random() * SIX_HEX_DIGITS));
      if (typeof library.index === 'number') library.index = Math.floor(Math.random() * SIX_HEX_DIGITS);
    },
  },
];
