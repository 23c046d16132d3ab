/** Health, version, and what every response of this application has. */

import assert from 'node:assert/strict';
import { app } from 'egg-mock/bootstrap';

describe('the site', () => {
  it('tells its health and version, and how long it took', async () => {
    const health = await app.httpRequest().get('/health').expect(200, { status: 'ok' });
    assert.match(String(health.headers['server-timing']), /^app;dur=\d/);
    await app.httpRequest().get('/version').expect(200, { name: 'bff', version: '1.0.0', env: 'unittest' });
  });

  it('answers an unknown path in JSON', async () => {
    const { body } = await app.httpRequest().get('/nowhere').expect(404);
    assert.deepEqual(body.error, { code: 'BFF_NOT_FOUND', message: 'There is nothing at GET /nowhere' });
  });

  it('refuses a write without the CSRF token, in JSON', async () => {
    const { body } = await app.httpRequest().post('/api/session').send({ userId: 'u01' }).expect(403);
    assert.match(body.message, /csrf token/);
  });
});
