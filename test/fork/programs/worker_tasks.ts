/**
 * Work of which V8 gives parts to other threads; a fork has none of those. Runs in forks, which end by themselves once
 * they have told.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Fork } from '../../../lib/fork/program';

/** WebAssembly that exports `f`, a function without arguments that gives 42. */
const MODULE = Uint8Array.from([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0, 10, 6, 1, 4, 0, 0x41, 42, 0x0b,
]);
const COLLECTIONS = 20;

interface WasmInstance {
  readonly exports: { readonly f: () => number };
}

/** Node's types leave it to those of browsers. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: { compile(code: Uint8Array): Promise<object>; instantiate(code: Uint8Array): Promise<{ readonly instance: WasmInstance }>; readonly Instance: new (module: object) => WasmInstance };
};

const kept: unknown[] = [];

function collect(): number {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  for (let i = 0; i < COLLECTIONS; i += 1) {
    kept.push(Array.from({ length: 10_000 }, () => ({ some: 'object' })));
    gc();
  }
  return 42;
}

async function inWorker(code: string): Promise<unknown> {
  const worker = new Worker(code, { eval: true });
  const [[said], [exit]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]) as [[unknown], [number]];
  return exit === 0 ? said : `exit code ${exit}`;
}

const SAY = 'require("node:worker_threads").parentPort.postMessage';
const GIVE = 'require("node:v8").setFlagsFromString("--expose-gc"); const gc = require("node:vm").runInNewContext("gc");';

export const WORK: Readonly<Record<string, () => unknown>> = {
  'full collections': collect,
  'WebAssembly.compile': async () => new WebAssembly.Instance(await WebAssembly.compile(MODULE)).exports.f(),
  'WebAssembly.instantiate': async () => (await WebAssembly.instantiate(MODULE)).instance.exports.f(),
  'new Worker': () => inWorker(`${SAY}(42)`),
  'a Worker that collects': () => inWorker(`${GIVE} for (let i = 0; i < ${COLLECTIONS}; i++) gc(); ${SAY}(42)`),
  'a Worker that compiles': () => inWorker(`WebAssembly.instantiate(new Uint8Array([${MODULE.join()}])).then(({ instance }) => ${SAY}(instance.exports.f()))`),
  async 'a Worker that is terminated'() {
    const worker = new Worker('setInterval(() => undefined, 1000)', { eval: true });
    await once(worker, 'online');
    await worker.terminate();
    return 42;
  },
};

export function warm(): void {
  // Nothing is to be warm: each fork does it for the first time.
}

export function run({ channel, argument }: Fork): void {
  channel.resume();
  void (async () => channel.end(JSON.stringify(await WORK[argument as string]?.())))();
}
