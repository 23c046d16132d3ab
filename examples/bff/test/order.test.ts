/** The order form: quote, place, list, read, cancel, export; and the nightly report over all orders. */

import assert from 'node:assert/strict';
import { app } from 'egg-mock/bootstrap';
import { csvRow } from '../lib/csv';
import type { Order } from '../lib/types';
import { signIn } from './support';

const ADDRESS = 'West Lake 1, Hangzhou';

describe('the order API', () => {
  it('prices lines and adds shipping below the free amount', async () => {
    const form = { lines: [{ productId: 'p001', quantity: 2 }, { productId: 'p002', quantity: 1 }], address: ADDRESS };
    const { body } = await post('/api/orders/quote', form, await signIn()).expect(200);
    assert.equal(body.goodsCents, 1637);
    assert.equal(body.shippingCents, 1200);
    assert.equal(body.totalCents, 2837);
    assert.equal(body.orderable, true);
  });

  it('ships for nothing from the free amount on', async () => {
    const { body } = await post('/api/orders/quote', formOf('p001', 40), await signIn()).expect(200);
    assert.equal(body.goodsCents, 20_000);
    assert.equal(body.shippingCents, 0);
  });

  it('places an order, shows it to its user and to nobody else, and cancels it once', async () => {
    const cookie = await signIn('u07');
    const before = await available('p003');
    const placed = await post('/api/orders', formOf('p003', 4), cookie).expect(201);
    const order = placed.body as Order;
    assert.equal(order.status, 'placed');
    assert.equal(await available('p003'), before - 4);

    await app.httpRequest().get(`/api/orders/${order.id}`).set('cookie', cookie).expect(200, order);
    await app.httpRequest().get(`/api/orders/${order.id}`).set('cookie', await signIn('u08')).expect(404);
    const list = await app.httpRequest().get('/api/orders').set('cookie', cookie).expect(200);
    assert.deepEqual(list.body.items, [order]);

    const cancelled = await post(`/api/orders/${order.id}/cancel`, {}, cookie).expect(200);
    assert.equal(cancelled.body.status, 'cancelled');
    assert.equal(await available('p003'), before);
    const again = await post(`/api/orders/${order.id}/cancel`, {}, cookie).expect(409);
    assert.equal(again.body.error.code, 'BFF_CONFLICT');
  });

  it('refuses what is sold out', async () => {
    const { body } = await post('/api/orders', formOf('p010', 1), await signIn()).expect(409);
    assert.match(body.error.message, /^Sold out: /);
  });

  it('names every field of the form that has a problem', async () => {
    const form = { lines: [{ productId: 'p001', quantity: 0 }, { quantity: 1.5 }], address: 'x' };
    const { body } = await post('/api/orders', form, await signIn()).expect(422);
    assert.deepEqual(body.error.problems.map((problem: { field: string }) => problem.field), [
      'lines[0].quantity', 'lines[1].productId', 'lines[1].quantity', 'address',
    ]);
  });

  it('refuses more than 20 lines, the same product twice, and a product that does not exist', async () => {
    const cookie = await signIn();
    const line = { productId: 'p001', quantity: 1 };
    await post('/api/orders', { lines: Array.from({ length: 21 }, () => line), address: ADDRESS }, cookie).expect(422);
    await post('/api/orders', { lines: [line, line], address: ADDRESS }, cookie).expect(422);
    await post('/api/orders', formOf('p999', 1), cookie).expect(404);
  });

  it('exports all orders of the user as CSV', async () => {
    const cookie = await signIn('u09');
    const quoted = { ...formOf('p004', 1), address: 'Room "9", Hangzhou' };
    const { body: order } = await post('/api/orders', quoted, cookie).expect(201);
    const csv = await app.httpRequest().get('/api/orders/export.csv').set('cookie', cookie).expect(200);
    assert.match(String(csv.headers['content-disposition']), /orders\.csv/);
    assert.deepEqual(csv.text.split('\r\n'), [
      'id,created,status,items,total,currency,address',
      `${order.id},${order.createdAt},placed,1,21.11,CNY,"Room ""9"", Hangzhou"`,
      '',
    ]);
  });

  it('keeps a cell of the export from being read as a formula', () => {
    assert.equal(csvRow(['=1+1', -2, 'plain']), "'=1+1,-2,plain\r\n");
  });

  it('sums up all orders in the nightly report', async () => {
    const before = await app.mockContext().service.order.summary();
    await post('/api/orders', formOf('p001', 1), await signIn()).expect(201);
    await app.runSchedule('nightly_report');
    const after = await app.mockContext().service.order.summary();
    assert.equal(after.placed, before.placed + 1);
    assert.equal(after.placedCents, before.placedCents + 1700);
  });
});

function formOf(productId: string, quantity: number): { lines: object[]; address: string } {
  return { lines: [{ productId, quantity }], address: ADDRESS };
}

function post(path: string, form: object, cookie: string) {
  app.mockCsrf();
  return app.httpRequest().post(path).set('cookie', cookie).send(form);
}

async function available(productId: string): Promise<number> {
  const { body } = await app.httpRequest().get(`/api/products/${productId}`).expect(200);
  return body.available;
}
