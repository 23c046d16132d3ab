/**
 * Programs of templates that open one thing each while they boot. Runs in templates, and in forks of those that may be
 * forked. The line of each that opens it ends in a mark, by which tests know the owner that has to be told.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, createReadStream, createWriteStream, openSync, readSync, watch, writeFile, writeFileSync, type FSWatcher } from 'node:fs';
import http from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { pbkdf2 } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { Fork } from '../../../lib/fork/program';

export interface CaseArgument {
  readonly name: keyof typeof CASES;
  /** A server of the test. */
  readonly port: number;
  readonly directory: string;
}

/** Answers what a fork has to tell. */
type Use = (ask: unknown) => unknown;

const kept: unknown[] = [];

const CASES = {
  nothing: () => undefined,

  async connection({ port }: CaseArgument) {
    const socket = connect(port, '127.0.0.1'); // mark: connection
    kept.push(socket);
    await once(socket, 'connect');
  },

  async server() {
    const server = createServer().listen(0, '127.0.0.1'); // mark: server
    kept.push(server);
    await once(server, 'listening');
  },

  async datagrams() {
    const socket = createSocket('udp4');
    kept.push(socket);
    socket.bind(0, '127.0.0.1'); // mark: datagrams
    await once(socket, 'listening');
  },

  async worker() {
    const worker = new Worker('setInterval(() => {}, 1000)', { eval: true }); // mark: worker
    kept.push(worker);
    await once(worker, 'online');
  },

  async endedWorker() {
    const worker = new Worker('0', { eval: true });
    await once(worker, 'exit');
  },

  child() {
    kept.push(spawn('sleep', ['60'])); // mark: child
  },

  async endedChild() {
    await once(spawn('true'), 'close');
  },

  /** A read of a pipe into which nobody writes never ends. */
  endlessRead({ directory }: CaseArgument) {
    kept.push(createReadStream(join(directory, 'fifo'))); // mark: endlessRead
  },

  /** Takes longer than the template is ready to wait. */
  longWork() {
    pbkdf2('secret', 'salt', 100_000_000, 64, 'sha512', () => undefined); // mark: longWork
  },

  halfDoneWrite({ directory }: CaseArgument) {
    writeFile(join(directory, 'written'), Buffer.alloc(8 << 20, 'x'), () => undefined);
    const stream = createWriteStream(join(directory, 'streamed'));
    for (let i = 0; i < 100; i++) stream.write(`${i}\n`);
    stream.end();
  },

  watchedDirectory({ directory }: CaseArgument): Use {
    let seen = 0;
    const watcher: FSWatcher = watch(directory, () => seen++);
    kept.push(watcher);
    return () => {
      writeFileSync(join(directory, `touched-${process.pid}`), '');
      return new Promise((resolve) => watcher.once('change', () => resolve(seen)));
    };
  },

  interval(): Use {
    const fired = new Promise((resolve) => void setInterval(() => resolve('fired'), 10));
    let ticks = 0;
    kept.push(setInterval(() => ticks++, 3_600_000));
    return () => fired.then((word) => [word, ticks]);
  },

  /** Two bytes were read in the template; each fork goes on from there. */
  readFile({ directory }: CaseArgument): Use {
    const file = join(directory, 'read');
    writeFileSync(file, 'abcdefgh');
    const fd = openSync(file, 'r');
    const next = (): string => {
      const bytes = Buffer.alloc(2);
      readSync(fd, bytes);
      return bytes.toString();
    };
    next();
    return () => next() + next();
  },

  closedFile({ directory }: CaseArgument) {
    closeSync(openSync(join(directory, 'closed'), 'w'));
  },

  async keptAlive({ port }: CaseArgument): Promise<Use> {
    const agent = new http.Agent({ keepAlive: true });
    const get = () => new Promise<string>((resolve, reject) => {
      http.get({ port, agent }, (response) => void text(response).then(resolve, reject)).on('error', reject);
    });
    await get();
    return get;
  },

  async fetched({ port }: CaseArgument): Promise<Use> {
    const get = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/`)).text();
    await Promise.all([get(), get()]);
    return get;
  },

  async halfDoneFetch({ port }: CaseArgument) {
    kept.push(await fetch(`http://127.0.0.1:${port}/endless`));
  },

  holdingAddon({ directory }: CaseArgument) {
    kept.push(watch(directory));
    require(join(directory, 'descriptors.node')); // mark: holdingAddon
  },

  addon({ directory }: CaseArgument) {
    require(join(directory, 'thread.node')); // mark: addon
  },
};

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}

export async function warm(argument: CaseArgument): Promise<Use> {
  const use = await CASES[argument.name](argument);
  return use ?? ((ask) => ask);
}

export function run(fork: Fork, use: Use): void {
  fork.restored.then(() => use(fork.argument)).then((told) => fork.channel.end(JSON.stringify(told)), (error: Error) => fork.channel.end(JSON.stringify({ error: error.stack })));
  fork.channel.on('close', () => process.exit(0));
  fork.channel.resume();
}
