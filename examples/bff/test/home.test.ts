/** The home page and its fallbacks. */

import assert from 'node:assert/strict';
import { app } from 'egg-mock/bootstrap';
import { breakUpstream, mendUpstream, signIn } from './support';

describe('GET /api/home', () => {
  afterEach(mendUpstream);

  it('joins products, prices, stock, banners and recommendations', async () => {
    const { body } = await app.httpRequest().get('/api/home?city=chengdu').expect(200);
    assert.equal(body.city, 'chengdu');
    assert.equal(body.greeting, 'Welcome');
    assert.equal(body.featured.length, 6);
    assert.deepEqual(body.featured[0].price, { productId: 'p001', cents: 500, currency: 'CNY' });
    assert.equal(typeof body.featured[0].available, 'number');
    assert.equal(body.banners[1].text, 'Delivered today in chengdu');
    assert.equal(body.recommendations.length, 4);
    assert.deepEqual(body.degraded, []);
  });

  it("greets a signed-in user and takes the user's city", async () => {
    const { body } = await app.httpRequest().get('/api/home').set('cookie', await signIn('u02')).expect(200);
    assert.equal(body.greeting, 'Welcome back, User 02');
    assert.equal(body.city, 'shanghai');
  });

  it('goes on without recommendations when they fail', async () => {
    await breakUpstream('recommendations', { status: 503 });
    const { body } = await app.httpRequest().get('/api/home').expect(200);
    assert.deepEqual(body.recommendations, []);
    assert.deepEqual(body.degraded, ['recommendations']);
    assert.equal(body.featured.length, 6);
  });

  it('goes on without prices when they come too late', async () => {
    await breakUpstream('prices', { delayMs: 2 * app.config.bff.optionalTimeoutMs });
    const { body } = await app.httpRequest().get('/api/home').expect(200);
    assert.equal(body.featured[0].price, null);
    assert.deepEqual(body.degraded, ['prices']);
  });

  it('fails with 502 when the catalog fails, which the page is for', async () => {
    await breakUpstream('catalog', { status: 500 });
    const { body } = await app.httpRequest().get('/api/home').expect(502);
    assert.equal(body.error.code, 'BFF_UPSTREAM_FAILED');
  });
});
