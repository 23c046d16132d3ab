/**
 * Every way out of a fork. Node's own ways wait for threads that a fork does not have: they hang in a futex or abort,
 * with everything said and done but the exit itself. Runs in forks and in the templates that were forked.
 *
 * 1. A fork that ends by itself, by `process.exit()`, by an error or by a rejection ends as any Node process: the same
 *    listeners in the same order, the same text, the same code. Signals and `process.abort()` need nothing of this.
 *    That holds for what Node loses, too: text that a pipe has not taken yet when `process.exit()` is called. One thing
 *    differs: an immediate without reference that is left over runs once more before the end.
 * 2. Nothing of it shows: no listener is added, and `process.emit`, `exit` and `reallyExit` are Node's or whoever
 *    replaced them. Only where the addon cannot take Node's way out, the last one is replaced.
 */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import type { Forker } from '../../native';

interface Internals {
  readonly _exiting: boolean;
  _fatalException(error: unknown, fromPromise: boolean): boolean;
  reallyExit(code: number): void;
}

const node = process as unknown as Internals;
/** Before anybody replaces it: not all of those expect the call. */
const nodesExit = process.exit.bind(process);

/** Codes of Node for an error that nobody heard, and for one thrown while another was being heard. */
const FATAL_CODE = 1;
const FATAL_TWICE_CODE = 7;

let isTaken = false;

/** In a fork, once: what is forked from it inherits it. */
export function takeOverExits(native: Forker): void {
  if (isTaken) return;
  isTaken = true;
  // As callbacks of Node, so that what listeners throw and leave to do is handled as everywhere.
  const isNative = native.takeExits(() => void setImmediate(beforeExit), () => void setImmediate(nodesExit));
  if (!isNative) leaveFromJavaScript(native);
}

/** It comes again when an 'exit' listener has thrown and the error was heard; then nobody is asked any more. */
function beforeExit(): void {
  if (node._exiting) return;
  let isThrown = true;
  try {
    process.emit('beforeExit', exitCode());
    isThrown = false;
  } finally {
    // Not in a `catch`: an error that was thrown again is shown at another line. Where it is heard, Node comes once more.
    if (isThrown) setTimeout(() => undefined, 0);
  }
}

/** As listeners left it; Node takes strings, too. */
function exitCode(otherwise = 0): number {
  return Number(process.exitCode ?? otherwise);
}

/** As near as JavaScript comes. The line that threw is not shown. */
function leaveFromJavaScript(native: Forker): void {
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
