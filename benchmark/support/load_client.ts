/**
 * The client process of a load: keeps a number of connections busy with one request each, over plain sockets, and
 * measures between two moments how many answers came and how much CPU the servers used. It is a process of its own so
 * that its work is in nobody's figures, and it writes HTTP by hand because a full client would be the slowest part.
 */
import { connect, type Socket } from 'node:net';
import { cpuMicros, machineMicros } from './cpu';

/** What to send, and for how long. */
export interface LoadOrder {
  readonly port: number;
  /** The whole request as it goes over the wire, keep-alive. */
  readonly request: string;
  /** What the body of every answer must be. */
  readonly expected: string;
  readonly connections: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** The server's processes. */
  readonly pids: readonly number[];
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** CPU microseconds of all server processes together, per request. */
  readonly cpuMicrosPerRequest: number;
  /** Part of the machine's CPU time, 0 to 1, that neither the server nor this client used: what disturbs the figures. */
  readonly elsewhere: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const HEAD_END = '\r\n\r\n';

class Connection {
  readonly #order: LoadOrder;
  readonly #socket: Socket;
  readonly #onAnswer: (latencyMs: number) => void;
  readonly #onError: (error: Error) => void;
  #pending: Buffer | undefined;
  #sentAt = 0;
  #stopped = false;

  constructor(order: LoadOrder, onAnswer: (latencyMs: number) => void, onError: (error: Error) => void) {
    this.#order = order;
    this.#onAnswer = onAnswer;
    this.#onError = onError;
    this.#socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true }, () => this.#send());
    this.#socket.on('data', (chunk) => this.#receive(chunk));
    this.#socket.once('error', onError);
    this.#socket.once('close', () => {
      if (!this.#stopped) onError(new Error('the server closed a connection'));
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#socket.destroy();
  }

  #send(): void {
    this.#sentAt = performance.now();
    this.#socket.write(this.#order.request, 'latin1');
  }

  #receive(chunk: Buffer): void {
    const all = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk]);
    const length = answerLength(all);
    if (length === undefined || all.length < length) {
      this.#pending = all;
      return;
    }
    this.#pending = undefined;
    const problem = problemOf(all, length, this.#order.expected);
    if (problem !== undefined) return this.#onError(new Error(problem));
    this.#onAnswer(performance.now() - this.#sentAt);
    this.#send();
  }
}

/** Bytes of the whole answer, or undefined while its head is not complete. */
function answerLength(bytes: Buffer): number | undefined {
  const headLength = bytes.indexOf(HEAD_END);
  if (headLength === -1) return undefined;
  const match = /content-length: (\d+)/i.exec(bytes.toString('latin1', 0, headLength));
  if (match === null) throw new Error(`expected an answer with content-length, got ${bytes.toString('latin1', 0, headLength)}`);
  return headLength + HEAD_END.length + Number(match[1]);
}

/** A benchmark of wrong answers would measure nothing, so each one is compared. */
function problemOf(answer: Buffer, length: number, expected: string): string | undefined {
  const isRight = answer.length === length && answer.toString('latin1', 9, 12) === '200' && answer.toString('utf8', length - expected.length) === expected;
  return isRight ? undefined : `expected 200 with ${expected}, got ${answer.toString()}`;
}

function runLoad(order: LoadOrder): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const connections: Connection[] = [];
    let latencies: number[] = [];
    const stop = (): void => connections.forEach((connection) => connection.stop());
    const onError = (error: Error): void => {
      stop();
      reject(error);
    };
    for (let i = 0; i < order.connections; i += 1) connections.push(new Connection(order, (ms) => latencies.push(ms), onError));
    setTimeout(() => {
      latencies = [];
      const before = readMeters(order.pids);
      setTimeout(() => {
        const after = readMeters(order.pids);
        stop();
        resolve(resultOf(latencies, before, after));
      }, order.durationMs);
    }, order.warmupMs);
  });
}

interface Meters {
  readonly atMs: number;
  readonly serverMicros: number;
  readonly clientMicros: number;
  readonly machine: { readonly busy: number; readonly total: number };
}

function readMeters(pids: readonly number[]): Meters {
  const own = process.cpuUsage();
  return { atMs: performance.now(), serverMicros: cpuMicros(pids), clientMicros: own.user + own.system, machine: machineMicros() };
}

function resultOf(latencies: readonly number[], before: Meters, after: Meters): LoadResult {
  const sorted = Float64Array.from(latencies).sort();
  const at = (q: number): number => sorted[Math.floor(q * (sorted.length - 1))] ?? Number.NaN;
  const server = after.serverMicros - before.serverMicros;
  const ours = server + after.clientMicros - before.clientMicros;
  return {
    requests: sorted.length,
    seconds: (after.atMs - before.atMs) / 1000,
    cpuMicrosPerRequest: server / sorted.length,
    elsewhere: Math.max(0, (after.machine.busy - before.machine.busy - ours) / (after.machine.total - before.machine.total)),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

process.on('message', (order: LoadOrder) => {
  runLoad(order).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
// The benchmark's end, however it comes, is this process's end.
process.on('disconnect', () => process.exit());
