/**
 * Commands that are called at once go to the sidecar at once: those of one turn of the event loop in one call, which costs
 * each of them a fraction of a call of its own. It runs in instances.
 */
import { CartonError } from '../../../support/errors';
import { LIMITS } from '../../../support/limits';
import type { RedisCommand } from '../../../protocol/redis';

/** As a pipeline has it. */
type Result = readonly [error: unknown, reply?: unknown];

/** Gives a result for each, in their order. */
type SendAll = (commands: readonly RedisCommand[]) => Promise<unknown>;
type SendOne = (command: RedisCommand) => Promise<unknown>;

interface Waiting {
  readonly command: RedisCommand;
  resolve(reply: unknown): void;
  reject(error: unknown): void;
}

export class Gathering {
  readonly #sendAll: SendAll;
  readonly #sendOne: SendOne;
  #waiting: Waiting[] = [];
  readonly #flush = (): void => this.flush();

  constructor(sendAll: SendAll, sendOne: SendOne) {
    this.#sendAll = sendAll;
    this.#sendOne = sendOne;
  }

  add(command: RedisCommand): Promise<unknown> {
    return new Promise((resolve, reject) => {
      // After the microtasks: whoever goes on because of one reply is then here with the next command.
      if (this.#waiting.push({ command, resolve, reject }) === 1) process.nextTick(this.#flush);
      if (this.#waiting.length >= LIMITS.redisGathered) this.flush();
    });
  }

  /** Before anything else is sent, so that all arrives in its order. */
  flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    const [first] = waiting;
    if (waiting.length === 1 && first !== undefined) return void this.#sendOne(first.command).then(first.resolve, first.reject);
    this.#sendAll(waiting.map(({ command }) => command)).then((results) => settle(waiting, results), (error: unknown) => {
      for (const { reject } of waiting) reject(error);
    });
  }
}

function settle(waiting: readonly Waiting[], results: unknown): void {
  for (const [place, { resolve, reject }] of waiting.entries()) {
    const result = (results as readonly Result[] | undefined)?.[place];
    if (result === undefined) reject(new CartonError('CARTON_RPC_BAD_FRAME', { of: 'replies of Redis', expected: `${waiting.length}`, got: 'less' }));
    else if (result[0] === null || result[0] === undefined) resolve(result[1]);
    else reject(result[0]);
  }
}
