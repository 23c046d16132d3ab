/**
 * The results of SCAN and its like as a stream of pages, as ioredis gives them. Made here of single calls, each of which
 * is asked for when the one before it was read. It runs in instances.
 */
import { Readable, type ReadableOptions } from 'node:stream';

export interface ScanOptions extends ReadableOptions {
  readonly match?: string;
  readonly type?: string;
  readonly count?: number | string;
  readonly noValues?: boolean;
}

/** Calls the command with a cursor and what follows it. */
export type Scan = (cursor: string, args: readonly string[]) => Promise<unknown>;

export const SCANS = ['scan', 'sscan', 'hscan', 'zscan'] as const;

export class ScanStream extends Readable {
  readonly #scan: Scan;
  readonly #args: readonly string[];
  #cursor: string | undefined = '0';

  constructor(scan: Scan, { match, type, count, noValues, ...options }: ScanOptions = {}) {
    super({ objectMode: true, ...options });
    this.#scan = scan;
    this.#args = [...(match ? ['MATCH', match] : []), ...(type ? ['TYPE', type] : []), ...(count ? ['COUNT', String(count)] : []), ...(noValues ? ['NOVALUES'] : [])];
  }

  override _read(): void {
    if (this.#cursor === undefined) return void this.push(null);
    this.#scan(this.#cursor, this.#args).then(
      (reply) => {
        const [cursor, page] = reply as [string | Buffer, unknown];
        if (this.#cursor !== undefined) this.#cursor = String(cursor) === '0' ? undefined : String(cursor);
        this.push(page);
      },
      (error: unknown) => this.destroy(error as Error),
    );
  }

  /** Ends it after the page that is under way. */
  close(): void {
    this.#cursor = undefined;
  }
}
