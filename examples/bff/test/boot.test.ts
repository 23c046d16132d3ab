/** The boot class and its check of the configuration. */

import assert from 'node:assert/strict';
import { app } from 'egg-mock/bootstrap';
import { checkConfig } from '../app';

describe('the configuration', () => {
  it('takes the upstream from BFF_UPSTREAM', () => {
    assert.equal(app.config.bff.upstream, process.env.BFF_UPSTREAM);
    assert.doesNotThrow(() => checkConfig(app.config.bff));
  });

  it('is refused with the key, the expectation and what came', () => {
    const { bff } = app.config;
    assert.throws(() => checkConfig({ ...bff, upstream: 'localhost/' }), {
      code: 'BFF_CONFIG',
      message: 'config.bff.upstream (BFF_UPSTREAM) expects an http URL without a trailing slash, got "localhost/"',
    });
    assert.throws(() => checkConfig({ ...bff, optionalTimeoutMs: bff.upstreamTimeoutMs + 1 }), {
      code: 'BFF_CONFIG',
      message: `config.bff.optionalTimeoutMs expects a whole number from 1 to ${bff.upstreamTimeoutMs}, got ${bff.upstreamTimeoutMs + 1}`,
    });
  });
});
