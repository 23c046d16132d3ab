/**
 * The life of a real server in a test: a guarded directory, a free port, preparation, start,
 * readiness, stop. It runs in the test process, and keeps true that `startServer` resolves only
 * when our own server answers, that it rejects with the server's log and leaves nothing behind,
 * and that after `stop()` neither process nor directory is there.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, connect, type NetConnectOpts } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { GuardedDirectory, type GuardedProcess } from './guarded_directory';

/** All servers listen here and nowhere else. */
export const HOST = '127.0.0.1';

/** Where one server lives; the port was free a moment ago. */
export interface Place {
  readonly directory: string;
  readonly port: number;
}

/** What differs from server to server. */
export interface ServerRecipe {
  readonly name: string;
  /** From start to readiness. A bound for a loaded machine, not an expectation. */
  readonly startTimeoutMs: number;
  /** A program to run to its end before the first start, such as one that makes a data directory. */
  prepare?(directory: string): readonly string[];
  command(place: Place): readonly string[];
  /** The server is ready once it answers `say` (nothing: once it speaks first) with something that matches `expect`. */
  probe(place: Place): { readonly at: NetConnectOpts; readonly say?: string; readonly expect: RegExp };
}

/** A server that is ready. `stop` may be called more than once. */
export interface RunningServer extends Place {
  stop(): Promise<void>;
  /** SIGKILL; resolves when it is gone, with its data left as they are. */
  kill(): Promise<void>;
  /** After `kill`: starts it again on the same data and port, and resolves when it is ready. */
  restart(): Promise<void>;
}

/** Another process may take the port between our finding it free and the server's binding it. */
const MAX_PORT_ATTEMPTS = 3;
const MAX_PORT_TRIES = 100;
const PORT_TAKEN = /address already in use/i;

const PREPARE_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;
const PROBE_TIMEOUT_MS = 1_000;
const PROBE_INTERVAL_MS = 20;

export async function startServer(recipe: ServerRecipe): Promise<RunningServer> {
  const directory = new GuardedDirectory(recipe.name);
  try {
    if (recipe.prepare) await runToEnd(directory, recipe.prepare(directory.path));
    return await startPrepared(recipe, directory);
  } catch (error) {
    await directory.remove();
    throw error;
  }
}

async function startPrepared(recipe: ServerRecipe, directory: GuardedDirectory): Promise<RunningServer> {
  for (let attempt = 1; ; attempt++) {
    const place: Place = { directory: directory.path, port: await findFreePort() };
    const process = directory.run(`${recipe.name}-${attempt}`, recipe.command(place));
    const failure = await untilReady(recipe, place, process);
    if (!failure) return running(recipe, { place, directory, process });
    if (attempt < MAX_PORT_ATTEMPTS && PORT_TAKEN.test(process.log())) continue;
    throw new Error(`${failure}; its log:\n${process.log()}`);
  }
}

function running(recipe: ServerRecipe, { place, directory, process: first }: { place: Place; directory: GuardedDirectory; process: GuardedProcess }): RunningServer {
  let process = first;
  let stopped: Promise<void> | undefined;
  return {
    ...place,
    stop: () => (stopped ??= stop(directory, process)),
    kill: async () => {
      process.kill('SIGKILL');
      await process.ended;
    },
    restart: async () => {
      process = directory.run(`${recipe.name}-again`, recipe.command(place));
      const failure = await untilReady(recipe, place, process);
      if (failure) throw new Error(`${failure}; its log:\n${process.log()}`);
    },
  };
}

async function stop(directory: GuardedDirectory, process: GuardedProcess): Promise<void> {
  process.kill('SIGTERM');
  if (!(await within(STOP_TIMEOUT_MS, process.ended))) process.kill('SIGKILL');
  await process.ended;
  await directory.remove();
}

async function runToEnd(directory: GuardedDirectory, command: readonly string[]): Promise<void> {
  const process = directory.run('prepare', command);
  const end = await within(PREPARE_TIMEOUT_MS, process.ended);
  if (end === 'prepare ended with exit code 0') return;
  throw new Error(`${command[0]}: ${end ?? `not done within ${PREPARE_TIMEOUT_MS} ms`}; its log:\n${process.log()}`);
}

/** Undefined when the server answers, else a sentence saying why it never will; then it has ended. */
async function untilReady(recipe: ServerRecipe, place: Place, process: GuardedProcess): Promise<string | undefined> {
  const deadline = AbortSignal.timeout(recipe.startTimeoutMs);
  let end: string | undefined;
  void process.ended.then(sentence => { end = sentence; });
  while (!deadline.aborted && end === undefined) {
    if (await answers(recipe.probe(place))) return undefined;
    await delay(PROBE_INTERVAL_MS);
  }
  process.kill('SIGKILL');
  const sentence = await process.ended;
  return end ?? `${recipe.name} did not answer within ${recipe.startTimeoutMs} ms (${sentence})`;
}

/** One connection attempt; every failure of it means "not yet". */
async function answers({ at, say, expect }: ReturnType<ServerRecipe['probe']>): Promise<boolean> {
  const socket = connect(at);
  socket.setTimeout(PROBE_TIMEOUT_MS, () => socket.destroy());
  let heard = '';
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
    if (expect.test(heard)) socket.destroy();
  });
  socket.on('error', () => socket.destroy());
  if (say) socket.write(say);
  await once(socket, 'close').catch(() => once(socket, 'close'));
  return expect.test(heard);
}

/**
 * Below those that the kernel gives to clients (32768 and up): while a server is down, no client may get its port, nor
 * meet itself there, as TCP allows.
 */
async function findFreePort(): Promise<number> {
  for (let attempt = 1; attempt <= MAX_PORT_TRIES; attempt++) {
    const port = randomInt(20_000, 32_768);
    const listener = createServer().listen(port, HOST);
    const isFree = await once(listener, 'listening').then(() => true, () => false);
    listener.close();
    if (isFree) {
      await once(listener, 'close');
      return port;
    }
  }
  throw new Error(`no free port in ${MAX_PORT_TRIES} tries`);
}

/** What the promise resolves with, or undefined once the time is over. */
async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T | undefined> {
  const over = new AbortController();
  const timer = delay(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined);
  const first = await Promise.race([ promise, timer ]);
  over.abort();
  return first;
}
