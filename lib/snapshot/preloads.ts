/**
 * Whether a preloaded module has changed how this process finds or compiles code. What stands below us could neither be
 * recorded nor replayed, so such a process loads everything from its files. Runs where a snapshot is recorded or used.
 */
import Module from 'node:module';
import { CartonError } from '../support/errors';
import { internals } from './commonjs';
import { nodeFlags } from './key';

const PRELOAD = /^(?:-r|--require|--import|--loader|--experimental-loader)(?:=(.*))?$/;
/** Known to leave loading alone. */
const HARMLESS = /(?:^|[\\/])(?:egg-carton[\\/]register|source-map-support[\\/]register)(?:\.js)?$/;

/** A word of each of Node's own functions, which one that wraps it does not have. */
const NODES_OWN: readonly (readonly [of: () => unknown, word: RegExp])[] = [
  [() => internals._extensions['.js'], /cjsParseCache|loadSource|kFormat|readPackageScope/],
  [() => internals._extensions['.json'], /stripBOM|setOwnProperty|JSONParse/],
  [() => internals.prototype._compile, /wrapSafe|compileFunctionForCJSLoader/],
  [() => internals._resolveFilename, /BuiltinModule/],
];

/** Throws `CARTON_SNAPSHOT_MISMATCH`. */
export function expectNodesOwnLoading(): void {
  const preloads = preloadsOf(nodeFlags());
  if (preloads.length === 0) return;
  // Hooks of this kind leave no trace that could be looked at.
  const isHooked = 'registerHooks' in Module || NODES_OWN.some(([of, word]) => !word.test(String(of())));
  if (isHooked) throw new CartonError('CARTON_SNAPSHOT_MISMATCH', { of: 'preloaded modules', expected: 'none that may change how code is loaded', got: preloads.join(', ') });
}

function preloadsOf(flags: readonly string[]): string[] {
  return flags.flatMap((flag, index) => {
    const match = PRELOAD.exec(flag);
    const value = match === null ? undefined : (match[1] ?? flags[index + 1]);
    return value === undefined || HARMLESS.test(value) ? [] : value;
  });
}
