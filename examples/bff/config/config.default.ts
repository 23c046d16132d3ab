/**
 * The application's configuration for every environment; `app.ts` checks the
 * part under `bff` at boot.
 */

import type { EggAppInfo } from 'egg';

export interface BffConfig {
  /** Base URL of the upstream services, without a trailing slash. Environment: BFF_UPSTREAM. @default 'http://127.0.0.1:7400' */
  upstream: string;
  /** How long one upstream call may take, in milliseconds, 1 to 60 000. @default 2000 */
  upstreamTimeoutMs: number;
  /** How long a call may take whose answer a page can do without, in milliseconds, 1 to upstreamTimeoutMs. @default 800 */
  optionalTimeoutMs: number;
  /** How long a session lasts, in milliseconds, 60 000 or more. @default 604 800 000, seven days */
  sessionMaxAgeMs: number;
  /** A request that takes longer is logged as slow, in milliseconds, 1 or more. @default 1000 */
  slowRequestMs: number;
}

declare module 'egg' {
  interface EggAppConfig {
    bff: BffConfig;
  }
}

const DAY_MS = 24 * 60 * 60 * 1000;

export default (appInfo: EggAppInfo) => {
  const bff: BffConfig = {
    upstream: process.env.BFF_UPSTREAM ?? 'http://127.0.0.1:7400',
    upstreamTimeoutMs: 2000,
    optionalTimeoutMs: 800,
    sessionMaxAgeMs: 7 * DAY_MS,
    slowRequestMs: 1000,
  };
  return {
    bff,
    keys: `${appInfo.name}-development-key`,
    middleware: ['requestTiming', 'errorJson'],
    // This application has no pages: what fails before its own middleware runs answers in JSON too.
    onerror: { accepts: () => 'json' },
    bodyParser: { jsonLimit: '64kb', formLimit: '64kb' },
  };
};
