/**
 * The options of `npm run demo`.
 */
import { parseArgs } from 'node:util';
import { CartonError, describe } from '../../lib/support/errors';
import { isFree } from '../support/free_port';

export interface DemoOptions {
  /** Port of the application. @default 7001, Egg's own */
  readonly port: number;
  /** Whether to end after the tour instead of staying up. */
  readonly once: boolean;
}

const DEFAULT_PORT = 7001;
const PORT_MAX = 65_535;
const USAGE = 'npm run demo [-- [--once] [--port <number>]]';

/** Throws `CARTON_CLI_BAD_USAGE`. */
export function readOptions(args: readonly string[]): DemoOptions {
  const { once = false, port = String(DEFAULT_PORT) } = parse(args);
  const number = Number(port);
  if (!/^\d+$/.test(port) || number < 1 || number > PORT_MAX) throw badUsage(`--port from 1 to ${PORT_MAX}`, port);
  return { once, port: number };
}

function parse(args: readonly string[]): { once?: boolean | undefined; port?: string | undefined } {
  try {
    return parseArgs({ args: [...args], options: { once: { type: 'boolean' }, port: { type: 'string' } } }).values;
  } catch (error) {
    throw badUsage(USAGE, describe(error));
  }
}

function badUsage(expected: string, got: string): CartonError {
  return new CartonError('CARTON_CLI_BAD_USAGE', { of: 'npm run demo', expected, got });
}

/** Throws `CARTON_CLI_PORT_IN_USE`. */
export async function requireFree(port: number): Promise<void> {
  if (!(await isFree(port))) throw portInUse(port);
}

export function portInUse(port: number): CartonError {
  return new CartonError('CARTON_CLI_PORT_IN_USE', { of: `port ${port}` });
}
