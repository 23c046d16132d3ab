/** Products and recommendations. */

import assert from 'node:assert/strict';
import { app } from 'egg-mock/bootstrap';
import { breakUpstream, mendUpstream } from './support';

describe('the product API', () => {
  afterEach(mendUpstream);

  it('lists a category with prices and stock', async () => {
    const { body } = await app.httpRequest().get('/api/products?category=tea&size=3').expect(200);
    assert.equal(body.total, 15);
    assert.deepEqual(body.items.map((item: { id: string }) => item.id), ['p001', 'p005', 'p009']);
    assert.equal(body.items[1].price.cents, 1048);
  });

  it('finds products by text', async () => {
    const { body } = await app.httpRequest().get('/api/products/search?q=travel%20GARDEN').expect(200);
    assert.equal(body.total, 3);
    assert.match(body.items[0].title, /^Travel garden/);
  });

  it('refuses a search without text and a page size over the limit', async () => {
    await app.httpRequest().get('/api/products/search').expect(422);
    const { body } = await app.httpRequest().get('/api/products?size=51').expect(422);
    assert.deepEqual(body.error.problems, [{ field: 'size', message: 'expected a whole number from 1 to 50' }]);
    await app.httpRequest().get('/api/products?size=50').expect(200);
  });

  it('shows one product, and without its stock when that fails', async () => {
    const whole = await app.httpRequest().get('/api/products/p002').expect(200);
    assert.equal(whole.body.price.cents, 637);
    await breakUpstream('stock', { status: 500 });
    const { body } = await app.httpRequest().get('/api/products/p002').expect(200);
    assert.deepEqual(body, { ...whole.body, available: null });
  });

  it('answers 404 for a product that does not exist', async () => {
    await app.httpRequest().get('/api/products/p999').expect(404);
  });

  it('recommends to a visitor', async () => {
    const { body } = await app.httpRequest().get('/api/recommendations?limit=2').expect(200);
    assert.deepEqual(body.items.map((item: { productId: string }) => item.productId), ['p001', 'p002']);
  });

  it('streams recommendations across the pages of the upstream, up to the limit', async () => {
    const ctx = app.mockContext();
    const ids: string[] = [];
    for await (const item of ctx.service.recommend.stream({ userId: 'u01', limit: 12 })) ids.push(item.productId);
    assert.equal(ids.length, 12);
    assert.equal(new Set(ids).size, 12);
  });

  it('ends the stream when the catalog ends or the signal aborts', async () => {
    const ctx = app.mockContext();
    const aborter = new AbortController();
    let all = 0;
    for await (const item of ctx.service.recommend.stream({ userId: '', limit: 1000 })) all += item ? 1 : 0;
    assert.equal(all, 60);
    let read = 0;
    for await (const item of ctx.service.recommend.stream({ userId: '', limit: 1000, signal: aborter.signal })) {
      read += item ? 1 : 0;
      aborter.abort();
    }
    assert.equal(read, 5);
  });
});
