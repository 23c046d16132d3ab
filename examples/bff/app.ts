/**
 * The boot class: refuses to start with a configuration that could not work,
 * so that a mistake shows at deployment and not in the first request.
 */

import type { Application, IBoot } from 'egg';
import type { BffConfig } from './config/config.default';
import { BffError } from './lib/errors';

const MINUTE_MS = 60_000;

export default class BffBoot implements IBoot {
  constructor(private readonly app: Application) {}

  configDidLoad(): void {
    checkConfig(this.app.config.bff);
  }

  async didReady(): Promise<void> {
    const { config, logger } = this.app;
    if (config.env === 'prod' && !process.env.BFF_KEYS) {
      logger.warn('[bff] BFF_KEYS is not set: sessions are signed with a key that everyone can read in the sources');
    }
    logger.info('[bff] upstream is %s', config.bff.upstream);
  }
}

/** @throws BFF_CONFIG naming the key, what it expects and what came */
export function checkConfig(config: BffConfig): void {
  if (!/^https?:\/\/[^/]+(\/.*)?[^/]$/.test(config.upstream)) {
    throw new BffError('BFF_CONFIG', `config.bff.upstream (BFF_UPSTREAM) expects an http URL without a trailing slash, got "${config.upstream}"`);
  }
  checkRange(config, 'upstreamTimeoutMs', 1, MINUTE_MS);
  checkRange(config, 'optionalTimeoutMs', 1, config.upstreamTimeoutMs);
  checkRange(config, 'sessionMaxAgeMs', MINUTE_MS, Number.MAX_SAFE_INTEGER);
  checkRange(config, 'slowRequestMs', 1, Number.MAX_SAFE_INTEGER);
}

type NumberKey = { [K in keyof BffConfig]: BffConfig[K] extends number ? K : never }[keyof BffConfig];

function checkRange(config: BffConfig, key: NumberKey, min: number, max: number): void {
  const value = config[key];
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new BffError('BFF_CONFIG', `config.bff.${key} expects a whole number from ${min} to ${max}, got ${String(value)}`);
  }
}
