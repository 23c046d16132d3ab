/**
 * The one way to the upstream services: JSON over HTTP with a timeout, and their
 * failures turned into BffErrors. Types are trusted as the upstreams' contract.
 */

import { Service } from 'egg';
import { BffError, type BffErrorCode } from '../../lib/errors';

declare module 'egg' {
  interface IService {
    upstream: UpstreamService;
  }
}

type Query = Record<string, string | number | undefined>;
type Method = 'GET' | 'POST' | 'PATCH';

interface CallOptions {
  query?: Query;
  data?: object;
  /** How long the call may take, in milliseconds. @default config.bff.upstreamTimeoutMs */
  timeoutMs?: number;
}

/** Refusals that are the caller's business; any other status is a failure of the upstream. */
const CODE_BY_STATUS: Readonly<Record<number, BffErrorCode>> = {
  401: 'BFF_UNAUTHORIZED',
  404: 'BFF_NOT_FOUND',
  409: 'BFF_CONFLICT',
};

export default class UpstreamService extends Service {
  async get<T>(path: string, query?: Query, timeoutMs?: number): Promise<T> {
    return await this.call<T>('GET', path, { query, timeoutMs });
  }

  async post<T>(path: string, data: object): Promise<T> {
    return await this.call<T>('POST', path, { data });
  }

  async patch<T>(path: string, data: object): Promise<T> {
    return await this.call<T>('PATCH', path, { data });
  }

  /**
   * Fetches something that a page can do without: a failure is logged and
   * answered with `fallback`, after `config.bff.optionalTimeoutMs` at the latest.
   */
  async getOptional<T, F>(path: string, query: Query, fallback: F): Promise<T | F> {
    try {
      return await this.get<T>(path, query, this.config.bff.optionalTimeoutMs);
    } catch (err) {
      this.logger.warn('[bff] going on without %s: %s', path, String(err));
      return fallback;
    }
  }

  private async call<T>(method: Method, path: string, options: CallOptions): Promise<T> {
    const { status, data } = await this.send(method, path, options);
    if (status >= 200 && status < 300) return data as T;
    const message = messageOf(data) ?? `status ${status}`;
    throw new BffError(CODE_BY_STATUS[status] ?? 'BFF_UPSTREAM_FAILED', `${method} ${path}: ${message}`);
  }

  private async send(method: Method, path: string, options: CallOptions): Promise<{ status: number; data: unknown }> {
    const url = `${this.config.bff.upstream}${path}${toSearch(options.query)}`;
    const timeout = options.timeoutMs ?? this.config.bff.upstreamTimeoutMs;
    try {
      const { status, data } = await this.ctx.curl<unknown>(url, {
        method, data: options.data, timeout, contentType: 'json', dataType: 'json',
      });
      return { status, data };
    } catch (err) {
      const late = err instanceof Error && err.name.includes('Timeout');
      const code = late ? 'BFF_UPSTREAM_TIMEOUT' : 'BFF_UPSTREAM_FAILED';
      throw new BffError(code, `${method} ${path}: ${String(err)}`);
    }
  }
}

function toSearch(query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.size > 0 ? `?${search}` : '';
}

function messageOf(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null || !('message' in data)) return undefined;
  return typeof data.message === 'string' ? data.message : undefined;
}
