/**
 * Every way out of a fork. Node's own ends by joining threads that a fork does not have: it hangs in a futex or aborts,
 * with everything said and done but the exit itself. Runs in forks and in the templates that were forked.
 *
 * 1. A fork that ends by itself, by `process.exit()`, by an error or by a rejection ends as any Node process: the same
 *    listeners in the same order, the same text, the same code. Signals and `process.abort()` need nothing of this.
 *    That holds for what Node loses, too: text that a pipe has not taken yet when `process.exit()` is called.
 * 2. Nothing of it shows: no listener is added, and `process.emit`, `exit` and `reallyExit` are Node's or whoever
 *    replaced them. (Where the addon cannot take exits, the last one is replaced.)
 */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import type { Forker } from '../../native';
import { callersOf } from './callers';

type Emit = typeof process.emit;

interface Internals {
  _exiting: boolean;
  _fatalException(error: unknown, fromPromise: boolean): boolean;
  emit: Emit;
  reallyExit(code: number): void;
}

const node = process as unknown as Internals;
/** Before libraries replace it. Unlike the addon's, it ends profiles and traces, too. */
const nodesExit = node.reallyExit.bind(process);

/** Codes of Node for an error that nobody heard, and for one thrown while another was being heard. */
const FATAL_CODE = 1;
const FATAL_TWICE_CODE = 7;

interface ExitTaker {
  /** Whether Node's way out ends at once from now on, instead of joining threads. */
  takeExits?(): boolean;
  /** The code of a process that Node takes apart although an 'exit' listener has thrown. */
  lateCode?(code: number): void;
}

let isTaken = false;

/** In a fork, once: what is forked from it inherits it. */
export function takeOverExits(native: Forker & ExitTaker): void {
  if (isTaken) return;
  isTaken = true;
  const isNative = native.takeExits?.() === true;
  leaveAfterLastListener(isNative ? nodesExit : (code) => native.exit(code), (code) => native.lateCode?.(code));
  if (!isNative) leaveFromJavaScript(native);
}

/**
 * When nothing is left to do, Node emits 'exit' and takes itself apart, without a call that could be replaced. So the
 * process must leave with the last listener, also where libraries replace `process.emit` later on to hear of the end
 * themselves (signal-exit does): at that moment, and only for Node, `process.emit` is one that leaves.
 */
function leaveAfterLastListener(leave: (code: number) => void, leaveLate: (code: number) => void): void {
  let emit: Emit = node.emit;
  const emitAndLeave = function (this: unknown, ...args: Parameters<Emit>): boolean {
    let heard: boolean | undefined;
    try {
      heard = Reflect.apply(emit, this, args) as boolean;
    } finally {
      // Not in a `catch`, since an error that was thrown again is shown at another line.
      if (heard === undefined) leaveLate(exitCode());
    }
    if ((args[0] as string) === 'exit') leave(exitCode());
    return heard;
  } as Emit;
  Object.defineProperty(process, 'emit', {
    configurable: true,
    enumerable: false,
    get: function get() {
      // `process.exit()` has a caller and comes to an end of its own; the end of the loop has none.
      return node._exiting && callersOf(get, 1).length === 0 ? emitAndLeave : emit;
    },
    set: (replacement: Emit) => {
      emit = replacement;
    },
  });
}

/** As the listeners left it; Node takes strings, too. */
function exitCode(otherwise = 0): number {
  return Number(process.exitCode ?? otherwise);
}

/** For Nodes whose exit the addon cannot replace: as near as JavaScript comes. The line that threw is not shown. */
function leaveFromJavaScript(native: Pick<Forker, 'exit'>): void {
  node.reallyExit = (code) => native.exit(code);
  const { _fatalException: nodesFatal } = node;
  node._fatalException = (error, fromPromise) => {
    let isHeard: boolean;
    try {
      isHeard = nodesFatal(error, fromPromise);
    } catch (second) {
      print(second);
      return native.exit(FATAL_TWICE_CODE);
    }
    if (isHeard) return true;
    print(error);
    return native.exit(exitCode(FATAL_CODE));
  };
}

function print(error: unknown): void {
  const text = error instanceof Error ? inspect(error) : `Uncaught:\n${inspect(error)}`;
  writeSync(2, `${text}\n\nNode.js ${process.version}\n`);
}
