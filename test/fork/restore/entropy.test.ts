/**
 * Random numbers in forks of one template, with small libraries that keep their pools as the real ones do.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Template } from '../../../lib/fork/template';
import type { Libraries } from '../programs/entropy_program';

const SIBLINGS = 12;

const CJS: Readonly<Record<string, string>> = {
  // 8: a pool of sixteen ids.
  'uuid/rng.js': `const crypto = require('crypto'); const pool = new Uint8Array(256); let at = pool.length;
    exports.draw = () => { if (at > pool.length - 16) { crypto.randomFillSync(pool); at = 0; } return Buffer.from(pool.slice(at, at += 16)).toString('hex'); };`,
  // 3: a view into the slab of Buffer.
  'nanoid/index.cjs': `const crypto = require('crypto'); let pool, at; const neighbour = Buffer.allocUnsafe(16).fill(7);
    exports.draw = () => { if (!pool) { pool = Buffer.allocUnsafe(2688); crypto.randomFillSync(pool); at = 0; } if (neighbour.some((byte) => byte !== 7)) return 'spoilt'; return pool.subarray(at, at += 21).toString('hex'); };`,
  // 6: five bytes of the process, and a counter that goes on.
  'bson/lib/bson.cjs': `const { randomBytes } = require('crypto'); let unique = null; let counter = 0;
    exports.draw = () => { unique ??= randomBytes(5); return unique.toString('hex') + (counter += 1); };`,
  // Takes a callback to fill its pool.
  'base64id/lib/base64id.js': `const crypto = require('crypto'); let pool = null, at = 0; const filled = new Promise((resolve) => crypto.randomBytes(4096, (error, bytes) => { pool = bytes; resolve(error); }));
    exports.filled = filled; exports.draw = () => pool === null ? String(Math.random()) : pool.slice(15 * at, 15 * ++at).toString('hex');`,
  'ws/lib/sender.js': `const { randomFillSync } = require('crypto'); const pool = Buffer.alloc(8192); let at = 8192;
    exports.draw = () => { if (at === 8192) { randomFillSync(pool, 0, 8192); at = 0; } return pool.subarray(at, at += 16).toString('hex'); };`,
  // Keeps numbers.
  'bson-objectid/objectid.js': `let machine = parseInt(Math.random() * 0xffffff, 10); const pid = process.pid; exports.index = parseInt(Math.random() * 0xffffff, 10);
    exports.setMachineID = (id) => { machine = id; }; exports.draw = () => [machine, pid, exports.index = (exports.index + 1) % 0xffffff].join('-');`,
};

const ESM: Readonly<Record<string, string>> = {
  // 5: filled by Web Crypto.
  'nanoid/index.js': `import { webcrypto as crypto } from 'node:crypto'; let pool, at;
    export const draw = () => { if (!pool) { pool = Buffer.allocUnsafe(2688); crypto.getRandomValues(pool); at = 0; } return pool.subarray(at, at += 21).toString('hex'); };`,
  // 11: takes hold of Node's function by name.
  'uuid/dist/rng.js': `import { randomFillSync } from 'crypto'; const pool = new Uint8Array(256); let at = pool.length;
    export const draw = () => { if (at > pool.length - 16) { randomFillSync(pool); at = 0; } return Buffer.from(pool.slice(at, at += 16)).toString('hex'); };`,
};

const OTHERS: Readonly<Record<string, string>> = {
  // Nobody knows it: what it holds is a key.
  'vault/index.js': `const { randomFillSync, randomBytes, webcrypto } = require('crypto'); const keys = [randomFillSync(Buffer.alloc(256)), randomBytes(5), webcrypto.getRandomValues(new Uint8Array(2688))];
    exports.draw = () => keys.map((key) => Buffer.from(key).toString('hex')).join();`,
  // Known, but what it holds is no pool.
  'bson/lib/uuid.cjs': `const { randomBytes } = require('crypto'); const id = randomBytes(16); exports.draw = () => id.toString('hex');`,
};

type Drawn = Record<string, [string, string]>;

describe('random numbers of forks', () => {
  const directory = mkdtempSync(join(tmpdir(), 'carton-entropy-'));
  let root: Template;
  let derived: Template;
  const drawn: Drawn[] = [];

  before(async () => {
    const libraries: Libraries = { required: written('.', { ...CJS, ...OTHERS }), imported: written('esm', ESM, pathToFileURL) };
    const program = join(__dirname, '../programs/entropy_program.js');
    root = await Template.start({ entry: join(__dirname, '../../../lib/entry/template_process.js'), program, argument: libraries });
    // Loaded by a template that was forked itself.
    derived = await root.derive({ program, argument: { required: written('late', { 'uuid/rng.js': CJS['uuid/rng.js'] as string }), imported: {} } satisfies Libraries });
    for (const template of [root, derived]) {
      const forks = await Promise.all(Array.from({ length: SIBLINGS }, () => template.fork(null)));
      drawn.push(...await Promise.all(forks.map(async ({ channel }) => JSON.parse((await channel.toArray()).join('')) as Drawn)));
    }
  });

  after(() => {
    derived.close();
    root.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const NODES = ['Math.random', 'Math.random, taken hold of', 'crypto.randomUUID', 'crypto.randomUUID, taken hold of', 'webcrypto.randomUUID', 'crypto.randomInt'];
  for (const name of [...NODES, ...Object.keys(CJS), ...Object.keys(ESM)]) {
    it(`differ between siblings: ${name}`, () => {
      const all = drawn.flatMap((of) => of[name] ?? []);
      assert.ok(all.length >= 2 * SIBLINGS);
      assert.equal(new Set(all).size, all.length);
      assert.ok(!all.includes('spoilt'));
    });
  }

  for (const name of Object.keys(OTHERS)) {
    it(`leave alone what is no pool of a known library: ${name}`, () => assert.equal(new Set(drawn.flatMap((of) => of[name] ?? [])).size, 1));
  }

  function written(below: string, sources: Readonly<Record<string, string>>, url: (path: string) => { href: string } | string = String): Record<string, string> {
    return Object.fromEntries(Object.entries(sources).map(([name, source]) => {
      const file = join(directory, below, 'node_modules', name);
      mkdirSync(dirname(file), { recursive: true });
      if (below === 'esm') writeFileSync(join(dirname(file), 'package.json'), '{"type":"module"}');
      writeFileSync(file, source);
      const address = url(file);
      return [name, typeof address === 'string' ? address : address.href];
    }));
  }
});
