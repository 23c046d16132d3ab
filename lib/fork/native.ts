/**
 * The native addon (native/forker.c) with its types. Runs in templates, their forks, and whoever starts templates.
 */
import { join } from 'node:path';
import { CartonError, describe } from '../support/errors';

/** A frame, with the descriptors that came along. */
export interface Frame {
  readonly op: number;
  readonly payload: string;
  readonly fds: readonly number[];
}

/** What `wait` returns: in a fork how it was asked for, in the template itself an order that is not a fork. */
export interface Order extends Frame {
  /** Its own, only in a fork. */
  readonly pid?: number;
}

/** Each throws an error whose `code` is the name of an errno. */
export interface Forker {
  /**
   * Blocks until `control` brings an order; `host` is a pidfd, -1 for none. `reopened` are files to be a fork's own.
   * Returns with signals as they were in a fork, and taken in the template: its own JavaScript sees none any more.
   */
  wait(control: number, host: number, lingers: boolean, reopened: readonly number[]): Order;
  /** Blocks until a frame has come. Ends the process where none can come any more, or its host has ended; `host` as above. */
  receive(socket: number, host: number): Frame;
  /** Looks which pages a fork of this process has written so far; it must be alive. */
  learnWritten(pid: number): void;
  /** In a fork: has the pages copied that another one was seen to write. */
  copyWritten(): void;
  /** Pages of V8's heap lie together from now on. False where that cannot be had. */
  ignoreHints(): boolean;
  /** What is allocated from now on lies at the end of the heap, not between what is there. False where that cannot be had. */
  fillHoles(): boolean;
  /** A unix socket that listens at `path`, for this user alone; closed by exec. */
  listenAt(path: string): number;
  /** Two connected stream sockets, closed by exec. */
  socketPair(): [number, number];
  /** Sends one frame and descriptors with it. EAGAIN while the socket is full; after EPIPE and ECONNRESET it is done for. */
  send(socket: number, op: number, id: number, payload: string, fds: readonly number[]): void;
  /** Leaves the process at once. */
  exit(code: number): never;
  /** Reaps children that this process adopted and that have ended: pid, wait status, pid, wait status, … */
  reapAdopted(): number[];
  /** Orphans among the descendants become children of this process. */
  adoptOrphans(): void;
  /** The same, in a root template: what is forked from it ends by itself once both it and its starter have ended. */
  becomeSubreaper(): void;
  /** Until `wait`, this process and its group end once nobody holds the other end of `control`, also where it spins. */
  endUnheard(control: number): void;
  /** A pidfd, readable once the process has ended. */
  openProcess(pid: number): number;
  /** Kills this process and its group once the process behind the pidfd has ended. */
  endWith(pidfd: number): void;
  /** V8's tasks for other threads run at once, on the threads that post them. False where that cannot be had. */
  runTasksHere(): boolean;
  /**
   * From now on all exits of this process are immediate. At the end of the loop it calls `beforeExit`, and where that
   * finds nothing more to do, `exit`, which must leave. False where the exits of errors and `reallyExit` stay Node's.
   */
  takeExits(beforeExit: () => void, exit: () => void): boolean;
  close(fd: number): void;
  /** Children that have ended and that nobody has waited for. */
  endedChildren(): number[];
  /** Waits for one of them. */
  reap(pid: number): void;
}

/** Operations of frames on a control socket. The first five are known to the addon. */
export const OP = Object.freeze({ fork: 1, forked: 2, failed: 3, exited: 4, leaving: 5, ready: 10, refused: 11, bootFailed: 12, collect: 20, learn: 21, begin: 30 });

/** The package's directory: of a registry's install, of a link, or of the repository. */
const ROOT = join(__dirname, '../..');

let loaded: Forker | undefined;

/** Throws `CARTON_FORK_UNAVAILABLE`, which says why, and what would help. */
export function forker(): Forker {
  if (loaded !== undefined) return loaded;
  if (process.platform !== 'linux') throw new CartonError('CARTON_FORK_UNAVAILABLE', { expected: 'Linux', got: process.platform });
  const addon = load();
  try {
    addon.close(addon.openProcess(process.pid));
  } catch (cause) {
    if (!['ENOSYS', 'EPERM'].includes((cause as NodeJS.ErrnoException).code ?? '')) throw cause;
    throw new CartonError('CARTON_FORK_UNAVAILABLE', { expected: 'a kernel with pidfd_open, Linux 5.3, that allows it', got: describe(cause), cause });
  }
  return (loaded = addon);
}

function load(): Forker {
  try {
    const build = require('node-gyp-build') as (directory: string) => Forker;
    return build(ROOT);
  } catch (cause) {
    throw new CartonError('CARTON_FORK_UNAVAILABLE', {
      of: 'the native addon',
      expected: `build/Release/forker.node or one of prebuilds/${process.platform}-${process.arch} in ${ROOT}, as \`node ${join(ROOT, 'native/install.cjs')}\` makes it with a C compiler, make and Python`,
      got: firstLine(describe(cause)), cause,
    });
  }
}

/** Why nothing can be forked on this machine; undefined where it can. */
export function forkObstacle(): string | undefined {
  try {
    forker();
    return undefined;
  } catch (error) {
    return describe(error);
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
