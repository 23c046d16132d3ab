/**
 * What pool and connections of the `mysql` driver have in common where the connections are in a sidecar: SQL is formatted
 * here, by the driver's own code and the client's configuration, so that whatever makes SQL of itself does it where it
 * is. Runs in function processes.
 */
import { EventEmitter } from 'node:events';
import { CartonError } from '../../support/errors';

export interface Driver {
  createPool(options: object): unknown;
  format(sql: string, values: unknown, stringifyObjects: boolean, timezone: string): string;
  escape(value: unknown, stringifyObjects: boolean, timezone: string): string;
  escapeId(value: unknown, forbidQualified: boolean): string;
}

export interface ConnectionConfig {
  readonly timezone: string;
  readonly stringifyObjects: boolean;
  readonly queryFormat?: (sql: string, values: unknown, timezone: string) => string;
}

/** The forms of a query that the driver takes: text or options, then values or none, then a callback or none. */
export type QueryArguments = readonly [sql: unknown, values?: unknown, callback?: unknown];

export type Callback = (error: unknown, result?: unknown) => void;

/** What the driver knows of a query beside text and values, as far as it can travel. */
const OPTIONS = ['timeout', 'nestTables', 'typeCast'] as const;

export class RemoteDriver extends EventEmitter {
  readonly #driver: Driver;
  readonly #config: ConnectionConfig;

  constructor(driver: Driver, config: ConnectionConfig) {
    super();
    this.#driver = driver;
    this.#config = config;
  }

  escape(value: unknown): string {
    return this.#driver.escape(value, this.#config.stringifyObjects, this.#config.timezone);
  }

  escapeId(value: unknown): string {
    return this.#driver.escapeId(value, false);
  }

  format(sql: string, values?: unknown): string {
    const { queryFormat, stringifyObjects, timezone } = this.#config;
    return typeof queryFormat === 'function' ? queryFormat.call(this, sql, values, timezone) : this.#driver.format(sql, values, stringifyObjects, timezone);
  }

  /** The arguments that travel. Throws `CARTON_SIDECAR_CANNOT_TRAVEL`, and what formatting throws. */
  protected request([given, second]: QueryArguments): unknown[] {
    const options = (typeof given === 'object' && given !== null ? given : { sql: given }) as Record<string, unknown>;
    if (typeof options['typeCast'] === 'function') {
      throw new CartonError('CARTON_SIDECAR_CANNOT_TRAVEL', { of: 'typeCast of a query', expected: 'true or false', got: 'a function', hint: 'Set it in the configuration of the client: there it runs in the sidecar.' });
    }
    const values = typeof second === 'function' || second === undefined ? options['values'] : second;
    const sql = this.format(options['sql'] as string, values);
    const others = OPTIONS.filter((key) => options[key] !== undefined);
    return others.length === 0 ? [sql] : [sql, Object.fromEntries(others.map((key) => [key, options[key]]))];
  }
}

/** Tells the callback among the arguments, if there is one, what came of it. */
export function settle(call: () => Promise<unknown>, args: readonly unknown[]): void {
  const callback = args.find((arg) => typeof arg === 'function') as Callback | undefined;
  new Promise((resolve) => resolve(call())).then((result) => callback?.(null, result), (error: unknown) => callback?.(error));
}
