/**
 * A pipeline or a transaction of a stand-in for an ioredis client: collects commands here, and sends them as one remote
 * call. It runs in instances.
 */
import type { BatchOptions, BatchResult, RedisCommand } from '../../../protocol/redis';
import { nodeify, RUN, type Callback, type Commander } from './commander';

export type SendBatch = (commands: readonly RedisCommand[], options: BatchOptions) => Promise<BatchResult>;

type Result = readonly [error: unknown, reply?: unknown];

export class Batch implements Commander {
  readonly isPipeline = true;
  readonly #send: SendBatch;
  readonly #isTransaction: boolean;
  readonly #commands: RedisCommand[] = [];
  readonly #callbacks = new Map<number, Callback>();
  /** Transactions that were begun here and not ended. */
  #begun = 0;
  #sent: Promise<unknown> | undefined;

  constructor(send: SendBatch, { isTransaction }: { readonly isTransaction: boolean }) {
    this.#send = send;
    this.#isTransaction = isTransaction;
    if (isTransaction) this.#commands.push(['multi', []]);
  }

  get length(): number {
    return this.#commands.length;
  }

  [RUN](command: RedisCommand, callback: Callback | undefined): this {
    if (callback !== undefined) this.#callbacks.set(this.#commands.length, callback);
    this.#commands.push(command);
    return this;
  }

  addBatch(commands: readonly (readonly [name: string, ...args: unknown[]])[]): this {
    for (const [name, ...args] of commands) (this as unknown as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args);
    return this;
  }

  multi(): this {
    this.#begun += 1;
    return this[RUN](['multi', []], undefined);
  }

  /** Ends the inner transaction where there is one; else sends all. What was sent is not sent again. */
  exec(callback?: Callback): unknown {
    if (this.#begun > 0) {
      this.#begun -= 1;
      return this[RUN](['exec', []], callback);
    }
    this.#sent ??= this.#isTransaction ? this.#sendTransaction() : this.#sendPipeline();
    return nodeify(this.#sent, callback);
  }

  execBuffer(callback?: Callback): unknown {
    return this.exec(callback);
  }

  async #sendPipeline(): Promise<unknown> {
    if (this.#commands.length === 0) return [];
    try {
      const { results } = await this.#send(this.#commands, { isTransaction: false, heard: [] });
      for (const [place, callback] of this.#callbacks) hear(callback, (results as Result[])[place] ?? [null]);
      return results;
    } catch (error) {
      for (const callback of this.#callbacks.values()) hear(callback, [error]);
      throw error;
    }
  }

  async #sendTransaction(): Promise<unknown> {
    const heard = [...this.#callbacks.keys()];
    try {
      const result = await this.#send(this.#commands, { isTransaction: true, heard });
      for (const [place, ...reply] of result.heard) hear(this.#callbacks.get(place), reply);
      heard.length = 0;
      if (result.error !== undefined) throw result.error as Error;
      return result.results;
    } catch (error) {
      for (const place of heard) hear(this.#callbacks.get(place), [error]);
      throw error;
    }
  }
}

/** As after `nodeify`: what a callback throws is nobody's rejection. */
function hear(callback: Callback | undefined, [error, reply]: Result): void {
  queueMicrotask(() => callback?.(error ?? null, reply));
}
