/**
 * The native addon (native/forker.c) with its types. Runs in templates, their forks, and whoever starts templates.
 */
import { join } from 'node:path';
import { CartonError, describe } from '../support/errors';

/** What `wait` returns: in a fork its order, in the template itself an order that is not a fork. */
export interface Order {
  readonly op: number;
  readonly payload: string;
  /** Descriptors that came along; only in a fork. */
  readonly fds?: readonly number[];
}

/** Each throws an error whose `code` is the name of an errno. */
export interface Forker {
  /** Blocks until `control` brings an order; `host` is a pidfd, -1 for none. `reopened` are files to be a fork's own. */
  wait(control: number, host: number, lingers: boolean, reopened: readonly number[]): Order;
  /** Two connected stream sockets, closed by exec. */
  socketPair(): [number, number];
  /** Sends one frame and descriptors with it; waits while the socket is full. */
  send(socket: number, op: number, id: number, payload: string, fds: readonly number[]): void;
  /** Leaves the process at once. */
  exit(code: number): never;
  /** The wait status of a child that has ended, -1 while it runs. Throws ECHILD where it is none of this process. */
  reap(pid: number): number;
  becomeSubreaper(): void;
  /** A pidfd, readable once the process has ended. */
  openProcess(pid: number): number;
  /** Kills this process and its group once the process behind the pidfd has ended. */
  endWith(pidfd: number): void;
  close(fd: number): void;
}

/** Operations of frames on a control socket. The first five are known to the addon. */
export const OP = Object.freeze({ fork: 1, forked: 2, failed: 3, exited: 4, leaving: 5, ready: 10, refused: 11, bootFailed: 12, collect: 20 });

let loaded: Forker | undefined;

/** Throws `CARTON_FORK_UNAVAILABLE`, which says why. */
export function forker(): Forker {
  if (loaded !== undefined) return loaded;
  if (process.platform !== 'linux') throw new CartonError('CARTON_FORK_UNAVAILABLE', { expected: 'Linux', got: process.platform });
  try {
    const build = require('node-gyp-build') as (directory: string) => Forker;
    loaded = build(join(__dirname, '../..'));
  } catch (cause) {
    throw new CartonError('CARTON_FORK_UNAVAILABLE', { of: 'the native addon', expected: 'a binary for this platform, or a C compiler when egg-carton was installed', got: firstLine(describe(cause)), cause });
  }
  return loaded;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
