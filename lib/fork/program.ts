/**
 * What a template runs: the contract between the fork library and those who use it. Types only.
 */
import type { Socket } from 'node:net';

/** A module that a template loads, by its path. Its own state of modules is what forks share. */
export interface TemplateProgram<State = unknown> {
  /**
   * Runs in the template. Loads and warms what forks are to have; all that it opens must be closed again, or closed by
   * hooks. `inherited` is the state of the template that this one was forked from. What it returns is handed to `run`.
   */
  warm(argument: unknown, inherited: unknown): Promise<State> | State;
  /** Runs in each fork, once; the process ends when nothing is left to do, as any Node process. */
  run?(fork: Fork, state: State): void;
}

/** What a fork starts with. */
export interface Fork {
  /** Connected to whoever asked for the fork. */
  readonly channel: Socket;
  readonly argument: unknown;
  /** Those that were handed over with the argument, this process's own copies. */
  readonly descriptors: readonly number[];
  /** Resolves once all `afterRestore` hooks are through; rejects with the error of the first that failed. */
  readonly restored: Promise<void>;
}
